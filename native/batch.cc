#include "batch.h"

#include <cstring>

namespace keysteer {
namespace {

constexpr int32_t kPortBits = static_cast<int32_t>(0x800000ff);  // the sign too: DROP and REFUSED are no port's
constexpr int kGroupShift = 8;
constexpr uint32_t kGroupPlaces = 2048;
constexpr uint16_t kNone = 0xffff;
constexpr uint8_t kNeedsChecksum = 1;
constexpr uint16_t kUdpChecksumOffset = 6;
constexpr int32_t kEthernetBytes = 14;
constexpr size_t kAddressBytes = 12;
constexpr size_t kTagBytes = 4;
constexpr uint16_t kPriorityBits = 0xf000;  // PCP and DEI (IEEE 802.1Q 9.6)

// Last row so far of each group, plus 1; all 0 between calls, so that a call touches only the groups it sees.
thread_local uint16_t lastRows[kGroupPlaces];

bool IsSendable(const Row& row, const Sender& sender) {
  return row.length >= kEthernetBytes && static_cast<uint32_t>(row.length) <= sender.frameBytesMax;
}

uint32_t GroupOf(const Row& row) { return (static_cast<uint32_t>(row.verdict) >> kGroupShift) % kGroupPlaces; }

VirtioNetHeader HeaderOf(const Row& row, size_t shiftBytes) {
  VirtioNetHeader header = {};
  if (!(row.flags & kFlagPartialChecksum)) return header;
  header.flags = kNeedsChecksum;
  header.checksumStart = static_cast<uint16_t>(((row.flags >> 8) & 0xff) + shiftBytes);
  header.checksumOffset = kUdpChecksumOffset;
  return header;
}

void PutTag(uint8_t* at, int32_t flags, uint16_t vlan) {
  const uint32_t received = flags & kFlagVlan ? static_cast<uint32_t>(flags) >> 16 : 0;
  const uint32_t control = (received & kPriorityBits) | vlan;
  at[0] = 0x81;  // ETH_P_8021Q
  at[1] = 0x00;
  at[2] = static_cast<uint8_t>(control >> 8);
  at[3] = static_cast<uint8_t>(control);
}

}  // namespace

uint32_t Arrange(Row* rows, uint32_t count, const Sender& sender, uint16_t* order) {
  uint16_t wanted[kTransmitRowsMax];  // rows, in order of arrival
  uint16_t next[kTransmitRowsMax];    // position in `wanted` of the next of the same group
  uint16_t firsts[kTransmitRowsMax];  // position of each group's first
  uint32_t total = 0, groups = 0;
  for (uint32_t i = 0; i < count && total < kTransmitRowsMax; i++) {
    if ((rows[i].verdict & kPortBits) != sender.id) continue;
    if (!IsSendable(rows[i], sender)) {
      rows[i].verdict = kRefused;
      continue;
    }
    const uint32_t group = GroupOf(rows[i]);
    uint16_t& last = lastRows[group];
    if (group == 0 || last == 0) firsts[groups++] = static_cast<uint16_t>(total);
    else next[last - 1] = static_cast<uint16_t>(total);
    if (group != 0) last = static_cast<uint16_t>(total + 1);
    wanted[total] = static_cast<uint16_t>(i);
    next[total++] = kNone;
  }
  uint32_t placed = 0;
  for (uint32_t group = 0; group < groups; group++) {
    lastRows[GroupOf(rows[wanted[firsts[group]]])] = 0;
    for (uint16_t at = firsts[group]; at != kNone; at = next[at]) order[placed++] = wanted[at];
  }
  return placed;
}

void Dress(uint8_t* base, const Row& row, const Sender& sender, Dressed* out) {
  uint8_t* frame = base + row.offset;
  const size_t bytes = static_cast<size_t>(row.length);
  const VirtioNetHeader header = HeaderOf(row, sender.vlan ? kTagBytes : 0);
  if (!sender.vlan) {
    memcpy(frame - sizeof header, &header, sizeof header);
    out->parts[0] = {frame - sizeof header, sizeof header + bytes};
    out->count = 1;
    return;
  }
  memcpy(out->head, &header, sizeof header);
  memcpy(out->head + sizeof header, frame, kAddressBytes);
  PutTag(out->head + sizeof header + kAddressBytes, row.flags, sender.vlan);
  out->parts[0] = {out->head, sizeof out->head};
  out->parts[1] = {frame + kAddressBytes, bytes - kAddressBytes};
  out->count = 2;
}

}  // namespace keysteer
