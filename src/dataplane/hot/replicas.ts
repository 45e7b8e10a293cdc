/** Copies of hot keys on other nodes: who is asked, and what a miss there means. */
import * as directory from '../../coherence/directory.ts';
import { OUT_PROTOCOL, OUT_VERB, PROTOCOL_ASCII } from '../../memcached/located.ts';
import { VERB_GET, VERB_GETS } from '../../memcached/verbs.ts';
import { nodeWeight } from '../../steer/lookup.ts';
import type { Asked } from '../asked.ts';
import { NODE_COUNT, NODE_COUNTER_COUNT } from '../counters.ts';
import type { Path } from '../path.ts';
import { SLOT_REPLICA, SLOT_STATE } from '../slot-table.ts';
import type { HotKeys } from './keys.ts';

export class Replicas {
  readonly #path: Path;
  readonly #keys: HotKeys;

  constructor(path: Path, keys: HotKeys) {
    this.#path = path;
    this.#keys = keys;
  }

  /**
   * The node with the least to do for its weight, of those with a copy; −1: home. Only for reads that can be asked again,
   * should the copy be gone (`get`, `gets`).
   */
  choose(item: number, asked: Asked): number {
    const { words } = this.#keys;
    const copies = words[item + directory.REPLICA_COUNT];
    if (copies === 0 || !isRepeatable(asked)) return -1;
    const home = words[item + directory.HOME] - 1;
    let chosen = home;
    let least = this.#load(home);
    for (let copy = 0; copy < copies; copy++) {
      const node = words[item + directory.REPLICA_ROWS + copy * directory.REPLICA_ROW_WORDS];
      const load = this.#load(node);
      if (load >= least) continue;
      least = load;
      chosen = node;
    }
    return chosen === home ? -1 : chosen;
  }

  /** The request in this slot went to a copy. */
  mark(slot: number): void {
    this.#path.memory.words[slot + SLOT_STATE] |= SLOT_REPLICA;
  }

  /** Requests of this lane that the node has not answered, for its weight. */
  #load(node: number): number {
    const { memory, steerWords, table } = this.#path;
    const at = node * NODE_COUNTER_COUNT;
    const { nodeCounters } = memory;
    const silent = nodeCounters[at + NODE_COUNT.silent_requests];
    const open = nodeCounters[at + NODE_COUNT.requests] - silent - nodeCounters[at + NODE_COUNT.answered];
    return (open + 1) / Math.max(1, nodeWeight(steerWords, table, node));
  }
}

function isRepeatable({ located }: Asked): boolean {
  const verb = located[OUT_VERB];
  return located[OUT_PROTOCOL] === PROTOCOL_ASCII && (verb === VERB_GET || verb === VERB_GETS);
}
