#include "af_packet.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

namespace keysteer {
namespace {

// Asked for, not demanded: the kernel caps it at net.core.wmem_max.
constexpr int kSendBufferBytes = 4 << 20;

Failure SetOption(int fd, int option, int value, const char* call) {
  return setsockopt(fd, SOL_PACKET, option, &value, sizeof value) < 0 ? Fail(call) : Failure{};
}

Failure Configure(int fd, const AfPacketRequest& request) {
  const struct {
    int option, value;
    const char* call;
  } options[] = {
      {PACKET_VERSION, TPACKET_V2, "setsockopt(PACKET_VERSION)"},
      {PACKET_VNET_HDR, 1, "setsockopt(PACKET_VNET_HDR)"},
      {PACKET_RESERVE, static_cast<int>(request.reserveBytes), "setsockopt(PACKET_RESERVE)"},
      {PACKET_IGNORE_OUTGOING, 1, "setsockopt(PACKET_IGNORE_OUTGOING)"},
      {PACKET_QDISC_BYPASS, 1, "setsockopt(PACKET_QDISC_BYPASS)"},
  };
  for (const auto& entry : options) {
    Failure failure = SetOption(fd, entry.option, entry.value, entry.call);
    if (failure.call) return failure;
  }
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kSendBufferBytes, sizeof kSendBufferBytes);
  return {};
}

Failure MapRing(int fd, const AfPacketRequest& request) {
  tpacket_req ring = {};
  ring.tp_block_size = request.blockBytes;
  ring.tp_block_nr = request.slots / (request.blockBytes / request.slotBytes);
  ring.tp_frame_size = request.slotBytes;
  ring.tp_frame_nr = request.slots;
  if (setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof ring) < 0) return Fail("setsockopt(PACKET_RX_RING)");
  const size_t bytes = static_cast<size_t>(request.slots) * request.slotBytes;
  void* mapped =
      mmap(request.ring, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd, 0);
  return mapped == MAP_FAILED ? Fail("mmap") : Failure{};
}

Failure Bind(int fd, int interface) {
  sockaddr_ll address = {};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = interface;
  return bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0 ? Fail("bind") : Failure{};
}

// Between bind and the join a member-to-be hears what the group's members hear, too: it would answer a second time.
// Joining first is no way out, as kernels before 6.13 let only bound sockets join.
Failure Deafen(int fd, const AfPacketRequest& request) {
  if (request.fanoutGroup < 0) return {};
  sock_filter none = {BPF_RET | BPF_K, 0, 0, 0};
  const sock_fprog program = {1, &none};
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0 ? Fail("setsockopt(SO_ATTACH_FILTER)")
                                                                                    : Failure{};
}

Failure Undeafen(int fd, const AfPacketRequest& request) {
  if (request.fanoutGroup < 0) return {};
  const int unused = 0;
  return setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof unused) < 0 ? Fail("setsockopt(SO_DETACH_FILTER)")
                                                                                  : Failure{};
}

Failure JoinFanout(int fd, const AfPacketRequest& request) {
  if (request.fanoutGroup < 0) return {};
  const int group = (request.fanoutGroup & 0xffff) | (request.fanoutType << 16);
  Failure failure = SetOption(fd, PACKET_FANOUT, group, "setsockopt(PACKET_FANOUT)");
  if (failure.call || !request.fanoutProgram) return failure;
  sock_fprog program = {};
  program.len = static_cast<unsigned short>(request.fanoutInstructions);
  program.filter = static_cast<sock_filter*>(const_cast<void*>(request.fanoutProgram));
  return setsockopt(fd, SOL_PACKET, PACKET_FANOUT_DATA, &program, sizeof program) < 0
             ? Fail("setsockopt(PACKET_FANOUT_DATA)")
             : Failure{};
}

bool SendOne(int fd, uint8_t* base, const Row& row, const Sender& sender) {
  uint8_t head[kHeadBytes];
  iovec parts[2];
  msghdr message = {};
  message.msg_iov = parts;
  message.msg_iovlen = Dress(base, row, sender, head, parts);
  ssize_t sent;
  do sent = sendmsg(fd, &message, MSG_DONTWAIT);
  while (sent < 0 && errno == EINTR);
  return sent >= 0;
}

// The rows of a message that the kernel would not take, each for itself, if they were several. Those that it does not take
// then either are refused, to be freed by their receiver. Returns how many were taken.
uint32_t SendApart(int fd, uint8_t* base, Row* rows, const uint16_t* order, uint32_t count, const Sender& sender) {
  uint32_t taken = 0;
  for (uint32_t i = 0; i < count; i++) {
    Row& row = rows[order[i]];
    if (count > 1 && SendOne(fd, base, row, sender)) taken++;
    else row.verdict = kRefused;
  }
  return taken;
}

}  // namespace

