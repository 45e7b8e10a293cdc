/**
 * Scenarios for the protocol as it is meant to be, and mutants with the scenario that catches each.
 *
 * A scenario is what clients do (a text a client, a letter an operation: R get, S set, A append, D delete, N add) and how
 * often other things may happen. Loss, duplication and reordering of datagrams are unlimited in every one.
 */
import type { Scenario } from './explore.ts';
import type { Protocol } from './protocol.ts';

const large = { serve: 'home' } as const;
const copied = { serve: 'nodes' } as const;

export const SCENARIOS: readonly Scenario[] = [
  { name: 'a set and reads', clients: ['S', 'RR'], budget: { givings: 1, evictions: 1 } },
  { name: 'two sets and reads', clients: ['S', 'S', 'RR'], budget: { givings: 1 } },
  { name: 'an append and reads', clients: ['A', 'RR'], budget: { givings: 1, evictions: 1 } },
  { name: 'two appends and reads', clients: ['A', 'A', 'RR'], budget: { givings: 1 } },
  { name: 'an append to a large value', clients: ['A', 'RR'], ...large, budget: { givings: 1, evictions: 1 } },
  { name: 'a set, a deletion', clients: ['SD', 'RR'], budget: { evictions: 1 } },
  { name: 'an absent key is set', clients: ['S', 'RR'], start: 'absent', budget: { givings: 1, evictions: 1 } },
  { name: 'an absent key is set and deleted', clients: ['SD', 'RR'], start: 'absent', budget: { evictions: 1 } },
  { name: 'an absent key is set and appended to', clients: ['SA', 'RR'], start: 'absent', budget: { evictions: 1 } },
  { name: 'two adds', clients: ['N', 'N', 'RR'], start: 'absent', budget: { givings: 1 } },
  { name: 'a replica', clients: ['S', 'RR'], ...copied, start: 'copied', budget: { replicaEvictions: 1 } },
  { name: 'a replica is filled', clients: ['S', 'R'], ...copied, budget: { replicaEvictions: 1 } },
  { name: 'a replica, two sets', clients: ['SS', 'R'], ...copied, start: 'copied', budget: { givings: 1 } },
  { name: 'a replica, home evicts', clients: ['RR', 'R'], ...copied, budget: { evictions: 1 } },
  { name: 'promotion', clients: ['S', 'S', 'RR'], start: 'cold', budget: { promotions: 1 } },
  { name: 'demotion, promotion', clients: ['S', 'SR'], budget: { promotions: 1, demotions: 1, givings: 1 } },
  { name: 'demotion in the add window', clients: ['SS', 'R'], start: 'absent', budget: { demotions: 1, evictions: 1 } },
  { name: 'demotion, home dies', clients: ['S', 'R'], ...copied, budget: { demotions: 1, failovers: 1 } },
];

/** For an hour of leisure: more clients, more accidents. */
export const LONG_SCENARIOS: readonly Scenario[] = [
  { name: 'a set and three reads', clients: ['S', 'RR', 'R'], budget: { givings: 1, evictions: 1 } },
  {
    name: 'two sets of an absent key',
    clients: ['S', 'S', 'RR'],
    start: 'absent',
    budget: { givings: 1, evictions: 1 },
  },
  { name: 'set and append, absent', clients: ['SA', 'RR'], start: 'absent', budget: { givings: 1, evictions: 2 } },
  { name: 'a replica and two reads', clients: ['S', 'RR'], ...copied, budget: { replicaEvictions: 1 } },
  { name: 'home dies, two reads', clients: ['S', 'RR'], ...copied, budget: { demotions: 1, failovers: 1 } },
  { name: 'two sets, a replica', clients: ['SS', 'RR'], ...copied, budget: { givings: 1, replicaEvictions: 1 } },
  {
    name: 'append, home and replica evict',
    clients: ['A', 'RR'],
    ...copied,
    budget: { evictions: 1, replicaEvictions: 1 },
  },
];

export interface Mutant {
  readonly bug: string;
  readonly rules: Partial<Protocol>;
  readonly scenario: Scenario;
}

const plain: Scenario = { name: 'a set and reads', clients: ['S', 'RR'], budget: { givings: 1, evictions: 1 } };

