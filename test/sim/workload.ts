/**
 * What clients ask, by lot: keys by popularity, operations by what a key holds.
 *
 *     register   values that were never used before: `w17.` and filling
 *     list       tokens that were never used before, one behind or before another: `<17><23>`
 *     counter    numbers
 */
import type { Input, Protocol, Verb } from './history.ts';
import type { Random } from './random.ts';

export type Family = 'register' | 'list' | 'counter';

export interface WorkloadOptions {
  readonly keys: number;
  /** Zipf's exponent. */
  readonly skew: number;
  /** Share of the operations that only read. */
  readonly reads: number;
  /** Shares of the keys. */
  readonly lists: number;
  readonly counters: number;
  /** Share of the stores with a time to live, of 1 to 3 s. */
  readonly ttls: number;
  /** Share of the values that fill a datagram, or nearly. */
  readonly large: number;
  /** Share of the writes that want no answer. */
  readonly noreply: number;
  /** Share of the reads that are for several keys. */
  readonly multiget: number;
  /** Share of the increments by which a counter that is not there is made. */
  readonly initials: number;
  readonly protocols: readonly Protocol[];
}

export const WORKLOAD: WorkloadOptions = {
  keys: 200,
  skew: 0.99,
  reads: 0.7,
  lists: 0.15,
  counters: 0.15,
  ttls: 0.1,
  large: 0.03,
  noreply: 0.02,
  multiget: 0.05,
  initials: 0,
  protocols: ['classic', 'meta', 'binary'],
};

export interface Choice {
  readonly op: Verb;
  readonly key: string;
  readonly input: Input;
}

const FILLING = 'abcdefghijklmnopqrstuvwxyz0123456789'.repeat(40);
/** With the request line around it, one datagram within 1500 bytes. */
const VALUE_BYTES_MAX = 1360;
const KEYS_AT_ONCE_MAX = 6;

export class Workload {
  readonly options: WorkloadOptions;
  readonly keys: readonly string[];
  readonly #families: readonly Family[];
  #random: Random;
  /** Of keys up to this one, the share of the operations. */
  readonly #shares: Float64Array;
  /** Last CAS id that somebody saw, by key. */
  readonly #tokens = new Map<string, number>();
  readonly #indexes = new Map<string, number>();
  #unique: number;

  /** @param own of several that share keys: what each draws and writes by itself */
  constructor(
    options: WorkloadOptions,
    random: Random,
    own: { random: Random; firstValue: number } | undefined = undefined,
  ) {
    this.options = options;
    this.#random = random;
    this.#unique = own?.firstValue ?? 0;
    this.#families = Array.from({ length: options.keys }, () => this.#family());
    this.keys = this.#families.map((family, rank) => `${family[0]}${rank}`);
    for (const [index, key] of this.keys.entries()) this.#indexes.set(key, index);
    this.#shares = sharesOf(options.keys, options.skew);
    if (own !== undefined) this.#random = own.random;
  }

  familyOf(key: string): Family {
    return this.#families[this.#indexes.get(key)!]!;
  }

  /** Several keys to be asked for at once, or one operation. */
  next(): Choice | readonly string[] {
    const random = this.#random;
    const isRead = random.chance(this.options.reads);
    if (isRead && random.chance(this.options.multiget)) return this.#several();
    const index = this.#index();
    const key = this.keys[index]!;
    const protocol = random.of(this.options.protocols);
    if (isRead) return { op: 'get', key, input: { protocol, wantsCas: protocol === 'classic' && random.chance(0.3) } };
    const family = this.#families[index]!;
    if (family === 'counter') return this.#counter(key, protocol);
    return family === 'list' ? this.#list(key, protocol) : this.#register(key, protocol);
  }

  /** Somebody saw this CAS id. */
  noteToken(key: string, cas: number): void {
    this.#tokens.set(key, cas);
  }

  #family(): Family {
    const lot = this.#random.unit();
    if (lot < this.options.lists) return 'list';
    return lot < this.options.lists + this.options.counters ? 'counter' : 'register';
  }

  #index(): number {
    const lot = this.#random.unit();
    let low = 0;
    let high = this.#shares.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#shares[middle]! < lot) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #several(): readonly string[] {
    const keys = new Set<string>();
    for (let i = this.#random.whole(2, KEYS_AT_ONCE_MAX); i > 0; i--) keys.add(this.keys[this.#index()]!);
    return [...keys];
  }

  #register(key: string, protocol: Protocol): Choice {
    const random = this.#random;
    const token = this.#tokens.get(key);
    const lot = random.weighted([60, 8, 8, token === undefined ? 0 : 12, 10, 4, 4]);
    const op = (['set', 'add', 'replace', 'cas', 'delete', 'touch', 'gat'] as const)[lot]!;
    if (op === 'delete') return this.#change(op, key, { protocol });
    if (op === 'touch') return this.#change(op, key, { protocol, ttl: this.#ttl(0.5) });
    if (op === 'gat') return { op, key, input: { protocol, ttl: this.#ttl(0.5), wantsCas: protocol === 'classic' } };
    const stored = { protocol, value: this.#value(), flags: random.below(1000), ttl: this.#ttl(this.options.ttls) };
    return this.#change(op, key, op === 'cas' ? { ...stored, cas: token! } : stored);
  }

  #list(key: string, protocol: Protocol): Choice {
    const lot = this.#random.weighted([20, 40, 20, 5]);
    const op = (['set', 'append', 'prepend', 'delete'] as const)[lot]!;
    if (op === 'delete') return this.#change(op, key, { protocol });
    return this.#change(op, key, { protocol, value: `<${this.#unique++}>` });
  }

  #counter(key: string, protocol: Protocol): Choice {
    const random = this.#random;
    const lot = random.weighted([20, 40, 20, 5]);
    const op = (['set', 'incr', 'decr', 'delete'] as const)[lot]!;
    if (op === 'delete') return this.#change(op, key, { protocol });
    if (op === 'set') return this.#change(op, key, { protocol, value: `${random.below(10_000)}` });
    const initial =
      protocol !== 'classic' && random.chance(this.options.initials) ? { initial: random.below(100) } : {};
    return this.#change(op, key, { protocol, delta: random.whole(1, 50), ...initial });
  }

  #change(op: Verb, key: string, input: Input): Choice {
    return { op, key, input: this.#random.chance(this.options.noreply) ? { ...input, noreply: true } : input };
  }

  #ttl(share: number): number {
    return this.#random.chance(share) ? this.#random.whole(1, 3) : 0;
  }

  #value(): string {
    const random = this.#random;
    const bytes = random.chance(this.options.large) ? random.whole(1000, VALUE_BYTES_MAX) : random.whole(0, 120);
    return `w${this.#unique++}.${FILLING.slice(0, bytes)}`;
  }
}

function sharesOf(keys: number, skew: number): Float64Array {
  const shares = Float64Array.from({ length: keys }, (_, rank) => (rank + 1) ** -skew);
  let sum = 0;
  for (let i = 0; i < keys; i++) {
    sum += shares[i]!;
    shares[i] = sum;
  }
  return shares.map(share => share / sum);
}
