/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Compile-time check of the layouts, numbers and ioctls of net/netmap.h, in C99 and
 * C++11, and a run-time check of both parsers of port names; prints KTAP.
 */
#define _DEFAULT_SOURCE
#define NETMAP_WITH_LIBS
#include <net/netmap_user.h>
#include <libnetmap.h>
#include <stddef.h>

#define CHECK(name, cond) typedef char check_##name[(cond) ? 1 : -1]
#define AT(s, f, o) CHECK(s##_##f, offsetof(struct s, f) == (o))
#define SIZE(s, n) CHECK(s##_size, sizeof(struct s) == (n))

SIZE(netmap_slot, 16);
AT(netmap_slot, buf_idx, 0); AT(netmap_slot, len, 4);
AT(netmap_slot, flags, 6); AT(netmap_slot, ptr, 8);
SIZE(netmap_ring, 256);
AT(netmap_ring, num_slots, 8); AT(netmap_ring, nr_buf_size, 12);
AT(netmap_ring, ringid, 16); AT(netmap_ring, dir, 18); AT(netmap_ring, head, 20);
AT(netmap_ring, cur, 24); AT(netmap_ring, tail, 28); AT(netmap_ring, flags, 32);
AT(netmap_ring, ts, 40); AT(netmap_ring, offset_mask, 56);
AT(netmap_ring, buf_align, 64); AT(netmap_ring, sem, 128); AT(netmap_ring, slot, 256);
SIZE(netmap_if, 56);
AT(netmap_if, ni_version, 16); AT(netmap_if, ni_flags, 20);
AT(netmap_if, ni_tx_rings, 24); AT(netmap_if, ni_rx_rings, 28);
AT(netmap_if, ni_bufs_head, 32); AT(netmap_if, ni_host_tx_rings, 36);
AT(netmap_if, ni_host_rx_rings, 40); AT(netmap_if, ring_ofs, 56);
SIZE(nmreq, 60);
AT(nmreq, nr_version, 16); AT(nmreq, nr_offset, 20); AT(nmreq, nr_memsize, 24);
AT(nmreq, nr_tx_slots, 28); AT(nmreq, nr_rx_slots, 32); AT(nmreq, nr_tx_rings, 36);
AT(nmreq, nr_rx_rings, 38); AT(nmreq, nr_ringid, 40); AT(nmreq, nr_cmd, 42);
AT(nmreq, nr_arg1, 44); AT(nmreq, nr_arg2, 46); AT(nmreq, nr_arg3, 48);
AT(nmreq, nr_flags, 52); AT(nmreq, spare2, 56);
SIZE(nm_ifreq, 272);
SIZE(nmreq_header, 88);
AT(nmreq_header, nr_reqtype, 2); AT(nmreq_header, nr_reserved, 4);
AT(nmreq_header, nr_name, 8); AT(nmreq_header, nr_options, 72);
AT(nmreq_header, nr_body, 80);
SIZE(nmreq_option, 24);
AT(nmreq_option, nro_reqtype, 8); AT(nmreq_option, nro_status, 12);
AT(nmreq_option, nro_size, 16);
SIZE(nmreq_register, 56);
AT(nmreq_register, nr_memsize, 8); AT(nmreq_register, nr_tx_slots, 16);
AT(nmreq_register, nr_tx_rings, 24); AT(nmreq_register, nr_host_tx_rings, 28);
AT(nmreq_register, nr_mem_id, 32); AT(nmreq_register, nr_ringid, 34);
AT(nmreq_register, nr_mode, 36); AT(nmreq_register, nr_extra_bufs, 40);
AT(nmreq_register, nr_flags, 48);
SIZE(nmreq_port_info_get, 32);
AT(nmreq_port_info_get, nr_tx_slots, 8); AT(nmreq_port_info_get, nr_mem_id, 24);
SIZE(nmreq_pools_info, 64);
AT(nmreq_pools_info, nr_if_pool_offset, 16); AT(nmreq_pools_info, nr_buf_pool_offset, 48);
AT(nmreq_pools_info, nr_buf_pool_objsize, 60);
AT(nmreq_pools_info, nr_mem_id, 8); AT(nmreq_pools_info, nr_if_pool_objtotal, 24);
AT(nmreq_pools_info, nr_if_pool_objsize, 28); AT(nmreq_pools_info, nr_ring_pool_offset, 32);
AT(nmreq_pools_info, nr_ring_pool_objtotal, 40);
AT(nmreq_pools_info, nr_ring_pool_objsize, 44);
AT(nmreq_pools_info, nr_buf_pool_objtotal, 56);
SIZE(nmreq_vale_attach, 64); AT(nmreq_vale_attach, port_index, 56);
SIZE(nmreq_vale_detach, 8);
SIZE(nmreq_vale_list, 8); AT(nmreq_vale_list, nr_port_idx, 4);
SIZE(nmreq_port_hdr, 8);
SIZE(nmreq_vale_newif, 16); AT(nmreq_vale_newif, nr_rx_slots, 4);
AT(nmreq_vale_newif, nr_tx_rings, 8); AT(nmreq_vale_newif, nr_rx_rings, 10);
AT(nmreq_vale_newif, nr_mem_id, 12);
SIZE(nmreq_vale_polling, 16); AT(nmreq_vale_polling, nr_first_cpu_id, 4);
AT(nmreq_vale_polling, nr_num_polling_cpus, 8);
SIZE(nmreq_sync_kloop_start, 8);
SIZE(nm_csb_atok, 64); AT(nm_csb_atok, cur, 4); AT(nm_csb_atok, appl_need_kick, 8);
AT(nm_csb_atok, sync_flags, 12);
SIZE(nm_csb_ktoa, 64); AT(nm_csb_ktoa, hwtail, 4); AT(nm_csb_ktoa, kern_need_kick, 8);
SIZE(nmreq_opt_extmem, 96); AT(nmreq_opt_extmem, nro_usrptr, 24);
AT(nmreq_opt_extmem, nro_info, 32);
SIZE(nm_kloop_eventfd, 8); AT(nm_kloop_eventfd, irqfd, 4);
SIZE(nmreq_opt_sync_kloop_eventfds, 24); AT(nmreq_opt_sync_kloop_eventfds, eventfds, 24);
SIZE(nmreq_opt_sync_kloop_mode, 32); AT(nmreq_opt_sync_kloop_mode, mode, 24);
SIZE(nmreq_opt_csb, 40); AT(nmreq_opt_csb, csb_atok, 24); AT(nmreq_opt_csb, csb_ktoa, 32);
SIZE(nmreq_opt_offsets, 56); AT(nmreq_opt_offsets, nro_max_offset, 24);
AT(nmreq_opt_offsets, nro_initial_offset, 32); AT(nmreq_opt_offsets, nro_offset_bits, 40);
AT(nmreq_opt_offsets, nro_tx_align, 44); AT(nmreq_opt_offsets, nro_min_gap, 48);
SIZE(nmreq_opt_rx_meta, 40); AT(nmreq_opt_rx_meta, nro_meta_ofs, 24);
AT(nmreq_opt_rx_meta, nro_meta_size, 28); AT(nmreq_opt_rx_meta, nro_spare, 32);
SIZE(nm_rx_meta, 32); AT(nm_rx_meta, hash, 8); AT(nm_rx_meta, vlan, 12);
AT(nm_rx_meta, ptype, 14); AT(nm_rx_meta, flags, 16); AT(nm_rx_meta, spare, 20);
SIZE(nm_queue_req, 16);
SIZE(nm_queue_info, 256);
AT(nm_queue_info, nq_name, 16); AT(nm_queue_info, nq_state, 32);
AT(nm_queue_info, nq_pid, 44); AT(nm_queue_info, nq_comm, 56);
AT(nm_queue_info, nq_reg_idx, 72); AT(nm_queue_info, nq_counter, 80);
AT(nm_queue_info, nq_spare, 208);
CHECK(niocginfo, NIOCGINFO == 0xc03c6991);
CHECK(niocregif, NIOCREGIF == 0xc03c6992);
CHECK(nioctxsync, NIOCTXSYNC == 0x6994);
CHECK(niocrxsync, NIOCRXSYNC == 0x6995);
CHECK(niocconfig, NIOCCONFIG == 0xc1106996);
CHECK(niocctrl, NIOCCTRL == 0xc0586997);
CHECK(requests, NETMAP_REQ_REGISTER == 1 && NETMAP_REQ_PORT_INFO_GET == 2 &&
      NETMAP_REQ_VALE_ATTACH == 3 && NETMAP_REQ_VALE_DETACH == 4 &&
      NETMAP_REQ_VALE_LIST == 5 && NETMAP_REQ_PORT_HDR_SET == 6 &&
      NETMAP_REQ_PORT_HDR_GET == 7 && NETMAP_REQ_VALE_NEWIF == 8 &&
      NETMAP_REQ_VALE_DELIF == 9 && NETMAP_REQ_VALE_POLLING_ENABLE == 10 &&
      NETMAP_REQ_VALE_POLLING_DISABLE == 11 && NETMAP_REQ_POOLS_INFO_GET == 12 &&
      NETMAP_REQ_SYNC_KLOOP_START == 13 && NETMAP_REQ_SYNC_KLOOP_STOP == 14 &&
      NETMAP_REQ_CSB_ENABLE == 15);
