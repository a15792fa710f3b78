// SPDX-License-Identifier: GPL-2.0

//! Which regions there are, and who uses them.
//!
//! A region lives as long as an fd leases it. Ids are handed out once at a time; a program can name
//! only regions of its own user and network namespace.

use kernel::error::Result;
use kernel::prelude::*;
use kernel::sync::Arc;

use super::layout::Layout;
use super::region::{Key, Region};
use crate::os::Caller;

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

impl Lease {
    /// The caller's default region, or the one it names by id: its own only.
    ///
    /// # Errors
    ///
    /// EINVAL: no region of the caller has that id. ENOMEM.
    pub(crate) fn get(caller: &Caller, mem_id: u16) -> Result<Self> {
        let key = Key::of(caller);
        let mut registry = REGISTRY.lock();
        let found = registry.iter_mut().find(|e| e.region.is(key, mem_id));
        if let Some(entry) = found {
            entry.fds += 1;
            return Ok(Lease(entry.region.clone()));
        }
        if mem_id != 0 {
            return Err(EINVAL);
        }
        let id = (1..=u16::MAX)
            .find(|id| registry.iter().all(|e| e.region.id != *id))
            .ok_or(ENOMEM)?;
        let region = Arc::pin_init(Region::new(id, key, Layout::FLOOR), GFP_KERNEL)?;
        region.lock().populate()?;
        registry.push(
            Entry {
                region: region.clone(),
                fds: 1,
            },
            GFP_KERNEL,
        )?;
        Ok(Lease(region))
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
            }
            if registry.is_empty() {
                // A static is not dropped with the module: leave it nothing to leak.
                *registry = KVec::new();
            }
        }
    }
}

/// Id and layout of the caller's region that a request means; id 0 where it is the default, not yet
/// in use.
///
/// # Errors
///
/// EINVAL: no region of the caller has that id.
pub(crate) fn find(caller: &Caller, mem_id: u16) -> Result<(u16, Layout)> {
    let key = Key::of(caller);
    let registry = REGISTRY.lock();
    let found = registry.iter().find(|e| e.region.is(key, mem_id));
    match found {
        Some(entry) => Ok((entry.region.id, *entry.region.layout())),
        None if mem_id == 0 => Ok((0, Layout::FLOOR)),
        None => Err(EINVAL),
    }
}
