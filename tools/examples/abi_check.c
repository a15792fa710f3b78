/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Compile-time check of the layouts and ioctl numbers of net/netmap.h, in C99 and
 * C++11, and a run-time check of nm_parse(); prints KTAP.
 */
#define _DEFAULT_SOURCE
#define NETMAP_WITH_LIBS
#include <net/netmap_user.h>
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
	printf("1..%d\n", tests);
	return failed != 0;
}
