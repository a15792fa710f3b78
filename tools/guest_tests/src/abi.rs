// SPDX-License-Identifier: GPL-2.0
//! The kernel's interface, byte for byte, written down a second time.
//!
//! Nothing here comes from the `netmap` crate: these tests check the kernel
//! against the interface, not the kernel against our own library.  The layout
//! of every structure is asserted at compile time.

use std::mem::{offset_of, size_of};

pub const NIOCGINFO: u64 = 0xc03c_6991;
pub const NIOCREGIF: u64 = 0xc03c_6992;
pub const NIOCTXSYNC: u64 = 0x0000_6994;
pub const NIOCRXSYNC: u64 = 0x0000_6995;
pub const NIOCCONFIG: u64 = 0xc110_6996;
pub const NIOCCTRL: u64 = 0xc058_6997;
/// `_IOW('i', 0xA0, struct nm_queue_req)`
pub const NIOCQADD: u64 = 0x4010_69a0;
/// `_IOW('i', 0xA1, struct nm_queue_req)`
pub const NIOCQDEL: u64 = 0x4010_69a1;
/// `_IOWR('i', 0xA2, struct nm_queue_info)`
pub const NIOCQNEXT: u64 = 0xc100_69a2;

pub const REQ_REGISTER: u16 = 1;
pub const REQ_PORT_INFO_GET: u16 = 2;
pub const REQ_VALE_ATTACH: u16 = 3;
pub const REQ_VALE_DETACH: u16 = 4;
pub const REQ_VALE_LIST: u16 = 5;
pub const REQ_PORT_HDR_SET: u16 = 6;
pub const REQ_PORT_HDR_GET: u16 = 7;
pub const REQ_VALE_NEWIF: u16 = 8;
pub const REQ_VALE_DELIF: u16 = 9;
pub const REQ_VALE_POLLING_ENABLE: u16 = 10;
pub const REQ_VALE_POLLING_DISABLE: u16 = 11;
pub const REQ_POOLS_INFO_GET: u16 = 12;
pub const REQ_SYNC_KLOOP_START: u16 = 13;
pub const REQ_SYNC_KLOOP_STOP: u16 = 14;
pub const REQ_CSB_ENABLE: u16 = 15;

pub const OPT_EXTMEM: u32 = 1;
pub const OPT_KLOOP_EVENTFDS: u32 = 2;
pub const OPT_CSB: u32 = 3;
pub const OPT_KLOOP_MODE: u32 = 4;
pub const OPT_OFFSETS: u32 = 5;
/// Ours: RX rings with metadata.
pub const OPT_RX_META: u32 = 0x4e_4d01;

pub const ALL_NIC: u32 = 1;
pub const SW: u32 = 2;
pub const NIC_SW: u32 = 3;
pub const ONE_NIC: u32 = 4;
pub const PIPE_MASTER: u32 = 5;
pub const PIPE_SLAVE: u32 = 6;
pub const MODE_NULL: u32 = 7;
pub const ONE_SW: u32 = 8;

pub const MONITOR_TX: u64 = 0x100;
pub const MONITOR_RX: u64 = 0x200;
pub const EXCLUSIVE: u64 = 0x800;
pub const RX_ONLY: u64 = 0x2000;
pub const TX_ONLY: u64 = 0x4000;
pub const NO_TX_POLL: u64 = 0x2_0000;
/// Ours: the host TX ring too, although only RX rings are asked for.
pub const PUTBACK: u64 = 0x100_0000;
/// Ours: no NIC ring yet.
pub const NO_RINGS: u64 = 0x200_0000;
/// Ours: a memory region of the fd's own.
pub const PRIVATE_MEM: u64 = 0x400_0000;

pub const LEGACY_HW_RING: u16 = 0x4000;
pub const LEGACY_SW_RING: u16 = 0x2000;

/// Set in ni_flags of a port whose region is its own.
pub const NI_PRIV_MEM: u32 = 1;

pub const NS_BUF_CHANGED: u16 = 1;
pub const NS_REPORT: u16 = 2;
pub const NS_MOREFRAG: u16 = 0x20;
pub const NR_TIMESTAMP: u32 = 2;

/// States a queue can have, from NIOCQNEXT.
pub const Q_KERNEL: u32 = 0;
pub const Q_NETMAP: u32 = 2;
pub const Q_STUCK: u32 = 4;

