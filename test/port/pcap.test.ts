/** The lane's side of a pcap port; the feed is played by the test, from the layout alone. */
import { beforeEach, describe, expect, test } from 'vitest';
import { Arena } from '../../src/mem/arena.ts';
import { PcapPort } from '../../src/port/pcap.ts';
import { allocatePcap, DROPPED, isPcap, type PcapDescription, pcapByteLength } from '../../src/port/pcap-layout.ts';
import {
  DROP,
  FLAG_TRUNCATED,
  HEADROOM_BYTES,
  PORT_COUNTERS,
  REFUSED,
  ROW_FLAGS,
  ROW_LENGTH,
  ROW_OFFSET,
  ROW_VERDICT,
  ROW_WORDS,
  VERDICT_GROUP_SHIFT,
} from '../../src/port/port.ts';
import { partialFlags, request } from '../support/lane-bed.ts';

const SLOTS = 8;
const ID = 1;
const BATCH_ROWS = 64;
/** Words of the state, as pcap-layout.ts draws them. */
const [RECEIVED_PUT, RECEIVED_TAKEN, ROWS, SENT_PUT, SENT_TAKEN] = [0, 16, 17, 18, 32];
const [FRAME, FLAGS] = [34, 4];

/** The words start here, so that they wrap within a test. */
const START = 0x7ffffffe;

let arena: Arena;
let description: PcapDescription;
let port: PcapPort;
let batch: Int32Array;

beforeEach(() => {
  arena = Arena.create(pcapByteLength(SLOTS) + BATCH_ROWS * ROW_WORDS * 4 + 64);
  description = {
    transport: 'pcap',
    id: ID,
    name: 'test',
    handle: -1,
    mtu: 1500,
    macHigh: 0x0200,
    macLow: 7,
    slots: SLOTS,
    ...allocatePcap(arena, SLOTS, 1500),
  };
  for (const word of [RECEIVED_PUT, RECEIVED_TAKEN, SENT_PUT, SENT_TAKEN]) setState(word, START);
  port = new PcapPort(description, arena);
  batch = new Int32Array(arena.buffer, arena.allocate(BATCH_ROWS * ROW_WORDS * 4), BATCH_ROWS * ROW_WORDS);
});

function state(word: number): number {
  return arena.words[(description.stateOffset >> 2) + word]!;
}

function setState(word: number, value: number): void {
  arena.words[(description.stateOffset >> 2) + word] = value;
}

/** A frame comes out of libpcap. */
function feed(frame: Uint8Array, flags = 0): void {
  const put = state(RECEIVED_PUT);
  const slot = description.receiveOffset + (put & (SLOTS - 1)) * description.slotBytes;
  arena.bytes.set(frame, slot + FRAME);
  arena.view.setInt32(slot, frame.length, true);
  arena.view.setInt32(slot + FLAGS, flags, true);
  setState(RECEIVED_PUT, (put + 1) | 0);
}

/** Frames on their way to libpcap. */
function fetched(): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let taken = state(SENT_TAKEN); taken !== state(SENT_PUT); taken = (taken + 1) | 0) {
    const slot = description.sendOffset + (taken & (SLOTS - 1)) * description.slotBytes;
    frames.push(arena.bytes.slice(slot + FRAME, slot + FRAME + arena.view.getInt32(slot, true)));
  }
  setState(SENT_TAKEN, state(SENT_PUT));
  return frames;
}

function receive(rowsMax = BATCH_ROWS): { frame: Uint8Array; flags: number; verdict: number }[] {
  const rows = port.receive(batch, rowsMax);
  return Array.from({ length: rows }, (_, i) => {
    const row = batch.subarray(i * ROW_WORDS);
    const offset = row[ROW_OFFSET]!;
    const frame = arena.bytes.slice(offset, offset + row[ROW_LENGTH]!);
    return { frame, flags: row[ROW_FLAGS]!, verdict: row[ROW_VERDICT]! };
  });
}

/** Puts frames into claimed places and sends them. */
function send(frames: readonly { frame: Uint8Array; flags?: number; verdict?: number; length?: number }[]): number {
  for (const [i, { frame, flags = 0, verdict = ID, length = frame.length }] of frames.entries()) {
    const offset = port.claim();
    arena.bytes.set(frame, offset);
    batch.set([offset, length, flags, verdict], i * ROW_WORDS);
  }
  return port.transmit(batch, frames.length);
}

function counter(name: (typeof PORT_COUNTERS)[number]): number {
  return port.counters[PORT_COUNTERS.indexOf(name)]!;
}

const frames = Array.from({ length: 20 }, (_, n) => request(`get key-${n}\r\n`));

