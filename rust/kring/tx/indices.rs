// SPDX-License-Identifier: GPL-2.0

//! How far a TX ring is: which slots are the program's, and which descriptors the NIC's.
//!
//! Both go round by themselves. A slot need not stand beside the descriptor it went into, as the slots
//! of a dropped packet have none and a restarted queue begins at descriptor 0. For each descriptor
//! `skipped` says how many dropped slots came before it, so that slots return to the program in order.
//! Only `core` is used.

use crate::ring::{advance, distance, prev};

/// The indices; all below `n`.
///
/// Slots: `[first not done, hwcur)` are in descriptors or dropped, `[hwcur, rhead)` filled but not yet
/// looked at, `[rhead, hwtail)` the program's; `hwtail` is the one before the first not done.
/// Descriptors: `[next_clean, next_use)` are the NIC's, never more than there are slots before `hwcur`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Indices {
    /// Slots, and descriptors.
    pub(crate) n: u32,
    /// The program's `head` at the last sync.
    pub(crate) rhead: u32,
    /// First slot that is neither in a descriptor nor dropped.
    pub(crate) hwcur: u32,
    /// Where the program must stop filling: what `tail` is set to.
    pub(crate) hwtail: u32,
    /// First descriptor the NIC may still use.
    pub(crate) next_clean: u32,
    /// First descriptor it may not.
    pub(crate) next_use: u32,
    /// Sum of `skipped`.
    skips: u32,
}

impl Indices {
    /// A fresh ring: all slots but one are the program's.
    pub(crate) fn new(n: u32) -> Self {
        Indices {
            n,
            rhead: 0,
            hwcur: 0,
            hwtail: prev(0, n),
            next_clean: 0,
            next_use: 0,
            skips: 0,
        }
    }

    /// Slots to look at.
    #[inline(always)]
    pub(crate) fn filled(&self) -> u32 {
        distance(self.hwcur, self.rhead, self.n)
    }

    /// Descriptors that are the NIC's.
    #[inline(always)]
    pub(crate) fn in_flight(&self) -> u32 {
        distance(self.next_clean, self.next_use, self.n)
    }

    /// `count` slots went into as many descriptors.
    #[inline(always)]
    pub(crate) fn sent(&mut self, count: u32) {
        self.hwcur = advance(self.hwcur, count, self.n);
        self.next_use = advance(self.next_use, count, self.n);
    }

    /// `count` slots were dropped.
    pub(crate) fn dropped(&mut self, count: u32, skipped: &mut [u16]) {
        if let Some(skipped) = skipped.get_mut(self.next_use as usize) {
            *skipped = skipped.wrapping_add(count as u16);
            self.skips = self.skips.wrapping_add(count);
            self.hwcur = advance(self.hwcur, count, self.n);
        }
    }

    /// The NIC works on descriptor `head` next. Returns how many slots are the program's again; none
    /// for a head that cannot be.
    #[inline(always)]
    pub(crate) fn reclaim(&mut self, head: u32, skipped: &mut [u16]) -> u32 {
        if head >= self.n {
            return 0;
        }
        let sent = distance(self.next_clean, head, self.n);
        if sent > self.in_flight() {
            return 0;
        }
        let mut slots = sent;
        if self.skips != 0 {
            slots = slots.wrapping_add(self.reclaim_dropped(sent, skipped));
        }
        self.next_clean = head;
        self.hwtail = advance(self.hwtail, slots, self.n);
        slots
    }

    /// Dropped slots among those before and after the next `sent` descriptors: they are done when all
    /// before them are.
    #[cold]
    fn reclaim_dropped(&mut self, sent: u32, skipped: &mut [u16]) -> u32 {
        let mut slots = 0u32;
        for i in 0..=sent {
            let at = advance(self.next_clean, i, self.n) as usize;
            if let Some(skipped) = skipped.get_mut(at) {
                slots = slots.wrapping_add(u32::from(core::mem::take(skipped)));
            }
        }
        self.skips = self.skips.wrapping_sub(slots);
        slots
    }

    /// The NIC forgets its descriptors and will begin at descriptor 0; their slots are the program's.
    pub(crate) fn restart(&mut self, skipped: &mut [u16]) {
        skipped.fill(0);
        self.skips = 0;
        self.next_clean = 0;
        self.next_use = 0;
        self.hwtail = prev(self.hwcur, self.n);
    }
}
