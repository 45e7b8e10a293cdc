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
constexpr int32_t kFlagVlan = 2;  // tag control in the upper 16 bits of `flags`
constexpr int32_t kDrop = -1;
constexpr int32_t kRefused = -2;
constexpr uint32_t kTransmitRowsMax = 256;

// Who sends, and how.
struct Sender {
  int32_t id;
  uint32_t frameBytesMax;
  uint16_t vlan;  // 1–4094: a tag of that VLAN is put in; 0: none
};

// Numbers of the rows that the sender sends, in the order in which they leave, at most kTransmitRowsMax; returns how
// many. Rows of one group follow each other; groups leave in the order of their first rows, and a row of group 0 stands
// for itself. Groups that are equal modulo 2048 count as one. A frame shorter than an Ethernet header or longer than
// frameBytesMax is refused: its verdict becomes kRefused.
uint32_t Arrange(Row* rows, uint32_t count, const Sender& sender, uint16_t* order);

// A row's frame as it is handed to the kernel: in one part or two.
struct Dressed {
  iovec parts[2];
  uint32_t count;
  uint8_t head[sizeof(VirtioNetHeader) + 16];  // of a tagged frame: header, addresses, tag
};

// Puts a virtio_net_hdr before the frame: in its headroom, or, with a tag to put in, beside it, so that the bytes of the
// frame stay as they are. The tag has the priority (PCP, DEI) of the one that the frame came with, if it had one.
void Dress(uint8_t* base, const Row& row, const Sender& sender, Dressed* out);

}  // namespace keysteer

#endif
