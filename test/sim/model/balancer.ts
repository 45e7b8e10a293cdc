/** What the balancer does with what arrives: clients' operations, and answers from nodes. Worlds are changed in place. */
import type { Monitor } from './monitor.ts';
import { consumeNonce, datagram, isReadUnderWay, isUnderWay, moveVersion, send } from './network.ts';
import type { Protocol } from './protocol.ts';
import { ABSENT, type Datagram, type Entry, NO_ITEM, type Op, UNKNOWN, type World } from './state.ts';

export interface Setting {
  readonly ops: readonly Op[];
  readonly monitor: Monitor;
  readonly protocol: Protocol;
  /** Reads of a CLEAN key are answered from the cache, or (large values) sent home, or to home and the replica. */
  readonly serve: 'cache' | 'home' | 'nodes';
}

/** Where a read of the client may go now; empty: it waits. 'old': answered with what was there before. */
export function readPlaces({ protocol, serve }: Setting, { entry }: World): ('home' | 'replica' | 'cache' | 'old')[] {
  const isBelieved = !(entry.suspect && protocol.addWindow);
  switch (entry.mode) {
    case 'COLD':
    case 'DRAINING':
    case 'LEAVING':
      return ['home'];
    case 'UNSURE':
      return isBelieved ? ['home'] : [];
    case 'WRITING':
      return placesWhileWriting(protocol, entry, isBelieved);
    case 'CLEAN':
      if (entry.value === '') return [];
      if (entry.value === ABSENT || serve === 'cache') return ['cache'];
      return [...(isBelieved ? ['home' as const] : []), ...(entry.replicaIn ? ['replica' as const] : [])];
  }
}

function placesWhileWriting({ readsWhileWriting: rule }: Protocol, { base, leaked }: Entry, isBelieved: boolean) {
  const mayBeOld = base !== '' && (rule === 'old' || (rule === 'shielded' && !leaked));
  const mayGoHome = isBelieved && (rule === 'home' || rule === 'shielded');
  return [...(mayBeOld ? ['old' as const] : []), ...(mayGoHome ? ['home' as const] : [])];
}

export function placeRead(setting: Setting, world: World, op: Op, place: string): void {
  if (place === 'cache') return finish(setting, world, op, world.entry.value);
  if (place === 'old') return finish(setting, world, op, world.entry.base);
  world.phase[op.client] = place;
  if (place === 'home' && world.entry.mode === 'WRITING') world.entry.leaked = true;
  send(world, datagram('read', place === 'home' ? 0 : 1, op.id));
}

/** @returns false: it waits */
export function startWrite(setting: Setting, world: World, op: Op): boolean {
  const { entry } = world;
  const { protocol } = setting;
  if (entry.mode === 'COLD') {
    world.phase[op.client] = 'cold';
    send(world, datagram('cold', 0, op.id));
    return true;
  }
  const mayStart = entry.mode === 'CLEAN' || (entry.mode === 'UNSURE' && !protocol.resolveFirst);
  if (!mayStart || entry.cas === UNKNOWN || entry.late) return false;
  if (op.kind === 'N' && entry.cas !== NO_ITEM) {
    if (entry.value === '') return false;
    finish(setting, world, op, 'NOT_STORED');
    return true;
  }
  if (entry.cas === NO_ITEM && (op.kind === 'A' || op.kind === 'D')) {
    finish(setting, world, op, op.kind === 'A' ? 'NOT_STORED' : 'NOT_FOUND');
    return true;
  }
  if (world.ghost !== op.id) world.phase[op.client] = 'writes';
  moveVersion(world);
  Object.assign(entry, { mode: 'WRITING', base: entry.value, value: '', current: op.id, fence: entry.cas });
  entry.leaked = isReadUnderWay(world);
  if (protocol.leaveOnWrite) entry.replicaIn = false;
  if (entry.cas === NO_ITEM) sendAdd(world, op);
  else sendCompared(world, op, entry.cas);
  return true;
}

export function sendCompared(world: World, op: Op, cas: number): void {
  Object.assign(world.entry, { stage: 'compare', fence: cas });
  send(world, datagram('store', 0, op.id, { cas }));
}

export function sendAdd(world: World, op: Op): void {
  Object.assign(world.entry, { stage: 'add', fence: NO_ITEM, suspect: true });
  send(world, datagram('add', 0, op.id, { value: op.letter }));
}

export function finish({ monitor, ops }: Setting, world: World, op: Op, outcome: string): void {
  if (world.ghost === op.id) {
    world.ghost = -1;
    return;
  }
  if (currentOf(ops, world, op.client) !== op || world.phase[op.client] === '') return;
  world.phase[op.client] = '';
  world.monitor = monitor.end(world.monitor, op, outcome);
}

export function abandon({ monitor, ops }: Setting, world: World, op: Op): void {
  if (world.ghost === op.id) {
    world.ghost = -1;
    return;
  }
  if (currentOf(ops, world, op.client) !== op || world.phase[op.client] === '') return;
  world.phase[op.client] = '';
  world.monitor = op.kind === 'R' ? monitor.forget(world.monitor, op) : monitor.abandon(world.monitor, op);
}