Failure OpenAfPacket(const AfPacketRequest& request, int* opened, Interface* interface) {
  // Protocol 0: nothing is received before bind, so the ring never holds another interface's frames.
  const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (fd < 0) return Fail("socket(AF_PACKET)");
  Failure failure = Configure(fd, request);
  if (!failure.call) failure = MapRing(fd, request);
  if (!failure.call) failure = ReadInterface(fd, request.interface, interface);
  if (!failure.call) failure = Deafen(fd, request);
  if (!failure.call) failure = Bind(fd, interface->index);
  if (!failure.call) failure = JoinFanout(fd, request);
  if (!failure.call) failure = Undeafen(fd, request);
  if (failure.call) {
    CloseAfPacket(fd, request.ring, static_cast<uint64_t>(request.slots) * request.slotBytes);
    return failure;
  }
  *opened = fd;
  return {};
}

Failure SetPromiscuous(int fd) {
  sockaddr_ll address = {};
  socklen_t length = sizeof address;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) < 0) return Fail("getsockname");
  packet_mreq membership = {};
  membership.mr_ifindex = address.sll_ifindex;
  membership.mr_type = PACKET_MR_PROMISC;
  return setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &membership, sizeof membership) < 0
             ? Fail("setsockopt(PACKET_ADD_MEMBERSHIP)")
             : Failure{};
}

void CloseAfPacket(int fd, uint8_t* ring, uint64_t ringBytes) {
  mmap(ring, ringBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  close(fd);
}

Taken TransmitAfPacket(int fd, uint8_t* base, Row* rows, uint32_t count, const Sender& sender, Joining* joining) {
  const Sender asked = {sender.id, sender.frameBytesMax, sender.vlan, sender.joins && joining->Wants()};
  mmsghdr messages[kTransmitRowsMax];
  uint8_t heads[kTransmitRowsMax][kHeadBytes];
  iovec parts[2 * kTransmitRowsMax];
  uint16_t order[kTransmitRowsMax];
  uint16_t firsts[kTransmitRowsMax + 1];  // of each message: position in `order` of its first row
  const uint32_t queued = Arrange(rows, count, asked, order);
  uint32_t filled = 0, ready = 0;
  for (uint32_t at = 0; at < queued; ready++) {
    const uint32_t alike = JoinableRows(base, rows, order + at, queued - at, asked);
    iovec* own = parts + filled;
    const uint32_t used = alike > 1 ? Join(base, rows, order + at, alike, heads[ready], own)
                                    : Dress(base, rows[order[at]], asked, heads[ready], own);
    messages[ready] = {};
    messages[ready].msg_hdr.msg_iov = own;
    messages[ready].msg_hdr.msg_iovlen = used;
    firsts[ready] = static_cast<uint16_t>(at);
    filled += used;
    at += alike;
  }
  firsts[ready] = static_cast<uint16_t>(queued);
  Taken taken = {};
  bool isInVain = false;
  for (uint32_t next = 0; next < ready;) {
    const int sent = sendmmsg(fd, messages + next, ready - next, MSG_DONTWAIT);
    if (sent > 0) {
      const uint32_t end = next + static_cast<uint32_t>(sent);
      const uint32_t frames = static_cast<uint32_t>(firsts[end] - firsts[next]);
      taken.frames += frames;
      taken.joined += frames - static_cast<uint32_t>(sent);
      next = end;
    } else if (errno != EINTR) {
      const int error = errno;
      const uint32_t frames = static_cast<uint32_t>(firsts[next + 1] - firsts[next]);
      const uint32_t apart = SendApart(fd, base, rows, order + firsts[next], frames, asked);
      taken.frames += apart;
      // A full queue refuses, too, but hardly takes all of them a moment later.
      isInVain |= (error == EINVAL || error == ENOBUFS) && frames > 1 && apart == frames;
      next++;
    }
  }
  if (taken.joined > 0) joining->NoteWorked();
  else if (isInVain) joining->NoteInVain();
  return taken;
}

Failure ReadStatistics(int fd, RingStatistics* out) {
  tpacket_stats statistics = {};
  socklen_t length = sizeof statistics;
  if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &statistics, &length) < 0) return Fail("getsockopt(PACKET_STATISTICS)");
  out->packets = statistics.tp_packets;
  out->drops = statistics.tp_drops;
  return {};
}

}  // namespace keysteer
