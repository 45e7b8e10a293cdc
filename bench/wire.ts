/**
 * Frames per second over veth, requests in one direction, against a null forwarder in C on the same kind of sockets
 * (TPACKET_V2 ring, sendmmsg from it): what Keysteer's own work costs beside what the kernel costs anyway.
 *
 *     blaster (CPU 0) ── forwarder (CPU 1) ── sink, which counts arrivals
 *
 * The sink's interface has its address changed once the next hop is resolved, so its kernel drops every frame at once
 * and the same for both. Both get the same sender, in turns. Where a forwarder lets through all that is offered, the
 * sender was the limit: whoever wakes a sleeping forwarder pays for it, so a forwarder that polls is offered more.
 */
import { fileURLToPath } from 'node:url';
import { addVethPairs, ipBatch, NamespaceSet, runIn } from '../src/experiment/namespaces.ts';
import type { ProcessGroup } from '../src/experiment/process-group.ts';
import { type Bench, type BenchOptions, type BenchReport, note, type Spread, spreadOf } from './harness.ts';
import { nativeProgram } from './native.ts';

const ROUNDS = 5;
const SECONDS = 2;
/** V8 compiles what a lane does within its first seconds. */
const WARM_UP_SECONDS = 6;
const START_MS_MAX = 10_000;
const CLI = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));
const VIP = '10.77.0.100';
const CLIENT = '10.77.0.1';
const NODE = '10.77.1.11';
const MAC = {
  sender: '02:4b:53:00:00:ee',
  forwarderIn: '02:4b:53:00:00:01',
  node: '02:4b:53:00:00:0c',
  aside: '02:4b:53:00:00:0d',
};
const SENDER_CPU = '0';
const FORWARDER_CPU = '1';

type ForwarderName = 'keysteer' | 'nullForwarder' | 'nullForwarderV3' | 'nullForwarderTxRing';

class WireBed {
  readonly #namespaces = new NamespaceSet();
  readonly #sender: string;
  readonly #forwarder: string;
  readonly #sink: string;

  constructor() {
    const [sender, forwarder, sink] = this.#namespaces.create(['sender', 'forwarder', 'sink']);
    this.#sender = sender;
    this.#forwarder = forwarder;
    this.#sink = sink;
    addVethPairs([
      [
        { namespace: sender, name: 's0', mac: MAC.sender },
        { namespace: forwarder, name: 'f0', mac: MAC.forwarderIn },
      ],
      [
        { namespace: forwarder, name: 'f1' },
        { namespace: sink, name: 'd0', mac: MAC.node },
      ],
    ]);
    ipBatch(['link set s0 up'], sender);
    ipBatch(['link set f0 up', 'link set f1 up'], forwarder);
    ipBatch([`address add ${NODE}/24 dev d0`, 'link set d0 up'], sink);
  }

