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
constexpr uint8_t kGsoUdpL4 = 5;  // VIRTIO_NET_HDR_GSO_UDP_L4
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

uint32_t Word16(const uint8_t* at) { return static_cast<uint32_t>(at[0]) << 8 | at[1]; }

void PutWord16(uint8_t* at, uint32_t word) {
  at[0] = static_cast<uint8_t>(word >> 8);
  at[1] = static_cast<uint8_t>(word);
}

uint32_t Sum16(const uint8_t* from, size_t bytes, uint32_t sum) {
  for (size_t i = 0; i < bytes; i += 2) sum += Word16(from + i);
  sum = (sum & 0xffff) + (sum >> 16);
  return (sum & 0xffff) + (sum >> 16);
}

// Where the fields of a joinable frame stand.
constexpr size_t kIpv4 = kEthernetBytes;
constexpr size_t kTotalLength = kIpv4 + 2;
constexpr size_t kFragment = kIpv4 + 6;
constexpr size_t kProtocol = kIpv4 + 9;
constexpr size_t kIpv4Checksum = kIpv4 + 10;
constexpr size_t kAddresses = kIpv4 + 12;
constexpr size_t kUdp = kIpv4 + 20;
constexpr size_t kUdpLength = kUdp + 4;
constexpr size_t kUdpChecksum = kUdp + kUdpChecksumOffset;
constexpr uint8_t kUdpProtocol = 17;

// Whose checksum may be computed anew without hiding that it was wrong.
bool IsChecksumOthers(const Row& row, const uint8_t* frame) {
  if (row.flags & kFlagPartialChecksum) return ((row.flags >> 8) & 0xff) == kUdp;
  return row.flags & kFlagChecksumVerified && Word16(frame + kUdpChecksum) != 0;
}

bool IsJoinable(const Row& row, const uint8_t* frame) {
  if (static_cast<size_t>(row.length) <= kHeadersBytes || row.verdict >> kGroupShift == 0) return false;
  if (frame[12] != 0x08 || frame[13] != 0x00 || frame[kIpv4] != 0x45 || frame[kProtocol] != kUdpProtocol) return false;
  if (frame[kFragment] != 0x40 || frame[kFragment + 1] != 0) return false;  // don't fragment, no fragment
  const uint32_t bytes = static_cast<uint32_t>(row.length);
  return Word16(frame + kTotalLength) == bytes - kIpv4 && Word16(frame + kUdpLength) == bytes - kUdp &&
         IsChecksumOthers(row, frame);
}

bool AreAlike(const Row& one, const uint8_t* first, const Row& other, const uint8_t* second) {
  return other.length == one.length && other.verdict == one.verdict && memcmp(first, second, kIpv4 + 4) == 0 &&
         memcmp(first + kFragment, second + kFragment, 4) == 0 &&
         memcmp(first + kAddresses, second + kAddresses, kUdpChecksum - kAddresses) == 0 && IsJoinable(other, second);
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

uint32_t Dress(uint8_t* base, const Row& row, const Sender& sender, uint8_t* head, iovec* parts) {
  uint8_t* frame = base + row.offset;
  const size_t bytes = static_cast<size_t>(row.length);
  const VirtioNetHeader header = HeaderOf(row, sender.vlan ? kTagBytes : 0);
  if (!sender.vlan) {
    memcpy(frame - sizeof header, &header, sizeof header);
    parts[0] = {frame - sizeof header, sizeof header + bytes};
    return 1;
  }
  memcpy(head, &header, sizeof header);
  memcpy(head + sizeof header, frame, kAddressBytes);
  PutTag(head + sizeof header + kAddressBytes, row.flags, sender.vlan);
  parts[0] = {head, sizeof header + kAddressBytes + kTagBytes};
  parts[1] = {frame + kAddressBytes, bytes - kAddressBytes};
  return 2;
}

uint32_t JoinableRows(const uint8_t* base, const Row* rows, const uint16_t* order, uint32_t count, const Sender& sender) {
  const Row& one = rows[order[0]];
  const uint8_t* first = base + one.offset;
  if (!sender.joins || sender.vlan || count < 2 || !IsJoinable(one, first)) return 1;
  const uint32_t payloadBytes = static_cast<uint32_t>(one.length) - kHeadersBytes;
  const uint32_t most = (sender.frameBytesMax - static_cast<uint32_t>(kHeadersBytes)) / payloadBytes;
  uint32_t alike = 1;
  while (alike < count && alike < most) {
    const Row& other = rows[order[alike]];
    if (!AreAlike(one, first, other, base + other.offset)) break;
    alike++;
  }
  return alike;
}

uint32_t Join(uint8_t* base, const Row* rows, const uint16_t* order, uint32_t count, uint8_t* head, iovec* parts) {
  const size_t payloadBytes = static_cast<size_t>(rows[order[0]].length) - kHeadersBytes;
  VirtioNetHeader header = {};
  header.flags = kNeedsChecksum;
  header.gsoType = kGsoUdpL4;
  header.headerBytes = kHeadersBytes;
  header.gsoBytes = static_cast<uint16_t>(payloadBytes);
  header.checksumStart = kUdp;
  header.checksumOffset = kUdpChecksumOffset;
  memcpy(head, &header, sizeof header);
  uint8_t* headers = head + sizeof header;
  memcpy(headers, base + rows[order[0]].offset, kHeadersBytes);
  const uint32_t bytes = static_cast<uint32_t>(kHeadersBytes + count * payloadBytes);
  PutWord16(headers + kTotalLength, bytes - kIpv4);
  PutWord16(headers + kIpv4Checksum, 0);
  PutWord16(headers + kIpv4Checksum, ~Sum16(headers + kIpv4, kUdp - kIpv4, 0));
  PutWord16(headers + kUdpLength, bytes - kUdp);
  PutWord16(headers + kUdpChecksum, Sum16(headers + kAddresses, kUdp - kAddresses, kUdpProtocol + bytes - kUdp));
  parts[0] = {head, kHeadBytes};
  for (uint32_t i = 0; i < count; i++) parts[i + 1] = {base + rows[order[i]].offset + kHeadersBytes, payloadBytes};
  return count + 1;
}

}  // namespace keysteer
