import { check } from './check.ts';
import { makeHistory, type Recipe, seeded, spoil } from './made-up.ts';

const base: Recipe = {
  operations: 3000,
  clients: 10,
  lost: 0.05,
  evicted: 0.01,
  values: 0,
  timeToLive: false,
  verbs: ['get', 'get', 'get', 'get', 'get', 'get', 'get', 'gets', 'set', 'set'],
};
function run(name: string, recipe: Recipe, keys: number, mut = false, opt = {}) {
  const h = [];
  for (let k = 0; k < keys; k++) {
    const r = seeded(k);
    let x = makeHistory(r, { ...recipe, key: `k${k}` });
    if (mut) x = spoil(r, x);
    for (const o of x) h.push(o);
  }
  const t = performance.now();
  const v = check(h, opt);
  console.log(name, h.length, 'ops', (performance.now() - t).toFixed(0), 'ms', {
    zones: v.byZones,
    search: v.bySearch,
    violated: v.violated,
    und: v.undecided.length,
  });
  if (v.violations[0] && mut) console.log(v.violations[0].text);
}

const all = {
  ...base,
  verbs: ['get', 'get', 'gets', 'get', 'set', 'add', 'replace', 'cas', 'delete', 'touch', 'gat'] as any,
};
run('mixed', all, 33);
run('mixed lost20', { ...all, lost: 0.2 }, 33);
run('mixed ttl', { ...all, timeToLive: true }, 33);
run('mixed 40 clients', { ...all, clients: 40 }, 33);
run('counter', { ...base, verbs: ['get', 'incr', 'incr', 'decr', 'set'], values: 100 }, 33);
run('append', { ...base, verbs: ['get', 'append', 'get', 'set'] }, 33);
run('append lost .2', { ...base, verbs: ['get', 'append', 'get', 'set'], lost: 0.2 }, 33);
run('spoilt zones', base, 100, true);
run('spoilt search', all, 33, true);
run('spoilt counter', { ...base, verbs: ['get', 'incr', 'incr', 'decr', 'set'], values: 100 }, 10, true);
run('spoilt append', { ...base, verbs: ['get', 'append', 'get', 'set'] }, 10, true);
