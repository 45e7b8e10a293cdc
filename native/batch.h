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
constexpr int32_t kFlagChecksumVerified = 16;
constexpr int32_t kDrop = -1;
constexpr int32_t kRefused = -2;
constexpr uint32_t kTransmitRowsMax = 256;

// Who sends, and how.
struct Sender {
  int32_t id;
  uint32_t frameBytesMax;
  uint16_t vlan;  // 1–4094: a tag of that VLAN is put in; 0: none
  bool joins;     // sends super-frames
};

// Numbers of the rows that the sender sends, in the order in which they leave, at most kTransmitRowsMax; returns how
// many. Rows of one group follow each other; groups leave in the order of their first rows, and a row of group 0 stands
// for itself. Groups that are equal modulo 2048 count as one. A frame shorter than an Ethernet header or longer than
// frameBytesMax is refused: its verdict becomes kRefused.
uint32_t Arrange(Row* rows, uint32_t count, const Sender& sender, uint16_t* order);

// Bytes before the payload of a frame that can be joined: Ethernet, IPv4 without options, UDP.
constexpr size_t kHeadersBytes = 42;
// A message's bytes that do not lie in the frame: virtio_net_hdr and tagged addresses, or the headers of several.
constexpr size_t kHeadBytes = sizeof(VirtioNetHeader) + kHeadersBytes;

// Puts a virtio_net_hdr before the frame: in its headroom, or, with a tag to put in, in `head`, so that the bytes of the
// frame stay as they are. The tag has the priority (PCP, DEI) of the one that the frame came with, if it had one.
// Returns the number of parts that make the message, 1 or 2.
uint32_t Dress(uint8_t* base, const Row& row, const Sender& sender, uint8_t* head, iovec* parts);

// How many rows from order[0] on can leave as one super-frame, which the kernel or the network card takes apart again
// (UDP segmentation offload): datagrams of one group (not 0) and one flow, equally long, that differ in nothing before the
// payload but IPv4's identification (atomic datagrams: RFC 6864) and the checksums, which must be somebody else's to
// compute or verified already. Together they are no longer than frameBytesMax. At least 1.
uint32_t JoinableRows(const uint8_t* base, const Row* rows, const uint16_t* order, uint32_t count, const Sender& sender);

// The super-frame of these rows, at least 2: headers in `head`, payloads where they are. The frames stay as they are.
// Returns the number of parts, which is one more than that of the rows.
uint32_t Join(uint8_t* base, const Row* rows, const uint16_t* order, uint32_t count, uint8_t* head, iovec* parts);

}  // namespace keysteer

#endif
