// SPDX-License-Identifier: MIT OR Apache-2.0
//! The receiving side of a ring: acquire a batch, walk its slots, release them.
//!
//! The borrows are the protocol: slots live no longer than the walk over the
//! batch, each is handed out once, and the batch gives them back when it is
//! dropped. So no payload can be looked at after the kernel has it again.

use crate::abi::{NS_BUF_CHANGED, NS_MOREFRAG};
use crate::extra::ExtraBuf;
use crate::meta::RxMeta;
use crate::ring::{Geometry, SlotPtr, Word};
use std::sync::atomic::{AtomicBool, Ordering};

/// An RX ring of a [`crate::Port`], of its NIC or of the host: there, packets are
/// those the kernel sends. One at a time per ring.
#[derive(Debug)]
pub struct RxRing<'p> {
    pub(crate) geo: &'p Geometry,
    pub(crate) taken: &'p AtomicBool,
}

impl Drop for RxRing<'_> {
    fn drop(&mut self) {
        self.taken.store(false, Ordering::Release);
    }
}

impl RxRing<'_> {
    /// Everything that has arrived by the last sync or poll and is not released.
    #[inline]
    pub fn acquire(&mut self) -> Batch<'_> {
        let (head, tail) = self.geo.range();
        Batch {
            geo: self.geo,
            next: head,
            end: tail,
        }
    }

    /// Number of slots of the ring.
    pub fn num_slots(&self) -> u32 {
        self.geo.num_slots
    }

    /// Bytes of a buffer: longer packets take several slots.
    pub fn buf_size(&self) -> usize {
        self.geo.buf_size as usize
    }
}

/// Slots that are the program's. Dropping it releases those that were walked
/// over; the others are in the next batch again.
#[derive(Debug)]
pub struct Batch<'r> {
    geo: &'r Geometry,
    next: u32,
    end: u32,
}

impl Batch<'_> {
    /// Slots not walked over yet.
    #[inline]
    pub fn len(&self) -> usize {
        distance(self.geo, self.next, self.end) as usize
    }

    /// Is there none?
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.next == self.end
    }

    /// Walk over the slots.
    #[inline]
    pub fn slots(&mut self) -> Slots<'_> {
        Slots {
            geo: self.geo,
            cur: self.next,
            end: self.end,
            next: &mut self.next,
        }
    }

    /// Release nothing: the same slots come with the next batch.
    pub fn hold(self) {
        std::mem::forget(self);
    }
}

impl Drop for Batch<'_> {
    #[inline]
    fn drop(&mut self) {
        self.geo.advance(self.next);
    }
}

/// Slots from `from` up to `to`.
pub(crate) fn distance(geo: &Geometry, from: u32, to: u32) -> u32 {
    if to >= from {
        to - from
    } else {
        to + geo.num_slots - from
    }
}

/// The slots and bytes of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Slots.
    pub slots: u32,
    /// Bytes in all of them.
    pub bytes: u32,
}

/// A walk over the slots of a batch, each once.
#[derive(Debug)]
pub struct Slots<'b> {
    pub(crate) geo: &'b Geometry,
    pub(crate) cur: u32,
    pub(crate) end: u32,
    next: &'b mut u32,
}

impl Slots<'_> {
    /// Packets and bytes of all that is left: the whole of a loop that only
    /// counts, a few instructions per packet.
    pub fn count(self) -> (u64, u64) {
        let (n, parts, bytes) = (self.len() as u64, 0u64, 0u64);
        let (parts, bytes) = self.fold((parts, bytes), |(parts, bytes), s| {
            (
                parts + u64::from(s.word.has(NS_MOREFRAG)),
                bytes + u64::from(s.word.len()),
            )
        });
        (n - parts, bytes)
    }

    /// The slot at `i`, where the ring is.
    #[inline(always)]
    pub(crate) fn at(&self, i: u32) -> RxSlot<'_> {
        RxSlot::new(self.geo, i)
    }

    /// The packet that begins at the next slot; None at the end, or while it has
    /// not come completely.
    #[inline]
    pub fn peek_packet(&self) -> Option<Shape> {
        if self.cur == self.end {
            return None;
        }
        let slot = self.geo.slot(self.cur);
        if slot.flags() & NS_MOREFRAG == 0 {
            return Some(Shape {
                slots: 1,
                bytes: slot.len().into(),
            });
        }
        self.peek_long()
    }

    #[cold]
    fn peek_long(&self) -> Option<Shape> {
        let mut shape = Shape { slots: 0, bytes: 0 };
        let mut i = self.cur;
        while i != self.end {
            let slot = self.geo.slot(i);
            shape.slots += 1;
            shape.bytes += u32::from(slot.len());
            if slot.flags() & NS_MOREFRAG == 0 {
                return Some(shape);
            }
            i = self.geo.next(i);
        }
        None
    }
}

