/** OpenMetrics as others read it: the strict parser of Prometheus's own Python client. */
import { execFileSync, spawnSync } from 'node:child_process';
import { skip } from './requirements.ts';

export interface ParsedSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface ParsedFamily {
  readonly name: string;
  readonly type: string;
  readonly unit: string;
  readonly help: string;
  readonly samples: readonly ParsedSample[];
}

/** Debian's; one of pyenv would not see Debian's packages. */
const PYTHON = '/usr/bin/python3';
const PROGRAM = `
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
print(json.dumps([{
  'name': f.name, 'type': f.type, 'unit': f.unit, 'help': f.documentation,
  'samples': [{'name': s.name, 'labels': s.labels, 'value': s.value} for s in f.samples],
} for f in text_string_to_metric_families(sys.stdin.read())]))
`;

export function requireOpenMetricsParser(): string | undefined {
  const found = spawnSync(PYTHON, ['-c', 'import prometheus_client.openmetrics.parser'], { stdio: 'ignore' });
  return found.status === 0 ? undefined : skip('the package python3-prometheus-client is not installed');
}

/** @throws Error with the parser's complaint */
export function parseOpenMetrics(text: string): ParsedFamily[] {
  const output = execFileSync(PYTHON, ['-c', PROGRAM], { input: text, encoding: 'utf8', maxBuffer: 1 << 26 });
  return JSON.parse(output);
}

/** Sum of a family's samples of this name whose labels are (among others) these. */
export function sumOf(families: readonly ParsedFamily[], name: string, labels: Record<string, string> = {}): number {
  const samples = families.flatMap(family => family.samples).filter(sample => sample.name === name);
  const wanted = samples.filter(sample => Object.entries(labels).every(([key, value]) => sample.labels[key] === value));
  if (wanted.length === 0) throw new Error(`no sample ${name} ${JSON.stringify(labels)}`);
  return wanted.reduce((sum, { value }) => sum + value, 0);
}
