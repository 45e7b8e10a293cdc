import { explore, type Scenario } from './explore.ts';

const G = { givings: 1 };
const S: Scenario[] = [
  { name: 'set, reads', clients: ['S', 'RR', 'R'], budget: { ...G, evictions: 1 } },
  { name: 'two sets, reads', clients: ['S', 'S', 'RR'], budget: { ...G } },
  { name: 'append, evict', clients: ['A', 'RR', 'R'], budget: { ...G, evictions: 1 } },
  { name: 'append large evict', clients: ['A', 'RR'], budget: { ...G, evictions: 1 }, serve: 'nodes' },
  { name: 'two appends', clients: ['A', 'A', 'RR'], budget: { ...G } },
  { name: 'set delete read evict', clients: ['SD', 'RR'], budget: { ...G, evictions: 1 } },
  { name: 'absent set', clients: ['S', 'RRR'], start: 'absent', budget: { ...G, evictions: 1 } },
  { name: 'absent set set', clients: ['S', 'S', 'RR'], start: 'absent', budget: { ...G, evictions: 1 } },
  { name: 'absent set del', clients: ['SD', 'RR'], start: 'absent', budget: { ...G, evictions: 1 } },
  { name: 'absent add add', clients: ['N', 'N', 'RR'], start: 'absent', budget: { ...G, evictions: 1 } },
  { name: 'absent set append', clients: ['SA', 'RR'], start: 'absent', budget: { ...G, evictions: 1 } },
  { name: 'replica', clients: ['S', 'RR', 'R'], serve: 'nodes', budget: { ...G, replicaEvictions: 1 } },
  { name: 'promote', clients: ['S', 'S', 'RR'], start: 'cold', budget: { ...G, promotions: 1 } },
  { name: 'promote demote', clients: ['S', 'SR', 'R'], start: 'cached', budget: { ...G, promotions: 1, demotions: 1 } },
  { name: 'replica demote failover', clients: ['S', 'RR'], serve: 'nodes', budget: { demotions: 1, failovers: 1 } },
];
for (const s of S) {
  if (process.argv[2] && !s.name.includes(process.argv[2])) continue;
  const t = performance.now();
  const r = explore(s, {}, 600_000);
  console.log(s.name.padEnd(26), r.states, r.isComplete, (performance.now() - t).toFixed(0) + ' ms');
  if (r.trace) console.log(r.trace.map(l => '    ' + l).join('\n'));
}
