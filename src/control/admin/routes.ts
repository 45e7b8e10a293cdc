/**
 * The admin interface's requests:
 *
 *     GET  /                      what there is
 *     GET  /status                everything, as JSON
 *     GET  /nodes                 the nodes alone
 *     GET  /config                the configuration in force, defaults filled in
 *     GET  /metrics               OpenMetrics
 *     POST /nodes/NAME/drain      its keys go to its successors
 *     POST /nodes/NAME/enable     and come back
 *     GET  /hot …                 hot keys: hot-routes.ts
 *     POST /reload                {"dryRun": true} only says what would change; {"file": …} must be the instance's own
 *
 * Errors are JSON: {"error": {"message": …}}, with `problems` where a configuration is wrong.
 */
import { ConfigError } from '../config/error.ts';
import { formatValue, isMapping, type Mapping } from '../config/path.ts';
import { HotListError } from '../hot/lists.ts';
import { HotOffError, HotRequestError } from '../hot/watch.ts';
import { metricFamilies } from '../metrics/families.ts';
import { formatOpenMetrics, OPENMETRICS_TYPE } from '../metrics/openmetrics.ts';
import { RowsInUseError } from '../nodes.ts';
import { ReloadError } from '../reload/reloader.ts';
import { NodeChoiceError, TableBusyError, UnknownNodeError } from '../steering.ts';
import { explainHot, HOT_ORDERS, limitHot, listHot, orderHot } from './hot-routes.ts';
import { type Instance, statusOf } from './status.ts';

export interface AdminAnswer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What a request says: its JSON body, the NAME in its path, what follows the `?`. */
interface Asked {
  readonly body: Mapping;
  readonly name: string;
  readonly query: URLSearchParams;
}

type Route = (instance: Instance, asked: Asked) => unknown;

/** What cannot be done as things are. */
const CONFLICTS = [NodeChoiceError, ReloadError, RowsInUseError, TableBusyError, HotOffError, HotListError];
const JSON_TYPE = 'application/json; charset=utf-8';
const GETS: Readonly<Record<string, Route>> = {
  '/': () => ({ endpoints: Object.values(ROUTES).flatMap(Object.keys) }),
  '/status': statusOf,
  '/nodes': ({ conductor }) => ({ nodes: conductor.figures().nodes }),
  '/metrics': metrics,
  '/hot': (instance, { query }) => listHot(instance, query),
  '/hot/key': (instance, { query }) => explainHot(instance, query),
  '/config': ({ conductor, reloader }) => ({ file: reloader.absolutePath ?? null, config: conductor.config.fields }),
};
const POSTS: Readonly<Record<string, Route>> = {
  '/nodes/NAME/drain': (instance, { name }) => setDrained(instance, name, true),
  '/nodes/NAME/enable': (instance, { name }) => setDrained(instance, name, false),
  '/reload': (instance, { body }) => reload(instance, body),
  ...Object.fromEntries(
    HOT_ORDERS.map(
      order => [`/hot/${order}`, (instance, { query }) => orderHot(instance, order, query)] as [string, Route],
    ),
  ),
};
const PUTS: Readonly<Record<string, Route>> = {
  '/hot/limits': (instance, { body }) => limitHot(instance, body),
};
const ROUTES: Readonly<Record<string, Readonly<Record<string, Route>>>> = {
  'GET, HEAD': GETS,
  POST: POSTS,
  PUT: PUTS,
};

/** @param body text of the request's body, '' without one */
export async function answerAdmin(instance: Instance, method: string, url: string, body: string): Promise<AdminAnswer> {
  const [, path = '', search = ''] = /^([^?]*)\??(.*)$/s.exec(url)!;
  const [, name = ''] = /^\/nodes\/([^/]+)\/[^/]+$/.exec(path) ?? [];
  const pattern = name === '' ? path : path.replace(`/${name}/`, '/NAME/');
  const route = ownEntry(ROUTES[method === 'GET' || method === 'HEAD' ? 'GET, HEAD' : method] ?? {}, pattern);
  if (route === undefined) return notThere(method, path, pattern);
  try {
    const asked = { body: parseBody(body), name: decodeURIComponent(name), query: parseQuery(search) };
    const value = await route(instance, asked);
    return route === metrics ? (value as AdminAnswer) : answer(200, value);
  } catch (error) {
    return failure(error);
  }
}