impl Drop for Slots<'_> {
    #[inline]
    fn drop(&mut self) {
        *self.next = self.cur;
    }
}

impl<'b> Iterator for Slots<'b> {
    type Item = RxSlot<'b>;

    #[inline(always)]
    fn next(&mut self) -> Option<RxSlot<'b>> {
        if self.cur == self.end {
            return None;
        }
        let slot = RxSlot::new(self.geo, self.cur);
        self.cur = self.geo.next(self.cur);
        Some(slot)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let n = distance(self.geo, self.cur, self.end) as usize;
        (n, Some(n))
    }

    /// Two plain loops, before and after the wrap: this is what `for_each`, `sum`
    /// and the like run on, without a test for the wrap per slot.
    #[inline]
    fn fold<B, F: FnMut(B, RxSlot<'b>) -> B>(mut self, init: B, mut f: F) -> B {
        let geo = self.geo;
        let mut acc = init;
        let (mut i, end) = (self.cur, self.end);
        let slot = |i| RxSlot::new(geo, i);
        if i > end {
            while i < geo.num_slots {
                acc = f(acc, slot(i));
                i += 1;
            }
            i = 0;
        }
        while i < end {
            acc = f(acc, slot(i));
            i += 1;
        }
        self.cur = end;
        acc
    }
}

impl ExactSizeIterator for Slots<'_> {}

/// One received slot: a packet, or a part of one.
#[derive(Debug)]
pub struct RxSlot<'b> {
    geo: &'b Geometry,
    slot: SlotPtr,
    /// Read once: what the shared memory says later does not count.
    word: Word,
}

impl<'b> RxSlot<'b> {
    #[inline(always)]
    pub(crate) fn new(geo: &'b Geometry, i: u32) -> Self {
        let slot = geo.slot(i);
        Self {
            geo,
            slot,
            word: slot.word(),
        }
    }
}

impl RxSlot<'_> {
    /// Bytes in this slot.
    // u16 is the width in the ring.
    #[inline(always)]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> u16 {
        self.word.len() as u16
    }

    /// The `NS_*` flags.
    #[inline(always)]
    pub fn flags(&self) -> u16 {
        self.word.flags()
    }

    /// The packet goes on in the next slot.
    #[inline(always)]
    pub fn more_frags(&self) -> bool {
        self.word.has(NS_MOREFRAG)
    }

    /// The bytes, without copying. Empty if the slot has no buffer.
    #[inline]
    pub fn payload(&self) -> &[u8] {
        match self.geo.room(self.slot, self.word.buf_idx()) {
            Some((buf, room)) => {
                let len = self.word.len().min(room) as usize;
                // SAFETY: the buffer is inside the mapping and len within the buffer.
                // The slot lies between head and tail and was handed out once, so
                // neither kernel nor NIC nor another slot of ours touches the buffer
                // before the batch, which we borrow from, is dropped.
                unsafe { std::slice::from_raw_parts(buf.as_ptr(), len) }
            }
            None => &[],
        }
    }

    /// What the card knows about the packet, if the port was opened with
    /// [`crate::Builder::rx_metadata`]; on the last slot of a packet of several.
    #[inline]
    pub fn meta(&self) -> Option<RxMeta> {
        self.geo.meta(self.slot).map(RxMeta::from)
    }

    /// Keep the packet beyond the batch: it moves into `buf`, whose buffer takes
    /// its place in the ring. Nothing is copied.
    pub fn swap(self, buf: &mut ExtraBuf<'_>) {
        // Extra buffers have no slot to keep an offset in.
        if !buf.same_region(self.geo) || self.geo.offset_mask != 0 {
            buf.copy_from(self.payload());
            return;
        }
        let idx = buf.replace(self.word.buf_idx(), self.len());
        self.slot.set_buf_idx(idx);
        self.slot.set_flags(self.flags() | NS_BUF_CHANGED);
    }

    /// Can buffers change places with those of this ring?
    #[inline(always)]
    pub(crate) fn same_region(&self, other: &Geometry) -> bool {
        self.geo.mem_id == other.mem_id && self.geo.offset_mask == other.offset_mask
    }

    /// Move the buffer to `tx`, a free slot of the same memory, and its buffer here;
    /// the offsets with them.
    #[inline]
    pub(crate) fn swap_whole(self, tx: SlotPtr) {
        if self.geo.offset_mask != 0 {
            let offset = self.slot.ptr();
            self.slot.set_ptr(tx.ptr());
            tx.set_ptr(offset);
        }
        self.swap_with(tx);
    }

    /// The same where neither ring has offsets.
    #[inline(always)]
    pub(crate) fn swap_with(self, tx: SlotPtr) {
        let free = tx.word();
        tx.set_word(self.word.with_buffer_of(self.word, NS_MOREFRAG));
        self.slot.set_word(self.word.with_buffer_of(free, u16::MAX));
    }
}