pub const KIND_PORT: u32 = 0;
pub const KIND_RX: u32 = 1;
pub const KIND_HOST_TX: u32 = 2;
pub const KIND_TX: u32 = 3;
pub const KIND_HOST_RX: u32 = 4;

/// Places in `QueueInfo::counter`.
pub mod counter {
    pub const PACKETS: usize = 0;
    pub const BYTES: usize = 1;
    pub const SYNCS: usize = 2;
    pub const WAKEUPS: usize = 3;
    pub const RESETS: usize = 4;
    pub const BAD_SLOTS: usize = 5;
    pub const DROPS: usize = 6;
    pub const SWAPS: usize = 7;
    pub const FRAGMENTS: usize = 8;
    pub const STARTS: usize = 9;
    pub const DROP_LOST: usize = 12;
}

/// Field offsets of the structures in shared memory.
pub mod shm {
    pub const IF_FLAGS: usize = 20;
    pub const IF_TX_RINGS: usize = 24;
    pub const IF_RX_RINGS: usize = 28;
    pub const IF_BUFS_HEAD: usize = 32;
    pub const IF_HOST_TX: usize = 36;
    pub const IF_HOST_RX: usize = 40;
    pub const IF_RING_OFS: usize = 56;

    pub const RING_BUF_OFS: usize = 0;
    pub const RING_NUM_SLOTS: usize = 8;
    pub const RING_BUF_SIZE: usize = 12;
    pub const RING_ID: usize = 16;
    pub const RING_DIR: usize = 18;
    pub const RING_HEAD: usize = 20;
    pub const RING_CUR: usize = 24;
    pub const RING_TAIL: usize = 28;
    pub const RING_FLAGS: usize = 32;
    pub const RING_TS: usize = 40;
    pub const RING_SLOTS: usize = 256;

    pub const SLOT_SIZE: usize = 16;
    pub const SLOT_LEN: usize = 4;
    pub const SLOT_FLAGS: usize = 6;
}

