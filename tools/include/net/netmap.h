/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interface of /dev/netmap, API 14, for programs in C99 and C++11.
 *
 * A program opens /dev/netmap, registers the file to rings of a port, maps the
 * port's memory, and from then on shares netmap_if, netmap_ring and packet
 * buffers with the kernel.  In a ring the program owns the slots from head up to
 * tail (tail excluded), the kernel the others; cur is where the program wants
 * to be woken.  All of it changes hands in poll() and in the sync ioctls only.
 *
 * Layouts are those of x86_64.  Our additions stand at the end.
 */
#ifndef _NET_NETMAP_H_
#define _NET_NETMAP_H_

#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <sys/types.h>
#include <net/if.h>

#define NETMAP_API		14
#define NETMAP_MIN_API		14
#define NETMAP_MAX_API		15

/* Cache-line alignment of the shared structures. */
#define NM_CACHE_ALIGN		128
#if defined(__GNUC__)
#define NM_ALIGNED		__attribute__((__aligned__(NM_CACHE_ALIGN)))
#else
#error "net/netmap.h needs GCC, clang or a compatible compiler"
#endif

/*
 * Rings and buffers
 */

struct netmap_slot {
	uint32_t buf_idx;	/* index of the packet buffer, 0 is none */
	uint16_t len;		/* bytes in the buffer */
	uint16_t flags;		/* NS_* */
	uint64_t ptr;		/* address (NS_INDIRECT) or offset */
};

#define NS_BUF_CHANGED	0x0001	/* the program changed buf_idx */
#define NS_REPORT	0x0002	/* tell when this one is sent */
#define NS_FORWARD	0x0004	/* to the other side of the port */
#define NS_NO_LEARN	0x0008	/* VALE: do not learn the source */
#define NS_INDIRECT	0x0010	/* payload is at ptr */
#define NS_MOREFRAG	0x0020	/* the packet goes on in the next slot */
#define NS_TXMON	0x0040	/* monitor: this was sent */
#define NS_PORT_SHIFT	8
#define NS_PORT_MASK	(0xff << NS_PORT_SHIFT)
#define NS_RFRAGS(s)	(((s)->flags >> 8) & 0xff)
#define NETMAP_MAX_FRAGS 64	/* slots of one packet */

struct netmap_ring {
	const int64_t	buf_ofs;	/* buffer 0, from this ring */
	const uint32_t	num_slots;
	const uint32_t	nr_buf_size;
	const uint16_t	ringid;
	const uint16_t	dir;		/* 1 TX, 0 RX */
	uint32_t	head;		/* first slot of the program */
	uint32_t	cur;		/* its wake-up point */
	uint32_t	tail;		/* first slot of the kernel */
	uint32_t	flags;		/* NR_TIMESTAMP, NR_FORWARD */
	struct timeval	ts;		/* last sync */
	uint64_t	offset_mask;
	uint64_t	buf_align;
	uint8_t		sem[128] NM_ALIGNED;	/* the program's own */
	__extension__ struct netmap_slot slot[];
} NM_ALIGNED;

#define NR_TIMESTAMP	0x0002
#define NR_FORWARD	0x0004

struct netmap_if {
	char		ni_name[IFNAMSIZ];
	const uint32_t	ni_version;
	const uint32_t	ni_flags;
	const uint32_t	ni_tx_rings;
	const uint32_t	ni_rx_rings;
	uint32_t	ni_bufs_head;	/* first extra buffer, 0 is none */
	const uint32_t	ni_host_tx_rings;
	const uint32_t	ni_host_rx_rings;
	uint32_t	ni_spare1[3];
	/*
	 * Offsets of the rings from this structure, 0 for one that is not bound:
	 * NIC TX, host TX, NIC RX, host RX.
	 */
	__extension__ const ssize_t ring_ofs[];
};

#define NI_PRIV_MEM	0x1

/*
 * Modes and flags of a registration
 */

