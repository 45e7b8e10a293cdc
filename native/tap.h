// A queue of a TAP device, read and written frame by frame. No protocol words, no policy.
#ifndef KEYSTEER_TAP_H
#define KEYSTEER_TAP_H

#include <cstdint>

#include "batch.h"
#include "interface.h"

namespace keysteer {

struct TapRequest {
  const char* interface;   // a name, or a pattern with %d; made when there is none of that name
  bool persistent;         // what is made here outlives the process
  int64_t owner;           // user id that may open it without CAP_NET_ADMIN; −1: nobody
  uint32_t queueFrames;    // frames that wait for us in each queue of an interface made here
};

// Where received frames go: `slots` places of `slotBytes`, each with room for a virtio_net_hdr before the frame.
struct TapSlots {
  uint8_t* base;
  uint32_t offset;         // of the first slot's frame
  uint32_t slotBytes;
  uint32_t frameBytes;     // at most, of a received frame; a longer one is cut
};

// One more queue of the interface: of several lanes each opens its own. The interface is up afterwards.
Failure OpenTap(const TapRequest& request, int* fd, Interface* interface);
// Which queue a frame goes to: the eBPF program says (BPF_PROG_TYPE_SOCKET_FILTER, struct bpf_insn[], result modulo the
// number of queues). No program: the queue that last sent into the frame's flow.
Failure SteerTap(int fd, const void* program, uint32_t instructions);
// Fills rows 0… from the slots 0…; returns how many frames there were.
uint32_t ReceiveTap(int fd, const TapSlots& slots, Row* rows, uint32_t rowsMax);
// As TransmitAfPacket.
uint32_t TransmitTap(int fd, uint8_t* base, Row* rows, uint32_t count, const Sender& sender);

}  // namespace keysteer

#endif
