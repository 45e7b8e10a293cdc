/**
 * The control thread's side of a pcap port: what libpcap captures goes into the receive ring, what the lane puts into the
 * send ring goes out through libpcap. A libpcap process that ends by itself is started again.
 */
import type { Arena } from '../mem/arena.ts';
import { type CapError, CapReceiver, CapSender } from './cap.ts';
import { partialChecksumFlags } from './partial-checksum.ts';
import {
  DROPPED,
  ETHERNET_BYTES,
  type PcapDescription,
  RECEIVED_PUT,
  RECEIVED_TAKEN,
  SENT_PUT,
  SENT_TAKEN,
  SLOT_FLAGS,
  SLOT_FRAME,
  SLOT_LENGTH,
} from './pcap-layout.ts';
import { FLAG_TRUNCATED } from './port.ts';

/** What arrives, without what this machine sends: a lane must not hear itself. */
const FILTER = 'inbound';
/** Pause before a process that has ended is started again, ms. */
const RESTART_MS = 1000;
/** How long the lane's frames wait when libpcap's process takes no more, ms. */
const RETRY_MS = 1;

/** TypeScript's es2023 does not know it; Node 20 does. */
type WaitAsync = (
  words: Int32Array,
  index: number,
  value: number,
  timeoutMs: number,
) => { readonly async: boolean; readonly value: unknown };
const { waitAsync } = Atomics as unknown as { waitAsync: WaitAsync };
/** Upper bound of one wait, so that a stop is seen, ms. */
const WAIT_MS = 200;

export class PcapFeed {
  /** Resolves once frames come and go. Rejects with the CapError that keeps it from it. */
  readonly ready: Promise<void>;
  readonly #description: PcapDescription;
  readonly #arena: Arena;
  readonly #bell: number;
  readonly #state: number;
  readonly #mask: number;
  #receiver: CapReceiver | undefined;
  #sender: CapSender | undefined;
  #sending: Promise<void> = Promise.resolve();
  #stopping = false;

  /** @param bell word of the arena that is moved on, and notified, whenever frames have been put into the ring */
  constructor(description: PcapDescription, arena: Arena, bell: number) {
    this.#description = description;
    this.#arena = arena;
    this.#bell = bell;
    this.#state = description.stateOffset >> 2;
    this.#mask = description.slots - 1;
    this.ready = this.#open();
    this.ready.catch(() => {}); // whoever awaits `ready` hears of it
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.ready.catch(() => {});
    await this.#sending;
    await Promise.all([this.#receiver?.stop(), this.#sender?.stop()]);
  }

  async #open(): Promise<void> {
    await this.#openSender();
    try {
      await this.#listen();
    } catch (error) {
      await this.#sender!.stop();
      throw error;
    }
    this.#sending = this.#send();
  }

  async #openSender(): Promise<void> {
    this.#sender = await CapSender.open(this.#description.name);
  }

  async #listen(): Promise<void> {
    const receiver = await CapReceiver.open(this.#description.name, FILTER);
    this.#receiver = receiver;
    receiver.listen((bytes, wireBytes) => this.#put(bytes, wireBytes));
    void receiver.ended.then(() => this.#revive(() => this.#listen()));
  }

  /** The interface may be gone for long: tried again until it works, or the end. */
  async #revive(open: () => Promise<void>): Promise<void> {
    while (!this.#stopping) {
      await sleep(RESTART_MS);
      if (this.#stopping) return;
      try {
        return await open();
      } catch (error) {
        if ((error as CapError).name !== 'CapError') throw error;
      }
    }
  }

  #put(frame: Uint8Array, wireBytes: number): void {
    const { words, bytes, view } = this.#arena;
    const put = words[this.#state + RECEIVED_PUT];
    if (((put - Atomics.load(words, this.#state + RECEIVED_TAKEN)) | 0) > this.#mask) {
      Atomics.add(words, this.#state + DROPPED, 1);
      return;
    }
    const { receiveOffset, slotBytes, mtu } = this.#description;
    const offset = receiveOffset + (put & this.#mask) * slotBytes;
    const length = Math.min(frame.length, mtu + ETHERNET_BYTES);
    bytes.set(length === frame.length ? frame : frame.subarray(0, length), offset + SLOT_FRAME);
    const cut = length < wireBytes ? FLAG_TRUNCATED : 0;
    words[(offset + SLOT_LENGTH) >> 2] = length;
    words[(offset + SLOT_FLAGS) >> 2] = cut | partialChecksumFlags(view, offset + SLOT_FRAME, length);
    Atomics.store(words, this.#state + RECEIVED_PUT, (put + 1) | 0);
    Atomics.add(words, this.#bell, 1);
    Atomics.notify(words, this.#bell);
  }

  async #send(): Promise<void> {
    const { words } = this.#arena;
    while (!this.#stopping) {
      const put = Atomics.load(words, this.#state + SENT_PUT);
      if (put === words[this.#state + SENT_TAKEN]) {
        const { async, value } = waitAsync(words, this.#state + SENT_PUT, put, WAIT_MS);
        if (async) await value;
      } else if (!this.#drain(put)) {
        await sleep(RETRY_MS);
        if (this.#sender!.isGone) await this.#revive(() => this.#openSender());
      }
    }
  }

  /** Hands on the frames before `put`; false when the process takes no more for now. */
  #drain(put: number): boolean {
    const { words, bytes } = this.#arena;
    const { sendOffset, slotBytes } = this.#description;
    for (let taken = words[this.#state + SENT_TAKEN]; taken !== put; ) {
      const offset = sendOffset + (taken & this.#mask) * slotBytes;
      const start = offset + SLOT_FRAME;
      if (!this.#sender!.send(bytes.subarray(start, start + words[(offset + SLOT_LENGTH) >> 2]))) return false;
      taken = (taken + 1) | 0;
      Atomics.store(words, this.#state + SENT_TAKEN, taken);
    }
    return true;
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms));
}
