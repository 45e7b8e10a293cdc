/** Every single-key verb, out of the kernel's sockets, through Keysteer, against what memcached itself says. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Balancer } from './balancer.ts';
import { Bed, faults } from './bed.ts';
import { requireBed } from './program.ts';
import { type Address, bodyOf, datagram, THE_VIP, type UdpClient } from './udp-client.ts';
import { BINARY_ROWS, CLASSIC_ROWS, META_ROWS, type Row, SILENCE, type Step } from './verb-rows.ts';

const STATUS_NAMES: Readonly<Record<number, string>> = {
  0: 'ok',
  1: 'key not found',
  2: 'key exists',
  5: 'not stored',
};

/** Where the CAS id of a binary response lies in its datagram. */
const CAS_AT = 8 + 16;
const IS_BINARY = 0x81;

/** What came for each step of a row. */
interface Course {
  /** As latin1, CAS ids and request ids struck out, without the bare ones. */
  readonly datagrams: readonly (readonly string[])[];
  readonly said: readonly string[];
  /** memcached sends the bare 8 bytes, "0 of 0", for a quiet binary request with nothing to say. */
  readonly bare: number;
}

describe.skipIf(requireBed()).each(['nat', 'gateway', 'dsr'] as const)('every verb, mode %s', mode => {
  let bed: Bed;
  let balancer: Balancer;
  let client: UdpClient;
  /** A memcached that Keysteer knows nothing of: it is asked the same, directly. */
  let reference: Address;
  let bareDirectly = 0;

  beforeAll(async () => {
    bed = await Bed.start({ mode, nodes: 3 });
    const [first, second, third] = bed.network.nodes;
    reference = { address: third!.address, port: third!.port };
    balancer = await bed.startBalancer(['--mode', mode], [first!, second!]);
    client = await bed.startClient();
  });
  afterAll(() => bed?.close());

  describe.each([
    ['classic', CLASSIC_ROWS],
    ['meta', META_ROWS],
    ['binary', BINARY_ROWS],
  ] as const)('%s', (_protocol, rows) => {
    test.each(rows.map(row => [row.verb, row] as const))('%s', async (_verb, row) => {
      const through = await follow(client, THE_VIP, row);
      expect(through.said).toEqual(row.steps.map(([, answer]) => answer));
      const direct = await follow(client, reference, row);
      expect(through.datagrams).toEqual(direct.datagrams);
      // In dsr mode what a node says does not pass Keysteer.
      expect(through.bare).toBe(mode === 'dsr' ? direct.bare : 0);
      if (mode !== 'dsr') bareDirectly += direct.bare;
    });
  });

  test('all of it was forwarded, nothing dropped, and bare datagrams swallowed', async () => {
    const { figures } = await balancer.stop();
    expect(faults(figures)).toEqual({});
    expect(figures.counters.quiet_misses).toBe(bareDirectly);
    const steps = [...CLASSIC_ROWS, ...META_ROWS, ...BINARY_ROWS].flatMap(row => row.steps);
    expect(figures.counters.requests).toBe(steps.length);
    const answers = steps.filter(([, answer]) => answer !== SILENCE).length;
    expect(figures.counters.replies).toBe(mode === 'dsr' ? 0 : answers);
    expect(figures.counters.error_answers).toBe(0);
  });
});

/** Takes the steps of a row one by one; a silent one is over when the next has its answer. */
async function follow(client: UdpClient, to: Address, { steps }: Row): Promise<Course> {
  const datagrams: string[][] = [];
  let bare = 0;
  let cas = 0n;
  for (let first = 0; first < steps.length; ) {
    const last = steps.findIndex(([, answer], position) => position >= first && answer !== SILENCE);
    const group = steps.slice(first, last + 1);
    const requests = group.map((step, position) => datagram(first + position, bodyOfStep(step, cas)));
    const unawaited = group.map((_, position) => position).slice(0, -1);
    const { replies, timedOut, strays } = await client.exchange(requests, { to, unawaited });
    expect({ timedOut, strays }).toEqual({ timedOut: [], strays: [] });
    cas = casOf(replies.at(-1)!) ?? cas;
    bare += replies.flat().filter(isBare).length;
    datagrams.push(...replies.map(reply => reply.filter(message => !isBare(message)).map(struckOut)));
    first = last + 1;
  }
  return { datagrams, said: datagrams.map(said), bare };
}

function bodyOfStep([request]: Step, cas: bigint): string {
  return typeof request === 'function' ? request(cas) : request.replace('<cas>', `${cas}`);
}

function isBare(message: Buffer): boolean {
  return message.length === 8 && message.readUInt16BE(4) === 0;
}

function casOf(datagrams: readonly Buffer[]): bigint | undefined {
  const body = bodyOf(datagrams);
  if (body.charCodeAt(0) === IS_BINARY) return datagrams[0]!.readBigUInt64BE(CAS_AT);
  const [, classic, meta] = /^VALUE \S+ \d+ \d+ (\d+)\r\n|^(?:HD|VA \d+).* c(\d+)/.exec(body) ?? [];
  const text = classic ?? meta;
  return text === undefined ? undefined : BigInt(text);
}

/** Without request id and CAS id; whether there is a CAS id still shows. */
function struckOut(message: Buffer): string {
  const copy = Buffer.from(message);
  copy.fill(0, 0, 2);
  if (copy[8] !== IS_BINARY) {
    return copy.toString('latin1').replace(/^(.{8}VALUE \S+ \d+ \d+ |.{8}(?:HD|VA \d+) (?:.* )?c)\d+/s, '$1<cas>');
  }
  if (copy.readBigUInt64BE(CAS_AT) !== 0n) copy.fill('<cas id>', CAS_AT, CAS_AT + 8);
  return copy.toString('latin1');
}

function said(datagrams: readonly string[]): string {
  const messages = datagrams.map(message => Buffer.from(message, 'latin1'));
  return messages[0]?.[8] === IS_BINARY ? describeBinary(messages[0].subarray(8)) : bodyOf(messages);
}

/** status flags=… key=… value=…; an error: the text after a colon */
function describeBinary(response: Buffer): string {
  const keyAt = 24 + response[4]!;
  const valueAt = keyAt + response.readUInt16BE(2);
  const status = response.readUInt16BE(6);
  const parts = [
    response[4] === 4 ? `flags=${response.readUInt32BE(24)}` : '',
    valueAt > keyAt ? `key=${response.toString('latin1', keyAt, valueAt)}` : '',
    status === 0 && response.length > valueAt ? `value=${response.toString('latin1', valueAt)}` : '',
    status !== 0 ? response.toString('latin1', valueAt) : '',
  ].filter(part => part !== '');
  return `${STATUS_NAMES[status] ?? `status ${status}`}${status === 0 ? '' : ':'} ${parts.join(' ')}`.trim();
}
