/*
 * null-forwarder: the yardstick of `bench -- wire`. Takes every frame that arrives on interface A and sends it out of
 * interface B, and the other way round, changing nothing but the Ethernet addresses. It does no more than any program
 * on the same kind of socket must do, so a forwarder's ratio to it tells what its own work costs.
 *
 *   null-forwarder <interface A> <interface B> <v2|v3> <mmsg|ring> <destination MAC on A> <destination MAC on B>
 *
 * v2/v3   TPACKET version of the mapped receive ring
 * mmsg    sendmmsg straight from the receive ring;  ring: copy into a mapped PACKET_TX_RING and kick once a batch
 * Prints "ready", and frame counts on SIGTERM/SIGINT.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* The ring has the layout of Keysteer's: as many slots, as far apart. */
enum { SLOTS = 1024, SLOT_BYTES = 1728, BATCH = 64, VNET_BYTES = 10 };
enum { BLOCK_BYTES = 64 * SLOT_BYTES, BLOCKS = SLOTS * SLOT_BYTES / BLOCK_BYTES, RETIRE_MS = 1 };

struct side {
	int fd;
	unsigned char *rx, *tx;
	unsigned rxHead, txHead, inBlock;
	struct tpacket3_hdr *next;
	unsigned char source[6], destination[6];
	struct mmsghdr messages[BATCH];
	struct iovec vectors[BATCH];
	unsigned queued;
	unsigned long received, sent, refused;
};

static volatile sig_atomic_t stopped;
static int version3, useTxRing;

static void stop(int signal) { (void)signal; stopped = 1; }

static void check(int result, const char *call) {
	if (result < 0) { perror(call); exit(1); }
}

static void openSide(struct side *side, const char *interface, const char *destination) {
	struct ifreq request = {0};
	int one = 1, version = version3 ? TPACKET_V3 : TPACKET_V2;
	side->fd = socket(AF_PACKET, SOCK_RAW, 0);
	check(side->fd, "socket");
	check(setsockopt(side->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version), "PACKET_VERSION");
	check(setsockopt(side->fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof one), "PACKET_VNET_HDR");
	check(setsockopt(side->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one), "PACKET_QDISC_BYPASS");
	check(setsockopt(side->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one), "PACKET_IGNORE_OUTGOING");
	if (version3) {
		struct tpacket_req3 ring = {.tp_block_size = BLOCK_BYTES, .tp_block_nr = BLOCKS, .tp_frame_size = SLOT_BYTES,
			.tp_frame_nr = SLOTS, .tp_retire_blk_tov = RETIRE_MS};
		check(setsockopt(side->fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof ring), "PACKET_RX_RING");
		ring.tp_retire_blk_tov = 0;
		if (useTxRing) check(setsockopt(side->fd, SOL_PACKET, PACKET_TX_RING, &ring, sizeof ring), "PACKET_TX_RING");
	} else {
		struct tpacket_req ring = {.tp_block_size = BLOCK_BYTES, .tp_block_nr = BLOCKS, .tp_frame_size = SLOT_BYTES,
			.tp_frame_nr = SLOTS};
		check(setsockopt(side->fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof ring), "PACKET_RX_RING");
		if (useTxRing) check(setsockopt(side->fd, SOL_PACKET, PACKET_TX_RING, &ring, sizeof ring), "PACKET_TX_RING");
	}
	size_t ringBytes = (size_t)SLOTS * SLOT_BYTES;
	side->rx = mmap(NULL, ringBytes * (useTxRing ? 2 : 1), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, side->fd, 0);
	if (side->rx == MAP_FAILED) { perror("mmap"); exit(1); }
	side->tx = side->rx + ringBytes;
	strncpy(request.ifr_name, interface, IFNAMSIZ - 1);
	check(ioctl(side->fd, SIOCGIFHWADDR, &request), "SIOCGIFHWADDR");
	memcpy(side->source, request.ifr_hwaddr.sa_data, 6);
	sscanf(destination, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &side->destination[0], &side->destination[1],
		&side->destination[2], &side->destination[3], &side->destination[4], &side->destination[5]);
	struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(interface)};
	check(bind(side->fd, (struct sockaddr *)&address, sizeof address), "bind");
}

static void flush(struct side *out) {
	if (!out->queued) return;
	if (useTxRing) {
		if (send(out->fd, NULL, 0, 0) < 0) out->refused += 1;
		out->sent += out->queued;
	} else {
		for (unsigned done = 0; done < out->queued;) {
			int n = sendmmsg(out->fd, out->messages + done, out->queued - done, MSG_DONTWAIT);
			if (n <= 0) { out->refused++; done++; continue; }
			out->sent += n;
			done += n;
		}
	}
	out->queued = 0;
}

