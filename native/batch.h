// A batch of frames as src/port/port.ts lays it out, and what a transmit does to bytes. Pure: no system call here.
#ifndef KEYSTEER_BATCH_H
#define KEYSTEER_BATCH_H

#include <cstdint>
#include <sys/uio.h>

namespace keysteer {

struct Row {
  int32_t offset;
  int32_t length;
  int32_t flags;
  int32_t verdict;  // bits 0–7: port that sends it, bits 8–30: group; negative: nobody sends it
};

// struct virtio_net_hdr (linux/virtio_net.h, which C++ cannot include: it names a field `class`).
struct VirtioNetHeader {
  uint8_t flags;
  uint8_t gsoType;
  uint16_t headerBytes;
  uint16_t gsoBytes;
  uint16_t checksumStart;
  uint16_t checksumOffset;
};
static_assert(sizeof(VirtioNetHeader) == 10, "the kernel expects 10 bytes");

constexpr int32_t kFlagPartialChecksum = 1;
constexpr int32_t kDrop = -1;
constexpr int32_t kRefused = -2;
constexpr uint32_t kTransmitRowsMax = 256;

// Numbers of the rows that port `id` sends, in the order in which they leave, at most kTransmitRowsMax; returns how
// many. Rows of one group follow each other; groups leave in the order of their first rows, and a row of group 0 stands
// for itself. Groups that are equal modulo 2048 count as one.
uint32_t Arrange(const Row* rows, uint32_t count, int32_t id, uint16_t* order);

// A row's frame as it is handed to the kernel: behind a virtio_net_hdr, which goes into the frame's headroom.
iovec Dress(uint8_t* base, const Row& row);

}  // namespace keysteer

#endif