CHECK(options, NETMAP_REQ_OPT_EXTMEM == 1 && NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS == 2 &&
      NETMAP_REQ_OPT_CSB == 3 && NETMAP_REQ_OPT_SYNC_KLOOP_MODE == 4 &&
      NETMAP_REQ_OPT_OFFSETS == 5 && NETMAP_REQ_OPT_MAX == 6);
CHECK(modes, NR_REG_ALL_NIC == 1 && NR_REG_SW == 2 && NR_REG_NIC_SW == 3 &&
      NR_REG_ONE_NIC == 4 && NR_REG_PIPE_MASTER == 5 && NR_REG_PIPE_SLAVE == 6 &&
      NR_REG_NULL == 7 && NR_REG_ONE_SW == 8);
CHECK(niocqadd, NIOCQADD == 0x401069a0);
CHECK(niocqdel, NIOCQDEL == 0x401069a1);
CHECK(niocqnext, NIOCQNEXT == 0xc10069a2);

static int tests, failed;

static void expect(const char *name, int ret, const char *ifname, unsigned int ring,
		   unsigned int flags, unsigned int mem_id)
{
	char err[NM_ERRBUF_SIZE] = "";
	struct nm_desc d;
	int got;

	memset(&d, 0, sizeof(d));
	got = nm_parse(name, &d, err);
	tests++;
	if (got != ret || (!ret && (strcmp(d.req.nr_name, ifname) ||
	    d.req.nr_ringid != ring || d.req.nr_flags != flags ||
	    d.req.nr_arg2 != mem_id))) {
		printf("not ok %d nm_parse.%s\n", tests, name);
		printf("# got %d '%s' ring %u flags %#x mem %u %s\n", got,
		       d.req.nr_name, d.req.nr_ringid, d.req.nr_flags,
		       d.req.nr_arg2, err);
		failed++;
	} else {
		printf("ok %d nm_parse.%s\n", tests, name);
	}
}

