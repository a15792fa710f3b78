// SPDX-License-Identifier: GPL-2.0

//! This module's own requests: queues added and removed at run time, and the listing.
//!
//! Their numbers are in a range netmap never used. One structure of fixed size each, no pointers:
//! one copy in, one copy out. `Documentation/netmap-api.md` is their reference.

use super::assert_layout;

/// Version of the structures below.
pub(crate) const EXT_VERSION: u32 = 1;

/// Adds an RX queue to a registered fd: `_IOW('i', 0xA0, struct nm_queue_req)`.
pub(crate) const NIOCQADD: u32 = 0x4010_69a0;
/// Removes an RX queue from the fd: `_IOW('i', 0xA1, struct nm_queue_req)`.
pub(crate) const NIOCQDEL: u32 = 0x4010_69a1;
/// The next entry of the listing: `_IOWR('i', 0xA2, struct nm_queue_info)`.
pub(crate) const NIOCQNEXT: u32 = 0xc100_69a2;

/// `struct nm_queue_req`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct QueueReq {
    /// [`EXT_VERSION`].
    pub(crate) nq_version: u32,
    /// RX queue index.
    pub(crate) nq_queue: u32,
    /// Must be 0.
    pub(crate) nq_flags: u32,
    /// Must be 0.
    pub(crate) nq_spare: u32,
}

assert_layout!(QueueReq, 16, nq_version @ 0, nq_queue @ 4, nq_flags @ 8, nq_spare @ 12);

/// What an entry of the listing is about (`nq_kind`).
pub(crate) mod kind {
    #![allow(missing_docs)]
    pub(crate) const PORT: u32 = 0;
    pub(crate) const RX: u32 = 1;
    pub(crate) const HOST_TX: u32 = 2;
    pub(crate) const TX: u32 = 3;
    pub(crate) const HOST_RX: u32 = 4;
}

/// Who has a queue (`nq_state`).
pub(crate) mod state {
    #![allow(missing_docs)]
    pub(crate) const KERNEL: u32 = 0;
    pub(crate) const LEAVING: u32 = 1;
    pub(crate) const NETMAP: u32 = 2;
    pub(crate) const RETURNING: u32 = 3;
    pub(crate) const STUCK: u32 = 4;
    pub(crate) const PARKED: u32 = 5;

    /// In a word.
    pub(crate) fn name(state: u32) -> &'static str {
        match state {
            KERNEL => "kernel",
            LEAVING => "leaving",
            NETMAP => "netmap",
            RETURNING => "returning",
            STUCK => "stuck",
            _ => "parked",
        }
    }
}

/// Places in `nq_counter`.
pub(crate) mod counter {
    #![allow(missing_docs)]
    pub(crate) const PACKETS: usize = 0;
    pub(crate) const BYTES: usize = 1;
    pub(crate) const SYNCS: usize = 2;
    pub(crate) const WAKEUPS: usize = 3;
    pub(crate) const RESETS: usize = 4;
    pub(crate) const BAD_SLOTS: usize = 5;
    pub(crate) const DROPS: usize = 6;
    pub(crate) const SWAPS: usize = 7;
    pub(crate) const FRAGS: usize = 8;
    pub(crate) const STARTS: usize = 9;
    // Of the drops:
    pub(crate) const DROP_STACK: usize = 10;
    pub(crate) const DROP_FULL: usize = 11;
    pub(crate) const DROP_LOST: usize = 12;

    /// Their names, in order.
    pub(crate) const NAMES: [&str; DROP_LOST + 1] = [
        "packets",
        "bytes",
        "syncs",
        "wakeups",
        "ring_resets",
        "bad_slots",
        "drops",
        "swaps",
        "fragments",
        "starts",
        "drop_stack",
        "drop_full",
        "drop_lost",
    ];
    pub(crate) const MAX: usize = 16;
}

/// Bits of an entry of received metadata (`nm_rx_meta.flags`).
pub(crate) mod meta {
    #![allow(missing_docs)]
    pub(crate) const VALID: u32 = 0x1;
    pub(crate) const HASH: u32 = 0x2;
    pub(crate) const VLAN: u32 = 0x4;
    pub(crate) const TSTAMP: u32 = 0x8;
    pub(crate) const L3_OK: u32 = 0x10;
    pub(crate) const L3_BAD: u32 = 0x20;
    pub(crate) const L4_OK: u32 = 0x40;
    pub(crate) const L4_BAD: u32 = 0x80;
    pub(crate) const IPV4: u32 = 0x100;
    pub(crate) const IPV6: u32 = 0x200;
    pub(crate) const IP_EXT: u32 = 0x400;
    pub(crate) const TCP: u32 = 0x800;
    pub(crate) const UDP: u32 = 0x1000;
    pub(crate) const SCTP: u32 = 0x2000;
    pub(crate) const FLOW: u32 = 0x4000;
    pub(crate) const ETYPE: u32 = 0x8000;
    /// Where the kind of hash begins; four bits.
    pub(crate) const HASH_TYPE_SHIFT: u32 = 24;
}

/// `struct nm_queue_info`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct QueueInfo {
    /// [`EXT_VERSION`].
    pub(crate) nq_version: u32,
    /// In: cursor; out: interface index of the entry.
    pub(crate) nq_ifindex: u32,
    /// In: cursor; out: one of [`kind`].
    pub(crate) nq_kind: u32,
    /// In: cursor; out: queue or ring index.
    pub(crate) nq_queue: u32,
    /// In: only this interface, if not empty; out: interface name.
    pub(crate) nq_name: [u8; 16],
    /// One of [`state`].
    pub(crate) nq_state: u32,
    /// Slots of the ring.
    pub(crate) nq_slots: u32,
    /// RX queues of the port.
    pub(crate) nq_num_queues: u32,
    /// Process that owns the ring, 0 if the kernel does.
    pub(crate) nq_pid: u32,
    /// Its effective user id.
    pub(crate) nq_uid: u32,
    /// Its memory region.
    pub(crate) nq_mem_id: u32,
    /// Its name.
    pub(crate) nq_comm: [u8; 16],
    /// Hardware register index of the queue.
    pub(crate) nq_reg_idx: u32,
    /// Spare.
    pub(crate) nq_spare0: u32,
    /// Counters, placed as [`counter`] says.
    pub(crate) nq_counter: [u64; counter::MAX],
    /// Spare.
    pub(crate) nq_spare: [u64; 6],
}

assert_layout!(QueueInfo, 256,
    nq_version @ 0, nq_ifindex @ 4, nq_kind @ 8, nq_queue @ 12, nq_name @ 16, nq_state @ 32,
    nq_slots @ 36, nq_num_queues @ 40, nq_pid @ 44, nq_uid @ 48, nq_mem_id @ 52, nq_comm @ 56,
    nq_reg_idx @ 72, nq_counter @ 80, nq_spare @ 208);
