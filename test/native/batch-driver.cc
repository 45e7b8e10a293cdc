// Runs Arrange, JoinableRows, Join and Dress of native/batch.cc over cases from stdin, and says what they did on stdout. Each
// case's frames lie in an allocation of exactly their size, so that a byte touched outside it is an AddressSanitizer report.
//
//     in   per case: i32 id, u32 frameBytesMax, u32 vlan, u32 joins, u32 rows, u32 memory bytes; the rows; the memory
//     out  per message: u32 rows (0: no more), u32 first row, u32 bytes, the bytes as the kernel would get them;
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

// The message that begins with the row order[0]; returns how many rows are in it.
uint32_t WriteMessage(uint8_t* memory, const keysteer::Row* rows, const uint16_t* order, uint32_t left,
                      const keysteer::Sender& sender) {
  uint8_t head[keysteer::kHeadBytes];
  iovec parts[keysteer::kTransmitRowsMax + 1];
  const uint32_t alike = keysteer::JoinableRows(memory, rows, order, left, sender);
  const uint32_t used = alike > 1 ? keysteer::Join(memory, rows, order, alike, head, parts)
                                  : keysteer::Dress(memory, rows[order[0]], sender, head, parts);
  size_t bytes = 0;
  for (uint32_t i = 0; i < used; i++) bytes += parts[i].iov_len;
  WriteWord(alike);
  WriteWord(order[0]);
  WriteWord(static_cast<uint32_t>(bytes));
  for (uint32_t i = 0; i < used; i++) Write(parts[i].iov_base, parts[i].iov_len);
  return alike;
}

}  // namespace

int main() {
  uint32_t head[6];
  while (Read(head, sizeof head)) {
    const keysteer::Sender sender = {static_cast<int32_t>(head[0]), head[1], static_cast<uint16_t>(head[2]), head[3] != 0};
    const uint32_t count = head[4], bytes = head[5];
    auto* rows = static_cast<keysteer::Row*>(malloc(count * sizeof(keysteer::Row)));
    auto* memory = static_cast<uint8_t*>(malloc(bytes));
    if (!Read(rows, count * sizeof(keysteer::Row)) || !Read(memory, bytes)) return 1;
    uint16_t order[keysteer::kTransmitRowsMax];
    const uint32_t queued = keysteer::Arrange(rows, count, sender, order);
    for (uint32_t at = 0; at < queued;) at += WriteMessage(memory, rows, order + at, queued - at, sender);
    WriteWord(0);
    for (uint32_t i = 0; i < count; i++) WriteWord(static_cast<uint32_t>(rows[i].verdict));
    Write(memory, bytes);
    free(rows);
    free(memory);
  }
  return 0;
}
