/**
 * A host's interface in a VLAN: by an 802.1Q sub-interface where the kernel has them, else by two BPF programs on the
 * interface itself, one that takes tags of the VLAN out of what comes and drops the rest, one that puts them in.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ipBatch, NamespaceSet, runIn } from '../../src/experiment/namespaces.ts';
import { requireNamespaces, skip } from './requirements.ts';

export interface Membership {
  readonly vlan: number;
  /** Priority code point of what the host sends. */
  readonly priority: number;
}

/** One of the two ways. */
export function requireVlan(): string | undefined {
  const missing = requireNamespaces();
  if (missing !== undefined || hasSubInterfaces()) return missing;
  const set = new NamespaceSet();
  const [namespace] = set.create(['vlan']) as [string];
  try {
    tagByBpf(namespace, 'lo', { vlan: 5, priority: 0 });
    return undefined;
  } catch (error) {
    return skip(`no VLAN sub-interfaces (8021q), nor BPF to stand in for them: ${String(error).split('\n')[0]}`);
  } finally {
    void set.close();
  }
}

/** Puts interface `device` into a VLAN; its addresses (with prefix length) move there. Returns the interface that has them. */
export function joinVlan(namespace: string, device: string, member: Membership, addresses: readonly string[]): string {
  if (!hasSubInterfaces()) {
    tagByBpf(namespace, device, member);
    return device;
  }
  const name = `${device}.${member.vlan}`;
  ipBatch(
    [
      `link add link ${device} name ${name} type vlan id ${member.vlan} egress-qos-map 0:${member.priority}`,
      ...addresses.map(address => `addr del ${address} dev ${device}`),
      ...addresses.map(address => `addr add ${address} dev ${name}`),
      `link set dev ${name} up`,
    ],
    namespace,
  );
  return name;
}

function hasSubInterfaces(): boolean {
  const { stderr } = spawnSync('ip', ['link', 'add', 'ksvtryout', 'type', 'vlan', 'id', '5'], { encoding: 'utf8' });
  return !stderr.includes('Unknown device type');
}

function tagByBpf(namespace: string, device: string, { vlan, priority }: Membership): void {
  const directory = mkdtempSync(join(tmpdir(), 'keysteer-bpf-'));
  const filter = (way: string, program: string) => `tc filter add dev ${device} ${way} bpf da object-pinned ${program}`;
  const script = [
    `mount -t bpf none ${directory}`,
    `cd ${directory}`,
    `python3 -c '${PROGRAMS}' ${(priority << 13) | vlan}`,
    `tc qdisc add dev ${device} clsact`,
    filter('ingress', 'pop'),
    filter('egress', 'push'),
  ];
  // The mount ends with the mount namespace; the interface holds the programs.
  runIn(namespace, ['unshare', '--mount', 'sh', '-c', script.join(' && ')]);
  rmdirSync(directory);
}

/** Loads and pins two BPF_PROG_TYPE_SCHED_CLS programs, with helpers bpf_skb_vlan_push (18) and bpf_skb_vlan_pop (19). */
const PROGRAMS = `
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
def bpf(command, attributes):
    result = libc.syscall({"x86_64": 321, "aarch64": 280}[os.uname().machine], command, attributes.ljust(128, b"\\0"), 128)
    if result < 0: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
def text(data): return ctypes.create_string_buffer(data)
def op(code, to=0, source=0, offset=0, value=0): return struct.pack("<BBhi", code, to | source << 4, offset, value)
def load(name, *program):
    code, licence, path = text(b"".join(program)), text(b"GPL"), text(name)
    fd = bpf(5, struct.pack("<IIQQ", 3, len(program), ctypes.addressof(code), ctypes.addressof(licence)))
    bpf(6, struct.pack("<QI", ctypes.addressof(path), fd))
control, exit, ok, drop = int(sys.argv[1]), op(0x95), 0, 2
load(b"push", op(0xb7, 2, value=0x0081), op(0xb7, 3, value=control), op(0x85, value=18), op(0xb7, 0, value=ok), exit)
load(b"pop", op(0xbf, 6, 1), op(0x61, 2, 6, 24), op(0x57, 2, value=0xfff), op(0xb7, 0, value=drop),
    op(0x55, 2, offset=3, value=control & 0xfff), op(0xbf, 1, 6), op(0x85, value=19), op(0xb7, 0, value=ok), exit)
`;
