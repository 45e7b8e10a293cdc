/**
 * What comes in: each frame is sorted, each reply matched to its request and checked in full, and everything counted.
 *
 *     not IPv4 to an address of ours, nor ARP      left alone
 *     what a kernel would drop (bad checksum)      wrong; no answer to anything
 *     from elsewhere, or for no outstanding id     wrong, late or duplicate; no answer to anything
 *     for an outstanding id                        its reply, right or wrong
 */
import {
  FLAG_CHECKSUM_VERIFIED,
  FLAG_PARTIAL_CHECKSUM,
  FLAG_SUPERFRAME,
  FLAG_TRUNCATED,
  FLAG_VLAN,
  ROW_FLAGS,
  ROW_LENGTH,
  ROW_OFFSET,
} from '../port/port.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as udp from '../wire/udp.ts';
import type { Dialect } from './dialect.ts';
import type { Histogram } from './histogram.ts';
import type { Host } from './host.ts';
import type { KeyNames } from './keys.ts';
import type { Prefill } from './prefill.ts';
import { FRAME_HEADER_BYTES } from './request-frames.ts';
import { NO_SLOT, type SlotTable, STRAY_LATE, STRAY_NEVER_ASKED } from './slots.ts';
import type { Surges } from './surges.ts';
import {
  DUPLICATES,
  ERRORS,
  HITS,
  LATE,
  PHASE_MEASURE,
  PHASE_PREFILL,
  REPLIES,
  type Tally,
  UNREACHABLE,
  WRONG_CHECKSUM,
  WRONG_FRAGMENT,
  WRONG_FRAMING,
  WRONG_PORT,
  WRONG_REPLIES,
  WRONG_SOURCE,
  WRONG_UNKNOWN_ID,
} from './tally.ts';
import type { Targets } from './targets.ts';

/** Total 1, reserved 0: the second word of a frame header. */
const TOTAL_1 = 0x00010000;
const NO_KEY = -1;

export interface ReceiverParts {
  view: DataView;
  host: Host;
  slots: SlotTable;
  targets: Targets;
  dialect: Dialect;
  names: KeyNames;
  tally: Tally;
  prefill: Prefill;
  /** By verb: GET, SET. Measured requests only. */
  latency: readonly [Histogram, Histogram];
  surges: Surges | undefined;
  flowsPerClient: number;
  firstPort: number;
}

export class Receiver {
  /** When the batch came; set before each batch. */
  now_ns = 0;
  /** To which what belongs to no request is counted. */
  phase = PHASE_PREFILL;
  readonly #view: DataView;
  readonly #parts: ReceiverParts;
  readonly #host: Host;
  readonly #slots: SlotTable;
  readonly #tally: Tally;
  readonly #dialect: Dialect;
  readonly #targets: Targets;
  readonly #getLatency: Histogram;
  readonly #setLatency: Histogram;
  readonly #surges: Surges | undefined;
  readonly #flowsPerClient: number;
  readonly #firstPort: number;
  /** The frame in work, for samples. */
  #frameOffset = 0;
  #frameLength = 0;

  constructor(parts: ReceiverParts) {
    this.#parts = parts;
    this.#view = parts.view;
    this.#host = parts.host;
    this.#slots = parts.slots;
    this.#tally = parts.tally;
    this.#dialect = parts.dialect;
    this.#targets = parts.targets;
    [this.#getLatency, this.#setLatency] = parts.latency;
    this.#surges = parts.surges;
    this.#flowsPerClient = parts.flowsPerClient;
    this.#firstPort = parts.firstPort;
  }

  /** Takes the frame of word `row` of the batch. An answer of the host's own is left in place with our verdict. */
  accept(batch: Int32Array, row: number): void {
    const offset = batch[row + ROW_OFFSET] as number;
    const length = batch[row + ROW_LENGTH] as number;
    const flags = batch[row + ROW_FLAGS] as number;
    if (length < ethernet.HEADER_BYTES || (flags & FLAG_VLAN) !== 0) return;
    this.#frameOffset = offset;
    this.#frameLength = length;
    const type = ethernet.etherType(this.#view, offset);
    if (type === ethernet.ETHERTYPE_IPV4) this.#acceptIpv4(batch, row, flags);
    else if (type === ethernet.ETHERTYPE_ARP) this.#host.acceptArp(batch, row);
  }

  #acceptIpv4(batch: Int32Array, row: number, flags: number): void {
    const view = this.#view;
    const ip = this.#frameOffset + ethernet.HEADER_BYTES;
    const available = this.#frameLength - ethernet.HEADER_BYTES;
    if (available < ipv4.HEADER_BYTES_MIN) return;
    const client = this.#host.position(ipv4.destination(view, ip));
    if (client < 0) return;
    if ((flags & (FLAG_TRUNCATED | FLAG_SUPERFRAME)) !== 0 || ipv4.isFragment(view, ip)) {
      this.#wrong(WRONG_FRAGMENT, NO_KEY);
    } else if (ipv4.validate(view, ip, available) !== 0 || !ipv4.verifyChecksum(view, ip)) {
      this.#wrong(WRONG_CHECKSUM, NO_KEY);
    } else if (ipv4.protocol(view, ip) === ipv4.PROTOCOL_UDP) {
      this.#acceptUdp(ip, client, flags);
    } else if (ipv4.protocol(view, ip) === ipv4.PROTOCOL_ICMP && this.#host.acceptIcmp(batch, row)) {
      this.#tally.add(this.phase, UNREACHABLE);
    }
  }

  #acceptUdp(ip: number, client: number, flags: number): void {
    const view = this.#view;
    const at = ip + ipv4.headerBytes(view, ip);
    if (!this.#isSound(ip, at, flags)) {
      this.#wrong(WRONG_CHECKSUM, NO_KEY);
      return;
    }
    const port = udp.destinationPort(view, at) - this.#firstPort;
    if (port < 0 || port >= this.#flowsPerClient) this.#wrong(WRONG_PORT, NO_KEY);
    else if (udp.length(view, at) < udp.HEADER_BYTES + FRAME_HEADER_BYTES) this.#wrong(WRONG_FRAMING, NO_KEY);
    else this.#acceptReply(ip, at, client * this.#flowsPerClient + port);
  }

  /** Lengths and checksum of a datagram. A partial checksum must be the pseudo-header's sum, or it cannot be completed. */
  #isSound(ip: number, at: number, flags: number): boolean {
    const view = this.#view;
    const available = ipv4.totalLength(view, ip) - (at - ip);
    if (udp.validate(view, at, available) !== 0) return false;
    const length = udp.length(view, at);
    if ((flags & FLAG_PARTIAL_CHECKSUM) !== 0) return udp.checksum(view, at) === udp.pseudoHeaderSum(view, ip, length);
    return (flags & FLAG_CHECKSUM_VERIFIED) !== 0 || udp.verifyChecksum(view, ip, at, length);
  }

