#include "af_packet.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <linux/ethtool.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
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
constexpr uint16_t kUdpChecksumOffset = 6;
constexpr uint8_t kNeedsChecksum = 1;

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

Failure Fail(const char* call) { return {call, errno}; }

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

void ReadDriver(int fd, ifreq device, char* driver, size_t bytes) {
  ethtool_drvinfo information = {};
  information.cmd = ETHTOOL_GDRVINFO;
  device.ifr_data = reinterpret_cast<char*>(&information);
  if (ioctl(fd, SIOCETHTOOL, &device) == 0) memcpy(driver, information.driver, bytes - 1);
}

Failure Bind(int fd, const AfPacketRequest& request, AfPacketSocket* out) {
  ifreq device = {};
  strncpy(device.ifr_name, request.interface, IFNAMSIZ - 1);
  if (ioctl(fd, SIOCGIFHWADDR, &device) < 0) return Fail("ioctl(SIOCGIFHWADDR)");
  memcpy(out->mac, device.ifr_hwaddr.sa_data, sizeof out->mac);
  if (ioctl(fd, SIOCGIFMTU, &device) < 0) return Fail("ioctl(SIOCGIFMTU)");
  out->mtu = device.ifr_mtu;
  ReadDriver(fd, device, out->driver, sizeof out->driver);
  if (ioctl(fd, SIOCGIFINDEX, &device) < 0) return Fail("ioctl(SIOCGIFINDEX)");
  sockaddr_ll address = {};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = device.ifr_ifindex;
  return bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0 ? Fail("bind") : Failure{};
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

// The kernel wants a virtio_net_hdr before each frame; it goes into the frame's headroom.
uint8_t* PutHeader(uint8_t* frame, int32_t flags) {
  VirtioNetHeader header = {};
  if (flags & kFlagPartialChecksum) {
    header.flags = kNeedsChecksum;
    header.checksumStart = static_cast<uint16_t>((flags >> 8) & 0xff);
    header.checksumOffset = kUdpChecksumOffset;
  }
  return static_cast<uint8_t*>(memcpy(frame - sizeof header, &header, sizeof header));
}

}  // namespace

Failure OpenAfPacket(const AfPacketRequest& request, AfPacketSocket* out) {
  // Protocol 0: nothing is received before bind, so the ring never holds another interface's frames.
  const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (fd < 0) return Fail("socket(AF_PACKET)");
  Failure failure = Configure(fd, request);
  if (!failure.call) failure = MapRing(fd, request);
  if (!failure.call) failure = Bind(fd, request, out);
  if (!failure.call) failure = JoinFanout(fd, request);
  if (failure.call) {
    CloseAfPacket(fd, request.ring, static_cast<uint64_t>(request.slots) * request.slotBytes);
    return failure;
  }
  out->fd = fd;
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

uint32_t Transmit(int fd, uint8_t* base, Row* rows, uint32_t count, int32_t id) {
  mmsghdr messages[kTransmitRowsMax];
  iovec vectors[kTransmitRowsMax];
  uint16_t order[kTransmitRowsMax];
  const uint32_t queued = Arrange(rows, count, id, order);
  for (uint32_t i = 0; i < queued; i++) {
    const Row& row = rows[order[i]];
    vectors[i].iov_base = PutHeader(base + row.offset, row.flags);
    vectors[i].iov_len = static_cast<size_t>(row.length) + sizeof(VirtioNetHeader);
    messages[i] = {};
    messages[i].msg_hdr.msg_iov = &vectors[i];
    messages[i].msg_hdr.msg_iovlen = 1;
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
