/** A test bed with memcached on its nodes, and whatever a test starts in it; `close` ends all of it. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemcachedNode, startMemcachedNodes } from '../../src/experiment/memcached-node.ts';
import type { NamespaceSet } from '../../src/experiment/namespaces.ts';
import type { TestBed, TestBedOptions } from '../../src/experiment/topology.ts';
import { BALANCER_SERVER_ADDRESS, buildTestBed, VIP } from '../../src/experiment/topology.ts';
import { Balancer, type ListedNode, nodeFlags } from './balancer.ts';
import { UdpClient } from './udp-client.ts';

export class Bed {
  readonly network: TestBed;
  readonly nodes: MemcachedNode[];
  readonly #scratch = mkdtempSync(join(tmpdir(), 'keysteer-e2e-'));

  private constructor(network: TestBed, nodes: MemcachedNode[]) {
    this.network = network;
    this.nodes = nodes;
  }

  /** Clients have kernels with addresses and sockets: what the kernel takes from Keysteer is right by its judgement. */
  static async start(options: Partial<TestBedOptions> = {}): Promise<Bed> {
    const network = buildTestBed({ layout: 'switched', clients: 1, nodes: 2, kernelClients: true, ...options });
    try {
      return new Bed(network, await startMemcachedNodes(network.namespaces, network.nodes));
    } catch (error) {
      await network.close();
      throw error;
    }
  }

  get namespaces(): NamespaceSet {
    return this.network.namespaces;
  }

  /** Two-armed, all nodes of the bed unless told otherwise. */
  startBalancer(extra: readonly string[] = [], nodes: readonly ListedNode[] = this.network.nodes): Promise<Balancer> {
    const { client, server } = this.network.balancer;
    const ports = ['--client', client.name, '--server', server.name, '--server-address', BALANCER_SERVER_ADDRESS];
    return this.startBalancerWith(['--vip', VIP, ...ports, ...nodeFlags(nodes), ...extra]);
  }

  /** Without a rehearsal, unless `flags` say how long: what is right cold is right warm. */
  startBalancerWith(flags: readonly string[]): Promise<Balancer> {
    return Balancer.start(this.namespaces, this.network.balancer.host, ['--warm-up-ms', '0', ...flags]);
  }

  /** A configuration file that is gone with the bed; returns its path. */
  writeConfig(name: string, text: string): string {
    const path = join(this.#scratch, name);
    writeFileSync(path, text);
    return path;
  }

  removeConfig(name: string): void {
    rmSync(join(this.#scratch, name));
  }

  /** @param client 0 … */
  startClient(client = 0, sourcePort = 0): Promise<UdpClient> {
    return UdpClient.start(this.namespaces, this.network.clients[client]!.host, sourcePort);
  }

  /** Node n (0 …), after an end, with an empty memory. */
  async restartNode(n: number): Promise<void> {
    await this.nodes[n]!.stop();
    this.nodes[n] = await MemcachedNode.start(this.namespaces, this.nodes[n]!.options);
  }

  async close(): Promise<void> {
    rmSync(this.#scratch, { recursive: true });
    await this.network.close();
  }
}

/** Whatever was dropped or refused, or went wrong with a lane, without the zeros: {} after clean traffic. */
export function faults(figures: { readonly counters: Readonly<Record<string, number>> }): Record<string, number> {
  return Object.fromEntries(
    Object.entries(figures.counters).filter(([name, count]) => count > 0 && /^(drop|refused)_|^slots_/.test(name)),
  );
}