  #acceptReply(ip: number, at: number, flow: number): void {
    const view = this.#view;
    const header = at + udp.HEADER_BYTES;
    const id = view.getUint16(header);
    const position = this.#slots.find(flow, id);
    if (position === NO_SLOT) {
      this.#acceptStray(flow, id);
      return;
    }
    const target = this.#targets.of(this.#slots.keyOf(position));
    if (!this.#targets.is(target, ipv4.source(view, ip), udp.sourcePort(view, at))) {
      this.#wrong(WRONG_SOURCE, this.#slots.keyOf(position));
      return;
    }
    this.#settle(position, ip, header, udp.length(view, at) - udp.HEADER_BYTES);
  }

  /** The reply to the request at `position`: `length` bytes from the frame header on. */
  #settle(position: number, ip: number, header: number, length: number): void {
    const slots = this.#slots;
    const set = slots.setOf(position);
    const key = slots.keyOf(position);
    const phase = slots.phaseOf(position);
    const body = header + FRAME_HEADER_BYTES;
    const outcome = this.#isFramed(header)
      ? this.#dialect.check(this.#view, body, length - FRAME_HEADER_BYTES, key, set)
      : ~WRONG_FRAMING;
    slots.settle(position);
    this.#tally.add(phase, REPLIES + set);
    this.#countOutcome(phase, outcome, key, body, length - FRAME_HEADER_BYTES);
    if (this.#surges !== undefined && outcome === HITS) {
      this.#surges.answered(key, ipv4.ttl(this.#view, ip), this.now_ns);
    }
    if (phase === PHASE_MEASURE) this.#recordLatency(position, set);
    else if (phase === PHASE_PREFILL) this.#parts.prefill.settle();
  }

  #isFramed(header: number): boolean {
    return this.#view.getUint16(header + 2) === 0 && this.#view.getInt32(header + 4) === TOTAL_1;
  }

  #countOutcome(phase: number, outcome: number, key: number, body: number, length: number): void {
    if (outcome >= 0) {
      this.#tally.add(phase, outcome);
      if (outcome === ERRORS) this.#tally.countErrorText(this.#dialect.errorText(this.#view, body, length));
      return;
    }
    this.#tally.add(phase, WRONG_REPLIES);
    this.#wrongIn(phase, ~outcome, key);
  }

  #recordLatency(position: number, set: number): void {
    const histogram = set === 0 ? this.#getLatency : this.#setLatency;
    histogram.record(this.now_ns - this.#slots.intendedOf(position));
  }

  #acceptStray(flow: number, id: number): void {
    const kind = this.#slots.classifyStray(flow, id);
    if (kind === STRAY_NEVER_ASKED) this.#wrong(WRONG_UNKNOWN_ID, NO_KEY);
    else this.#tally.add(this.phase, kind === STRAY_LATE ? LATE : DUPLICATES);
  }

  #wrong(reason: number, key: number): void {
    this.#wrongIn(this.phase, reason, key);
  }

  #wrongIn(phase: number, reason: number, key: number): void {
    this.#tally.addWrong(phase, reason);
    if (this.#tally.samples.length === this.#tally.samplesMax) return;
    const frame = new Uint8Array(this.#view.buffer, this.#view.byteOffset + this.#frameOffset, this.#frameLength);
    this.#tally.keepSample(reason, frame, key === NO_KEY ? undefined : this.#parts.names.text(key));
  }
}
