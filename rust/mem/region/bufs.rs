// SPDX-License-Identifier: GPL-2.0

//! The buffers of a region: who holds them, where they are, and their DMA mappings.

use kernel::error::Result;
use kernel::prelude::*;

use super::super::layout::{Layout, FIRST_BUF};
use super::super::owner::Owner;
use super::Inner;
use crate::os::chunk::{Chunk, RawBytes};
use crate::os::dma::{DmaDevice, DmaMap};

/// The region's buffers mapped for one device: one map per chunk, in the same order.
pub(super) struct DeviceMaps {
    dev: DmaDevice,
    maps: KVVec<DmaMap>,
    users: u32,
}

/// A run of buffers.
pub(super) struct BufChunk {
    pub(super) mem: Chunk,
    owner: KVec<Owner>,
}

/// The buffers that were given out, as one device sees them: for loops that look up many.
pub(crate) struct Given<'a> {
    layout: &'a Layout,
    chunks: &'a [BufChunk],
    maps: &'a [DmaMap],
}

impl Given<'_> {
    /// Bus address of a buffer, and whether it must be synced by hand.
    #[inline(always)]
    pub(crate) fn bus(&self, buf: u32) -> Option<(u64, bool)> {
        let (chunk, at) = self.layout.buffer(buf)?;
        if *self.chunks.get(chunk)?.owner.get(at)? == Owner::Free {
            return None;
        }
        let map = self.maps.get(chunk)?;
        Some((map.bus(self.layout.buf_offset(at))?, map.needs_sync()))
    }
}