/* libnetmap's grammar; `options` is the number of options the name asks for. */
static void expect_port(const char *name, int ret, const char *ifname, unsigned int mode,
			unsigned int ring, unsigned int flags, unsigned int mem_id,
			int options)
{
	struct nmport_d *d = nmport_prepare(name);
	struct nmreq_option *o;
	int n = 0, saved = errno;

	tests++;
	if (d)
		nmreq_foreach_option(&d->hdr, o)
			n++;
	if ((d == NULL) != (ret != 0) || (!d && saved != EINVAL) ||
	    (d && (strcmp(d->hdr.nr_name, ifname) || d->reg.nr_mode != mode ||
	     d->reg.nr_ringid != ring || d->reg.nr_flags != flags ||
	     d->reg.nr_mem_id != mem_id || n != options))) {
		printf("not ok %d nmport_parse.%s\n", tests, name);
		if (d)
			printf("# got '%s' mode %u ring %u flags %#llx mem %u, %d options\n",
			       d->hdr.nr_name, d->reg.nr_mode, d->reg.nr_ringid,
			       (unsigned long long)d->reg.nr_flags, d->reg.nr_mem_id, n);
		else
			printf("# refused, errno %d\n", saved);
		failed++;
	} else {
		printf("ok %d nmport_parse.%s\n", tests, name);
	}
	if (d)
		nmport_undo_prepare(d);
}