export const MUTANTS: readonly Mutant[] = [
  {
    bug: 'unfenced retransmission',
    rules: { fencedRepeats: false },
    scenario: { name: 'two sets', clients: ['SS', 'R'], ...large },
  },
  {
    bug: 'old value served while WRITING (a read under way at home saw the new one)',
    rules: { readsWhileWriting: 'old' },
    scenario: { name: 'a large value', clients: ['S', 'R', 'R'], ...large },
  },
  {
    bug: 'promotion without draining',
    rules: { drain: false },
    scenario: { name: 'promotion', clients: ['S', 'RR'], start: 'cold', budget: { promotions: 1, demotions: 1 } },
  },
  {
    bug: 'fill without version check',
    rules: { versionCheck: false },
    scenario: { name: 'a set', clients: ['S', 'RR'], start: 'uncached' },
  },
  {
    bug: 'two answers to one fetch believed',
    rules: { consumeNonces: false },
    scenario: { name: 'uncached', clients: ['RR'], start: 'uncached', budget: { evictions: 1 } },
  },
  {
    bug: 'client answered before the switch',
    rules: { switchFirst: false },
    scenario: { name: 'a set', clients: ['S', 'R'] },
  },
  {
    bug: 'UNSURE left by a read that shows the old CAS',
    rules: { unsureEnds: 'read' },
    scenario: { ...plain, clients: ['S', 'RRR'] },
  },
  {
    bug: 'a next write before the unresolved one is resolved',
    rules: { resolveFirst: false },
    scenario: { name: 'two appends', clients: ['A', 'A', 'RR'], budget: { givings: 1 } },
  },
  {
    bug: 'replica admitted on an old version',
    rules: { admitCurrent: false },
    scenario: { name: 'a set, copied', clients: ['S', 'R'], ...copied },
  },
  {
    bug: 'replicas read while a write is under way',
    rules: { leaveOnWrite: false },
    scenario: { name: 'a set, copied', clients: ['S', 'R'], ...copied },
  },
  {
    bug: 'a late add believed (ME has no fence)',
    rules: { addWindow: false },
    scenario: { name: 'set, deletion', clients: ['SD', 'R'], start: 'absent', budget: { demotions: 1 } },
  },
  {
    bug: 'a write over what a late add brought back',
    rules: { killFirst: false },
    scenario: { name: 'two adds', clients: ['N', 'N', 'RR'], start: 'absent', budget: { givings: 1, evictions: 1 } },
  },
  {
    bug: 'a replica filled by an add, admitted at once',
    rules: { replicaAddWindow: false },
    scenario: { name: 'a set, copied', clients: ['S', 'R'], ...copied, budget: { replicaEvictions: 1 } },
  },
  {
    bug: 'EX taken for a foreign write: sent again (append twice)',
    rules: { onExists: 'resend' },
    scenario: { name: 'an append', clients: ['AR'] },
  },
  {
    bug: 'NF of an append told to the client (it was applied, seen, evicted)',
    rules: { onAbsentAppend: 'answer' },
    scenario: { name: 'a large value', clients: ['A', 'R'], ...large, budget: { evictions: 1 } },
  },
  {
    bug: "a replica's miss travels on",
    rules: { replicaMissAsksHome: false },
    scenario: { name: 'copied', clients: ['RR'], ...copied, budget: { replicaEvictions: 1 } },
  },
  {
    bug: 'a miss that passes does not move the version',
    rules: { missMovesVersion: false },
    scenario: { name: 'UNSURE', clients: ['S', 'RR'], budget: { givings: 1, evictions: 1 } },
  },
  {
    bug: 'copies left behind at demotion',
    rules: { deleteCopies: false },
    scenario: { name: 'home dies', clients: ['S', 'R'], ...copied, budget: { demotions: 1, failovers: 1 } },
  },
  {
    bug: "a client's duplicate carried out again",
    rules: { recogniseDuplicates: false },
    scenario: { name: 'two sets', clients: ['S', 'S', 'R'], budget: { duplicates: 1 } },
  },
  {
    bug: 'reads sent home while WRITING, and the set created anew when it finds nothing',
    rules: { readsWhileWriting: 'home' },
    scenario: { name: 'set', clients: ['S', 'RRR'], budget: { evictions: 1 } },
  },
  {
    bug: 'reads sent home while WRITING, and the value cached on the acknowledgement',
    rules: { readsWhileWriting: 'home', onAbsentSet: 'gone' },
    scenario: { name: 'set', clients: ['S', 'RRR'], budget: { evictions: 1 } },
  },
];

/** Other ways that are right as well, and one that is as wrong as plain memcached. */
export const VARIANTS: readonly (Mutant & { readonly isRight: boolean })[] = [
  {
    bug: 'reads sent home while WRITING; the set called stored and evicted when it finds nothing; value fetched after it',
    rules: { readsWhileWriting: 'home', onAbsentSet: 'gone', cacheOnAck: false },
    scenario: { name: 'set', clients: ['S', 'RRR'], budget: { evictions: 1, givings: 1 } },
    isRight: true,
  },
  {
    bug: 'an entry dropped while UNSURE (fenced writes only)',
    rules: { leaveUnsure: true },
    scenario: { name: 'set', clients: ['S', 'SR'], budget: { demotions: 1, givings: 1 } },
    isRight: true,
  },
  {
    bug: "plain memcached when the network duplicates clients' stores",
    rules: { coldOnce: false },
    scenario: { name: 'cold', clients: ['S', 'S', 'R'], start: 'cold' },
    isRight: false,
  },
];
