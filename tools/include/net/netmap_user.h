/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Access to rings and buffers, and nm_open() with its family, for C99 and C++11.
 *
 * The macros and ring helpers are always there; nm_open(), nm_close(),
 * nm_inject(), nm_dispatch() and nm_nextpkt() with NETMAP_WITH_LIBS defined
 * before the header is included.  Everything is in the headers: no library.
 */
#ifndef _NET_NETMAP_USER_H_
#define _NET_NETMAP_USER_H_

#include <stdint.h>
#include <net/if.h>
#include <net/netmap.h>

/* Address `offset` bytes after `ptr`, as a `type`. */
#define _NETMAP_OFFSET(type, ptr, offset)	\
	((type)(void *)((char *)(uintptr_t)(ptr) + (offset)))

#define NETMAP_IF(base, ofs)	_NETMAP_OFFSET(struct netmap_if *, base, ofs)

/* Ring tables start with the TX rings; host rings follow those of the NIC. */
#define NETMAP_TXRING(nifp, index) _NETMAP_OFFSET(struct netmap_ring *,	\
	nifp, (nifp)->ring_ofs[index])
#define NETMAP_RXRING(nifp, index) _NETMAP_OFFSET(struct netmap_ring *,	\
	nifp, (nifp)->ring_ofs[(index) + (nifp)->ni_tx_rings +		\
			       (nifp)->ni_host_tx_rings])

#define NETMAP_BUF(ring, index)						\
	((char *)(ring) + (ring)->buf_ofs +				\
	 (size_t)(index) * (ring)->nr_buf_size)
#define NETMAP_BUF_IDX(ring, buf)					\
	((uint32_t)(((char *)(buf) - ((char *)(ring) + (ring)->buf_ofs)) / \
		    (ring)->nr_buf_size))

/* Offsets within buffers, for ports that have them. */
#define NETMAP_ROFFSET(ring, slot)	((slot)->ptr & (ring)->offset_mask)
#define NETMAP_WOFFSET(ring, slot, offset)				\
	((slot)->ptr = ((slot)->ptr & ~(ring)->offset_mask) |		\
		       ((offset) & (ring)->offset_mask))
#define NETMAP_BUF_OFFSET(ring, slot)					\
	(NETMAP_BUF(ring, (slot)->buf_idx) + NETMAP_ROFFSET(ring, slot))

/* The slot after i. */
static inline uint32_t
nm_ring_next(struct netmap_ring *ring, uint32_t i)
{
	return i + 1 == ring->num_slots ? 0 : i + 1;
}

/* What the kernel writes is read once per call, not once per compilation. */
static inline uint32_t
nm_ring_tail(const struct netmap_ring *ring)
{
	return *(const volatile uint32_t *)&ring->tail;
}

/* Slots the program can use. */
static inline uint32_t
nm_ring_space(struct netmap_ring *ring)
{
	int ret = (int)(nm_ring_tail(ring) - ring->cur);

	return (uint32_t)(ret < 0 ? ret + (int)ring->num_slots : ret);
}

static inline int
nm_ring_empty(struct netmap_ring *ring)
{
	return ring->cur == nm_ring_tail(ring);
}

/* Is something queued on this TX ring that is not sent yet? */
static inline int
nm_tx_pending(struct netmap_ring *ring)
{
	return nm_ring_next(ring, nm_ring_tail(ring)) != ring->head;
}

#ifdef NETMAP_WITH_LIBS
#include <net/netmap_open.h>
#endif

#endif /* _NET_NETMAP_USER_H_ */
