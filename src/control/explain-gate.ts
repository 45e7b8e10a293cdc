/** What the gatekeeper makes of a source address, and the command policy of a verb: by the tables that lanes read. */
import { ACTION_NAMES, ACTION_WORDS, actionAt, writeActions } from '../dataplane/commands.ts';
import { isInRanges, RANGE_WORDS, writeRanges } from '../dataplane/source-ranges.ts';
import { CLASS_NAMES, CLASS_READ, CLASS_WRITE, VERB_CLASS, VERB_NAMES } from '../memcached/verbs.ts';
import { parseIpv4 } from '../wire/ipv4-text.ts';
import type { Config } from './config/normalise.ts';

/** Why a source's requests are refused before they are looked at; undefined when they are not. */
export function whySourceIsRefused({ gatekeeper, nodes, vip, source }: Config, text: string): string | undefined {
  const address = parseIpv4(text);
  if (text === vip.text || text === source.text) return 'it is an address of Keysteer’s own';
  if (!gatekeeper.enabled) return undefined;
  const { ranges } = gatekeeper;
  const words = new Int32Array(ranges.length * RANGE_WORDS);
  writeRanges(words, 0, ranges);
  if (isInRanges(words, 0, ranges.length, address)) return undefined;
  const node = nodes.find(candidate => candidate.address === address);
  if (node !== undefined) return `it is the address of node ${node.name} (gatekeeper.nodes_may_ask)`;
  return 'it is not in gatekeeper.allow, or the end of a subnet';
}

export interface ExplainedVerb {
  readonly verb: string;
  readonly class: string;
  /** deny, forward, local or broadcast. */
  readonly action: string;
}

/** A verb in each class that it can have: `mg` is a read, and a write with flags that change the item. */
export function explainVerb({ commands }: Config, name: string): ExplainedVerb[] {
  const verb = VERB_NAMES.indexOf(name);
  if (verb <= 0) return [];
  const words = new Int32Array(ACTION_WORDS);
  writeActions(words, 0, commands);
  const classes = name === 'mg' ? [CLASS_READ, CLASS_WRITE] : [VERB_CLASS[verb]];
  return classes.map(verbClass => ({
    verb: name,
    class: CLASS_NAMES[verbClass],
    action: ACTION_NAMES[words[actionAt(verb, verbClass)]],
  }));
}
