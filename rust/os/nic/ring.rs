// SPDX-License-Identifier: GPL-2.0

//! Hardware rings as the driver lends them, and what their interrupts may look at without a lock.

use core::ptr::NonNull;

use kernel::bindings;
use kernel::ffi::c_void;
use kernel::sync::atomic::{Acquire, Atomic, Relaxed, Release};

use crate::ffi;
use crate::shm::{RxDesc, TxDesc};

/// A hardware ring in a program's hands.
///
/// # Invariants
///
/// `desc` is the ring's array of `count` descriptors, `tail` its RDT or TDT register, `head` null or
/// the word the NIC writes its head index to, `netdev` null or the interface, and `cookie` the
/// driver's; all valid from [`NicClient::start`] until [`NicClient::stop`] returns, in which the
/// client drops this object. `head` is valid longer, see [`HeadCell`].
pub(crate) struct NicRing {
    pub(super) desc: NonNull<RxDesc>,
    pub(super) count: u32,
    pub(super) tail: *mut c_void,
    pub(super) head: *const u32,
    pub(super) netdev: *const bindings::net_device,
    pub(super) cookie: *mut c_void,
    /// Hardware register index; not the queue index.
    pub(crate) reg_idx: u32,
}

// SAFETY: The ring belongs to no thread.
unsafe impl Send for NicRing {}
// SAFETY: Descriptors are cells, and the tail is written by `&mut self` only.
unsafe impl Sync for NicRing {}

impl NicRing {
    /// TX: the descriptor the NIC works on next, as it has last reported; 0 on RX.
    #[inline(always)]
    pub(crate) fn head(&self) -> u32 {
        if self.head.is_null() {
            return 0;
        }
        // SAFETY: Valid by the type invariant; aligned, the NIC writes it as one word.
        unsafe { self.head.read_volatile() }
    }

    /// Has the interface a link?
    pub(crate) fn carrier(&self) -> bool {
        // SAFETY: Null is not passed on; valid by the type invariant.
        self.netdev.is_null() || unsafe { ffi::nm_netdev_carrier(self.netdev) }
    }

    /// The descriptors.
    #[inline(always)]
    pub(crate) fn descs(&self) -> &[RxDesc] {
        // SAFETY: Valid by the type invariant; `RxDesc` is cells, which the NIC writes.
        unsafe { core::slice::from_raw_parts(self.desc.as_ptr(), self.count as usize) }
    }

    /// The descriptors of a TX ring.
    #[inline(always)]
    pub(crate) fn tx_descs(&self) -> &[TxDesc] {
        // SAFETY: As in `descs`; both kinds are two words of cells.
        unsafe { core::slice::from_raw_parts(self.desc.cast().as_ptr(), self.count as usize) }
    }

    /// Gives the NIC all descriptors before `index`, which must be below their number. Orders all
    /// writes to descriptors before it.
    #[inline(always)]
    pub(crate) fn set_tail(&mut self, index: u32) {
        // SAFETY: The register is mapped by the type invariant. writel() orders.
        unsafe { ffi::nm_nic_write_tail(self.tail, index) };
    }
}

/// A TX ring's head, for its interrupts, which hold no lock.
///
/// # Invariants
///
/// Null, or the word the NIC writes its head index to. The driver keeps that word until it has given
/// up the ring's client and no call of its `irq` is under way (`c_shim/netmap_nic.h`), and nobody
/// else looks.
pub(crate) struct HeadCell(Atomic<usize>);

impl HeadCell {
    /// Of no ring yet.
    pub(crate) fn new() -> Self {
        HeadCell(Atomic::new(0))
    }

    /// Of this ring, from its start() on.
    pub(super) fn show(&self, ring: &NicRing) {
        // INVARIANT: As the driver promises.
        self.0.store(ring.head as usize, Relaxed);
    }

    /// Of no ring again.
    pub(super) fn hide(&self) {
        self.0.store(0, Relaxed);
    }

    /// The head index the NIC has last written.
    ///
    /// # Safety
    ///
    /// From `irq` only.
    pub(super) unsafe fn head(&self) -> Option<u32> {
        let head = self.0.load(Relaxed) as *const u32;
        // SAFETY: Null or valid by the type invariant, as this is `irq`; the NIC writes it as one
        // word.
        (!head.is_null()).then(|| unsafe { head.read_volatile() })
    }
}

/// The descriptor of an RX ring that will be written back next, for its interrupts, which hold no
/// lock.
///
/// # Invariants
///
/// `descs` is null or the ring's array of `count` descriptors. The driver calls `irq` between a
/// successful start() and stop() alone, and stop() when none is under way (`c_shim/netmap_nic.h`),
/// and nobody else looks.
pub(crate) struct NextCell {
    descs: Atomic<usize>,
    count: Atomic<u32>,
    next: Atomic<u32>,
    /// Descriptors that were taken in all, over resets too.
    taken: Atomic<u32>,
}

impl NextCell {
    /// Of no ring yet.
    pub(crate) fn new() -> Self {
        NextCell {
            descs: Atomic::new(0),
            count: Atomic::new(0),
            next: Atomic::new(0),
            taken: Atomic::new(0),
        }
    }

    /// Of this ring, from its start() on.
    pub(super) fn show(&self, ring: &NicRing) {
        // INVARIANT: As the driver promises.
        self.count.store(ring.count, Relaxed);
        self.descs.store(ring.desc.as_ptr() as usize, Release);
    }

    /// Of no ring again.
    pub(super) fn hide(&self) {
        self.descs.store(0, Relaxed);
    }

    /// The NIC writes descriptor `index` back next, once it is written itself.
    #[inline(always)]
    pub(crate) fn set(&self, index: u32) {
        self.next.store(index, Release);
    }

    /// The same after `count` descriptors were taken; one caller at a time.
    #[inline(always)]
    pub(crate) fn advance(&self, index: u32, count: u32) {
        let taken = self.taken.load(Relaxed).wrapping_add(count);
        self.taken.store(taken, Relaxed);
        self.set(index);
    }

    /// How many were taken in all; goes round with 32 bits, not with the ring.
    pub(crate) fn taken(&self) -> u32 {
        self.taken.load(Relaxed)
    }

    /// Status and errors of that descriptor.
    ///
    /// # Safety
    ///
    /// From `irq` only.
    pub(super) unsafe fn status(&self) -> Option<u32> {
        let descs = self.descs.load(Acquire) as *const RxDesc;
        let index = self.next.load(Acquire);
        if descs.is_null() || index >= self.count.load(Relaxed) {
            return None;
        }
        // SAFETY: In bounds; valid by the type invariant, as this is `irq`.
        Some(unsafe { &*descs.add(index as usize) }.hi.get() as u32)
    }
}
