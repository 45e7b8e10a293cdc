/** flush_all and verbosity, where the policy allows them: sent to every node, answered once. */
import { describe, expect, it } from 'vitest';
import { BROADCASTS_MAX } from '../../src/dataplane/broadcasts.ts';
import { DEFAULT_POLICY } from '../../src/dataplane/commands.ts';
import {
  type BedNode,
  type BedOptions,
  BOB,
  binaryRequest,
  binaryResponse,
  CLIENT_ID,
  errorAnswer,
  LaneBed,
  MC1,
  MC2,
  type Outcome,
  reply,
  request,
  toNode,
} from '../support/lane-bed.ts';

const MC3: BedNode = { ...MC1, mac: '02:00:00:00:01:0d', ip: '10.77.1.13' };
const NODES = [MC1, MC2, MC3];
const ALLOWED = { commands: { ...DEFAULT_POLICY, flushAll: 'broadcast', verbosity: 'broadcast' } } as const;
const FAILURE = 'SERVER_ERROR not every node answered in time\r\n';
const DUE_MS = 500;

const bedOf = (options: BedOptions = {}) => new LaneBed({ nodes: NODES, gate: ALLOWED, ...options });
const frames = ({ sent }: Outcome) => sent.map(({ frame }) => frame);

/** The command as each node gets it: under slots 0, 1, 2 and identifications 1, 2, 3 of the NF's own. */
function asNodesHearIt(line: string, nodes: readonly BedNode[] = NODES, firstSlot = 0): Uint8Array[] {
  return nodes.map((node, n) => {
    const slot = firstSlot + n;
    return toNode(line, { slot, node, ttl: 64, dontFragment: false, identification: firstSlot + n + 1 });
  });
}

const answerOf = (text: string, identification: number, id = CLIENT_ID) =>
  errorAnswer(text, { identification, id, dontFragment: false });

function answerAll(bed: LaneBed, text = 'OK\r\n', nodes: readonly BedNode[] = NODES, firstSlot = 0): Outcome {
  return bed.hear(
    'server',
    nodes.map((node, n) => reply(text, { slot: firstSlot + n, node })),
  );
}

