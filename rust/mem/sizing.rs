// SPDX-License-Identifier: GPL-2.0

//! How large a region is: chosen from the ports in use, or fitted into memory a program brings.
//!
//! Address space costs nothing, so a region of the kernel's memory is made large enough for all
//! that its user can have bound. A program's memory is there from the start: what the program does
//! not ask for is left to the buffers. Only `core` is used.

use super::layout::{ring_bytes, Layout, FIRST_BUF, MAX_SLOTS, PAGE};
use crate::uapi::ctrl::PoolsInfo;

/// Most `netmap_if` objects of a region, as netmap has it.
const MAX_IFS: u32 = 10_000;
/// Most ring objects of a region, as netmap has it.
const MAX_RINGS: u32 = 1024;
/// Most pages a ring object is asked to have.
const MAX_RING_PAGES: u32 = 64;
/// Largest buffer: the most the 82599 receives into one.
const MAX_BUF_SHIFT: u32 = 14;
/// Smallest and default buffer.
const MIN_BUF_SHIFT: u32 = 11;
/// Extra buffers there is room for beside the rings'.
const SPARE_BUFS: u64 = 4 * 16_384;
/// Most pages of a region: offsets have 32 bits.
const MAX_PAGES: u64 = u32::MAX as u64 / PAGE as u64;

/// Why memory cannot be a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// Objects of that size or number cannot be.
    Impossible,
    /// The memory is too small for them.
    TooSmall,
}

impl Layout {
    /// For ports with `rings` rings, TX and host rings included, of `slots` slots in all.
    ///
    /// Twice what they need, because buffers are swapped with those of other rings; and as much as
    /// 32-bit offsets allow.
    pub(crate) fn for_ports(rings: u64, slots: u64) -> Layout {
        let floor = Layout::FLOOR;
        let rings = rings.saturating_mul(2);
        let rings = rings.clamp(u64::from(floor.rings), u64::from(MAX_RINGS));
        let before = u64::from(floor.ifs) + rings * u64::from(floor.ring_pages);
        let bufs = slots.saturating_mul(2).saturating_add(SPARE_BUFS);
        let most = (MAX_PAGES - before) * PAGE as u64 / floor.buf_size() as u64;
        // Whole runs, so that none is left in part.
        let bufs = bufs.min(most) / floor.bufs_per_chunk() as u64 * floor.bufs_per_chunk() as u64;
        Layout {
            rings: rings as u32,
            bufs: (bufs as u32).max(floor.bufs),
            ..floor
        }
    }

    /// The largest region in `bytes` bytes, with as many objects of each size as `ask` says; 0 means
    /// what is best.
    ///
    /// `netmap_if` objects and rings are there in the number asked for, buffers as far as they fit.
    /// Sizes are rounded up: to pages, buffers to a power of two.
    ///
    /// # Errors
    ///
    /// See [`Unfit`].
    pub(crate) fn within(bytes: u64, ask: &PoolsInfo) -> Result<Layout, Unfit> {
        let pages = (bytes / PAGE as u64).min(MAX_PAGES) as u32;
        let (ifs, rings) = (ask.nr_if_pool_objtotal, ask.nr_ring_pool_objtotal);
        if ifs > MAX_IFS
            || rings > MAX_RINGS
            || ask.nr_if_pool_objsize > PAGE as u32
            || ask.nr_ring_pool_objsize > MAX_RING_PAGES * PAGE as u32
            || ask.nr_buf_pool_objsize > 1 << MAX_BUF_SHIFT
        {
            return Err(Unfit::Impossible);
        }
        let ring_pages = match ask.nr_ring_pool_objsize {
            0 => ring_bytes(MAX_SLOTS, false).div_ceil(PAGE) as u32,
            size => size.div_ceil(PAGE as u32),
        };
        let buf_shift = ask
            .nr_buf_pool_objsize
            .max(1 << MIN_BUF_SHIFT)
            .next_power_of_two()
            .trailing_zeros();
        let ifs = match ifs {
            0 => (pages / 64).clamp(1, Layout::FLOOR.ifs),
            ifs => ifs,
        };
        let rings = match rings {
            0 => (pages / 4)
                .checked_div(ring_pages)
                .unwrap_or(0)
                .clamp(1, Layout::FLOOR.rings),
            rings => rings,
        };
        // A large buffer begins at a multiple of its size, so that it can lie in one huge page.
        let buf_pages = (1u32.wrapping_shl(buf_shift) / PAGE as u32).max(1);
        let before = (ifs + rings * ring_pages).next_multiple_of(buf_pages);
        let ifs = before - rings * ring_pages;
        let left = pages.checked_sub(before).ok_or(Unfit::TooSmall)? / buf_pages * buf_pages;
        let fit = (u64::from(left) * PAGE as u64) >> buf_shift;
        let asked = match ask.nr_buf_pool_objtotal {
            0 => u64::MAX,
            // Whole pages.
            n => u64::from(n).next_multiple_of(2),
        };
        let bufs = fit.min(asked) as u32;
        if bufs <= FIRST_BUF {
            return Err(Unfit::TooSmall);
        }
        Ok(Layout {
            ifs,
            rings,
            ring_pages,
            bufs,
            buf_shift,
        })
    }
}
