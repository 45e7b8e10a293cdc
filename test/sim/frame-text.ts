/** A frame as a person would tell it: `10.77.0.110:4000 → 10.77.0.100:11211 #5 1/1 "get k\r\n"`. */
import * as ipv4 from '../../src/wire/ipv4.ts';
import { textOf } from './addresses.ts';
import * as frames from './frames.ts';

const TEXT_MAX = 160;

export function describeFrame(bytes: Buffer, offset: number, length: number): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  if (frames.isArp(view, offset)) return `ARP for ${textOf(frames.arpTarget(view, offset))}`;
  const from = textOf(frames.source(view, offset));
  const to = textOf(frames.destination(view, offset));
  if (ipv4.isFragment(view, offset + 14)) return `${from} → ${to} fragment of ${length} bytes`;
  if (!frames.isUdp(view, offset)) return `${from} → ${to} ICMP type ${bytes[offset + 34]} code ${bytes[offset + 35]}`;
  const ways = `${from}:${frames.sourcePort(view, offset)} → ${to}:${frames.destinationPort(view, offset)}`;
  const at = offset + frames.PAYLOAD_AT;
  const end = frames.payloadEnd(view, offset);
  const piece = `#${bytes.readUInt16BE(at)} ${bytes.readUInt16BE(at + 2) + 1}/${bytes.readUInt16BE(at + 4)}`;
  return `${ways} ${piece} ${payloadText(bytes, at + 8, end)}`;
}

/** The text of a request or reply; of the binary protocol what matters. */
export function payloadText(bytes: Buffer, start: number, end: number): string {
  const magic = bytes[start];
  if ((magic === 0x80 || magic === 0x81) && end - start >= 24) return binaryText(bytes, start, end);
  return JSON.stringify(shortened(bytes.toString('latin1', start, end)));
}

function binaryText(bytes: Buffer, start: number, end: number): string {
  const keyBytes = bytes.readUInt16BE(start + 2);
  const extrasBytes = bytes[start + 4]!;
  const keyAt = start + 24 + extrasBytes;
  const key = bytes.toString('latin1', keyAt, keyAt + keyBytes);
  const value = shortened(
    bytes.toString('latin1', keyAt + keyBytes, Math.min(end, start + 24 + bytes.readUInt32BE(start + 8))),
  );
  const status = bytes[start] === 0x81 ? ` status ${bytes.readUInt16BE(start + 6)}` : '';
  const cas = bytes.readBigUInt64BE(start + 16);
  return `binary ${bytes[start + 1]!.toString(16)}${status} key ${JSON.stringify(key)} cas ${cas} ${JSON.stringify(value)}`;
}

function shortened(text: string): string {
  return text.length <= TEXT_MAX ? text : `${text.slice(0, TEXT_MAX)}… ${text.length} bytes`;
}
