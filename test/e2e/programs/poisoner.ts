/**
 * Sends the datagrams it is given, over and over, at a steady rate, out of one kernel socket, and counts what comes back.
 *
 *     node poisoner.js
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { answerLines } from './answer-lines.ts';

const TICK_MS = 2;
/** Sent at once at most, also after a stall: what a ring of 1024 frames takes beside other traffic. */
const BURST = 128;
const RECEIVE_BUFFER_BYTES = 4 << 20;
/** Answers are waited for until none has come for so long. */
const QUIET_MS = 200;

export interface Poisoning {
  readonly to: readonly { readonly address: string; readonly port: number }[];
  /** Whole datagrams, base64; datagram n goes to target n modulo their number. */
  readonly datagrams: readonly string[];
  readonly count: number;
  readonly perSecond: number;
}

export interface Poisoned {
  readonly sent: number;
  readonly seconds: number;
  /** How often each text was heard: an error line, or the text of a binary error. */
  readonly answers: Readonly<Record<string, number>>;
}

const socket = createSocket({ type: 'udp4', recvBufferSize: RECEIVE_BUFFER_BYTES });
let answersHeard: Record<string, number> = {};
let heardMs = 0;
socket.on('message', message => {
  const text = message.subarray(message[8] === 0x81 ? 32 : 8).toString('latin1');
  answersHeard[text] = (answersHeard[text] ?? 0) + 1;
  heardMs = performance.now();
});
const listening = once(socket, 'listening');
socket.bind(0);
await listening;

async function poison({ to, datagrams, count, perSecond }: Poisoning): Promise<Poisoned> {
  const bodies = datagrams.map(text => Buffer.from(text, 'base64'));
  const startMs = performance.now();
  let sent = 0;
  answersHeard = {};
  while (sent < count) {
    const due = Math.min(count, Math.ceil(((performance.now() - startMs) * perSecond) / 1000));
    for (let burst = 0; sent < due && burst < BURST; burst++, sent++) {
      const { address, port } = to[sent % to.length]!;
      socket.send(bodies[sent % bodies.length]!, port, address);
    }
    await sleep(TICK_MS);
  }
  const seconds = (performance.now() - startMs) / 1000;
  heardMs = performance.now();
  while (performance.now() - heardMs < QUIET_MS) await sleep(TICK_MS);
  return { sent, seconds, answers: answersHeard };
}

await answerLines(poison);
