// SPDX-License-Identifier: GPL-2.0

//! What a program may ask of its rings beyond the plain ones: offsets in buffers, metadata.
//!
//! Agreed once, when a ring is made. Only `core` is used.

use crate::shm::Slot;

/// Where frames begin in their buffers (netmap's OFFSETS option): slot by slot, in the bits of
/// `slot.ptr` that `mask` says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Offsets {
    /// Bits of `slot.ptr` that hold the offset.
    pub(crate) mask: u64,
    /// The highest offset a slot may have.
    pub(crate) max: u32,
    /// What slots begin with.
    pub(crate) initial: u32,
}

impl Offsets {
    /// What a program asks for, in buffers that have `room` bytes behind the highest offset at
    /// most: offsets in the low `bits` of `slot.ptr` (0: in all), up to `max`, at first `initial`.
    /// `None`: that cannot be.
    pub(crate) fn agree(bits: u32, max: u64, initial: u64, room: u32) -> Option<Self> {
        let mask = match bits {
            0 | 64 => u64::MAX,
            1..=63 => (1 << bits) - 1,
            _ => return None,
        };
        if max > mask || max > u64::from(room) || initial > max {
            return None;
        }
        Some(Offsets {
            mask,
            max: max as u32,
            initial: initial as u32,
        })
    }

    /// The offset that a slot's `ptr` says; `None` beyond the highest.
    #[inline(always)]
    pub(crate) fn of(&self, ptr: u64) -> Option<u32> {
        let offset = ptr & self.mask;
        (offset <= u64::from(self.max)).then_some(offset as u32)
    }

    /// The offset a program wants in a slot it has released. One beyond the highest is replaced, in
    /// the slot too, by what slots begin with, and counted in `bad`.
    #[inline(always)]
    pub(crate) fn wanted(&self, slot: &Slot, bad: &mut u64) -> u32 {
        let ptr = slot.ptr.get();
        self.of(ptr).unwrap_or_else(|| {
            slot.ptr.set(self.reset(ptr));
            *bad += 1;
            self.initial
        })
    }

    /// A slot's `ptr` with the offset that slots begin with; the other bits stay.
    pub(crate) fn reset(&self, ptr: u64) -> u64 {
        (ptr & !self.mask) | (u64::from(self.initial) & self.mask)
    }
}

/// What was agreed for a ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct RingOptions {
    /// Frames begin elsewhere than at the start of their buffers.
    pub(crate) offsets: Option<Offsets>,
    /// RX: an entry of metadata beside each slot.
    pub(crate) rx_meta: bool,
}

impl RingOptions {
    /// Can an fd that wants `other` use a ring made with these? Offsets are everybody's; metadata
    /// that is not asked for does no harm.
    pub(crate) fn suit(&self, other: &Self) -> bool {
        self.offsets == other.offsets && (self.rx_meta || !other.rx_meta)
    }

    /// How long the pieces are in which a NIC may write frames into buffers of `buf_size` bytes:
    /// what is left behind the highest offset, in whole KiB up to 16; `None` if that is nothing.
    pub(crate) const fn buf_len(&self, buf_size: u32) -> Option<u32> {
        let max = match self.offsets {
            Some(offsets) => offsets.max,
            None => 0,
        };
        let kib = buf_size.saturating_sub(max) / 1024;
        match kib {
            0 => None,
            1..=16 => Some(kib * 1024),
            _ => Some(16 * 1024),
        }
    }
}
