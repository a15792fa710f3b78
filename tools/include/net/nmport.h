/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opening and closing a port, in one step or in several, each with its undo:
 *
 *   nmport_open = nmport_prepare + nmport_open_desc
 *   nmport_prepare = nmport_new + nmport_parse
 *   nmport_open_desc = nmport_register + nmport_mmap
 *
 * Part of libnetmap.h.
 */
#ifndef _NET_NMPORT_H_
#define _NET_NMPORT_H_

static inline struct nmport_d *
nmport_new_with_ctx(struct nmctx *ctx)
{
	struct nmport_d *d = (struct nmport_d *)nmctx_malloc(ctx, sizeof(*d));

	if (!d) {
		nmctx_ferror(ctx, "no memory for a port");
		return NULL;
	}
	nmreq_header_init(&d->hdr, NETMAP_REQ_REGISTER, &d->reg);
	d->ctx = ctx;
	d->fd = -1;
	return d;
}

static inline struct nmport_d *
nmport_new(void)
{
	return nmport_new_with_ctx(nmctx_get());
}

static inline void
nmport_delete(struct nmport_d *d)
{
	nmctx_free(d->ctx, d);
}

/* Forget what the name said. */
static inline void
nmport_undo_parse(struct nmport_d *d)
{
	nmport_undo_extmem(d);
	/* Other options are the program's. */
	if (d->offsets) {
		nmreq_remove_option(&d->hdr, &d->offsets->nro_opt);
		nmctx_free(d->ctx, d->offsets);
		d->offsets = NULL;
	}
	memset(&d->reg, 0, sizeof(d->reg));
	memset(d->hdr.nr_name, 0, sizeof(d->hdr.nr_name));
}

/* Fill in hdr and reg from a name. */
static inline int
nmport_parse(struct nmport_d *d, const char *portspec)
{
	const char *p = portspec;

	if (nmreq_header_decode(&p, &d->hdr, d->ctx) ||
	    nmreq_register_decode(&p, &d->reg, d->ctx) ||
	    nmreq_options_parse(p, d)) {
		int saved = errno;

		nmport_undo_parse(d);
		errno = saved;
		return -1;
	}
	return 0;
}

static inline struct nmport_d *
nmport_prepare(const char *portspec)
{
	struct nmport_d *d = nmport_new();

	if (d && nmport_parse(d, portspec)) {
		nmport_delete(d);
		d = NULL;
	}
	return d;
}

static inline void
nmport_undo_prepare(struct nmport_d *d)
{
	nmport_undo_parse(d);
	nmport_delete(d);
}

/* Bind a file of /dev/netmap to the rings asked for. */
static inline int
nmport_register(struct nmport_d *d)
{
	struct nmreq_option *o;
	int saved;

	if (d->register_done) {
		nmctx_ferror(d->ctx, "%s: registered already", d->hdr.nr_name);
		errno = EINVAL;
		return -1;
	}
	d->fd = open("/dev/netmap", O_RDWR);
	if (d->fd < 0) {
		nmctx_ferror(d->ctx, "/dev/netmap: %s%s", strerror(errno),
			     errno == ENOENT ? " (is netmap.ko loaded?)" : "");
		return -1;
	}
	if (!ioctl(d->fd, NIOCCTRL, &d->hdr)) {
		d->register_done = 1;
		return 0;
	}
	saved = errno;
	nmctx_ferror(d->ctx, "%s: %s", d->hdr.nr_name, strerror(errno));
	nmreq_foreach_option(&d->hdr, o)
		if (o->nro_status)
			nmctx_ferror(d->ctx, "%s: option %s: %s", d->hdr.nr_name,
				     nmreq_option_name(o->nro_reqtype),
				     nmreq_option_strerror(o->nro_status));
	close(d->fd);
	d->fd = -1;
	errno = saved;
	return -1;
}

static inline void
nmport_undo_register(struct nmport_d *d)
{
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
	d->register_done = 0;
}

