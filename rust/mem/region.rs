// SPDX-License-Identifier: GPL-2.0

//! Regions: the pages behind the pools, who owns which buffer, and their DMA mappings.
//!
//! One region per user and network namespace, so that all ports of one user share buffers without
//! copying and users cannot see each other's. Pages are allocated when a ring needs them, zeroed,
//! and stay until the last fd of the region is released: a program may have them mapped.
//!
//! A region's lock is the innermost of all but the wait queues': fd, rtnl, port, ring, region.

use kernel::error::Result;
use kernel::prelude::*;
use kernel::sync::{lock::mutex::MutexBackend, lock::Guard, new_mutex, Arc, Mutex};

use super::layout::{Layout, Place, FIRST_BUF, PAGE};
use super::owner::Owner;
use crate::kring::rx::RxRing;
use crate::os::chunk::{Chunk, RawBytes};
use crate::os::dma::{DmaDevice, DmaMap};
use crate::os::Caller;

/// Whose a region is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    uid: u32,
    netns: u64,
}

/// Memory that programs of one user map.
#[pin_data]
pub(crate) struct Region {
    /// `nr_mem_id` of requests.
    pub(crate) id: u16,
    key: Key,
    layout: Layout,
    #[pin]
    inner: Mutex<Inner>,
}

/// The part under the region's lock. Fields are dropped in this order: mappings before pages.
pub(crate) struct Inner {
    layout: Layout,
    maps: KVec<DeviceMaps>,
    chunks: KVVec<BufChunk>,
    free: KVVec<u32>,
    rings: KVec<RingObject>,
    ifs: KVec<IfObject>,
}

/// The region's buffers mapped for one device: one map per chunk, in the same order.
struct DeviceMaps {
    dev: DmaDevice,
    maps: KVVec<DmaMap>,
    users: u32,
}

struct BufChunk {
    mem: Chunk,
    owner: KVec<Owner>,
}

struct RingObject {
    mem: Arc<Chunk>,
    used: bool,
    /// The NIC ring that lives in it, for claims on its buffers.
    ring: Option<Arc<RxRing>>,
}

struct IfObject {
    mem: Arc<Chunk>,
    used: bool,
}

impl Key {
    /// The caller's.
    pub(crate) fn of(caller: &Caller) -> Self {
        Key {
            uid: caller.uid,
            netns: caller.netns,
        }
    }
}

impl Region {
    /// Is it this user's, and the one of that id (0: any)?
    pub(crate) fn is(&self, key: Key, mem_id: u16) -> bool {
        self.key == key && (mem_id == 0 || self.id == mem_id)
    }

    /// An empty region.
    pub(crate) fn new(id: u16, key: Key, layout: Layout) -> impl PinInit<Self> {
        pin_init!(Region {
            id,
            key,
            layout,
            inner <- new_mutex!(Inner {
                layout: *layout,
                maps: KVec::new(),
                chunks: KVVec::new(),
                free: KVVec::new(),
                rings: KVec::new(),
                ifs: KVec::new(),
            }, "netmap::Region::inner"),
        })
    }

    /// Where its objects are.
    #[inline(always)]
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Locks the region's tables.
    pub(crate) fn lock(&self) -> Guard<'_, Inner, MutexBackend> {
        self.inner.lock()
    }

    /// Calls `f` with the chunk that page `pgoff` of the mapping is in, and the page's place there.
    pub(crate) fn with_page<R>(&self, pgoff: u64, f: impl FnOnce(&Chunk, usize) -> R) -> Option<R> {
        let inner = self.inner.lock();
        match self.layout.place(pgoff)? {
            Place::If(i) => inner.ifs.get(i).map(|o| f(&o.mem, 0)),
            Place::Ring(i, page) => inner.rings.get(i).map(|o| f(&o.mem, page)),
            Place::Bufs(i, page) => inner.chunks.get(i).map(|c| f(&c.mem, page)),
        }
    }
}