static void port_names(void)
{
	const unsigned int tilde = NR_RX_RINGS_ONLY | NR_PUTBACK;

	nmctx_get()->verbose = 0;
	expect_port("netmap:eth3", 0, "eth3", NR_REG_ALL_NIC, 0, 0, 0, 0);
	expect_port("netmap:eth3-4", 0, "eth3", NR_REG_ONE_NIC, 4, 0, 0, 0);
	expect_port("netmap:eth3^", 0, "eth3", NR_REG_SW, 0, 0, 0, 0);
	expect_port("netmap:eth3^1", 0, "eth3", NR_REG_ONE_SW, 1, 0, 0, 0);
	expect_port("netmap:eth3*", 0, "eth3", NR_REG_NIC_SW, 0, 0, 0, 0);
	expect_port("netmap:eth3~4", 0, "eth3", NR_REG_ONE_NIC, 4, tilde, 0, 0);
	expect_port("netmap:eth3~", 0, "eth3", NR_REG_ONE_NIC, 0, tilde | NR_NO_RINGS, 0, 0);
	expect_port("netmap:eth3-4/R", 0, "eth3", NR_REG_ONE_NIC, 4, NR_RX_RINGS_ONLY, 0, 0);
	expect_port("netmap:eth3/xT@7", 0, "eth3", NR_REG_ALL_NIC, 0,
		    NR_EXCLUSIVE | NR_TX_RINGS_ONLY, 7, 0);
	expect_port("netmap:eth3@share:9", 0, "eth3", NR_REG_ALL_NIC, 0, 0, 9, 0);
	expect_port("netmap:x{ab", 0, "x{ab", NR_REG_ALL_NIC, 0, 0, 0, 0);
	expect_port("netmap:x}1/x", 0, "x}1", NR_REG_ALL_NIC, 0, NR_EXCLUSIVE, 0, 0);
	expect_port("vale0:a-2", 0, "vale0:a", NR_REG_ONE_NIC, 2, 0, 0, 0);
	expect_port("netmap:eth3@conf:rings=2,host-tx-rings=3", 0, "eth3", NR_REG_ALL_NIC,
		    0, 0, 0, 0);
	expect_port("netmap:eth3@offset:initial=64", -1, "", 0, 0, 0, 0, 0);
	nmport_enable_option("offset");
	expect_port("netmap:eth3@5@offset:initial=64,bits=16", 0, "eth3", NR_REG_ALL_NIC,
		    0, 0, 5, 1);
	nmport_disable_option("conf");
	expect_port("netmap:eth3@conf:rings=2", -1, "", 0, 0, 0, 0, 0);
	expect_port("eth3", -1, "", 0, 0, 0, 0, 0);
	expect_port("netmap:", -1, "", 0, 0, 0, 0, 0);
	expect_port("vale", -1, "", 0, 0, 0, 0, 0);
	expect_port("netmap:vale0:0", -1, "", 0, 0, 0, 0, 0);
	expect_port("netmap:eth3-", -1, "", 0, 0, 0, 0, 0);
	expect_port("netmap:eth3-4095", -1, "", 0, 0, 0, 0, 0);
	expect_port("netmap:eth3-4^", -1, "", 0, 0, 0, 0, 0);
	expect_port("netmap:eth3*1", -1, "", 0, 0, 0, 0, 0);
	expect_port("netmap:eth3/RT", -1, "", 0, 0, 0, 0, 0);
	expect_port("netmap:eth3/q", -1, "", 0, 0, 0, 0, 0);
	expect_port("netmap:eth3@70000", -1, "", 0, 0, 0, 0, 0);
	expect_port("netmap:eth3@bogus:x=1", -1, "", 0, 0, 0, 0, 0);
	expect_port("netmap:eth3@offset:colour=1", -1, "", 0, 0, 0, 0, 0);
	expect_port("netmap:x{", -1, "", 0, 0, 0, 0, 0);
	expect_port("netmap:averyveryverylongname", -1, "", 0, 0, 0, 0, 0);
}

