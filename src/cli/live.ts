/** A screen that is drawn again and again until q or a signal ends it: what `top` and `hot` share. */
import { UsageError } from './output.ts';

const HEIGHT = 24;
const INTERVAL_SECONDS_MIN = 0.1;
const INTERVAL_SECONDS_MAX = 3600;

/** Alternate screen and hidden cursor, so that the shell's screen is as it was afterwards. */
const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';
const HOME = '\x1b[H';
const CLEAR_LINE = '\x1b[K';
const CLEAR_BELOW = '\x1b[J';
const CTRL_C = '\x03';

export function readInterval(text: string): number {
  const seconds = Number(text);
  if (seconds >= INTERVAL_SECONDS_MIN && seconds <= INTERVAL_SECONDS_MAX) return seconds;
  throw new UsageError(`--interval is ${text}; it must be ${INTERVAL_SECONDS_MIN} to ${INTERVAL_SECONDS_MAX} seconds`);
}

export function pause(ms: number, quit: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (quit.aborted) return resolve();
    const end = () => {
      clearTimeout(timer);
      quit.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    quit.addEventListener('abort', end);
  });
}

/** Over what was there before; lines that do not fit are left out. */
export function drawLines(lines: readonly string[]): void {
  const { rows = HEIGHT } = process.stdout;
  const shown = lines.slice(0, rows - 1);
  process.stdout.write(`${HOME}${shown.map(line => `${line}${CLEAR_LINE}`).join('\r\n')}${CLEAR_BELOW}`);
}

/** @returns what puts the terminal back as it was */
export function openScreen(quit: AbortController): () => void {
  const { stdin, stdout } = process;
  stdout.write(ENTER);
  const offSignals = onSignals(quit);
  const onKey = (key: Buffer) => {
    if (key.toString() === 'q' || key.toString() === CTRL_C) quit.abort();
  };
  if (stdin.isTTY) stdin.setRawMode(true).resume().on('data', onKey);
  return () => {
    if (stdin.isTTY) stdin.off('data', onKey).setRawMode(false).pause();
    offSignals();
    stdout.write(LEAVE);
  };
}

export function onSignals(quit: AbortController): () => void {
  const end = () => quit.abort();
  process.once('SIGINT', end).once('SIGTERM', end);
  return () => {
    process.off('SIGINT', end).off('SIGTERM', end);
  };
}
