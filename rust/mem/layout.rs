// SPDX-License-Identifier: GPL-2.0

//! Where the objects of a region are in its mapping.
//!
//! The address space is fixed when a region is made and costs nothing until an object is used. All
//! offsets are bytes and fit the 32 bits that legacy requests have for them. Only `core` is used.

use crate::shm::{RxMeta, Slot, RING_OFS_OFFSET, SLOTS_OFFSET};
use crate::uapi::ctrl::PoolsInfo;

/// Bytes of a page.
pub(crate) const PAGE: usize = 4096;
/// Most slots a ring may have: the 82599's longest descriptor ring.
pub(crate) const MAX_SLOTS: u32 = 4096;
/// Ring offsets a `netmap_if`, which is one page, has room for.
pub(crate) const MAX_RING_OFS: usize = (PAGE - RING_OFS_OFFSET) / 8;

/// Bytes of a slot's metadata entry, for rings that have them.
pub(crate) const META_SIZE: usize = core::mem::size_of::<RxMeta>();
/// Pages of the ring object with the most slots and metadata; other rings leave the rest unused.
pub(crate) const RING_PAGES: usize = ring_bytes(MAX_SLOTS, true).div_ceil(PAGE);

/// Pages are allocated for buffers in runs of this many bytes.
const CHUNK_SHIFT: u32 = 18;
/// Pages of such a run.
pub(crate) const CHUNK_PAGES: usize = (1 << CHUNK_SHIFT) / PAGE;
/// First buffer a program can have: 0 means none, 1 is scratch.
pub(crate) const FIRST_BUF: u32 = 2;

/// Where a ring's metadata entries begin in it.
pub(crate) const fn meta_offset(slots: u32) -> usize {
    (SLOTS_OFFSET + slots as usize * core::mem::size_of::<Slot>()).next_multiple_of(64)
}

/// Bytes a ring object with that many slots needs.
pub(crate) const fn ring_bytes(slots: u32, meta: bool) -> usize {
    meta_offset(slots) + if meta { slots as usize * META_SIZE } else { 0 }
}

/// The three pools of a region: `netmap_if` objects of one page each, then rings, then buffers.
///
/// # Invariants
///
/// The whole is at most `u32::MAX` bytes, and the buffers are whole pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(super) ifs: u32,
    pub(super) rings: u32,
    pub(super) ring_pages: u32,
    pub(super) bufs: u32,
    pub(super) buf_shift: u32,
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

impl Layout {
    /// The least a region made of the kernel's memory has.
    pub(crate) const FLOOR: Layout = Layout {
        ifs: 128,
        rings: 256,
        ring_pages: RING_PAGES as u32,
        bufs: 262_144,
        buf_shift: 11,
    };

    /// `netmap_if` objects: one per registered fd.
    pub(crate) const fn if_count(&self) -> usize {
        self.ifs as usize
    }

    /// Bytes of each.
    pub(crate) const fn if_size(&self) -> usize {
        PAGE
    }

    /// Ring objects.
    pub(crate) const fn ring_count(&self) -> usize {
        self.rings as usize
    }

    /// Bytes of each: the most a ring can be.
    pub(crate) const fn ring_size(&self) -> usize {
        self.ring_pages as usize * PAGE
    }

    /// Buffers, those that no program can have included.
    pub(crate) const fn buf_count(&self) -> usize {
        self.bufs as usize
    }

    /// Bytes of a buffer, a power of two. A frame longer than this spans several slots.
    #[inline(always)]
    pub(crate) const fn buf_size(&self) -> usize {
        1usize.wrapping_shl(self.buf_shift)
    }

    /// A buffer is physically contiguous: in a page with others, or in `1 << order` pages.
    pub(crate) const fn buf_order(&self) -> u32 {
        self.buf_shift.saturating_sub(PAGE.trailing_zeros())
    }

    /// Where the rings begin.
    pub(crate) const fn ring_pool(&self) -> usize {
        self.ifs as usize * PAGE
    }

