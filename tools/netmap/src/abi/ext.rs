// SPDX-License-Identifier: MIT OR Apache-2.0
//! Our additions to the interface: RX queues that join and leave an open file, a
//! listing of ports, rings, owners and counters, and metadata of received packets.

use super::{nmreq_option, IFNAMSIZ};

/// `nr_flags`: bind the host TX ring too although only RX rings are asked for;
/// what is sent there enters the kernel's stack as if received from the port.
pub const NR_PUTBACK: u64 = 0x100_0000;
/// `nr_flags`: bind no NIC ring yet, they come with [`NIOCQADD`].
pub const NR_NO_RINGS: u64 = 0x200_0000;

/// `nr_flags`: a memory region of the file's own.
pub const NR_PRIVATE_MEM: u64 = 0x400_0000;

/// Option type of [`nmreq_opt_rx_meta`].
pub const NETMAP_REQ_OPT_RX_META: u32 = 0x4e_4d01;

/// With REGISTER: RX rings have an entry of metadata for each slot.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct nmreq_opt_rx_meta {
    /// Head.
    pub nro_opt: nmreq_option,
    /// Out: bytes from a ring to its entry 0.
    pub nro_meta_ofs: u32,
    /// Out: bytes of an entry.
    pub nro_meta_size: u32,
    /// 0.
    pub nro_spare: u64,
}

/// An entry of metadata.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct nm_rx_meta {
    /// The card's clock.
    pub tstamp_ns: u64,
    /// RSS hash.
    pub hash: u32,
    /// VLAN tag.
    pub vlan: u16,
    /// Packet type, as the card names it.
    pub ptype: u16,
    /// Which of them are valid, and the checksum verdict.
    pub flags: u32,
    /// Unused.
    pub spare: [u32; 3],
}

/// Metadata: the entry says something.
pub const NM_META_VALID: u32 = 0x1;
/// Metadata: there is an RSS hash.
pub const NM_META_HASH: u32 = 0x2;
/// Metadata: there is a VLAN tag.
pub const NM_META_VLAN: u32 = 0x4;
/// Metadata: there is a timestamp.
pub const NM_META_TSTAMP: u32 = 0x8;
/// Metadata: the IPv4 header checksum is right.
pub const NM_META_L3_OK: u32 = 0x10;
/// Metadata: it is wrong.
pub const NM_META_L3_BAD: u32 = 0x20;
/// Metadata: the TCP, UDP or SCTP checksum is right.
pub const NM_META_L4_OK: u32 = 0x40;
/// Metadata: it is wrong.
pub const NM_META_L4_BAD: u32 = 0x80;
/// Metadata: IPv4.
pub const NM_META_IPV4: u32 = 0x100;
/// Metadata: IPv6.
pub const NM_META_IPV6: u32 = 0x200;
/// Metadata: with options or extension headers.
pub const NM_META_IP_EXT: u32 = 0x400;
/// Metadata: TCP.
pub const NM_META_TCP: u32 = 0x800;
/// Metadata: UDP.
pub const NM_META_UDP: u32 = 0x1000;
/// Metadata: SCTP.
pub const NM_META_SCTP: u32 = 0x2000;
/// Metadata: a flow director filter chose the queue.
pub const NM_META_FLOW: u32 = 0x4000;
/// Metadata: an EtherType filter matched: `ptype` has its number.
pub const NM_META_ETYPE: u32 = 0x8000;
/// Metadata: where the kind of hash begins, four bits.
pub const NM_META_HASH_TYPE_SHIFT: u32 = 24;

/// Version of the structures below.
pub const NM_QUEUE_VERSION: u32 = 1;
/// Add an RX queue to the file; takes [`nm_queue_req`].
pub const NIOCQADD: u32 = 0x4010_69a0;
/// Give an RX queue of the file back; takes [`nm_queue_req`].
pub const NIOCQDEL: u32 = 0x4010_69a1;
/// The next entry of the listing; takes [`nm_queue_info`].
pub const NIOCQNEXT: u32 = 0xc100_69a2;