  /** Frames per second that arrive while the sender offers all it can. */
  async measure(name: ForwarderName, seconds: number): Promise<{ arrived: number; offered: number }> {
    const group = await this.#start(name);
    this.#blast(WARM_UP_SECONDS);
    const before = this.#arrivals();
    const { sent, seconds: elapsed } = this.#blast(seconds);
    await settled();
    const arrived = (this.#arrivals() - before) / elapsed;
    await group.stop();
    return { arrived, offered: sent / elapsed };
  }

  close(): Promise<void> {
    return this.#namespaces.close();
  }

  async #start(name: ForwarderName): Promise<ProcessGroup> {
    ipBatch([`link set d0 address ${MAC.node}`], this.#sink);
    const group = name === 'keysteer' ? await this.#startKeysteer() : await this.#startNull(name);
    ipBatch([`link set d0 address ${MAC.aside}`], this.#sink);
    return group;
  }

  async #startKeysteer(): Promise<ProcessGroup> {
    const place = ['--vip', VIP, '--client', 'f0', '--server', 'f1', '--server-address', '10.77.1.1/24'];
    // Nobody answers here: a short lifetime lets the slot table come round, and no key can become hot, though each of the few
    // is asked for so often that all would have to. What is measured is the forwarding.
    // The sender knows the interface's address, as the null forwarder has no other.
    const macs = ['--client-mac', 'interface', '--server-mac', 'interface'];
    const rest = [
      ...macs,
      '--node',
      `mc1=${NODE}:11211`,
      '--pin',
      FORWARDER_CPU,
      '--reply-lifetime-ms',
      '100',
      '--hot',
      'off',
    ];
    const argv = [process.execPath, CLI, 'run', '--json', '--interval', '0.1', ...place, ...rest];
    const group = this.#namespaces.spawn(this.#forwarder, argv);
    await group.untilOutput(/"neighbour":"reachable"/, START_MS_MAX);
    return group;
  }

  async #startNull(name: ForwarderName): Promise<ProcessGroup> {
    const version = name === 'nullForwarderV3' ? 'v3' : 'v2';
    const transmit = name === 'nullForwarderTxRing' ? 'ring' : 'mmsg';
    const argv = ['taskset', '-c', FORWARDER_CPU, nativeProgram('null-forwarder'), 'f0', 'f1', version, transmit];
    const group = this.#namespaces.spawn(this.#forwarder, [...argv, MAC.sender, MAC.node]);
    await group.untilOutput(/ready/, START_MS_MAX);
    return group;
  }

  #blast(seconds: number): { sent: number; seconds: number } {
    const blaster = nativeProgram('blaster');
    const argv = ['taskset', '-c', SENDER_CPU, blaster, 's0', MAC.forwarderIn, CLIENT, VIP, `${seconds}`];
    return JSON.parse(runIn(this.#sender, argv));
  }

  #arrivals(): number {
    const [link] = JSON.parse(runIn(this.#sink, ['ip', '-s', '-j', 'link', 'show', 'dev', 'd0']));
    return link.stats64.rx.packets;
  }
}

/** Lets the forwarder finish what is in its ring. */
function settled(): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, 50));
}

async function run({ rounds = ROUNDS, seconds = SECONDS }: BenchOptions): Promise<BenchReport> {
  const names: ForwarderName[] = ['nullForwarder', 'keysteer', 'nullForwarderV3', 'nullForwarderTxRing'];
  const rates = new Map<ForwarderName, number[]>(names.map(name => [name, []]));
  const offers: number[] = [];
  const bed = new WireBed();
  try {
    for (let round = 0; round < rounds; round++) {
      for (const name of names) {
        const { arrived, offered } = await bed.measure(name, seconds);
        rates.get(name)!.push(arrived);
        offers.push(offered);
        note(
          `round ${round + 1}/${rounds} ${name.padEnd(20)} ${Math.round(arrived)} frames/s of ${Math.round(offered)} offered`,
        );
      }
    }
  } finally {
    await bed.close();
  }
  return report(rates, offers);
}

function report(rates: ReadonlyMap<ForwarderName, number[]>, offers: readonly number[]): BenchReport {
  const spreads = new Map<ForwarderName, Spread>([...rates].map(([name, values]) => [name, spreadOf(values)]));
  const null_ = rates.get('nullForwarder')!;
  const ratio = spreadOf(rates.get('keysteer')!.map((rate, round) => rate / null_[round]));
  const medians = Object.fromEntries(
    [...spreads].map(([name, { median }]) => [name, { framesPerSecond: Math.round(median) }]),
  );
  return {
    headline: `wire: ${ratio.median.toFixed(2)} × the null forwarder in C (${Math.round(medians.keysteer.framesPerSecond).toLocaleString('en')} frames/s over veth)`,
    results: {
      ratioToNull: Number(ratio.median.toFixed(3)),
      ...medians,
      offeredFramesPerSecond: Math.round(spreadOf(offers).median),
    },
    spread: { ratioToNull: ratio, ...Object.fromEntries(spreads) },
  };
}

export const bench: Bench = {
  describe: 'frames/s over veth, one direction, one lane on a core of its own; sender in C on the other core',
  run,
};
