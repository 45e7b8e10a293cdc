/** One reload after another, each of the file as it is by then; and what is counted of them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Conductor } from '../../src/control/conductor.ts';
import { loadConfig } from '../../src/control/config/load.ts';
import type { Config } from '../../src/control/config/normalise.ts';
import { ReloadError, Reloader, type ReloadReport } from '../../src/control/reload/reloader.ts';
import { Steering } from '../../src/control/steering.ts';
import { Neighbours, neighboursByteLength } from '../../src/dataplane/neighbours.ts';
import { SteerTable } from '../../src/steer/table.ts';

const CAPACITY = { nodesMax: 8, lanesMax: 1 };
const text = (weight: number) => `vip: 10.77.0.100
ports: { client: { interface: c }, server: { interface: s, address: 10.77.1.1/24 } }
nodes:
  - { name: mc1, address: 10.77.1.11 }
  - { name: mc2, address: 10.77.1.12, weight: ${weight} }
`;

/** As much of a conductor as a reloader asks for; `adopt` ends when the test says. */
class Stage {
  config: Config = loadConfig(text(1), 'start');
  readonly steering: Steering;
  readonly adopted: number[] = [];
  readonly release: (() => void)[] = [];

  constructor() {
    const table = new SteerTable(new SharedArrayBuffer(SteerTable.byteLength(CAPACITY)), 0, CAPACITY);
    const words = new Int32Array(neighboursByteLength(CAPACITY.nodesMax) / 4);
    const neighbours = new Neighbours(words, 0, { retryMs: 10, retries: 1, lifetimeMs: 1000 });
    this.steering = new Steering(this.config, table, neighbours, CAPACITY, () => new Float64Array(6));
  }

  async adopt(config: Config): Promise<string[]> {
    await new Promise<void>(resolve => this.release.push(resolve));
    this.config = config;
    this.adopted.push(config.nodes[1]!.weight);
    return [];
  }
}

describe('the reloader', () => {
  let folder: string;
  let path: string;
  let stage: Stage;
  let heard: (ReloadReport | Error)[];
  let reloader: Reloader;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'keysteer-reloader-'));
    path = join(folder, 'f.yaml');
    stage = new Stage();
    heard = [];
    const source = { path, flags: {} };
    reloader = new Reloader(stage as unknown as Conductor, source, outcome => heard.push(outcome));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  async function released(): Promise<void> {
    while (stage.release.length === 0) await new Promise(resolve => setTimeout(resolve, 1));
    stage.release.shift()!();
  }

  it('reads the file when its turn comes, not when it was asked', async () => {
    writeFileSync(path, text(2));
    const [first, second] = [reloader.reload(), reloader.reload()];
    await released();
    writeFileSync(path, text(3));
    await first;
    await released();
    await second;
    expect(stage.adopted).toEqual([2, 3]);
    expect(heard).toMatchObject([
      { changes: { nodes: [{ from: 1, to: 2 }] } },
      { changes: { nodes: [{ from: 2, to: 3 }] } },
    ]);
  });

  it('goes on after one that was refused', async () => {
    writeFileSync(path, 'lanes: many');
    await expect(reloader.reload()).rejects.toThrow(`${path}:1:8: lanes is "many"`);
    writeFileSync(path, text(4));
    const next = reloader.reload();
    await released();
    await next;
    expect(reloader.figures).toMatchObject({ applied: 1, refused: 1 });
    expect(reloader.figures).not.toHaveProperty('lastError');
    expect(heard).toMatchObject([{ name: 'ConfigError' }, { dryRun: false }]);
  });

  it('turns away whoever comes when sixteen wait, and counts dry runs nowhere', async () => {
    writeFileSync(path, text(1));
    const waiting = Array.from({ length: 16 }, () => reloader.reload({ dryRun: true }));
    await expect(reloader.reload()).rejects.toThrow(ReloadError);
    const reports = await Promise.all(waiting);
    expect(reports.every(({ dryRun, movedShare }) => dryRun && movedShare === 0)).toBe(true);
    expect([reloader.figures, heard]).toEqual([{ applied: 0, refused: 0 }, []]);
    await expect(reloader.reload()).resolves.toMatchObject({ changes: { nodes: [] } });
  });

  it('what flags gave at the start, they give again', async () => {
    const source = { path, flags: { node: ['mc1=10.77.1.11', 'mc2=10.77.1.12'] } };
    reloader = new Reloader(stage as unknown as Conductor, source);
    writeFileSync(path, text(9));
    expect((await reloader.reload()).changes).toEqual({ nodes: [], settings: [], reordered: false });
  });
});
