// SPDX-License-Identifier: GPL-2.0

//! The legacy requests: NIOCREGIF and NIOCGINFO with their `struct nmreq`.
//!
//! libpcap, Suricata and every program built on nm_open() speak only this.

use super::{assert_layout, flag, mode, LEGACY_NAME};

/// `struct nmreq`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct NmReq {
    /// Interface name with the suffixes of the port grammar, NUL-terminated.
    pub(crate) nr_name: [u8; LEGACY_NAME],
    /// API version of the caller; 14 or more.
    pub(crate) nr_version: u32,
    /// Out: where the fd's `netmap_if` is in the mapping, in bytes.
    pub(crate) nr_offset: u32,
    /// Out: size of the mapping, in bytes.
    pub(crate) nr_memsize: u32,
    /// Slots of a TX ring.
    pub(crate) nr_tx_slots: u32,
    /// Slots of an RX ring.
    pub(crate) nr_rx_slots: u32,
    /// TX rings of the port.
    pub(crate) nr_tx_rings: u16,
    /// RX rings of the port.
    pub(crate) nr_rx_rings: u16,
    /// Ring number with the [`ringid`] bits.
    pub(crate) nr_ringid: u16,
    /// Command of the old VALE interface; 0 registers.
    pub(crate) nr_cmd: u16,
    /// Unused here.
    pub(crate) nr_arg1: u16,
    /// Memory region id.
    pub(crate) nr_arg2: u16,
    /// Extra buffers, wanted and granted.
    pub(crate) nr_arg3: u32,
    /// Mode and flags.
    pub(crate) nr_flags: u32,
    /// Spare.
    pub(crate) spare2: [u32; 1],
}

assert_layout!(NmReq, 60,
    nr_name @ 0, nr_version @ 16, nr_offset @ 20, nr_memsize @ 24, nr_tx_slots @ 28,
    nr_rx_slots @ 32, nr_tx_rings @ 36, nr_rx_rings @ 38, nr_ringid @ 40, nr_cmd @ 42,
    nr_arg1 @ 44, nr_arg2 @ 46, nr_arg3 @ 48, nr_flags @ 52, spare2 @ 56);

/// Bits of the legacy `nr_ringid`.
pub(crate) mod ringid {
    #![allow(missing_docs)]
    pub(crate) const HW_RING: u16 = 0x4000;
    pub(crate) const SW_RING: u16 = 0x2000;
    pub(crate) const NO_TX_POLL: u16 = 0x1000;
    pub(crate) const MASK: u16 = 0x0fff;
}

impl NmReq {
    /// The registration mode; programs older than `nr_flags` said it in `nr_ringid`.
    pub(crate) fn mode(&self) -> u32 {
        match self.nr_flags & mode::MASK {
            mode::DEFAULT if self.nr_ringid & ringid::HW_RING != 0 => mode::ONE_NIC,
            mode::DEFAULT if self.nr_ringid & ringid::SW_RING != 0 => mode::SW,
            mode::DEFAULT => mode::ALL_NIC,
            other => other,
        }
    }

    /// The modifiers, wherever the caller put them.
    pub(crate) fn flags(&self) -> u64 {
        let mut flags = u64::from(self.nr_flags & !mode::MASK);
        if self.nr_ringid & ringid::NO_TX_POLL != 0 {
            flags |= flag::NO_TX_POLL;
        }
        flags
    }
}
