// SPDX-License-Identifier: GPL-2.0

//! Frames from programs into the kernel's stack.

use super::chunk::RawBytes;
use super::netdev::NetDev;
use crate::ffi;

/// Pieces handed to the stack at once.
pub(crate) const BATCH: usize = 2 * crate::uapi::MAX_FRAGS;

/// A batch of pieces of frames.
pub(crate) struct Batch {
    frags: [ffi::nm_frag; BATCH],
    len: usize,
}

// SAFETY: The pointers are to chunks' memory, which belongs to no thread.
unsafe impl Send for Batch {}

impl Batch {
    /// An empty batch.
    pub(crate) fn new() -> Self {
        const NONE: ffi::nm_frag = ffi::nm_frag {
            data: core::ptr::null(),
            len: 0,
            more: 0,
        };
        Batch {
            frags: [NONE; BATCH],
            len: 0,
        }
    }

    /// Pieces in it.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Forgets all pieces but the first `len`.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Pieces there is room for.
    pub(crate) fn room(&self) -> usize {
        BATCH - self.len
    }

    /// Adds a piece; `more`: the frame goes on in the next one.
    ///
    /// The chunk the bytes are in must outlive the next [`Batch::receive`].
    pub(crate) fn push(&mut self, bytes: RawBytes, more: bool) {
        if let Some(frag) = self.frags.get_mut(self.len) {
            *frag = ffi::nm_frag {
                data: bytes.ptr.cast(),
                len: bytes.len as u32,
                more: u32::from(more),
            };
            self.len += 1;
        }
    }

    /// Hands copies of all complete frames to the stack as received by `dev` on `queue`, and
    /// empties the batch. Returns how many frames the stack has taken.
    pub(crate) fn receive(&mut self, dev: &NetDev, queue: u32) -> u32 {
        let n = core::mem::take(&mut self.len) as u32;
        if n == 0 {
            return 0;
        }
        // SAFETY: The pieces are in chunks that are still there; process context.
        unsafe { ffi::nm_skb_receive(dev.as_ptr(), queue, self.frags.as_ptr(), n) }
    }
}
