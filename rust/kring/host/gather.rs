// SPDX-License-Identifier: GPL-2.0

//! Frames out of a program's slots, for the stack.
//!
//! Each slot is read once. Its buffer may be any that was given out; a frame with a slot that cannot
//! be is left out whole.

use crate::kring::{Offsets, Shm};
use crate::mem::region::Inner;
use crate::os::skb::Batch;
use crate::ring::advance;
use crate::uapi::{MAX_FRAGS, NS_MOREFRAG};

/// A frame that ends within it is none.
const ETHERNET_HEADER: u32 = 14;

/// Slots with frames in them.
pub(in crate::kring) struct Source<'a> {
    /// The ring.
    pub(in crate::kring) shm: &'a Shm,
    /// Its region.
    pub(in crate::kring) mem: &'a Inner,
    /// Where frames begin in their buffers.
    pub(in crate::kring) offsets: Option<&'a Offsets>,
    /// Flags that are taken from the slots.
    pub(in crate::kring) clear: u16,
    /// Where the last slot's successor is.
    pub(in crate::kring) end: u32,
}

/// What became of a frame.
pub(in crate::kring) struct Gathered {
    /// Slot in which the next begins.
    pub(in crate::kring) next: u32,
    /// It is in the batch.
    pub(in crate::kring) good: bool,
    /// Slots it had.
    pub(in crate::kring) pieces: u32,
    /// Bytes in them.
    pub(in crate::kring) bytes: u32,
}

impl Source<'_> {
    /// Adds the frame that begins at slot `at` to the batch, which has room for any.
    pub(in crate::kring) fn frame(&self, batch: &mut Batch, at: u32) -> Gathered {
        let begin = batch.len();
        let mut frame = Gathered {
            next: at,
            good: true,
            pieces: 0,
            bytes: 0,
        };
        while let Some(slot) = self.shm.slots().get(frame.next as usize) {
            let (buf, (len, flags)) = (slot.buf_idx.get(), slot.len_and_flags());
            slot.set_len_and_flags(len, flags & !self.clear);
            frame.next = advance(frame.next, 1, self.shm.n);
            // The program may not have filled the rest of a frame: it is cut there.
            let more = flags & NS_MOREFRAG != 0 && frame.next != self.end;
            frame.pieces += 1;
            frame.bytes = frame.bytes.saturating_add(u32::from(len));
            let offset = match self.offsets {
                Some(offsets) => offsets.of(slot.ptr.get()),
                None => Some(0),
            };
            let fits = len != 0 && frame.pieces <= MAX_FRAGS as u32;
            let piece = offset.filter(|_| fits).and_then(|offset| {
                let end = offset as usize + usize::from(len);
                let inside = end <= self.shm.buf_size();
                inside.then(|| self.mem.bytes(buf, end)?.skip(offset as usize))?
            });
            match piece {
                Some(piece) if frame.good => batch.push(piece, more),
                _ => frame.good = false,
            }
            if !more {
                break;
            }
        }
        frame.good &= frame.bytes >= ETHERNET_HEADER;
        if !frame.good {
            batch.truncate(begin);
        }
        frame
    }
}
