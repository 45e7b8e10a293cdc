/** Datagrams under way, and the nodes: stock memcached behind them. */
import { perform } from './monitor.ts';
import { ABSENT, type Datagram, type Item, NO_ITEM, nextCas, type Op, type World } from './state.ts';

export function datagram(
  type: string,
  node: number,
  of: number | string,
  { cas = 0, value = '', fence = 0, fresh = true }: Partial<Datagram> = {},
): Datagram {
  const text = `${type}${node}${of}.${cas}.${fence}${value}${fresh ? '!' : ''}`;
  return { type, node, of, cas, value, fence, fresh, text };
}

/** The network is a set, in order of the texts: the same datagram twice is one that may be delivered twice. */
export function send(world: World, sent: Datagram): void {
  const { net } = world;
  let at = 0;
  while (at < net.length && net[at]!.text < sent.text) at++;
  if (net[at]?.text !== sent.text) world.net = net.toSpliced(at, 0, sent);
}

export function isUnderWay(world: World, type: string, of?: number | string): boolean {
  return world.net.some(d => d.type === type && (of === undefined || d.of === of));
}

/** Whether home is asked by a client, or its answer has not come. */
export function isReadUnderWay(world: World): boolean {
  return world.net.some(d => d.node === 0 && typeof d.of === 'number' && (d.type === 'read' || d.type === 'value'));
}

/** The version moves: what was sent before is no longer fresh. */
export function moveVersion(world: World): void {
  const before = world.net;
  if (!before.some(d => d.fresh && typeof d.of === 'string')) return;
  world.net = [];
  for (const d of before) {
    send(world, d.fresh && typeof d.of === 'string' ? datagram(d.type, d.node, d.of, { ...d, fresh: false }) : d);
  }
}

/** One nonce, one answer: whatever else is under way with it is refused from now on. */
export function consumeNonce(world: World, of: string): void {
  world.net = world.net.filter(d => d.of !== of || !d.fresh);
}

/** Whether it expires matters to somebody who waits for that; else it may as well never be delivered. */
export function isAwaited(d: Datagram): boolean {
  return d.type === 'add' || d.type === 'copyAdd' || d.type === 'cold' || d.type === 'done';
}

export function isRequest(d: Datagram): boolean {
  return REQUESTS.has(d.type);
}

const REQUESTS = new Set(['read', 'fetch', 'store', 'add', 'move', 'copy', 'copyAdd', 'erase', 'kill', 'cold']);

/** A node carries out a request and answers. */
export function serve(world: World, d: Datagram, ops: readonly Op[]): void {
  const item = world.nodes[d.node]!;
  const answer = (type: string, cas: number, value = ''): void =>
    send(world, datagram(type, d.node, d.of, { cas, value, fence: d.cas, fresh: d.fresh }));
  const put = (value: string): void => {
    const cas = nextCas(world);
    world.nodes[d.node] = value === ABSENT ? null : { value, cas };
    answer('HD', value === ABSENT ? NO_ITEM : cas, value);
  };
  switch (d.type) {
    case 'read':
    case 'fetch':
      return answer('value', item?.cas ?? NO_ITEM, item?.value ?? ABSENT);
    case 'cold':
      return serveCold(world, d, ops[d.of as number]!, item);
    case 'add':
    case 'copyAdd':
      return item === null ? put(d.value) : answer('NS', NO_ITEM);
    case 'erase':
      return put(ABSENT);
    case 'kill':
      if (isBarred(item, d)) return answer(item === null ? 'NF' : 'EX', NO_ITEM);
      return put(ABSENT);
    case 'move':
      if (isBarred(item, d)) return answer(item === null ? 'NF' : 'EX', NO_ITEM);
      return put(item!.value);
    case 'copy':
      if (isBarred(item, d)) return answer(item === null ? 'NF' : 'EX', NO_ITEM);
      return put(d.value);
    default: {
      const op = ops[d.of as number]!;
      if (d.cas !== 0 && isBarred(item, d)) return answer(item === null ? 'NF' : 'EX', NO_ITEM);
      const kind = op.kind === 'N' ? 'S' : op.kind;
      const [after, outcome] = perform(kind, item?.value ?? ABSENT, op.letter);
      return outcome === 'NOT_STORED' || outcome === 'NOT_FOUND' ? answer('NF', NO_ITEM) : put(after);
    }
  }
}

function isBarred(item: Item | null, d: Datagram): boolean {
  return item === null || item.cas !== d.cas;
}

function serveCold(world: World, d: Datagram, op: Op, item: Item | null): void {
  const [after, outcome] = perform(op.kind, item?.value ?? ABSENT, op.letter);
  const cas = nextCas(world);
  if (after !== (item?.value ?? ABSENT)) world.nodes[d.node] = after === ABSENT ? null : { value: after, cas };
  send(world, datagram('done', d.node, d.of, { value: outcome }));
}
