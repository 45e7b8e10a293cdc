/** Which Ethernet address a port answers by. */

/** An Ethernet address: upper 16 and lower 32 bits. */
export interface MacAddress {
  readonly high: number;
  readonly low: number;
}

/**
 * - `interface`: the interface's own. The kernel's stack sees every frame as its own too, and routes it before it finds
 *   that nobody owns the IP address.
 * - `auto`: one derived from it on veth and TAP, which pass any address; else the interface's. The stack drops such
 *   frames at its first check (PACKET_OTHERHOST), which saved a twentieth of all CPU time in `bench -- compare`.
 * - an address: that one; an interface that filters is made promiscuous.
 *
 * On a TAP the interface is the kernel's end of the cable: there `interface` is no choice.
 */
export type MacChoice = 'auto' | 'interface' | MacAddress;

/** Upper 16 bits of an address: locally administered; and a bit that sets ours apart from the interface's. */
const LOCAL_BIT = 0x0200;
const OWN_BIT = 0x0400;

/** @param bytes six, as they stand in a frame */
export function macOf(bytes: readonly number[]): MacAddress {
  const [a, b, c, d, e, f] = bytes;
  return { high: (a << 8) | b, low: (c << 24) | (d << 16) | (e << 8) | f };
}

/** An address beside the interface's, always the same one. */
export function besideMac({ high, low }: MacAddress): MacAddress {
  return { high: (high | LOCAL_BIT) ^ OWN_BIT, low };
}