/// Defines a structure of plain integers with an all-zero `Default` and
/// checks its size and the offsets that are named.
macro_rules! wire {
    ($(#[$m:meta])* $name:ident, $size:literal { $($(@$off:literal)? $f:ident: $t:ty,)* }) => {
        $(#[$m])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $name { $(pub $f: $t,)* }
        impl Default for $name {
            fn default() -> Self {
                // SAFETY: integers and arrays of integers only; all zero is a value.
                unsafe { std::mem::zeroed() }
            }
        }
        const _: () = assert!(size_of::<$name>() == $size);
        $($(const _: () = assert!(offset_of!($name, $f) == $off);)?)*
    };
}

wire! {
    /// `struct nmreq`, the legacy request.
    Nmreq, 60 {
        @0 name: [u8; 16],
        @16 version: u32,
        @20 offset: u32,
        @24 memsize: u32,
        @28 tx_slots: u32,
        @32 rx_slots: u32,
        @36 tx_rings: u16,
        @38 rx_rings: u16,
        @40 ringid: u16,
        @42 cmd: u16,
        @44 arg1: u16,
        @46 arg2: u16,
        @48 arg3: u32,
        @52 flags: u32,
        @56 spare2: u32,
    }
}

wire! {
    /// `struct nm_ifreq`, the argument of NIOCCONFIG.
    NmIfreq, 272 {
        @0 name: [u8; 16],
        @16 data: [u8; 256],
    }
}

wire! {
    /// `struct nmreq_header`.
    Header, 88 {
        @0 version: u16,
        @2 reqtype: u16,
        @4 reserved: u32,
        @8 name: [u8; 64],
        @72 options: u64,
        @80 body: u64,
    }
}

wire! {
    /// `struct nmreq_option`.
    Opt, 24 {
        @0 next: u64,
        @8 reqtype: u32,
        @12 status: u32,
        @16 size: u64,
    }
}

wire! {
    /// `struct nmreq_opt_offsets`.
    OffsetsOpt, 56 {
        @0 opt: Opt,
        @24 max: u64,
        @32 initial: u64,
        @40 bits: u32,
        @44 tx_align: u32,
        @48 min_gap: u64,
    }
}

wire! {
    /// `struct nmreq_opt_csb`.
    CsbOpt, 40 {
        @0 opt: Opt,
        @24 atok: u64,
        @32 ktoa: u64,
    }
}

wire! {
    /// `struct nmreq_register`.
    Register, 56 {
        @0 offset: u64,
        @8 memsize: u64,
        @16 tx_slots: u32,
        @20 rx_slots: u32,
        @24 tx_rings: u16,
        @26 rx_rings: u16,
        @28 host_tx_rings: u16,
        @30 host_rx_rings: u16,
        @32 mem_id: u16,
        @34 ringid: u16,
        @36 mode: u32,
        @40 extra_bufs: u32,
        pad: u32,
        @48 flags: u64,
    }
}

wire! {
    /// `struct nmreq_port_info_get`.
    PortInfo, 32 {
        @0 memsize: u64,
        @8 tx_slots: u32,
        @12 rx_slots: u32,
        @16 tx_rings: u16,
        @18 rx_rings: u16,
        @20 host_tx_rings: u16,
        @22 host_rx_rings: u16,
        @24 mem_id: u16,
        @26 pad: [u16; 3],
    }
}

wire! {
    /// `struct nmreq_pools_info`.
    PoolsInfo, 64 {
        @0 memsize: u64,
        @8 mem_id: u16,
        @16 if_offset: u64,
        @24 if_total: u32,
        @28 if_size: u32,
        @32 ring_offset: u64,
        @40 ring_total: u32,
        @44 ring_size: u32,
        @48 buf_offset: u64,
        @56 buf_total: u32,
        @60 buf_size: u32,
    }
}

wire! {
    /// `struct nmreq_opt_extmem`.
    Extmem, 96 {
        @0 next: u64,
        @8 reqtype: u32,
        @12 status: u32,
        @16 size: u64,
        @24 usrptr: u64,
        @32 info: PoolsInfo,
    }
}

wire! {
    /// `struct nmreq_opt_rx_meta`, ours.
    OptRxMeta, 40 {
        @0 opt: Opt,
        @24 ofs: u32,
        @28 size: u32,
        @32 spare: u64,
    }
}

wire! {
    /// `struct nm_rx_meta`, ours: what the card knows of a received frame.
    RxMeta, 32 {
        @0 tstamp_ns: u64,
        @8 hash: u32,
        @12 vlan: u16,
        @14 ptype: u16,
        @16 flags: u32,
        @20 spare: [u32; 3],
    }
}

/// Bits of `RxMeta::flags`.
pub mod meta {
    pub const VALID: u32 = 0x1;
    pub const HASH: u32 = 0x2;
    pub const VLAN: u32 = 0x4;
    pub const L3_OK: u32 = 0x10;
    pub const L3_BAD: u32 = 0x20;
    pub const L4_OK: u32 = 0x40;
    pub const L4_BAD: u32 = 0x80;
    pub const IPV4: u32 = 0x100;
    pub const UDP: u32 = 0x1000;
    pub const FLOW: u32 = 0x4000;
    /// `flags >> HASH_TYPE & 15`: 2 is IPv4 addresses alone.
    pub const HASH_TYPE: u32 = 24;
}

wire! {
    /// `struct nm_queue_req`, the argument of NIOCQADD and NIOCQDEL.
    QueueReq, 16 {
        @0 version: u32,
        @4 queue: u32,
        @8 flags: u32,
        @12 spare: u32,
    }
}

wire! {
    /// `struct nm_queue_info`, cursor and answer of NIOCQNEXT.
    QueueInfo, 256 {
        @0 version: u32,
        @4 ifindex: u32,
        @8 kind: u32,
        @12 queue: u32,
        @16 name: [u8; 16],
        @32 state: u32,
        @36 slots: u32,
        @40 num_queues: u32,
        @44 pid: u32,
        @48 uid: u32,
        @52 mem_id: u32,
        @56 comm: [u8; 16],
        @72 reg_idx: u32,
        @76 spare0: u32,
        @80 counter: [u64; 16],
        @208 spare: [u64; 6],
    }
}

/// Copies a name into a fixed, zero-padded field; panics if it does not fit.
pub fn name_field<const N: usize>(name: &str) -> [u8; N] {
    let mut field = [0; N];
    field[..name.len()].copy_from_slice(name.as_bytes());
    field
}

/// The text of a zero-padded field.
pub fn field_name(field: &[u8]) -> String {
    let end = field.iter().position(|b| *b == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}
