/**
 * A station that says whole Ethernet frames and hears all that arrive on its interface, beside the kernel's own stack.
 *
 *     node raw-station.js INTERFACE
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Arena } from '../../../src/mem/arena.ts';
import { afPacketByteLength, openAfPacket } from '../../../src/port/af-packet.ts';
import { BATCH_ROWS_MAX, ROW_FLAGS, ROW_LENGTH, ROW_OFFSET, ROW_VERDICT, ROW_WORDS } from '../../../src/port/port.ts';
import { answerLines } from './answer-lines.ts';

const RING_FRAMES = 1024;
const PORT_ID = 0;
const BATCH_BYTES = BATCH_ROWS_MAX * ROW_WORDS * 4;

export interface Telling {
  /** Frames to send, base64, in this order. */
  readonly send: readonly string[];
  /** The frame to wait for: the first that has these bytes (base64) there … */
  readonly until: { readonly offset: number; readonly bytes: string };
  /** … or until this time is over, ms. */
  readonly timeoutMs: number;
}

export interface Heard {
  /** Frames that arrived since the last telling, base64, in order. */
  readonly frames: readonly string[];
  /** Whether the awaited frame came. */
  readonly complete: boolean;
}

const arena = Arena.create(afPacketByteLength(RING_FRAMES) + BATCH_BYTES + 65536);
const port = openAfPacket({ id: PORT_ID, interfaceName: process.argv[2]!, arena, ringFrames: RING_FRAMES });
const batch = new Int32Array(arena.buffer, arena.allocate(BATCH_BYTES), BATCH_BYTES / 4);

function send(frame: Uint8Array): void {
  const offset = port.claim();
  arena.bytes.set(frame, offset);
  batch[ROW_OFFSET] = offset;
  batch[ROW_LENGTH] = frame.length;
  batch[ROW_FLAGS] = 0;
  batch[ROW_VERDICT] = PORT_ID;
  if (port.transmit(batch, 1) !== 1) throw new Error(`${port.name} would not take a frame of ${frame.length} bytes`);
}

function receive(): Buffer[] {
  const rows = port.receive(batch, BATCH_ROWS_MAX);
  const frames = Array.from({ length: rows }, (_, row) => {
    const offset = batch[row * ROW_WORDS + ROW_OFFSET]!;
    return Buffer.from(arena.bytes.slice(offset, offset + batch[row * ROW_WORDS + ROW_LENGTH]!));
  });
  port.release(batch, rows);
  return frames;
}

async function tell({ send: outgoing, until, timeoutMs }: Telling): Promise<Heard> {
  const mark = Buffer.from(until.bytes, 'base64');
  const frames: string[] = [];
  for (const frame of outgoing) send(Buffer.from(frame, 'base64'));
  for (const deadline = performance.now() + timeoutMs; performance.now() < deadline; await sleep(1)) {
    const arrived = receive();
    frames.push(...arrived.map(frame => frame.toString('base64')));
    const isAwaited = (frame: Buffer) => frame.subarray(until.offset, until.offset + mark.length).equals(mark);
    if (arrived.some(isAwaited)) return { frames, complete: true };
  }
  return { frames, complete: false };
}

await answerLines(tell);
