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
#include <string.h>
#include <sys/types.h>
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

/* Metadata of slot i; ofs and size are those the option came back with. */
static inline const struct nm_rx_meta *
nm_ring_meta(const struct netmap_ring *ring, uint32_t ofs, uint32_t size, uint32_t i)
{
	return (const struct nm_rx_meta *)(const void *)
		((const char *)ring + ofs + (size_t)i * size);
}

/* Bytes a slot takes: from its offset to the end of its buffer. */
static inline uint32_t
nm_slot_room(const struct netmap_ring *ring, const struct netmap_slot *slot)
{
	uint64_t room = ring->nr_buf_size - NETMAP_ROFFSET(ring, slot);

	return room > 65535 ? 65535 : (uint32_t)room;
}

/* Queue a copy of a packet on a TX ring: 1, or 0 if there are too few free slots. */
static inline int
nm_ring_inject(struct netmap_ring *ring, const void *buf, size_t size)
{
	const char *from = (const char *)buf;
	uint32_t space = nm_ring_space(ring), frags = 0, i = ring->cur;
	size_t room = 0, part;

	do {
		if (frags == space || frags++ == NETMAP_MAX_FRAGS)
			return 0;
		room += nm_slot_room(ring, &ring->slot[i]);
		i = nm_ring_next(ring, i);
	} while (room < size);
	for (i = ring->cur; frags; i = nm_ring_next(ring, i)) {
		struct netmap_slot *slot = &ring->slot[i];

		part = nm_slot_room(ring, slot);
		part = size < part ? size : part;
		memcpy(NETMAP_BUF_OFFSET(ring, slot), from, part);
		slot->len = (uint16_t)part;
		slot->flags = --frags ? NS_MOREFRAG : 0;
		from += part;
		size -= part;
	}
	ring->head = ring->cur = i;
	return 1;
}

/*
 * Rings by way of a CSB.  The kernel reads head before cur, so cur goes first;
 * and it writes hwcur before hwtail, so hwtail is read first.
 */
static inline void
nm_sync_kloop_appl_write(struct nm_csb_atok *atok, uint32_t cur, uint32_t head)
{
	__atomic_store_n(&atok->cur, cur, __ATOMIC_RELEASE);
	__atomic_store_n(&atok->head, head, __ATOMIC_RELEASE);
}

static inline void
nm_sync_kloop_appl_read(struct nm_csb_ktoa *ktoa, uint32_t *hwtail, uint32_t *hwcur)
{
	*hwtail = __atomic_load_n(&ktoa->hwtail, __ATOMIC_ACQUIRE);
	*hwcur = __atomic_load_n(&ktoa->hwcur, __ATOMIC_ACQUIRE);
}

#ifdef NETMAP_WITH_LIBS
#include <net/netmap_open.h>
#endif

#endif /* _NET_NETMAP_USER_H_ */