describe('receive', () => {
  test('hands over what the feed has put there, in order, with its flags', () => {
    feed(frames[0]!);
    feed(frames[1]!, FLAG_TRUNCATED);
    expect(receive()).toEqual([
      { frame: frames[0], flags: 0, verdict: DROP },
      { frame: frames[1], flags: FLAG_TRUNCATED, verdict: DROP },
    ]);
    expect(receive()).toEqual([]);
    expect([counter('received_frames'), counter('receive_batches')]).toEqual([2, 1]);
    expect(counter('received_bytes')).toBe(frames[0]!.length + frames[1]!.length);
  });

  test('a slot is the feed’s again once it was released, batch by batch, around the ring and the words', () => {
    for (let n = 0; n < 20; n += 2) {
      feed(frames[n]!);
      feed(frames[n + 1]!);
      expect(receive(1).map(({ frame }) => frame)).toEqual([frames[n]]);
      expect(state(RECEIVED_TAKEN)).toBe((START + n) | 0);
      port.release();
      expect(state(RECEIVED_TAKEN)).toBe((START + n + 1) | 0);
      expect(receive(1).map(({ frame }) => frame)).toEqual([frames[n + 1]]);
      port.release();
    }
  });

  test('what a crashed lane had in work is discarded by the next one, and nothing else', () => {
    for (const frame of frames.slice(0, 5)) feed(frame);
    receive(3);
    expect(state(ROWS)).toBe(3);
    port = new PcapPort(description, arena);
    expect(port.discardInterrupted()).toBe(3);
    expect(state(RECEIVED_TAKEN)).toBe((START + 3) | 0);
    expect(receive().map(({ frame }) => frame)).toEqual(frames.slice(3, 5));
    port.release();
    expect(new PcapPort(description, arena).discardInterrupted()).toBe(0);
  });

  test('what the feed had no room for is counted', () => {
    setState(DROPPED, 3);
    port.refreshCounters();
    expect(counter('ring_dropped')).toBe(3);
  });
});

describe('transmit', () => {
  test('copies the rows that name it, whatever their group, and leaves the others', () => {
    const sent = send([
      { frame: frames[0]! },
      { frame: frames[1]!, verdict: DROP },
      { frame: frames[2]!, verdict: 0 },
      { frame: frames[3]!, verdict: ID | (5 << VERDICT_GROUP_SHIFT) },
    ]);
    expect(sent).toBe(2);
    expect(fetched()).toEqual([frames[0], frames[3]]);
    expect([counter('transmitted_frames'), counter('transmit_calls'), counter('transmit_refused')]).toEqual([2, 1, 0]);
    expect(counter('transmitted_bytes')).toBe(frames[0]!.length + frames[3]!.length);
    expect(port.transmit(batch, 0)).toBe(0);
    expect(counter('transmit_calls')).toBe(1);
  });

  test('completes a partial checksum: there is no kernel behind libpcap to do it', () => {
    send([{ frame: request('get k\r\n', { checksum: 'partial' }), flags: partialFlags() }]);
    expect(fetched()).toEqual([request('get k\r\n')]);
  });

  test('refuses what is too long or too short, and what comes into a full ring', () => {
    send([{ frame: frames[0]!, length: 1515 }, { frame: frames[0]!, length: 13 }, { frame: frames[1]! }]);
    expect([0, 1, 2].map(row => batch[row * ROW_WORDS + ROW_VERDICT])).toEqual([REFUSED, REFUSED, ID]);
    expect(send(frames.slice(0, 10).map(frame => ({ frame })))).toBe(SLOTS - 1);
    expect([6, 7, 9].map(row => batch[row * ROW_WORDS + ROW_VERDICT])).toEqual([ID, REFUSED, REFUSED]);
    expect(fetched()).toEqual([frames[1], ...frames.slice(0, SLOTS - 1)]);
    expect(counter('transmit_refused')).toBe(5);
    expect(send([{ frame: frames[9]! }])).toBe(1);
    expect(fetched()).toEqual([frames[9]]);
  });

  test('lends frames with headroom, a bounded number, anew after each transmit', () => {
    const offsets = Array.from({ length: 64 }, () => port.claim());
    expect(port.claim()).toBe(-1);
    expect(new Set(offsets).size).toBe(64);
    for (const offset of offsets) expect((offset - HEADROOM_BYTES) >> 6).toBe(offset >> 6);
    port.transmit(batch, 0);
    expect(port.claim()).toBe(offsets[0]);
  });
});

test('descriptions are told apart', () => {
  expect(isPcap(description)).toBe(true);
  expect(isPcap({ handle: 3 })).toBe(false);
});
