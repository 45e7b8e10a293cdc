/**
 * Says text to a memcached over TCP, where a value may be as long as an item can be, and hands back the lines of its
 * answer.
 */
import { connect } from 'node:net';
import { answerLines } from './answer-lines.ts';

const TIMEOUT_MS = 5000;

export interface Saying {
  readonly to: { readonly address: string; readonly port: number };
  /** Latin1, base64. */
  readonly text: string;
  /** Lines to wait for. */
  readonly lines: number;
}

async function say({ to, text, lines }: Saying): Promise<string[]> {
  const socket = connect(to.port, to.address).setEncoding('latin1');
  socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error(`${to.address} has not answered`)));
  socket.write(Buffer.from(text, 'base64'));
  let answer = '';
  for await (const piece of socket) {
    answer += piece;
    if (answer.split('\r\n').length > lines) break;
  }
  socket.destroy();
  return answer.split('\r\n').slice(0, lines);
}

await answerLines(say);
