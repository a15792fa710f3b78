/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nmport_open() and its family: ports by way of NIOCCTRL, for C99 and C++11.
 *
 * Everything is in the headers: there is no library to link.  A program links as
 * many files that include this one as it likes; they share one nmctx.
 *
 *   netmap:eth3       all NIC rings        netmap:eth3-4     NIC ring pair 4
 *   netmap:eth3^      host rings           netmap:eth3^1     host ring pair 1
 *   netmap:eth3*      NIC and host rings   netmap:eth3-4/R   RX ring 4 only
 *   netmap:x{id x}id  ends of a pipe       vale0:p           a port of a switch
 *   netmap:eth3~4     RX ring 4, and the host TX ring to put packets back
 *
 *   .../FLAGS         x exclusive, z zero copy, t r monitor, R T one direction
 *   ...@N             memory id N
 *   ...@share:PORT    the memory of PORT
 *   ...@extmem:FILE   memory from a file; FILE may be followed by ,if-num= if-size=
 *                     ring-num= ring-size= buf-num= buf-size=
 *   ...@conf:KEY=N,...  rings slots host-rings, each also with tx- or rx-
 *                     (host-tx-rings)
 *   ...@offset:initial=N,bits=N   once nmport_enable_option("offset") was called
 *
 * Functions return -1 or NULL on failure and set errno; the text goes to the
 * context's error function, which prints it.
 */
#ifndef _LIBNETMAP_H_
#define _LIBNETMAP_H_

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <net/netmap.h>
#ifndef NETMAP_WITH_LIBS
#define NETMAP_WITH_LIBS	/* for struct netmap_ring's helpers and D() */
#endif
#include <net/netmap_user.h>

struct nmctx;
struct nmem_d;

/* A port. */
struct nmport_d {
	/* The request; may be changed between nmport_prepare() and _open_desc(). */
	struct nmreq_header hdr;
	struct nmreq_register reg;

	/* To be read only. */
	int		fd;
	struct nmem_d	*mem;
	struct netmap_if *nifp;
	/* Rings that are bound, host rings after those of the NIC; first > last: none. */
	uint16_t	first_tx_ring, last_tx_ring;
	uint16_t	first_rx_ring, last_rx_ring;
	uint16_t	cur_tx_ring, cur_rx_ring;

	/* Ours. */
	int		register_done;
	int		mmap_done;
	size_t		extmem_autounmap; /* bytes to unmap at the end */
	struct nmreq_opt_extmem *extmem;
	struct nmreq_opt_offsets *offsets;
	struct nmctx	*ctx;
};

/* Memory that ports of one id share. */
struct nmem_d {
	uint16_t	mem_id;
	int		refcount;
	void		*mem;
	size_t		size;
	int		is_extmem;
	size_t		unmap;		/* of that: bytes to unmap with the last port */
	struct nmem_d	*next;
};

/* Where errors go, memory comes from and which mappings there are. */
struct nmctx {
	int		verbose;
	void		(*error)(struct nmctx *, const char *);
	void		*(*malloc)(struct nmctx *, size_t);
	void		(*free)(struct nmctx *, void *);
	void		(*lock)(struct nmctx *, int);
	struct nmem_d	*mem_descs;
	uint32_t	disabled;	/* options, a bit each */
};

#include <net/nmctx.h>
#include <net/nmreq.h>
#include <net/nmreq_opt.h>
#include <net/nmport_mem.h>
#include <net/nmport.h>

#endif /* _LIBNETMAP_H_ */
