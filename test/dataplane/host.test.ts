/** What the NF says as the owner of its addresses: ARP replies and echo replies, exact to the byte. */
import { describe } from 'vitest';
import { arpReply, arpRequest, icmpEcho } from '../support/frames.ts';
import { ALICE, BOB, MC1, MC2, NF_CLIENT_MAC, NF_SERVER_MAC, OWN, VIP } from '../support/lane-bed.ts';
import { checkRows } from './rows.ts';

const fromAlice = { srcMac: ALICE.mac, senderIp: ALICE.ip };
const fromNode = { srcMac: MC1.mac, senderIp: MC1.ip };
const PADDING = 18;

describe('ARP', () => {
  checkRows([
    {
      name: 'who has the VIP, on the client side: we',
      frame: arpRequest({ ...fromAlice, targetIp: VIP }),
      counted: 'arp_answers',
      out: ['client', arpReply({ srcMac: NF_CLIENT_MAC, dstMac: ALICE.mac, senderIp: VIP, targetIp: ALICE.ip })],
    },
    {
      name: 'in a frame of 60 bytes, as it comes from a wire',
      frame: arpRequest({ ...fromAlice, targetIp: VIP, padding: PADDING }),
      counted: 'arp_answers',
      out: [
        'client',
        arpReply({ srcMac: NF_CLIENT_MAC, dstMac: ALICE.mac, senderIp: VIP, targetIp: ALICE.ip, padding: PADDING }),
      ],
    },
    {
      name: 'asked of us alone, to see whether we are still there',
      frame: arpRequest({ ...fromAlice, dstMac: NF_CLIENT_MAC, targetMac: NF_CLIENT_MAC, targetIp: VIP }),
      counted: 'arp_answers',
      out: ['client', arpReply({ srcMac: NF_CLIENT_MAC, dstMac: ALICE.mac, senderIp: VIP, targetIp: ALICE.ip })],
    },
    {
      name: 'a probe (RFC 5227): somebody wants to take the VIP',
      frame: arpRequest({ srcMac: ALICE.mac, senderIp: '0.0.0.0', targetIp: VIP }),
      counted: 'arp_answers',
      out: ['client', arpReply({ srcMac: NF_CLIENT_MAC, dstMac: ALICE.mac, senderIp: VIP, targetIp: '0.0.0.0' })],
    },
    {
      name: 'a node asks for our own address, on the server side',
      at: 'server',
      frame: arpRequest({ ...fromNode, targetIp: OWN }),
      counted: 'arp_answers',
      out: ['server', arpReply({ srcMac: NF_SERVER_MAC, dstMac: MC1.mac, senderIp: OWN, targetIp: MC1.ip })],
    },
    {
      name: 'who has the VIP, on the server side: not ours to say',
      at: 'server',
      frame: arpRequest({ senderIp: MC2.ip, srcMac: MC2.mac, targetIp: VIP }),
      counted: 'foreign',
    },
    {
      name: 'who has our own address, on the client side: not ours to say',
      frame: arpRequest({ ...fromAlice, targetIp: OWN }),
      counted: 'foreign',
    },
    {
      name: 'in the name of another station: the answer goes to the station in the packet (RFC 826)',
      frame: arpRequest({ ...fromAlice, senderMac: BOB.mac, targetIp: VIP }),
      counted: 'arp_answers',
      out: ['client', arpReply({ srcMac: NF_CLIENT_MAC, dstMac: BOB.mac, senderIp: VIP, targetIp: ALICE.ip })],
    },
    {
      name: 'in the name of a group',
      frame: arpRequest({ ...fromAlice, senderMac: 'ff:ff:ff:ff:ff:ff', targetIp: VIP }),
      counted: 'drop_bad_source',
    },
    {
      name: 'who has another address',
      frame: arpRequest({ ...fromAlice, targetIp: '10.77.0.101' }),
      counted: 'foreign',
    },
    { name: 'who has 0.0.0.0', frame: arpRequest({ ...fromAlice, targetIp: '0.0.0.0' }), counted: 'foreign' },
    {
      name: 'a reply about the VIP is no question',
      frame: arpReply({ ...fromAlice, targetIp: VIP }),
      counted: 'foreign',
    },
    {
      name: 'a reply from a node is learnt',
      at: 'server',
      frame: arpReply({ ...fromNode, targetIp: OWN }),
      counted: 'arp_learned',
    },
    {
      name: 'a reply from somebody who is no next hop',
      at: 'server',
      frame: arpReply({ senderIp: '10.77.1.99', targetIp: OWN }),
      counted: 'foreign',
    },
    {
      name: 'an announcement of a node, to all',
      at: 'server',
      frame: arpRequest({ ...fromNode, targetIp: MC1.ip }),
      counted: 'arp_learned',
    },
    {
      name: 'a node’s address claimed on the client side is not believed',
      frame: arpReply({ srcMac: ALICE.mac, senderIp: MC1.ip, targetIp: VIP }),
      counted: 'foreign',
    },
    {
      name: 'a node that claims a group as its address is not believed',
      at: 'server',
      frame: arpReply({ ...fromNode, senderMac: '01:00:5e:00:00:01', targetIp: OWN }),
      counted: 'foreign',
    },
    { name: 'an unknown operation', frame: reversed(arpRequest({ ...fromAlice, targetIp: VIP })), counted: 'foreign' },
  ]);
});

