// SPDX-License-Identifier: GPL-2.0

//! Which regions there are, and who uses them.
//!
//! A region lives as long as an fd leases it. Ids are handed out once at a time; a program can name
//! only regions of its own user and network namespace.

use kernel::error::Result;
use kernel::prelude::*;
use kernel::sync::Arc;

use super::demand;
use super::layout::{Layout, PAGE};
use super::region::{Key, Kind, Region};
use super::sizing::Unfit;
use crate::os::chunk::Chunk;
use crate::os::pin::Pinned;
use crate::os::Caller;
use crate::uapi::ctrl::PoolsInfo;

kernel::sync::global_lock! {
    // SAFETY: Initialised by `init`, before the device can be opened.
    unsafe(uninit) static REGISTRY: Mutex<KVec<Entry>> = KVec::new();
}

/// A region in use, with the number of fds that use it.
struct Entry {
    region: Arc<Region>,
    fds: u32,
}

/// Makes the registry usable.
///
/// # Safety
///
/// Once, at the module's start.
#[expect(unsafe_code, reason = "a global lock has no safe initialiser")]
pub(crate) unsafe fn init() {
    // SAFETY: Once by the caller's promise.
    unsafe { REGISTRY.init() };
}

/// An fd's use of a region; the region goes with the last.
pub(crate) struct Lease(Arc<Region>);

impl core::ops::Deref for Lease {
    type Target = Arc<Region>;

    fn deref(&self) -> &Arc<Region> {
        &self.0
    }
}

/// All regions now, and how many fds use each.
pub(crate) fn all() -> Result<KVec<(Arc<Region>, u32)>> {
    let registry = REGISTRY.lock();
    let mut list = KVec::with_capacity(registry.len(), GFP_KERNEL)?;
    for entry in registry.iter() {
        list.push((entry.region.clone(), entry.fds), GFP_KERNEL)?;
    }
    Ok(list)
}

/// The lowest id that no region has.
///
/// # Errors
///
/// ENOMEM: there is none, or no memory.
fn free_id(registry: &[Entry]) -> Result<u16> {
    // Of more ids than there are regions one is free. One look at each region: users can have many,
    // and all wait for this lock.
    let mut used = KVVec::from_elem(false, registry.len() + 2, GFP_KERNEL)?;
    for entry in registry {
        if let Some(used) = used.get_mut(usize::from(entry.region.id)) {
            *used = true;
        }
    }
    let free = used.iter().skip(1).position(|used| !used);
    free.and_then(|at| u16::try_from(at + 1).ok()).ok_or(ENOMEM)
}

/// Leases the region that `is` it, or else the one `make` makes.
fn lease(
    is: impl Fn(&Region) -> bool,
    make: impl FnOnce(u16) -> Result<Arc<Region>>,
) -> Result<Lease> {
    let mut registry = REGISTRY.lock();
    if let Some(entry) = registry.iter_mut().find(|e| is(&e.region)) {
        entry.fds += 1;
        return Ok(Lease(entry.region.clone()));
    }
    let region = make(free_id(&registry)?)?;
    registry.push(
        Entry {
            region: region.clone(),
            fds: 1,
        },
        GFP_KERNEL,
    )?;
    Ok(Lease(region))
}

/// A region with its first buffers.
fn make(id: u16, key: Key, kind: Kind, layout: Layout) -> Result<Arc<Region>> {
    let region = Arc::pin_init(Region::new(id, key, kind, layout), GFP_KERNEL)?;
    region.lock().populate()?;
    Ok(region)
}

impl Lease {
    /// The caller's default region, or the one it names by id: its own only. Takes rtnl.
    ///
    /// # Errors
    ///
    /// EINVAL: no region of the caller has that id. ENOMEM.
    pub(crate) fn get(caller: &Caller, mem_id: u16) -> Result<Self> {
        let key = Key::of(caller);
        // Only looked at if the region is still to be made.
        let (_, layout) = find(caller, mem_id)?;
        lease(
            |r| r.is(key, mem_id),
            |id| match mem_id {
                0 => make(id, key, Kind::Default, layout),
                _ => Err(EINVAL),
            },
        )
    }

    /// A region of the fd's own, which other fds of the caller's user can name. Takes rtnl.
    ///
    /// # Errors
    ///
    /// ENOMEM.
    pub(crate) fn private(caller: &Caller) -> Result<Self> {
        let (key, layout) = (Key::of(caller), demand::layout());
        lease(|_| false, |id| make(id, key, Kind::Private, layout))
    }

    /// A region in memory of the caller's own from user address `at` on, laid out as near to `ask`
    /// as can be. All fds that name the same memory share it, as the first has it laid out.
    ///
    /// # Errors
    ///
    /// EINVAL: not page-aligned, or no region can be laid out so; large buffers in pages that do not
    /// follow each other. EFAULT: no memory of the caller's. ENOMEM: too small, more than
    /// RLIMIT_MEMLOCK, or no memory.
    pub(crate) fn extmem(caller: &Caller, at: u64, ask: &PoolsInfo) -> Result<(Self, PoolsInfo)> {
        let key = Key::of(caller);
        if at % PAGE as u64 != 0 || ask.nr_memsize == 0 {
            return Err(EINVAL);
        }
        let layout = Layout::within(ask.nr_memsize, ask).map_err(|e| match e {
            Unfit::Impossible => EINVAL,
            Unfit::TooSmall => ENOMEM,
        })?;
        let pages = layout.memsize() / PAGE;
        let memory = Arc::new(Pinned::new(at, pages)?, GFP_KERNEL)?;
        let bufs = (layout.buf_count() * layout.buf_size()) / PAGE;
        if !Chunk::of(&memory, layout.buf_pool(), bufs)?.contiguous(layout.buf_order()) {
            return Err(EINVAL);
        }
        let lease = lease(
            |r| r.is_in(key, &memory),
            |id| make(id, key, Kind::External(memory.clone()), layout),
        )?;
        let info = lease.layout().pools_info(lease.id);
        Ok((lease, info))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut registry = REGISTRY.lock();
        if let Some(at) = registry
            .iter()
            .position(|e| Arc::ptr_eq(&e.region, &self.0))
        {
            registry[at].fds -= 1;
            if registry[at].fds == 0 {
                let _ = registry.remove(at);
            } else {
                self.0.lock().sweep();
            }
            if registry.is_empty() {
                // A static is not dropped with the module: leave it nothing to leak.
                *registry = KVec::new();
            }
        }
    }
}

/// Id and layout of the caller's region that a request means. The default one need not be in use
/// yet: its id is 0 then, and the layout the one it would get. Takes rtnl.
///
/// # Errors
///
/// EINVAL: no region of the caller has that id.
pub(crate) fn find(caller: &Caller, mem_id: u16) -> Result<(u16, Layout)> {
    let key = Key::of(caller);
    {
        let registry = REGISTRY.lock();
        let found = registry.iter().find(|e| e.region.is(key, mem_id));
        if let Some(entry) = found {
            return Ok((entry.region.id, *entry.region.layout()));
        }
    }
    match mem_id {
        0 => Ok((0, demand::layout())),
        _ => Err(EINVAL),
    }
}
