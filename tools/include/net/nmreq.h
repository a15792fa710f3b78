/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a port's name to a request: its header and the body of REGISTER; and the
 * list of options.  Part of libnetmap.h, which lists the names.
 */
#ifndef _NET_NMREQ_H_
#define _NET_NMREQ_H_

static inline void
nmreq_header_init(struct nmreq_header *h, uint16_t reqtype, void *body)
{
	memset(h, 0, sizeof(*h));
	h->nr_version = NETMAP_API;
	h->nr_reqtype = reqtype;
	h->nr_body = (uintptr_t)body;
}

/* Can this stand in the name of a port, after its prefix? */
static inline int
nmreq_is_name_char(char c)
{
	return c && !strchr("-^*~/@", c) && c > ' ';
}

/* The port's name; *ppspec is moved to what follows it. */
static inline int
nmreq_header_decode(const char **ppspec, struct nmreq_header *h, struct nmctx *ctx)
{
	const char *spec = *ppspec, *name, *p, *pipe;
	size_t len;

	if (!strncmp(spec, "netmap:", 7)) {
		name = p = spec + 7;
	} else if (!strncmp(spec, "vale", 4)) {
		name = spec;
		for (p = spec + 4; *p && *p != ':' && nmreq_is_name_char(*p); p++)
			;
		if (*p++ != ':')
			return nmctx_einval(ctx, "'%s': expected valeX:PORT", spec);
	} else {
		return nmctx_einval(ctx, "'%s': must start with netmap: or valeX:", spec);
	}
	for (spec = p, pipe = NULL; nmreq_is_name_char(*p); p++) {
		if (*p == ':')
			return nmctx_einval(ctx, "'%s': ':' in the name", *ppspec);
		if (*p != '{' && *p != '}')
			continue;
		if (pipe)
			return nmctx_einval(ctx, "'%s': two pipe ids", *ppspec);
		pipe = p;
	}
	if (p == spec)
		return nmctx_einval(ctx, "'%s': no name of a port", *ppspec);
	if (pipe && pipe + 1 == p)
		return nmctx_einval(ctx, "'%s': a pipe id must follow '%c'", *ppspec,
				    *pipe);
	/* An interface's own name has 15 bytes; switches and pipes more. */
	len = (size_t)((pipe ? pipe : p) - name);
	if ((name == spec && len >= IFNAMSIZ) ||
	    (size_t)(p - name) >= sizeof(h->nr_name))
		return nmctx_einval(ctx, "'%s': the name is too long", *ppspec);
	memset(h->nr_name, 0, sizeof(h->nr_name));
	memcpy(h->nr_name, name, (size_t)(p - name));
	*ppspec = p;
	return 0;
}

/* Digits at *s, below limit; -1 if there are none or too many. */
static inline long
nmreq_number(const char **s, long limit)
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
nmreq_flags_decode(const char **ps, uint64_t *flags, struct nmctx *ctx)
{
	const char *p = *ps;

	for (; *p && *p != '@'; p++) {
		switch (*p) {
		case 'x': *flags |= NR_EXCLUSIVE; break;
		case 'z': *flags |= NR_ZCOPY_MON; break;
		case 't': *flags |= NR_MONITOR_TX; break;
		case 'r': *flags |= NR_MONITOR_RX; break;
		case 'R': *flags |= NR_RX_RINGS_ONLY; break;
		case 'T': *flags |= NR_TX_RINGS_ONLY; break;
		default:
			return nmctx_einval(ctx,
				"unknown flag '%c' after '/' (known: x z t r R T)", *p);
		}
	}
	if ((*flags & NR_RX_RINGS_ONLY) && (*flags & NR_TX_RINGS_ONLY))
		return nmctx_einval(ctx, "R (or '~') and T exclude each other");
	*ps = p;
	return 0;
}

/* Mode, ring and flags; *pmode is moved to the options. */
static inline int
nmreq_register_decode(const char **pmode, struct nmreq_register *r, struct nmctx *ctx)
{
	const char *p = *pmode;
	uint32_t mode = NR_REG_ALL_NIC;
	uint64_t flags = 0;
	long ring = 0;
	char c = *p;

	if (c && strchr("-^*~", c)) {
		int digits = p[1] >= '0' && p[1] <= '9';

		p++;
		mode = c == '*' ? NR_REG_NIC_SW : c != '^' ? NR_REG_ONE_NIC :
		       digits ? NR_REG_ONE_SW : NR_REG_SW;
		if (c == '~')
			flags |= NR_RX_RINGS_ONLY | NR_PUTBACK |
				 (digits ? 0 : NR_NO_RINGS);
		if (c == '-' || (digits && c != '*'))
			ring = nmreq_number(&p, NETMAP_RING_MASK);
		if (ring < 0)
			return nmctx_einval(ctx,
				"'%s': a ring below 4095 must follow '%c'", *pmode, c);
	}
	if (*p == '/') {
		p++;
		if (nmreq_flags_decode(&p, &flags, ctx))
			return -1;
	}
	if (*p && *p != '@')
		return nmctx_einval(ctx, "'%s' has no place here", p);
	r->nr_mode = mode;
	r->nr_ringid = (uint16_t)ring;
	r->nr_flags = flags;
	*pmode = p;
	return 0;
}

/*
 * The list of options
 */

#define NMREQ_OPTION(address)	((struct nmreq_option *)(uintptr_t)(address))
#define nmreq_foreach_option(h_, o_)					\
	for ((o_) = NMREQ_OPTION((h_)->nr_options); (o_) != NULL;	\
	     (o_) = NMREQ_OPTION((o_)->nro_next))

static inline void
nmreq_push_option(struct nmreq_header *h, struct nmreq_option *o)
{
	o->nro_next = h->nr_options;
	h->nr_options = (uintptr_t)o;
}

static inline struct nmreq_option *
nmreq_find_option(struct nmreq_header *h, uint32_t type)
{
	struct nmreq_option *o;

	nmreq_foreach_option(h, o)
		if (o->nro_reqtype == type)
			break;
	return o;
}

static inline void
nmreq_remove_option(struct nmreq_header *h, struct nmreq_option *gone)
{
	uint64_t *link = &h->nr_options;

	while (*link && *link != (uintptr_t)gone)
		link = &NMREQ_OPTION(*link)->nro_next;
	if (*link)
		*link = gone->nro_next;
}

/* Frees those that came with the name. */
static inline void
nmreq_free_options(struct nmreq_header *h)
{
	struct nmreq_option *o;

	while ((o = NMREQ_OPTION(h->nr_options))) {
		h->nr_options = o->nro_next;
		free(o);
	}
}

static inline const char *
nmreq_option_name(uint32_t type)
{
	switch (type) {
	case NETMAP_REQ_OPT_EXTMEM: return "extmem";
	case NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS: return "sync-kloop-eventfds";
	case NETMAP_REQ_OPT_CSB: return "csb";
	case NETMAP_REQ_OPT_SYNC_KLOOP_MODE: return "sync-kloop-mode";
	case NETMAP_REQ_OPT_OFFSETS: return "offsets";
	case NETMAP_REQ_OPT_RX_META: return "rx-meta";
	default: return "unknown";
	}
}

static inline const char *
nmreq_option_strerror(uint32_t status)
{
	switch (status) {
	case 0: return "done";
	case EOPNOTSUPP: return "not supported";
	default: return strerror((int)status);
	}
}

#endif /* _NET_NMREQ_H_ */
