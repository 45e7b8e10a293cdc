// The Node-API face of the shim: open, close, transmit, wait, statistics, pin. Batch calls only.
//
// Memory is named by a typed array over the arena (its address is looked up once, on open) and by byte offsets into
// it. Sockets belong to the process, not to a thread: one thread opens them, lanes use them by number, and a lane that
// dies leaves its socket, its ring and its place in the fanout group as they were.

#include <napi.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "af_packet.h"
#include "tap.h"

namespace {

using keysteer::Failure;

constexpr uint32_t kPortsMax = 256;
constexpr uint32_t kWaitMax = 32;  // a bit each

struct OpenPort {
  int fd = -1;
  uint8_t* base = nullptr;
  uint8_t* ring = nullptr;  // AF_PACKET's; null: a TAP queue
  uint64_t ringBytes = 0;
  keysteer::Joining joining;  // AF_PACKET's
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

Napi::Value Opened(Napi::Env env, int handle, const keysteer::Interface& interface) {
  Napi::Object result = Napi::Object::New(env);
  Napi::Array mac = Napi::Array::New(env, sizeof interface.mac);
  for (uint32_t i = 0; i < sizeof interface.mac; i++) mac[i] = Napi::Number::New(env, interface.mac[i]);
  result.Set("handle", Napi::Number::New(env, handle));
  result.Set("name", Napi::String::New(env, interface.name));
  result.Set("mtu", Napi::Number::New(env, interface.mtu));
  result.Set("mac", mac);
  result.Set("driver", Napi::String::New(env, interface.driver));
  return result;
}

// openAfPacket({interface, arena, ringOffset, slotBytes, slots, blockBytes, reserveBytes, fanoutGroup, fanoutType,
// fanoutProgram}) → {handle, name, mtu, mac: [6 numbers], driver}
Napi::Value OpenAfPacket(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Object options = info[0].ToObject();
  size_t arenaBytes = 0, programBytes = 0;
  uint8_t* base = AddressOf(env, options.Get("arena"), &arenaBytes);
  uint8_t* program = AddressOf(env, options.Get("fanoutProgram"), &programBytes);
  const std::string name = options.Get("interface").ToString();
  keysteer::AfPacketRequest request = {};
  request.interface = name.c_str();
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
  int fd = -1;
  keysteer::Interface interface;
  Failure failure = keysteer::OpenAfPacket(request, &fd, &interface);
  if (failure.call) return Throw(env, failure);
  ports[handle] = {fd, base, request.ring, ringBytes, {}};
  return Opened(env, handle, interface);
}

// openTap({interface, arena, persistent, owner, queueFrames}) → {handle, name, mtu, mac, driver}
Napi::Value OpenTap(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Object options = info[0].ToObject();
  size_t arenaBytes = 0;
  uint8_t* base = AddressOf(env, options.Get("arena"), &arenaBytes);
  if (!base) return Throw(env, {"arena", EINVAL});
  const std::string name = options.Get("interface").ToString();
  keysteer::TapRequest request = {};
  request.interface = name.c_str();
  request.persistent = options.Get("persistent").ToBoolean();
  request.owner = options.Get("owner").ToNumber().Int64Value();
  request.queueFrames = Uint(options, "queueFrames");

  std::lock_guard<std::mutex> guard(portsLock);
  const int handle = FreeHandle();
  if (handle < 0) return Throw(env, {"port table", EMFILE});
  int fd = -1;
  keysteer::Interface interface;
  Failure failure = keysteer::OpenTap(request, &fd, &interface);
  if (failure.call) return Throw(env, failure);
  ports[handle] = {fd, base, nullptr, 0, {}};
  return Opened(env, handle, interface);
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
  if (port->ring) keysteer::CloseAfPacket(port->fd, port->ring, port->ringBytes);
  else close(port->fd);
  *port = OpenPort();
}

// interfaceMtu(name) → bytes
Napi::Value InterfaceMtu(const Napi::CallbackInfo& info) {
  const std::string name = info[0].ToString();
  int mtu = 0;
  Failure failure = keysteer::ReadMtu(name.c_str(), &mtu);
  return failure.call ? Throw(info.Env(), failure) : Napi::Number::New(info.Env(), mtu);
}

// setPromiscuous(handle): until the handle is closed
Napi::Value SetPromiscuous(const Napi::CallbackInfo& info) {
  OpenPort* port = PortOf(info);
  if (!port) return info.Env().Undefined();
  Failure failure = keysteer::SetPromiscuous(port->fd);
  return failure.call ? Throw(info.Env(), failure) : info.Env().Undefined();
}

// steerTap(handle, program): struct bpf_insn[] as bytes; empty: by flow
Napi::Value SteerTap(const Napi::CallbackInfo& info) {
  OpenPort* port = PortOf(info);
  if (!port) return info.Env().Undefined();
  size_t bytes = 0;
  const uint8_t* program = AddressOf(info.Env(), info[1], &bytes);
  Failure failure = keysteer::SteerTap(port->fd, program, static_cast<uint32_t>(bytes / 8));
  return failure.call ? Throw(info.Env(), failure) : info.Env().Undefined();
}

keysteer::Row* RowsOf(const Napi::CallbackInfo& info, const OpenPort* port) {
  return reinterpret_cast<keysteer::Row*>(port->base + info[1].As<Napi::Number>().Uint32Value());
}

// transmit(handle, batchByteOffset, rows, id, frameBytesMax, vlan, joins) → bits 0–15: frames taken; from bit 16 on: how
// many of them left behind another's headers
Napi::Value Transmit(const Napi::CallbackInfo& info) {
  OpenPort* port = PortOf(info);
  if (!port) return info.Env().Undefined();
  const uint32_t count = info[2].As<Napi::Number>().Uint32Value();
  const keysteer::Sender sender = {info[3].As<Napi::Number>().Int32Value(), info[4].As<Napi::Number>().Uint32Value(),
                                   static_cast<uint16_t>(info[5].As<Napi::Number>().Uint32Value()),
                                   info[6].As<Napi::Number>().Uint32Value() != 0};
  keysteer::Row* rows = RowsOf(info, port);
  if (!port->ring) return Napi::Number::New(info.Env(), keysteer::TransmitTap(port->fd, port->base, rows, count, sender));
  const keysteer::Taken taken =
      keysteer::TransmitAfPacket(port->fd, port->base, rows, count, sender, &port->joining);
  return Napi::Number::New(info.Env(), taken.frames | taken.joined << 16);
}

// receive(handle, batchByteOffset, rowsMax, frameByteOffset, slotBytes, frameBytes) → rows; a TAP's alone
Napi::Value Receive(const Napi::CallbackInfo& info) {
  OpenPort* port = PortOf(info);
  if (!port) return info.Env().Undefined();
  if (port->ring) return Throw(info.Env(), {"receive", EOPNOTSUPP});
  const uint32_t rowsMax = info[2].As<Napi::Number>().Uint32Value();
  const keysteer::TapSlots slots = {port->base, info[3].As<Napi::Number>().Uint32Value(),
                                    info[4].As<Napi::Number>().Uint32Value(),
                                    info[5].As<Napi::Number>().Uint32Value()};
  return Napi::Number::New(info.Env(), keysteer::ReceiveTap(port->fd, slots, RowsOf(info, port), rowsMax));
}

// A pending error (the interface went down) would end every wait at once, for ever. False: not a socket's error.
bool TakeError(int fd) {
  int error = 0;
  socklen_t length = sizeof error;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0;
}

// Bit i: descriptor i is readable. A TAP device that was deleted is in error for good: it is left out from then on.
uint32_t Poll(pollfd* descriptors, uint32_t count, int64_t microseconds, bool* lost) {
  const timespec timeout = {microseconds / 1000000, (microseconds % 1000000) * 1000};
  if (ppoll(descriptors, count, &timeout, nullptr) <= 0) return 0;
  uint32_t ready = 0;
  for (uint32_t i = 0; i < count; i++) {
    if (descriptors[i].revents & POLLIN) ready |= 1u << i;
    if (!(descriptors[i].revents & POLLERR) || TakeError(descriptors[i].fd)) continue;
    descriptors[i].fd = -1;
    *lost = true;
  }
  return ready;
}

// wait(handles: Int32Array, count, timeoutMicroseconds) → bit i set: handles[i] is readable
Napi::Value Wait(const Napi::CallbackInfo& info) {
  size_t length = 0;
  const auto* handles = reinterpret_cast<const int32_t*>(AddressOf(info.Env(), info[0], &length));
  const uint32_t count = std::min(info[1].As<Napi::Number>().Uint32Value(), kWaitMax);
  const int64_t microseconds = info[2].As<Napi::Number>().Int64Value();
  pollfd descriptors[kWaitMax] = {};
  for (uint32_t i = 0; i < count; i++) descriptors[i] = {ports[handles[i]].fd, POLLIN, 0};
  bool lost = false;
  uint32_t ready = Poll(descriptors, count, microseconds, &lost);
  if (ready == 0 && lost) ready = Poll(descriptors, count, microseconds, &lost);
  return Napi::Number::New(info.Env(), ready);
}

// statistics(handle, out: Int32Array[2]): packets and drops since the last call
Napi::Value Statistics(const Napi::CallbackInfo& info) {
  OpenPort* port = PortOf(info);
  if (!port) return info.Env().Undefined();
  if (!port->ring) return Throw(info.Env(), {"statistics", EOPNOTSUPP});
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
  exports.Set("openTap", Napi::Function::New(env, OpenTap));
  exports.Set("steerTap", Napi::Function::New(env, SteerTap));
  exports.Set("setPromiscuous", Napi::Function::New(env, SetPromiscuous));
  exports.Set("close", Napi::Function::New(env, Close));
  exports.Set("receive", Napi::Function::New(env, Receive));
  exports.Set("transmit", Napi::Function::New(env, Transmit));
  exports.Set("wait", Napi::Function::New(env, Wait));
  exports.Set("statistics", Napi::Function::New(env, Statistics));
  exports.Set("yieldThread", Napi::Function::New(env, YieldThread));
  exports.Set("pinThread", Napi::Function::New(env, PinThread));
  return exports;
}

}  // namespace

NODE_API_MODULE(keysteer, Initialise)
