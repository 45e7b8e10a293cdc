/** A program that a test keeps running inside a namespace: it reads a question a line (JSON) and answers with a line. */
import { createInterface } from 'node:readline';

/** Questions are answered one after the other; the program ends with its standard input. */
export async function answerLines<Question>(answer: (question: Question) => Promise<unknown>): Promise<void> {
  say({ ready: true });
  for await (const line of createInterface({ input: process.stdin })) {
    try {
      say(await answer(JSON.parse(line) as Question));
    } catch (error) {
      say({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    }
  }
}

function say(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
