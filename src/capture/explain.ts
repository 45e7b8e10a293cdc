/** What Keysteer would do with each frame of a capture, field by field, and why: the diff of a replay. */
import type { Config } from '../control/config/normalise.ts';
import type { SentFrame, Side } from './bed.ts';
import { commentOn } from './comment.ts';
import { changedFields, type FieldChange } from './fields.ts';
import { FileReplay } from './file.ts';
import { readMessage } from './message.ts';
import { type Places, placesOfConfig } from './places.ts';
import { Reasons } from './reasons.ts';
import type { Replay, ReplayOptions, Step } from './replay.ts';
import { judge, type Verdict } from './verdict.ts';

export interface ExplainedChange extends FieldChange {
  readonly why: string;
}

export interface ExplainedSend {
  /** Port that it leaves by. */
  readonly port: Side;
  readonly bytes: number;
  /** The node that it goes to. */
  readonly node?: string;
  readonly says?: string;
  /** Every field that differs from the frame that was heard. */
  readonly changes: readonly ExplainedChange[];
}

export interface ExplainedFrame {
  /** From 1, as Wireshark counts. */
  readonly frame: number;
  /** Since the first. */
  readonly seconds: number;
  readonly bytes: number;
  /** Port that it arrives by; absent for a frame that Keysteer itself has sent. */
  readonly port?: Side;
  /** Of memcached's frames: verb and keys. */
  readonly says?: string;
  readonly verdict: Verdict;
  readonly reasons: readonly string[];
  /** Counters that it moved. */
  readonly counted: Readonly<Record<string, number>>;
  readonly sends: readonly ExplainedSend[];
}

/** @throws PcapError, or the file system's error */
export function* explainCapture(
  config: Config,
  path: string,
  options: ReplayOptions = {},
): Generator<ExplainedFrame, void> {
  const explainer = new Explainer(config);
  const file = new FileReplay(config, path, options, () => {});
  let number = 0;
  let firstNs: bigint | undefined;
  for (const { frame, step } of file.steps()) {
    number++;
    firstNs ??= step.timeNs;
    const seconds = Number(step.timeNs - firstNs) / 1e9;
    yield { frame: number, seconds, ...explainer.explain(frame.bytes, step, file.replay) };
  }
}

class Explainer {
  readonly #config: Config;
  readonly #places: Places;

  constructor(config: Config) {
    this.#config = config;
    this.#places = placesOfConfig(config);
  }

  explain(bytes: Uint8Array, { side, outcome }: Step, replay: Replay): Omit<ExplainedFrame, 'frame' | 'seconds'> {
    const { verdict, reasons } = side === undefined ? OWN : judge(outcome.counted, outcome.sent.length);
    const says = this.#says(bytes);
    const invented = new Set(replay.answered.filter(({ isInvented }) => isInvented).map(({ address }) => address));
    return {
      bytes: bytes.length,
      ...(side === undefined ? {} : { port: side }),
      ...(says === undefined ? {} : { says }),
      verdict,
      reasons,
      counted: outcome.counted,
      sends: outcome.sent.map(sent => this.#send(bytes, sent, address => invented.has(address))),
    };
  }

  #send(before: Uint8Array, { side, bytes }: SentFrame, isInvented: (address: string) => boolean): ExplainedSend {
    const [asked, said] = [before, bytes].map(frame => readMessage(frame, this.#places));
    const reasons = new Reasons({ config: this.#config, before, after: bytes, side, asked, said, isInvented });
    const says = this.#says(bytes);
    return {
      port: side,
      bytes: bytes.length,
      ...(reasons.node === undefined ? {} : { node: reasons.node.name }),
      ...(says === undefined ? {} : { says }),
      changes: changedFields(before, bytes).map(change => ({ ...change, why: reasons.of(change) })),
    };
  }

  #says(frame: Uint8Array): string | undefined {
    const message = readMessage(frame, this.#places);
    return message && commentOn(message);
  }
}

const OWN = { verdict: 'own', reasons: ['a frame that Keysteer itself has sent: passed over'] } as const;