export function errorAnswer(status: number, message: string, headers: Record<string, string> = {}): AdminAnswer {
  return { ...answer(status, { error: { message } }), headers };
}

function ownEntry(routes: Readonly<Record<string, Route>>, pattern: string): Route | undefined {
  return Object.hasOwn(routes, pattern) ? routes[pattern] : undefined;
}

function answer(status: number, value: unknown): AdminAnswer {
  return { status, type: JSON_TYPE, body: `${JSON.stringify(value)}\n` };
}

/** Nothing of that name, or not by that method. */
function notThere(method: string, path: string, pattern: string): AdminAnswer {
  const known = Object.entries(ROUTES).filter(([, routes]) => Object.hasOwn(routes, pattern));
  const allowed = known.map(([methods]) => methods).join(', ');
  if (allowed !== '') {
    return errorAnswer(405, `${path} does not know ${method}; it knows ${allowed}`, { allow: allowed });
  }
  return errorAnswer(404, `there is no ${path}; GET / lists what there is`);
}

function metrics({ version, startedAt, conductor, reloader }: Instance): AdminAnswer {
  const families = metricFamilies({
    version,
    startedAt: startedAt.getTime() / 1000,
    figures: conductor.figures(),
    lanes: conductor.laneMemory,
    reloads: reloader.figures,
  });
  return { status: 200, type: OPENMETRICS_TYPE, body: formatOpenMetrics(families) };
}

/** @throws SyntaxError */
function parseBody(text: string): Mapping {
  const body: unknown = text === '' ? {} : JSON.parse(text);
  if (!isMapping(body)) throw new SyntaxError('the body must be a JSON object');
  return body;
}

/** What is no UTF-8 would become U+FFFD in silence. @throws SyntaxError */
function parseQuery(text: string): URLSearchParams {
  try {
    decodeURIComponent(text);
  } catch {
    const rule = 'its % must begin escapes of UTF-8; a byte of a key that is none is spelt \\xNN, as %5CxNN';
    throw new SyntaxError(`the query is ${formatValue(text)}; ${rule}`);
  }
  return new URLSearchParams(text);
}

async function setDrained({ conductor }: Instance, name: string, drained: boolean): Promise<object> {
  await conductor.setDrained(name, drained);
  return { node: conductor.figures().nodes.find(node => node.name === name) };
}

async function reload({ reloader }: Instance, { dryRun = false, file }: Mapping): Promise<object> {
  if (typeof dryRun !== 'boolean')
    throw new ReloadError(`dryRun is ${JSON.stringify(dryRun)}; it must be true or false`);
  if (file !== undefined && file !== reloader.absolutePath) {
    const own = reloader.absolutePath ?? 'flags alone';
    throw new ReloadError(`this instance was started from ${own}, not from ${file}; a reload reads that again`);
  }
  return reloader.reload({ dryRun });
}

function failure(error: unknown): AdminAnswer {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof ConfigError) return answer(422, { error: { message, problems: error.problems } });
  return errorAnswer(statusOfError(error), message);
}

function statusOfError(error: unknown): number {
  if ([SyntaxError, URIError, HotRequestError].some(kind => error instanceof kind)) return 400;
  if (error instanceof UnknownNodeError) return 404;
  if (CONFLICTS.some(kind => error instanceof kind)) return 409;
  return (error as NodeJS.ErrnoException).syscall === undefined ? 500 : 422; // the file cannot be read
}
