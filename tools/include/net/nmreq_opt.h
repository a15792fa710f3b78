/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Options in the name of a port, after its mode: @N and @NAME:KEY=VALUE,...
 * Part of libnetmap.h, which lists them.
 */
#ifndef _NET_NMREQ_OPT_H_
#define _NET_NMREQ_OPT_H_

enum { NM_NAMED_SHARE, NM_NAMED_EXTMEM, NM_NAMED_CONF, NM_NAMED_OFFSET, NM_NAMED_OPTIONS };

static inline int
nmreq_named_option(const char *name, size_t len)
{
	static const char *const names[] = { "share", "extmem", "conf", "offset" };
	int i;

	for (i = 0; i < NM_NAMED_OPTIONS; i++)
		if (strlen(names[i]) == len && !strncmp(name, names[i], len))
			return i;
	return -1;
}

/* A memory id: a number, or the name of a port, which is asked for its own. */
static inline int32_t
nmreq_get_mem_id(const char **pname, struct nmctx *ctx)
{
	struct nmreq_port_info_get info;
	struct nmreq_header h;
	const char *p = *pname;
	char spec[NETMAP_REQ_IFNAMSIZ + 8];
	int fd, ret, saved;
	size_t len;

	ret = (int)nmreq_number(&p, 65536);
	if (ret >= 0 && (!*p || *p == '@')) {
		*pname = p;
		return ret;
	}
	p = *pname;
	len = strcspn(p, "@");
	if (len >= NETMAP_REQ_IFNAMSIZ)
		return nmctx_einval(ctx, "'%s': the port's name is too long", p);
	snprintf(spec, sizeof(spec), "%s%.*s", strncmp(p, "vale", 4) &&
		 strncmp(p, "netmap:", 7) ? "netmap:" : "", (int)len, p);
	*pname = p + len;
	p = spec;
	memset(&info, 0, sizeof(info));
	nmreq_header_init(&h, NETMAP_REQ_PORT_INFO_GET, &info);
	if (nmreq_header_decode(&p, &h, ctx))
		return -1;
	fd = open("/dev/netmap", O_RDWR);
	if (fd < 0) {
		nmctx_ferror(ctx, "/dev/netmap: %s", strerror(errno));
		return -1;
	}
	ret = ioctl(fd, NIOCCTRL, &h);
	if (ret < 0)
		nmctx_ferror(ctx, "memory id of %s: %s", spec, strerror(errno));
	saved = errno;
	close(fd);
	errno = saved;
	return ret < 0 ? -1 : info.nr_mem_id;
}

/* One KEY=VALUE, as far as ',' or '@'; value is empty if there is no '='. */
struct nmreq_pair {
	char	key[32];
	char	value[1024];
	long	number;		/* -1 if the value is none */
};

static inline int
nmreq_next_pair(const char **ps, struct nmreq_pair *pair, const char *first_key,
		struct nmctx *ctx)
{
	const char *p = *ps, *n;
	size_t len = strcspn(p, ",@"), key = strcspn(p, "=,@");

	if (!len)
		return nmctx_einval(ctx, "'%s': expected KEY=VALUE", p);
	if (p[key] != '=') {	/* the value of the key that may be left out */
		if (!first_key)
			return nmctx_einval(ctx, "'%.*s': expected KEY=VALUE",
					    (int)len, p);
		snprintf(pair->key, sizeof(pair->key), "%s", first_key);
		key = 0;
	} else if (key >= sizeof(pair->key)) {
		return nmctx_einval(ctx, "'%.*s': no such key", (int)key, p);
	} else {
		snprintf(pair->key, sizeof(pair->key), "%.*s", (int)key, p);
		key++;
	}
	if (len - key >= sizeof(pair->value))
		return nmctx_einval(ctx, "'%s': the value is too long", pair->key);
	snprintf(pair->value, sizeof(pair->value), "%.*s", (int)(len - key), p + key);
	n = pair->value;
	pair->number = nmreq_number(&n, 0x7fffffff);
	if (*n)
		pair->number = -1;
	p += len;
	*ps = *p == ',' ? p + 1 : p;
	return 0;
}

