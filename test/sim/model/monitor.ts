/**
 * The judge inside the model: all that a linearizable register could have done so far, as a set of (register, outcome of
 * each operation under way if it has taken effect). An answer that no member foresaw is a violation: the set is empty.
 * Sets are numbered, and moves between them remembered.
 */
import { ABSENT, type Kind, type Op } from './state.ts';

/** `register` + one field per operation: '' not begun or over, '?' has not taken effect ('~': and no answer), else its outcome. */
type Member = readonly string[];

export const VIOLATION = -1;

export class Monitor {
  private readonly sets: string[][] = [];
  private readonly numbers = new Map<string, number>();
  private readonly moves = new Map<string, number>();

  private readonly ops: readonly Op[];

  constructor(ops: readonly Op[]) {
    this.ops = ops;
  }

  start(register: string): number {
    return this.number(this.close([[register, ...this.ops.map(() => '')].join(',')]));
  }

  begin(set: number, op: Op): number {
    return this.move(set, `b${op.id}`, member => withField(member, op.id, '?'));
  }

  /** The operation is answered. */
  end(set: number, op: Op, outcome: string): number {
    return this.move(set, `e${op.id}${outcome}`, member =>
      member[op.id + 1] === outcome ? withField(member, op.id, '') : undefined,
    );
  }

  /** A write that is never answered: it takes effect once at any later time, or never. */
  abandon(set: number, op: Op): number {
    return this.move(set, `a${op.id}`, member => withField(member, op.id, member[op.id + 1] === '?' ? '~' : ''));
  }

  /** A read that is never answered. */
  forget(set: number, op: Op): number {
    return this.move(set, `f${op.id}`, member => withField(member, op.id, ''));
  }

  private move(set: number, event: string, change: (member: Member) => Member | undefined): number {
    const key = `${set}:${event}`;
    const known = this.moves.get(key);
    if (known !== undefined) return known;
    const changed = this.sets[set]!.map(text => change(text.split(','))).filter(member => member !== undefined);
    const next = changed.length === 0 ? VIOLATION : this.number(this.close(changed.map(member => member.join(','))));
    this.moves.set(key, next);
    return next;
  }

  /** With all that may happen by itself: an item vanishes, an operation under way takes effect. */
  private close(members: string[]): string[] {
    const all = new Set(members);
    for (const text of all) {
      const member = text.split(',');
      all.add([ABSENT, ...member.slice(1)].join(','));
      for (const op of this.ops) {
        const field = member[op.id + 1];
        if (field !== '?' && field !== '~') continue;
        const [register, outcome] = perform(op.kind, member[0]!, op.letter);
        all.add([register, ...withField(member, op.id, field === '?' ? outcome : '').slice(1)].join(','));
      }
    }
    return [...all].sort();
  }

  private number(members: string[]): number {
    const key = members.join(' ');
    const known = this.numbers.get(key);
    if (known !== undefined) return known;
    this.sets.push(members);
    this.numbers.set(key, this.sets.length - 1);
    return this.sets.length - 1;
  }
}

function withField(member: Member, id: number, field: string): Member {
  return member.with(id + 1, field);
}

/** The register's own behaviour. @returns [register after, outcome] */
export function perform(kind: Kind, register: string, letter: string): [string, string] {
  const isThere = register !== ABSENT;
  switch (kind) {
    case 'R':
      return [register, register];
    case 'S':
      return [letter, 'STORED'];
    case 'A':
      return isThere ? [register + letter, 'STORED'] : [register, 'NOT_STORED'];
    case 'D':
      return [ABSENT, isThere ? 'DELETED' : 'NOT_FOUND'];
    case 'N':
      return isThere ? [register, 'NOT_STORED'] : [letter, 'STORED'];
  }
}
