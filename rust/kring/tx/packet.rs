// SPDX-License-Identifier: GPL-2.0

//! One packet of a TX ring, slot by slot: for those that the hot loop leaves.
//!
//! A packet whose end the program has not filled yet waits. One that no end could make right, by a bad
//! piece or by as many pieces as the hardware or the ring has room for, is dropped as far as it goes,
//! and so is the rest of it when it comes: a ring is never full of what cannot be sent. Only `core` is
//! used.

use super::indices::Indices;
use crate::nic::tx82599::{self, Export, Packet, Place};
use crate::ring::advance;
use crate::shm::{Slot, TxDesc};
use crate::uapi::{NS_MOREFRAG, NS_REPORT};

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is in descriptors.
    Sent,
    /// It cannot be sent.
    Dropped,
    /// These slots are the rest of one that was dropped.
    Rest,
    /// Its end is missing.
    Waits,
}

/// A ring as this file sees it.
pub(crate) struct Walk<'a> {
    /// Its slots.
    pub(crate) slots: &'a [Slot],
    /// Its descriptors, as many.
    pub(crate) descs: &'a [TxDesc],
    /// How far it is.
    pub(crate) at: &'a mut Indices,
    /// See [`super::indices`].
    pub(crate) skipped: &'a mut [u16],
    /// The slots to come, up to an end of packet, belong to a packet that was dropped.
    pub(crate) dropping: &'a mut bool,
}

impl Walk<'_> {
    /// Does what can be done with the packet at the first slot not yet looked at; there is one.
    /// `locate`: where what slot number so names is, if it may be sent.
    pub(crate) fn packet(
        &mut self,
        total: &mut Export,
        mut locate: impl FnMut(usize, &Slot) -> Option<Place>,
    ) -> Fate {
        if *self.dropping {
            return self.rest();
        }
        let Indices {
            n, hwcur, next_use, ..
        } = *self.at;
        let mut packet = Packet::default();
        let mut asked = 0;
        for i in 0..self.at.filled() {
            let at = advance(hwcur, i, n) as usize;
            let desc = self.descs.get(advance(next_use, i, n) as usize);
            let (Some(slot), Some(desc)) = (self.slots.get(at), desc) else {
                break;
            };
            let (len, flags) = slot.len_and_flags();
            asked |= flags;
            let more = flags & NS_MOREFRAG != 0;
            if !packet.add(desc, locate(at, slot), len, more, n) {
                *self.dropping = more;
                self.heed(i + 1);
                self.at.dropped(i + 1, self.skipped);
                return Fate::Dropped;
            }
            if !more {
                if asked & NS_REPORT != 0 {
                    tx82599::report(desc);
                }
                if let Some(first) = self.descs.get(next_use as usize) {
                    packet.close(first, total);
                }
                self.heed(i + 1);
                self.at.sent(i + 1);
                return Fate::Sent;
            }
        }
        Fate::Waits
    }

    /// Slots of a packet that was dropped, up to its end or to what the program has filled.
    fn rest(&mut self) -> Fate {
        let mut count = 0;
        while *self.dropping && count < self.at.filled() {
            let at = advance(self.at.hwcur, count, self.at.n) as usize;
            let flags = self.slots.get(at).map_or(0, |slot| slot.len_and_flags().1);
            *self.dropping = flags & NS_MOREFRAG != 0;
            count += 1;
        }
        self.heed(count);
        self.at.dropped(count, self.skipped);
        Fate::Rest
    }

    /// Clears what the next `count` slots asked for once.
    fn heed(&self, count: u32) {
        for i in 0..count {
            let at = advance(self.at.hwcur, i, self.at.n) as usize;
            if let Some(slot) = self.slots.get(at) {
                let (len, flags) = slot.len_and_flags();
                slot.set_len_and_flags(len, flags & !tx82599::TRANSIENT);
            }
        }
    }
}