/// Listing: the entry is a port.
pub const NQ_KIND_PORT: u32 = 0;
/// Listing: the entry is an RX ring of the NIC.
pub const NQ_KIND_RX: u32 = 1;
/// Listing: the entry is a bound host TX ring.
pub const NQ_KIND_HOST_TX: u32 = 2;
/// Listing: the entry is a bound TX ring of the NIC.
pub const NQ_KIND_TX: u32 = 3;
/// Listing: the entry is a bound host RX ring.
pub const NQ_KIND_HOST_RX: u32 = 4;

/// Counter: packets.
pub const NQ_C_PACKETS: usize = 0;
/// Counter: bytes.
pub const NQ_C_BYTES: usize = 1;
/// Counter: syncs.
pub const NQ_C_SYNCS: usize = 2;
/// Counter: wake-ups of the owner.
pub const NQ_C_WAKEUPS: usize = 3;
/// Counter: impossible `head` or `cur` reset.
pub const NQ_C_RING_RESETS: usize = 4;
/// Counter: slots with a bad buffer index or length.
pub const NQ_C_BAD_SLOTS: usize = 5;
/// Counter: packets put back that the stack did not take.
pub const NQ_C_DROPS: usize = 6;
/// Counter: slots whose buffer was swapped.
pub const NQ_C_SWAPS: usize = 7;
/// Counter: slots with `NS_MOREFRAG`.
pub const NQ_C_FRAGMENTS: usize = 8;
/// Counter: times the ring was (re)started.
pub const NQ_C_STARTS: usize = 9;
/// Counter: of the drops, those the stack refused.
pub const NQ_C_DROP_STACK: usize = 10;
/// Counter: of the drops, those for want of room in the ring.
pub const NQ_C_DROP_FULL: usize = 11;
/// Counter: of the drops, those in flight at a reset of the port.
pub const NQ_C_DROP_LOST: usize = 12;

/// Argument of [`NIOCQADD`] and [`NIOCQDEL`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct nm_queue_req {
    /// [`NM_QUEUE_VERSION`].
    pub nq_version: u32,
    /// Queue index (not the hardware's register index).
    pub nq_queue: u32,
    /// 0.
    pub nq_flags: u32,
    /// 0.
    pub nq_spare: u32,
}

/// Argument of [`NIOCQNEXT`]: in, where to go on; out, the entry after it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct nm_queue_info {
    /// [`NM_QUEUE_VERSION`].
    pub nq_version: u32,
    /// Interface index; 0 to start.
    pub nq_ifindex: u32,
    /// `NQ_KIND_*`.
    pub nq_kind: u32,
    /// Queue index, or the number of the host ring.
    pub nq_queue: u32,
    /// In: only this interface; out: its name.
    pub nq_name: [u8; IFNAMSIZ],
    /// State of the queue.
    pub nq_state: u32,
    /// Slots of the ring.
    pub nq_slots: u32,
    /// RX queues of the port.
    pub nq_num_queues: u32,
    /// Process that owns the ring, 0 for none.
    pub nq_pid: u32,
    /// Its user.
    pub nq_uid: u32,
    /// Memory id of its region.
    pub nq_mem_id: u32,
    /// Its name.
    pub nq_comm: [u8; 16],
    /// Register index of the queue in the hardware.
    pub nq_reg_idx: u32,
    /// 0.
    pub nq_spare0: u32,
    /// `NQ_C_*`.
    pub nq_counter: [u64; 16],
    /// 0.
    pub nq_spare: [u64; 6],
}

impl Default for nm_queue_info {
    fn default() -> Self {
        Self {
            nq_version: NM_QUEUE_VERSION,
            nq_ifindex: 0,
            nq_kind: 0,
            nq_queue: 0,
            nq_name: [0; IFNAMSIZ],
            nq_state: 0,
            nq_slots: 0,
            nq_num_queues: 0,
            nq_pid: 0,
            nq_uid: 0,
            nq_mem_id: 0,
            nq_comm: [0; 16],
            nq_reg_idx: 0,
            nq_spare0: 0,
            nq_counter: [0; 16],
            nq_spare: [0; 6],
        }
    }
}
