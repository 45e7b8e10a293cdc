#include "batch.h"

namespace keysteer {
namespace {

constexpr int32_t kPortBits = static_cast<int32_t>(0x800000ff);  // the sign too: DROP and REFUSED are no port's
constexpr int kGroupShift = 8;
constexpr uint32_t kGroupPlaces = 2048;
constexpr uint16_t kNone = 0xffff;

// Last row so far of each group, plus 1; all 0 between calls, so that a call touches only the groups it sees.
thread_local uint16_t lastRows[kGroupPlaces];

uint32_t GroupOf(const Row& row) { return (static_cast<uint32_t>(row.verdict) >> kGroupShift) % kGroupPlaces; }

}  // namespace

uint32_t Arrange(const Row* rows, uint32_t count, int32_t id, uint16_t* order) {
  uint16_t wanted[kTransmitRowsMax];  // rows, in order of arrival
  uint16_t next[kTransmitRowsMax];    // position in `wanted` of the next of the same group
  uint16_t firsts[kTransmitRowsMax];  // position of each group's first
  uint32_t total = 0, groups = 0;
  for (uint32_t i = 0; i < count && total < kTransmitRowsMax; i++) {
    if ((rows[i].verdict & kPortBits) != id) continue;
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

}  // namespace keysteer
