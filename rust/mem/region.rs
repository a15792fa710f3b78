// SPDX-License-Identifier: GPL-2.0

//! Regions: the pages behind the pools, who owns which buffer, and their DMA mappings.
//!
//! By default one region per user and network namespace, so that all ports of one user share buffers
//! without copying and users cannot see each other's; on request one of the fd's own, or one in the
//! program's own memory. Pages are allocated when a ring needs them, zeroed, and stay until the last
//! fd of the region is released: a program may have them mapped.
//!
//! A region's lock is the innermost of all but the wait queues': fd, rtnl, port, ring, region.

pub(crate) mod bufs;
mod usage;

use kernel::error::Result;
use kernel::prelude::*;
use kernel::sync::{lock::mutex::MutexBackend, lock::Guard, new_mutex, Arc, Mutex};

use super::layout::{Layout, Place, PAGE};
use crate::kring::rx::RxRing;
use crate::os::chunk::Chunk;
use crate::os::pin::Pinned;
use crate::os::Caller;

/// Whose a region is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    uid: u32,
    netns: u64,
}

/// Whom a region serves, and whose memory it is.
#[derive(Clone)]
pub(crate) enum Kind {
    /// All fds of its user that ask for nothing else.
    Default,
    /// One fd, and those that name it by id.
    Private,
    /// The same, in memory of the program's own.
    External(Arc<Pinned>),
}

/// Memory that programs of one user map.
#[pin_data]
pub(crate) struct Region {
    /// `nr_mem_id` of requests.
    pub(crate) id: u16,
    key: Key,
    kind: Kind,
    layout: Layout,
    #[pin]
    inner: Mutex<Inner>,
}

/// The part under the region's lock. Fields are dropped in this order: mappings before pages.
pub(crate) struct Inner {
    layout: Layout,
    kind: Kind,
    maps: KVec<bufs::DeviceMaps>,
    chunks: KVVec<bufs::BufChunk>,
    free: KVVec<u32>,
    rings: KVec<RingObject>,
    ifs: KVec<IfObject>,
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
    /// Its fd was given extra buffers, which its program may keep anywhere.
    extra: bool,
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
    /// Is it this user's, and the one of that id (0: the default one)?
    pub(crate) fn is(&self, key: Key, mem_id: u16) -> bool {
        self.key == key
            && match mem_id {
                0 => matches!(self.kind, Kind::Default),
                id => self.id == id,
            }
    }

    /// Is it this user's, and the one in that memory?
    pub(crate) fn is_in(&self, key: Key, memory: &Pinned) -> bool {
        self.key == key && matches!(&self.kind, Kind::External(mine) if mine.same(memory))
    }

    /// Is it for those alone who have asked for it?
    pub(crate) fn is_private(&self) -> bool {
        !matches!(self.kind, Kind::Default)
    }

    /// Pages of the mapping; `None`: the program has the memory already.
    pub(crate) fn pages(&self) -> Option<u64> {
        match self.kind {
            Kind::External(_) => None,
            Kind::Default | Kind::Private => Some((self.layout.memsize() / PAGE) as u64),
        }
    }

    /// An empty region.
    pub(crate) fn new(id: u16, key: Key, kind: Kind, layout: Layout) -> impl PinInit<Self> {
        pin_init!(Region {
            id,
            key,
            kind,
            layout,
            inner <- new_mutex!(Inner {
                layout: *layout,
                kind: kind.clone(),
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
        if let Kind::External(_) = self.kind {
            return None;
        }
        match self.layout.place(pgoff)? {
            Place::If(i) => inner.ifs.get(i).map(|o| f(&o.mem, 0)),
            Place::Ring(i, page) => inner.rings.get(i).map(|o| f(&o.mem, page)),
            Place::Bufs(i, page) => inner.chunks.get(i).map(|c| f(&c.mem, page)),
        }
    }
}

impl Inner {
    /// The pages at byte `offset` of the region; zeroed unless they are the program's.
    fn chunk(&self, offset: usize, pages: usize) -> Result<Chunk> {
        match &self.kind {
            Kind::External(memory) => Chunk::of(memory, offset, pages),
            Kind::Default | Kind::Private => Chunk::new(pages),
        }
    }

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
        let mem = Arc::new(self.chunk(self.layout.if_offset(i), 1)?, GFP_KERNEL)?;
        mem.clear();
        let object = IfObject {
            mem: mem.clone(),
            used: true,
            extra: false,
        };
        self.ifs.push(object, GFP_KERNEL)?;
        Ok((i, mem))
    }

    /// Returns a `netmap_if` to the pool.
    pub(crate) fn free_if(&mut self, i: usize) {
        if let Some(object) = self.ifs.get_mut(i) {
            object.used = false;
            object.extra = false;
        }
    }

    /// The fd of a `netmap_if` has extra buffers from now on.
    pub(crate) fn has_extra(&mut self, i: usize) {
        if let Some(object) = self.ifs.get_mut(i) {
            object.extra = true;
        }
    }

    /// Is there anybody who may hold loose buffers: a ring, or a program with extra ones?
    fn in_hands(&self) -> bool {
        self.rings.iter().any(|o| o.used) || self.ifs.iter().any(|o| o.extra)
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
        // Whoever changes the length of rings again and again must not use the objects up: one made
        // because those at hand are too short is as long as can be, so there are at most twice as
        // many as were ever in use at once.
        let too_short = self.rings.iter().any(|o| !o.used);
        let pages = match self.kind {
            // They are there anyway, and the next ring in the object may need them.
            Kind::External(_) => self.layout.ring_size() / PAGE,
            Kind::Default | Kind::Private if too_short => self.layout.ring_size() / PAGE,
            Kind::Default | Kind::Private => pages,
        };
        let mem = Arc::new(self.chunk(self.layout.ring_offset(i), pages)?, GFP_KERNEL)?;
        mem.clear();
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
}
