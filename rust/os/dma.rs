// SPDX-License-Identifier: GPL-2.0

//! DMA mappings of chunks.

use kernel::bindings;
use kernel::error::{to_result, Result};
use kernel::prelude::*;

use super::chunk::Chunk;
use crate::ffi;
use crate::mem::layout::PAGE;

/// A counted reference to the device that does the DMA.
///
/// # Invariants
///
/// The pointer is a device this object holds a reference to.
pub(crate) struct DmaDevice(*mut bindings::device);

// SAFETY: Device references are counted atomically and belong to no thread.
unsafe impl Send for DmaDevice {}
// SAFETY: No method changes the device.
unsafe impl Sync for DmaDevice {}

impl DmaDevice {
    /// Takes a reference.
    ///
    /// # Safety
    ///
    /// `dev` must be valid now.
    pub(super) unsafe fn new(dev: *mut bindings::device) -> Self {
        // SAFETY: Valid by the caller's promise.
        // INVARIANT: The reference was just taken.
        DmaDevice(unsafe { ffi::nm_device_get(dev) })
    }

    /// Is it the same device?
    pub(crate) fn same(&self, other: &DmaDevice) -> bool {
        self.0 == other.0
    }

    /// Makes a buffer of `len` bytes the NIC wrote readable; only needed where
    /// [`DmaMap::needs_sync`] says so.
    pub(crate) fn sync_for_cpu(&self, bus: u64, len: usize) {
        // SAFETY: The device is valid; a wrong address would be refused by the DMA layer's debug
        // checks, and comes from a `DmaMap` of this device.
        unsafe { ffi::nm_dma_sync_for_cpu(self.0, bus, len as u32) };
    }

    /// Makes a buffer ready for the NIC to read or write; as above.
    pub(crate) fn sync_for_device(&self, bus: u64, len: usize) {
        // SAFETY: As in `sync_for_cpu`.
        unsafe { ffi::nm_dma_sync_for_device(self.0, bus, len as u32) };
    }
}

impl Clone for DmaDevice {
    fn clone(&self) -> Self {
        // SAFETY: Valid by the type invariant.
        unsafe { Self::new(self.0) }
    }
}

impl Drop for DmaDevice {
    fn drop(&mut self) {
        // SAFETY: The reference is this object's.
        unsafe { ffi::nm_device_put(self.0) };
    }
}

/// A chunk mapped for a device; unmapped on drop.
///
/// # Invariants
///
/// `addr` has the bus address of each unit of `1 << order` pages of a chunk, mapped for `dev`.
pub(crate) struct DmaMap {
    dev: DmaDevice,
    addr: KVec<u64>,
    order: u32,
    needs_sync: bool,
}

impl DmaMap {
    /// Maps all pages of `chunk`, which the caller keeps longer than the map, in units of
    /// `1 << order` pages, each of which is physically contiguous.
    ///
    /// # Errors
    ///
    /// ENOMEM, also where the device cannot reach the memory.
    pub(crate) fn new(dev: &DmaDevice, chunk: &Chunk, order: u32) -> Result<Self> {
        let units = chunk.pages() >> order;
        let mut addr = KVec::from_elem(0u64, units, GFP_KERNEL)?;
        let (at, units) = (addr.as_mut_ptr(), units as u32);
        // SAFETY: The chunk has that many units, and so has `addr` entries.
        to_result(unsafe { ffi::nm_dma_map(dev.0, chunk.as_ptr(), units, order, at) })?;
        // SAFETY: The pages were just mapped.
        let needs_sync = unsafe { ffi::nm_dma_needs_sync(dev.0, at, units) };
        // INVARIANT: Just mapped.
        Ok(DmaMap {
            dev: dev.clone(),
            addr,
            order,
            needs_sync,
        })
    }

    /// Bus address of the buffer at byte `offset` of the chunk.
    #[inline]
    pub(crate) fn bus(&self, offset: usize) -> Option<u64> {
        let shift = PAGE.trailing_zeros() + self.order;
        let inside = offset & ((1 << shift) - 1);
        Some(self.addr.get(offset >> shift)? + inside as u64)
    }

    /// Must the CPU and the device be kept in step by hand (no coherent DMA, bounce buffers)?
    pub(crate) fn needs_sync(&self) -> bool {
        self.needs_sync
    }
}

impl Drop for DmaMap {
    fn drop(&mut self) {
        // SAFETY: Mapped in `new`, unmapped once.
        unsafe {
            ffi::nm_dma_unmap(
                self.dev.0,
                self.addr.as_ptr(),
                self.addr.len() as u32,
                self.order,
            )
        };
    }
}
