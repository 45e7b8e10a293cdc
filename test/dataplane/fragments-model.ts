/**
 * Reassembly once more, the slow way: a list of datagrams in order of their progress, a byte or nothing at each place. From
 * the rules at the head of fragments.ts and fragment-contexts.ts, with nothing of their code.
 */

export interface Limits {
  readonly datagrams: number;
  readonly perSource: number;
  readonly timeoutMs: number;
}

export interface Fragment {
  readonly source: number;
  readonly identification: number;
  readonly port: number;
  readonly at: number;
  readonly more: boolean;
  readonly payload: Uint8Array;
  /** IPv4 header bytes, without the options of a first fragment there are none. */
  readonly headerBytes: number;
  readonly isPartial: boolean;
}

interface Gathering {
  readonly name: string;
  readonly source: number;
  readonly bornMs: number;
  readonly bytes: (number | undefined)[];
  headerBytes: number;
  end: number | undefined;
  held: number;
  isSpoilt: boolean;
}

export type Counted = Record<string, number>;

export class ModelReassembly {
  readonly counted: Counted = {};
  readonly #limits: Limits;
  /** The one that has stood still for longest first. */
  #gathering: Gathering[] = [];
  /** Contexts of whole datagrams, until the batch is over. */
  #whole = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  get held(): number {
    return this.#gathering.reduce((sum, { held }) => sum + held, 0);
  }

  /** The payload of the datagram that this fragment made whole, or undefined. */
  accept(fragment: Fragment, nowMs: number): Uint8Array | undefined {
    this.#count('fragments_received', 1);
    const { at, more, payload, isPartial } = fragment;
    const isOdd = payload.length === 0 || (more && payload.length % 8 !== 0);
    const isTiny = at === 0 ? payload.length < 16 : at < 16;
    if (isPartial || isOdd || isTiny) return this.#count('drop_fragment_bad', 1);
    if (at + payload.length > 65_515) return this.#count('drop_fragment_too_large', 1);
    const datagram = this.#find(fragment, nowMs);
    if (datagram === undefined) return this.#count('drop_fragment_table_full', 1);
    if (datagram.isSpoilt) return this.#count('drop_fragment_overlap', 1);
    return this.#add(datagram, fragment);
  }

  release(): void {
    this.#whole = 0;
  }

  sweep(nowMs: number): void {
    for (const datagram of [...this.#gathering]) {
      if (nowMs - datagram.bornMs >= this.#limits.timeoutMs) this.#giveUp(datagram, 'drop_fragment_timeout');
    }
  }

  #find({ source, identification, port }: Fragment, nowMs: number): Gathering | undefined {
    const name = `${source} ${identification} ${port}`;
    const found = this.#gathering.find(datagram => datagram.name === name);
    const isOver = found !== undefined && nowMs - found.bornMs >= this.#limits.timeoutMs;
    if (found !== undefined && !isOver) return found;
    if (found !== undefined) this.#giveUp(found, 'drop_fragment_timeout');
    else this.#makeRoom(source);
    if (this.#gathering.length + this.#whole === this.#limits.datagrams) return undefined;
    const fresh = { name, source, bornMs: nowMs, bytes: [], headerBytes: 0, end: undefined, held: 0, isSpoilt: false };
    this.#gathering.push(fresh);
    return fresh;
  }

  #makeRoom(source: number): void {
    const theirs = this.#gathering.filter(datagram => datagram.source === source);
    const isFull = this.#gathering.length + this.#whole === this.#limits.datagrams;
    if (theirs.length >= this.#limits.perSource) this.#giveUp(theirs[0]!, 'drop_fragment_source_full');
    else if (isFull && this.#gathering.length > 0) this.#giveUp(this.#gathering[0]!, 'drop_fragment_table_full');
  }

  #add(datagram: Gathering, { at, more, payload, headerBytes }: Fragment): Uint8Array | undefined {
    const end = at + payload.length;
    const reach = datagram.bytes.length;
    const known = datagram.end;
    const contradicts = more ? known !== undefined && end >= known : known === undefined ? reach > end : known !== end;
    if (contradicts) return this.#spoil(datagram, 'drop_fragment_bad', 1);
    const there = Array.from(payload, (_, i) => datagram.bytes[at + i]);
    if (there.every((byte, i) => byte === payload[i])) return this.#count('drop_fragment_duplicate', 1);
    if (there.some(byte => byte !== undefined)) return this.#spoil(datagram, 'drop_fragment_overlap', 1);
    for (const [i, byte] of payload.entries()) datagram.bytes[at + i] = byte;
    datagram.held += 1;
    if (at === 0) datagram.headerBytes = headerBytes;
    if (!more) datagram.end = end;
    this.#gathering = [...this.#gathering.filter(other => other !== datagram), datagram];
    return this.#wholeOf(datagram);
  }

  #wholeOf(datagram: Gathering): Uint8Array | undefined {
    const { bytes, end, headerBytes, held } = datagram;
    if (end === undefined) return undefined;
    for (let i = 0; i < end; i++) if (bytes[i] === undefined) return undefined;
    if (headerBytes + end > 65_535) return this.#spoil(datagram, 'drop_fragment_too_large', 0);
    this.#gathering = this.#gathering.filter(other => other !== datagram);
    this.#whole += 1;
    this.#count('fragments_joined', held - 1);
    this.#count('datagrams_reassembled', 1);
    return Uint8Array.from(bytes as number[]);
  }

  #spoil(datagram: Gathering, counter: string, more: number): undefined {
    this.#count(counter, datagram.held + more);
    datagram.held = 0;
    datagram.isSpoilt = true;
    this.#gathering = [datagram, ...this.#gathering.filter(other => other !== datagram)];
  }

  #giveUp(datagram: Gathering, counter: string): void {
    this.#count(counter, datagram.held);
    this.#gathering = this.#gathering.filter(other => other !== datagram);
  }

  #count(counter: string, by: number): undefined {
    if (by !== 0) this.counted[counter] = (this.counted[counter] ?? 0) + by;
  }
}
