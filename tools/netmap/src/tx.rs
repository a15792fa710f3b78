// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sending side of a ring. What a program mostly sends on is the host TX
//! ring: packets put there enter the kernel's stack as if the port had received
//! them.
//!
//! Slots are filled in order and made visible together when the ring is dropped
//! or [`TxRing::publish`] is called; the next `poll` or txsync takes them.

use crate::abi::NS_MOREFRAG;
use crate::ring::Geometry;
use crate::rx::{distance, RxSlot, Slots};
use std::cell::Cell;
use std::fmt;
use std::ptr;

/// Why a packet was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushError {
    /// No free slot: sync, then try again.
    Full,
    /// Longer than a buffer.
    TooLong,
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the ring is full: sync it, then try again",
            Self::TooLong => "the packet is longer than a buffer",
        })
    }
}

impl std::error::Error for PushError {}

/// What became of packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Looked at.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Forwarded.
    pub forwarded: u64,
}

/// A TX ring of a [`crate::Port`]; one at a time per ring.
#[derive(Debug)]
pub struct TxRing<'p> {
    geo: &'p Geometry,
    taken: &'p Cell<bool>,
    next: u32,
    tail: u32,
    dirty: bool,
}

impl Drop for TxRing<'_> {
    #[inline]
    fn drop(&mut self) {
        self.publish();
        self.taken.set(false);
    }
}

impl<'p> TxRing<'p> {
    #[inline]
    pub(crate) fn new(geo: &'p Geometry, taken: &'p Cell<bool>) -> Self {
        let (next, tail) = geo.range();
        Self {
            geo,
            taken,
            next,
            tail,
            dirty: false,
        }
    }

    /// Free slots.
    #[inline]
    pub fn space(&self) -> usize {
        distance(self.geo, self.next, self.tail) as usize
    }

    /// Make what was queued visible to the next sync.
    #[inline]
    pub fn publish(&mut self) {
        if self.dirty {
            self.geo.advance(self.next);
            self.dirty = false;
        }
    }

    /// See the slots a sync has freed meanwhile.
    pub fn refresh(&mut self) {
        self.publish();
        (self.next, self.tail) = self.geo.range();
    }

    /// Queue a copy of `packet`.
    pub fn push(&mut self, packet: &[u8]) -> Result<(), PushError> {
        self.copy(packet, 0)
    }

    /// Queue a received slot. Its buffer moves over without a copy if both rings
    /// use the same memory (else the bytes are copied), and a free buffer takes
    /// its place. The slot comes back when the ring is full.
    ///
    /// All slots of a packet must be queued: check [`Self::space`] first.
    #[inline]
    pub fn forward<'b>(&mut self, slot: RxSlot<'b>) -> Result<(), RxSlot<'b>> {
        if self.next == self.tail {
            return Err(slot);
        }
        if slot.mem_id() != self.geo.mem_id {
            let more = slot.flags() & NS_MOREFRAG;
            return self.copy(slot.payload(), more).map_err(|_| slot);
        }
        slot.swap_with(self.geo.slot(self.next));
        self.step();
        Ok(())
    }

    /// Forward those packets of `slots` that `wanted` says yes to, until the
    /// packets or the free slots run out. It is given the packet's first slot
    /// and its length; all slots of a packet go the same way. What it says no to
    /// is dropped with the batch.
    ///
    /// After this returned with packets left in `slots`, [`Self::publish`], sync,
    /// [`Self::refresh`] and call it again.
    #[inline]
    pub fn forward_where(
        &mut self,
        slots: &mut Slots<'_>,
        mut wanted: impl FnMut(&RxSlot<'_>, u32) -> bool,
    ) -> Tally {
        let mut tally = Tally::default();
        let (from, to) = (slots.geo, self.geo);
        let same = from.mem_id == to.mem_id;
        loop {
            let (first, end) = (slots.cur, slots.end);
            let (free, tail) = (self.next, self.tail);
            let (mut cur, mut next, mut bytes) = (first, free, 0u64);
            let mut long = false;
            while cur != end && next != tail {
                let slot = RxSlot::new(from, cur);
                long = slot.more_frags() || !same;
                if long {
                    break;
                }
                let len = u32::from(slot.len());
                bytes += u64::from(len);
                if wanted(&slot, len) {
                    slot.swap_with(to.slot(next));
                    next = to.next(next);
                }
                cur = from.next(cur);
            }
            tally.packets += u64::from(distance(from, first, cur));
            tally.bytes += bytes;
            tally.forwarded += u64::from(distance(to, free, next));
            slots.cur = cur;
            self.dirty |= next != free;
            self.next = next;
            if !long || !self.forward_long(slots, &mut wanted, &mut tally) {
                return tally;
            }
        }
    }

    /// The same for one packet of several slots, or between two regions. False if
    /// it has not come completely or there is no room.
    #[cold]
    fn forward_long(
        &mut self,
        slots: &mut Slots<'_>,
        wanted: &mut impl FnMut(&RxSlot<'_>, u32) -> bool,
        tally: &mut Tally,
    ) -> bool {
        let Some(shape) = slots.peek_packet() else {
            return false;
        };
        if self.space() < shape.slots as usize {
            return false;
        }
        let yes = wanted(&slots.at(slots.cur), shape.bytes);
        for slot in slots.by_ref().take(shape.slots as usize) {
            if yes {
                // There is room for all of it.
                let _ = self.forward(slot);
            }
        }
        tally.packets += 1;
        tally.bytes += u64::from(shape.bytes);
        tally.forwarded += u64::from(yes);
        true
    }

    fn copy(&mut self, packet: &[u8], flags: u16) -> Result<(), PushError> {
        if packet.len() > self.geo.buf_size as usize || packet.len() > usize::from(u16::MAX) {
            return Err(PushError::TooLong);
        }
        if self.next == self.tail {
            return Err(PushError::Full);
        }
        let slot = self.geo.slot(self.next);
        let buf = self.geo.buffer(slot.buf_idx()).ok_or(PushError::Full)?;
        // SAFETY: the free slot, and with it its buffer, is ours until it is
        // published; the packet fits; `packet` is not in this buffer, since a
        // buffer is in one place only.
        unsafe { ptr::copy_nonoverlapping(packet.as_ptr(), buf.as_ptr(), packet.len()) };
        slot.set_len(packet.len() as u16);
        slot.set_flags(flags);
        self.step();
        Ok(())
    }

    #[inline(always)]
    fn step(&mut self) {
        self.next = self.geo.next(self.next);
        self.dirty = true;
    }
}
