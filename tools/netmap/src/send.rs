// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sending without copying: packets written where they lie, buffers that change
//! places, and what has become of what was sent.

use crate::abi::{NS_BUF_CHANGED, NS_REPORT};
use crate::extra::ExtraBuf;
use crate::tx::{PushError, TxRing};

impl TxRing<'_> {
    /// Queue a packet that `write` puts into the buffer it is given, returning its
    /// length; None queues nothing. A buffer holds what was in it last.
    pub fn write(
        &mut self,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Result<bool, PushError> {
        if self.next == self.tail {
            return Err(PushError::Full);
        }
        let (at, room) = self.room().ok_or(PushError::Full)?;
        // SAFETY: the free slot, and with it its buffer, is ours until it is published;
        // `room` bytes are inside the buffer; nothing else refers to it, since a
        // buffer is in one place only and self is borrowed exclusively.
        let buf = unsafe { std::slice::from_raw_parts_mut(at.as_ptr(), room) };
        let Some(len) = write(buf) else {
            return Ok(false);
        };
        let slot = self.geo.slot(self.next);
        slot.set_len(len.min(room) as u16);
        slot.set_flags(0);
        self.step();
        Ok(true)
    }

    /// Queue packets by [`Self::write`] until there are `max` of them, the ring is
    /// full or `write` says None; how many.
    pub fn fill(&mut self, max: usize, mut write: impl FnMut(&mut [u8]) -> Option<usize>) -> usize {
        (0..max)
            .take_while(|_| self.write(&mut write) == Ok(true))
            .count()
    }

    /// Queue the packet in `buf` without a copy; `buf` gets the slot's buffer, empty.
    /// Between two regions, and on rings with offsets, the bytes are copied.
    pub fn send(&mut self, buf: &mut ExtraBuf<'_>) -> Result<(), PushError> {
        if self.geo.offset_mask != 0 || !buf.same_region(self.geo) {
            return self.push(buf.payload());
        }
        if self.next == self.tail {
            return Err(PushError::Full);
        }
        let slot = self.geo.slot(self.next);
        let len = buf.payload().len() as u16;
        let idx = buf.replace(slot.buf_idx(), 0);
        slot.set_buf_idx(idx);
        slot.set_len(len);
        slot.set_flags(NS_BUF_CHANGED);
        self.step();
        Ok(())
    }

    /// Have the completion of the packet queued last reported at once; without it the
    /// kernel may learn of completions in batches.
    pub fn report(&mut self) {
        let (head, _) = self.geo.range();
        if self.next != head {
            let last = match self.next {
                0 => self.geo.num_slots - 1,
                n => n - 1,
            };
            let slot = self.geo.slot(last);
            slot.set_flags(slot.flags() | NS_REPORT);
        }
    }

    /// Slots published but not known to be sent, by the last sync.
    pub fn in_flight(&self) -> usize {
        self.geo.in_flight() as usize
    }
}
