/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory of ports: one mapping per memory id and program, memory of the
 * program's own, and offsets within buffers.  Part of libnetmap.h.
 */
#ifndef _NET_NMPORT_MEM_H_
#define _NET_NMPORT_MEM_H_

/* Use `size` bytes at `base`, page-aligned, as the memory of the port. */
static inline int
nmport_extmem(struct nmport_d *d, void *base, size_t size)
{
	struct nmreq_opt_extmem *o;

	if (d->register_done)
		return nmctx_einval(d->ctx, "extmem: the port is open already");
	if (d->extmem)
		return nmctx_einval(d->ctx, "extmem: given twice");
	o = (struct nmreq_opt_extmem *)nmctx_malloc(d->ctx, sizeof(*o));
	if (!o)
		return -1;
	o->nro_opt.nro_reqtype = NETMAP_REQ_OPT_EXTMEM;
	o->nro_usrptr = (uintptr_t)base;
	o->nro_info.nr_memsize = size;
	d->extmem = o;
	nmreq_push_option(&d->hdr, &o->nro_opt);
	return 0;
}

/* The same with the memory of a file, as of hugetlbfs. */
static inline int
nmport_extmem_from_file(struct nmport_d *d, const char *fname)
{
	void *p = MAP_FAILED;
	struct stat st;
	int fd, saved;

	fd = open(fname, O_RDWR);
	if (fd >= 0 && !fstat(fd, &st) && st.st_size > 0)
		p = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED,
			 fd, 0);
	else if (fd >= 0)
		errno = EINVAL;
	saved = errno;
	if (fd >= 0)
		close(fd);
	errno = saved;
	if (p == MAP_FAILED) {
		nmctx_ferror(d->ctx, "extmem of '%s': %s", fname, strerror(errno));
		return -1;
	}
	if (nmport_extmem(d, p, (size_t)st.st_size)) {
		munmap(p, (size_t)st.st_size);
		return -1;
	}
	d->extmem_autounmap = (size_t)st.st_size;
	return 0;
}

/* How that memory is cut: wishes before, the truth after the registration. */
static inline struct nmreq_pools_info *
nmport_extmem_getinfo(struct nmport_d *d)
{
	return d->extmem ? &d->extmem->nro_info : NULL;
}

/* Unmap the memory of a file, or leave that to the last other port that has it. */
static inline void
nmport_unmap_extmem(struct nmport_d *d)
{
	void *mem = (void *)(uintptr_t)d->extmem->nro_usrptr;
	struct nmem_d *m;

	nmctx_lock(d->ctx);
	for (m = d->ctx->mem_descs; m; m = m->next)
		if (m->is_extmem && m->mem == mem)
			break;
	if (m)
		m->unmap = d->extmem_autounmap;
	else
		munmap(mem, d->extmem_autounmap);
	nmctx_unlock(d->ctx);
}

static inline void
nmport_undo_extmem(struct nmport_d *d)
{
	if (!d->extmem)
		return;
	if (d->extmem_autounmap)
		nmport_unmap_extmem(d);
	nmreq_remove_option(&d->hdr, &d->extmem->nro_opt);
	nmctx_free(d->ctx, d->extmem);
	d->extmem = NULL;
	d->extmem_autounmap = 0;
}

/* Packets begin `initial` (later at most `maxoff`) bytes into their buffers. */
static inline int
nmport_offset(struct nmport_d *d, uint64_t initial, uint64_t maxoff, uint64_t bits,
	      uint64_t mingap)
{
	struct nmreq_opt_offsets *o;

	if (d->offsets)
		return nmctx_einval(d->ctx, "offset: given twice");
	o = (struct nmreq_opt_offsets *)nmctx_malloc(d->ctx, sizeof(*o));
	if (!o)
		return -1;
	o->nro_opt.nro_reqtype = NETMAP_REQ_OPT_OFFSETS;
	o->nro_max_offset = maxoff;
	o->nro_initial_offset = initial;
	o->nro_offset_bits = (uint32_t)bits;
	o->nro_min_gap = mingap;
	d->offsets = o;
	nmreq_push_option(&d->hdr, &o->nro_opt);
	return 0;
}

/* Options in names that are accepted: share, extmem, conf; offset at first not. */
static inline int
nmport_enable_option(const char *name)
{
	int which = nmreq_named_option(name, strlen(name));

	if (which < 0) {
		errno = EOPNOTSUPP;
		return -1;
	}
	nmctx_get()->disabled &= ~(1u << which);
	return 0;
}

static inline int
nmport_disable_option(const char *name)
{
	int which = nmreq_named_option(name, strlen(name));

	if (which < 0) {
		errno = EOPNOTSUPP;
		return -1;
	}
	nmctx_get()->disabled |= 1u << which;
	return 0;
}

/* Drop a reference to a mapping; the context's lock is held. */
static inline void
nmem_put(struct nmctx *ctx, struct nmem_d *m)
{
	struct nmem_d **link = &ctx->mem_descs;

	if (--m->refcount)
		return;
	while (*link && *link != m)
		link = &(*link)->next;
	if (*link)
		*link = m->next;
	if (!m->is_extmem)
		munmap(m->mem, m->size);
	else if (m->unmap)
		munmap(m->mem, m->unmap);
	nmctx_free(ctx, m);
}

/* The mapping of d's memory, made if it is the first; the lock is held. */
static inline struct nmem_d *
nmem_get(struct nmport_d *d)
{
	struct nmctx *ctx = d->ctx;
	struct nmem_d *m;

	for (m = ctx->mem_descs; m; m = m->next) {
		if (m->mem_id == d->reg.nr_mem_id && m->size >= d->reg.nr_memsize) {
			m->refcount++;
			return m;
		}
	}
	m = (struct nmem_d *)nmctx_malloc(ctx, sizeof(*m));
	if (!m)
		return NULL;
	m->mem_id = d->reg.nr_mem_id;
	m->refcount = 1;
	m->size = (size_t)d->reg.nr_memsize;
	if (d->extmem) {
		m->mem = (void *)(uintptr_t)d->extmem->nro_usrptr;
		m->is_extmem = 1;
	} else {
		m->mem = mmap(NULL, m->size, PROT_READ | PROT_WRITE, MAP_SHARED, d->fd,
			      0);
		if (m->mem == MAP_FAILED) {
			nmctx_ferror(ctx, "mmap of %s: %s", d->hdr.nr_name,
				     strerror(errno));
			nmctx_free(ctx, m);
			return NULL;
		}
	}
	m->next = ctx->mem_descs;
	ctx->mem_descs = m;
	return m;
}

#endif /* _NET_NMPORT_MEM_H_ */