export function currentOf(ops: readonly Op[], world: World, client: number): Op | undefined {
  return ops.filter(op => op.client === client)[world.begun[client]! - 1];
}

/** An answer from a node. */
export function receive(setting: Setting, world: World, d: Datagram): void {
  if (typeof d.of === 'string') return receiveOwn(setting, world, d, d.of);
  const op = setting.ops[d.of]!;
  if (d.type === 'done') return finish(setting, world, op, d.value);
  if (d.type === 'value') return receiveRead(setting, world, d, op);
  if (world.entry.current !== op.id) return;
  if (world.entry.mode === 'UNSURE') return receiveLate(world, d, op);
  if (world.entry.mode === 'WRITING') receiveWrite(setting, world, d, op);
}

function receiveRead(setting: Setting, world: World, d: Datagram, op: Op): void {
  const phase = d.node === 0 ? 'home' : 'replica';
  if (currentOf(setting.ops, world, op.client) !== op || world.phase[op.client] !== phase) return;
  if (d.value === ABSENT && d.node === 1 && setting.protocol.replicaMissAsksHome) {
    world.entry.replicaIn = false;
    world.phase[op.client] = 'waits';
    return;
  }
  if (d.value === ABSENT && world.entry.mode !== 'COLD') passMiss(setting, world);
  finish(setting, world, op, d.value);
}

/** A miss empties the entry before it travels on. */
function passMiss({ protocol }: Setting, world: World): void {
  const { entry } = world;
  if (entry.mode === 'CLEAN') Object.assign(entry, { value: '', replicaIn: false });
  if (entry.mode === 'WRITING') entry.leaked = true;
  if (protocol.missMovesVersion) moveVersion(world);
}

function receiveLate(world: World, d: Datagram, op: Op): void {
  if (d.type !== 'HD') return;
  const isGone = op.kind === 'D';
  clean(world.entry, isGone ? NO_ITEM : d.cas, isGone ? ABSENT : '');
}

function receiveWrite(setting: Setting, world: World, d: Datagram, op: Op): void {
  const { entry } = world;
  const { protocol } = setting;
  if (d.type === 'HD') {
    const value =
      op.kind === 'D' ? ABSENT : op.kind === 'A' || !protocol.cacheOnAck || isDoubted(protocol, entry) ? '' : op.letter;
    return complete(setting, world, op, d.cas, value);
  }
  if (d.type === 'NS' && entry.stage === 'add') return ask(entry);
  if (entry.stage !== 'compare' || d.fence !== entry.fence) return;
  if (d.type === 'EX') {
    if (op.kind !== 'D' || entry.suspect) return ask(entry);
    return; // a deletion leaves no item behind: EX cannot be its own
  }
  if (d.type !== 'NF') return;
  if (op.kind === 'D') return complete(setting, world, op, NO_ITEM, ABSENT, 'NOT_FOUND');
  if (op.kind === 'A') return endAbsent(setting, world, op, protocol.onAbsentAppend === 'answer');
  if (protocol.onAbsentSet === 'gone' || isDoubted(protocol, entry))
    return complete(setting, world, op, NO_ITEM, ABSENT);
  sendAdd(world, op);
}

/** What home says of the write may have been seen, and be over. */
function isDoubted({ readsWhileWriting }: Protocol, { leaked }: Entry): boolean {
  return readsWhileWriting === 'shielded' && leaked;
}

function ask(entry: Entry): void {
  entry.stage = 'ask';
}

/** The item is not there (any more): an append that did or did not take effect before. */
function endAbsent(setting: Setting, world: World, op: Op, isAnswered: boolean): void {
  if (isAnswered) return complete(setting, world, op, NO_ITEM, ABSENT, 'NOT_STORED');
  abandon(setting, world, op);
  clean(world.entry, NO_ITEM, ABSENT);
}

function complete(setting: Setting, world: World, op: Op, cas: number, value: string, outcome?: string): void {
  const { entry } = world;
  const old = entry.base;
  clean(entry, cas, value);
  if (!setting.protocol.switchFirst && old !== '' && value !== '' && old !== ABSENT) {
    Object.assign(entry, { late: true, base: value, value: old });
  }
  finish(setting, world, op, outcome ?? (op.kind === 'D' ? 'DELETED' : 'STORED'));
}

function clean(entry: Entry, cas: number, value: string): void {
  Object.assign(entry, { mode: 'CLEAN', cas, value, current: -1, stage: '', fence: 0, base: '', leaked: false });
}

