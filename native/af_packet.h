// An AF_PACKET socket whose receive ring is mapped over a given address. No protocol words, no policy.
#ifndef KEYSTEER_AF_PACKET_H
#define KEYSTEER_AF_PACKET_H

#include <cstdint>

#include "batch.h"
#include "interface.h"

namespace keysteer {

struct AfPacketRequest {
  const char* interface;
  uint8_t* ring;            // page-aligned; blockBytes * blocks bytes are mapped over it
  uint32_t slotBytes;       // bytes per ring slot, a multiple of 16
  uint32_t slots;
  uint32_t blockBytes;      // a multiple of the page size and of slotBytes
  uint32_t reserveBytes;    // PACKET_RESERVE: shifts the frame so that its network header is 4-aligned
  int fanoutGroup;          // −1: no fanout
  int fanoutType;           // PACKET_FANOUT_*
  const void* fanoutProgram;  // struct sock_filter[], for PACKET_FANOUT_CBPF
  uint32_t fanoutInstructions;
};

struct RingStatistics {
  uint32_t packets;
  uint32_t drops;
};

Failure OpenAfPacket(const AfPacketRequest& request, int* fd, Interface* interface);
// Receives frames to any Ethernet address, not only the interface's own.
Failure SetPromiscuous(int fd);
// Unmaps the ring, leaving zeroed private memory in its place, and closes the socket.
void CloseAfPacket(int fd, uint8_t* ring, uint64_t ringBytes);
// What a transmit did.
struct Taken {
  uint32_t frames;
  uint32_t joined;  // of these: frames that left behind another's headers
};

// Whether a socket's super-frames get through. Kernels before 6.2 refuse them (EINVAL), and an interface that cannot take
// them apart drops them (ENOBUFS): then their frames are sent one by one, which works. After kInVainMax transmits of that
// kind in a row super-frames are left out, but for one transmit in kSkippedMax, as the interface may have been mended.
class Joining {
 public:
  bool Wants() {
    if (inVain_ < kInVainMax) return true;
    skipped_ = (skipped_ + 1) % kSkippedMax;
    return skipped_ == 0;
  }
  void NoteWorked() { inVain_ = 0; }
  void NoteInVain() {
    if (inVain_ < kInVainMax) inVain_++;
  }

 private:
  static constexpr uint32_t kInVainMax = 16;
  static constexpr uint32_t kSkippedMax = 1 << 16;
  uint32_t inVain_ = 0;
  uint32_t skipped_ = 0;
};

// Sends the rows whose verdict names the sender, frames of one group one after another, those that can be joined as one;
// says how many the kernel took. The verdict of the others becomes kRefused.
Taken TransmitAfPacket(int fd, uint8_t* base, Row* rows, uint32_t count, const Sender& sender, Joining* joining);
// PACKET_STATISTICS; the kernel resets them on each read.
Failure ReadStatistics(int fd, RingStatistics* out);

}  // namespace keysteer

#endif
