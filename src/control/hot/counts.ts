/** What the keeper counts. */

/** What the keeper has done since the start. */
export interface KeeperCounts {
  candidates: number;
  /** Items made; and of them, those that never became hot, as their stores did not drain. */
  admitted: number;
  undrained: number;
  /** Keys whose hash another hot key has; that found no place. */
  twins: number;
  crowded: number;
  leftCold: number;
  leftWritten: number;
  leftCrowded: number;
  leftBanned: number;
  /** Requests for items, as lanes counted them, by the layer that the item was in at the end of the epoch. */
  l1Reads: number;
  l2Reads: number;
  writes: number;
}

/** Counters of items that left, by why. */
export type Leaving = 'leftCold' | 'leftWritten' | 'leftCrowded' | 'leftBanned';

export function noCounts(): KeeperCounts {
  return {
    candidates: 0,
    admitted: 0,
    undrained: 0,
    twins: 0,
    crowded: 0,
    leftCold: 0,
    leftWritten: 0,
    leftCrowded: 0,
    leftBanned: 0,
    l1Reads: 0,
    l2Reads: 0,
    writes: 0,
  };
}
