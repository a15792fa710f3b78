/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nm_open() and what works on its descriptor.  Include net/netmap_user.h with
 * NETMAP_WITH_LIBS defined, not this file.
 *
 *   netmap:eth3       all NIC rings        netmap:eth3-4     NIC ring pair 4
 *   netmap:eth3^      host rings           netmap:eth3-4/R   RX ring 4 only
 *   netmap:eth3*      NIC and host rings   netmap:eth3{1     pipe 1, master
 *   netmap:eth3~4     RX ring 4, and the host TX ring to put packets back
 *   netmap:eth3~      the same with no NIC ring yet (NIOCQADD)
 *   .../FLAGS         x exclusive, z zero copy, t r monitor, R T one direction
 *   ...@N             memory id N
 */
#ifndef _NET_NETMAP_OPEN_H_
#define _NET_NETMAP_OPEN_H_

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#define NM_ERRBUF_SIZE	512

/* Message with time and place, as programs expect it from this header. */
#ifndef D
#define D(...)								\
	do {								\
		struct timeval _t0;					\
		gettimeofday(&_t0, NULL);				\
		fprintf(stderr, "%03d.%06d %s [%d] ",			\
			(int)(_t0.tv_sec % 1000), (int)_t0.tv_usec,	\
			__func__, __LINE__);				\
		fprintf(stderr, __VA_ARGS__);				\
		fputc('\n', stderr);					\
	} while (0)
#endif

struct nm_desc;

struct nm_pkthdr {		/* begins as pcap_pkthdr */
	struct timeval	ts;
	uint32_t	caplen;
	uint32_t	len;
	uint64_t	flags;	/* NM_MORE_PKTS */
	struct nm_desc	*d;
	struct netmap_slot *slot;
	uint8_t		*buf;
};
#define NM_MORE_PKTS	1

struct nm_stat {		/* same as pcap_stat */
	u_int	ps_recv;
	u_int	ps_drop;
	u_int	ps_ifdrop;
};

struct nm_desc {
	struct nm_desc	*self;	/* to tell a descriptor from garbage */
	int		fd;
	void		*mem;
	uint64_t	memsize;
	int		done_mmap;
	struct netmap_if *nifp;
	uint16_t	first_tx_ring, last_tx_ring, cur_tx_ring;
	uint16_t	first_rx_ring, last_rx_ring, cur_rx_ring;
	struct nmreq	req;
	struct nm_pkthdr hdr;
	struct netmap_ring *some_ring;
	void		*buf_start;
	void		*buf_end;
	int		snaplen;
	int		promisc;
	int		to_ms;
	char		*errbuf;
	uint32_t	if_flags;
	uint32_t	if_reqcap;
	uint32_t	if_curcap;
	struct nm_stat	st;
	char		msg[NM_ERRBUF_SIZE];
};

#define IS_NETMAP_DESC(d)	((d) && (d)->self == (d))
#define NETMAP_FD(d)		((d)->fd)

/* Flags of nm_open(), above the NR_* ones that go into nr_flags. */
enum {
	NM_OPEN_NO_MMAP =	0x040000, /* reuse arg's mapping */
	NM_OPEN_IFNAME =	0x080000, /* name from arg */
	NM_OPEN_ARG1 =		0x100000,
	NM_OPEN_ARG2 =		0x200000, /* memory id from arg */
	NM_OPEN_ARG3 =		0x400000, /* extra buffers from arg */
	NM_OPEN_RING_CFG =	0x800000  /* ring numbers and sizes from arg */
};

typedef void (*nm_cb_t)(u_char *, const struct nm_pkthdr *, const u_char *);

static inline void
nm_pkt_copy(const void *src, void *dst, int len)
{
	memcpy(dst, src, (size_t)len);
}

/* Digits at *s as a number below `limit`; -1 if there are none or too many. */
static inline long
nm_number(const char **s, long limit)
{
	const char *p = *s;
	long n = 0;

	for (; *p >= '0' && *p <= '9'; p++) {
		n = n * 10 + (*p - '0');
		if (n >= limit)
			return -1;
	}
	if (p == *s)
		return -1;
	*s = p;
	return n;
}

static inline int
nm_parse_error(char *err, const char *name, const char *why)
{
	snprintf(err, NM_ERRBUF_SIZE, "port name '%s': %s", name, why);
	errno = EINVAL;
	return -1;
}

/* Fill in d->req from a port name; 0, or -1 with a text in err. */
static inline int
nm_parse(const char *ifname, struct nm_desc *d, char *err)
{
	const char *name = ifname, *p, *sep;
	uint32_t mode = NR_REG_ALL_NIC, flags = 0;
	uint16_t ring = 0, mem_id = 0;
	int rings = 0;
	size_t len;
	long n;

	if (!strncmp(name, "netmap:", 7)) {
		name += 7;
		p = name;
	} else if (!strncmp(name, "vale", 4) && (p = strchr(name, ':'))) {
		p++;
	} else {
		return nm_parse_error(err, ifname, "must start with netmap: or valeX:");
	}
	sep = p + strcspn(p, "-*^~{}/@");
	len = (size_t)(sep - name);
	if (sep == p)
		return nm_parse_error(err, ifname, "no interface name");
	if (len >= sizeof(d->req.nr_name))
		return nm_parse_error(err, ifname, "the interface name is too long");

	for (p = sep; *p; ) {
		char c = *p++;

		if (strchr("-*^~{}", c) && rings++)
			return nm_parse_error(err, ifname, "says twice which rings");
		switch (c) {
		case '*':
			mode = NR_REG_NIC_SW;
			break;
		case '^':
			mode = NR_REG_SW;
			if (*p >= '0' && *p <= '9')
				return nm_parse_error(err, ifname,
					"the legacy request has one host ring only: use '^'");
			break;
		case '-':
		case '{':
		case '}':
			mode = c == '-' ? NR_REG_ONE_NIC :
			       c == '{' ? NR_REG_PIPE_MASTER : NR_REG_PIPE_SLAVE;
			n = nm_number(&p, NETMAP_RING_MASK);
			if (n < 0)
				return nm_parse_error(err, ifname,
					"a number below 4095 must follow '-', '{' and '}'");
			ring = (uint16_t)n;
			break;
		case '~':
			mode = NR_REG_ONE_NIC;
			flags |= NR_RX_RINGS_ONLY | NR_PUTBACK;
			if (*p < '0' || *p > '9') {
				flags |= NR_NO_RINGS;
				break;
			}
			n = nm_number(&p, NETMAP_RING_MASK);
			if (n < 0)
				return nm_parse_error(err, ifname,
					"a number below 4095 must follow '~'");
			ring = (uint16_t)n;
			break;
		case '@':
			n = nm_number(&p, 65536);
			if (n < 0)
				return nm_parse_error(err, ifname,
					"a memory id below 65536 must follow '@'");
			mem_id = (uint16_t)n;
			break;
		case '/':
			for (; *p && !strchr("-*^~{}/@", *p); p++) {
				switch (*p) {
				case 'x': flags |= NR_EXCLUSIVE; break;
				case 'z': flags |= NR_ZCOPY_MON; break;
				case 't': flags |= NR_MONITOR_TX; break;
				case 'r': flags |= NR_MONITOR_RX; break;
				case 'R': flags |= NR_RX_RINGS_ONLY; break;
				case 'T': flags |= NR_TX_RINGS_ONLY; break;
				default:
					return nm_parse_error(err, ifname,
						"unknown flag after '/' (known: x z t r R T)");
				}
			}
			break;
		default:
			return nm_parse_error(err, ifname, "junk after a number");
		}
	}
	if ((flags & NR_RX_RINGS_ONLY) && (flags & NR_TX_RINGS_ONLY))
		return nm_parse_error(err, ifname, "R (or '~') and T exclude each other");

	memset(d->req.nr_name, 0, sizeof(d->req.nr_name));
	memcpy(d->req.nr_name, name, len);
	d->req.nr_ringid = ring;
	d->req.nr_flags = mode | flags;
	if (mem_id)
		d->req.nr_arg2 = mem_id;
	return 0;
}

/* Map the memory of d, or take the mapping of parent if it is the same. */
static inline int
nm_mmap(struct nm_desc *d, const struct nm_desc *parent)
{
	if (d->done_mmap)
		return 0;
	if (parent && parent->mem && parent->req.nr_arg2 == d->req.nr_arg2) {
		d->memsize = parent->memsize;
		d->mem = parent->mem;
	} else {
		d->memsize = d->req.nr_memsize;
		d->mem = mmap(NULL, d->memsize, PROT_READ | PROT_WRITE, MAP_SHARED,
			      d->fd, 0);
		if (d->mem == MAP_FAILED) {
			d->mem = NULL;
			return -1;
		}
		d->done_mmap = 1;
	}
	d->nifp = NETMAP_IF(d->mem, d->req.nr_offset);
	return 0;
}

/* Give the rings back and free d. */
static inline int
nm_close(struct nm_desc *d)
{
	if (!IS_NETMAP_DESC(d))
		return EINVAL;
	if (d->done_mmap && d->mem)
		munmap(d->mem, d->memsize);
	if (d->fd != -1)
		close(d->fd);
	memset(d, 0, sizeof(*d));
	free(d);
	return 0;
}

/* Which rings of each direction the file has; the table of offsets says. */
static inline void
nm_find_rings(struct nm_desc *d)
{
	uint32_t tx = d->nifp->ni_tx_rings + d->nifp->ni_host_tx_rings;
	uint32_t rx = d->nifp->ni_rx_rings + d->nifp->ni_host_rx_rings;
	uint32_t i, found;

	d->some_ring = NULL;
	for (i = 0, found = 0; i < tx; i++) {
		if (!d->nifp->ring_ofs[i])
			continue;
		if (!found++)
			d->first_tx_ring = (uint16_t)i;
		d->last_tx_ring = (uint16_t)i;
		d->some_ring = NETMAP_TXRING(d->nifp, i);
	}
	if (!found) {		/* an empty range: first > last */
		d->first_tx_ring = 1;
		d->last_tx_ring = 0;
	}
	for (i = 0, found = 0; i < rx; i++) {
		if (!d->nifp->ring_ofs[tx + i])
			continue;
		if (!found++)
			d->first_rx_ring = (uint16_t)i;
		d->last_rx_ring = (uint16_t)i;
		d->some_ring = NETMAP_RXRING(d->nifp, i);
	}
	if (!found) {
		d->first_rx_ring = 1;
		d->last_rx_ring = 0;
	}
	d->cur_tx_ring = d->first_tx_ring;
	d->cur_rx_ring = d->first_rx_ring;
	if (d->some_ring) {
		d->buf_start = NETMAP_BUF(d->some_ring, 0);
		d->buf_end = (char *)d->mem + d->memsize;
	}
}

/*
 * Open a port.  `req` may preset a request, `flags` holds NR_* and NM_OPEN_*,
 * `arg` a descriptor to inherit from.  NULL on failure, errno says why.
 */
static inline struct nm_desc *
nm_open(const char *ifname, const struct nmreq *req, uint64_t flags,
	const struct nm_desc *arg)
{
	const struct nm_desc *parent = arg;
	struct nm_desc *d;
	char err[NM_ERRBUF_SIZE] = "";
	int saved;

	d = (struct nm_desc *)calloc(1, sizeof(*d));
	if (!d) {
		errno = ENOMEM;
		return NULL;
	}
	d->self = d;
	d->fd = -1;
	if (req)
		d->req = *req;
	if (!(flags & NM_OPEN_IFNAME) || !arg) {
		if (nm_parse(ifname, d, err))
			goto fail;
	} else {
		memcpy(d->req.nr_name, arg->req.nr_name, sizeof(d->req.nr_name));
		d->req.nr_ringid = arg->req.nr_ringid;
		d->req.nr_flags = arg->req.nr_flags;
	}
	d->req.nr_version = NETMAP_API;
	d->req.nr_cmd = 0;
	/* 0x40000 and above are nm_open()'s own; ours come with the name. */
	d->req.nr_flags |= (uint32_t)flags & 0x3ff00;
	if (arg) {
		if (flags & NM_OPEN_ARG1)
			d->req.nr_arg1 = arg->req.nr_arg1;
		if (flags & NM_OPEN_ARG2)
			d->req.nr_arg2 = arg->req.nr_arg2;
		if (flags & NM_OPEN_ARG3)
			d->req.nr_arg3 = arg->req.nr_arg3;
		if (flags & NM_OPEN_RING_CFG) {
			d->req.nr_tx_slots = arg->req.nr_tx_slots;
			d->req.nr_rx_slots = arg->req.nr_rx_slots;
			d->req.nr_tx_rings = arg->req.nr_tx_rings;
			d->req.nr_rx_rings = arg->req.nr_rx_rings;
		}
	}

	d->fd = open("/dev/netmap", O_RDWR);
	if (d->fd < 0) {
		snprintf(err, sizeof(err), "/dev/netmap: %s%s", strerror(errno),
			 errno == ENOENT ? " (is netmap.ko loaded?)" : "");
		goto fail;
	}
	if (ioctl(d->fd, NIOCREGIF, &d->req)) {
		snprintf(err, sizeof(err), "%s: %s", ifname, strerror(errno));
		goto fail;
	}
	if (!(flags & NM_OPEN_NO_MMAP) || (parent && parent->mem)) {
		if (nm_mmap(d, flags & NM_OPEN_NO_MMAP ? parent : NULL)) {
			snprintf(err, sizeof(err), "mmap of %s: %s", ifname,
				 strerror(errno));
			goto fail;
		}
		nm_find_rings(d);
	}
	return d;

fail:
	saved = errno;
	if (err[0])
		fprintf(stderr, "nm_open: %s\n", err);
	nm_close(d);
	errno = saved;
	return NULL;
}

/* Queue one packet on the first TX ring with room; its size, or 0. */
static inline int
nm_inject(struct nm_desc *d, const void *buf, size_t size)
{
	uint32_t r, n = (uint32_t)d->last_tx_ring - d->first_tx_ring + 1u;

	if (d->last_tx_ring < d->first_tx_ring)
		return 0;	/* no TX ring is bound */
	for (r = 0; r < n; r++) {
		uint32_t ri = d->cur_tx_ring + r, i, frags;
		const char *from = (const char *)buf;
		struct netmap_ring *ring;
		size_t left = size;

		if (ri > d->last_tx_ring)
			ri -= n;
		if (!d->nifp->ring_ofs[ri])
			continue;
		ring = NETMAP_TXRING(d->nifp, ri);
		frags = size ? (uint32_t)((size - 1) / ring->nr_buf_size + 1) : 1;
		if (frags > NETMAP_MAX_FRAGS || nm_ring_space(ring) < frags)
			continue;
		for (i = ring->cur; frags--; i = nm_ring_next(ring, i)) {
			struct netmap_slot *slot = &ring->slot[i];
			size_t part = left < ring->nr_buf_size ? left :
				      ring->nr_buf_size;

			memcpy(NETMAP_BUF(ring, slot->buf_idx), from, part);
			slot->len = (uint16_t)part;
			slot->flags = frags ? NS_MOREFRAG : 0;
			from += part;
			left -= part;
		}
		ring->head = ring->cur = i;
		d->cur_tx_ring = (uint16_t)ri;
		return (int)size;
	}
	return 0;
}

/* Up to cnt slots (-1: all there are) through cb; how many. */
static inline int
nm_dispatch(struct nm_desc *d, int cnt, nm_cb_t cb, u_char *arg)
{
	uint32_t r, n = (uint32_t)d->last_rx_ring - d->first_rx_ring + 1u;
	int got = 0;

	if (d->last_rx_ring < d->first_rx_ring)
		return 0;
	memset(&d->hdr, 0, sizeof(d->hdr));
	d->hdr.d = d;
	for (r = 0; r < n && cnt != got; r++) {
		uint32_t ri = d->cur_rx_ring + r;
		struct netmap_ring *ring;

		if (ri > d->last_rx_ring)
			ri -= n;
		/* A queue in between may not be ours. */
		if (!d->nifp->ring_ofs[ri + d->nifp->ni_tx_rings +
				       d->nifp->ni_host_tx_rings])
			continue;
		ring = NETMAP_RXRING(d->nifp, ri);
		for (; !nm_ring_empty(ring) && cnt != got; got++) {
			uint32_t i = ring->cur, next = nm_ring_next(ring, i);

			d->hdr.slot = &ring->slot[i];
			d->hdr.buf = (uint8_t *)NETMAP_BUF_OFFSET(ring, d->hdr.slot);
			d->hdr.len = d->hdr.caplen = d->hdr.slot->len;
			d->hdr.ts = ring->ts;
			d->hdr.flags = next != nm_ring_tail(ring) ? NM_MORE_PKTS : 0;
			cb(arg, &d->hdr, d->hdr.buf);
			ring->head = ring->cur = next;
		}
		d->cur_rx_ring = (uint16_t)ri;
	}
	return got;
}

/* The next slot's bytes, NULL if there is none; valid until the next sync. */
static inline u_char *
nm_nextpkt(struct nm_desc *d, struct nm_pkthdr *hdr)
{
	uint32_t r, n = (uint32_t)d->last_rx_ring - d->first_rx_ring + 1u;

	if (d->last_rx_ring < d->first_rx_ring)
		return NULL;
	for (r = 0; r < n; r++) {
		uint32_t ri = d->cur_rx_ring + r, i;
		struct netmap_ring *ring;

		if (ri > d->last_rx_ring)
			ri -= n;
		if (!d->nifp->ring_ofs[ri + d->nifp->ni_tx_rings +
				       d->nifp->ni_host_tx_rings])
			continue;
		ring = NETMAP_RXRING(d->nifp, ri);
		if (nm_ring_empty(ring))
			continue;
		i = ring->cur;
		hdr->ts = ring->ts;
		hdr->len = hdr->caplen = ring->slot[i].len;
		hdr->flags = 0;
		hdr->d = d;
		hdr->slot = &ring->slot[i];
		hdr->buf = (uint8_t *)NETMAP_BUF_OFFSET(ring, hdr->slot);
		ring->cur = nm_ring_next(ring, i);
		/* The one handed out stays ours until the next sync. */
		ring->head = ring->cur;
		d->cur_rx_ring = (uint16_t)ri;
		return hdr->buf;
	}
	return NULL;
}

#endif /* _NET_NETMAP_OPEN_H_ */
