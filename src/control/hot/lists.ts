/** Keys that are hot whatever happens, and keys that never are: of the configuration, and said at run time. */
import { showKey } from './key-text.ts';
import type { HotControlSettings } from './settings.ts';

/** Keys said at run time, of each list: each is looked at in every tick, or costs memory. */
const BANS_MAX = 65_536;

/** The lists do not take the key; says why. */
export class HotListError extends Error {
  override readonly name = 'HotListError';
}

type Lists = Pick<HotControlSettings, 'pin' | 'ban'>;

export class HotLists {
  /** Pinned, but without an item so far. Keys are latin1 text: one character a byte. */
  readonly waiting = new Set<string>();
  readonly #pinned = new Set<string>();
  readonly #banned = new Set<string>();
  readonly #pinsMax: number;
  #configured: Lists = { pin: [], ban: [] };

  /** @param items that there are: half of them may be pinned */
  constructor(lists: Lists, items: number) {
    this.#pinsMax = items >> 1;
    this.adopt(lists);
  }

  get pinned(): ReadonlySet<string> {
    return this.#pinned;
  }

  get banned(): ReadonlySet<string> {
    return this.#banned;
  }

  isPinned(text: string): boolean {
    return this.#pinned.has(text);
  }

  isBanned(text: string): boolean {
    return this.#banned.has(text);
  }

  /** What the file says now; what was said at run time stays, unless the file said so before and does no longer. */
  adopt(lists: Lists): void {
    const { pin, ban } = this.#configured;
    this.#configured = lists;
    for (const key of ban) if (!lists.ban.includes(key)) this.#banned.delete(latin1(key));
    for (const key of pin) if (!lists.pin.includes(key)) this.unpin(Buffer.from(key));
    for (const key of lists.ban) {
      this.unpin(Buffer.from(key));
      this.#banned.add(latin1(key));
    }
    for (const key of lists.pin) this.#addPin(latin1(key));
  }

  /** @throws HotListError */
  pin(key: Uint8Array): void {
    const text = Buffer.from(key).toString('latin1');
    if (this.#banned.has(text)) throw new HotListError(`${showKey(key)} is banned; unban it first`);
    if (!this.#pinned.has(text) && this.#pinned.size >= this.#pinsMax) {
      throw new HotListError(`${this.#pinned.size} keys are pinned, half of hot.keys: there is no room for another`);
    }
    this.#addPin(text);
  }

  /** @throws HotListError */
  unpin(key: Uint8Array): void {
    const text = Buffer.from(key).toString('latin1');
    this.#pinned.delete(text);
    this.waiting.delete(text);
  }

  /** @throws HotListError */
  ban(key: Uint8Array): void {
    const text = Buffer.from(key).toString('latin1');
    if (this.#banned.size >= BANS_MAX)
      throw new HotListError(`${BANS_MAX} keys are banned: there is no room for another`);
    this.unpin(key);
    this.#banned.add(text);
  }

  unban(key: Uint8Array): void {
    this.#banned.delete(Buffer.from(key).toString('latin1'));
  }

  #addPin(text: string): void {
    if (this.#pinned.has(text)) return;
    this.#pinned.add(text);
    this.waiting.add(text);
  }
}

function latin1(key: string): string {
  return Buffer.from(key).toString('latin1');
}
