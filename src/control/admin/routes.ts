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
 *     POST /reload                {"dryRun": true} only says what would change; {"file": …} must be the instance's own
 *
 * Errors are JSON: {"error": {"message": …}}, with `problems` where a configuration is wrong.
 */
import { ConfigError } from '../config/error.ts';
import { isMapping, type Mapping } from '../config/path.ts';
import { metricFamilies } from '../metrics/families.ts';
import { formatOpenMetrics, OPENMETRICS_TYPE } from '../metrics/openmetrics.ts';
import { RowsInUseError } from '../nodes.ts';
import { ReloadError } from '../reload/reloader.ts';
import { NodeChoiceError, TableBusyError, UnknownNodeError } from '../steering.ts';
import { type Instance, statusOf } from './status.ts';

export interface AdminAnswer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

type Route = (instance: Instance, body: Mapping, name: string) => unknown;

const JSON_TYPE = 'application/json; charset=utf-8';
const GETS: Readonly<Record<string, Route>> = {
  '/': () => ({ endpoints: [...Object.keys(GETS), ...Object.keys(POSTS)] }),
  '/status': statusOf,
  '/nodes': ({ conductor }) => ({ nodes: conductor.figures().nodes }),
  '/metrics': metrics,
  '/config': ({ conductor, reloader }) => ({ file: reloader.absolutePath ?? null, config: conductor.config.fields }),
};
const POSTS: Readonly<Record<string, Route>> = {
  '/nodes/NAME/drain': (instance, _body, name) => setDrained(instance, name, true),
  '/nodes/NAME/enable': (instance, _body, name) => setDrained(instance, name, false),
  '/reload': reload,
};

/** @param body text of the request's body, '' without one */
export async function answerAdmin(instance: Instance, method: string, url: string, body: string): Promise<AdminAnswer> {
  const path = url.split('?')[0]!;
  const [, name = ''] = /^\/nodes\/([^/]+)\/[^/]+$/.exec(path) ?? [];
  const pattern = name === '' ? path : path.replace(`/${name}/`, '/NAME/');
  const isGet = method === 'GET' || method === 'HEAD';
  const route = isGet ? ownEntry(GETS, pattern) : method === 'POST' ? ownEntry(POSTS, pattern) : undefined;
  if (route === undefined) return notThere(method, path, pattern);
  try {
    const value = await route(instance, parseBody(body), decodeURIComponent(name));
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
  const isGet = Object.hasOwn(GETS, pattern);
  if (isGet || Object.hasOwn(POSTS, pattern)) {
    const allowed = isGet ? 'GET, HEAD' : 'POST';
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
  if (error instanceof SyntaxError || error instanceof URIError) return 400;
  if (error instanceof UnknownNodeError) return 404;
  const isConflict = [NodeChoiceError, ReloadError, RowsInUseError, TableBusyError].some(kind => error instanceof kind);
  if (isConflict) return 409;
  return (error as NodeJS.ErrnoException).syscall === undefined ? 500 : 422; // the file cannot be read
}
