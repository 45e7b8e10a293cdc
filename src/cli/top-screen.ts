/** What `keysteer top` shows, as lines of text: rates and shares of the last interval. */
import type { Status } from '../control/admin/status.ts';
import type { LaneRates, NodeRates, Rates } from '../control/rates.ts';
import { bar, clip, duration, micros, percent, short, table, wrap } from './output.ts';

const BAR_CELLS = 10;
/** Lines around the nodes' and lanes' tables: header, rates, latency, drops, and the blanks between. */
const FIXED_LINES = 13;
/** Of each table, however small the terminal is. */
const ROWS_MIN = 3;
/** Columns that the table of nodes has beside the names. */
const FIGURE_COLUMNS = 66;
const NAME_COLUMNS_MIN = 8;

/** @param height lines that there is room for; nodes and lanes beyond it are summed up in one line */
export function topScreen(status: Status, rates: Rates, width: number, height: number): string[] {
  const { lanes } = rates;
  const room = height - FIXED_LINES - rates.latency.length;
  const laneRows = Math.min(lanes.length, Math.max(ROWS_MIN, Math.floor(room / 2)));
  const nodeRows = Math.max(ROWS_MIN, room - laneRows);
  const lines = [
    headLine(status),
    '',
    rateLine(rates, status),
    ...latencyLines(rates),
    ...hotLines(rates, status),
    ...dropLines(rates, width),
    '',
    ...nodeLines(rates.nodes, nodeRows, Math.max(NAME_COLUMNS_MIN, width - FIGURE_COLUMNS)),
    '',
    ...laneLines(lanes, laneRows),
  ];
  return lines.map(line => clip(line, width));
}

function headLine({ vip, mode, pid, seconds, lanes }: Status): string {
  const running = lanes.filter(({ state }) => state === 'running').length;
  return `keysteer  ${vip}  ${mode}  pid ${pid}  up ${duration(seconds)}  lanes ${running}/${lanes.length}`;
}

function rateLine(rates: Rates, { nodes }: Status): string {
  const outstanding = nodes.reduce((sum, node) => sum + node.outstanding, 0);
  const parts = [
    `${short(rates.requestsPerSecond)} requests/s`,
    `${short(rates.repliesPerSecond)} replies/s`,
    `${short(rates.errorAnswersPerSecond)} errors/s`,
    `${short(outstanding)} outstanding`,
  ];
  return parts.join('   ');
}

function latencyLines({ latency }: Rates): string[] {
  return latency.map(
    ({ verbs, path, perSecond, p50Us, p99Us }) =>
      `${verbs} ${path}: p50 ${micros(p50Us)}, p99 ${micros(p99Us)}, ${short(perSecond)}/s`,
  );
}

/** One line; none where no keys are treated as hot. */
function hotLines({ hot: rates }: Rates, { hot }: Status): string[] {
  if (hot === null) return [];
  const parts = [
    `${short(hot.items)} keys, ${short(hot.cached)} cached`,
    `${short(rates.hitsPerSecond)} hits/s (${percent(rates.hitShare, 1)} of reads)`,
    `${short(rates.fillsPerSecond)} fills/s`,
    `${short(rates.writesPerSecond)} writes/s`,
  ];
  return [`hot: ${parts.join(', ')}`];
}

function dropLines({ drops }: Rates, width: number): string[] {
  const all = Object.entries(drops).map(([reason, perSecond]) => `${reason} ${short(perSecond)}/s`);
  return wrap(`drops: ${all.length === 0 ? 'none' : all.join(', ')}`, width, '  ').slice(0, 3);
}

function nodeLines(nodes: readonly NodeRates[], rows: number, nameColumns: number): string[] {
  const shown = nodes.length <= rows ? nodes : [...nodes].sort((a, b) => b.loadShare - a.loadShare).slice(0, rows - 1);
  const head = ['NODE', '', 'LOAD', 'REQ/S', 'REPLIES/S', 'OPEN', 'LOST/S', 'STATE'];
  const cells = shown.map(node => [
    clip(node.name, nameColumns),
    bar(node.loadShare, BAR_CELLS),
    percent(node.loadShare, 1),
    short(node.requestsPerSecond),
    short(node.repliesPerSecond),
    short(node.outstanding),
    short(node.unansweredPerSecond),
    stateText(node),
  ]);
  const hidden = nodes.length - shown.length;
  return [...table([head, ...cells]).split('\n'), ...(hidden > 0 ? [`… and ${hidden} nodes with less load`] : [])];
}

function stateText({ state, neighbour }: NodeRates): string {
  return state === 'up' && neighbour === 'failed' ? 'no ARP' : state;
}

function laneLines(lanes: readonly LaneRates[], rows: number): string[] {
  const shown = lanes.length <= rows ? lanes : lanes.slice(0, rows - 1);
  const head = ['LANE', '', 'WORK', 'ASLEEP', 'REQ/S', 'RESTARTS', 'STATE'];
  const cells = shown.map(({ workShare, idleShare, requestsPerSecond, restarts, state }, lane) => [
    String(lane),
    bar(workShare, BAR_CELLS),
    percent(workShare, 1),
    percent(idleShare, 1),
    short(requestsPerSecond),
    String(restarts),
    state,
  ]);
  const hidden = lanes.slice(shown.length);
  const mean = hidden.reduce((sum, { workShare }) => sum + workShare, 0) / hidden.length;
  const rest = hidden.length > 0 ? [`… and ${hidden.length} more, ${percent(mean, 1)} at work on average`] : [];
  return [...table([head, ...cells]).split('\n'), ...rest];
}
