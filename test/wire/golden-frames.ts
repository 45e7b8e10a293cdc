/**
 * Frames written down byte by byte, as they look on a wire. Left of the bar the bytes, right of it what they are. Their
 * checksums were worked out apart from this code base; the echo request is what every Windows `ping` sends (checksum
 * 4d 5a for identifier 1, sequence 1).
 */

import { fromHex } from '../support/frames.ts';

/** A client's `get user:1001` to the VIP. */
export const UDP_GET = fromHex(`
  02 00 00 00 01 00                       | to   02:00:00:00:01:00, the balancer
  02 42 0a 4d 00 0b                       | from 02:42:0a:4d:00:0b, the client
  08 00                                   | IPv4
  45 00 00 33                             | version 4, IHL 5; total length 51
  6a 2f 40 00                             | identification 0x6a2f; don't fragment
  40 11 bb 82                             | TTL 64; UDP; header checksum
  0a 4d 00 0b                             | 10.77.0.11
  0a 4d 00 64                             | 10.77.0.100
  9c 41 2b cb                             | port 40001 → 11211
  00 1f b4 8b                             | length 31; checksum
  12 34 00 00 00 01 00 00                 | memcached: request 0x1234, datagram 0 of 1
  67 65 74 20 75 73 65 72 3a 31 30 30 31  | "get user:1001"
  0d 0a`);

/** A node's miss, with one 802.1Q tag, no UDP checksum, padded to the 60 bytes that Ethernet wants (64 with the tag). */
export const UDP_TAGGED_NO_CHECKSUM = fromHex(`
  02 00 00 00 01 01                       | to   02:00:00:00:01:01
  02 42 0a 4d 01 0b                       | from 02:42:0a:4d:01:0b
  81 00 60 2a                             | 802.1Q: priority 3, VLAN 42
  08 00                                   | IPv4
  45 00 00 29                             | version 4, IHL 5; total length 41
  00 00 40 00                             | identification 0; don't fragment
  3f 11 25 1f                             | TTL 63; UDP; header checksum
  0a 4d 01 0b                             | 10.77.1.11
  0a 4d 01 01                             | 10.77.1.1
  2b cb 50 00                             | port 11211 → 20480
  00 15 00 00                             | length 21; checksum 0: none
  12 34 00 00 00 01 00 00                 | memcached: request 0x1234, datagram 0 of 1
  45 4e 44 0d 0a                          | "END"
  00 00 00 00 00                          | trailer padding`);

/** IHL 6: a Router Alert option (RFC 2113) between header and UDP. */
export const UDP_WITH_OPTIONS = fromHex(`
  02 00 00 00 01 00 02 42 0a 4d 00 0b     | to the balancer, from the client
  08 00                                   | IPv4
  46 00 00 2c                             | version 4, IHL 6; total length 44
  00 01 00 00                             | identification 1; may be fragmented, is not
  02 11 0e b4                             | TTL 2; UDP; header checksum
  0a 4d 00 0b                             | 10.77.0.11
  0a 4d 00 64                             | 10.77.0.100
  94 04 00 00                             | option: Router Alert
  9c 42 2b cb                             | port 40002 → 11211
  00 14 e9 46                             | length 20; checksum
  be ef 00 00 00 01 00 00                 | memcached: request 0xbeef, datagram 0 of 1
  6d 6e 0d 0a                             | "mn"`);

/** Straight from a local stack over veth: the UDP checksum is the pseudo-header's sum only. */
export const UDP_PARTIAL_CHECKSUM = fromHex(`
  02 00 00 00 01 00 02 42 0a 4d 00 0b     | to the balancer, from the client
  08 00                                   | IPv4
  45 00 00 28                             | version 4, IHL 5; total length 40
  6a 30 40 00                             | identification 0x6a30; don't fragment
  40 11 bb 8c                             | TTL 64; UDP; header checksum
  0a 4d 00 0b                             | 10.77.0.11
  0a 4d 00 64                             | 10.77.0.100
  9c 41 2b cb                             | port 40001 → 11211
  00 14 15 2e                             | length 20; partial checksum
  be ef 00 00 00 01 00 00                 | memcached: request 0xbeef, datagram 0 of 1
  6d 6e 0d 0a                             | "mn"`);

