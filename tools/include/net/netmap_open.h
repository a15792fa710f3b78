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

/* Nothing, and D() at most `lps` times a second. */
#ifndef ND
#define ND(...)		do { } while (0)
#endif
#ifndef RD
#define RD(lps, ...)							\
	do {								\
		static int _rd_second, _rd_lines;			\
		struct timeval _rd_now;					\
		gettimeofday(&_rd_now, NULL);				\
		if (_rd_second != (int)_rd_now.tv_sec) {		\
			_rd_second = (int)_rd_now.tv_sec;		\
			_rd_lines = 0;					\
		}							\
		if (_rd_lines++ < (lps))				\
			D(__VA_ARGS__);					\
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

#define P2NMD(p)		((const struct nm_desc *)(const void *)(p))
#define IS_NETMAP_DESC(d)	((d) && P2NMD(d)->self == P2NMD(d))
#define NETMAP_FD(d)		(P2NMD(d)->fd)

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

#include <net/netmap_name.h>

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
 * Open a port.  `req` may preset a request, `flags` holds NR_*, NM_OPEN_* and
 * NETMAP_NO_TX_POLL, `arg` a descriptor to inherit from.  NULL on failure, errno says why.
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
	/* NETMAP_NO_TX_POLL and NETMAP_DO_RX_POLL are bits of the ring id. */
	d->req.nr_ringid |= flags & (NETMAP_NO_TX_POLL | NETMAP_DO_RX_POLL);
	/* 0x40000 and above are nm_open()'s own; ours come with the name. */
	d->req.nr_flags |= (uint32_t)flags & 0x36f00;
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

#include <net/netmap_packets.h>

#endif /* _NET_NETMAP_OPEN_H_ */
