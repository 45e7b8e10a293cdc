/** A capture that breaks its format's rules: names the file, the byte and the rule. */
export class PcapError extends Error {
  override readonly name = 'PcapError';
  readonly file: string;
  /** Of what breaks the rule, from the start of the file. */
  readonly offset: number;
  readonly rule: string;

  constructor(file: string, offset: number, rule: string) {
    super(`${file}: byte ${offset}: ${rule}`);
    this.file = file;
    this.offset = offset;
    this.rule = rule;
  }
}
