/** The task of a pool thread, on a thread: a lane between real interfaces, told what to do through shared memory alone. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { configFromFlags } from '../../src/control/config/load.ts';
import { planRehearsal } from '../../src/control/rehearsal-plan.ts';
import { LANE_COUNTERS } from '../../src/dataplane/counters.ts';
import { gathersByteLength } from '../../src/dataplane/gather.ts';
import { HOLDING_BYTES } from '../../src/dataplane/holding.ts';
import { BATCH_BYTES } from '../../src/dataplane/lane.ts';
import { latencyByteLength } from '../../src/dataplane/latency.ts';
import { laneCountersByteLength, nodeCountersByteLength } from '../../src/dataplane/memory.ts';
import { OUTBOX_BYTES } from '../../src/dataplane/outbox.ts';
import { Parking } from '../../src/dataplane/parking.ts';
import type { RehearsalSetup } from '../../src/dataplane/rehearsal.ts';
import {
  CONTROL_BEAT,
  CONTROL_BYTES,
  CONTROL_STATE,
  CONTROL_STOP,
  LANE_RUNNING,
  LANE_STARTING,
  LANE_STOPPED,
  type LaneSetup,
} from '../../src/dataplane/setup.ts';
import { slotTableByteLength } from '../../src/dataplane/slot-table.ts';
import { Arena } from '../../src/mem/arena.ts';
import { NOTE_BYTES } from '../../src/memcached/miss-reply.ts';
import { AfPacketPort, afPacketByteLength, describeAfPacket } from '../../src/port/af-packet.ts';
import { loadShim } from '../../src/port/shim.ts';
import type { PortDescription } from '../../src/port/shim-port.ts';
import { arpReply, arpRequest, hex } from '../support/frames.ts';
import {
  ALICE,
  judge,
  LaneBed,
  MC1,
  macWords,
  NF_CLIENT_MAC,
  NF_SERVER_MAC,
  OWN,
  reply,
  request,
  toClient,
  toNode,
  VIP,
} from '../support/lane-bed.ts';
import { type Heard, type TestPort, VethBed } from '../support/lane-bed-veth.ts';
import { requireBuild, requireNamespaces, requireShim } from '../support/requirements.ts';

const RING_FRAMES = 64;
const GET = 'get k\r\n';
const VALUE = 'VALUE k 0 1\r\nx\r\nEND\r\n';

/** A lane's arena and setup as the conductor makes them, between the interfaces `c` and `s` of a bed. */
class Stage {
  readonly world = new LaneBed({ resolved: false });
  readonly bed = new VethBed('cx', 'sy');
  readonly arena: Arena;
  readonly setup: LaneSetup;
  readonly control: Int32Array;
  readonly counters: Float64Array;
  /** What lies at the other ends: the client's wire, the node's wire. */
  readonly client: TestPort;
  readonly node: TestPort;

  constructor() {
    const like = this.world.setup();
    const slots = slotTableByteLength(like.slots);
    const parking = Parking.byteLength(like.parkingFrames, 2048);
    const gathers = gathersByteLength(like.multiget);
    this.arena = Arena.create(slots + parking + gathers + 2 * afPacketByteLength(RING_FRAMES) + BATCH_BYTES + 65_536);
    this.setup = {
      ...like,
      arena: this.arena.buffer,
      shared: this.world.shared.buffer,
      ports: [this.#describe('c', 0, NF_CLIENT_MAC), this.#describe('s', 1, NF_SERVER_MAC)],
      slotsOffset: this.arena.allocate(slots),
      parkingOffset: this.arena.allocate(parking),
      holdingOffset: this.arena.allocate(HOLDING_BYTES),
      countersOffset: this.arena.allocate(laneCountersByteLength()),
      nodeCountersOffset: this.arena.allocate(nodeCountersByteLength(like.nodesMax)),
      outboxOffset: this.arena.allocate(2 * OUTBOX_BYTES),
      gathersOffset: this.arena.allocate(gathers),
      missNotesOffset: this.arena.allocate(like.slots * NOTE_BYTES),
      latencyOffset: this.arena.allocate(latencyByteLength()),
      controlOffset: this.arena.allocate(CONTROL_BYTES),
      batchOffset: this.arena.allocate(BATCH_BYTES),
      spinUs: 100,
      waitMs: 20,
      cpu: 0,
      timeOrigin: performance.timeOrigin,
    };
    this.control = new Int32Array(this.arena.buffer, this.setup.controlOffset, 16);
    this.counters = new Float64Array(this.arena.buffer, this.setup.countersOffset, LANE_COUNTERS.length);
    this.client = this.bed.open('x');
    this.node = this.bed.open('y');
  }

  count(name: string): number {
    return this.counters[LANE_COUNTERS.indexOf(name)]!;
  }

  /** Starts the built worker on a thread; resolves once the lane turns, to the promise of its end. */
  async start(rehearsal?: RehearsalSetup): Promise<{ ended: Promise<unknown> }> {
    Atomics.store(this.control, CONTROL_STOP, 0);
    Atomics.store(this.control, CONTROL_STATE, LANE_STARTING);
    const url = new URL('../../dist/src/dataplane/worker.js', import.meta.url).href;
    const source = `import(${JSON.stringify(url)}).then(({ default: run }) => run(require('node:worker_threads').workerData))`;
    const worker = new Worker(source, { eval: true, workerData: { ...this.setup, rehearsal } });
    const ended = once(worker, 'exit'); // rejects when the thread dies of an error
    await Promise.race([ended, eventually(() => Atomics.load(this.control, CONTROL_STATE) === LANE_RUNNING)]);
    return { ended };
  }

  async stop({ ended }: { ended: Promise<unknown> }): Promise<void> {
    Atomics.store(this.control, CONTROL_STOP, 1);
    await ended;
  }

  async remove(): Promise<void> {
    for (const { handle } of this.setup.ports) loadShim().close(handle);
    await this.bed.remove();
  }

  /** The NF's own Ethernet address in place of the interface's, so that this machine's kernel looks away. */
  #describe(end: string, id: number, mac: string): PortDescription {
    const options = { id, interfaceName: this.bed.interfaceOf(end), arena: this.arena, ringFrames: RING_FRAMES };
    const { high: macHigh, low: macLow } = macWords(mac);
    return { ...describeAfPacket(options), macHigh, macLow };
  }
}

