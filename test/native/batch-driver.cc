// Runs Arrange and Dress of native/batch.cc over cases from stdin, and says what they did on stdout. Each case's frames lie
// in an allocation of exactly their size, so that a byte touched outside it is an AddressSanitizer report.
//
//     in   per case: i32 id, u32 frameBytesMax, u32 vlan, u32 rows, u32 memory bytes; the rows; the memory
//     out  per case: u32 frames; per frame u32 row, u32 bytes, the bytes as the kernel would get them;
//          then the verdict of each row, and the memory
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "../../native/batch.h"

namespace {

bool Read(void* to, size_t bytes) { return bytes == 0 || fread(to, bytes, 1, stdin) == 1; }

void Write(const void* from, size_t bytes) {
  if (bytes != 0) fwrite(from, bytes, 1, stdout);
}

void WriteWord(uint32_t word) { Write(&word, sizeof word); }

void WriteFrame(uint8_t* memory, const keysteer::Row& row, uint32_t number, const keysteer::Sender& sender) {
  keysteer::Dressed frame;
  keysteer::Dress(memory, row, sender, &frame);
  size_t bytes = 0;
  for (uint32_t i = 0; i < frame.count; i++) bytes += frame.parts[i].iov_len;
  WriteWord(number);
  WriteWord(static_cast<uint32_t>(bytes));
  for (uint32_t i = 0; i < frame.count; i++) Write(frame.parts[i].iov_base, frame.parts[i].iov_len);
}

}  // namespace

int main() {
  uint32_t head[5];
  while (Read(head, sizeof head)) {
    const keysteer::Sender sender = {static_cast<int32_t>(head[0]), head[1], static_cast<uint16_t>(head[2])};
    const uint32_t count = head[3], bytes = head[4];
    auto* rows = static_cast<keysteer::Row*>(malloc(count * sizeof(keysteer::Row)));
    auto* memory = static_cast<uint8_t*>(malloc(bytes));
    if (!Read(rows, count * sizeof(keysteer::Row)) || !Read(memory, bytes)) return 1;
    uint16_t order[keysteer::kTransmitRowsMax];
    const uint32_t queued = keysteer::Arrange(rows, count, sender, order);
    WriteWord(queued);
    for (uint32_t i = 0; i < queued; i++) WriteFrame(memory, rows[order[i]], order[i], sender);
    for (uint32_t i = 0; i < count; i++) WriteWord(static_cast<uint32_t>(rows[i].verdict));
    Write(memory, bytes);
    free(rows);
    free(memory);
  }
  return 0;
}
