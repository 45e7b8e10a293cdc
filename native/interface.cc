#include "interface.h"

#include <cstring>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace keysteer {
namespace {

void ReadDriver(int fd, ifreq device, char* driver, size_t bytes) {
  ethtool_drvinfo information = {};
  information.cmd = ETHTOOL_GDRVINFO;
  device.ifr_data = reinterpret_cast<char*>(&information);
  if (ioctl(fd, SIOCETHTOOL, &device) == 0) memcpy(driver, information.driver, bytes - 1);
}

}  // namespace

ifreq Named(const char* interface) {
  ifreq device = {};
  strncpy(device.ifr_name, interface, IFNAMSIZ - 1);
  return device;
}

Failure ReadInterface(int fd, const char* interface, Interface* out) {
  ifreq device = Named(interface);
  memcpy(out->name, device.ifr_name, sizeof out->name);
  if (ioctl(fd, SIOCGIFHWADDR, &device) < 0) return Fail("ioctl(SIOCGIFHWADDR)");
  memcpy(out->mac, device.ifr_hwaddr.sa_data, sizeof out->mac);
  if (ioctl(fd, SIOCGIFMTU, &device) < 0) return Fail("ioctl(SIOCGIFMTU)");
  out->mtu = device.ifr_mtu;
  ReadDriver(fd, device, out->driver, sizeof out->driver);
  if (ioctl(fd, SIOCGIFINDEX, &device) < 0) return Fail("ioctl(SIOCGIFINDEX)");
  out->index = device.ifr_ifindex;
  return {};
}

Failure ReadMtu(const char* interface, int* mtu) {
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return Fail("socket(AF_UNIX)");
  ifreq device = Named(interface);
  const Failure failure = ioctl(fd, SIOCGIFMTU, &device) < 0 ? Fail("ioctl(SIOCGIFMTU)") : Failure{};
  *mtu = device.ifr_mtu;
  close(fd);
  return failure;
}

}  // namespace keysteer