const missing = requireNamespaces() ?? requireShim() ?? requireBuild();

describe.skipIf(missing)('a lane on a thread', () => {
  let stage: Stage;
  let lane: { ended: Promise<unknown> };

  beforeAll(async () => {
    stage = new Stage();
    lane = await stage.start();
  });

  afterAll(() => stage.remove());

  const frames = (heard: readonly Heard[]) => heard.map(({ frame }) => hex(frame));

  it('asks for its node by ARP, and answers for its own addresses', async () => {
    const [question] = await stage.node.listen(1);
    expect(judge(question!.frame, 0)).toMatchObject({ kind: 'arp', target: { ip: MC1.ip }, sender: { ip: OWN } });
    stage.node.say([arpReply({ srcMac: MC1.mac, dstMac: NF_SERVER_MAC, senderIp: MC1.ip, targetIp: OWN })]);
    stage.client.say([arpRequest({ srcMac: ALICE.mac, senderIp: ALICE.ip, targetIp: VIP })]);
    const answer = arpReply({ srcMac: NF_CLIENT_MAC, dstMac: ALICE.mac, senderIp: VIP, targetIp: ALICE.ip });
    expect(frames(await stage.client.listen(1))).toEqual([hex(answer)]);
    await eventually(() => stage.count('arp_learned') === 1);
  });

  it('brings requests to the node and replies to the client, exact to the byte', async () => {
    stage.client.say([request(GET), request(GET)]);
    expect(frames(await stage.node.listen(2))).toEqual([hex(toNode(GET)), hex(toNode(GET, { slot: 1 }))]);
    stage.node.say([reply(VALUE, { slot: 1 }), reply('END\r\n')]);
    expect(frames(await stage.client.listen(2))).toEqual([hex(toClient(VALUE)), hex(toClient('END\r\n'))]);
  });

  it('drops what is not right, and counts it by name', async () => {
    stage.client.say([request(GET, { checksum: 'bad' }), request(GET, { ttl: 1 })]);
    await eventually(() => stage.count('drop_ttl_expired') === 1);
    expect(stage.count('drop_udp_checksum')).toBe(1);
  });

  it('sleeps when nothing comes, and lives', async () => {
    const [waits, beat] = [stage.count('idle_waits'), Atomics.load(stage.control, CONTROL_BEAT)];
    await eventually(() => stage.count('idle_waits') > waits + 2);
    expect(Atomics.load(stage.control, CONTROL_BEAT)).toBeGreaterThan(beat);
    expect(stage.count('idle_us')).toBeGreaterThan(0);
  });

  it('ends when told, says so, and lets go of the table', async () => {
    await stage.stop(lane);
    expect(Atomics.load(stage.control, CONTROL_STATE)).toBe(LANE_STOPPED);
    expect([stage.world.publish([MC1]), stage.world.publish([MC1])]).toEqual([true, true]);
  });

  it('frames that lay in the hands of one that died are given back and counted; the next one goes on', async () => {
    stage.client.say([request(GET), request(GET), request(GET)]);
    const port = new AfPacketPort(stage.setup.ports[0] as PortDescription, stage.arena);
    const batch = new Int32Array(stage.arena.buffer, stage.setup.batchOffset, BATCH_BYTES / 4);
    await eventually(() => port.receive(batch, 64) === 3);
    lane = await stage.start();
    expect(stage.count('drop_lane_crash')).toBe(3);
    stage.client.say([request('get after\r\n')]);
    expect(frames(await stage.node.listen(1))).toEqual([hex(toNode('get after\r\n', { slot: 2 }))]);
    await stage.stop(lane);
  });

  it('rehearses first; what came meanwhile is too old to be sent on', async () => {
    const flags = { vip: VIP, client: 'c', server: 's', serverAddress: `${OWN}/24`, node: [`mc1=${MC1.ip}`] };
    const rehearsal = planRehearsal(configFromFlags(flags), 300);
    stage.client.say([request('set late 0 0 1\r\nx\r\n'), request(GET)]);
    const startedMs = performance.now();
    lane = await stage.start(rehearsal);
    expect(performance.now() - startedMs).toBeGreaterThan(300);
    expect(stage.count('drop_not_started')).toBe(2);
    stage.client.say([request('get after\r\n')]);
    expect(frames(await stage.node.listen(1))).toEqual([hex(toNode('get after\r\n', { slot: 3 }))]);
    await stage.stop(lane);
  });
});

/** Waits, at most 5 s, until `holds`. */
async function eventually(holds: () => boolean): Promise<void> {
  for (let tries = 0; tries < 1000 && !holds(); tries++) await new Promise(resolve => setTimeout(resolve, 5));
  expect(holds()).toBe(true);
}
