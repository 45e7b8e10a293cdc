/*
 * blaster: the sender of `bench -- wire`. Offers valid memcached requests ("get <16-byte key>") to a virtual address as
 * fast as one core can, for so many seconds, and prints how many it sent and how long it took.
 *
 *   blaster <interface> <destination MAC> <source IP> <VIP> <seconds>
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { FRAMES = 4096, BATCH = 64, FRAME_BYTES = 80, VIP_PORT = 11211 };

static unsigned char frames[FRAMES][FRAME_BYTES];

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static unsigned sum16(const void *data, unsigned length, unsigned sum) {
	const unsigned char *bytes = data;
	for (unsigned i = 0; i + 1 < length; i += 2) sum += bytes[i] << 8 | bytes[i + 1];
	if (length & 1) sum += bytes[length - 1] << 8;
	return sum;
}

static unsigned short finish(unsigned sum) {
	while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum & 0xffff);
}

static unsigned build(unsigned char *frame, unsigned n, const unsigned char *mac, unsigned source, unsigned vip) {
	char text[40];
	struct ethhdr *ethernet = (void *)frame;
	struct iphdr *ip = (void *)(frame + 14);
	struct udphdr *udp = (void *)(frame + 34);
	unsigned char *payload = frame + 42;
	unsigned textBytes = (unsigned)sprintf(text, "get key:%012u\r\n", n * 2654435761u % 1000000);
	unsigned udpBytes = 8 + 8 + textBytes;
	memcpy(ethernet->h_dest, mac, 6);
	memcpy(ethernet->h_source, "\x02\x4b\x53\0\0\xee", 6);
	ethernet->h_proto = htons(ETH_P_IP);
	*ip = (struct iphdr){.version = 4, .ihl = 5, .tot_len = htons(20 + udpBytes), .id = htons(n), .ttl = 64,
		.protocol = 17, .saddr = source, .daddr = vip};
	ip->check = finish(sum16(ip, 20, 0));
	memcpy(payload, (unsigned char[]){n >> 8, n, 0, 0, 0, 1, 0, 0}, 8);
	memcpy(payload + 8, text, textBytes);
	*udp = (struct udphdr){.source = htons(20000 + n % 1024), .dest = htons(VIP_PORT), .len = htons(udpBytes)};
	udp->check = finish(sum16(udp, udpBytes, sum16(&ip->saddr, 8, 17 + udpBytes)));
	return 34 + udpBytes;
}

int main(int argc, char **argv) {
	if (argc != 6) { fprintf(stderr, "usage: blaster interface MAC source-IP VIP seconds\n"); return 2; }
	int fd = socket(AF_PACKET, SOCK_RAW, 0), one = 1;
	struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(argv[1])};
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0) { perror("socket"); return 1; }
	setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one);
	unsigned char mac[6];
	sscanf(argv[2], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5);
	static struct iovec vectors[FRAMES];
	static struct mmsghdr messages[FRAMES];
	for (unsigned n = 0; n < FRAMES; n++) {
		vectors[n] = (struct iovec){frames[n], build(frames[n], n, mac, inet_addr(argv[3]), inet_addr(argv[4]))};
		messages[n].msg_hdr.msg_iov = &vectors[n];
		messages[n].msg_hdr.msg_iovlen = 1;
	}
	double start = now(), end = start + atof(argv[5]);
	unsigned long sent = 0;
	for (unsigned at = 0; now() < end; at = (at + BATCH) % FRAMES) {
		int n = sendmmsg(fd, messages + at, BATCH, 0);
		if (n > 0) sent += n;
	}
	printf("{\"sent\":%lu,\"seconds\":%.6f}\n", sent, now() - start);
	return 0;
}
