// What the kernel says of an interface, by its name.
#ifndef KEYSTEER_INTERFACE_H
#define KEYSTEER_INTERFACE_H

#include <cstdint>
#include <net/if.h>

#include "failure.h"

namespace keysteer {

struct Interface {
  char name[IFNAMSIZ] = {};
  int index = 0;
  int mtu = 0;
  uint8_t mac[6] = {};
  char driver[32] = {};  // as ethtool names it; empty where the device has none to tell
};

// An ifreq that names the interface; a longer name is cut, and then there is none of that name.
ifreq Named(const char* interface);
// `fd`: any socket of the network namespace.
Failure ReadInterface(int fd, const char* interface, Interface* out);
Failure ReadMtu(const char* interface, int* mtu);

}  // namespace keysteer

#endif
