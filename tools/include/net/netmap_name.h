/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nm_parse(): from a port name to the fields of a request.  Included by
 * net/netmap_open.h, which lists the names.
 */
#ifndef _NET_NETMAP_NAME_H_
#define _NET_NETMAP_NAME_H_

/* Digits at *s as a number below `limit`; -1 if there are none or too many. */
static inline long
nm_number(const char **s, long limit)
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
nm_parse_error(char *err, const char *name, const char *why)
{
	snprintf(err, NM_ERRBUF_SIZE, "port name '%s': %s", name, why);
	errno = EINVAL;
	return -1;
}

/* Fill in d->req from a port name; 0, or -1 with a text in err. */
static inline int
nm_parse(const char *ifname, struct nm_desc *d, char *err)
{
	const char *name = ifname, *p, *sep;
	uint32_t mode = NR_REG_ALL_NIC, flags = 0;
	uint16_t ring = 0, mem_id = 0;
	int rings = 0;
	size_t len;
	long n;

	if (!strncmp(name, "netmap:", 7)) {
		name += 7;
		p = name;
	} else if (!strncmp(name, "vale", 4) && (p = strchr(name, ':'))) {
		p++;
	} else {
		return nm_parse_error(err, ifname, "must start with netmap: or valeX:");
	}
	sep = p + strcspn(p, "-*^~{}/@");
	len = (size_t)(sep - name);
	if (sep == p)
		return nm_parse_error(err, ifname, "no interface name");
	if (len >= sizeof(d->req.nr_name))
		return nm_parse_error(err, ifname, "the interface name is too long");

	for (p = sep; *p; ) {
		char c = *p++;

		if (strchr("-*^~{}", c) && rings++)
			return nm_parse_error(err, ifname, "says twice which rings");
		switch (c) {
		case '*':
			mode = NR_REG_NIC_SW;
			break;
		case '^':
			mode = NR_REG_SW;
			if (*p >= '0' && *p <= '9')
				return nm_parse_error(err, ifname,
					"the legacy request has one host ring only: use '^'");
			break;
		case '-':
		case '{':
		case '}':
			mode = c == '-' ? NR_REG_ONE_NIC :
			       c == '{' ? NR_REG_PIPE_MASTER : NR_REG_PIPE_SLAVE;
			n = nm_number(&p, NETMAP_RING_MASK);
			if (n < 0)
				return nm_parse_error(err, ifname,
					"a number below 4095 must follow '-', '{' and '}'");
			ring = (uint16_t)n;
			break;
		case '~':
			mode = NR_REG_ONE_NIC;
			flags |= NR_RX_RINGS_ONLY | NR_PUTBACK;
			if (*p < '0' || *p > '9') {
				flags |= NR_NO_RINGS;
				break;
			}
			n = nm_number(&p, NETMAP_RING_MASK);
			if (n < 0)
				return nm_parse_error(err, ifname,
					"a number below 4095 must follow '~'");
			ring = (uint16_t)n;
			break;
		case '@':
			n = nm_number(&p, 65536);
			if (n < 0)
				return nm_parse_error(err, ifname,
					"a memory id below 65536 must follow '@'");
			mem_id = (uint16_t)n;
			break;
		case '/':
			for (; *p && !strchr("-*^~{}/@", *p); p++) {
				switch (*p) {
				case 'x': flags |= NR_EXCLUSIVE; break;
				case 'z': flags |= NR_ZCOPY_MON; break;
				case 't': flags |= NR_MONITOR_TX; break;
				case 'r': flags |= NR_MONITOR_RX; break;
				case 'R': flags |= NR_RX_RINGS_ONLY; break;
				case 'T': flags |= NR_TX_RINGS_ONLY; break;
				default:
					return nm_parse_error(err, ifname,
						"unknown flag after '/' (known: x z t r R T)");
				}
			}
			break;
		default:
			return nm_parse_error(err, ifname, "junk after a number");
		}
	}
	if ((flags & NR_RX_RINGS_ONLY) && (flags & NR_TX_RINGS_ONLY))
		return nm_parse_error(err, ifname, "R (or '~') and T exclude each other");

	memset(d->req.nr_name, 0, sizeof(d->req.nr_name));
	memcpy(d->req.nr_name, name, len);
	d->req.nr_ringid = ring;
	d->req.nr_flags = mode | flags;
	if (mem_id)
		d->req.nr_arg2 = mem_id;
	return 0;
}

#endif /* _NET_NETMAP_NAME_H_ */
