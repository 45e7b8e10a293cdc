/** A text that is not the address it should be: names the value and the rule it breaks. */
export class AddressError extends Error {
  override readonly name = 'AddressError';
  readonly kind: string;
  readonly value: string;
  readonly rule: string;

  constructor(kind: 'IPv4 address' | 'MAC address', value: string, rule: string) {
    super(`${kind} ${JSON.stringify(value)}: ${rule}`);
    this.kind = kind;
    this.value = value;
    this.rule = rule;
  }
}
