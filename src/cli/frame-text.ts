/** An explained frame for a terminal of 80 columns. */
import type { ExplainedChange, ExplainedFrame, ExplainedSend } from '../capture/explain.ts';

const COLUMNS = 80;
const INDENT = '  ';
/** Where the reasons of changes begin when they have a line of their own. */
const REASON_INDENT = ' '.repeat(25);

/**
 *     frame 1, 0.000000 s, client port, 53 bytes: get k → mc1 (10.77.1.11:11211)
 *     forwarded to node mc1 by the server port, 53 bytes
 *       ip.src               10.77.0.1 → 10.77.1.1
 *                              nat sends from Keysteer's own address
 */
export function frameText(explained: ExplainedFrame): string {
  const { frame, seconds, port, bytes, says, verdict, reasons, sends } = explained;
  const arrival = port === undefined ? '' : `, ${port} port`;
  const head = `frame ${frame}, ${seconds.toFixed(6)} s${arrival}, ${bytes} bytes${says === undefined ? '' : `: ${says}`}`;
  const why = reasons.length === 0 ? '' : `: ${reasons.join('; ')}`;
  const counters = verdict === 'own' ? '' : ` (${Object.keys(explained.counted).join(', ') || 'no counter'})`;
  const lines = [wrap(head, INDENT), wrap(`${verdict}${why}${counters}`, INDENT), ...sends.map(sendText)];
  return `${lines.join('\n')}\n`;
}

function sendText({ node, port, bytes, says, changes }: ExplainedSend): string {
  const to = node === undefined ? '' : ` to node ${node}`;
  const head = `sent${to} by the ${port} port, ${bytes} bytes${says === undefined ? '' : `: ${says}`}`;
  return [wrap(head, INDENT), ...changes.map(changeText)].join('\n');
}

/** The reason behind the values where it fits, else below them. */
function changeText({ field, before, after, why }: ExplainedChange): string {
  const name = `${INDENT}${field.padEnd(20)} `;
  const both = `${before} → ${after}`;
  if (name.length + both.length + 2 + why.length <= COLUMNS) return `${name}${both}  ${why}`;
  const values = name.length + both.length <= COLUMNS ? both : `${before}\n${' '.repeat(name.length - 2)}→ ${after}`;
  return `${name}${values}\n${wrap(`${REASON_INDENT}${why}`, REASON_INDENT)}`;
}

/** Breaks between words; further lines begin with `indent`. */
function wrap(text: string, indent: string): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/(?<=\S) /)) {
    if (line !== '' && line.length + 1 + word.length > COLUMNS) {
      lines.push(line);
      line = `${indent}${word}`;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].join('\n');
}
