// SPDX-License-Identifier: GPL-2.0

//! Memory that another party writes: the program, or the NIC.
//!
//! No Rust reference to a plain value may cover such memory, so it is seen through [`Shared`]
//! cells, whose reads and writes are single volatile accesses of one word. A value read is a copy;
//! it is checked and used from the copy, never read again. Layouts are netmap's (API 14) and the
//! 82599's. Only `core` is used.

#![allow(unsafe_code)]

use core::cell::UnsafeCell;

use crate::uapi::assert_layout;

/// A word of at most eight bytes that others may read or write at any time.
#[repr(transparent)]
pub(crate) struct Shared<T: Copy>(UnsafeCell<T>);

// SAFETY: All access is by volatile loads and stores of one naturally aligned word of at most
// eight bytes, which the hardware makes atomic; no reference to the inside is ever handed out.
unsafe impl<T: Copy + Send> Sync for Shared<T> {}

impl<T: Copy> Shared<T> {
    /// A cell that holds `value`; for tests on the build host.
    #[cfg_attr(MODULE, expect(dead_code))]
    pub(crate) const fn new(value: T) -> Self {
        const { assert!(core::mem::size_of::<T>() <= 8) };
        Shared(UnsafeCell::new(value))
    }

    /// Reads the word once.
    #[inline(always)]
    pub(crate) fn get(&self) -> T {
        // SAFETY: The cell is valid and aligned; a racing writer is another party's, see above.
        unsafe { self.0.get().read_volatile() }
    }

    /// Writes the word once.
    #[inline(always)]
    pub(crate) fn set(&self, value: T) {
        // SAFETY: As in `get`.
        unsafe { self.0.get().write_volatile(value) }
    }
}

/// `struct netmap_slot`: one buffer of a ring.
#[repr(C)]
pub(crate) struct Slot {
    /// Buffer index in the region.
    pub(crate) buf_idx: Shared<u32>,
    /// Length in the low half, flags in the high half.
    pub(crate) len_flags: Shared<u32>,
    /// With the offsets option, where the frame begins in its buffer.
    pub(crate) ptr: Shared<u64>,
}

assert_layout!(Slot, 16, buf_idx @ 0, len_flags @ 4, ptr @ 8);

impl Slot {
    /// Length in bytes and flags, from one read.
    #[inline(always)]
    pub(crate) fn len_and_flags(&self) -> (u16, u16) {
        let word = self.len_flags.get();
        (word as u16, (word >> 16) as u16)
    }

    /// Sets both by one write.
    #[inline(always)]
    pub(crate) fn set_len_and_flags(&self, len: u16, flags: u16) {
        self.len_flags
            .set(u32::from(len) | (u32::from(flags) << 16));
    }
}

/// `struct netmap_ring` up to its slots.
#[repr(C)]
pub(crate) struct RingHeader {
    /// Distance from this ring to buffer 0, in bytes.
    pub(crate) buf_ofs: Shared<i64>,
    /// Slots in the ring.
    pub(crate) num_slots: Shared<u32>,
    /// Bytes of a buffer.
    pub(crate) nr_buf_size: Shared<u32>,
    /// Ring number.
    pub(crate) ringid: Shared<u16>,
    /// 1 for TX, 0 for RX.
    pub(crate) dir: Shared<u16>,
    /// First slot the program keeps; it has released all before.
    pub(crate) head: Shared<u32>,
    /// Wake-up point.
    pub(crate) cur: Shared<u32>,
    /// First slot the kernel keeps.
    pub(crate) tail: Shared<u32>,
    /// NR_TIMESTAMP and others.
    pub(crate) flags: Shared<u32>,
    _pad0: Shared<u32>,
    /// Time of the last sync: seconds, microseconds.
    pub(crate) ts: [Shared<i64>; 2],
    /// With the offsets option: the bits of `slot.ptr` that hold the offset.
    pub(crate) offset_mask: Shared<u64>,
    /// Unused without the offsets option.
    pub(crate) buf_align: Shared<u64>,
    _pad1: [Shared<u64>; 7],
    _sem: [Shared<u64>; 16],
}

