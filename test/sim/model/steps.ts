/** Everything that can happen next in a world: by clients, the network, the nodes, and the balancer of its own accord. */
import {
  abandon,
  currentOf,
  leave,
  placeRead,
  readPlaces,
  receive,
  type Setting,
  sendAdd,
  sendCompared,
  startWrite,
} from './balancer.ts';
import { datagram, isAwaited, isRequest, isUnderWay, moveVersion, send, serve } from './network.ts';
import { ABSENT, copyWorld, type Datagram, NO_ITEM, type Op, UNKNOWN, type World } from './state.ts';

export interface Step {
  readonly label: string;
  readonly world: World;
}

type Emit = (label: string, change: (world: World) => void) => void;

export function stepsFrom(setting: Setting, world: World): Step[] {
  const steps: Step[] = [];
  let isNetworkOnly = false;
  const emit: Emit = (label, change) => {
    const next = copyWorld(world);
    change(next);
    if (next.net === world.net && isNetworkOnly && next.nodes.every((item, i) => item === world.nodes[i])) return;
    tidy(setting, next);
    steps.push({ label, world: next });
  };
  clientSteps(setting, world, emit);
  for (const d of world.net) {
    isNetworkOnly = isRequest(d);
    networkSteps(setting, d, emit);
  }
  isNetworkOnly = false;
  nodeSteps(world, emit);
  writingSteps(setting, world, emit);
  keepingSteps(setting, world, emit);
  comingSteps(setting, world, emit);
  return steps;
}

function clientSteps(setting: Setting, world: World, emit: Emit): void {
  for (const [client, phase] of world.phase.entries()) {
    const current = currentOf(setting.ops, world, client);
    if (phase === 'waits') arrive(setting, world, current!, `${name(current!)} goes on`, emit);
    if (phase === '') {
      const op = setting.ops.filter(other => other.client === client)[world.begun[client]!];
      if (op !== undefined && isNextOfEquals(setting, world, client)) begin(setting, world, op, emit);
    }
    if (phase === 'cold' && !isUnderWay(world, 'cold', current!.id) && !isUnderWay(world, 'done', current!.id)) {
      emit(`${name(current!)} times out`, w => abandon(setting, w, current!));
    }
  }
  if (setting.protocol.recogniseDuplicates || world.budget.duplicates === 0 || world.ghost !== -1) return;
  for (const op of setting.ops) {
    const isOver = currentOf(setting.ops, world, op.client) === op && world.phase[op.client] === '';
    if (op.kind === 'R' || !isOver || world.entry.mode !== 'CLEAN') continue;
    emit(`a duplicate of ${name(op)} arrives`, w => {
      w.budget.duplicates--;
      w.ghost = op.id;
      if (!startWrite(setting, w, op)) w.ghost = -1;
    });
  }
}

function begin(setting: Setting, world: World, op: Op, emit: Emit): void {
  const start = (w: World): void => {
    w.begun[op.client]!++;
    w.phase[op.client] = 'waits';
    w.monitor = setting.monitor.begin(w.monitor, op);
  };
  if (op.kind === 'R') {
    const places = readPlaces(setting, world);
    if (places.length === 0) emit(`${name(op)} begins, waits`, start);
    for (const place of places) {
      emit(`${name(op)} begins, by ${place}`, w => {
        start(w);
        placeRead(setting, w, op, place);
      });
    }
    return;
  }
  emit(`${name(op)} begins`, w => {
    start(w);
    startWrite(setting, w, op);
  });
}

/** Clients with equal programs begin in order of their numbers. */
function isNextOfEquals({ ops }: Setting, world: World, client: number): boolean {
  if (client === 0 || world.begun[client]! > 0) return true;
  const program = (of: number): string => ops.flatMap(op => (op.client === of ? [op.kind] : [])).join('');
  return program(client) !== program(client - 1) || world.begun[client - 1]! > 0;
}

function arrive(setting: Setting, world: World, op: Op, label: string, emit: Emit): void {
  if (op.kind === 'R') {
    for (const place of readPlaces(setting, world)) {
      emit(`${label}, by ${place}`, w => placeRead(setting, w, op, place));
    }
  } else if (startWrite(setting, copyWorld(world), op)) {
    emit(label, w => startWrite(setting, w, op));
  }
}

