/** What `keysteer hot` shows, as lines of text. */
import type { HotFigures, HotKey } from '../control/hot/report.ts';
import { clip, short, table } from './output.ts';

/** What `GET /hot` says. */
export interface HotListing {
  readonly hot: HotFigures;
  /** Keys as they are spelt in commands. */
  readonly pinned: readonly string[];
  readonly banned: readonly string[];
  readonly keys: readonly HotKey[];
}

const KEY_COLUMNS_MIN = 12;
const KEY_COLUMNS_MAX = 60;

export function hotScreen({ hot, banned, keys }: HotListing, width: number): string[] {
  const head = ['SHARE%', '+ERR%', 'GET/S', 'SET/S', 'AT', 'STATE', 'COPIES', 'AGE', 'READS'];
  const figures = [head, ...keys.map(figuresOf)];
  const taken = table(['', ...keys].map((_, row) => ['', ...figures[row]!])).split('\n')[0]!.length;
  const keyColumns = Math.min(KEY_COLUMNS_MAX, Math.max(KEY_COLUMNS_MIN, width - taken));
  const names = ['KEY', ...keys.map(({ key }) => clip(key, keyColumns))];
  const rows = figures.map((row, at) => [names[at]!, ...row]);
  const hidden = hot.items - keys.length;
  const lines = [
    ...factLines(hot, banned.length),
    '',
    ...(keys.length === 0 ? ['no key is hot'] : table(rows).split('\n')),
    ...(hidden > 0 && keys.length > 0 ? [`… and ${hidden} cooler ones`] : []),
  ];
  return lines.map(line => clip(line, width));
}

function factLines(hot: HotFigures, banned: number): string[] {
  const { items, capacity, l1, l2, cached, replicated, copies, pinned, share, detectors, balance, limits, stuck } = hot;
  const lists = [...(pinned > 0 ? [`${pinned} pinned`] : []), ...(banned > 0 ? [`${banned} banned`] : [])];
  const copied = replicated === 0 ? [] : [`${replicated} copied (${copies})`];
  const places = [`L1 ${l1}, L2 ${l2}`, `${cached} cached`, ...copied, ...lists];
  return [
    `${items} of ${capacity} hot keys: ${places.join(', ')}`,
    `hot from ${shareText(share)} of requests; detector error ${shareText(detectors.epsilon)}, ${short(detectors.entries)} entries`,
    `busiest node ÷ mean: ${ratio(balance.measured)} measured, ${ratio(balance.predicted)} foreseen, ${ratio(limits.imbalance)} allowed`,
    ...(stuck > 0 ? [`${stuck} keys are under way for longer than anything explains`] : []),
  ];
}

function figuresOf(hot: HotKey): string[] {
  return [
    percentText(hot.share),
    percentText(hot.shareError),
    short(hot.readsPerSecond),
    short(hot.writesPerSecond),
    `${hot.layer}${hot.pinned ? '*' : ''}`,
    stateText(hot),
    hot.copies > 1 || hot.replicas.length > 0 ? `${hot.replicas.length + 1}/${hot.copies}` : '–',
    ageText(hot.ageSeconds),
    short(hot.reads),
  ];
}

/** CLEAN says little: whether the value is here says more. */
export function stateText({ state, cached }: Pick<HotKey, 'state' | 'cached'>): string {
  if (state === 'promoting') return 'rising';
  return state === 'clean' ? (cached ? 'cached' : 'clean') : state;
}

/** 0.01234 → "1.2 %". */
export function shareText(share: number): string {
  return `${percentText(share)} %`;
}

/** The same without the unit. */
function percentText(share: number): string {
  const value = 100 * share;
  if (value === 0) return '0';
  return value >= 0.0001 ? String(Number(value.toPrecision(value >= 10 ? 3 : 2))) : '<0.0001';
}

function ratio(value: number): string {
  return value.toFixed(2);
}

function ageText(seconds: number): string {
  if (seconds < 100) return `${Math.round(seconds)} s`;
  if (seconds < 6000) return `${Math.round(seconds / 60)} m`;
  return seconds < 360_000 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`;
}