/** RARP's operation 3. */
function reversed(frame: Uint8Array): Uint8Array {
  frame[21] = 3;
  return frame;
}

const ping = { srcMac: ALICE.mac, dstMac: NF_CLIENT_MAC, src: ALICE.ip, dst: VIP, identifier: 0x1234, sequence: 7 };
const pong = { ...ping, type: 'reply', srcMac: NF_CLIENT_MAC, dstMac: ALICE.mac, src: VIP, dst: ALICE.ip } as const;
const NOPS = [1, 1, 1, 0];

describe('ICMP echo', () => {
  checkRows([
    { name: 'of the VIP', frame: icmpEcho(ping), counted: 'echo_answers', out: ['client', icmpEcho(pong)] },
    {
      name: 'of our own address, by a node',
      at: 'server',
      frame: icmpEcho({ ...ping, srcMac: MC1.mac, dstMac: NF_SERVER_MAC, src: MC1.ip, dst: OWN }),
      counted: 'echo_answers',
      out: ['server', icmpEcho({ ...pong, srcMac: NF_SERVER_MAC, dstMac: MC1.mac, src: OWN, dst: MC1.ip })],
    },
    {
      name: 'without data',
      frame: icmpEcho({ ...ping, payload: '' }),
      counted: 'echo_answers',
      out: ['client', icmpEcho({ ...pong, payload: '' })],
    },
    {
      name: 'with an odd number of bytes, options and padding',
      frame: icmpEcho({ ...ping, payload: 'odd', options: NOPS, padding: 11 }),
      counted: 'echo_answers',
      out: ['client', icmpEcho({ ...pong, payload: 'odd', options: NOPS, padding: 11 })],
    },
    {
      name: 'of 1472 bytes, a whole frame',
      frame: icmpEcho({ ...ping, payload: 'z'.repeat(1472) }),
      counted: 'echo_answers',
      out: ['client', icmpEcho({ ...pong, payload: 'z'.repeat(1472) })],
    },
    {
      name: 'on its last hops: the answer starts with 64',
      frame: icmpEcho({ ...ping, ttl: 2 }),
      counted: 'echo_answers',
      out: ['client', icmpEcho({ ...pong, ttl: 64 })],
    },
    { name: 'of another address', frame: icmpEcho({ ...ping, dst: '10.77.0.101' }), counted: 'foreign' },
    { name: 'to all stations', frame: icmpEcho({ ...ping, dstMac: 'ff:ff:ff:ff:ff:ff' }), counted: 'foreign' },
  ]);
});
