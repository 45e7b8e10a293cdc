/** Parse → emit → emit again over dirt: the bytes come back as they were. */

import { describe, expect, test } from 'vitest';
import * as arp from '../../src/wire/arp.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import * as udp from '../../src/wire/udp.ts';
import { hex, placed } from '../support/frames.ts';
import * as golden from './golden-frames.ts';

describe('parsed and emitted again', () => {
  test.each(golden.UDP_FRAMES)('UDP: %s', (_name, frame) => {
    const parsed = placed(frame);
    for (const dirt of [0x00, 0xdd, 0xff]) {
      const emitted = placed(new Uint8Array(frame.length).fill(dirt), 61);
      copyBytesThatHaveNoField(parsed, emitted);
      emitUdp(parsed.view, parsed.offset, emitted.view, emitted.offset, frame.length);
      expect(hex(emitted.frame())).toBe(hex(frame));
      emitted.assertCanaries();
    }
  });

  test('ARP request', () => {
    const { view, offset } = placed(golden.ARP_REQUEST);
    for (const dirt of [0x00, 0xdd, 0xff]) {
      const emitted = placed(new Uint8Array(42).fill(dirt), 61);
      const at = emitEthernet(view, offset, emitted.view, emitted.offset);
      const macHigh = arp.senderMacHigh(view, offset + 14);
      const macLow = arp.senderMacLow(view, offset + 14);
      const from = arp.senderAddress(view, offset + 14);
      arp.writeRequest(emitted.view, at, macHigh, macLow, from, arp.targetAddress(view, offset + 14));
      expect(hex(emitted.frame())).toBe(hex(golden.ARP_REQUEST.slice(0, 42)));
      emitted.assertCanaries();
    }
  });
});

/** Writes the header of the frame at `from` once more at `to`; returns the offset of the emitted payload. */
function emitEthernet(view: DataView, from: number, out: DataView, to: number): number {
  const toHigh = ethernet.destinationHigh(view, from);
  const toLow = ethernet.destinationLow(view, from);
  const fromHigh = ethernet.sourceHigh(view, from);
  const fromLow = ethernet.sourceLow(view, from);
  if (!ethernet.isTagged(view, from)) {
    return ethernet.writeHeader(out, to, toHigh, toLow, fromHigh, fromLow, ethernet.etherType(view, from));
  }
  const control = ethernet.tagControl(view, from);
  const payloadType = ethernet.networkEtherType(view, from + 18);
  return ethernet.writeTaggedHeader(out, to, toHigh, toLow, fromHigh, fromLow, control, payloadType);
}

function emitUdp(view: DataView, from: number, out: DataView, to: number, length: number): void {
  const ip = ethernet.networkOffset(view, from, length);
  const outIp = emitEthernet(view, from, out, to);
  const headerBytes = ipv4.headerBytes(view, ip);
  ipv4.writeHeader(
    out,
    outIp,
    ipv4.totalLength(view, ip),
    ipv4.identification(view, ip),
    ipv4.flagsAndFragment(view, ip),
    ipv4.ttl(view, ip),
    ipv4.protocol(view, ip),
    ipv4.source(view, ip),
    ipv4.destination(view, ip),
  );
  if (headerBytes > 20) finishOptions(out, outIp, headerBytes);
  const at = ip + headerBytes;
  const outAt = outIp + headerBytes;
  udp.writeHeader(out, outAt, udp.sourcePort(view, at), udp.destinationPort(view, at), udp.length(view, at));
  udp.setChecksum(out, outAt, emittedChecksum(view, at, out, outIp, outAt));
}

/** `writeHeader` writes 20 bytes; the options are there already, IHL and checksum have to follow. */
function finishOptions(out: DataView, outIp: number, headerBytes: number): void {
  out.setUint8(outIp, 0x40 + headerBytes / 4);
  ipv4.setChecksum(out, outIp, ipv4.computeChecksum(out, outIp));
}

/** The same kind of checksum as the parsed datagram has, worked out anew. */
function emittedChecksum(view: DataView, at: number, out: DataView, outIp: number, outAt: number): number {
  const length = udp.length(out, outAt);
  const partial = udp.pseudoHeaderSum(out, outIp, length);
  if (udp.checksum(view, at) === 0) return 0;
  if (udp.checksum(view, at) === partial) return partial;
  return udp.computeChecksum(out, outIp, outAt, length);
}

/** Options, payload and trailer: all from the end of the 20-byte IPv4 header on. */
function copyBytesThatHaveNoField(parsed: ReturnType<typeof placed>, emitted: ReturnType<typeof placed>): void {
  const headers = ethernet.networkOffset(parsed.view, parsed.offset, parsed.length) - parsed.offset + 20;
  emitted.bytes.set(parsed.frame().slice(headers), emitted.offset + headers);
  const udpAt = headers + ipv4.headerBytes(parsed.view, parsed.offset + headers - 20) - 20;
  emitted.bytes.fill(0xdd, emitted.offset + udpAt, emitted.offset + udpAt + 8);
}
