// SPDX-License-Identifier: GPL-2.0
/* Tracepoints for Rust: the macros that fire them exist in C only. */
#define CREATE_TRACE_POINTS
#include "nm_trace.h"
#include "nm_shim.h"

void nm_trace_attach(const struct net_device *dev, u32 kind, u32 ring)
{
	trace_netmap_attach(dev, kind, ring);
}

void nm_trace_detach(const struct net_device *dev, u32 kind, u32 ring, int error)
{
	trace_netmap_detach(dev, kind, ring, error);
}

void nm_trace_sync(u32 ifindex, u32 kind, u32 ring, u32 head, u32 cur, u32 tail, u32 packets)
{
	trace_netmap_sync(ifindex, kind, ring, head, cur, tail, packets);
}

void nm_trace_reinit(u32 ifindex, u32 kind, u32 ring, u32 head, u32 cur, u32 hwcur, u32 hwtail)
{
	trace_netmap_reinit(ifindex, kind, ring, head, cur, hwcur, hwtail);
}