function networkSteps(setting: Setting, d: Datagram, emit: Emit): void {
  const text = describe(setting, d);
  const isOnce = d.type === 'cold' && setting.protocol.coldOnce;
  emit(`${isRequest(d) ? `node ${d.node} gets` : 'balancer gets'} ${text}`, w => {
    if (isOnce) w.net = w.net.filter(other => other !== d);
    if (isRequest(d)) serve(w, d, setting.ops);
    else receive(setting, w, d);
  });
  if (!isAwaited(d)) return;
  emit(`expired: ${text}`, w => {
    w.net = w.net.filter(other => other !== d);
  });
}

function nodeSteps(world: World, emit: Emit): void {
  if (world.nodes[0] !== null && world.budget.evictions > 0) {
    emit('home evicts the item', w => {
      w.budget.evictions--;
      w.nodes[0] = null;
    });
  }
  if (world.nodes[1] !== null && world.budget.replicaEvictions > 0) {
    emit('the replica evicts the item', w => {
      w.budget.replicaEvictions--;
      w.nodes[1] = null;
    });
  }
}

/** Sending again, asking, giving up, resolving. */
function writingSteps(setting: Setting, world: World, emit: Emit): void {
  const { entry } = world;
  const { protocol, ops } = setting;
  const op = ops[entry.current];
  if (entry.mode === 'WRITING' && op !== undefined) {
    if (entry.stage === 'compare' && !protocol.fencedRepeats) {
      if (!world.net.some(d => d.type === 'store' && d.of === op.id && d.cas === 0)) {
        emit(`${name(op)} is sent again, unfenced`, w => send(w, datagram('store', 0, op.id)));
      }
    } else if (entry.stage === 'compare' && !isUnderWay(world, 'store', op.id)) {
      emit(`${name(op)} is sent again`, w => sendCompared(w, op, entry.fence));
    }
    if (entry.stage === 'add' && !isUnderWay(world, 'add', op.id)) {
      emit(`${name(op)} is sent again`, w => sendAdd(w, op));
    }
    if (entry.stage === 'ask') fetch(world, 'A', emit);
    if (world.budget.givings > 0) {
      emit(`${name(op)} is given up: UNSURE`, w => {
        w.budget.givings--;
        abandon(setting, w, op);
        w.entry.mode = 'UNSURE';
        if (w.entry.stage === 'ask') w.entry.stage = w.entry.fence === NO_ITEM ? 'add' : 'compare';
      });
    }
  }
  if (entry.mode !== 'UNSURE') return;
  if (entry.suspect && protocol.addWindow && isUnderWay(world, 'add')) return;
  fetch(world, 'U', emit);
}

/** Filling, verifying, copying. */
function keepingSteps(setting: Setting, world: World, emit: Emit): void {
  const { entry } = world;
  const { protocol } = setting;
  if (entry.mode !== 'CLEAN') return;
  if (entry.late) {
    emit('the cached value is switched', w => Object.assign(w.entry, { late: false, value: w.entry.base, base: '' }));
  }
  if (entry.value === '') fetch(world, 'F', emit);
  if (entry.suspect && protocol.addWindow && !isUnderWay(world, 'add')) fetch(world, 'V', emit);
  if (setting.serve !== 'nodes' || entry.value === '' || entry.value === ABSENT || entry.replicaIn) return;
  copySteps(setting, world, emit);
}

/**
 * What the replica holds is learnt at once: older knowledge would do no harm, as every copy compares or adds. Refused
 * copies (EX, NF, NS) tell nothing more, so they get no answer.
 */
function copySteps({ protocol }: Setting, world: World, emit: Emit): void {
  const { entry } = world;
  const held = world.nodes[1]?.cas ?? NO_ITEM;
  if (entry.replicaCas !== held) {
    emit('the balancer learns what the replica holds', w => {
      w.entry.replicaCas = held;
    });
  }
  if (entry.replicaCas === UNKNOWN || world.budget.copies === 0) return;
  const isAdding = isUnderWay(world, 'copyAdd');
  if (isAdding && (protocol.replicaAddWindow || entry.replicaCas === NO_ITEM)) return;
  const { value, replicaCas: cas } = entry;
  const copy = cas === NO_ITEM ? datagram('copyAdd', 1, 'B', { value }) : datagram('copy', 1, 'C', { cas, value });
  if (world.net.some(d => d.text === copy.text)) return;
  emit(cas === NO_ITEM ? 'the copy is added' : 'the copy is sent', w => {
    w.budget.copies--;
    send(w, copy);
  });
}

