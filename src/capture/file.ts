/** Captures from files, through a replay. */
import type { Config } from '../control/config/normalise.ts';
import { PcapError } from '../pcap/error.ts';
import type { CapturedFrame } from '../pcap/frame.ts';
import { CaptureReader } from '../pcap/reader.ts';
import { createCapture } from '../pcap/writer.ts';
import type { NodeFigures, SentFrame, Side } from './bed.ts';
import { type AnsweredHop, type Listener, Replay, type ReplayOptions, type Step } from './replay.ts';
import { Survey } from './survey.ts';

/** Each frame is valid until the next one is asked for. @throws PcapError, or the file system's error */
export function* framesOf(path: string): Generator<CapturedFrame, void> {
  const reader = CaptureReader.open(path);
  try {
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) yield frame;
  } finally {
    reader.close();
  }
}

/** Reads the capture twice: once to look at it, once to replay it. */
export class FileReplay {
  readonly replay: Replay;
  readonly #path: string;

  constructor(config: Config, path: string, options: ReplayOptions, listener: Listener) {
    this.#path = path;
    this.replay = new Replay(config, surveyOf(path, config), options, listener);
  }

  /** Every frame of the capture, and what became of it. */
  *steps(): Generator<{ readonly frame: CapturedFrame; readonly step: Step }, void> {
    for (const frame of framesOf(this.#path)) yield { frame, step: this.replay.step(frame) };
  }
}

/** A fault behind the first frame is left for the replay to meet: what stands before it is worth replaying. */
function surveyOf(path: string, config: Config): Survey {
  const survey = new Survey(config);
  try {
    for (const frame of framesOf(path)) survey.look(frame);
  } catch (error) {
    if (survey.frames === 0 || !(error instanceof PcapError)) throw error;
  }
  return survey;
}

/** How long the replay goes on after the last frame: what waits for an answer comes to its end. */
const AFTER_MS = 5000;
const SIDES: readonly Side[] = ['client', 'server'];

export interface ReplaySummary {
  readonly frames: number;
  readonly passedOver: number;
  /** Frames sent, by port. */
  readonly sent: Readonly<Record<Side, number>>;
  readonly counters: Readonly<Record<string, number>>;
  readonly nodes: readonly NodeFigures[];
  readonly nextHops: readonly AnsweredHop[];
}

/**
 * Replays `path` and writes what the lane sends to `outPath`; its two interfaces are the lane's ports.
 * @throws PcapError at a fault of the capture: what was sent before it has been written
 */
export function replayFile(config: Config, path: string, outPath: string, options: ReplayOptions): ReplaySummary {
  const sent = { client: 0, server: 0 };
  const outgoing: { frame: SentFrame; timeNs: bigint }[] = [];
  const file = new FileReplay(config, path, options, (frame, timeNs) => outgoing.push({ frame, timeNs }));
  const writer = createCapture(outPath, { interfaces: SIDES.map(name => ({ name: `${name} port` })) });
  const write = () => {
    for (const { frame, timeNs } of outgoing.splice(0)) {
      writer.write({ bytes: frame.bytes, timeNs, interface: SIDES.indexOf(frame.side), direction: 'out' });
      sent[frame.side]++;
    }
  };
  let frames = 0;
  try {
    for (const _ of file.steps()) {
      frames++;
      write();
    }
    if (frames > 0) file.replay.finish(AFTER_MS);
    write();
  } finally {
    writer.close();
  }
  const { passedOver, counters, nodes, answered: nextHops } = file.replay;
  return { frames, passedOver, sent, counters, nodes, nextHops };
}
