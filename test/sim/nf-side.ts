import type { Balancer } from './balancer.ts';
import type { Host, Network } from './network.ts';

/** A side of Keysteer on the network, whatever process is there. */
export class NfSide implements Host {
  readonly name: string;
  readonly #network: Network;
  readonly #side: number;
  readonly #process: () => Balancer | undefined;

  /** @param process undefined while there is none: what comes then is lost */
  constructor(network: Network, side: number, process: () => Balancer | undefined) {
    this.name = side === 0 ? 'nf' : 'nf servers';
    this.#network = network;
    this.#side = side;
    this.#process = process;
  }

  hear(slot: number): void {
    this.#process()?.hear(this.#side, slot);
    this.#network.pool.release(slot);
  }
}