function fetch(world: World, business: string, emit: Emit): void {
  if (world.net.some(d => d.of === business && d.fresh)) return;
  emit(`the balancer asks home (${business})`, w => send(w, datagram('fetch', 0, business)));
}

/** Promotion, demotion, a home that dies. */
function comingSteps(setting: Setting, world: World, emit: Emit): void {
  const { entry, budget } = world;
  const { protocol } = setting;
  if (entry.mode === 'COLD' && budget.promotions > 0) {
    emit('promotion begins', w => {
      w.budget.promotions--;
      w.entry.mode = 'DRAINING';
      moveVersion(w);
    });
  }
  if (entry.mode === 'DRAINING' && !(protocol.drain && isUnderWay(world, 'cold'))) fetch(world, 'P', emit);
  const isBound = entry.suspect && protocol.addWindow;
  const mayLeave = entry.mode === 'CLEAN' || (entry.mode === 'UNSURE' && protocol.leaveUnsure);
  if (mayLeave && budget.demotions > 0 && !isBound && !entry.late) {
    emit('demotion', w => {
      w.budget.demotions--;
      moveVersion(w);
      leave(w.entry);
      if (protocol.deleteCopies && setting.serve === 'nodes') w.entry.mode = 'LEAVING';
    });
  }
  if (entry.mode === 'LEAVING' && !isUnderWay(world, 'copyAdd') && !world.net.some(d => d.of === 'E')) {
    emit('the copy is deleted', w => send(w, datagram('erase', 1, 'E')));
  }
  if (entry.mode === 'COLD' && budget.failovers > 0) emit('home dies, the replica takes its place', failOver);
}

function failOver(world: World): void {
  world.budget.failovers--;
  world.nodes = [world.nodes[1], null];
  const left = world.net.filter(d => d.node === 1 || d.type === 'value' || d.type === 'done');
  world.net = [];
  for (const d of left) send(world, datagram(d.type, 0, d.of, d));
  world.phase = world.phase.map(phase => (phase === 'replica' ? 'home' : phase));
}

/** Datagrams that can change nothing any more are as good as expired; answers that wait for nobody, too. */
function tidy(setting: Setting, world: World): void {
  if (!world.net.every(d => matters(setting, world, d))) world.net = world.net.filter(d => matters(setting, world, d));
}

function matters({ ops, protocol }: Setting, world: World, d: Datagram): boolean {
  const { entry } = world;
  if (typeof d.of === 'number') {
    const op = ops[d.of]!;
    const phase = currentOf(ops, world, op.client) === op ? world.phase[op.client] : '';
    if (d.type === 'read') return phase === (d.node === 0 ? 'home' : 'replica');
    if (d.type === 'value') return phase === (d.node === 0 ? 'home' : 'replica');
    if (d.type === 'done') return phase === 'cold';
    if (d.type === 'cold' || d.type === 'add') return true;
    const isCurrent = entry.current === op.id;
    if (d.type !== 'store') return isCurrent;
    return isCurrent || d.cas === 0 || world.nodes[0]?.cas === d.cas;
  }
  switch (d.of) {
    case 'F':
      return d.fresh || !protocol.versionCheck;
    case 'K':
      return isRequest(d) && world.nodes[0]?.cas === d.cas;
    case 'U':
      return d.type === 'move' ? world.nodes[0]?.cas === d.cas || (d.fresh && entry.mode === 'UNSURE') : d.fresh;
    case 'C':
      if (!isRequest(d)) return d.type === 'HD' && d.fence === entry.replicaCas;
      return world.nodes[1]?.cas === d.cas || entry.replicaCas === d.cas;
    case 'B':
      return isRequest(d) || (d.type === 'HD' && entry.replicaCas === NO_ITEM);
    case 'E':
      return isRequest(d) ? world.nodes[1] !== null || entry.mode === 'LEAVING' : entry.mode === 'LEAVING';
    default:
      return d.fresh;
  }
}

export function name(op: Op): string {
  const verbs = { R: 'get', S: `set ${op.letter}`, A: `append ${op.letter}`, D: 'delete', N: `add ${op.letter}` };
  return `client ${op.client}'s ${verbs[op.kind]}`;
}

function describe({ ops }: Setting, d: Datagram): string {
  const whose = typeof d.of === 'number' ? name(ops[d.of]!) : `own ${d.of}`;
  const parts = [d.type, `(${whose})`];
  if (d.cas > 0) parts.push(`cas ${d.cas}`);
  if (d.value !== '') parts.push(`"${d.value}"`);
  return parts.join(' ');
}
