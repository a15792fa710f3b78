// SPDX-License-Identifier: GPL-2.0

//! Where the objects of a region are in its mapping.
//!
//! The address space is fixed when a region is made and costs nothing until an object is used. All
//! offsets are bytes and fit the 32 bits that legacy requests have for them.

use crate::shm::{Slot, SLOTS_OFFSET};

/// Bytes of a page.
pub(crate) const PAGE: usize = 4096;
/// Bytes of a buffer; two to a page. A frame longer than this spans several slots.
pub(crate) const BUF_SIZE: usize = 2048;
/// Most slots a ring may have: the 82599's longest descriptor ring.
pub(crate) const MAX_SLOTS: u32 = 4096;

/// `netmap_if` objects: one per registered fd.
pub(crate) const IF_COUNT: usize = 128;
/// Ring offsets a `netmap_if` has room for.
pub(crate) const MAX_RING_OFS: usize = (PAGE - crate::shm::RING_OFS_OFFSET) / 8;

/// Ring objects.
pub(crate) const RING_COUNT: usize = 256;
/// Pages of each: the header and [`MAX_SLOTS`] slots.
pub(crate) const RING_PAGES: usize =
    (SLOTS_OFFSET + MAX_SLOTS as usize * core::mem::size_of::<Slot>()).div_ceil(PAGE);

/// Buffers are allocated in runs of this many.
pub(crate) const BUFS_PER_CHUNK: usize = 128;
/// Pages of such a run.
pub(crate) const CHUNK_PAGES: usize = BUFS_PER_CHUNK * BUF_SIZE / PAGE;
/// Runs in a region.
pub(crate) const CHUNK_COUNT: usize = 2048;
/// Buffers in a region.
pub(crate) const BUF_COUNT: usize = CHUNK_COUNT * BUFS_PER_CHUNK;
/// First buffer a program can have: 0 means none, 1 is scratch.
pub(crate) const FIRST_BUF: u32 = 2;

/// Where the rings begin.
pub(crate) const RING_POOL: usize = IF_COUNT * PAGE;
/// Where the buffers begin.
pub(crate) const BUF_POOL: usize = RING_POOL + RING_COUNT * RING_PAGES * PAGE;
/// Size of the whole.
pub(crate) const MEMSIZE: usize = BUF_POOL + BUF_COUNT * BUF_SIZE;

const _: () = assert!(MEMSIZE <= u32::MAX as usize);

/// Where `netmap_if` number `i` is.
pub(crate) const fn if_offset(i: usize) -> usize {
    i * PAGE
}

/// Where ring object `i` is.
pub(crate) const fn ring_offset(i: usize) -> usize {
    RING_POOL + i * RING_PAGES * PAGE
}

/// What a page of the mapping belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A `netmap_if`, which is one page.
    If(usize),
    /// Page of a ring: object, page in it.
    Ring(usize, usize),
    /// Page of buffers: run, page in it.
    Bufs(usize, usize),
}

/// What page `pgoff` of the mapping belongs to; `None` beyond its end.
pub(crate) fn place(pgoff: u64) -> Option<Place> {
    let page = usize::try_from(pgoff)
        .ok()
        .filter(|&p| p < MEMSIZE / PAGE)?;
    let rings = RING_POOL / PAGE;
    let bufs = BUF_POOL / PAGE;
    Some(if page < rings {
        Place::If(page)
    } else if page < bufs {
        Place::Ring((page - rings) / RING_PAGES, (page - rings) % RING_PAGES)
    } else {
        Place::Bufs((page - bufs) / CHUNK_PAGES, (page - bufs) % CHUNK_PAGES)
    })
}

/// The run a buffer is in, and its byte offset there; `None` for an index that cannot be.
#[inline]
pub(crate) fn buffer(index: u32) -> Option<(usize, usize)> {
    let index = index as usize;
    (index >= FIRST_BUF as usize && index < BUF_COUNT)
        .then_some((index / BUFS_PER_CHUNK, index % BUFS_PER_CHUNK * BUF_SIZE))
}
