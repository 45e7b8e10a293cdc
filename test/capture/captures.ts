/** Captures of the lane bed's frames, in memory. */

import type { SentFrame } from '../../src/capture/bed.ts';
import { Replay, type ReplayOptions, type Step } from '../../src/capture/replay.ts';
import { Survey } from '../../src/capture/survey.ts';
import type { Config } from '../../src/control/config/normalise.ts';
import type { CapturedFrame } from '../../src/pcap/frame.ts';
import { CONFIG } from './config.ts';

export const START_NS = 1_743_835_520_000_000_000n;

/** A frame at so many ms after the start. */
export function at(ms: number, bytes: Uint8Array, fields: Partial<CapturedFrame> = {}): CapturedFrame {
  const timeNs = START_NS + BigInt(Math.round(ms * 1e6));
  return { bytes, wireBytes: bytes.length, timeNs, interface: 0, comment: '', ...fields };
}

/** One ms apart. */
export function everyMs(frames: readonly Uint8Array[]): CapturedFrame[] {
  return frames.map((bytes, ms) => at(ms, bytes));
}

export interface Replayed {
  readonly replay: Replay;
  readonly steps: readonly Step[];
  /** All that the lane has sent, with the times after the start, ms. */
  readonly sent: readonly (SentFrame & { readonly ms: number })[];
}

export function replayed(
  capture: readonly CapturedFrame[],
  options: ReplayOptions & { config?: Config; finishMs?: number } = {},
): Replayed {
  const { config = CONFIG, finishMs = 0 } = options;
  const survey = new Survey(config);
  for (const frame of capture) survey.look(frame);
  const sent: (SentFrame & { ms: number })[] = [];
  const replay = new Replay(config, survey, options, (frame, timeNs) => {
    sent.push({ ...frame, ms: Number(timeNs - survey.firstNs) / 1e6 });
  });
  const steps = capture.map(frame => replay.step(frame));
  if (finishMs > 0) replay.finish(finishMs);
  return { replay, steps, sent };
}
