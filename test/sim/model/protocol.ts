/**
 * The protocol's rules as switches: all as coherence.md means them in `CORRECT`; a mutant turns one of them off.
 */
export interface Protocol {
  /** A repeated store compares the CAS, as the first did. */
  fencedRepeats: boolean;
  /**
   * Reads that come while a write is under way: are answered with the old value until one has gone home (shielded), or go
   * home; always wait for it; always go home; are always answered with the old value.
   */
  readsWhileWriting: 'shielded' | 'wait' | 'home' | 'old';
  /** A promotion first waits until no store of the cold key is under way. */
  drain: boolean;
  /** Answers to fetches are believed only if the version has not moved since. */
  versionCheck: boolean;
  /** Of the answers to one fetch (it may be duplicated) only the first is believed. */
  consumeNonces: boolean;
  /** The client is answered after the cached value is switched. */
  switchFirst: boolean;
  /** UNSURE ends when home shows the old CAS: only after the fence was moved (rewrite), or at once (read). */
  unsureEnds: 'rewrite' | 'read';
  /** A next write waits until an unresolved one is resolved. */
  resolveFirst: boolean;
  /** A replica is admitted only by an acknowledgement of the current version. */
  admitCurrent: boolean;
  /** Replicas leave the read set when a write begins. */
  leaveOnWrite: boolean;
  /** While an add may still be under way, home is believed only with the CAS that is known, and the key is kept. */
  addWindow: boolean;
  /** What an old add brought back is deleted before the next add, not written over. */
  killFirst: boolean;
  /** A replica that was filled by an add is admitted only by a compared copy sent after that add expired. */
  replicaAddWindow: boolean;
  /** EX, on the first send or a repeat: ask home; or: it is a foreign write, compare anew and send again. */
  onExists: 'ask' | 'resend';
  /** NF/NS of an append that may have been delivered before: unanswered; or: NOT_STORED. */
  onAbsentAppend: 'silent' | 'answer';
  /** NF of a set: create it by an add; or, as also after a read has gone home: it took effect and was evicted. */
  onAbsentSet: 'add' | 'gone';
  /** An acknowledged set puts its value into the cache; or, as also then: only the CAS is learnt, and the value is fetched. */
  cacheOnAck: boolean;
  /** A replica's miss is asked again at home. */
  replicaMissAsksHome: boolean;
  /** A miss at home that passes by moves the version, too. */
  missMovesVersion: boolean;
  /** Copies are deleted before the entry goes. */
  deleteCopies: boolean;
  /** A client's duplicate of a write is recognised. */
  recogniseDuplicates: boolean;
  /** Cold stores are delivered once. With duplicates, plain memcached itself is not linearizable. */
  coldOnce: boolean;
  /** An entry whose last write is unresolved may be dropped. */
  leaveUnsure: boolean;
}

export const CORRECT: Protocol = {
  fencedRepeats: true,
  readsWhileWriting: 'shielded',
  drain: true,
  versionCheck: true,
  consumeNonces: true,
  switchFirst: true,
  unsureEnds: 'rewrite',
  resolveFirst: true,
  admitCurrent: true,
  leaveOnWrite: true,
  addWindow: true,
  killFirst: true,
  replicaAddWindow: true,
  onExists: 'ask',
  onAbsentAppend: 'silent',
  onAbsentSet: 'add',
  cacheOnAck: true,
  replicaMissAsksHome: true,
  missMovesVersion: true,
  deleteCopies: true,
  recogniseDuplicates: true,
  coldOnce: true,
  leaveUnsure: false,
};
