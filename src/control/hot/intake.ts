/** What lanes say and count: their candidates, and their detectors as one. The keeper's ear. */
import {
  CANDIDATE_HASH,
  CANDIDATE_INSTANT,
  CANDIDATE_KEY,
  CANDIDATE_KEY_LENGTH,
  CANDIDATE_ROWS,
  CANDIDATE_WORDS,
  HOT_THRESHOLDS,
  type HotSetup,
  perLane,
} from '../../dataplane/hot/setup.ts';
import type { Detector } from '../../hotkey/detector.ts';
import { openDetector } from '../../hotkey/detectors.ts';
import { type HeavyKey, mergeKey } from '../../hotkey/merge.ts';
import type { Arena } from '../../mem/arena.ts';
import { Ring } from '../../mem/ring.ts';

type Area = Omit<HotSetup, 'laneOffset'>;

export interface Candidate {
  readonly hash: number;
  readonly key: Buffer;
  /** It rose in an instant. */
  readonly isInstant: boolean;
}

/** State of the detectors, all lanes together. */
export interface DetectorFigures {
  /** N: requests counted, halved at each epoch. */
  readonly count: number;
  /** ε in force. */
  readonly epsilon: number;
  readonly entries: number;
  /** Rows that had to go though the detector wanted to keep them. */
  readonly displaced: number;
}

export class Intake {
  readonly detectors: readonly Detector[];
  readonly #shared: Arena;
  readonly #rings: readonly Ring[];
  readonly #thresholds: number;

  constructor(shared: Arena, area: Area) {
    const { name, options } = area.detector;
    const places = Array.from({ length: area.lanes }, (_, lane) => perLane(area, lane));
    this.#shared = shared;
    this.#rings = places.map(
      ({ candidatesOffset }) => new Ring(shared.words, candidatesOffset >> 2, CANDIDATE_ROWS, CANDIDATE_WORDS),
    );
    this.detectors = places.map(({ detectorOffset }) => openDetector(name, shared.words, detectorOffset >> 2, options));
    this.#thresholds = (area.controlOffset >> 2) + HOT_THRESHOLDS;
  }

  /** Candidates of all lanes, as many as there were when each lane was looked at. */
  *candidates(): Generator<Candidate> {
    for (const ring of this.#rings) {
      for (let rows = 0; rows < CANDIDATE_ROWS; rows++) {
        const row = ring.peek();
        if (row < 0) break;
        const candidate = this.#read(row);
        ring.release();
        yield candidate;
      }
    }
  }

  /** What all lanes know of a key. */
  heavy(hash: number): HeavyKey {
    return mergeKey(this.detectors, hash);
  }

  /** N, all lanes together. */
  get count(): number {
    return this.detectors.reduce((sum, { count }) => sum + count, 0);
  }

  /** From when on each lane says a key. @param least however little a lane has counted */
  setThresholds(share: number, least: number): void {
    for (const [lane, { count }] of this.detectors.entries()) {
      this.#shared.words[this.#thresholds + lane] = Math.max(least, Math.ceil(share * count));
    }
  }

  /** Looks at every row of every detector. */
  figures(): DetectorFigures {
    const sum = (value: (detector: Detector) => number) =>
      this.detectors.reduce((total, detector) => total + value(detector), 0);
    const count = this.count;
    return {
      count,
      epsilon: count === 0 ? 0 : sum(detector => detector.epsilon * detector.count) / count,
      entries: sum(({ entries }) => entries),
      displaced: sum(({ displaced }) => displaced),
    };
  }

  #read(row: number): Candidate {
    const { words, bytes } = this.#shared;
    const at = (row + CANDIDATE_KEY) << 2;
    return {
      hash: words[row + CANDIDATE_HASH]!,
      key: Buffer.from(bytes.slice(at, at + words[row + CANDIDATE_KEY_LENGTH]!)),
      isInstant: words[row + CANDIDATE_INSTANT] !== 0,
    };
  }
}
