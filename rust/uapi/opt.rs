// SPDX-License-Identifier: GPL-2.0

//! Options of NIOCCTRL requests: a list of structures, each with a header and a body by its type.

use super::assert_layout;
use super::ctrl::PoolsInfo;

/// Option types (`nro_reqtype`).
pub(crate) mod opttype {
    #![allow(missing_docs)]
    pub(crate) const EXTMEM: u32 = 1;
    pub(crate) const SYNC_KLOOP_EVENTFDS: u32 = 2;
    pub(crate) const CSB: u32 = 3;
    pub(crate) const SYNC_KLOOP_MODE: u32 = 4;
    pub(crate) const OFFSETS: u32 = 5;
    /// First of netmap's types that does not exist.
    pub(crate) const MAX: u32 = 6;
    /// Ours, a number netmap never used: RX rings with metadata of each packet.
    pub(crate) const RX_META: u32 = 0x4e_4d01;
}

/// Is it a type that exists?
pub(crate) fn known(opttype: u32) -> bool {
    (1..opttype::MAX).contains(&opttype) || opttype == opttype::RX_META
}

/// Bytes of an option with its header. `nro_size` counts them where they vary: in the list of
/// eventfds.
pub(crate) fn size(opttype: u32, nro_size: u64) -> usize {
    use core::mem::size_of;
    let body = match opttype {
        opttype::EXTMEM => size_of::<Extmem>(),
        opttype::SYNC_KLOOP_EVENTFDS => {
            return usize::try_from(nro_size)
                .unwrap_or(usize::MAX)
                .max(HEADER_SIZE)
        }
        opttype::CSB => size_of::<Csb>(),
        opttype::SYNC_KLOOP_MODE => size_of::<KloopMode>(),
        opttype::OFFSETS => size_of::<Offsets>(),
        opttype::RX_META => size_of::<RxMeta>(),
        _ => 0,
    };
    HEADER_SIZE + body
}

/// `struct nmreq_option`: the header of each option.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct Header {
    /// User address of the next option, or 0.
    pub(crate) nro_next: u64,
    /// One of [`opttype`].
    pub(crate) nro_reqtype: u32,
    /// Out: 0, or a positive errno.
    pub(crate) nro_status: u32,
    /// Bytes of the option, where the type does not fix them.
    pub(crate) nro_size: u64,
}

assert_layout!(Header, HEADER_SIZE,
    nro_next @ 0, nro_reqtype @ 8, nro_status @ 12, nro_size @ 16);

/// Where an option's body begins.
pub(crate) const HEADER_SIZE: usize = 24;

/// Body of `struct nmreq_opt_extmem`: a region in the program's own memory.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct Extmem {
    /// Where it begins.
    pub(crate) nro_usrptr: u64,
    /// Wanted size and layout; out: the real ones.
    pub(crate) nro_info: PoolsInfo,
}

assert_layout!(Extmem, 96 - HEADER_SIZE, nro_usrptr @ 0, nro_info @ 8);

/// An entry of `struct nmreq_opt_sync_kloop_eventfds`: a ring's.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct EventFds {
    /// The program signals it: there is work.
    pub(crate) ioeventfd: i32,
    /// The kernel signals it: there is news.
    pub(crate) irqfd: i32,
}

assert_layout!(EventFds, 8, ioeventfd @ 0, irqfd @ 4);

/// Body of `struct nmreq_opt_csb`: where rings' pointers are exchanged.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct Csb {
    /// Array of entries as [`atok`] says.
    pub(crate) csb_atok: u64,
    /// Array of entries as [`ktoa`] says.
    pub(crate) csb_ktoa: u64,
}

assert_layout!(Csb, 40 - HEADER_SIZE, csb_atok @ 0, csb_ktoa @ 8);

/// Places in `struct nm_csb_atok`: what the program tells the kernel of a ring, in words of 32 bits.
pub(crate) mod atok {
    /// First slot the program keeps.
    pub(crate) const HEAD: usize = 0;
    /// Wake-up point.
    pub(crate) const CUR: usize = 4;
    /// The program wants its eventfd signalled.
    pub(crate) const APPL_NEED_KICK: usize = 8;
    /// What the sync is to force; here it always does.
    pub(crate) const SYNC_FLAGS: usize = 12;
}

/// Places in `struct nm_csb_ktoa`: what the kernel tells the program of a ring.
pub(crate) mod ktoa {
    /// Up to where the kernel has taken slots.
    pub(crate) const HWCUR: usize = 0;
    /// First slot the kernel keeps.
    pub(crate) const HWTAIL: usize = 4;
    /// The kernel may sleep: the program is to signal its eventfd.
    pub(crate) const KERN_NEED_KICK: usize = 8;
}

/// Bytes of an entry of either array, and what both must be aligned to.
pub(crate) const CSB_ENTRY: usize = 64;

/// Body of `struct nmreq_opt_sync_kloop_mode`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct KloopMode {
    /// Bits of [`KloopMode::ALL`].
    pub(crate) mode: u32,
    pub(crate) pad: u32,
}

impl KloopMode {
    /// NM_OPT_SYNC_KLOOP_DIRECT_TX and _RX.
    pub(crate) const ALL: u32 = 1 | 2;
}

assert_layout!(KloopMode, 32 - HEADER_SIZE, mode @ 0);

/// Body of `struct nmreq_opt_offsets`: packets begin within their buffers where `slot.ptr` says.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct Offsets {
    /// Largest offset the program will use.
    pub(crate) nro_max_offset: u64,
    /// What is in all slots to begin with.
    pub(crate) nro_initial_offset: u64,
    /// Low bits of `slot.ptr` that hold the offset; 0: all. Out: how many do.
    pub(crate) nro_offset_bits: u32,
    /// Alignment of packets to send that the program can promise; 0: none.
    pub(crate) nro_tx_align: u32,
    /// Bytes between the end of a packet and the next in the same buffer.
    pub(crate) nro_min_gap: u64,
}

assert_layout!(Offsets, 56 - HEADER_SIZE,
    nro_max_offset @ 0, nro_initial_offset @ 8, nro_offset_bits @ 16, nro_tx_align @ 20,
    nro_min_gap @ 24);

/// Body of our `struct nmreq_opt_rx_meta`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct RxMeta {
    /// Out: bytes from an RX ring to the entry of its slot 0.
    pub(crate) nro_meta_ofs: u32,
    /// Out: bytes of an entry.
    pub(crate) nro_meta_size: u32,
    /// 0.
    pub(crate) nro_spare: u64,
}

assert_layout!(RxMeta, 40 - HEADER_SIZE,
    nro_meta_ofs @ 0, nro_meta_size @ 4, nro_spare @ 8);
