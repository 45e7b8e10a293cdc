/** How long requests took, from the client's frame to the answer's: histograms by kind of verb and by path, per lane. */
import { Histograms, histogramsByteLength } from '../mem/histogram.ts';
import { CLASS_READ, CLASS_WRITE, VERB_CLASS } from '../memcached/verbs.ts';

/** By what way the answer came: from one node; from Keysteer itself; from several nodes, as one. */
export const PATH_FORWARDED = 0;
export const PATH_LOCAL = 1;
export const PATH_GATHERED = 2;
export const LATENCY_PATHS = ['forwarded', 'local', 'gathered'] as const;
export const LATENCY_CLASSES = ['read', 'write', 'other'] as const;

/** Series of a lane: class · paths + path. */
export const LATENCY_SERIES = 9;
const PATHS = 3;

/** Verb → first series of its class. */
const SERIES_OF_VERB = Uint8Array.from(VERB_CLASS, verbClass => {
  if (verbClass === CLASS_READ) return 0;
  return verbClass === CLASS_WRITE ? PATHS : 2 * PATHS;
});

export function latencyByteLength(): number {
  return histogramsByteLength(LATENCY_SERIES);
}

export class Latency {
  readonly #histograms: Histograms;

  constructor(buffer: SharedArrayBuffer, byteOffset: number) {
    this.#histograms = new Histograms(buffer, byteOffset, LATENCY_SERIES);
  }

  /** A request of this verb was answered by this path after `us` µs. */
  record(verb: number, path: number, us: number): void {
    this.#histograms.record(SERIES_OF_VERB[verb] + path, us);
  }
}