enum {
	NR_REG_DEFAULT = 0,	/* from the legacy ring id */
	NR_REG_ALL_NIC = 1,
	NR_REG_SW = 2,		/* host rings */
	NR_REG_NIC_SW = 3,
	NR_REG_ONE_NIC = 4,
	NR_REG_PIPE_MASTER = 5,
	NR_REG_PIPE_SLAVE = 6,
	NR_REG_NULL = 7,
	NR_REG_ONE_SW = 8
};
#define NR_REG_MASK		0xf

#define NR_MONITOR_TX		0x100
#define NR_MONITOR_RX		0x200
#define NR_ZCOPY_MON		0x400
#define NR_EXCLUSIVE		0x800
#define NR_RX_RINGS_ONLY	0x2000
#define NR_TX_RINGS_ONLY	0x4000
#define NR_ACCEPT_VNET_HDR	0x8000
#define NR_DO_RX_POLL		0x10000
#define NR_NO_TX_POLL		0x20000

/*
 * Legacy requests
 */

struct nmreq {
	char		nr_name[IFNAMSIZ];
	uint32_t	nr_version;
	uint32_t	nr_offset;	/* out: netmap_if in the memory */
	uint32_t	nr_memsize;	/* out */
	uint32_t	nr_tx_slots;
	uint32_t	nr_rx_slots;
	uint16_t	nr_tx_rings;
	uint16_t	nr_rx_rings;
	uint16_t	nr_ringid;
	uint16_t	nr_cmd;
	uint16_t	nr_arg1;
	uint16_t	nr_arg2;	/* memory id */
	uint32_t	nr_arg3;	/* extra buffers */
	uint32_t	nr_flags;	/* mode and NR_* */
	uint32_t	spare2[1];
};

#define NETMAP_HW_RING		0x4000
#define NETMAP_SW_RING		0x2000
#define NETMAP_RING_MASK	0x0fff
#define NETMAP_NO_TX_POLL	0x1000
#define NETMAP_DO_RX_POLL	0x8000

#define NETMAP_BDG_ATTACH	1
#define NETMAP_BDG_DETACH	2
#define NETMAP_BDG_REGOPS	3
#define NETMAP_BDG_LIST		4
#define NETMAP_BDG_VNET_HDR	5
#define NETMAP_BDG_NEWIF	6
#define NETMAP_BDG_DELIF	7
#define NETMAP_BDG_POLLING_ON	10
#define NETMAP_BDG_POLLING_OFF	11
#define NETMAP_VNET_HDR_GET	12

struct nm_ifreq {
	char	nifr_name[IFNAMSIZ];
	char	data[256];
};

/*
 * Requests with a header
 */

#define NETMAP_REQ_IFNAMSIZ	64
#define NETMAP_REQ_MAXSIZE	4096

struct nmreq_header {
	uint16_t	nr_version;
	uint16_t	nr_reqtype;
	uint32_t	nr_reserved;	/* 0 */
	char		nr_name[NETMAP_REQ_IFNAMSIZ];
	uint64_t	nr_options;	/* address of the first nmreq_option */
	uint64_t	nr_body;	/* address of the request's body */
};

enum {
	NETMAP_REQ_REGISTER = 1,
	NETMAP_REQ_PORT_INFO_GET,
	NETMAP_REQ_VALE_ATTACH,
	NETMAP_REQ_VALE_DETACH,
	NETMAP_REQ_VALE_LIST,
	NETMAP_REQ_PORT_HDR_SET,
	NETMAP_REQ_PORT_HDR_GET,
	NETMAP_REQ_VALE_NEWIF,
	NETMAP_REQ_VALE_DELIF,
	NETMAP_REQ_VALE_POLLING_ENABLE,
	NETMAP_REQ_VALE_POLLING_DISABLE,
	NETMAP_REQ_POOLS_INFO_GET,
	NETMAP_REQ_SYNC_KLOOP_START,
	NETMAP_REQ_SYNC_KLOOP_STOP,
	NETMAP_REQ_CSB_ENABLE
};

enum {
	NETMAP_REQ_OPT_EXTMEM = 1,
	NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS,
	NETMAP_REQ_OPT_CSB,
	NETMAP_REQ_OPT_SYNC_KLOOP_MODE,
	NETMAP_REQ_OPT_OFFSETS,
	NETMAP_REQ_OPT_MAX
};

