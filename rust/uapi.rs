// SPDX-License-Identifier: GPL-2.0

//! The binary interface to programs: netmap API 14, and this module's own additions.
//!
//! Numbers, names and layouts are facts that compiled programs depend on; every size and offset is
//! asserted at compile time. Only `core` is used, so that the build host tests this file too.

pub(crate) mod ctrl;
pub(crate) mod ext;
pub(crate) mod legacy;
pub(crate) mod opt;

/// The API spoken.
pub(crate) const API: u16 = 14;
/// Highest header version NIOCCTRL accepts.
pub(crate) const MAX_API: u16 = 15;

/// NIOCGINFO: `struct nmreq` in and out.
pub(crate) const NIOCGINFO: u32 = 0xc03c_6991;
/// NIOCREGIF: `struct nmreq` in and out.
pub(crate) const NIOCREGIF: u32 = 0xc03c_6992;
/// NIOCTXSYNC: no argument.
pub(crate) const NIOCTXSYNC: u32 = 0x0000_6994;
/// NIOCRXSYNC: no argument.
pub(crate) const NIOCRXSYNC: u32 = 0x0000_6995;
/// NIOCCONFIG: only VALE switches had one.
pub(crate) const NIOCCONFIG: u32 = 0xc110_6996;
/// NIOCCTRL: `struct nmreq_header` in and out.
pub(crate) const NIOCCTRL: u32 = 0xc058_6997;

/// Slot flag: the program has put another buffer here.
pub(crate) const NS_BUF_CHANGED: u16 = 0x1;
/// Slot flag: report completion of this slot at once; here that is always so.
pub(crate) const NS_REPORT: u16 = 0x2;
/// Slot flag: the frame goes to the stack, where the ring says [`NR_FORWARD`].
pub(crate) const NS_FORWARD: u16 = 0x4;
/// Slot flag: the frame goes on in the next slot.
pub(crate) const NS_MOREFRAG: u16 = 0x20;
/// Most slots a frame may span.
pub(crate) const MAX_FRAGS: usize = 64;

/// Ring flag: received frames that the program marks go to the stack.
pub(crate) const NR_FORWARD: u32 = 4;
/// Ring flag: stamp the ring at every sync, whatever the default is.
pub(crate) const NR_TIMESTAMP: u32 = 2;

/// `netmap_if` flag: the port's memory region is not the default one.
pub(crate) const NI_PRIV_MEM: u32 = 1;

/// Which rings a registration binds (`nr_mode`, low bits of the legacy `nr_flags`).
pub(crate) mod mode {
    #![allow(missing_docs)]
    pub(crate) const DEFAULT: u32 = 0;
    pub(crate) const ALL_NIC: u32 = 1;
    pub(crate) const SW: u32 = 2;
    pub(crate) const NIC_SW: u32 = 3;
    pub(crate) const ONE_NIC: u32 = 4;
    pub(crate) const PIPE_MASTER: u32 = 5;
    pub(crate) const PIPE_SLAVE: u32 = 6;
    pub(crate) const NULL: u32 = 7;
    pub(crate) const ONE_SW: u32 = 8;
    pub(crate) const MASK: u32 = 0xf;
}

/// Modifiers of a registration (`nr_flags`).
pub(crate) mod flag {
    #![allow(missing_docs)]
    pub(crate) const MONITOR_TX: u64 = 0x100;
    pub(crate) const MONITOR_RX: u64 = 0x200;
    pub(crate) const ZCOPY_MON: u64 = 0x400;
    pub(crate) const EXCLUSIVE: u64 = 0x800;
    pub(crate) const RX_RINGS_ONLY: u64 = 0x2000;
    pub(crate) const TX_RINGS_ONLY: u64 = 0x4000;
    pub(crate) const NO_TX_POLL: u64 = 0x2_0000;
    /// Ours: bind the host TX ring too, although only RX rings are asked for.
    pub(crate) const PUTBACK: u64 = 0x100_0000;
    /// Ours: bind no NIC ring yet; queues are added at run time.
    pub(crate) const NO_RINGS: u64 = 0x200_0000;
    /// Ours: a memory region of the fd's own.
    pub(crate) const PRIVATE_MEM: u64 = 0x400_0000;
}

/// Longest name in a legacy request, with its NUL.
pub(crate) const LEGACY_NAME: usize = 16;
/// Longest name in a NIOCCTRL request, with its NUL.
pub(crate) const CTRL_NAME: usize = 64;
/// Bytes a NIOCCTRL request may have in all, its options included.
pub(crate) const CTRL_MAXSIZE: usize = 4096;

/// Asserts a struct's size and the offsets of its fields.
macro_rules! assert_layout {
    ($t:ty, $size:expr, $($field:ident @ $ofs:expr),+ $(,)?) => {
        const _: () = {
            assert!(core::mem::size_of::<$t>() == $size);
            $(assert!(core::mem::offset_of!($t, $field) == $ofs);)+
        };
    };
}
pub(crate) use assert_layout;