static void say(const char *name, int good)
{
	tests++;
	failed += !good;
	printf("%sok %d %s\n", good ? "" : "not ", tests, name);
}

static int mapped(void *p)
{
	unsigned char there;

	return !mincore(p, 1, &there);
}

/* What outlives the port that brought it, without a device: memory and options. */
static void lifetimes(void)
{
	struct nmport_d *a = nmport_new(), *b = nmport_new();
	struct nmreq_opt_offsets mine;
	char file[] = "/tmp/abi_checkXXXXXX";
	int fd = mkstemp(file), ready;
	void *mem;

	ready = a && b && fd >= 0 && !ftruncate(fd, 1 << 16) &&
		!nmport_extmem_from_file(a, file);
	unlink(file);
	say("libnetmap.memory_of_a_file", ready);
	if (!ready)
		return;
	a->reg.nr_mem_id = b->reg.nr_mem_id = 5;
	a->reg.nr_memsize = b->reg.nr_memsize = 1 << 16;
	a->mem = nmem_get(a);
	b->mem = nmem_get(b);
	mem = a->mem->mem;
	nmport_close(a);
	say("libnetmap.memory_stays_for_another_port", mapped(mem));
	memset(&mine, 0, sizeof(mine));
	mine.nro_opt.nro_reqtype = NETMAP_REQ_OPT_OFFSETS;
	nmreq_push_option(&b->hdr, &mine.nro_opt);
	nmport_close(b);	/* must not free `mine` */
	say("libnetmap.memory_goes_with_the_last_port", !mapped(mem));
	close(fd);
}

int main(void)
{
	const unsigned int tilde = NR_REG_ONE_NIC | NR_RX_RINGS_ONLY | NR_PUTBACK;

	expect("netmap:eth3", 0, "eth3", 0, NR_REG_ALL_NIC, 0);
	expect("netmap:eth3~4", 0, "eth3", 4, tilde, 0);
	expect("netmap:eth3~", 0, "eth3", 0, tilde | NR_NO_RINGS, 0);
	expect("netmap:eth3-4", 0, "eth3", 4, NR_REG_ONE_NIC, 0);
	expect("netmap:eth3-4/R", 0, "eth3", 4, NR_REG_ONE_NIC | NR_RX_RINGS_ONLY, 0);
	expect("netmap:eth3/x@7", 0, "eth3", 0, NR_REG_ALL_NIC | NR_EXCLUSIVE, 7);
	expect("netmap:eth3^", 0, "eth3", 0, NR_REG_SW, 0);
	expect("netmap:eth3*", 0, "eth3", 0, NR_REG_NIC_SW, 0);
	expect("netmap:p{1", 0, "p", 1, NR_REG_PIPE_MASTER, 0);
	expect("vale0:a-2", 0, "vale0:a", 2, NR_REG_ONE_NIC, 0);
	expect("eth3", -1, "", 0, 0, 0);
	expect("netmap:", -1, "", 0, 0, 0);
	expect("netmap:eth3-", -1, "", 0, 0, 0);
	expect("netmap:eth3-4095", -1, "", 0, 0, 0);
	expect("netmap:eth3~4-2", -1, "", 0, 0, 0);
	expect("netmap:eth3~4/T", -1, "", 0, 0, 0);
	expect("netmap:eth3/q", -1, "", 0, 0, 0);
	expect("netmap:eth3@x", -1, "", 0, 0, 0);
	expect("netmap:averyveryverylongname", -1, "", 0, 0, 0);
	port_names();
	lifetimes();
	printf("1..%d\n", tests);
	return failed != 0;
}
