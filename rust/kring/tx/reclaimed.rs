// SPDX-License-Identifier: GPL-2.0

//! What interrupts of a TX ring know of its syncs, which hold a lock that interrupts cannot take.
//!
//! An index alone does not do: after a reset, or once round, it is what it was, and a sleeper whose
//! room another thread's sync has found would sleep on. So descriptors are counted, too.

use kernel::sync::atomic::{Atomic, Relaxed};

use crate::ring::distance;

/// In place of an index: the next interrupt is news, whatever it sees.
const UNKNOWN: u32 = u32::MAX;

/// How far a ring was when slots were last given back to the program: in the upper half how many
/// descriptors that were in all, over resets too, in the lower the index of the next.
pub(super) struct Reclaimed(Atomic<u64>);

impl Reclaimed {
    /// None yet.
    pub(super) fn new() -> Self {
        Reclaimed(Atomic::new(0))
    }

    fn get(&self) -> (u32, u32) {
        let word = self.0.load(Relaxed);
        ((word >> 32) as u32, word as u32)
    }

    fn set(&self, count: u32, index: u32) {
        self.0
            .store((u64::from(count) << 32) | u64::from(index), Relaxed);
    }

    /// `count` more, up to `index`. Under the ring's lock, as all that change it.
    #[inline(always)]
    pub(super) fn advance(&self, index: u32, count: u32) {
        self.set(self.count().wrapping_add(count), index);
    }

    /// The NIC will begin at descriptor 0 again.
    pub(super) fn restart(&self) {
        self.set(self.count(), 0);
    }

    /// How many there were.
    pub(super) fn count(&self) -> u32 {
        self.get().0
    }

    /// Let any interrupt make the pollers look.
    pub(super) fn forget(&self) {
        self.set(self.count(), UNKNOWN);
    }

    /// From an interrupt that sees the NIC's head in a ring of `n`: are there descriptors to give back,
    /// and how many is the NIC done with in all?
    #[inline]
    pub(super) fn seen_from(&self, head: u32, n: u32) -> (bool, u32) {
        let (count, index) = self.get();
        let ahead = match index < n && head < n {
            true => distance(index, head, n),
            false => 0,
        };
        (head != index, count.wrapping_add(ahead))
    }
}