/* @conf: numbers of rings and slots to ask for. */
static inline int
nmreq_conf(struct nmreq_register *r, const struct nmreq_pair *pair, struct nmctx *ctx)
{
	const char *k = pair->key;
	long n = pair->number;
	int host = !strncmp(k, "host-", 5), tx, rx;

	k += host ? 5 : 0;
	tx = strncmp(k, "rx-", 3) != 0;
	rx = strncmp(k, "tx-", 3) != 0;
	k += tx && rx ? 0 : 3;
	if (n < 0)
		return nmctx_einval(ctx, "conf:%s: a number must follow", pair->key);
	if (!strcmp(k, "slots") && !host) {
		r->nr_tx_slots = tx ? (uint32_t)n : r->nr_tx_slots;
		r->nr_rx_slots = rx ? (uint32_t)n : r->nr_rx_slots;
	} else if (strcmp(k, "rings") || n > 65535) {
		return nmctx_einval(ctx, "conf:%s=%s: not known", pair->key, pair->value);
	} else if (host) {
		r->nr_host_tx_rings = tx ? (uint16_t)n : r->nr_host_tx_rings;
		r->nr_host_rx_rings = rx ? (uint16_t)n : r->nr_host_rx_rings;
	} else {
		r->nr_tx_rings = tx ? (uint16_t)n : r->nr_tx_rings;
		r->nr_rx_rings = rx ? (uint16_t)n : r->nr_rx_rings;
	}
	return 0;
}

static inline int nmport_extmem_from_file(struct nmport_d *, const char *);
static inline int nmport_offset(struct nmport_d *, uint64_t, uint64_t, uint64_t, uint64_t);

/* @extmem: a file to take memory from, and how to cut it. */
static inline int
nmreq_extmem(struct nmport_d *d, const struct nmreq_pair *pair)
{
	uint32_t *to = NULL;

	if (!strcmp(pair->key, "file"))
		return nmport_extmem_from_file(d, pair->value);
	if (!d->extmem)
		return nmctx_einval(d->ctx, "extmem: the file must come first");
	if (!strcmp(pair->key, "if-num"))
		to = &d->extmem->nro_info.nr_if_pool_objtotal;
	else if (!strcmp(pair->key, "if-size"))
		to = &d->extmem->nro_info.nr_if_pool_objsize;
	else if (!strcmp(pair->key, "ring-num"))
		to = &d->extmem->nro_info.nr_ring_pool_objtotal;
	else if (!strcmp(pair->key, "ring-size"))
		to = &d->extmem->nro_info.nr_ring_pool_objsize;
	else if (!strcmp(pair->key, "buf-num"))
		to = &d->extmem->nro_info.nr_buf_pool_objtotal;
	else if (!strcmp(pair->key, "buf-size"))
		to = &d->extmem->nro_info.nr_buf_pool_objsize;
	if (!to || pair->number < 0)
		return nmctx_einval(d->ctx, "extmem:%s=%s: not known", pair->key,
				    pair->value);
	*to = (uint32_t)pair->number;
	return 0;
}

/* One option; *ps is after its ':' and is moved to the next '@' or the end. */
static inline int
nmreq_option_decode(const char **ps, int which, struct nmport_d *d)
{
	uint64_t initial = 0, bits = 0;
	struct nmreq_pair pair;
	int32_t id;

	if (which == NM_NAMED_SHARE) {
		id = nmreq_get_mem_id(ps, d->ctx);
		d->reg.nr_mem_id = id < 0 ? 0 : (uint16_t)id;
		return id < 0 ? -1 : 0;
	}
	do {
		const char *first = which == NM_NAMED_EXTMEM ? "file" : NULL;

		if (nmreq_next_pair(ps, &pair, first, d->ctx))
			return -1;
		if (which == NM_NAMED_CONF) {
			if (nmreq_conf(&d->reg, &pair, d->ctx))
				return -1;
		} else if (which == NM_NAMED_EXTMEM) {
			if (nmreq_extmem(d, &pair))
				return -1;
		} else if (!strcmp(pair.key, "initial") && pair.number >= 0) {
			initial = (uint64_t)pair.number;
		} else if (!strcmp(pair.key, "bits") && pair.number >= 0) {
			bits = (uint64_t)pair.number;
		} else {
			return nmctx_einval(d->ctx, "offset:%s=%s: not known", pair.key,
					    pair.value);
		}
	} while (**ps && **ps != '@');
	if (which == NM_NAMED_OFFSET)
		return nmport_offset(d, initial, initial, bits, 0);
	return 0;
}

/* All options of a name. */
static inline int
nmreq_options_parse(const char *p, struct nmport_d *d)
{
	while (*p == '@') {
		size_t len = strcspn(++p, ":@");
		int which = nmreq_named_option(p, len);
		long id;

		if (p[len] != ':') {
			id = nmreq_number(&p, 65536);
			if (id < 0 || (*p && *p != '@'))
				return nmctx_einval(d->ctx, "'@%s': expected a memory "
						    "id or OPTION:...", p);
			d->reg.nr_mem_id = (uint16_t)id;
			continue;
		}
		if (which < 0 || (d->ctx->disabled >> which & 1))
			return nmctx_einval(d->ctx, "'@%.*s': %s option", (int)len, p,
					    which < 0 ? "unknown" : "disabled");
		p += len + 1;
		if (nmreq_option_decode(&p, which, d))
			return -1;
	}
	return *p ? nmctx_einval(d->ctx, "'%s' has no place here", p) : 0;
}

#endif /* _NET_NMREQ_OPT_H_ */
