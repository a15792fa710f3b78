// SPDX-License-Identifier: GPL-2.0

//! Network interfaces.

use core::ptr::NonNull;

use kernel::bindings;
use kernel::error::{to_result, Result};
use kernel::prelude::*;

use super::Rtnl;
use crate::ffi;

/// A counted reference to a network interface.
///
/// While it is held the interface cannot go away completely, so it must be dropped when
/// NETDEV_UNREGISTER says that it wants to.
///
/// # Invariants
///
/// The pointer is a `struct net_device` this object holds a reference to.
pub(crate) struct NetDev(NonNull<bindings::net_device>);

// SAFETY: Interface references belong to no thread.
unsafe impl Send for NetDev {}
// SAFETY: The methods read fields that are constant, or take the locks the kernel asks for.
unsafe impl Sync for NetDev {}

impl NetDev {
    /// The interface of this name in the caller's network namespace.
    ///
    /// # Errors
    ///
    /// ENXIO: there is none.
    pub(crate) fn by_name(name: &[u8]) -> Result<Self> {
        let mut buf = [0u8; 16];
        buf.get_mut(..name.len())
            .ok_or(ENXIO)?
            .copy_from_slice(name);
        if buf[15] != 0 {
            return Err(ENXIO);
        }
        // SAFETY: NUL-terminated; process context. INVARIANT: The reference comes with it.
        NonNull::new(unsafe { ffi::nm_netdev_get(buf.as_ptr().cast()) })
            .map(NetDev)
            .ok_or(ENXIO)
    }

    /// The interface with the lowest index above `ifindex` in the caller's network namespace.
    pub(crate) fn next_after(ifindex: u32) -> Option<Self> {
        // SAFETY: Process context. INVARIANT: The reference comes with it.
        NonNull::new(unsafe { ffi::nm_netdev_next(ifindex) }).map(NetDev)
    }

    pub(super) fn as_ptr(&self) -> *mut bindings::net_device {
        self.0.as_ptr()
    }

    /// Is it up? May change at any time.
    pub(crate) fn running(&self) -> bool {
        // SAFETY: Valid by the type invariant.
        unsafe { ffi::nm_netdev_running(self.as_ptr()) }
    }

    /// Is it in the caller's network namespace? rtnl keeps the answer true.
    pub(crate) fn in_netns_of_caller(&self, _rtnl: &Rtnl) -> bool {
        // SAFETY: Valid by the type invariant; process context.
        unsafe { ffi::nm_netdev_in_caller_netns(self.as_ptr()) }
    }

    /// Are both the same interface?
    pub(crate) fn same(&self, other: &NetDev) -> bool {
        self.0 == other.0
    }

    /// Is it this one? `dev` is only compared.
    pub(crate) fn is(&self, dev: *const bindings::net_device) -> bool {
        core::ptr::eq(self.0.as_ptr(), dev)
    }

    /// Interface index.
    pub(crate) fn ifindex(&self) -> u32 {
        // SAFETY: Valid by the type invariant.
        unsafe { ffi::nm_netdev_ifindex(self.as_ptr()) }
    }

    /// Interface name, NUL-padded.
    pub(crate) fn name(&self) -> [u8; 16] {
        let mut name = [0u8; 16];
        // SAFETY: Valid by the type invariant; IFNAMSIZ bytes are written.
        unsafe { ffi::nm_netdev_name(self.as_ptr(), name.as_mut_ptr().cast()) };
        name
    }

    /// Is it registered, and not about to go? rtnl keeps the answer true.
    pub(crate) fn registered(&self, _rtnl: &Rtnl) -> bool {
        // SAFETY: Valid by the type invariant.
        unsafe { ffi::nm_netdev_registered(self.as_ptr()) }
    }

    /// Has the caller CAP_NET_ADMIN in the user namespace that owns the interface? rtnl keeps the
    /// interface in its network namespace, and that one there.
    pub(crate) fn may_admin(&self, _rtnl: &Rtnl) -> bool {
        // SAFETY: Valid by the type invariant, and so is its namespace; process context.
        unsafe { ffi::nm_netdev_may_admin(self.as_ptr()) }
    }
}

impl Clone for NetDev {
    fn clone(&self) -> Self {
        // SAFETY: Valid by the type invariant. INVARIANT: The reference was just taken.
        unsafe { ffi::nm_netdev_hold(self.as_ptr()) };
        NetDev(self.0)
    }
}

impl Drop for NetDev {
    fn drop(&mut self) {
        // SAFETY: The reference is this object's.
        unsafe { ffi::nm_netdev_put(self.as_ptr()) };
    }
}

/// The kernel's news of interfaces, delivered to [`super::entry`]; ends on drop.
pub(crate) struct Notifier(());

impl Notifier {
    /// Begins.
    ///
    /// # Errors
    ///
    /// ENOMEM and what else the kernel may say.
    pub(crate) fn register() -> Result<Self> {
        // SAFETY: Process context; once, by the module's initialisation.
        to_result(unsafe { ffi::nm_notifier_register() })?;
        Ok(Notifier(()))
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        // SAFETY: Registered in `register`; process context.
        unsafe { ffi::nm_notifier_unregister() };
    }
}
