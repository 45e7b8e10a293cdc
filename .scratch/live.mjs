import { Bed } from '../dist/test/e2e/bed.js';
import { Load } from '../dist/test/e2e/load.js';
import { keysteer } from '../dist/test/e2e/command.js';
import { askAdmin } from '../dist/src/control/admin/client.js';
process.env.RUNTIME_DIRECTORY = '/tmp/keysteer-live';
const bed = await Bed.start({ nodes: 4, kernelClients: false });
try {
  const text = n => `vip: 10.77.0.100\nports:\n  client: { interface: cl0 }\n  server: { interface: sv0, address: 10.77.1.1/24 }\nlanes: 2\nadmin: { listen: /tmp/keysteer-live.sock }\nnodes:\n${[1,2,3,4].slice(0,n).map(i => `  - { name: mc${i}, address: 10.77.1.${10+i} }\n`).join('')}`;
  const path = bed.writeConfig('live.yaml', text(3));
  const b = await bed.startBalancerWith(['--config', path]);
  const load = new Load(bed.network, { keyCount: 5000, window: 32, warmupSeconds: 0, seconds: 60 });
  await b.figuresWhen('load', f => f.counters.requests > 30000);
  const show = async (...args) => { const r = await keysteer([...args, '--admin', '/tmp/keysteer-live.sock']); console.log(`$ keysteer ${args.join(' ')}  [${r.code}]\n${r.stdout}${r.stderr}`); };
  await show('top', '--once');
  await show('nodes', 'drain', 'mc2');
  bed.writeConfig('live.yaml', text(4));
  await show('reload', '--dry-run');
  await show('reload');
  await show('top', '--once');
  await show('status');
  bed.writeConfig('live.yaml', text(4).replace('lanes: 2', 'lanes: 3'));
  await show('reload');
  const r = await load.end();
  console.log({ lost: r.lost, wrong: r.wrong, rps: r.requestsPerSecond, p50: r.latency.p50Us, p99: r.latency.p99Us });
  console.log(JSON.stringify((await askAdmin(b.admin, 'GET', '/status')).latency));
} finally { await bed.close(); }
