/** The port of a configuration, whatever its transport: planned, opened, attached to by a lane. */
import type { Arena } from '../mem/arena.ts';
import { AfPacketPort, afPacketByteLength, describeAfPacket, type Fanout, slotMtuOf } from './af-packet.ts';
import { describeFaults, type FaultRates, type FaultsDescription, FaultyPort, faultsByteLength } from './faulty.ts';
import { readLink } from './link.ts';
import type { MacChoice } from './mac.ts';
import { describePcap, PcapPort } from './pcap.ts';
import { isPcap, type PcapDescription, pcapByteLength } from './pcap-layout.ts';
import type { LanePort, PortDescription } from './shim-port.ts';
import { describeTap, type TapDescription, TapPort, tapByteLength, tapMtuOf } from './tap.ts';

/** An open port, plain data. */
export type Description = (PortDescription | PcapDescription) & { faults?: FaultsDescription };
export type Transport = Description['transport'];

export interface PortRequest {
  transport: Transport;
  id: number;
  interfaceName: string;
  arena: Arena;
  ringFrames: number;
  /** Largest MTU the slots must hold, as `mtuOf` said before the arena was planned. */
  mtuMax: number;
  mac: MacChoice;
  /** 0: untagged. */
  vlan: number;
  /** Whether datagrams of one flow may leave as a super-frame, where the transport knows how. */
  joins: boolean;
  lane: number;
  /** Several lanes: spreads the frames over them. */
  fanout?: Fanout;
  /** Of an interface made here. */
  tap?: { persistent: boolean; owner: number | undefined };
  /** For tests and experiments: frames go astray. */
  faults?: FaultRates | undefined;
}

/**
 * MTU that the slots of a port on this interface must hold.
 * @throws PortError when the interface is missing and not ours to make
 */
export function mtuOf(transport: Transport, interfaceName: string): number {
  if (transport === 'tap') return tapMtuOf(interfaceName);
  return transport === 'pcap' ? readLink(interfaceName).mtu : slotMtuOf(interfaceName);
}

/** Arena bytes of one port of one lane. */
export function portByteLength(transport: Transport, ringFrames: number, mtu: number, isFaulty = false): number {
  return ringByteLength(transport, ringFrames, mtu) + (isFaulty ? faultsByteLength(mtu) : 0);
}

function ringByteLength(transport: Transport, ringFrames: number, mtu: number): number {
  if (transport === 'pcap') return pcapByteLength(ringFrames, mtu);
  return transport === 'tap' ? tapByteLength(mtu) : afPacketByteLength(ringFrames, mtu);
}

/** @throws PortError */
export function describePort(request: PortRequest): Description {
  const { faults, ...sound } = request;
  if (faults === undefined) return describeSound(sound);
  // Each lane has its own luck.
  const rates = { ...faults, seed: faults.seed + request.lane };
  return { ...describeSound(sound), faults: describeFaults(rates, request.arena, request.mtuMax) };
}

function describeSound(request: Omit<PortRequest, 'faults'>): Description {
  const { transport, ringFrames, lane, tap, fanout, joins, ...common } = request;
  const shared = { ...common, ...(fanout === undefined ? {} : { fanout }) };
  if (transport === 'pcap') return describePcap({ ...common, ringFrames });
  if (transport === 'af_packet') return describeAfPacket({ ...shared, ringFrames, joins });
  const { persistent = false, owner = -1 } = tap ?? {};
  return describeTap({ ...shared, queueFrames: ringFrames, persistent, owner, countsDrops: lane === 0 });
}

/** Takes over an open port, on the thread of its lane. */
export function attachPort(description: Description, arena: Arena): LanePort {
  const port = attachSound(description, arena);
  return description.faults === undefined ? port : new FaultyPort(port, arena, description.faults);
}

function attachSound(description: Description, arena: Arena): LanePort {
  if (isPcap(description)) return new PcapPort(description, arena);
  return description.transport === 'tap'
    ? new TapPort(description as TapDescription, arena)
    : new AfPacketPort(description, arena);
}