static void transmit(struct side *out, unsigned char *frame, unsigned length) {
	memcpy(frame, out->destination, 6);
	memcpy(frame + 6, out->source, 6);
	if (useTxRing) {
		unsigned char *slot = out->tx + (size_t)out->txHead * SLOT_BYTES;
		unsigned headerBytes = version3 ? TPACKET3_HDRLEN - sizeof(struct sockaddr_ll) : TPACKET2_HDRLEN - sizeof(struct sockaddr_ll);
		volatile unsigned *status = version3 ? &((struct tpacket3_hdr *)slot)->tp_status : &((struct tpacket2_hdr *)slot)->tp_status;
		if (*status != TP_STATUS_AVAILABLE) { flush(out); if (*status != TP_STATUS_AVAILABLE) { out->refused++; return; } }
		memcpy(slot + headerBytes, frame - VNET_BYTES, length + VNET_BYTES);
		if (version3) { ((struct tpacket3_hdr *)slot)->tp_len = length + VNET_BYTES; ((struct tpacket3_hdr *)slot)->tp_next_offset = 0; }
		else ((struct tpacket2_hdr *)slot)->tp_len = length + VNET_BYTES;
		__atomic_store_n(status, TP_STATUS_SEND_REQUEST, __ATOMIC_RELEASE);
		out->txHead = (out->txHead + 1) % SLOTS;
	} else {
		out->vectors[out->queued].iov_base = frame - VNET_BYTES;
		out->vectors[out->queued].iov_len = length + VNET_BYTES;
		out->messages[out->queued].msg_hdr.msg_iov = &out->vectors[out->queued];
		out->messages[out->queued].msg_hdr.msg_iovlen = 1;
	}
	if (++out->queued == BATCH && useTxRing) flush(out);
}

static unsigned forwardV2(struct side *in, struct side *out) {
	unsigned first = in->rxHead, count = 0;
	while (count < BATCH) {
		struct tpacket2_hdr *header = (void *)(in->rx + (size_t)in->rxHead * SLOT_BYTES);
		if (!(__atomic_load_n(&header->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER)) break;
		transmit(out, (unsigned char *)header + header->tp_mac, header->tp_snaplen);
		in->rxHead = (in->rxHead + 1) % SLOTS;
		count++;
	}
	flush(out);
	for (unsigned i = 0; i < count; i++) {
		struct tpacket2_hdr *header = (void *)(in->rx + (size_t)((first + i) % SLOTS) * SLOT_BYTES);
		__atomic_store_n(&header->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
	}
	in->received += count;
	return count;
}

static unsigned forwardV3(struct side *in, struct side *out) {
	struct tpacket_block_desc *block = (void *)(in->rx + (size_t)in->rxHead * BLOCK_BYTES);
	if (!(__atomic_load_n(&block->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER)) return 0;
	if (!in->next) { in->next = (void *)((unsigned char *)block + block->hdr.bh1.offset_to_first_pkt); in->inBlock = block->hdr.bh1.num_pkts; }
	unsigned count = 0;
	while (in->inBlock && count < BATCH) {
		transmit(out, (unsigned char *)in->next + in->next->tp_mac, in->next->tp_snaplen);
		in->next = (void *)((unsigned char *)in->next + in->next->tp_next_offset);
		in->inBlock--;
		count++;
	}
	flush(out);
	if (!in->inBlock) {
		in->next = NULL;
		__atomic_store_n(&block->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
		in->rxHead = (in->rxHead + 1) % BLOCKS;
	}
	in->received += count;
	return count;
}

int main(int argc, char **argv) {
	if (argc != 7) { fprintf(stderr, "usage: null-forwarder A B v2|v3 mmsg|ring MAC-beyond-A MAC-beyond-B\n"); return 2; }
	static struct side a, b;
	version3 = !strcmp(argv[3], "v3");
	useTxRing = !strcmp(argv[4], "ring");
	signal(SIGTERM, stop);
	signal(SIGINT, stop);
	openSide(&a, argv[1], argv[5]);
	openSide(&b, argv[2], argv[6]);
	unsigned (*forward)(struct side *, struct side *) = version3 ? forwardV3 : forwardV2;
	printf("ready\n");
	fflush(stdout);
	struct pollfd descriptors[2] = {{a.fd, POLLIN, 0}, {b.fd, POLLIN, 0}};
	while (!stopped) {
		if (forward(&a, &b) + forward(&b, &a) == 0) poll(descriptors, 2, 20);
	}
	printf("{\"received\":%lu,\"sent\":%lu,\"refused\":%lu}\n", a.received + b.received, a.sent + b.sent, a.refused + b.refused);
	return 0;
}
