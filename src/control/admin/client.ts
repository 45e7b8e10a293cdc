/** Asking a running instance, for the command line. */
import { type RequestOptions, request } from 'node:http';
import { type AdminPlace, placeText } from './places.ts';

/** A reload waits for ARP and for the lanes; nothing else takes longer, ms. */
const ANSWER_MS_MAX = 60_000;

/** Nobody is there, or who is there is not Keysteer. */
export class AdminClientError extends Error {
  override readonly name = 'AdminClientError';
}

/** The instance refused; its words. */
export class AdminRefusal extends Error {
  override readonly name = 'AdminRefusal';
  readonly status: number;
  /** The whole answer. */
  readonly answer: unknown;

  constructor(status: number, message: string, answer: unknown) {
    super(message);
    this.status = status;
    this.answer = answer;
  }
}

type Method = 'GET' | 'POST' | 'PUT';

interface Answer {
  readonly status: number;
  readonly text: string;
}

/**
 * @returns what the answer's JSON says
 * @throws AdminClientError, AdminRefusal
 */
export async function askAdmin<T>(place: AdminPlace, method: Method, path: string, body?: object): Promise<T> {
  const { status, text } = await exchange(place, method, path, body);
  const answer = parse(text);
  if (answer === undefined) throw new AdminClientError(`${placeText(place)} answers, but is no Keysteer`);
  if (status < 300) return answer as T;
  const { error } = answer as { error?: { message?: string } };
  throw new AdminRefusal(status, error?.message ?? `${placeText(place)} answers with status ${status}`, answer);
}

function exchange(place: AdminPlace, method: string, path: string, body: object | undefined): Promise<Answer> {
  const options: RequestOptions = {
    ...(place.kind === 'unix' ? { socketPath: place.path } : { host: place.host, port: place.port }),
    method,
    path,
    timeout: ANSWER_MS_MAX,
    headers: body === undefined ? {} : { 'content-type': 'application/json' },
  };
  return new Promise((resolve, reject) => {
    const asked = request(options, answer => {
      let text = '';
      answer.setEncoding('utf8').on('data', chunk => {
        text += chunk;
      });
      answer.once('end', () => resolve({ status: answer.statusCode ?? 0, text }));
    });
    asked.once('timeout', () => asked.destroy(new Error('no answer in time')));
    asked.once('error', error =>
      reject(new AdminClientError(`no instance answers at ${placeText(place)}: ${why(error)}`)),
    );
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function why(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT') return 'there is no such socket';
  if (error.code === 'ECONNREFUSED') return 'nobody listens there';
  return error.code === 'EACCES' ? 'not allowed; it belongs to another user' : error.message;
}

function parse(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
