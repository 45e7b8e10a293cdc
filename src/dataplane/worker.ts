/** The task of a pool thread: one lane, until its STOP word says so. Shared memory is all it hears and says. */
import { Arena } from '../mem/arena.ts';
import { widenInlining } from '../mem/inlining.ts';
import { attachPort } from '../port/open.ts';
import type { Port } from '../port/port.ts';
import { loadShim, type Shim } from '../port/shim.ts';
import type { LanePort } from '../port/shim-port.ts';
import { COUNT } from './counters.ts';
import { Idle } from './idle.ts';
import { BATCH_BYTES, Lane } from './lane.ts';
import { BATCH_ROWS } from './list.ts';
import { rehearse } from './rehearsal.ts';
import {
  CONTROL_BEAT,
  CONTROL_BELL,
  CONTROL_HELD,
  CONTROL_STATE,
  CONTROL_STOP,
  LANE_RUNNING,
  LANE_STOPPED,
  type LaneSetup,
} from './setup.ts';

const US_PER_MS = 1000;
/** Longest sleep when the kernel's poll does not see every port, µs. */
const BLIND_WAIT_US = 500;
/** More than rings hold is not thrown away, ms. */
const DISCARD_MS_MAX = 50;

export default function runLane(setup: LaneSetup): void {
  widenInlining();
  const shim = loadShim();
  if (setup.cpu >= 0) shim.pinThread(setup.cpu);
  const arena = Arena.attach(setup.arena);
  const batch = new Int32Array(setup.arena, setup.batchOffset, BATCH_BYTES / 4);
  const control = new Int32Array(setup.arena, setup.controlOffset, 16);
  const { rehearsal } = setup;
  setup.rehearsal = undefined; // its memory is not needed any more
  if (rehearsal !== undefined) rehearse(rehearsal, () => Atomics.load(control, CONTROL_STOP) !== 0);
  const ports = setup.ports.map(description => attachPort(description, arena));
  const held = control.subarray(CONTROL_HELD, CONTROL_HELD + 1);
  const clockOffset = performance.timeOrigin - setup.timeOrigin;
  const lane = new Lane(setup, arena, Arena.attach(setup.shared), ports, batch, held, performance.now() + clockOffset);
  discardInterrupted(lane, ports);
  if (rehearsal !== undefined) discardMissed(lane, ports, batch);
  const idle = new Idle(
    waitFor(ports, shim, control),
    () => shim.yieldThread(),
    setup.spinUs,
    setup.waitMs * US_PER_MS,
    lane.path.memory.counters,
  );
  turn(lane, idle, control, clockOffset);
  lane.refreshCounters();
}

/** What came while the lane rehearsed has waited too long: its clients may have given it up, a write may be out of date. */
function discardMissed(lane: Lane, ports: readonly LanePort[], batch: Int32Array): void {
  const { counters } = lane.path.memory;
  const endMs = performance.now() + DISCARD_MS_MAX;
  for (const port of ports) {
    let rows = port.receive(batch, BATCH_ROWS);
    while (rows > 0 && performance.now() < endMs) {
      port.release(batch, rows);
      counters[COUNT.drop_not_started] += rows;
      rows = port.receive(batch, BATCH_ROWS);
    }
    port.release(batch, rows);
    counters[COUNT.drop_not_started] += rows;
  }
}

/** How the lane sleeps: in the kernel's poll, or, where all ports are libpcap's, until their feed rings the bell. */
function waitFor(ports: readonly Port[], shim: Shim, control: Int32Array): (timeoutUs: number) => void {
  const handles = Int32Array.from(ports.map(port => port.handle).filter(handle => handle >= 0));
  if (handles.length === ports.length) return timeoutUs => shim.wait(handles, handles.length, timeoutUs);
  if (handles.length > 0) return () => shim.wait(handles, handles.length, BLIND_WAIT_US);
  let seen = 0;
  return timeoutUs => {
    // A bell that rang since the last look may be for frames that came behind this cycle's receive.
    if (Atomics.load(control, CONTROL_BELL) === seen) {
      Atomics.wait(control, CONTROL_BELL, seen, timeoutUs / US_PER_MS);
    }
    seen = Atomics.load(control, CONTROL_BELL);
  };
}

function discardInterrupted(lane: Lane, ports: readonly LanePort[]): void {
  const { counters } = lane.path.memory;
  for (const port of ports) counters[COUNT.drop_lane_crash] += port.discardInterrupted();
}

/** The cycle that has just ended found work: its time is what lies between the clocks of two cycles. */
function countWork(counters: Float64Array, ms: number): void {
  counters[COUNT.busy_cycles] += 1;
  counters[COUNT.busy_us] += ms * US_PER_MS;
}

/** The duty cycle. The clock is read once a cycle, and once more after a sleep. */
function turn(lane: Lane, idle: Idle, control: Int32Array, clockOffset: number): void {
  const { counters } = lane.path.memory;
  Atomics.store(control, CONTROL_STATE, LANE_RUNNING);
  let workSinceMs = -1;
  while (Atomics.load(control, CONTROL_STOP) === 0) {
    const nowMs = performance.now() + clockOffset;
    if (workSinceMs >= 0) countWork(counters, nowMs - workSinceMs);
    control[CONTROL_BEAT] = (control[CONTROL_BEAT] + 1) | 0;
    const frames = lane.cycle(nowMs);
    workSinceMs = frames === 0 ? -1 : nowMs;
    if (frames !== 0) {
      idle.busy(nowMs, frames);
    } else if (idle.idle(nowMs)) {
      counters[COUNT.idle_us] += (performance.now() + clockOffset - nowMs) * US_PER_MS;
    }
  }
  lane.leave();
  Atomics.store(control, CONTROL_STATE, LANE_STOPPED);
}
