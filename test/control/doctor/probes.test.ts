/** The doctor's questions, on a cable in memory with hosts at its other end. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Answer, askNodes, whoHas } from '../../../src/control/doctor/probes.ts';
import { Station } from '../../../src/control/doctor/station.ts';
import { Arena } from '../../../src/mem/arena.ts';
import { loopbackByteLength, openLoopback } from '../../../src/port/loopback.ts';
import { PORT_COUNTERS } from '../../../src/port/port.ts';
import * as arp from '../../../src/wire/arp.ts';
import * as ethernet from '../../../src/wire/ethernet.ts';
import * as icmp from '../../../src/wire/icmp.ts';
import * as ipv4 from '../../../src/wire/ipv4.ts';
import { parseIpv4 } from '../../../src/wire/ipv4-text.ts';
import * as udp from '../../../src/wire/udp.ts';

const SOURCE = parseIpv4('10.77.1.1');
const ASKED_ARP = 14;
const MAC = { high: 0x0200, low: 0x11 };

/** What a host does with what it is asked. */
interface Behaviour {
  readonly address: string;
  /** ARP requests that are lost before one is answered. */
  readonly losesArp?: number;
  readonly memcached: 'up' | 'silent' | 'refuses' | 'lies';
  readonly echoes?: boolean;
}

/** A frame as a fresh array with a view. */
type Frame = Uint8Array;
const viewOf = (frame: Frame) => new DataView(frame.buffer, frame.byteOffset, frame.byteLength);

/** The host's answer, made of the frame that asked; undefined: none. */
function answerOf(host: Behaviour, asked: Frame, heard: Map<string, number>): Frame[] {
  const view = viewOf(asked);
  const address = parseIpv4(host.address);
  if (ethernet.etherType(view, 0) === ethernet.ETHERTYPE_ARP) {
    if (arp.targetAddress(view, ASKED_ARP) !== address) return [];
    const times = (heard.get(host.address) ?? 0) + 1;
    heard.set(host.address, times);
    if (times <= (host.losesArp ?? 0)) return [];
    arp.turnIntoReply(view, ASKED_ARP, MAC.high, MAC.low);
    ethernet.turnToSender(view, 0, MAC.high, MAC.low);
    return [asked];
  }
  if (ipv4.destination(view, 14) !== address || !ethernet.isTo(view, 0, MAC.high, MAC.low)) return [];
  return ipv4.protocol(view, 14) === ipv4.PROTOCOL_ICMP ? echo(host, asked) : datagram(host, asked);
}

function turned(asked: Frame, view = viewOf(asked)): Frame {
  ipv4.swapAddresses(view, 14);
  ethernet.turnToSender(view, 0, MAC.high, MAC.low);
  return asked;
}

function echo({ echoes = true }: Behaviour, asked: Frame): Frame[] {
  if (!echoes) return [];
  icmp.turnIntoEchoReply(viewOf(asked), 34);
  return [turned(asked)];
}

function datagram({ memcached }: Behaviour, asked: Frame): Frame[] {
  if (memcached === 'silent') return [];
  if (memcached === 'refuses') return [refusal(asked)];
  const view = viewOf(asked);
  const [from, to] = [udp.sourcePort(view, 34), udp.destinationPort(view, 34)];
  const text = Buffer.from(memcached === 'up' ? 'VERSION 1.6.18\r\n' : 'HTTP/1.1 400 Bad Request\r\n');
  const reply = new Uint8Array(42 + 8 + text.length);
  reply.set(asked.subarray(0, 50));
  reply.set(text, 50);
  const out = viewOf(reply);
  ipv4.setTotalLength(out, 14, reply.length - 14);
  udp.writeHeader(out, 34, to, from, reply.length - 34);
  return [turned(reply)];
}

function refusal(asked: Frame): Frame {
  const quoted = asked.subarray(14, 14 + 28);
  const frame = new Uint8Array(14 + 20 + 8 + 28);
  frame.set(asked.subarray(0, 34));
  frame.set(quoted, 42);
  const view = viewOf(frame);
  view.setUint16(34, 0x0303);
  view.setUint8(14 + 9, ipv4.PROTOCOL_ICMP);
  ipv4.setTotalLength(view, 14, frame.length - 14);
  return turned(frame);
}

test('frames of another VLAN are not heard', async () => {
  const arena = Arena.create(loopbackByteLength() + 65_536);
  const farArena = Arena.create(loopbackByteLength() + 65_536);
  const { near, far } = openLoopback({ near: { arena, vlan: 7 }, far: { arena: farArena } });
  const [station, other] = [new Station(near, arena), new Station(far, farArena)];
  const heard: number[] = [];
  other.say((view, offset) => ethernet.writeHeader(view, offset, 0xffff, -1, MAC.high, MAC.low, 0x88b5) - offset + 46);
  await station.hear(
    0,
    (_view, _offset, length) => heard.push(length),
    () => true,
  );
  expect([near.counters[PORT_COUNTERS.indexOf('received_frames')], heard]).toEqual([1, []]);
});