struct nmreq_option {
	uint64_t	nro_next;	/* address of the next one */
	uint32_t	nro_reqtype;
	uint32_t	nro_status;	/* out: an errno, 0 when honoured */
	uint64_t	nro_size;
};

struct nmreq_register {
	uint64_t	nr_offset;	/* out: netmap_if in the memory */
	uint64_t	nr_memsize;	/* out */
	uint32_t	nr_tx_slots;
	uint32_t	nr_rx_slots;
	uint16_t	nr_tx_rings;
	uint16_t	nr_rx_rings;
	uint16_t	nr_host_tx_rings;
	uint16_t	nr_host_rx_rings;
	uint16_t	nr_mem_id;
	uint16_t	nr_ringid;
	uint32_t	nr_mode;	/* NR_REG_* */
	uint32_t	nr_extra_bufs;	/* asked for, then granted */
	uint64_t	nr_flags;	/* NR_* */
};

struct nmreq_port_info_get {
	uint64_t	nr_memsize;
	uint32_t	nr_tx_slots;
	uint32_t	nr_rx_slots;
	uint16_t	nr_tx_rings;
	uint16_t	nr_rx_rings;
	uint16_t	nr_host_tx_rings;
	uint16_t	nr_host_rx_rings;
	uint16_t	nr_mem_id;
	uint16_t	pad[3];
};

struct nmreq_pools_info {
	uint64_t	nr_memsize;	/* in with EXTMEM, 0 for all; out */
	uint16_t	nr_mem_id;
	uint16_t	pad1[3];
	uint64_t	nr_if_pool_offset;
	uint32_t	nr_if_pool_objtotal;
	uint32_t	nr_if_pool_objsize;
	uint64_t	nr_ring_pool_offset;
	uint32_t	nr_ring_pool_objtotal;
	uint32_t	nr_ring_pool_objsize;
	uint64_t	nr_buf_pool_offset;
	uint32_t	nr_buf_pool_objtotal;
	uint32_t	nr_buf_pool_objsize;
};

/* Of a VALE switch. */
struct nmreq_vale_attach {
	struct nmreq_register reg;
	uint32_t	port_index;	/* out */
	uint32_t	pad1;
};

struct nmreq_vale_detach {
	uint32_t	port_index;	/* out */
	uint32_t	pad1;
};

struct nmreq_vale_list {
	uint16_t	nr_bridge_idx;
	uint16_t	pad1;
	uint32_t	nr_port_idx;
};

struct nmreq_vale_newif {
	uint32_t	nr_tx_slots;
	uint32_t	nr_rx_slots;
	uint16_t	nr_tx_rings;
	uint16_t	nr_rx_rings;
	uint16_t	nr_mem_id;
	uint16_t	pad1;
};

#define NETMAP_POLLING_MODE_SINGLE_CPU	1
#define NETMAP_POLLING_MODE_MULTI_CPU	2

struct nmreq_vale_polling {
	uint32_t	nr_mode;
	uint32_t	nr_first_cpu_id;
	uint32_t	nr_num_polling_cpus;
	uint32_t	pad1;
};

/* PORT_HDR_SET, PORT_HDR_GET: bytes of virtio-net header before each packet. */
struct nmreq_port_hdr {
	uint32_t	nr_hdr_len;	/* 0, 10 or 12 */
	uint32_t	pad1;
};

/*
 * The kernel loop: a thread of the program stays in the kernel and syncs the
 * rings of the file, by way of the two arrays below instead of the sync ioctls.
 */
struct nmreq_sync_kloop_start {
	uint32_t	sleep_us;	/* between rounds, at most 1000000 */
	uint32_t	pad1;
};

/* One per ring, TX rings first: program to kernel. Arrays are aligned to 64. */
struct nm_csb_atok {
	uint32_t	head;
	uint32_t	cur;
	uint32_t	appl_need_kick;	/* the program wants an event */
	uint32_t	sync_flags;
	uint32_t	pad[12];
};