    /// Where the buffers begin.
    pub(crate) const fn buf_pool(&self) -> usize {
        self.ring_pool() + self.ring_count() * self.ring_size()
    }

    /// Size of the whole.
    pub(crate) const fn memsize(&self) -> usize {
        self.buf_pool() + self.buf_count().wrapping_shl(self.buf_shift)
    }

    /// Where `netmap_if` number `i` is.
    pub(crate) const fn if_offset(&self, i: usize) -> usize {
        i * PAGE
    }

    /// Where ring object `i` is.
    pub(crate) const fn ring_offset(&self, i: usize) -> usize {
        self.ring_pool() + i * self.ring_size()
    }

    /// Buffers to a run; the last run may have fewer.
    pub(crate) const fn bufs_per_chunk(&self) -> usize {
        1usize.wrapping_shl(CHUNK_SHIFT.wrapping_sub(self.buf_shift))
    }

    /// Where buffer number `i` of a run is in it.
    #[inline(always)]
    pub(crate) const fn buf_offset(&self, i: usize) -> usize {
        i.wrapping_shl(self.buf_shift)
    }

    /// Buffers in run `i`.
    pub(crate) fn chunk_bufs(&self, i: usize) -> usize {
        let before = i.saturating_mul(self.bufs_per_chunk());
        (self.buf_count().saturating_sub(before)).min(self.bufs_per_chunk())
    }

    /// Pages of run `i`.
    pub(crate) fn chunk_pages(&self, i: usize) -> usize {
        self.chunk_bufs(i).wrapping_shl(self.buf_shift) / PAGE
    }

    /// As POOLS_INFO_GET and the EXTMEM option tell it.
    pub(crate) fn pools_info(&self, mem_id: u16) -> PoolsInfo {
        PoolsInfo {
            nr_memsize: self.memsize() as u64,
            nr_mem_id: mem_id,
            pad: [0; 3],
            nr_if_pool_offset: 0,
            nr_if_pool_objtotal: self.ifs,
            nr_if_pool_objsize: self.if_size() as u32,
            nr_ring_pool_offset: self.ring_pool() as u64,
            nr_ring_pool_objtotal: self.rings,
            nr_ring_pool_objsize: self.ring_size() as u32,
            nr_buf_pool_offset: self.buf_pool() as u64,
            nr_buf_pool_objtotal: self.bufs,
            nr_buf_pool_objsize: self.buf_size() as u32,
        }
    }

    /// What page `pgoff` of the mapping belongs to; `None` beyond its end.
    pub(crate) fn place(&self, pgoff: u64) -> Option<Place> {
        let page = usize::try_from(pgoff)
            .ok()
            .filter(|&p| p < self.memsize() / PAGE)?;
        let rings = self.ring_pool() / PAGE;
        let bufs = self.buf_pool() / PAGE;
        let ring = |page: usize| {
            let object = page.checked_div(self.ring_pages as usize)?;
            Some(Place::Ring(
                object,
                page - object * self.ring_pages as usize,
            ))
        };
        Some(if page < rings {
            Place::If(page)
        } else if page < bufs {
            ring(page - rings)?
        } else {
            Place::Bufs((page - bufs) / CHUNK_PAGES, (page - bufs) % CHUNK_PAGES)
        })
    }

    /// The run a buffer is in, and its number there; `None` for an index that cannot be.
    #[inline]
    pub(crate) const fn buffer(&self, index: u32) -> Option<(usize, usize)> {
        if index < FIRST_BUF || index >= self.bufs {
            return None;
        }
        let index = index as usize;
        let chunk = index.wrapping_shr(CHUNK_SHIFT.wrapping_sub(self.buf_shift));
        Some((chunk, index & self.bufs_per_chunk().wrapping_sub(1)))
    }
}

const _: () = assert!(Layout::FLOOR.memsize() <= u32::MAX as usize);
