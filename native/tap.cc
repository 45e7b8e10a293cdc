#include "tap.h"

#include <cstring>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace keysteer {
namespace {

constexpr short kFlags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;

Failure Attach(int fd, const char* interface, bool exists, ifreq* device) {
  *device = Named(interface);
  device->ifr_flags = kFlags | IFF_MULTI_QUEUE;
  if (ioctl(fd, TUNSETIFF, device) == 0) return {};
  // An interface of a single queue, made by others, serves a single lane.
  if (errno != EINVAL || !exists) return Fail("ioctl(TUNSETIFF)");
  *device = Named(interface);
  device->ifr_flags = kFlags;
  return ioctl(fd, TUNSETIFF, device) < 0 ? Fail("ioctl(TUNSETIFF)") : Failure{};
}

// Checksums may be partial, which spares a sum over every frame; no frame may be larger than the MTU.
Failure SetOffloads(int fd) {
  const int headerBytes = sizeof(VirtioNetHeader);
  if (ioctl(fd, TUNSETVNETHDRSZ, &headerBytes) < 0) return Fail("ioctl(TUNSETVNETHDRSZ)");
  return ioctl(fd, TUNSETOFFLOAD, static_cast<unsigned long>(TUN_F_CSUM)) < 0 ? Fail("ioctl(TUNSETOFFLOAD)") : Failure{};
}

Failure BringUp(int control, ifreq device) {
  if (ioctl(control, SIOCGIFFLAGS, &device) < 0) return Fail("ioctl(SIOCGIFFLAGS)");
  if (device.ifr_flags & IFF_UP) return {};
  device.ifr_flags |= IFF_UP;
  return ioctl(control, SIOCSIFFLAGS, &device) < 0 ? Fail("ioctl(SIOCSIFFLAGS)") : Failure{};
}

// What only the maker of the interface decides.
Failure Found(int fd, int control, const TapRequest& request, ifreq device) {
  device.ifr_qlen = static_cast<int>(request.queueFrames);
  if (ioctl(control, SIOCSIFTXQLEN, &device) < 0) return Fail("ioctl(SIOCSIFTXQLEN)");
  if (request.owner >= 0 && ioctl(fd, TUNSETOWNER, static_cast<unsigned long>(request.owner)) < 0) {
    return Fail("ioctl(TUNSETOWNER)");
  }
  return request.persistent && ioctl(fd, TUNSETPERSIST, 1UL) < 0 ? Fail("ioctl(TUNSETPERSIST)") : Failure{};
}

Failure Prepare(int fd, int control, const TapRequest& request, Interface* interface) {
  const bool exists = if_nametoindex(request.interface) != 0;
  ifreq device;
  Failure failure = Attach(fd, request.interface, exists, &device);
  if (!failure.call) failure = SetOffloads(fd);
  if (!failure.call) failure = ReadInterface(control, device.ifr_name, interface);
  if (!failure.call && !exists) failure = Found(fd, control, request, Named(device.ifr_name));
  if (!failure.call) failure = BringUp(control, Named(device.ifr_name));
  return failure;
}

int LoadProgram(const void* program, uint32_t instructions) {
  bpf_attr attributes = {};
  attributes.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
  attributes.insns = reinterpret_cast<uint64_t>(program);
  attributes.insn_cnt = instructions;
  attributes.license = reinterpret_cast<uint64_t>("MIT");
  return static_cast<int>(syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes));
}

}  // namespace

Failure OpenTap(const TapRequest& request, int* opened, Interface* interface) {
  const int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return Fail("open(/dev/net/tun)");
  const int control = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const Failure failure = control < 0 ? Fail("socket(AF_UNIX)") : Prepare(fd, control, request, interface);
  if (control >= 0) close(control);
  if (failure.call) close(fd);
  else *opened = fd;
  return failure;
}

Failure SteerTap(int fd, const void* program, uint32_t instructions) {
  const int none = -1;
  const int loaded = instructions ? LoadProgram(program, instructions) : none;
  if (instructions && loaded < 0) return Fail("bpf(BPF_PROG_LOAD)");
  const Failure failure = ioctl(fd, TUNSETSTEERINGEBPF, &loaded) < 0 ? Fail("ioctl(TUNSETSTEERINGEBPF)") : Failure{};
  if (loaded >= 0) close(loaded);  // the interface holds it
  return failure;
}

uint32_t ReceiveTap(int fd, const TapSlots& slots, Row* rows, uint32_t rowsMax) {
  constexpr ssize_t kHeaderBytes = sizeof(VirtioNetHeader);
  uint32_t filled = 0;
  while (filled < rowsMax) {
    const uint32_t offset = slots.offset + filled * slots.slotBytes;
    const ssize_t bytes = read(fd, slots.base + offset - kHeaderBytes, kHeaderBytes + slots.frameBytes);
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < kHeaderBytes) break;
    rows[filled++] = {static_cast<int32_t>(offset), static_cast<int32_t>(bytes - kHeaderBytes), 0, kDrop};
  }
  return filled;
}

uint32_t TransmitTap(int fd, uint8_t* base, Row* rows, uint32_t count, const Sender& sender) {
  uint16_t order[kTransmitRowsMax];
  const uint32_t queued = Arrange(rows, count, sender, order);
  uint32_t taken = 0;
  for (uint32_t i = 0; i < queued; i++) {
    Row& row = rows[order[i]];
    uint8_t head[kHeadBytes];
    iovec parts[2];
    const uint32_t used = Dress(base, row, sender, head, parts);
    ssize_t written;
    do written = writev(fd, parts, static_cast<int>(used));
    while (written < 0 && errno == EINTR);
    if (written < 0) row.verdict = kRefused;
    else taken++;
  }
  return taken;
}

}  // namespace keysteer
