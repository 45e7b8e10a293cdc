/**
 * A program and everything it starts, as one process group: ended by process id, never by name.
 *
 * The group dies with us: a clean-up step kills it when we exit, and the kernel kills its leader (PR_SET_PDEATHSIG,
 * through setpriv) when we are killed outright.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { onCleanup } from './cleanup.ts';

export interface GroupOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** `pipe` to write to `child.stdin`. */
  readonly stdin?: 'ignore' | 'pipe';
  /** What `stop` says first. SIGTERM by default; SIGKILL for a program that has nothing to put in order. */
  readonly stopSignal?: 'SIGTERM' | 'SIGINT' | 'SIGKILL';
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Output kept for error messages, characters. */
const OUTPUT_KEPT = 65536;

/** Time between the first signal and SIGKILL, ms. */
const GRACE_MS = 2000;

export class ProcessGroup {
  readonly argv: readonly string[];
  readonly child: ChildProcess;
  /** Process id of the leader, which is also the id of the group. */
  readonly pid: number;
  readonly ended: Promise<Ended>;
  #output = '';
  #ended: Ended | undefined;
  #stopSignal: NodeJS.Signals;
  #forget: () => void;

  constructor(argv: readonly string[], options: GroupOptions = {}) {
    this.argv = argv;
    this.child = spawn('setpriv', ['--pdeathsig', 'KILL', ...argv], {
      detached: true,
      env: options.env,
      cwd: options.cwd,
      stdio: [options.stdin ?? 'ignore', 'pipe', 'pipe'],
    });
    this.pid = this.child.pid ?? -1;
    this.#stopSignal = options.stopSignal ?? 'SIGTERM';
    this.#forget = onCleanup(() => this.signal('SIGKILL'));
    this.ended = this.#watch();
  }

  /** Standard output and error together, the last 64 Ki characters. */
  get output(): string {
    return this.#output;
  }

  get running(): boolean {
    return this.#ended === undefined;
  }

  /** Sends a signal to every process of the group. */
  signal(signal: NodeJS.Signals): void {
    if (this.pid < 0) return;
    try {
      process.kill(-this.pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }

  /** Asks the group to end, and kills what is left after `graceMs`. */
  async stop(graceMs = GRACE_MS): Promise<Ended> {
    if (this.#ended !== undefined) return this.#ended;
    this.signal(this.#stopSignal);
    const timer = setTimeout(() => this.signal('SIGKILL'), graceMs);
    const ended = await this.ended;
    clearTimeout(timer);
    return ended;
  }

  /** The first match of `pattern` in the output. Rejects when the program ends first or `timeoutMs` passes. */
  untilOutput(pattern: RegExp, timeoutMs: number): Promise<RegExpMatchArray> {
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void) => {
        clearTimeout(timer);
        this.child.stdout?.off('data', look);
        this.child.stderr?.off('data', look);
        settle();
      };
      const fail = (why: string) => finish(() => reject(new Error(`${this.#name}: ${why}\n${this.#output}`)));
      const look = () => {
        const match = this.#output.match(pattern);
        if (match) finish(() => resolve(match));
      };
      const timer = setTimeout(() => fail(`no ${pattern} within ${timeoutMs} ms`), timeoutMs);
      this.child.stdout?.on('data', look);
      this.child.stderr?.on('data', look);
      void this.ended.then(({ code, signal }) => fail(`ended with ${signal ?? `exit code ${code}`}`));
      look();
    });
  }

  get #name(): string {
    return this.argv.join(' ');
  }

  #watch(): Promise<Ended> {
    const keep = (chunk: Buffer) => {
      this.#output = (this.#output + chunk.toString()).slice(-OUTPUT_KEPT);
    };
    this.child.stdout?.on('data', keep);
    this.child.stderr?.on('data', keep);
    return new Promise(resolve => {
      const end = (ended: Ended) => {
        this.#ended = ended;
        this.#forget();
        resolve(ended);
      };
      this.child.once('exit', () => this.signal('SIGKILL')); // what outlives its leader, and would keep the pipes open
      this.child.once('close', (code, signal) => end({ code, signal }));
      this.child.once('error', error => {
        keep(Buffer.from(`${error.message}\n`));
        if (this.child.pid === undefined) end({ code: 127, signal: null });
      });
    });
  }
}
