/** Which lane gets a frame: what src/port/fanout.ts has the kernel do. */
import { probePort } from '../../src/port/fanout.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import * as frames from './frames.ts';

export interface FanoutPlan {
  readonly lanes: number;
  readonly portBase: number;
  readonly portsPerLane: number;
}

export function laneOf(view: DataView, offset: number, { lanes, portBase, portsPerLane }: FanoutPlan): number {
  if (lanes === 1 || !frames.isUdp(view, offset)) return 0;
  const port = frames.destinationPort(view, offset);
  if (port === probePort(portBase)) return 0;
  const own = port - portBase;
  if (own >= 0 && own < portsPerLane * lanes) return Math.floor(own / portsPerLane);
  if (ipv4.isFragment(view, offset + 14))
    return hash(frames.source(view, offset), ipv4.identification(view, offset + 14), lanes);
  return hash(frames.source(view, offset), frames.sourcePort(view, offset), lanes);
}

function hash(address: number, port: number, lanes: number): number {
  const sum = (address + port) >>> 0;
  return ((sum ^ (sum >>> 7)) >>> 0) % lanes;
}
