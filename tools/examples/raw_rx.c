/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A receiver of no header of ours: structures and numbers are written down here as
 * the interface of API 14 defines them for x86_64, for both families of requests.
 *
 *   ./raw_rx legacy eth3 4 100     # wait for 100 packets on RX ring 4
 *   ./raw_rx ctrl eth3 4 100 [IDLE_MS]
 *
 * C99 and C++11.
 */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define NIOC_REGIF		0xc03c6992ul
#define NIOC_CTRL		0xc0586997ul
#define ONE_NIC		4u
#define RX_ONLY		0x2000u

struct legacy {			/* 60 bytes */
	char		name[16];
	uint32_t	version, offset, memsize, tx_slots, rx_slots;
	uint16_t	tx_rings, rx_rings, ringid, cmd, arg1, arg2;
	uint32_t	arg3, flags, spare;
};

struct header {			/* 88 bytes */
	uint16_t	version, type;
	uint32_t	reserved;
	char		name[64];
	uint64_t	options, body;
};

struct reg {			/* 56 bytes */
	uint64_t	offset, memsize;
	uint32_t	tx_slots, rx_slots;
	uint16_t	tx_rings, rx_rings, host_tx, host_rx, mem_id, ringid;
	uint32_t	mode, extra_bufs;
	uint64_t	flags;
};

struct slot {			/* 16 bytes, the first at byte 256 of a ring */
	uint32_t	buf_idx;
	uint16_t	len, flags;
	uint64_t	ptr;
};

struct ring {
	int64_t		buf_ofs;
	uint32_t	num_slots, buf_size;
	uint16_t	ringid, dir;
	volatile uint32_t head, cur, tail;
};

struct nif {			/* ring offsets at byte 56 */
	char		name[16];
	uint32_t	version, flags, tx_rings, rx_rings, bufs_head, host_tx, host_rx;
};

typedef char legacy_size[sizeof(struct legacy) == 60 ? 1 : -1];
typedef char header_size[sizeof(struct header) == 88 ? 1 : -1];
typedef char reg_size[sizeof(struct reg) == 56 ? 1 : -1];
typedef char slot_size[sizeof(struct slot) == 16 ? 1 : -1];

/* Register; the offset of netmap_if and the size of the memory. */
static int bind_ring(int fd, int old, const char *name, unsigned int ring, uint64_t *offset,
		     uint64_t *memsize)
{
	if (old) {
		struct legacy r;

		memset(&r, 0, sizeof(r));
		snprintf(r.name, sizeof(r.name), "%s", name);
		r.version = 14;
		r.ringid = (uint16_t)ring;
		r.flags = ONE_NIC | RX_ONLY;
		if (ioctl(fd, NIOC_REGIF, &r))
			return -1;
		*offset = r.offset;
		*memsize = r.memsize;
	} else {
		struct header h;
		struct reg r;

		memset(&h, 0, sizeof(h));
		memset(&r, 0, sizeof(r));
		snprintf(h.name, sizeof(h.name), "%s", name);
		h.version = 14;
		h.type = 1;
		h.body = (uintptr_t)&r;
		r.ringid = (uint16_t)ring;
		r.mode = ONE_NIC;
		r.flags = RX_ONLY;
		if (ioctl(fd, NIOC_CTRL, &h))
			return -1;
		*offset = r.offset;
		*memsize = r.memsize;
	}
	return 0;
}

int main(int argc, char **argv)
{
	unsigned long packets = 0, bytes = 0, wanted, bad = 0;
	uint64_t offset = 0, memsize = 0;
	unsigned int number;
	const int64_t *ofs;
	struct pollfd pfd;
	struct ring *ring;
	struct nif *nif;
	char *mem;
	int idle;

	if (argc < 5) {
		fprintf(stderr, "usage: raw_rx legacy|ctrl IFACE RING COUNT [IDLE_MS]\n");
		return 2;
	}
	number = (unsigned int)atoi(argv[3]);
	wanted = strtoul(argv[4], NULL, 10);
	idle = argc > 5 ? atoi(argv[5]) : 5000;
	pfd.fd = open("/dev/netmap", O_RDWR);
	if (pfd.fd < 0 || bind_ring(pfd.fd, !strcmp(argv[1], "legacy"), argv[2], number,
				    &offset, &memsize)) {
		fprintf(stderr, "raw_rx: %s: %s\n", argv[2], strerror(errno));
		return 1;
	}
	mem = (char *)mmap(NULL, memsize, PROT_READ | PROT_WRITE, MAP_SHARED, pfd.fd, 0);
	if (mem == (char *)MAP_FAILED) {
		fprintf(stderr, "raw_rx: mmap: %s\n", strerror(errno));
		return 1;
	}
	nif = (struct nif *)(void *)(mem + offset);
	ofs = (const int64_t *)(const void *)((char *)nif + 56);
	ofs += nif->tx_rings + nif->host_tx + number;
	if (number >= nif->rx_rings || !*ofs) {
		fprintf(stderr, "raw_rx: RX ring %u is not bound\n", number);
		return 1;
	}
	ring = (struct ring *)(void *)((char *)nif + *ofs);
	printf("RX ring %u, %u slots of %u bytes, dir %u\n", ring->ringid, ring->num_slots,
	       ring->buf_size, ring->dir);
	fflush(stdout);
	pfd.events = POLLIN;
	while (packets < wanted && poll(&pfd, 1, idle) > 0 && !(pfd.revents & POLLERR)) {
		while (ring->cur != ring->tail) {
			const struct slot *s = (const struct slot *)(const void *)
				((char *)ring + 256) + ring->cur;
			const char *buf = (char *)ring + ring->buf_ofs +
				(size_t)s->buf_idx * ring->buf_size;

			bad += s->buf_idx < 2 || buf + s->len > mem + memsize;
			packets += !(s->flags & 0x20);
			bytes += s->len;
			ring->cur = ring->cur + 1 == ring->num_slots ? 0 : ring->cur + 1;
			ring->head = ring->cur;
		}
	}
	printf("%lu packets, %lu bytes, %lu bad slots\n", packets, bytes, bad);
	munmap(mem, memsize);
	close(pfd.fd);
	return packets < wanted || bad;
}
