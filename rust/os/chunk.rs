// SPDX-License-Identifier: GPL-2.0

//! Runs of pages that programs can map, and the typed views of them.

use core::ffi::c_void;
use core::ptr::NonNull;

use kernel::error::Result;
use kernel::prelude::*;
use kernel::sync::Arc;

use super::pin::Pinned;
use crate::ffi;
use crate::mem::layout::PAGE;
use crate::shm::{IfHeader, RingHeader, RxMeta, Shared, Slot, RING_OFS_OFFSET, SLOTS_OFFSET};

/// Pages, contiguous in the kernel's address space.
///
/// # Invariants
///
/// `ptr` is page-aligned and `pages` pages long, in a vmalloc area that stays until drop: its own, or
/// that of `pinned`. Programs may write to it at any time, so it is only ever seen through
/// [`Shared`] cells or raw pointers.
pub(crate) struct Chunk {
    ptr: NonNull<u8>,
    pages: usize,
    pinned: Option<Arc<Pinned>>,
}

// SAFETY: The area belongs to no thread, and all views of it are of `Sync` cells.
unsafe impl Send for Chunk {}
// SAFETY: As above.
unsafe impl Sync for Chunk {}

impl Chunk {
    /// Allocates `pages` zeroed pages, accounted to the calling process's memory cgroup.
    ///
    /// # Errors
    ///
    /// ENOMEM.
    pub(crate) fn new(pages: usize) -> Result<Self> {
        // SAFETY: Allocates or returns null.
        let ptr = unsafe { ffi::nm_chunk_alloc(pages as u32) };
        // INVARIANT: A fresh vmalloc area of that many pages.
        Ok(Chunk {
            ptr: NonNull::new(ptr.cast()).ok_or(ENOMEM)?,
            pages,
            pinned: None,
        })
    }

    /// Pages of a program's memory from byte `offset` on, as the program left them.
    ///
    /// # Errors
    ///
    /// EINVAL: there are not so many.
    pub(crate) fn of(pinned: &Arc<Pinned>, offset: usize, pages: usize) -> Result<Self> {
        // INVARIANT: Part of `pinned`, which this object keeps.
        Ok(Chunk {
            ptr: pinned.range(offset, pages).ok_or(EINVAL)?,
            pages,
            pinned: Some(pinned.clone()),
        })
    }

    /// Is every run of `1 << order` pages physically contiguous?
    pub(crate) fn contiguous(&self, order: u32) -> bool {
        let units = (self.pages >> order) as u32;
        // SAFETY: The chunk has that many pages.
        order == 0 || unsafe { ffi::nm_chunk_contiguous(self.as_ptr(), units, order) }
    }

    /// Pages in the run.
    pub(crate) fn pages(&self) -> usize {
        self.pages
    }

    /// The start, for the C side.
    pub(super) fn as_ptr(&self) -> *mut c_void {
        self.ptr.as_ptr().cast()
    }

    /// Address of page `index`, for the C side's fault handler.
    pub(super) fn page_addr(&self, index: usize) -> Option<*mut c_void> {
        // SAFETY: In bounds by the check.
        (index < self.pages).then(|| unsafe { self.ptr.add(index * PAGE) }.as_ptr().cast())
    }

    /// `count` cells of type `T` at byte `offset`.
    ///
    /// # Safety
    ///
    /// `T` must consist of [`Shared`] cells only.
    unsafe fn view<T>(&self, offset: usize, count: usize) -> &[T] {
        let end = count
            .checked_mul(core::mem::size_of::<T>())
            .and_then(|len| len.checked_add(offset));
        if end.is_none_or(|end| end > self.pages * PAGE) || offset % core::mem::align_of::<T>() != 0
        {
            return &[];
        }
        // SAFETY: In bounds and aligned by the checks (the area is page-aligned); zeroed at first,
        // and any bit pattern is valid for cells; the caller vouches for `T`.
        unsafe { core::slice::from_raw_parts(self.ptr.add(offset).cast().as_ptr(), count) }
    }

    /// The run as a ring's header; a chunk has at least one page.
    pub(crate) fn ring_header(&self) -> &RingHeader {
        // SAFETY: `RingHeader` is cells; 256 bytes are always there.
        unsafe { self.ptr.cast::<RingHeader>().as_ref() }
    }

    /// The run's slots, `n` of them; empty if they would not fit.
    pub(crate) fn slots(&self, n: u32) -> &[Slot] {
        // SAFETY: `Slot` is cells.
        unsafe { self.view(SLOTS_OFFSET, n as usize) }
    }

    /// `n` entries of metadata at byte `offset`; empty if they would not fit.
    pub(crate) fn rx_meta(&self, offset: usize, n: u32) -> &[RxMeta] {
        // SAFETY: `RxMeta` is cells.
        unsafe { self.view(offset, n as usize) }
    }

    /// The run as a `netmap_if`.
    pub(crate) fn if_header(&self) -> &IfHeader {
        // SAFETY: `IfHeader` is cells; 56 bytes are always there.
        unsafe { self.ptr.cast::<IfHeader>().as_ref() }
    }

    /// The ring offsets of a `netmap_if`, `n` of them; empty if they would not fit.
    pub(crate) fn ring_ofs(&self, n: usize) -> &[Shared<i64>] {
        // SAFETY: Cells.
        unsafe { self.view(RING_OFS_OFFSET, n) }
    }

    /// The word at byte `offset`.
    pub(crate) fn word(&self, offset: usize) -> Option<&Shared<u32>> {
        // SAFETY: Cells.
        unsafe { self.view(offset, 1) }.first()
    }

    /// The 16 bits at byte `offset`, in network order.
    pub(crate) fn be16(&self, offset: usize) -> Option<u16> {
        // SAFETY: Cells.
        let bytes = unsafe { self.view::<Shared<u8>>(offset, 2) };
        Some(u16::from_be_bytes([
            bytes.first()?.get(),
            bytes.get(1)?.get(),
        ]))
    }

    /// Zeroes everything.
    pub(crate) fn clear(&self) {
        // SAFETY: Cells.
        for word in unsafe { self.view::<Shared<u64>>(0, self.pages * PAGE / 8) } {
            word.set(0);
        }
    }

    /// `len` bytes at byte `offset`, as a raw place: the program may be writing there.
    pub(crate) fn bytes(&self, offset: usize, len: usize) -> Option<RawBytes> {
        let end = offset.checked_add(len)?;
        (end <= self.pages * PAGE).then(|| RawBytes {
            // SAFETY: In bounds by the check.
            ptr: unsafe { self.ptr.add(offset) }.as_ptr(),
            len,
        })
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        if self.pinned.is_none() {
            // SAFETY: Allocated by `nm_chunk_alloc`, freed once. Pages still mapped by a program
            // keep their own references.
            unsafe { ffi::nm_chunk_free(self.as_ptr()) };
        }
    }
}

/// Bytes of a [`Chunk`], valid as long as the chunk.
#[derive(Clone, Copy)]
pub(crate) struct RawBytes {
    /// First byte.
    pub(super) ptr: *const u8,
    /// How many.
    pub(super) len: usize,
}

// SAFETY: A place in memory that belongs to no thread.
unsafe impl Send for RawBytes {}

impl RawBytes {
    /// What is left behind the first `by` bytes; `None`: there are not that many.
    pub(crate) fn skip(self, by: usize) -> Option<Self> {
        let len = self.len.checked_sub(by)?;
        // SAFETY: Within the bytes, or at their end.
        let ptr = unsafe { self.ptr.add(by) };
        Some(RawBytes { ptr, len })
    }
}
