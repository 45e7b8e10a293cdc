/** Throws unless the words of a skip list are in order on every level, spans included. */
import { LEVELS, LEVELS_MAX, NEXT, NODE_WORDS, SPAN } from '../../src/cache/skip-list.ts';

export function checkSkipList(words: Int32Array, base: number, scores: number, size: number): void {
  const node = (number: number) => base + number * NODE_WORDS;
  const order: number[] = [];
  for (let at = words[node(0) + NEXT]!; at !== 0; at = words[node(at) + NEXT]!) {
    order.push(at);
    if (order.length > size) throw new Error('the list has more nodes than items, or a loop');
  }
  if (order.length !== size) throw new Error(`${order.length} nodes, ${size} items`);
  for (let place = 1; place < size; place++) {
    const [hotter, colder] = [order[place - 1]!, order[place]!];
    const fall = words[scores + hotter - 1]! - words[scores + colder - 1]!;
    if (fall < 0 || (fall === 0 && hotter > colder)) throw new Error(`node ${colder} stands behind ${hotter}`);
  }
  for (let level = 0; level < LEVELS_MAX; level++) checkLevel(words, node, level, order);
}

function checkLevel(words: Int32Array, node: (number: number) => number, level: number, order: number[]): void {
  const members = order.filter(number => words[node(number) + LEVELS]! > level);
  let at = 0;
  let place = 0;
  for (const member of [...members, 0]) {
    const next = words[node(at) + NEXT + level]!;
    if (next !== member) throw new Error(`level ${level}: ${next} follows ${at}, not ${member}`);
    const nextPlace = member === 0 ? order.length : order.indexOf(member) + 1;
    const span = words[node(at) + SPAN + level]!;
    if (span !== nextPlace - place)
      throw new Error(`level ${level}: span of ${at} is ${span}, not ${nextPlace - place}`);
    at = member;
    place = nextPlace;
  }
}
