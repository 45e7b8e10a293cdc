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

uint32_t TransmitAfPacket(int fd, uint8_t* base, Row* rows, uint32_t count, const Sender& sender) {
  mmsghdr messages[kTransmitRowsMax];
  Dressed frames[kTransmitRowsMax];
  uint16_t order[kTransmitRowsMax];
  const uint32_t queued = Arrange(rows, count, sender, order);
  for (uint32_t i = 0; i < queued; i++) {
    Dress(base, rows[order[i]], sender, &frames[i]);
    messages[i] = {};
    messages[i].msg_hdr.msg_iov = frames[i].parts;
    messages[i].msg_hdr.msg_iovlen = frames[i].count;
  }
  uint32_t taken = 0;
  for (uint32_t next = 0; next < queued;) {
    const int sent = sendmmsg(fd, messages + next, queued - next, MSG_DONTWAIT);
    if (sent > 0) {
      taken += static_cast<uint32_t>(sent);
      next += static_cast<uint32_t>(sent);
    } else if (errno != EINTR) {
      rows[order[next++]].verdict = kRefused;  // freed by its receiver; the rest still get their chance
    }
  }
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
