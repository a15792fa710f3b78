// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sending side of a ring. What a program mostly sends on is the host TX
//! ring: packets put there enter the kernel's stack as if the port had received
//! them.
//!
//! Slots are filled in order and made visible together when the ring is dropped
//! or [`TxRing::publish`] is called; the next `poll` or txsync takes them.

use crate::abi::{NS_BUF_CHANGED, NS_MOREFRAG};
use crate::ring::Geometry;
use crate::rx::{distance, RxSlot};
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
        let (from, rx) = slot.parts();
        if from.mem_id != self.geo.mem_id {
            let more = rx.flags() & NS_MOREFRAG;
            return self.copy(slot.payload(), more).map_err(|_| slot);
        }
        let tx = self.geo.slot(self.next);
        let idx = rx.buf_idx();
        rx.set_buf_idx(tx.buf_idx());
        tx.set_buf_idx(idx);
        tx.set_len(rx.len());
        let flags = rx.flags();
        tx.set_flags((flags & NS_MOREFRAG) | NS_BUF_CHANGED);
        rx.set_flags(flags | NS_BUF_CHANGED);
        self.step();
        Ok(())
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
