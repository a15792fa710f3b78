// SPDX-License-Identifier: GPL-2.0

//! How much of a region is in use.

use super::{Kind, Region};
use crate::mem::layout::FIRST_BUF;

/// What the listing shows of a region.
pub(crate) struct Usage {
    /// Whose it is.
    pub(crate) uid: u32,
    /// Cookie of its network namespace.
    pub(crate) netns: u64,
    /// Whom it serves, in words.
    pub(crate) kind: &'static str,
    /// `netmap_if` objects in use.
    pub(crate) ifs: usize,
    /// Ring objects in use.
    pub(crate) rings: usize,
    /// Buffers that have pages.
    pub(crate) bufs: usize,
    /// Those of them that nobody holds.
    pub(crate) free: usize,
    /// Devices all of this is mapped for.
    pub(crate) devices: usize,
}

impl Region {
    /// As it is now.
    pub(crate) fn usage(&self) -> Usage {
        let inner = self.lock();
        let bufs: usize = (0..inner.chunks.len())
            .map(|i| self.layout.chunk_bufs(i))
            .sum();
        Usage {
            uid: self.key.uid,
            netns: self.key.netns,
            kind: match self.kind {
                Kind::Default => "default",
                Kind::Private => "private",
                Kind::External(_) => "external",
            },
            ifs: inner.ifs.iter().filter(|o| o.used).count(),
            rings: inner.rings.iter().filter(|o| o.used).count(),
            bufs: bufs.saturating_sub(FIRST_BUF as usize),
            free: inner.free.len(),
            devices: inner.maps.len(),
        }
    }
}
