/** What the kernel says of an interface, asked through `ip`: Node's own list leaves out those without IP address. */
import { execFileSync } from 'node:child_process';

export interface Link {
  readonly mtu: number;
  /** Upper 16 and lower 32 bits. */
  readonly macHigh: number;
  readonly macLow: number;
  /** Of a virtual interface, as `veth` or `tun`; else empty. */
  readonly kind: string;
}

interface IpLink {
  readonly mtu: number;
  readonly address?: string;
  readonly link_type: string;
  readonly linkinfo?: { readonly info_kind?: string };
}

/** No such interface, or `ip` cannot be had. */
export class LinkError extends Error {
  override readonly name = 'LinkError';
}

/** @throws LinkError */
export function readLink(interfaceName: string): Link {
  const { mtu, address = '', link_type: type, linkinfo } = askIp(interfaceName);
  if (type !== 'ether' && type !== 'loopback') {
    throw new LinkError(`interface ${interfaceName} is of type ${type}; it must be Ethernet`);
  }
  const digits = address.replaceAll(':', '');
  return {
    mtu,
    macHigh: Number.parseInt(digits.slice(0, 4), 16),
    macLow: Number.parseInt(digits.slice(4), 16) | 0,
    kind: linkinfo?.info_kind ?? '',
  };
}

function askIp(interfaceName: string): IpLink {
  const path = `${process.env.PATH}:/usr/sbin:/sbin`; // where Debian keeps it, and a user's PATH does not lead
  try {
    const printed = execFileSync('ip', ['-json', '-details', 'link', 'show', 'dev', interfaceName], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, PATH: path },
    });
    return (JSON.parse(printed) as IpLink[])[0];
  } catch (error) {
    const { code, stderr = '' } = error as NodeJS.ErrnoException & { stderr?: string };
    if (code === 'ENOENT')
      throw new LinkError('`ip` (iproute2) is not installed; transport pcap asks it for interfaces');
    throw new LinkError(`interface ${interfaceName}: ${stderr.trim() || 'ip link failed'}; \`ip link\` lists them`);
  }
}
