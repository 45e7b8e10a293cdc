/** `keysteer run` as its users start it: the built program, in the balancer's namespace. */
import { createInterface } from 'node:readline';
import type { AdminPlace } from '../../src/control/admin/places.ts';
import type { Figures, HealthEvent } from '../../src/control/conductor.ts';
import type { NamespaceSet } from '../../src/experiment/namespaces.ts';
import type { ProcessGroup } from '../../src/experiment/process-group.ts';
import { CLI } from './program.ts';

const START_MS_MAX = 10_000;
/** Time for what is awaited of a figure, ms. */
const FIGURES_MS_MAX = 10_000;

export interface Stopped {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly figures: Figures;
  /** From the signal to the end of the process. */
  readonly ms: number;
}

interface Line {
  readonly event: 'ready' | 'health' | 'figures' | 'final';
}

/** A line of the event `health`. */
export interface HealthLine extends HealthEvent {
  readonly event: 'health';
  /** When it was written, ISO 8601. */
  readonly time: string;
}

/** Prints its figures as JSON lines all the time; whatever the test awaits of them is seen within 50 ms. */
export class Balancer {
  readonly group: ProcessGroup;
  /** Every line so far. */
  readonly lines: string[] = [];
  readonly #waiting = new Set<(line: Line & Figures) => void>();
  #final: Figures | undefined;

  private constructor(group: ProcessGroup) {
    this.group = group;
    createInterface({ input: group.child.stdout! }).on('line', line => this.#hear(line));
  }

  static async start(namespaces: NamespaceSet, host: string, flags: readonly string[]): Promise<Balancer> {
    const argv = [process.execPath, CLI, 'run', '--json', '--interval', '0.05', ...flags];
    const balancer = new Balancer(namespaces.spawn(host, argv));
    await balancer.group.untilOutput(/"event":"ready".*\n/, START_MS_MAX);
    return balancer;
  }

  /** Its admin socket. */
  get admin(): AdminPlace {
    const { admin } = JSON.parse(this.lines[0]!) as { admin: string };
    return { kind: 'unix', path: admin };
  }

  /** The first figures, from now on, for which `holds`. */
  figuresWhen(what: string, holds: (figures: Figures) => boolean): Promise<Figures> {
    return new Promise((resolve, reject) => {
      let latest: Figures | undefined;
      const timer = setTimeout(() => {
        this.#waiting.delete(look);
        reject(
          new Error(`not seen in the figures: ${what}\n${JSON.stringify(latest)}\n${this.group.output.slice(-500)}`),
        );
      }, FIGURES_MS_MAX);
      const look = (figures: Figures) => {
        latest = figures;
        if (!holds(figures)) return;
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve(figures);
      };
      this.#waiting.add(look);
    });
  }

  /** Calls `look` with all figures from now on; returns what ends that. */
  watch(look: (figures: Figures) => void): () => void {
    this.#waiting.add(look);
    return () => this.#waiting.delete(look);
  }

  /** The figures as they are now. */
  figures(): Promise<Figures> {
    return this.figuresWhen('anything', () => true);
  }

  /** What was said of a node's health, in order; from the line `from` on. */
  health(node: string, from = 0): HealthLine[] {
    const said = this.lines.slice(from).map(text => JSON.parse(text) as HealthLine);
    return said.filter(line => line.event === 'health' && line.node === node);
  }

  async stop(signal: NodeJS.Signals = 'SIGINT'): Promise<Stopped> {
    const startedMs = performance.now();
    this.group.signal(signal);
    const ended = await this.group.ended;
    const ms = performance.now() - startedMs;
    if (this.#final === undefined) throw new Error(`no final figures: ${this.group.output.slice(-2000)}`);
    return { ...ended, figures: this.#final, ms };
  }

  #hear(text: string): void {
    this.lines.push(text);
    const line = JSON.parse(text) as Line & Figures;
    if (line.event === 'final') this.#final = line;
    if (line.event === 'figures') for (const look of this.#waiting) look(line);
  }
}

export interface ListedNode {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly weight?: number;
}

/** Node flags of `run`, `explain` and `plain-proxy`. */
export function nodeFlags(nodes: readonly ListedNode[]): string[] {
  return nodes.flatMap(({ name, address, port, weight }) => [
    '--node',
    `${name}=${address}:${port}${weight === undefined ? '' : `*${weight}`}`,
  ]);
}