function receiveOwn(setting: Setting, world: World, d: Datagram, business: string): void {
  const { entry } = world;
  const { protocol } = setting;
  if (d.type === 'value' && d.fresh && protocol.consumeNonces) consumeNonce(world, business);
  switch (business) {
    case 'P':
      if (entry.mode === 'DRAINING' && d.fresh) clean(entry, d.cas, d.value);
      return;
    case 'F':
      if (entry.mode === 'CLEAN' && (d.fresh || !protocol.versionCheck)) fill(setting, entry, d);
      return;
    case 'A':
      if (entry.mode === 'WRITING' && entry.stage === 'ask' && d.fresh) receiveAsked(setting, world, d);
      return;
    case 'U':
      if (entry.mode === 'UNSURE' && d.fresh) receiveResolved(setting, world, d);
      return;
    case 'V':
      if (entry.mode === 'CLEAN' && entry.suspect && d.fresh) receiveVerified(world, d);
      return;
    default:
      receiveCopied(setting, world, d, business);
  }
}

function fill({ protocol }: Setting, entry: Entry, d: Datagram): void {
  const isForeign = entry.suspect && protocol.addWindow && d.value !== ABSENT && d.cas !== entry.cas;
  entry.value = isForeign ? ABSENT : d.value;
  entry.cas = isForeign ? NO_ITEM : d.cas;
}

/** What EX or NS meant. Nothing else of ours is unresolved, so a moved CAS was moved by this write, or by an old add. */
function receiveAsked(setting: Setting, world: World, d: Datagram): void {
  const { entry } = world;
  const { protocol } = setting;
  const op = setting.ops[entry.current]!;
  const isDoubtful = entry.suspect && protocol.addWindow;
  if (protocol.onExists === 'resend' && d.value !== ABSENT && entry.fence !== NO_ITEM) {
    return sendCompared(world, op, d.cas);
  }
  if (op.kind === 'D') {
    // EX while an old add is about: the item that was to be deleted had gone before
    return complete(setting, world, op, NO_ITEM, ABSENT, 'NOT_FOUND');
  }
  if (op.kind === 'A') {
    if (isDoubtful) return endAbsent(setting, world, op, false);
    return complete(setting, world, op, d.cas, d.value);
  }
  if (d.value === ABSENT || d.value === op.letter || (!isDoubtful && entry.fence !== NO_ITEM)) {
    return complete(setting, world, op, d.cas, d.value);
  }
  // an old add brought something back: it goes first, and is never written over (an unresolved write would keep it)
  if (protocol.killFirst) {
    send(world, datagram('kill', 0, 'K', { cas: d.cas }));
    sendAdd(world, op);
  } else sendCompared(world, op, d.cas);
}

/** UNSURE: an answer to a fetch (`value`), or to a moved fence. */
function receiveResolved(setting: Setting, world: World, d: Datagram): void {
  const { entry } = world;
  const { protocol } = setting;
  if (d.type === 'HD') return clean(entry, d.cas, d.value);
  if (d.type === 'NF') return clean(entry, NO_ITEM, ABSENT);
  if (d.type === 'EX') {
    entry.stage = entry.stage === 'rewrite' ? 'compare' : entry.stage;
    return;
  }
  const isAdd = entry.fence === NO_ITEM;
  if (d.value !== ABSENT && d.cas === entry.fence && protocol.unsureEnds === 'rewrite') {
    entry.stage = 'rewrite';
    send(world, datagram('move', 0, 'U', { cas: d.cas, value: d.value }));
    return;
  }
  const isDoubtful = entry.suspect && protocol.addWindow;
  const op = setting.ops[entry.current]!;
  const isOwn = op.kind !== 'A' && d.value === op.letter;
  if (isDoubtful && d.value !== ABSENT && !isOwn && d.cas !== entry.fence) return clean(entry, NO_ITEM, ABSENT);
  if (isAdd && isDoubtful) entry.suspect = false;
  clean(entry, d.cas, d.value);
}

/** After the last add expired: an item with another CAS is what an old add brought back. */
function receiveVerified(world: World, d: Datagram): void {
  const { entry } = world;
  if (isUnderWay(world, 'add')) return;
  if (d.value === ABSENT || d.cas === entry.cas) {
    entry.suspect = false;
    moveVersion(world);
  } else send(world, datagram('kill', 0, 'K', { cas: d.cas }));
}

function receiveCopied({ protocol }: Setting, world: World, d: Datagram, business: string): void {
  const { entry } = world;
  if (business === 'E') {
    if (entry.mode === 'LEAVING') leave(entry);
    return;
  }
  const isExpected = business === 'B' ? entry.replicaCas === NO_ITEM : d.fence === entry.replicaCas;
  if (d.type !== 'HD' || !isExpected || (business !== 'B' && business !== 'C')) return;
  entry.replicaCas = d.cas;
  if (entry.mode !== 'CLEAN' || (business === 'B' && protocol.replicaAddWindow)) return;
  if (d.fresh || !protocol.admitCurrent) entry.replicaIn = true;
}

/** The entry goes; the key is cold. */
export function leave(entry: Entry): void {
  clean(entry, UNKNOWN, '');
  Object.assign(entry, { mode: 'COLD', suspect: false, replicaCas: UNKNOWN, replicaIn: false });
}
