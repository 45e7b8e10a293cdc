/** Batches for native/batch.cc and its twin: the same rows through both; native under sanitizers. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { arrange, dress, joinableRows, join as joinRows, type Row, type Sender } from './batch-twin.ts';
import { compile, ROOT, reporting, reportsIn } from './sanitizer.ts';

export interface Case {
  readonly sender: Sender;
  readonly rows: readonly Row[];
  readonly memory: Uint8Array;
}

export interface Done {
  readonly frames: readonly (readonly [rows: number, first: number, hex: string])[];
  readonly verdicts: readonly number[];
  readonly memory: string;
}

export const HEADROOM = 10;
export const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** These frames, one behind the other, each with the least headroom. */
export function caseOfFrames(
  sender: Sender,
  frames: readonly (Omit<Row, 'offset' | 'length'> & { bytes: Uint8Array })[],
): Case {
  const placed = caseOf(
    sender,
    frames.map(({ bytes, flags, verdict }) => ({ length: bytes.length, flags, verdict })),
  );
  for (const [i, { bytes }] of frames.entries()) placed.memory.set(bytes, placed.rows[i]!.offset);
  return placed;
}

/** Rows of these lengths, flags and verdicts, whose frames lie one behind the other, each with the least headroom. */
export function caseOf(sender: Sender, rows: readonly Omit<Row, 'offset'>[]): Case {
  let end = 0;
  const placed = rows.map(row => {
    const offset = end + HEADROOM;
    end = offset + row.length;
    return { ...row, offset };
  });
  return { sender, rows: placed, memory: Uint8Array.from({ length: end }, (_, i) => (i * 31 + (i >> 8)) & 0xff) };
}

export function byTwin({ sender, rows, memory }: Case): Done {
  const [ours, bytes] = [rows.map(row => ({ ...row })), memory.slice()];
  const frames: [number, number, string][] = [];
  for (let order = arrange(ours, sender); order.length > 0; ) {
    const count = joinableRows(bytes, ours, order, sender);
    const [first, ...others] = order.splice(0, count) as [number, ...number[]];
    const all = [first, ...others].map(row => ours[row]!);
    frames.push([count, first, hex(count > 1 ? joinRows(bytes, all) : dress(bytes, ours[first]!, sender))]);
  }
  return { frames, verdicts: ours.map(({ verdict }) => verdict), memory: hex(bytes) };
}

/** A process of native/batch.cc for each call. */
export class NativeBatch {
  readonly #scratch = mkdtempSync(join(tmpdir(), 'keysteer-twin-'));
  readonly #program = join(this.#scratch, 'batch-driver');

  compile(): void {
    compile([`${ROOT}test/native/batch-driver.cc`, `${ROOT}native/batch.cc`], this.#program);
  }

  /** Nothing that a sanitizer reports, and nothing left over. */
  run(cases: readonly Case[]): Done[] {
    const input = Buffer.concat(cases.map(encode));
    const env = { ...process.env, ...reporting(this.#scratch) };
    const { stdout, status } = spawnSync(this.#program, { input, env, maxBuffer: 1 << 28 });
    expect(reportsIn(this.#scratch)).toBe('');
    expect(status).toBe(0);
    const reader = new Reader(stdout);
    const done = cases.map(each => reader.done(each));
    expect(reader.left).toBe(0);
    return done;
  }

  remove(): void {
    rmSync(this.#scratch, { recursive: true });
  }
}

function encode({ sender, rows, memory }: Case): Buffer {
  const words = [sender.id, sender.frameBytesMax, sender.vlan, Number(sender.joins), rows.length, memory.length];
  const fields = rows.flatMap(({ offset, length, flags, verdict }) => [offset, length, flags, verdict]);
  return Buffer.concat([new Uint8Array(Int32Array.from([...words, ...fields]).buffer), memory]);
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  done({ rows, memory }: Case): Done {
    const frames: [number, number, string][] = [];
    for (let count = this.#word(); count !== 0; count = this.#word())
      frames.push([count, this.#word(), this.#hex(this.#word())]);
    const verdicts = rows.map(() => this.#word());
    return { frames, verdicts, memory: this.#hex(memory.length) };
  }

  #word(): number {
    this.#at += 4;
    return this.#bytes.readInt32LE(this.#at - 4);
  }

  #hex(bytes: number): string {
    this.#at += bytes;
    return hex(this.#bytes.subarray(this.#at - bytes, this.#at));
  }
}
