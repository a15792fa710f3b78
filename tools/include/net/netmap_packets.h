/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets by way of a descriptor of nm_open(): nm_inject(), nm_dispatch() and
 * nm_nextpkt().  Included by net/netmap_open.h.
 */
#ifndef _NET_NETMAP_PACKETS_H_
#define _NET_NETMAP_PACKETS_H_

/* Queue one packet on the first TX ring with room; its size, or 0. */
static inline int
nm_inject(struct nm_desc *d, const void *buf, size_t size)
{
	uint32_t r, n = (uint32_t)d->last_tx_ring - d->first_tx_ring + 1u;

	if (d->last_tx_ring < d->first_tx_ring)
		return 0;	/* no TX ring is bound */
	for (r = 0; r < n; r++) {
		uint32_t ri = d->cur_tx_ring + r;
		struct netmap_ring *ring;

		if (ri > d->last_tx_ring)
			ri -= n;
		if (!d->nifp->ring_ofs[ri])
			continue;
		ring = NETMAP_TXRING(d->nifp, ri);
		if (!nm_ring_inject(ring, buf, size))
			continue;
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
	uint32_t start = d->cur_rx_ring;	/* and once around from there */
	int got = 0;

	if (d->last_rx_ring < d->first_rx_ring)
		return 0;
	memset(&d->hdr, 0, sizeof(d->hdr));
	d->hdr.d = d;
	for (r = 0; r < n && cnt != got; r++) {
		uint32_t ri = start + r;
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

#endif /* _NET_NETMAP_PACKETS_H_ */
