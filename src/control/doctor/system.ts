/** Checks of the machine: kernel, privileges, what is built, CPUs. What was read is an argument. */
import { type Check, fail, ok, warn } from './check.ts';

/** The first kernel with all that the ring asks for (PACKET_IGNORE_OUTGOING), and the first of those that are tested. */
const KERNEL_MIN = [4, 20] as const;
const KERNEL_TESTED = [5, 0] as const;

/** @param release as `uname -r` prints it */
export function kernelCheck(release: string): Check {
  const version = release
    .split('.')
    .slice(0, 2)
    .map(part => Number.parseInt(part, 10));
  const advice = 'install a newer kernel';
  if (isBefore(version, KERNEL_MIN)) return fail(`Linux ${release}: older than ${KERNEL_MIN.join('.')}`, advice);
  if (isBefore(version, KERNEL_TESTED)) return warn(`Linux ${release}: Keysteer is tested from 5.0 on`, advice);
  return ok(`Linux ${release}`);
}

function isBefore([major = 0, minor = 0]: readonly number[], [least, leastMinor]: readonly [number, number]): boolean {
  return major < least || (major === least && minor < leastMinor);
}

/** Bits of CapEff (capabilities(7)). */
const CAP_NET_ADMIN = 12n;
const CAP_NET_RAW = 13n;
const CAP_SYS_ADMIN = 21n;
const CAP_BPF = 39n;

export interface Needs {
  /** AF_PACKET and libpcap open raw sockets. */
  readonly raw: boolean;
  /** To make a TAP. */
  readonly admin: boolean;
}

const GRANT =
  'run it as root, or by scripts/keysteer.service, or `setcap cap_net_raw,cap_net_admin+ep $(readlink -f $(command -v node))`';

/** @param status /proc/self/status */
export function capabilityChecks(status: string, needs: Needs): Check[] {
  return [
    capabilityCheck(status, 'CAP_NET_RAW', CAP_NET_RAW, needs.raw, 'opens raw sockets on the interfaces'),
    capabilityCheck(status, 'CAP_NET_ADMIN', CAP_NET_ADMIN, needs.admin, 'makes TAP devices; nothing else needs it'),
  ];
}

/**
 * A TAP spreads replies over several lanes by a program in eBPF.
 * @param isRestricted whether programs may not be loaded without privilege (kernel.unprivileged_bpf_disabled)
 */
export function steeringProgramCheck(status: string, isRestricted: boolean): Check {
  const isAllowed = !isRestricted || hasCapability(status, CAP_BPF) || hasCapability(status, CAP_SYS_ADMIN);
  if (isAllowed) return ok('eBPF programs can be loaded, as a TAP with several lanes needs');
  return fail('no CAP_BPF, which a TAP with several lanes needs', 'lanes: 1, or run it as root or with CAP_BPF');
}

function capabilityCheck(status: string, name: string, bit: bigint, isNeeded: boolean, use: string): Check {
  if (hasCapability(status, bit)) return ok(`${name} is there`);
  return isNeeded ? fail(`no ${name}, which ${use}`, GRANT) : ok(`no ${name}, and no need: it ${use}`);
}

function hasCapability(status: string, bit: bigint): boolean {
  const [, digits = '0'] = /^CapEff:\s*([0-9a-fA-F]+)$/m.exec(status) ?? [];
  return ((BigInt(`0x${digits}`) >> bit) & 1n) === 1n;
}

/** @param fault why it does not load */
export function addonCheck(fault: string | undefined): Check {
  return fault === undefined
    ? ok('the native shim loads')
    : fail(`the native shim does not load: ${fault}`, 'npm run build');
}

/** @param refusal why there are none for this user */
export function userNamespaceCheck(refusal: string | undefined): Check {
  if (refusal === undefined) return ok('namespaces can be made: keysteer demo and the tests run');
  return warn(
    `no user namespaces (${refusal}): keysteer demo and the tests need root, forwarding does not`,
    'sudo sysctl user.max_user_namespaces=15000 kernel.unprivileged_userns_clone=1',
  );
}

export interface Lanes {
  readonly lanes: number;
  readonly pin: readonly number[] | undefined;
}

/** @param status /proc/self/status */
export function cpuCheck({ lanes, pin }: Lanes, status: string): Check {
  const allowed = allowedCpus(status);
  const cpus = allowed.length;
  const count = `${lanes} ${lanes === 1 ? 'lane' : 'lanes'} on ${cpus} ${cpus === 1 ? 'CPU' : 'CPUs'}`;
  const missing = pin?.filter(cpu => !allowed.includes(cpu)) ?? [];
  if (missing.length > 0) {
    const list = allowed.join(',');
    return fail(`pin names CPU ${missing.join(', ')}, where this process may not run`, `pin: CPUs of ${list}`);
  }
  if (lanes > cpus) return warn(`${count}: lanes take turns`, `lanes: ${cpus}, or fewer`);
  if (pin !== undefined && new Set(pin).size < pin.length) {
    return warn(`pin puts several lanes on one CPU (${pin.join(', ')})`, 'pin: a CPU of its own for each lane');
  }
  return ok(pin === undefined ? count : `${count}, pinned to ${pin.join(', ')}`);
}

/** `Cpus_allowed_list: 0-3,6` → 0 1 2 3 6 */
function allowedCpus(status: string): number[] {
  const [, list = ''] = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status) ?? [];
  return list.split(',').flatMap(range => {
    const [first, last = first] = range.split('-').map(Number) as [number, number?];
    return Array.from({ length: last - first + 1 }, (_, n) => first + n);
  });
}

export interface OptionalPackage {
  readonly name: string;
  /** What is lost without it. */
  readonly lost: string;
  readonly install: string;
  readonly isNeeded: boolean;
  /** Why it does not load. */
  readonly fault: string | undefined;
}

export function packageCheck({ name, lost, install, isNeeded, fault }: OptionalPackage): Check {
  if (fault === undefined) return ok(`the optional package ${name} loads`);
  const what = `the optional package ${name} does not load (${fault}): no ${lost}`;
  return isNeeded ? fail(what, install) : warn(what, install);
}