/* First and last ring that is bound, of n at ring_ofs[at]. */
static inline void
nmport_range(const struct netmap_if *nifp, uint32_t at, uint32_t n, uint16_t *first,
	     uint16_t *last)
{
	uint32_t i;

	*first = 1;
	*last = 0;
	for (i = n; i-- > 0; )
		if (nifp->ring_ofs[at + i])
			*first = (uint16_t)i;
	for (i = 0; i < n; i++)
		if (nifp->ring_ofs[at + i])
			*last = (uint16_t)i;
}

/* Map the memory and find the rings. */
static inline int
nmport_mmap(struct nmport_d *d)
{
	uint32_t tx, rx;

	if (d->mmap_done || !d->register_done) {
		nmctx_ferror(d->ctx, "%s: %s", d->hdr.nr_name,
			     d->mmap_done ? "mapped already" : "not registered yet");
		errno = EINVAL;
		return -1;
	}
	nmctx_lock(d->ctx);
	d->mem = nmem_get(d);
	nmctx_unlock(d->ctx);
	if (!d->mem)
		return -1;
	d->nifp = NETMAP_IF(d->mem->mem, d->reg.nr_offset);
	tx = d->nifp->ni_tx_rings + d->nifp->ni_host_tx_rings;
	rx = d->nifp->ni_rx_rings + d->nifp->ni_host_rx_rings;
	nmport_range(d->nifp, 0, tx, &d->first_tx_ring, &d->last_tx_ring);
	nmport_range(d->nifp, tx, rx, &d->first_rx_ring, &d->last_rx_ring);
	d->cur_tx_ring = d->first_tx_ring;
	d->cur_rx_ring = d->first_rx_ring;
	d->mmap_done = 1;
	return 0;
}

static inline void
nmport_undo_mmap(struct nmport_d *d)
{
	if (!d->mem)
		return;
	nmctx_lock(d->ctx);
	nmem_put(d->ctx, d->mem);
	nmctx_unlock(d->ctx);
	d->mem = NULL;
	d->nifp = NULL;
	d->mmap_done = 0;
}

static inline int
nmport_open_desc(struct nmport_d *d)
{
	int saved;

	if (nmport_register(d))
		return -1;
	if (nmport_mmap(d)) {
		saved = errno;
		nmport_undo_register(d);
		errno = saved;
		return -1;
	}
	return 0;
}

static inline void
nmport_undo_open_desc(struct nmport_d *d)
{
	nmport_undo_mmap(d);
	nmport_undo_register(d);
}

static inline struct nmport_d *
nmport_open(const char *portspec)
{
	struct nmport_d *d = nmport_prepare(portspec);
	int saved;

	if (d && nmport_open_desc(d)) {
		saved = errno;
		nmport_undo_prepare(d);
		errno = saved;
		d = NULL;
	}
	return d;
}

static inline void
nmport_close(struct nmport_d *d)
{
	if (!d)
		return;
	nmport_undo_open_desc(d);
	nmport_undo_prepare(d);
}

/* A port with the same request as d, not open yet; options are not taken over. */
static inline struct nmport_d *
nmport_clone(struct nmport_d *d)
{
	struct nmport_d *c = nmport_new_with_ctx(d->ctx);

	if (!c)
		return NULL;
	memcpy(c->hdr.nr_name, d->hdr.nr_name, sizeof(c->hdr.nr_name));
	c->reg = d->reg;
	c->reg.nr_extra_bufs = 0;
	return c;
}

/* Queue one packet on the first TX ring with room; its size, or 0. */
static inline int
nmport_inject(struct nmport_d *d, const void *buf, size_t size)
{
	uint32_t r, n = (uint32_t)d->last_tx_ring - d->first_tx_ring + 1u;

	if (d->last_tx_ring < d->first_tx_ring)
		return 0;
	for (r = 0; r < n; r++) {
		uint32_t ri = d->cur_tx_ring + r;

		if (ri > d->last_tx_ring)
			ri -= n;
		if (!d->nifp->ring_ofs[ri] ||
		    !nm_ring_inject(NETMAP_TXRING(d->nifp, ri), buf, size))
			continue;
		d->cur_tx_ring = (uint16_t)ri;
		return (int)size;
	}
	return 0;
}

#endif /* _NET_NMPORT_H_ */
