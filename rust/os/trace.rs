// SPDX-License-Identifier: GPL-2.0

//! Tracepoints (`c_shim/nm_trace.h`). While nobody listens each is a call that does nothing, made
//! once per sync, never per packet.

use kernel::sync::atomic::{Atomic, Relaxed};

use super::netdev::NetDev;
use crate::ffi;
use crate::ring::Pointers;

/// Which ring an event is about.
pub(crate) struct RingName {
    ifindex: Atomic<u32>,
    kind: u32,
    ring: u32,
}

impl RingName {
    /// Ring number `ring`; `kind` is one of [`crate::uapi::ext::kind`].
    pub(crate) fn new(kind: u32, ring: u32) -> Self {
        RingName {
            ifindex: Atomic::new(0),
            kind,
            ring,
        }
    }

    /// It belongs to this interface.
    pub(crate) fn set_ifindex(&self, ifindex: u32) {
        self.ifindex.store(ifindex, Relaxed);
    }
}

/// A ring was taken from the kernel.
pub(super) fn attach(dev: &NetDev, kind: u32, ring: u32) {
    // SAFETY: `dev` is valid.
    unsafe { ffi::nm_trace_attach(dev.as_ptr(), kind, ring) };
}

/// It was given back; `error`: 0 or what the driver said.
pub(super) fn detach(dev: &NetDev, kind: u32, ring: u32, error: i32) {
    // SAFETY: `dev` is valid.
    unsafe { ffi::nm_trace_detach(dev.as_ptr(), kind, ring, error) };
}

/// A ring was synced: with the program's pointers `p`, to a new `tail`, moving `packets`.
#[inline(always)]
pub(crate) fn sync(of: &RingName, p: Pointers, tail: u32, packets: u32) {
    let ifindex = of.ifindex.load(Relaxed);
    // SAFETY: Integers only.
    unsafe { ffi::nm_trace_sync(ifindex, of.kind, of.ring, p.head, p.cur, tail, packets) };
}

/// The pointers `p` could not be, and were reset.
#[cold]
pub(crate) fn reinit(of: &RingName, p: Pointers, hwcur: u32, hwtail: u32) {
    let ifindex = of.ifindex.load(Relaxed);
    // SAFETY: Integers only.
    unsafe { ffi::nm_trace_reinit(ifindex, of.kind, of.ring, p.head, p.cur, hwcur, hwtail) };
}
