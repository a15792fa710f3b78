/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints, below /sys/kernel/tracing/events/netmap: rings that leave the
 * kernel's hands and come back, syncs, and resets of a program's pointers.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM netmap

#if !defined(_NM_TRACE_H_) || defined(TRACE_HEADER_MULTI_READ)
#define _NM_TRACE_H_

#include <linux/netdevice.h>
#include <linux/tracepoint.h>

/* as nq_kind of the listing */
#define NM_TRACE_KIND(kind)			\
	__print_symbolic(kind, { 1, "rx" }, { 2, "host_tx" }, { 3, "tx" }, { 4, "host_rx" })

/* Ring @ring of @dev was taken from the kernel. */
TRACE_EVENT(netmap_attach,
	    TP_PROTO(const struct net_device *dev, u32 kind, u32 ring),
	    TP_ARGS(dev, kind, ring),
	    TP_STRUCT__entry(__string(name, dev->name)
			     __field(u32, ifindex)
			     __field(u32, kind)
			     __field(u32, ring)),
	    TP_fast_assign(__assign_str(name);
			   __entry->ifindex = dev->ifindex;
			   __entry->kind = kind;
			   __entry->ring = ring;),
	    TP_printk("dev=%s ifindex=%u kind=%s ring=%u", __get_str(name), __entry->ifindex,
		      NM_TRACE_KIND(__entry->kind), __entry->ring)
);

/* It was given back; @error is 0, or EIO if the hardware did not stop it. */
TRACE_EVENT(netmap_detach,
	    TP_PROTO(const struct net_device *dev, u32 kind, u32 ring, int error),
	    TP_ARGS(dev, kind, ring, error),
	    TP_STRUCT__entry(__string(name, dev->name)
			     __field(u32, ifindex)
			     __field(u32, kind)
			     __field(u32, ring)
			     __field(int, error)),
	    TP_fast_assign(__assign_str(name);
			   __entry->ifindex = dev->ifindex;
			   __entry->kind = kind;
			   __entry->ring = ring;
			   __entry->error = error;),
	    TP_printk("dev=%s ifindex=%u kind=%s ring=%u error=%d",
		      __get_str(name), __entry->ifindex,
		      NM_TRACE_KIND(__entry->kind), __entry->ring, __entry->error)
);

/* A sync: what the program's @head and @cur were, what @tail is now, packets moved. */
TRACE_EVENT(netmap_sync,
	    TP_PROTO(u32 ifindex, u32 kind, u32 ring, u32 at_head, u32 at_cur, u32 tail,
		     u32 packets),
	    TP_ARGS(ifindex, kind, ring, at_head, at_cur, tail, packets),
	    TP_STRUCT__entry(__field(u32, ifindex)
			     __field(u32, kind)
			     __field(u32, ring)
			     __field(u32, head)
			     __field(u32, cur)
			     __field(u32, tail)
			     __field(u32, packets)),
	    TP_fast_assign(__entry->ifindex = ifindex;
			   __entry->kind = kind;
			   __entry->ring = ring;
			   __entry->head = at_head;
			   __entry->cur = at_cur;
			   __entry->tail = tail;
			   __entry->packets = packets;),
	    TP_printk("ifindex=%u kind=%s ring=%u head=%u cur=%u tail=%u packets=%u",
		      __entry->ifindex, NM_TRACE_KIND(__entry->kind), __entry->ring,
		      __entry->head, __entry->cur, __entry->tail, __entry->packets)
);

/* The program's @head and @cur could not be, and are now @hwcur; the tail is @hwtail. */
TRACE_EVENT(netmap_reinit,
	    TP_PROTO(u32 ifindex, u32 kind, u32 ring, u32 at_head, u32 at_cur, u32 hwcur,
		     u32 hwtail),
	    TP_ARGS(ifindex, kind, ring, at_head, at_cur, hwcur, hwtail),
	    TP_STRUCT__entry(__field(u32, ifindex)
			     __field(u32, kind)
			     __field(u32, ring)
			     __field(u32, head)
			     __field(u32, cur)
			     __field(u32, hwcur)
			     __field(u32, hwtail)),
	    TP_fast_assign(__entry->ifindex = ifindex;
			   __entry->kind = kind;
			   __entry->ring = ring;
			   __entry->head = at_head;
			   __entry->cur = at_cur;
			   __entry->hwcur = hwcur;
			   __entry->hwtail = hwtail;),
	    TP_printk("ifindex=%u kind=%s ring=%u head=%u cur=%u hwcur=%u hwtail=%u",
		      __entry->ifindex, NM_TRACE_KIND(__entry->kind), __entry->ring,
		      __entry->head, __entry->cur, __entry->hwcur, __entry->hwtail)
);

#endif /* _NM_TRACE_H_ */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE nm_trace
#include <trace/define_trace.h>
