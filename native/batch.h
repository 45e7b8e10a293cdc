// A batch of frames as src/port/port.ts lays it out, and what a transmit does to bytes. Pure: no system call here.
#ifndef KEYSTEER_BATCH_H
#define KEYSTEER_BATCH_H

#include <cstdint>

namespace keysteer {

struct Row {
  int32_t offset;
  int32_t length;
  int32_t flags;
  int32_t verdict;  // bits 0–7: port that sends it, bits 8–30: group; negative: nobody sends it
};

constexpr int32_t kFlagPartialChecksum = 1;
constexpr int32_t kRefused = -2;
constexpr uint32_t kTransmitRowsMax = 256;

// Numbers of the rows that port `id` sends, in the order in which they leave, at most kTransmitRowsMax; returns how
// many. Rows of one group follow each other; groups leave in the order of their first rows, and a row of group 0 stands
// for itself. Groups that are equal modulo 2048 count as one.
uint32_t Arrange(const Row* rows, uint32_t count, int32_t id, uint16_t* order);

}  // namespace keysteer

#endif
