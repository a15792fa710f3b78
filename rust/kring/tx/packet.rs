// SPDX-License-Identifier: GPL-2.0

//! Packets of a TX ring into descriptors: runs of plain ones, runs of those in other buffers, and any
//! other one by one, slot by slot.
//!
//! A packet whose end the program has not filled yet waits. One that no end could make right, by a bad
//! piece or by as many pieces as the hardware or the ring has room for, is dropped as far as it goes,
//! and so is the rest of it when it comes: a ring is never full of what cannot be sent. Only `core` is
//! used.

use super::indices::Indices;
use crate::kring::options::Offsets;
use crate::nic::rx82599::Armed;
use crate::nic::tx82599::{self, Export, Packet, Place};
use crate::ring::{self, advance};
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
    /// The buffer each slot named last, and where it is.
    pub(crate) known: &'a mut [Armed],
    /// How far it is.
    pub(crate) at: &'a mut Indices,
    /// See [`super::indices`].
    pub(crate) skipped: &'a mut [u16],
    /// The slots to come, up to an end of packet, belong to a packet that was dropped.
    pub(crate) dropping: &'a mut bool,
    /// Bytes of a buffer.
    pub(crate) buf_size: u32,
    /// Where packets begin in their buffers, if elsewhere than at the start.
    pub(crate) offsets: Option<&'a Offsets>,
}

impl Walk<'_> {
    /// The hot part: packets of one slot and no flag whose buffer is known, until another comes.
    /// `before` is called with what is known of each run.
    #[inline(always)]
    pub(crate) fn plain(&mut self, total: &mut Export, before: impl Fn(&[Armed])) {
        if *self.dropping {
            return;
        }
        let (at, size) = (&mut *self.at, self.buf_size);
        let done = ring::runs(at.next_use, at.hwcur, at.n, at.filled(), |d, s, len| {
            let (descs, slots) = (self.descs.get(d..d + len), self.slots.get(s..s + len));
            let (Some(descs), Some(slots), Some(known)) =
                (descs, slots, self.known.get(s..s + len))
            else {
                return 0;
            };
            before(known);
            match self.offsets {
                None => tx82599::export(descs, slots, known, size, total, |_| Some(0)),
                Some(o) => {
                    let offset = |slot: &Slot| o.of(slot.ptr.get());
                    tx82599::export(descs, slots, known, size, total, offset)
                }
            }
        });
        at.sent(done);
    }

    /// Packets of one slot in another buffer than the slot had, and plain ones between them, until
    /// another kind comes; returns how many were in other buffers. `locate`: where a buffer is, if it
    /// may be sent and nothing else is to be done for it.
    #[inline]
    pub(crate) fn swapped(
        &mut self,
        total: &mut Export,
        mut locate: impl FnMut(u32) -> Option<u64>,
    ) -> u32 {
        if *self.dropping {
            return 0;
        }
        let (at, size) = (&mut *self.at, self.buf_size);
        let mut swaps = 0;
        let done = ring::runs(at.next_use, at.hwcur, at.n, at.filled(), |d, s, len| {
            let (descs, slots) = (self.descs.get(d..d + len), self.slots.get(s..s + len));
            let (Some(descs), Some(slots), Some(known)) =
                (descs, slots, self.known.get_mut(s..s + len))
            else {
                return 0;
            };
            let (done, other) = match self.offsets {
                None => {
                    let offset = |_: &Slot| Some(0);
                    tx82599::export_swapped(descs, slots, known, size, total, offset, &mut locate)
                }
                Some(o) => {
                    let offset = |slot: &Slot| o.of(slot.ptr.get());
                    tx82599::export_swapped(descs, slots, known, size, total, offset, &mut locate)
                }
            };
            swaps += other;
            done
        });
        at.sent(done);
        swaps
    }

    /// Can [`Walk::plain`] go on?
    pub(crate) fn is_plain(&self) -> bool {
        let at = self.at.hwcur as usize;
        match (self.slots.get(at), self.known.get(at)) {
            (Some(slot), Some(known)) => !*self.dropping && tx82599::plain(slot, known),
            _ => false,
        }
    }

    /// Does what can be done with the packet at the first slot not yet looked at; there is one.
    /// `locate`: where the buffer that a slot names is, if it may be sent; the slot's last is known.
    pub(crate) fn packet(
        &mut self,
        total: &mut Export,
        mut locate: impl FnMut(&Slot, &mut Armed) -> Option<u64>,
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
            let (Some(slot), Some(known), Some(desc)) =
                (self.slots.get(at), self.known.get_mut(at), desc)
            else {
                break;
            };
            let (len, flags) = slot.len_and_flags();
            asked |= flags;
            let more = flags & NS_MOREFRAG != 0;
            let place = locate(slot, known).and_then(|bus| {
                let offset = self.offsets.map_or(Some(0), |o| o.of(slot.ptr.get()))?;
                Some(Place {
                    bus: bus.checked_add(u64::from(offset))?,
                    room: self.buf_size.checked_sub(offset)?,
                })
            });
            if !packet.add(desc, place, len, more, n) {
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