impl Inner {
    /// A fresh, zeroed `netmap_if` and its number.
    ///
    /// # Errors
    ///
    /// ENOMEM: none left, or no memory.
    pub(crate) fn alloc_if(&mut self) -> Result<(usize, Arc<Chunk>)> {
        if let Some(i) = self.ifs.iter().position(|o| !o.used) {
            self.ifs[i].used = true;
            self.ifs[i].mem.clear();
            return Ok((i, self.ifs[i].mem.clone()));
        }
        let i = self.ifs.len();
        if i == self.layout.if_count() {
            return Err(ENOMEM);
        }
        let mem = Arc::new(Chunk::new(1)?, GFP_KERNEL)?;
        let object = IfObject {
            mem: mem.clone(),
            used: true,
        };
        self.ifs.push(object, GFP_KERNEL)?;
        Ok((i, mem))
    }

    /// Returns a `netmap_if` to the pool.
    pub(crate) fn free_if(&mut self, i: usize) {
        if let Some(object) = self.ifs.get_mut(i) {
            object.used = false;
        }
    }

    /// A fresh, zeroed ring object of at least that many bytes, and its number. Its address space
    /// beyond them has no pages.
    ///
    /// # Errors
    ///
    /// ENOMEM: none left or none so large, or no memory.
    pub(crate) fn alloc_ring(&mut self, bytes: usize) -> Result<(usize, Arc<Chunk>)> {
        let pages = bytes.div_ceil(PAGE);
        if pages > self.layout.ring_size() / PAGE {
            return Err(ENOMEM);
        }
        // The pages of an object stay what they are: a program may have them mapped.
        let fits = |o: &RingObject| !o.used && o.mem.pages() >= pages;
        if let Some(i) = self.rings.iter().position(fits) {
            self.rings[i].used = true;
            self.rings[i].mem.clear();
            return Ok((i, self.rings[i].mem.clone()));
        }
        let i = self.rings.len();
        if i == self.layout.ring_count() {
            return Err(ENOMEM);
        }
        let mem = Arc::new(Chunk::new(pages)?, GFP_KERNEL)?;
        let object = RingObject {
            mem: mem.clone(),
            used: true,
            ring: None,
        };
        self.rings.push(object, GFP_KERNEL)?;
        Ok((i, mem))
    }

    /// Says which NIC ring lives in an object, so that other rings can claim its buffers.
    pub(crate) fn set_ring(&mut self, i: usize, ring: Option<Arc<RxRing>>) {
        if let Some(object) = self.rings.get_mut(i) {
            object.ring = ring;
        }
    }

    /// The NIC ring that lives in an object.
    pub(crate) fn ring(&self, i: u16) -> Option<&Arc<RxRing>> {
        self.rings.get(usize::from(i))?.ring.as_ref()
    }

    /// Returns a ring object to the pool.
    pub(crate) fn free_ring(&mut self, i: usize) {
        if let Some(object) = self.rings.get_mut(i) {
            object.used = false;
            object.ring = None;
        }
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
            maps.push(DmaMap::new(dev, &chunk.mem)?, GFP_KERNEL)?;
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

    /// Adds a run of buffers to the pool, mapped for every attached device.
    pub(crate) fn populate(&mut self) -> Result {
        let at = self.chunks.len();
        let count = self.layout.chunk_bufs(at);
        if count == 0 {
            return Err(ENOMEM);
        }
        let first = at * self.layout.bufs_per_chunk();
        // All that can fail comes first; what was done is undone by the loop's reverse below.
        self.free
            .reserve(first + count - self.free.len(), GFP_KERNEL)?;
        self.chunks.reserve(1, GFP_KERNEL)?;
        let chunk = BufChunk {
            mem: Chunk::new(self.layout.chunk_pages(at))?,
            owner: KVec::from_elem(Owner::Free, count, GFP_KERNEL)?,
        };
        for i in 0..self.maps.len() {
            let mapped = DmaMap::new(&self.maps[i].dev, &chunk.mem)
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
