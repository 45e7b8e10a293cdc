import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type NginxOptions, nginxConfig, startNginx } from '../../src/experiment/baselines/nginx.ts';
import { MemcachedNode } from '../../src/experiment/memcached-node.ts';
import { runIn } from '../../src/experiment/namespaces.ts';
import { buildTestBed, MEMCACHED_PORT, PROXY_CLIENT_ADDRESS, type TestBed } from '../../src/experiment/topology.ts';
import { requireMemcached, requireNamespaces, requireNginx } from '../support/requirements.ts';
import { isAlive } from './script.ts';

const LISTEN = { address: PROXY_CLIENT_ADDRESS, port: MEMCACHED_PORT };

test('the configuration: one process, every node, replies of any number of datagrams', () => {
  const nodes = [
    { address: '10.77.1.11', port: 11211 },
    { address: '10.77.1.12', port: 11212 },
  ];
  const config = nginxConfig({ host: 'px', listen: LISTEN, nodes }, true);
  expect(config.split('\n')[0]).toBe('load_module /usr/lib/nginx/modules/ngx_stream_module.so;');
  expect(config).toContain('master_process off;');
  expect(config).toContain('    server 10.77.1.11:11211;\n    server 10.77.1.12:11212;\n');
  expect(config).toContain('listen 10.77.0.101:11211 udp ');
  expect(config).not.toContain('proxy_responses');
  expect(nginxConfig({ host: 'px', listen: LISTEN, nodes }, false)).not.toContain('load_module');
});

describe.skipIf(requireNamespaces() ?? requireMemcached() ?? requireNginx())('nginx in front of memcached', () => {
  let bed: TestBed;
  let options: NginxOptions;
  const outerTmp = tmpdir();
  const tmp = mkdtempSync(join(outerTmp, 'keysteer-test-nginx-'));

  beforeAll(() => {
    process.env.TMPDIR = tmp;
    bed = buildTestBed({ layout: 'direct-veth', clients: 1, nodes: 1 });
    options = { host: bed.proxy.host, listen: LISTEN, nodes: bed.nodes };
  });
  afterAll(async () => {
    await bed.close();
    process.env.TMPDIR = outerTmp;
    rmSync(tmp, { recursive: true });
  });

  test('carries a request there and its reply back, and leaves nothing behind', async () => {
    const node = await MemcachedNode.start(bed.namespaces, bed.nodes[0]!);
    const nginx = await startNginx(bed.namespaces, options);
    const question = String.raw`exec 3<>"/dev/udp/$0/11211"; printf '\0\7\0\0\0\1\0\0mg key v\r\n' >&3; dd bs=99 count=1 status=none <&3`;
    const answer = runIn(bed.clients[0]!.host, ['timeout', '2', 'bash', '-c', question, LISTEN.address]);
    expect(answer).toBe('\0\x07\0\0\0\x01\0\0EN\r\n');
    expect((await node.stats()).cmd_get).toBe(1);
    expect(readFileSync(`/proc/${nginx.pid}/comm`, 'utf8')).toBe('nginx\n');
    expect(readFileSync(`/proc/${nginx.pid}/task/${nginx.pid}/children`, 'utf8')).toBe('');
    await nginx.close();
    expect(isAlive(nginx.pid)).toBe(false);
    expect(readdirSync(tmp)).toEqual([]);
    await node.stop();
  });

  test('says what nginx says when it cannot start', async () => {
    const foreign = { ...options, listen: { address: '10.99.0.1', port: MEMCACHED_PORT } };
    await expect(startNginx(bed.namespaces, foreign)).rejects.toThrow(/bind\(\) to 10\.99\.0\.1:11211 failed/);
    expect(readdirSync(tmp)).toEqual([]);
  });
});