/** A payload chosen so that the checksum works out to 0, which UDP sends as ff ff. */
export const UDP_COMPUTED_ZERO = fromHex(`
  02 00 00 00 01 00 02 42 0a 4d 00 0b     | to the balancer, from the client
  08 00                                   | IPv4
  45 00 00 26                             | version 4, IHL 5; total length 38
  6a 31 40 00                             | identification 0x6a31; don't fragment
  40 11 bb 8d                             | TTL 64; UDP; header checksum
  0a 4d 00 0b                             | 10.77.0.11
  0a 4d 00 64                             | 10.77.0.100
  9c 41 2b cb                             | port 40001 → 11211
  00 12 ff ff                             | length 18; checksum 0, sent as ffff
  00 07 00 00 00 01 00 00 22 ad           | request 7 and two bytes that make the sum come out`);

/** Who has 10.77.0.100? Tell 10.77.0.11. Padded to 60 bytes. */
export const ARP_REQUEST = fromHex(`
  ff ff ff ff ff ff                       | to everyone
  02 42 0a 4d 00 0b                       | from 02:42:0a:4d:00:0b
  08 06                                   | ARP
  00 01 08 00 06 04                       | Ethernet (6 bytes), IPv4 (4 bytes)
  00 01                                   | request
  02 42 0a 4d 00 0b 0a 4d 00 0b           | sender 02:42:0a:4d:00:0b, 10.77.0.11
  00 00 00 00 00 00 0a 4d 00 64           | target unknown, 10.77.0.100
  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00`);

/** The answer: 10.77.0.100 is at 02:00:00:00:01:00. Same length as the request that it was made of. */
export const ARP_REPLY = fromHex(`
  02 42 0a 4d 00 0b                       | to the asker
  02 00 00 00 01 00                       | from 02:00:00:00:01:00
  08 06                                   | ARP
  00 01 08 00 06 04                       | Ethernet (6 bytes), IPv4 (4 bytes)
  00 02                                   | reply
  02 00 00 00 01 00 0a 4d 00 64           | sender 02:00:00:00:01:00, 10.77.0.100
  02 42 0a 4d 00 0b 0a 4d 00 0b           | target 02:42:0a:4d:00:0b, 10.77.0.11
  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00`);

/** `ping 192.168.1.1` on Windows. */
export const ECHO_REQUEST = fromHex(`
  00 1a 2b 3c 4d 5e                       | to   00:1a:2b:3c:4d:5e
  8c 16 45 a0 b1 c2                       | from 8c:16:45:a0:b1:c2
  08 00                                   | IPv4
  45 00 00 3c                             | version 4, IHL 5; total length 60
  1b 3c 00 00                             | identification 0x1b3c
  80 01 9c 29                             | TTL 128; ICMP; header checksum
  c0 a8 01 0a                             | 192.168.1.10
  c0 a8 01 01                             | 192.168.1.1
  08 00 4d 5a                             | echo request; checksum
  00 01 00 01                             | identifier 1; sequence 1
  61 62 63 64 65 66 67 68 69 6a 6b 6c 6d 6e 6f 70
  71 72 73 74 75 76 77 61 62 63 64 65 66 67 68 69`);

export const UDP_FRAMES: [name: string, frame: Uint8Array][] = [
  ['get', UDP_GET],
  ['tagged, no checksum, padded', UDP_TAGGED_NO_CHECKSUM],
  ['IPv4 options', UDP_WITH_OPTIONS],
  ['partial checksum', UDP_PARTIAL_CHECKSUM],
  ['checksum that computes to 0', UDP_COMPUTED_ZERO],
];
