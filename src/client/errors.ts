/** What can go wrong with a request, as types. `message` is a whole sentence for people; the fields are for programs. */

/** Characters of a server's words that a message repeats. */
const QUOTED_CHARACTERS_MAX = 120;

/** Every error of this room. */
export class ClientError extends Error {
  override readonly name: string = 'ClientError';
}

/** A key that memcached does not take. Nothing was sent. */
export class KeyError extends ClientError {
  override readonly name = 'KeyError';
  readonly key: string;
  readonly rule: string;

  constructor(key: string, rule: string) {
    super(`key ${quote(key)}: ${rule}`);
    this.key = key;
    this.rule = rule;
  }
}

/** Another argument that cannot be sent: a value beyond one datagram, flags beyond 32 bits. Nothing was sent. */
export class ArgumentError extends ClientError {
  override readonly name = 'ArgumentError';
  readonly argument: string;
  readonly rule: string;

  constructor(argument: string, value: unknown, rule: string) {
    super(`${argument} is ${typeof value === 'string' ? quote(value) : String(value)}; it ${rule}`);
    this.argument = argument;
    this.rule = rule;
  }
}

export interface Unanswered {
  /** `127.0.0.1:11211` */
  readonly server: string;
  readonly verb: string;
  /** The key asked for, the first of several; undefined for a request without one. */
  readonly key?: string;
  readonly timeoutMs: number;
  /** Requests sent: 1, and one for each retry. */
  readonly attempts: number;
  /** The server's host said meanwhile that nothing listens there (ICMP port unreachable). */
  readonly refused: boolean;
  /** Datagrams of the reply that came: more than 0 when some of several were lost. */
  readonly datagrams: number;
}

/** No whole reply in time. A write may have been executed nevertheless: it is never sent a second time. */
export class TimeoutError extends ClientError implements Unanswered {
  override readonly name = 'TimeoutError';
  readonly server: string;
  readonly verb: string;
  readonly key?: string;
  readonly timeoutMs: number;
  readonly attempts: number;
  readonly refused: boolean;
  readonly datagrams: number;

  constructor({ server, verb, key, timeoutMs, attempts, refused, datagrams }: Unanswered) {
    const asked = key === undefined ? verb : `${verb} ${quote(key)}`;
    const times = attempts > 1 ? ` each of ${attempts} times` : '';
    const reason = refused ? '; nothing listens there (ICMP port unreachable)' : '';
    const partial = datagrams > 0 ? `; ${datagrams} datagrams of the reply came, others did not` : '';
    super(`no answer from ${server} to ${asked} within ${timeoutMs} ms${times}${reason}${partial}`);
    this.server = server;
    this.verb = verb;
    this.key = key;
    this.timeoutMs = timeoutMs;
    this.attempts = attempts;
    this.refused = refused;
    this.datagrams = datagrams;
  }
}

/** The server answered with an error line: ERROR, CLIENT_ERROR … or SERVER_ERROR …. */
export class ServerError extends ClientError {
  override readonly name = 'ServerError';
  readonly line: string;

  constructor(line: string) {
    super(`the server answered: ${line.slice(0, QUOTED_CHARACTERS_MAX).replaceAll(/[^ -~]/g, '?')}`);
    this.line = line;
  }
}

/** What came is no answer to what was asked. */
export class ReplyError extends ClientError {
  override readonly name = 'ReplyError';
  /** The reply, without frame headers. */
  readonly payload: Uint8Array;

  constructor(asked: string, payload: Uint8Array) {
    const start = Buffer.from(payload).toString('latin1').slice(0, QUOTED_CHARACTERS_MAX);
    super(`no answer to ${asked}: the server sent ${payload.length} bytes, ${JSON.stringify(start)}`);
    this.payload = payload;
  }
}

/** The client was closed before an answer came, or was asked afterwards. */
export class ClosedError extends ClientError {
  override readonly name = 'ClosedError';

  constructor() {
    super('the client is closed');
  }
}

function quote(text: string): string {
  const shown = text.length > QUOTED_CHARACTERS_MAX ? `${text.slice(0, QUOTED_CHARACTERS_MAX)}…` : text;
  return JSON.stringify(shown);
}