/* And kernel to program. */
struct nm_csb_ktoa {
	uint32_t	hwcur;
	uint32_t	hwtail;
	uint32_t	kern_need_kick;	/* the kernel wants an event */
	uint32_t	pad[13];
};

/*
 * Options of a request
 */

/* REGISTER: the port's memory is the program's own, at nro_usrptr. */
struct nmreq_opt_extmem {
	struct nmreq_option nro_opt;
	uint64_t	nro_usrptr;
	struct nmreq_pools_info nro_info; /* layout wished for; out: made */
};

/* SYNC_KLOOP_START: eventfds instead of polling, one pair per ring. */
struct nm_kloop_eventfd {
	int32_t		ioeventfd;	/* program to kernel */
	int32_t		irqfd;		/* kernel to program, -1 is none */
};

struct nmreq_opt_sync_kloop_eventfds {
	struct nmreq_option nro_opt;
	__extension__ struct nm_kloop_eventfd eventfds[];
};

struct nmreq_opt_sync_kloop_mode {
	struct nmreq_option nro_opt;
#define NM_OPT_SYNC_KLOOP_DIRECT_TX	0x1	/* TX within the kick */
#define NM_OPT_SYNC_KLOOP_DIRECT_RX	0x2	/* RX within the interrupt */
	uint32_t	mode;
	uint32_t	pad1;
};

/* REGISTER, CSB_ENABLE: head, cur, hwcur and hwtail live in these arrays. */
struct nmreq_opt_csb {
	struct nmreq_option nro_opt;
	uint64_t	csb_atok;
	uint64_t	csb_ktoa;
};

/* REGISTER: packets do not start at the start of their buffers. */
struct nmreq_opt_offsets {
	struct nmreq_option nro_opt;
	uint64_t	nro_max_offset;
	uint64_t	nro_initial_offset;
	uint32_t	nro_offset_bits; /* of slot.ptr; out: granted */
	uint32_t	nro_tx_align;
	uint64_t	nro_min_gap;
};

#define NIOCGINFO	_IOWR('i', 145, struct nmreq)
#define NIOCREGIF	_IOWR('i', 146, struct nmreq)
#define NIOCTXSYNC	_IO('i', 148)
#define NIOCRXSYNC	_IO('i', 149)
#define NIOCCONFIG	_IOWR('i', 150, struct nm_ifreq)
#define NIOCCTRL	_IOWR('i', 151, struct nmreq_header)

/*
 * Our additions.  See Documentation/netmap-api.md.
 */

#define NR_PUTBACK		0x1000000 /* host TX ring too, though only RX is bound */
#define NR_NO_RINGS		0x2000000 /* no NIC ring yet: NIOCQADD brings them */
#define NR_PRIVATE_MEM		0x4000000 /* memory that no other file shares unasked */

/* REGISTER: RX rings with an entry of metadata beside each slot. */
#define NETMAP_REQ_OPT_RX_META	0x4e4d01

struct nmreq_opt_rx_meta {
	struct nmreq_option nro_opt;
	uint32_t	nro_meta_ofs;	/* out: bytes from the ring to entry 0 */
	uint32_t	nro_meta_size;	/* out: bytes of an entry */
	uint64_t	nro_spare;	/* 0 */
};

struct nm_rx_meta {
	uint64_t	tstamp_ns;	/* the card's clock, if NM_META_TSTAMP */
	uint32_t	hash;		/* RSS hash, if NM_META_HASH */
	uint16_t	vlan;		/* tag, if NM_META_VLAN */
	uint16_t	ptype;		/* packet type of the card */
	uint32_t	flags;		/* NM_META_* */
	uint32_t	spare[3];
};

