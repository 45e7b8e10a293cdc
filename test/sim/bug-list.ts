/** Bugs to sow: the text that is there, the text that stands in its place, and a run that finds it. */
import { FAIR, type Hop, type Weather } from './network.ts';
import type { PlanOptions } from './plan.ts';
import type { Simulation, SimulationOptions } from './simulation.ts';

export interface Edit {
  /** Of the built program, from `src` on. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

export interface Bug {
  readonly name: string;
  readonly edits: readonly Edit[];
  readonly plan: PlanOptions;
  /** Of a run that finds it, and operations that it takes. */
  readonly seed: number;
  readonly operations: number;
  readonly options?: SimulationOptions;
  readonly prepare?: (simulation: Simulation) => void;
}

const WEATHER = new Set(['loss', 'duplicate', 'delay', 'reorder'] as const);
const ROUGH = { loss: 0.1, duplicate: 0.05, minMs: 0.1, meanMs: 10, maxMs: 50, stragglers: 0.005, reorders: true };
const KEYS = 4;

/** Few keys of one family, all of them hot. */
function hot(family: 'register' | 'list' | 'counter', more = '', epochMs = 100): PlanOptions {
  const pin = Array.from({ length: KEYS }, (_, i) => `${family[0]}${i}`).join(', ');
  return {
    mode: 'nat',
    arms: 2,
    lanes: 2,
    nodes: 3,
    faults: WEATHER,
    faultMs: 50,
    worst: ROUGH,
    workload: {
      keys: KEYS,
      skew: 0,
      reads: 0.6,
      ttls: 0,
      large: 0,
      noreply: 0,
      multiget: 0.2,
      lists: family === 'list' ? 1 : 0,
      counters: family === 'counter' ? 1 : 0,
    },
    config: `hot: { keys: 64, l1_keys: 16, detector_bytes: 16384, epoch_ms: ${epochMs}, keep_s: 0, write_share_max: 1, pin: [${pin}]${more} }\n`,
  };
}

/** CAS ids are of one start of a node each: after another start they are not compared. */
function compareNoCas(simulation: Simulation): void {
  for (const { startsMs } of simulation.nodes) startsMs.push(simulation.plan.startMs + 1);
}

/** One hop has this weather all the time, the others are fair. */
function always(hop: Hop, weather: Partial<Weather>): (simulation: Simulation) => void {
  const rough = { ...FAIR, reorders: true, ...weather };
  return simulation => simulation.setWeather(other => (other === hop ? rough : FAIR));
}

const WRITES = 'dataplane/hot/writes.js';
const WRITE_IN_HAND = 'dataplane/hot/write-in-hand.js';
const FILLS = 'dataplane/hot/fills.js';
const STAGE = 'dataplane/hot/stage.js';
const HOT = 'dataplane/hot/hot.js';

/** A value that passes on its way to a client is cached, whatever has happened since it was asked for. */
const PASSING_FILL: readonly Edit[] = [
  {
    file: HOT,
    from: 'if (!isRead || isMiss(told))\n            this.upkeep.invalidate(item);',
    to: 'if (!isRead || isMiss(told)) this.upkeep.invalidate(item); else this.fills.takePassing(item, told);',
  },
  {
    file: FILLS,
    from: '    #takeAbsence(item, sentMs) {',
    to: `    takePassing(item, told) {
        const { words, lane, nowMs } = this.#keys;
        const { bytes } = this.#path.memory;
        const at = told[OUT_VALUE_OFFSET];
        const text = Buffer.from(bytes.subarray(Math.max(0, at - 300), at)).toString('latin1');
        const line = /VALUE \\S+ (\\d+) (\\d+)(?: \\d+)?\\r\\n$/.exec(text);
        if (line === null || directory.stateOf(words, item) !== directory.CLEAN || !directory.tryLock(words, item, lane)) return;
        const begun = directory.beginChange(words, item);
        const isKept = this.install(item, bytes, at, Number(line[2]), Number(line[1]), nowMs, NEVER);
        directory.endChange(words, item, directory.CLEAN, isKept ? directory.VALUED : 0, begun);
        directory.unlock(words, item);
    }
    #takeAbsence(item, sentMs) {`,
  },
];