describe('questions', () => {
  let station: Station;
  let hosts: Behaviour[];
  let timer: NodeJS.Timeout;
  /** Frames that the hosts' end got. */
  let seen: Frame[];
  let far: { receive(frames: Frame[]): void };

  beforeEach(() => {
    const arena = Arena.create(loopbackByteLength() + 65_536);
    const farArena = Arena.create(loopbackByteLength() + 65_536);
    const ends = openLoopback({ near: { arena }, far: { arena: farArena } });
    station = new Station(ends.near, arena);
    const other = new Station(ends.far, farArena);
    const heard = new Map<string, number>();
    seen = [];
    hosts = [];
    far = {
      receive: frames => {
        for (const frame of frames) other.say((view, offset) => put(view, offset, frame));
      },
    };
    timer = setInterval(() => {
      const taken: Frame[] = [];
      void other.hear(
        0,
        (view, offset, length) => taken.push(copied(view, offset, length)),
        () => true,
      );
      seen.push(...taken.map(frame => frame.slice()));
      for (const frame of taken) for (const host of hosts) far.receive(answerOf(host, frame.slice(), heard));
    }, 1);
  });
  afterEach(() => clearInterval(timer));

  function put(view: DataView, offset: number, frame: Frame): number {
    new Uint8Array(view.buffer).set(frame, offset);
    return frame.length;
  }

  function copied(view: DataView, offset: number, length: number): Frame {
    return new Uint8Array(view.buffer).slice(offset, offset + length);
  }

  const node = (address: string, port = 11211) => ({ address: parseIpv4(address), text: address, port, mac: MAC });
  const ask = (...addresses: string[]): Promise<Answer[]> =>
    askNodes(
      station,
      SOURCE,
      addresses.map(address => node(address)),
    );

  test('who has an address: only those asked for, and lost requests are asked again', async () => {
    hosts = [
      { address: '10.77.1.11', memcached: 'up' },
      { address: '10.77.1.12', memcached: 'up', losesArp: 2 },
      { address: '10.77.1.14', memcached: 'up', losesArp: 99 },
    ];
    const found = await whoHas(
      station,
      SOURCE,
      ['10.77.1.11', '10.77.1.12', '10.77.1.13', '10.77.1.14'].map(parseIpv4),
    );
    expect([...found].sort()).toEqual(['10.77.1.11', '10.77.1.12'].map(address => [parseIpv4(address), MAC]).sort());
  });

  test('a probe names no sender, and our own frame coming back is nobody’s answer', async () => {
    const target = parseIpv4('10.77.0.100');
    const asking = whoHas(station, 0, [target]);
    await expect.poll(() => seen.length).toBeGreaterThan(0);
    const [frame] = seen as [Frame];
    expect(arp.senderAddress(viewOf(frame), ASKED_ARP)).toBe(0);
    const { macHigh, macLow } = station.port;
    arp.turnIntoReply(viewOf(frame), ASKED_ARP, macHigh, macLow);
    far.receive([frame]);
    expect((await asking).size).toBe(0);
  });

  test.each<[string, Omit<Behaviour, 'address'>, Answer]>([
    ['up', { memcached: 'up' }, { said: 'VERSION 1.6.18', echoes: false, refuses: false }],
    ['another service', { memcached: 'lies' }, { said: 'HTTP/1.1 400 Bad Request', echoes: false, refuses: false }],
    ['silent, its host up', { memcached: 'silent' }, { echoes: true, refuses: false }],
    ['silent, its host too', { memcached: 'silent', echoes: false }, { echoes: false, refuses: false }],
    ['refused', { memcached: 'refuses' }, { echoes: false, refuses: true }],
  ])('memcached %s', async (_what, behaviour, expected) => {
    hosts = [{ address: '10.77.1.11', echoes: behaviour.memcached === 'silent', ...behaviour }];
    expect(await ask('10.77.1.11')).toEqual([expected]);
  });

  test('several nodes: each gets its own answer', async () => {
    hosts = [
      { address: '10.77.1.11', memcached: 'refuses', echoes: false },
      { address: '10.77.1.12', memcached: 'up', echoes: false },
    ];
    const answers = await ask('10.77.1.11', '10.77.1.12', '10.77.1.13');
    expect(answers.map(({ said, refuses }) => said ?? refuses)).toEqual([true, 'VERSION 1.6.18', false]);
  });

  test('ARP requests for our address are answered, others are not', async () => {
    station.ownAddress = SOURCE;
    const requests = [SOURCE, parseIpv4('10.77.1.99')].map(target => {
      const frame = new Uint8Array(60);
      const view = viewOf(frame);
      ethernet.writeHeader(view, 0, 0xffff, -1, MAC.high, MAC.low, ethernet.ETHERTYPE_ARP);
      arp.writeRequest(view, ASKED_ARP, MAC.high, MAC.low, parseIpv4('10.77.1.11'), target);
      return frame;
    });
    far.receive(requests);
    await station.hear(
      0,
      () => {},
      () => true,
    );
    await expect.poll(() => seen.length).toBe(1);
    const view = viewOf(seen[0]!);
    expect(arp.operation(view, ASKED_ARP)).toBe(arp.OPERATION_REPLY);
    expect(arp.senderAddress(view, ASKED_ARP)).toBe(SOURCE);
    expect(arp.senderMacLow(view, ASKED_ARP)).toBe(station.port.macLow);
    expect(ethernet.isTo(view, 0, MAC.high, MAC.low)).toBe(true);
  });

  test('rubbish is passed over', async () => {
    const asking = ask('10.77.1.11');
    let state = 1;
    const noise = Array.from({ length: 100 }, (_, n) =>
      Uint8Array.from({ length: 14 + n }, (_, at) => {
        state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
        if (at === 12 || at === 13) return [0x08, n % 2 === 0 ? 0x00 : 0x06][at - 12]!;
        return at === 14 && n % 3 === 0 ? 0x45 : state >> 16;
      }),
    );
    far.receive(noise);
    expect(await asking).toEqual([{ echoes: false, refuses: false }]);
  });
});