describe('a command for every node', () => {
  const rows: [name: string, body: string, line: string, answer: string][] = [
    ['flush_all', 'flush_all\r\n', 'flush_all\r\n', 'OK\r\n'],
    ['with a delay', ' flush_all   10 \r\n', 'flush_all 10\r\n', 'OK\r\n'],
    ['with a delay of many digits', `flush_all ${'0'.repeat(900)}7\r\n`, 'flush_all 7\r\n', 'OK\r\n'],
    ['with the longest delay', 'flush_all -2147483648\r\n', 'flush_all -2147483648\r\n', 'OK\r\n'],
    ['with a sign', 'flush_all +5\r\n', 'flush_all 5\r\n', 'OK\r\n'],
    ['verbosity', 'verbosity 4294967295\r\n', 'verbosity 4294967295\r\n', 'OK\r\n'],
    [
      'binary flush',
      binaryRequest({ opcode: 0x08, opaque: 'abcd' }),
      'flush_all\r\n',
      binaryResponse({ opcode: 0x08, opaque: 'abcd' }),
    ],
    [
      'binary flush with a delay',
      binaryRequest({ opcode: 0x08, extras: '\xff\0\0\x01' }),
      'flush_all 4278190081\r\n',
      binaryResponse({ opcode: 0x08 }),
    ],
  ];

  it.each(rows)('%s: each node hears it, and the client one answer', (_, body, line, answer) => {
    const bed = bedOf();
    const asked = bed.hear('client', request(body));
    expect(frames(asked)).toEqual(asNodesHearIt(line));
    expect(asked.counted).toEqual({ broadcast_requests: 3 });
    expect(bed.unaccounted()).toBe(0);
    const told = answerAll(bed);
    expect(told.counted).toEqual({ broadcast_replies: 3, broadcasts: 1 });
    expect(told.sent.map(({ side, frame }) => [side, frame])).toEqual([['client', answerOf(answer, 4)]]);
    expect(bed.unaccounted()).toBe(0);
    expect(bed.wait(10_000).counted.refused_broadcast).toBeUndefined();
  });

  it.each([
    ['ASCII', 'flush_all\r\n', FAILURE],
    [
      'binary',
      binaryRequest({ opcode: 0x08, opaque: 'abcd' }),
      binaryResponse({ opcode: 0x08, opaque: 'abcd', status: 0x86, value: 'not every node answered in time' }),
    ],
    [
      'binary, quiet: a failure is told all the same',
      binaryRequest({ opcode: 0x18, opaque: 'abcd' }),
      binaryResponse({ opcode: 0x18, opaque: 'abcd', status: 0x86, value: 'not every node answered in time' }),
    ],
  ])('fails when a node has not answered in time, %s', (_, body, answer) => {
    const bed = bedOf();
    bed.hear('client', request(body));
    expect(answerAll(bed, 'OK\r\n', [MC1, MC2]).sent).toEqual([]);
    expect(bed.wait(DUE_MS - 1).sent).toEqual([]);
    const told = bed.wait(1);
    expect(told.counted).toEqual({ refused_broadcast: 1 });
    expect(frames(told)).toEqual([answerOf(answer, 4)]);
    expect(answerAll(bed, 'OK\r\n', [MC3], 2)).toEqual({ sent: [], counted: { broadcast_replies: 1 } });
    expect(bed.unaccounted()).toBe(0);
  });

  it.each([
    ['an error', 'SERVER_ERROR busy\r\n'],
    ['another word', 'STORED\r\n'],
    ['nothing', ''],
    ['a binary success', binaryResponse({ opcode: 0x08 })],
  ])('fails when a node says %s', (_, text) => {
    const bed = bedOf();
    bed.hear('client', request('flush_all\r\n'));
    answerAll(bed, text, [MC1]);
    const told = answerAll(bed, 'OK\r\n', [MC2, MC3], 1);
    expect(frames(told)).toEqual([answerOf(FAILURE, 4)]);
    expect(told.counted).toEqual({ broadcast_replies: 2, refused_broadcast: 1 });
  });

  it('fails when a node says OK in two datagrams', () => {
    const bed = bedOf({ nodes: [MC1] });
    bed.hear('client', request('flush_all\r\n'));
    expect(bed.hear('server', reply('OK\r\n', { total: 2 })).counted).toMatchObject({ refused_broadcast: 1 });
  });

  it('is not answered by what comes late for the one before', () => {
    const bed = bedOf({ nodes: [MC1] });
    bed.hear('client', request('flush_all\r\n'));
    bed.wait(DUE_MS);
    bed.hear('client', request('flush_all\r\n', { client: BOB }));
    expect(bed.hear('server', reply('OK\r\n', { slot: 0 }))).toEqual({ sent: [], counted: { broadcast_replies: 1 } });
    expect(bed.hear('server', reply('OK\r\n', { slot: 1 })).counted).toEqual({ broadcast_replies: 1, broadcasts: 1 });
  });

  it.each([
    ['noreply, when all is well', 'flush_all noreply\r\n', 'OK\r\n', 'flush_all\r\n'],
    ['noreply, when it is not', 'flush_all 9 noreply\r\n', 'ERROR\r\n', 'flush_all 9\r\n'],
    ['the quiet opcode, when all is well', binaryRequest({ opcode: 0x18 }), 'OK\r\n', 'flush_all\r\n'],
  ])('the client hears nothing: %s', (_, body, text, line) => {
    const bed = bedOf();
    expect(frames(bed.hear('client', request(body)))).toEqual(asNodesHearIt(line));
    expect(answerAll(bed, text).sent).toEqual([]);
    expect(bed.lane().path.broadcasts.active).toBe(0);
    expect(bed.unaccounted()).toBe(0);
  });

  it('is counted as asked only once a node of it answers from its slot: others, and twice, are no replies', () => {
    const bed = bedOf();
    bed.hear('client', request('flush_all\r\n'));
    expect(bed.hear('server', reply('OK\r\n', { slot: 0, node: MC2 })).counted).toEqual({ drop_reply_wrong_node: 1 });
    bed.hear('server', reply('OK\r\n', { slot: 0, node: MC1 }));
    expect(bed.hear('server', reply('OK\r\n', { slot: 0, node: MC1 })).counted).toEqual({ drop_reply_no_slot: 1 });
    expect(bed.lane().path.broadcasts.active).toBe(1);
  });

  it('goes to drained nodes, too, but not to disabled ones', () => {
    const bed = bedOf({ nodes: [{ ...MC1, weight: 0 }, { ...MC2, enabled: false }, MC3] });
    expect(frames(bed.hear('client', request('flush_all\r\n')))).toEqual(asNodesHearIt('flush_all\r\n', [MC1, MC3]));
    expect(answerAll(bed, 'OK\r\n', [MC1, MC3]).counted).toMatchObject({ broadcasts: 1 });
  });

  it('waits for a next hop that is not known yet', () => {
    const bed = bedOf({ resolved: false });
    bed.resolve(MC1);
    const asked = bed.hear('client', request('flush_all\r\n'));
    expect(asked.counted).toMatchObject({ broadcast_requests: 1 });
    bed.resolve(MC3);
    bed.resolve(MC2);
    expect(frames(bed.wait(1))).toEqual(asNodesHearIt('flush_all\r\n', [MC2, MC3], 1));
    expect(answerAll(bed).counted).toMatchObject({ broadcasts: 1 });
  });

  it('of which too many are under way is refused', () => {
    const bed = bedOf();
    const many = Array.from({ length: BROADCASTS_MAX }, (_, id) => request('flush_all\r\n', { id }));
    expect(bed.hear('client', many).counted).toEqual({ broadcast_requests: BROADCASTS_MAX * NODES.length });
    const busy = bed.hear('client', request('flush_all\r\n', { client: BOB }));
    expect(busy.counted).toEqual({ refused_busy: 1, error_answers: 1 });
    expect(answerAll(bed).counted).toEqual({ broadcast_replies: 3, broadcasts: 1 });
    expect(bed.hear('client', request('flush_all\r\n', { client: BOB })).counted).toEqual({ broadcast_requests: 3 });
    const ends = bed.wait(DUE_MS);
    expect(ends.counted).toEqual({ refused_broadcast: BROADCASTS_MAX });
    expect(ends.sent).toHaveLength(BROADCASTS_MAX);
  });

  it('without nodes is refused', () => {
    const { counted } = bedOf({ nodes: [] }).hear('client', request('flush_all\r\n'));
    expect(counted).toEqual({ refused_no_node: 1, error_answers: 1 });
  });

  it('works in one-arm', () => {
    const bed = bedOf({ arms: 1 });
    expect(bed.hear('client', request('flush_all\r\n')).counted).toEqual({ broadcast_requests: 3 });
    const replies = NODES.map((node, slot) => reply('OK\r\n', { slot, node, dstMac: '02:4b:00:00:00:0a' }));
    expect(bed.hear('client', replies).counted).toEqual({ broadcast_replies: 3, broadcasts: 1 });
  });

  it('does not disturb the requests beside it', () => {
    const bed = bedOf({ nodes: [MC1] });
    bed.hear('client', [request('get a\r\n'), request('flush_all\r\n'), request('get b\r\n', { client: BOB })]);
    const replies = [0, 1, 2].map(slot => reply(slot === 2 ? 'OK\r\n' : 'END\r\n', { slot }));
    expect(bed.hear('server', replies).counted).toEqual({ replies: 2, broadcast_replies: 1, broadcasts: 1 });
  });
});