export const BUGS: readonly Bug[] = [
  {
    name: 'unfenced retransmission',
    edits: [
      {
        file: WRITE_IN_HAND,
        from: 'if (!creates)\n            line.fence(',
        to: 'if (!creates && this.#ops[operation + op.TRIES] === 0)\n            line.fence(',
      },
    ],
    plan: hot('list'),
    seed: 10,
    operations: 100,
  },
  {
    name: 'old value served while WRITING, a read being under way at home',
    edits: [
      {
        file: 'coherence/directory.js',
        from: ' && Atomics.load(words, item + LEAKED) === 0;',
        to: ';',
      },
    ],
    plan: {
      ...hot('register'),
      worst: { ...ROUGH, loss: 0.4, stragglers: 0.05 },
      workload: { ...hot('register').workload, reads: 0.7 },
    },
    seed: 113,
    operations: 120,
  },
  {
    name: 'a read under way at home forgotten',
    edits: [
      {
        file: 'dataplane/answered.js',
        from: 'if (this.#slots.isOutstanding(word) && ',
        to: 'if (false && ',
      },
    ],
    plan: {
      ...hot('register'),
      worst: { ...ROUGH, loss: 0.4, stragglers: 0.05 },
      workload: { ...hot('register').workload, reads: 0.7 },
    },
    seed: 30,
    operations: 200,
  },
  {
    name: 'promotion without draining',
    edits: [
      {
        file: 'dataplane/hot/upkeep.js',
        from: 'isOldEnough && this.#keys.isDrained(words[item + ITEM_KEY_HASH]) && ',
        to: '',
      },
    ],
    plan: {
      ...hot('register'),
      config: '',
      hot: true,
      mode: 'dsr',
      faults: new Set(['delay', 'reorder']),
      faultMs: 20,
      worst: { ...ROUGH, meanMs: 25 },
    },
    seed: 6,
    operations: 235,
  },
  {
    name: 'fill without version check',
    edits: [
      {
        file: FILLS,
        from: 'const isStale = Atomics.load(words, item + directory.VERSION) !== ops[operation + op.SEEN] ||\n            ',
        to: 'const isStale = ',
      },
      {
        file: FILLS,
        from: 'if (Atomics.load(words, item + directory.VERSION) === ops[operation + op.SEEN]) {',
        to: 'if (true) {',
      },
    ],
    plan: { ...hot('list'), faults: new Set() },
    prepare: always('node→nf', { meanMs: 15, maxMs: 40 }),
    seed: 56,
    operations: 100,
  },
  {
    name: 'client answered before the switch',
    edits: [
      {
        file: WRITES,
        from: '        line.at = 0;\n        return true;',
        to: '        if (step === STEP_WRITE && !isRepetition && this.#write.isStore) this.#write.answer(operation, outcome.OUTCOME_DONE);\n        line.at = 0;\n        return true;',
      },
      {
        file: WRITES,
        from: '        this.#write.answer(operation, result);\n        this.#end(',
        to: '        if (!this.#write.isStore || this.#ops[operation + op.STEP] !== STEP_WRITE) this.#write.answer(operation, result);\n        this.#end(',
      },
    ],
    plan: hot('register'),
    seed: 1,
    operations: 40,
  },
  {
    name: 'UNSURE left by a read',
    edits: [
      {
        file: WRITES,
        from: 'if ((this.#ops[operation + op.FLAGS] & WAS_UNSURE) !== 0 && isKnown && isSame)\n            return this.#move(operation);',
        to: '',
      },
    ],
    plan: {
      ...hot('list', ', datagram_life_ms: 450'),
      lifeMs: 450,
      faults: new Set(),
      workload: { ...hot('list').workload, reads: 0 },
    },
    // Often later than a write is repeated.
    prepare: always('nf→node', { meanMs: 150, maxMs: 400 }),
    seed: 109,
    operations: 400,
  },
  {
    name: 'replica admitted on an old version',
    edits: [
      {
        file: 'dataplane/hot/copies.js',
        from: 'const isCurrent = this.#isSameVersion(operation) && ',
        to: 'const isCurrent = ',
      },
    ],
    // Versions that last longer than a datagram, and an epoch longer than that, or there are no copies to be read.
    plan: {
      ...hot('register', ', cache: false, imbalance: 1.01, datagram_life_ms: 60', 300),
      lifeMs: 60,
      faults: new Set(),
      workload: { ...hot('register').workload, reads: 0.9, multiget: 0, skew: 1.5, protocols: ['classic'] },
    },
    prepare: always('nf→node', { meanMs: 15, maxMs: 40 }),
    seed: 27,
    operations: 300,
  },
  {
    name: 'md I as delete',
    edits: [
      {
        file: 'memcached/own-meta.js',
        from: 'return this.#begin(offset, DELETE, keys, key, keyBytes);',
        to: 'this.#begin(offset, DELETE, keys, key, keyBytes); this.#bytes[this.at++] = 0x20; this.#bytes[this.at++] = 0x49; return this;',
      },
    ],
    plan: hot('register'),
    seed: 14,
    operations: 40,
  },
  {
    name: 'un-flushed rejoin',
    edits: [
      {
        file: 'control/health/node-health.js',
        from: 'this.#settings.flushOnReturn ? RETURNING : HEALTHY',
        to: 'HEALTHY',
      },
    ],
    plan: {
      ...hot('list'),
      config: '',
      hot: false,
      faults: new Set(),
      workload: { ...hot('list').workload, keys: 100, reads: 0.8 },
    },
    options: { isWhole: true },
    prepare: simulation => {
      compareNoCas(simulation);
      const [node] = simulation.nodes;
      simulation.later(100, () => simulation.setCut(node!, true));
      simulation.later(1000, () => simulation.setCut(node!, false));
    },
    seed: 1,
    operations: 156,
  },
  {
    name: 'deadline one second late',
    edits: [
      { file: FILLS, from: '(ttl - 1) * MS_PER_S', to: 'ttl * MS_PER_S' },
      {
        file: FILLS,
        from: 'const seconds = Math.min(ttl, TTL_S_MAX) - 1;',
        to: 'const seconds = Math.min(ttl, TTL_S_MAX);',
      },
    ],
    plan: {
      ...hot('register', ', ttl_guard_ms: 0, refresh_ms: 5000'),
      worst: { ...ROUGH, loss: 0.3 },
      workload: { ...hot('register').workload, ttls: 0.7, reads: 0.9 },
    },
    seed: 19,
    operations: 2000,
  },
  { name: 'fill from a passing reply', edits: PASSING_FILL, plan: hot('register'), seed: 7, operations: 100 },
  {
    name: 'request carried out twice within 2 s',
    edits: [
      {
        file: 'dataplane/hot/repeats.js',
        from: 'find(client, portAndId, hash, nowMs) {',
        to: 'find(client, portAndId, hash, nowMs) {\n        return -1;',
      },
    ],
    plan: hot('list'),
    options: { ghosts: false },
    seed: 7,
    operations: 100,
  },
  {
    name: 'NetCache: invalidated without a fence, filled from passing replies',
    edits: [
      ...PASSING_FILL,
      {
        file: STAGE,
        from: 'if (phase === directory.FREE || phase === directory.LEAVING) {',
        to: 'if (phase === directory.CLEAN) upkeep.invalidate(item);\n        if (phase !== directory.PROMOTING) {',
      },
    ],
    plan: hot('register'),
    seed: 2,
    operations: 100,
  },
];
