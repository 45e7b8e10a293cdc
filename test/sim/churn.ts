/** Somebody who pins keys, and lets them go: so that they become hot and cold all the time, however seldom they are asked for. */
import type { Keeper } from '../../src/control/hot/keeper.ts';
import type { Actor } from './actors.ts';
import type { Random } from './random.ts';

/** Keys at a time: of 64 items half may be pinned. */
const PINNED_MAX = 24;

export function churn(keeper: Keeper, keys: readonly string[], meanMs: number, random: Random): Actor {
  const pinned: string[] = [];
  const letGo = () => {
    const [key] = pinned.splice(random.below(pinned.length), 1);
    const bytes = Buffer.from(key!, 'latin1');
    // A ban makes it leave at once; it may come back.
    keeper.ban(bytes);
    keeper.unban(bytes);
  };
  const turn = () => {
    if (pinned.length >= PINNED_MAX || (pinned.length > 0 && random.chance(0.5))) letGo();
    const key = random.of(keys);
    if (!pinned.includes(key)) {
      keeper.pin(Buffer.from(key, 'latin1'));
      pinned.push(key);
    }
    return random.exponential(meanMs);
  };
  return { name: 'churn', turn };
}
