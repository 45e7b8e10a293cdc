/** A progress bar on stderr: one line redrawn on a terminal, a line per step elsewhere. */
const WIDTH = 24;

export class ProgressBar {
  readonly #terminal = process.stderr.isTTY === true;
  #step = '';

  /** A line that stays. */
  say(text: string): void {
    this.clear();
    process.stderr.write(`${text}\n`);
  }

  /** @param share 0 … 1; @param text what is going on; what precedes its first comma names the step */
  show(share: number, text: string): void {
    if (this.#terminal) return this.#draw(share, text);
    const step = text.split(',')[0];
    if (step !== this.#step) process.stderr.write(`${percentOf(share)} ${step}\n`);
    this.#step = step;
  }

  clear(): void {
    if (this.#terminal) process.stderr.write('\r\x1b[K');
  }

  #draw(share: number, text: string): void {
    const filled = Math.round(Math.min(Math.max(share, 0), 1) * WIDTH);
    const bar = `${'█'.repeat(filled)}${'░'.repeat(WIDTH - filled)}`;
    const room = (process.stderr.columns || 80) - WIDTH - 8;
    process.stderr.write(`\r\x1b[K${bar} ${percentOf(share)} ${text.slice(0, room)}`);
  }
}

function percentOf(share: number): string {
  return `${String(Math.round(share * 100)).padStart(3)} %`;
}