impl Inner {
    /// The buffers that were given out, for an attached device.
    pub(crate) fn given(&self, dev: &DmaDevice) -> Option<Given<'_>> {
        let maps = &self.maps.iter().find(|m| m.dev.same(dev))?.maps;
        Some(Given {
            layout: &self.layout,
            chunks: &self.chunks,
            maps,
        })
    }

    /// Maps all buffers, present and future, for a device.
    ///
    /// # Errors
    ///
    /// ENOMEM.
    pub(crate) fn attach_device(&mut self, dev: &DmaDevice) -> Result {
        if let Some(maps) = self.maps.iter_mut().find(|m| m.dev.same(dev)) {
            maps.users += 1;
            return Ok(());
        }
        let mut maps = KVVec::with_capacity(self.chunks.len(), GFP_KERNEL)?;
        for chunk in &self.chunks {
            maps.push(
                DmaMap::new(dev, &chunk.mem, self.layout.buf_order())?,
                GFP_KERNEL,
            )?;
        }
        self.maps.push(
            DeviceMaps {
                dev: dev.clone(),
                maps,
                users: 1,
            },
            GFP_KERNEL,
        )?;
        Ok(())
    }

    /// Undoes one [`Inner::attach_device`]; the last one unmaps.
    pub(crate) fn detach_device(&mut self, dev: &DmaDevice) {
        if let Some(at) = self.maps.iter().position(|m| m.dev.same(dev)) {
            self.maps[at].users -= 1;
            if self.maps[at].users == 0 {
                let _ = self.maps.remove(at);
            }
        }
    }

    /// Bus address of a buffer for an attached device, and whether it must be synced by hand.
    pub(crate) fn bus(&self, dev: &DmaDevice, buf: u32) -> Option<(u64, bool)> {
        let (chunk, at) = self.layout.buffer(buf)?;
        let map = self
            .maps
            .iter()
            .find(|m| m.dev.same(dev))?
            .maps
            .get(chunk)?;
        Some((map.bus(at * self.layout.buf_size())?, map.needs_sync()))
    }

    /// Who holds a buffer; `None` for an index no buffer has.
    pub(crate) fn owner(&self, buf: u32) -> Option<Owner> {
        let (chunk, at) = self.layout.buffer(buf)?;
        self.chunks.get(chunk)?.owner.get(at).copied()
    }

    /// Changes who holds a buffer.
    pub(crate) fn set_owner(&mut self, buf: u32, owner: Owner) {
        if let Some((chunk, at)) = self.layout.buffer(buf) {
            let chunk = self.chunks.get_mut(chunk);
            if let Some(place) = chunk.and_then(|c| c.owner.get_mut(at)) {
                *place = owner;
            }
        }
    }

    /// The bytes of a buffer that was given out.
    pub(crate) fn bytes(&self, buf: u32, len: usize) -> Option<RawBytes> {
        let (chunk, at) = self.layout.buffer(buf)?;
        let chunk = self.chunks.get(chunk)?;
        if *chunk.owner.get(at)? == Owner::Free {
            return None;
        }
        let size = self.layout.buf_size();
        chunk.mem.bytes(at * size, len.min(size))
    }

    /// The 16 bits at byte `at` of a buffer, in network order.
    pub(crate) fn be16(&self, buf: u32, at: usize) -> Option<u16> {
        let (chunk, buffer) = self.layout.buffer(buf)?;
        let offset = buffer * self.layout.buf_size() + at;
        self.chunks.get(chunk)?.mem.be16(offset)
    }

    /// The first word of a buffer that was given out: extra buffers are chained through it.
    pub(crate) fn link(&self, buf: u32) -> Option<&crate::shm::Shared<u32>> {
        let (chunk, at) = self.layout.buffer(buf)?;
        let chunk = self.chunks.get(chunk)?;
        chunk.mem.word(at * self.layout.buf_size())
    }

    /// Takes a buffer from the pool, adding pages if it is empty.
    ///
    /// # Errors
    ///
    /// ENOMEM: all buffers are out, or no memory.
    pub(crate) fn alloc_buf(&mut self, owner: Owner) -> Result<u32> {
        if self.free.is_empty() {
            self.populate()?;
        }
        let buf = self.free.pop().ok_or(ENOMEM)?;
        self.set_owner(buf, owner);
        Ok(buf)
    }

    /// Returns a buffer to the pool; one that is there already stays.
    pub(crate) fn free_buf(&mut self, buf: u32) {
        if self.owner(buf).is_some_and(|o| o != Owner::Free) {
            self.set_owner(buf, Owner::Free);
            // There is room: `populate` reserved it for every buffer there is.
            let _ = self.free.push_within_capacity(buf);
        }
    }

    /// Returns a buffer to the pool unless a descriptor may hold it.
    pub(crate) fn free_loose(&mut self, buf: u32) {
        if self.owner(buf) == Some(Owner::Loose) {
            self.free_buf(buf);
        }
    }

    /// An fd has left the region: if nobody is left who may hold loose buffers, they go back to the
    /// pool. Programs lose some, by being killed between two slots, or with a chain of their own.
    pub(crate) fn sweep(&mut self) {
        if self.in_hands() {
            return;
        }
        let mut first = 0;
        for at in 0..self.chunks.len() {
            let count = self.layout.chunk_bufs(at) as u32;
            for buf in first..first + count {
                self.free_loose(buf);
            }
            first += count;
        }
    }

    /// Adds a run of buffers to the pool, mapped for every attached device.
    pub(crate) fn populate(&mut self) -> Result {
        let at = self.chunks.len();
        let count = self.layout.chunk_bufs(at);
        if count == 0 {
            return Err(ENOMEM);
        }
        let first = at * self.layout.bufs_per_chunk();
        let offset = self.layout.buf_pool() + first * self.layout.buf_size();
        // All that can fail comes first; what was done is undone by the loop's reverse below.
        self.free
            .reserve(first + count - self.free.len(), GFP_KERNEL)?;
        self.chunks.reserve(1, GFP_KERNEL)?;
        let chunk = BufChunk {
            mem: self.chunk(offset, self.layout.chunk_pages(at))?,
            owner: KVec::from_elem(Owner::Free, count, GFP_KERNEL)?,
        };
        for i in 0..self.maps.len() {
            let mapped = DmaMap::new(&self.maps[i].dev, &chunk.mem, self.layout.buf_order())
                .and_then(|map| Ok(self.maps[i].maps.push(map, GFP_KERNEL)?));
            if let Err(e) = mapped {
                for maps in self.maps.iter_mut() {
                    maps.maps.truncate(at);
                }
                return Err(e);
            }
        }
        self.chunks.push(chunk, GFP_KERNEL)?;
        let first = first as u32;
        // The last goes first, so that buffers are handed out in rising order.
        for buf in (first.max(FIRST_BUF)..first + count as u32).rev() {
            let _ = self.free.push_within_capacity(buf);
        }
        Ok(())
    }
}
