// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sending side of a ring: of the NIC, or of the host, where packets enter the
//! kernel's stack as if the port had received them.
//!
//! Slots are filled in order and made visible together when the ring is dropped
//! or [`TxRing::publish`] is called; the next `poll` or txsync takes them.

use crate::abi::{NETMAP_MAX_FRAGS, NS_MOREFRAG};
use crate::ring::Geometry;
use crate::rx::{distance, RxSlot, Slots};
use std::fmt;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

/// Why a packet was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushError {
    /// Not enough free slots: sync, then try again.
    Full,
    /// Longer than this ring can ever hold, or a packet may have slots.
    TooLong,
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the ring is full: sync it, then try again",
            Self::TooLong => "the packet is too long for the ring",
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
    pub(crate) geo: &'p Geometry,
    taken: &'p AtomicBool,
    pub(crate) next: u32,
    pub(crate) tail: u32,
    dirty: bool,
}

impl Drop for TxRing<'_> {
    #[inline]
    fn drop(&mut self) {
        self.publish();
        self.taken.store(false, Ordering::Release);
    }
}

impl<'p> TxRing<'p> {
    #[inline]
    pub(crate) fn new(geo: &'p Geometry, taken: &'p AtomicBool) -> Self {
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

    /// Number of slots of the ring.
    pub fn num_slots(&self) -> u32 {
        self.geo.num_slots
    }

    /// Bytes of a buffer: longer packets take several slots.
    pub fn buf_size(&self) -> usize {
        self.geo.buf_size as usize
    }

    /// Queue a copy of `packet`, in several slots if it is longer than a buffer.
    pub fn push(&mut self, packet: &[u8]) -> Result<(), PushError> {
        let mut slots = self.slots_for(packet.len())?;
        let mut rest = packet;
        while slots > 0 {
            slots -= 1;
            let room = self.room().ok_or(PushError::Full)?.1;
            let (part, more) = rest.split_at(rest.len().min(room));
            let flags = if slots > 0 { NS_MOREFRAG } else { 0 };
            self.copy(part, flags)?;
            rest = more;
        }
        Ok(())
    }

    /// How many slots from the next one on this many bytes take, if they are free.
    fn slots_for(&self, bytes: usize) -> Result<u32, PushError> {
        let (mut i, mut n, mut room, free) = (self.next, 0, 0, self.space() as u32);
        loop {
            if n as usize == NETMAP_MAX_FRAGS || n == self.geo.num_slots - 1 {
                return Err(PushError::TooLong);
            }
            if n == free {
                // Would it fit if all were free?
                let most = NETMAP_MAX_FRAGS.min(self.geo.num_slots as usize - 1);
                let never = bytes > most * self.geo.buf_size as usize;
                return Err(if never {
                    PushError::TooLong
                } else {
                    PushError::Full
                });
            }
            let slot = self.geo.slot(i);
            let (_, bytes_here) = self.geo.room(slot, slot.buf_idx()).ok_or(PushError::Full)?;
            n += 1;
            room += bytes_here.min(u16::MAX.into()) as usize;
            if room >= bytes {
                return Ok(n);
            }
            i = self.geo.next(i);
        }
    }

    /// Where the packet of the next slot goes, and how many bytes it can have.
    pub(crate) fn room(&self) -> Option<(ptr::NonNull<u8>, usize)> {
        let slot = self.geo.slot(self.next);
        let (at, room) = self.geo.room(slot, slot.buf_idx())?;
        Some((at, room.min(u16::MAX.into()) as usize))
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
        if !slot.same_region(self.geo) {
            let more = slot.flags() & NS_MOREFRAG;
            return self.copy(slot.payload(), more).map_err(|_| slot);
        }
        slot.swap_whole(self.geo.slot(self.next));
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
        // In place without a look at the bytes; all else goes by forward_long().
        let same = from.mem_id == to.mem_id && (from.offset_mask | to.offset_mask) == 0;
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

    /// One slot's worth.
    fn copy(&mut self, part: &[u8], flags: u16) -> Result<(), PushError> {
        if self.next == self.tail {
            return Err(PushError::Full);
        }
        let (at, room) = self.room().ok_or(PushError::Full)?;
        if part.len() > room {
            return Err(PushError::TooLong);
        }
        // SAFETY: the free slot, and with it its buffer, is ours until it is
        // published; the part fits; it is not in this buffer, since a buffer is in
        // one place only.
        unsafe { ptr::copy_nonoverlapping(part.as_ptr(), at.as_ptr(), part.len()) };
        let slot = self.geo.slot(self.next);
        slot.set_len(part.len() as u16);
        slot.set_flags(flags);
        self.step();
        Ok(())
    }

    #[inline(always)]
    pub(crate) fn step(&mut self) {
        self.next = self.geo.next(self.next);
        self.dirty = true;
    }
}
