/** The faults that a run may have, and what each is; `--faults` takes these words. */
export const FAULT_TEXTS = {
  loss: 'frames are lost',
  duplicate: 'frames arrive twice',
  delay: 'frames take up to 50 ms, a few nearly as long as a datagram may live',
  reorder: 'frames overtake each other',
  stop: 'a node is stopped and goes on',
  kill: 'a node is killed and started again, empty',
  unplug: 'the cable of a node is out for a while',
  evict: 'a node throws items out',
  lane: 'a lane dies, also in the middle of a cycle',
  stall: 'a lane turns no cycle for a while',
  drain: 'a node is drained by the admin, and taken back',
  reload: 'a reload changes weights, nodes, or the algorithm of the ring',
  process: 'the whole process dies and is started again',
} as const;

export type FaultName = keyof typeof FAULT_TEXTS;

export const FAULTS = Object.keys(FAULT_TEXTS) as FaultName[];

/**
 * Not drawn, only had by name: a process that starts again begins with the first of its slots, and takes answers to the one
 * before it for its own.
 */
export const BY_NAME_ONLY: ReadonlySet<FaultName> = new Set(['process']);
