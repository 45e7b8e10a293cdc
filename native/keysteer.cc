// The Node-API face of the shim: open, close, transmit, wait, statistics, pin. Batch calls only.
//
// Memory is named by a typed array over the arena (its address is looked up once, on open) and by byte offsets into
// it. Sockets belong to the process, not to a thread: one thread opens them, lanes use them by number, and a lane that
// dies leaves its socket, its ring and its place in the fanout group as they were.

#include <napi.h>

#include <cerrno>
#include <cstring>
#include <mutex>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#include "af_packet.h"

namespace {

using keysteer::Failure;

constexpr uint32_t kPortsMax = 256;
constexpr uint32_t kWaitMax = 64;

struct OpenPort {
  int fd = -1;
  uint8_t* base = nullptr;
  uint8_t* ring = nullptr;
  uint64_t ringBytes = 0;
};

OpenPort ports[kPortsMax];
std::mutex portsLock;  // open and close only; a handle is used by one lane

Napi::Value Throw(Napi::Env env, const Failure& failure) {
  Napi::Error error = Napi::Error::New(env, std::string(failure.call) + ": " + strerror(failure.error));
  error.Set("errno", Napi::Number::New(env, failure.error));
  error.Set("syscall", Napi::String::New(env, failure.call));
  error.ThrowAsJavaScriptException();
  return env.Undefined();
}

uint32_t Uint(const Napi::Object& object, const char* name) { return object.Get(name).ToNumber().Uint32Value(); }
int Int(const Napi::Object& object, const char* name) { return object.Get(name).ToNumber().Int32Value(); }

// A plain N-API read: arena views may lie over a SharedArrayBuffer, which ArrayBuffer() of the C++ wrapper refuses.
uint8_t* AddressOf(Napi::Env env, Napi::Value typedArray, size_t* byteLength) {
  napi_typedarray_type type;
  void* data = nullptr;
  if (napi_get_typedarray_info(env, typedArray, &type, byteLength, &data, nullptr, nullptr) != napi_ok) return nullptr;
  return static_cast<uint8_t*>(data);
}

int FreeHandle() {
  for (uint32_t handle = 0; handle < kPortsMax; handle++) {
    if (ports[handle].fd < 0) return static_cast<int>(handle);
  }
  return -1;
}

// openAfPacket({interface, arena, ringOffset, slotBytes, slots, blockBytes, reserveBytes, fanoutGroup, fanoutType,
// fanoutProgram}) → {handle, mtu, mac: [6 numbers], driver}
Napi::Value OpenAfPacket(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Object options = info[0].ToObject();
  size_t arenaBytes = 0, programBytes = 0;
  uint8_t* base = AddressOf(env, options.Get("arena"), &arenaBytes);
  uint8_t* program = AddressOf(env, options.Get("fanoutProgram"), &programBytes);
  std::string interface = options.Get("interface").ToString();
  keysteer::AfPacketRequest request = {};
  request.interface = interface.c_str();
  request.slotBytes = Uint(options, "slotBytes");
  request.slots = Uint(options, "slots");
  request.blockBytes = Uint(options, "blockBytes");
  request.reserveBytes = Uint(options, "reserveBytes");
  request.fanoutGroup = Int(options, "fanoutGroup");
  request.fanoutType = Int(options, "fanoutType");
  request.fanoutProgram = programBytes ? program : nullptr;
  request.fanoutInstructions = static_cast<uint32_t>(programBytes / 8);
  const uint64_t ringOffset = Uint(options, "ringOffset");
  const uint64_t ringBytes = static_cast<uint64_t>(request.slots) * request.slotBytes;
  if (!base || ringOffset + ringBytes > arenaBytes) return Throw(env, {"ring outside the arena", EINVAL});
  request.ring = base + ringOffset;

  std::lock_guard<std::mutex> guard(portsLock);
  const int handle = FreeHandle();
  if (handle < 0) return Throw(env, {"port table", EMFILE});
  keysteer::AfPacketSocket socket;
  Failure failure = keysteer::OpenAfPacket(request, &socket);
  if (failure.call) return Throw(env, failure);
  ports[handle] = {socket.fd, base, request.ring, ringBytes};

  Napi::Object result = Napi::Object::New(env);
  Napi::Array mac = Napi::Array::New(env, sizeof socket.mac);
  for (uint32_t i = 0; i < sizeof socket.mac; i++) mac[i] = Napi::Number::New(env, socket.mac[i]);
  result.Set("handle", Napi::Number::New(env, handle));
  result.Set("mtu", Napi::Number::New(env, socket.mtu));
  result.Set("mac", mac);
  result.Set("driver", Napi::String::New(env, socket.driver));
  return result;
}

OpenPort* PortOf(const Napi::CallbackInfo& info) {
  const uint32_t handle = info[0].As<Napi::Number>().Uint32Value();
  if (handle < kPortsMax && ports[handle].fd >= 0) return &ports[handle];
  Throw(info.Env(), {"port handle", EBADF});
  return nullptr;
}

// close(handle)
void Close(const Napi::CallbackInfo& info) {
  std::lock_guard<std::mutex> guard(portsLock);
  OpenPort* port = PortOf(info);
  if (!port) return;
  keysteer::CloseAfPacket(port->fd, port->ring, port->ringBytes);
  *port = OpenPort();
}

// interfaceMtu(name) → bytes
Napi::Value InterfaceMtu(const Napi::CallbackInfo& info) {
  const std::string interface = info[0].ToString();
  int mtu = 0;
  Failure failure = keysteer::ReadMtu(interface.c_str(), &mtu);
  return failure.call ? Throw(info.Env(), failure) : Napi::Number::New(info.Env(), mtu);
}

// setPromiscuous(handle): until the handle is closed
Napi::Value SetPromiscuous(const Napi::CallbackInfo& info) {
  OpenPort* port = PortOf(info);
  if (!port) return info.Env().Undefined();
  Failure failure = keysteer::SetPromiscuous(port->fd);
  return failure.call ? Throw(info.Env(), failure) : info.Env().Undefined();
}

// transmit(handle, batchByteOffset, rows, verdict) → frames taken
Napi::Value Transmit(const Napi::CallbackInfo& info) {
  OpenPort* port = PortOf(info);
  if (!port) return info.Env().Undefined();
  auto* rows = reinterpret_cast<keysteer::Row*>(port->base + info[1].As<Napi::Number>().Uint32Value());
  const uint32_t count = info[2].As<Napi::Number>().Uint32Value();
  const int32_t id = info[3].As<Napi::Number>().Int32Value();
  return Napi::Number::New(info.Env(), keysteer::Transmit(port->fd, port->base, rows, count, id));
}

// A pending error (the interface went down) would end every wait at once, for ever.
void TakeError(int fd) {
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
}

// wait(handles: Int32Array, count, timeoutMicroseconds) → bit i set: handles[i] is readable
Napi::Value Wait(const Napi::CallbackInfo& info) {
  size_t length = 0;
  const auto* handles = reinterpret_cast<const int32_t*>(AddressOf(info.Env(), info[0], &length));
  const uint32_t count = info[1].As<Napi::Number>().Uint32Value();
  const int64_t microseconds = info[2].As<Napi::Number>().Int64Value();
  pollfd descriptors[kWaitMax] = {};
  for (uint32_t i = 0; i < count && i < kWaitMax; i++) descriptors[i] = {ports[handles[i]].fd, POLLIN, 0};
  timespec timeout = {microseconds / 1000000, (microseconds % 1000000) * 1000};
  ppoll(descriptors, count, &timeout, nullptr);
  uint32_t ready = 0;
  for (uint32_t i = 0; i < count && i < 32; i++) {
    ready |= descriptors[i].revents & POLLIN ? 1u << i : 0;
    if (descriptors[i].revents & POLLERR) TakeError(descriptors[i].fd);
  }
  return Napi::Number::New(info.Env(), ready);
}

// statistics(handle, out: Int32Array[2]): packets and drops since the last call
Napi::Value Statistics(const Napi::CallbackInfo& info) {
  OpenPort* port = PortOf(info);
  if (!port) return info.Env().Undefined();
  keysteer::RingStatistics statistics = {};
  Failure failure = keysteer::ReadStatistics(port->fd, &statistics);
  if (failure.call) return Throw(info.Env(), failure);
  size_t length = 0;
  auto* out = reinterpret_cast<int32_t*>(AddressOf(info.Env(), info[1], &length));
  if (!out || length < 2) return Throw(info.Env(), {"statistics array", EINVAL});
  out[0] = static_cast<int32_t>(statistics.packets);
  out[1] = static_cast<int32_t>(statistics.drops);
  return info.Env().Undefined();
}

// yieldThread(): lets others run on this CPU first
void YieldThread(const Napi::CallbackInfo&) { sched_yield(); }

// pinThread(cpu): the calling thread runs on that CPU only
Napi::Value PinThread(const Napi::CallbackInfo& info) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(info[0].ToNumber().Uint32Value() % CPU_SETSIZE, &set);
  if (sched_setaffinity(0, sizeof set, &set) < 0) return Throw(info.Env(), {"sched_setaffinity", errno});
  return info.Env().Undefined();
}

Napi::Object Initialise(Napi::Env env, Napi::Object exports) {
  exports.Set("openAfPacket", Napi::Function::New(env, OpenAfPacket));
  exports.Set("interfaceMtu", Napi::Function::New(env, InterfaceMtu));
  exports.Set("setPromiscuous", Napi::Function::New(env, SetPromiscuous));
  exports.Set("close", Napi::Function::New(env, Close));
  exports.Set("transmit", Napi::Function::New(env, Transmit));
  exports.Set("wait", Napi::Function::New(env, Wait));
  exports.Set("statistics", Napi::Function::New(env, Statistics));
  exports.Set("yieldThread", Napi::Function::New(env, YieldThread));
  exports.Set("pinThread", Napi::Function::New(env, PinThread));
  return exports;
}

}  // namespace

NODE_API_MODULE(keysteer, Initialise)