#define NM_META_VALID		0x00001	/* last (or only) slot of a frame */
#define NM_META_HASH		0x00002
#define NM_META_VLAN		0x00004	/* 802.1Q; the tag is in the frame as well */
#define NM_META_TSTAMP		0x00008
#define NM_META_L3_OK		0x00010	/* IPv4 header checksum verified */
#define NM_META_L3_BAD		0x00020
#define NM_META_L4_OK		0x00040	/* TCP or UDP checksum verified */
#define NM_META_L4_BAD		0x00080
#define NM_META_IPV4		0x00100
#define NM_META_IPV6		0x00200
#define NM_META_IP_EXT		0x00400	/* IPv4 options, IPv6 extension headers */
#define NM_META_TCP		0x00800
#define NM_META_UDP		0x01000
#define NM_META_SCTP		0x02000
#define NM_META_FLOW		0x04000	/* steered by a flow director filter */
#define NM_META_ETYPE		0x08000	/* ptype numbers an EtherType filter */
#define NM_META_HASH_TYPE(flags) ((flags) >> 24 & 0xf) /* NM_HASH_* */

#define NM_HASH_NONE		0
#define NM_HASH_IPV4_TCP	1	/* over addresses and ports */
#define NM_HASH_IPV4		2	/* over addresses */
#define NM_HASH_IPV6_TCP	3
#define NM_HASH_IPV6		5
#define NM_HASH_IPV4_UDP	7
#define NM_HASH_IPV6_UDP	8

#define NM_QUEUE_VERSION	1

struct nm_queue_req {
	uint32_t	nq_version;	/* NM_QUEUE_VERSION */
	uint32_t	nq_queue;	/* queue index */
	uint32_t	nq_flags;	/* 0 */
	uint32_t	nq_spare;	/* 0 */
};

enum nm_queue_kind {
	NQ_KIND_PORT,
	NQ_KIND_RX,
	NQ_KIND_HOST_TX,
	NQ_KIND_TX,
	NQ_KIND_HOST_RX
};

enum nm_queue_state {
	NQ_STATE_KERNEL,	/* the kernel's */
	NQ_STATE_LEAVING,	/* on its way to a program */
	NQ_STATE_NETMAP,	/* a program's */
	NQ_STATE_RETURNING,	/* on its way back */
	NQ_STATE_STUCK,		/* the hardware did not stop it */
	NQ_STATE_PARKED		/* a program's, the interface is down */
};

enum nm_queue_counter {
	NQ_C_PACKETS,
	NQ_C_BYTES,
	NQ_C_SYNCS,
	NQ_C_WAKEUPS,
	NQ_C_RING_RESETS,	/* impossible head or cur */
	NQ_C_BAD_SLOTS,		/* impossible buffer or length */
	NQ_C_DROPS,		/* put back, but not taken by the stack */
	NQ_C_SWAPS,		/* slots whose buffer was swapped */
	NQ_C_FRAGMENTS,		/* slots with NS_MOREFRAG */
	NQ_C_STARTS,		/* times the ring was started */
	NQ_C_DROP_STACK,	/* of the drops: refused by the stack */
	NQ_C_DROP_FULL,		/* of the drops: no room in the ring */
	NQ_C_DROP_LOST,		/* of the drops: in flight at a reset of the port */
	NQ_COUNTERS = 16
};

struct nm_queue_info {
	uint32_t	nq_version;	/* NM_QUEUE_VERSION */
	uint32_t	nq_ifindex;	/* in: cursor; 0 to start */
	uint32_t	nq_kind;	/* in: cursor; enum nm_queue_kind */
	uint32_t	nq_queue;	/* in: cursor */
	char		nq_name[IFNAMSIZ]; /* in: filter; out: name */
	uint32_t	nq_state;	/* enum nm_queue_state */
	uint32_t	nq_slots;
	uint32_t	nq_num_queues;	/* RX queues of the port */
	uint32_t	nq_pid;		/* owner, 0 is none */
	uint32_t	nq_uid;
	uint32_t	nq_mem_id;
	char		nq_comm[16];
	uint32_t	nq_reg_idx;	/* register index in the hardware */
	uint32_t	nq_spare0;
	uint64_t	nq_counter[NQ_COUNTERS]; /* enum nm_queue_counter */
	uint64_t	nq_spare[6];
};

#define NIOCQADD	_IOW('i', 0xA0, struct nm_queue_req)
#define NIOCQDEL	_IOW('i', 0xA1, struct nm_queue_req)
#define NIOCQNEXT	_IOWR('i', 0xA2, struct nm_queue_info)

#endif /* _NET_NETMAP_H_ */