/// Where a ring's slots begin.
pub(crate) const SLOTS_OFFSET: usize = 256;

assert_layout!(RingHeader, SLOTS_OFFSET,
    buf_ofs @ 0, num_slots @ 8, nr_buf_size @ 12, ringid @ 16, dir @ 18, head @ 20, cur @ 24,
    tail @ 28, flags @ 32, ts @ 40, offset_mask @ 56, buf_align @ 64, _sem @ 128);

/// `struct nm_rx_meta`: what the card says of a received frame; ours, see [`crate::uapi::ext::meta`].
#[repr(C)]
pub(crate) struct RxMeta {
    /// Hardware timestamp in nanoseconds.
    pub(crate) tstamp_ns: Shared<u64>,
    /// RSS hash.
    pub(crate) hash: Shared<u32>,
    /// VLAN tag in the low half, the card's packet type in the high half.
    pub(crate) vlan_ptype: Shared<u32>,
    /// Which of these there are, and more.
    pub(crate) flags: Shared<u32>,
    /// 0.
    pub(crate) spare: [Shared<u32>; 3],
}

assert_layout!(RxMeta, 32, tstamp_ns @ 0, hash @ 8, vlan_ptype @ 12, flags @ 16, spare @ 20);

/// `struct netmap_if` up to its ring offsets. Written here, never read back: programs have been
/// known to write through a ring offset of 0.
#[repr(C)]
pub(crate) struct IfHeader {
    /// Interface name, in two words.
    pub(crate) ni_name: [Shared<u64>; 2],
    /// Unused, 0.
    pub(crate) ni_version: Shared<u32>,
    /// Properties; none here.
    pub(crate) ni_flags: Shared<u32>,
    /// TX rings of the port.
    pub(crate) ni_tx_rings: Shared<u32>,
    /// RX rings of the port.
    pub(crate) ni_rx_rings: Shared<u32>,
    /// First of the extra buffers, 0 for none.
    pub(crate) ni_bufs_head: Shared<u32>,
    /// Host TX rings.
    pub(crate) ni_host_tx_rings: Shared<u32>,
    /// Host RX rings.
    pub(crate) ni_host_rx_rings: Shared<u32>,
    _spare: [Shared<u32>; 3],
}

/// Where the ring offsets begin in a `netmap_if`.
pub(crate) const RING_OFS_OFFSET: usize = 56;

assert_layout!(IfHeader, RING_OFS_OFFSET,
    ni_name @ 0, ni_version @ 16, ni_flags @ 20, ni_tx_rings @ 24, ni_rx_rings @ 28,
    ni_bufs_head @ 32, ni_host_tx_rings @ 36, ni_host_rx_rings @ 40);

/// An advanced receive descriptor of the 82599, either format (data sheet 7.1.6).
#[repr(C, align(16))]
pub(crate) struct RxDesc {
    /// Read format: packet buffer address. Write-back: RSS type, packet type, hash.
    pub(crate) lo: Shared<u64>,
    /// Read format: header buffer address, 0. Write-back: status, errors, length, VLAN tag.
    pub(crate) hi: Shared<u64>,
}

assert_layout!(RxDesc, 16, lo @ 0, hi @ 8);

/// An advanced transmit data descriptor of the 82599 (data sheet 7.2.3.2.4). With head write-back
/// the NIC never writes to it.
#[repr(C, align(16))]
pub(crate) struct TxDesc {
    /// Bus address of the bytes.
    pub(crate) addr: Shared<u64>,
    /// Length, command and type; length of the whole packet.
    pub(crate) cmd: Shared<u64>,
}

assert_layout!(TxDesc, 16, addr @ 0, cmd @ 8);
