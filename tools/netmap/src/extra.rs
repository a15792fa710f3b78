// SPDX-License-Identifier: MIT OR Apache-2.0
//! Extra buffers: packet buffers that belong to the file and to no ring, for
//! programs that keep packets longer than a batch.
//!
//! The kernel hands them out as a list threaded through the first four bytes of
//! each, starting in `netmap_if`; what is on that list at close is freed. An
//! [`ExtraBuf`] is off the list while it exists.

use crate::ring::Geometry;
use std::ptr::{self, NonNull};

/// One buffer off the list; goes back when dropped.
#[derive(Debug)]
pub struct ExtraBuf<'p> {
    geo: Geometry,
    list: ListHead<'p>,
    idx: u32,
    len: u16,
}

/// `ni_bufs_head` of a port.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListHead<'p> {
    word: NonNull<u32>,
    _port: std::marker::PhantomData<&'p ()>,
}

impl<'p> ListHead<'p> {
    /// # Safety
    /// `word` is the aligned list head of a mapping that lives for `'p`, and is
    /// used by one thread at a time.
    pub(crate) unsafe fn new(word: NonNull<u32>) -> Self {
        Self {
            word,
            _port: std::marker::PhantomData,
        }
    }

    fn get(&self) -> u32 {
        // SAFETY: new()'s contract; volatile because the memory is shared.
        unsafe { ptr::read_volatile(self.word.as_ptr()) }
    }

    fn set(&self, idx: u32) {
        // SAFETY: as above.
        unsafe { ptr::write_volatile(self.word.as_ptr(), idx) }
    }

    /// Take the first buffer off the list.
    pub(crate) fn take(self, geo: &Geometry) -> Option<ExtraBuf<'p>> {
        let idx = self.get();
        if idx == 0 {
            return None;
        }
        let buf = geo.buffer(idx)?;
        // SAFETY: a buffer on the list is ours and at least 64 bytes long.
        self.set(unsafe { ptr::read_unaligned(buf.as_ptr().cast::<u32>()) });
        Some(ExtraBuf {
            geo: *geo,
            list: self,
            idx,
            len: 0,
        })
    }
}

impl ExtraBuf<'_> {
    /// The packet in it.
    pub fn payload(&self) -> &[u8] {
        let len = u32::from(self.len).min(self.geo.buf_size) as usize;
        match self.geo.buffer(self.idx) {
            // SAFETY: the buffer is inside the mapping, in no ring, and ours
            // while self exists; only &mut self changes it.
            Some(buf) => unsafe { std::slice::from_raw_parts(buf.as_ptr(), len) },
            None => &[],
        }
    }

    /// Fill it with a copy, cut to the buffer's size.
    pub fn copy_from(&mut self, bytes: &[u8]) {
        let len = bytes
            .len()
            .min(self.geo.buf_size as usize)
            .min(usize::from(u16::MAX));
        if let Some(buf) = self.geo.buffer(self.idx) {
            // SAFETY: as in payload(), exclusively borrowed; len fits.
            unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), buf.as_ptr(), len) };
            self.len = len as u16;
        }
    }

    pub(crate) fn same_region(&self, other: &Geometry) -> bool {
        self.geo.mem_id == other.mem_id
    }

    /// Put another buffer in; returns the one that was there.
    pub(crate) fn replace(&mut self, idx: u32, len: u16) -> u32 {
        self.len = len;
        std::mem::replace(&mut self.idx, idx)
    }
}

impl Drop for ExtraBuf<'_> {
    fn drop(&mut self) {
        if let Some(buf) = self.geo.buffer(self.idx) {
            // SAFETY: as in payload(); 4 of at least 64 bytes.
            unsafe { ptr::write_unaligned(buf.as_ptr().cast::<u32>(), self.list.get()) };
            self.list.set(self.idx);
        }
    }
}
