/** One of `programs/`, running inside a namespace, and asked one question at a time. */
import { existsSync } from 'node:fs';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { NamespaceSet } from '../../src/experiment/namespaces.ts';
import type { ProcessGroup } from '../../src/experiment/process-group.ts';
import { requireBuild, requireMemcached, requireNamespaces, requireShim } from '../support/requirements.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** What was built. */
export const DIST = `${ROOT}dist/`;
export const CLI = `${DIST}src/cli/main.js`;
/** Node 20 runs no TypeScript: a process of its own starts from dist/. */
const PROGRAMS = `${DIST}test/e2e/programs/`;

/** What every test of a bed needs of the machine; undefined when it is all there, else the reason to skip. */
export function requireBed(): string | undefined {
  return requireNamespaces() ?? requireMemcached() ?? requireShim() ?? requireBuild();
}

export class Program<Question, Answer> {
  readonly group: ProcessGroup;
  readonly #lines: AsyncIterator<string>;
  readonly #interface: Interface;

  private constructor(group: ProcessGroup) {
    this.group = group;
    this.#interface = createInterface({ input: group.child.stdout! });
    this.#lines = this.#interface[Symbol.asyncIterator]();
  }

  static async start<Question, Answer>(
    namespaces: NamespaceSet,
    host: string,
    name: string,
    args: readonly string[] = [],
  ): Promise<Program<Question, Answer>> {
    const path = `${PROGRAMS}${name}.js`;
    if (!existsSync(path)) throw new Error(`${path} is not there: npm run build`);
    const group = namespaces.spawn(host, [process.execPath, path, ...args], { stdin: 'pipe' });
    const program = new Program<Question, Answer>(group);
    await program.#answer();
    return program;
  }

  async ask(question: Question): Promise<Answer> {
    this.group.child.stdin!.write(`${JSON.stringify(question)}\n`);
    return (await this.#answer()) as Answer;
  }

  async stop(): Promise<void> {
    this.#interface.close();
    await this.group.stop();
  }

  async #answer(): Promise<unknown> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`${this.group.argv.join(' ')} ended: ${this.group.output}`);
    const answer = JSON.parse(value) as { error?: string };
    if (answer?.error !== undefined) throw new Error(answer.error);
    return answer;
  }
}
