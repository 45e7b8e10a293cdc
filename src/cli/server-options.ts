/** What all commands that speak to a memcached server share: `--server`, `--timeout`, `--json`, exit statuses. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import {
  ArgumentError,
  ClientError,
  ClosedError,
  KeyError,
  ReplyError,
  ServerError,
  TimeoutError,
} from '../client/errors.ts';
import { EXIT_FAILURE, EXIT_USAGE, messageOf, UserError } from './output.ts';

export interface ServerOptions {
  readonly server: string;
  /** ms */
  readonly timeout: number;
  readonly json?: boolean;
}

/** A miss, not stored, or refused by an error line. */
export const EXIT_MISS = 1;
/** No answer in time, or the server cannot be reached. */
export const EXIT_NO_ANSWER = 3;

export const EXIT_STATUS_HELP = `
Exit status: 0 hit or done, 1 miss, not stored or an error line, 2 wrong usage (nothing was sent), 3 no answer.
Servers are asked over UDP: memcached needs -U PORT. A lost datagram is no answer; nothing is sent twice.`;

export function addServerOptions(command: Command): Command {
  return command
    .addOption(
      new Option('-s, --server <HOST[:PORT]>', 'memcached or Keysteer')
        .env('KEYSTEER_SERVER')
        .default('127.0.0.1:11211'),
    )
    .addOption(
      new Option('--timeout <MS>', 'how long an answer may take').default(1000).argParser(wholeNumber(1, 3_600_000)),
    )
    .option('--json', 'machine-readable');
}

/** An option or argument that is a whole number; anything else is wrong usage. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return text => {
    const value = Number(text);
    if (/^-?[0-9]+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}

/** Up to 64 bits. */
export function bigNumber(text: string): bigint {
  if (/^[0-9]{1,20}$/.test(text) && BigInt(text) < 1n << 64n) return BigInt(text);
  throw new InvalidArgumentError('It must be a whole number from 0 to 2^64 − 1.');
}

/** Runs a command and sets the exit status by what it returns or throws. */
export async function withExitStatus(run: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await run();
  } catch (error) {
    process.exitCode = statusOf(error);
    process.stderr.write(`keysteer: ${error instanceof ClientError ? error.message : messageOf(error)}\n`);
  }
}

function statusOf(error: unknown): number {
  if (error instanceof KeyError || error instanceof ArgumentError || error instanceof UserError) return EXIT_USAGE;
  if (error instanceof ServerError || error instanceof ReplyError) return EXIT_MISS;
  if (error instanceof TimeoutError || error instanceof ClosedError) return EXIT_NO_ANSWER;
  const isSystemError = (error as NodeJS.ErrnoException | null)?.code !== undefined;
  return isSystemError ? EXIT_NO_ANSWER : EXIT_FAILURE;
}
