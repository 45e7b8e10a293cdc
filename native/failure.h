// What went wrong: the call, its errno. `call` is null on success.
#ifndef KEYSTEER_FAILURE_H
#define KEYSTEER_FAILURE_H

#include <cerrno>

namespace keysteer {

struct Failure {
  const char* call = nullptr;
  int error = 0;
};

inline Failure Fail(const char* call) { return {call, errno}; }

}  // namespace keysteer

#endif
