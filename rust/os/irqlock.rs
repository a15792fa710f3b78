// SPDX-License-Identifier: GPL-2.0

//! A spinlock for data that process context and interrupts share.
//!
//! The kernel crate has one only in its newest version.

use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

use kernel::bindings;
use kernel::prelude::*;
use kernel::types::Opaque;

use crate::ffi;

/// Data under a spinlock that is held with interrupts off.
///
/// # Invariants
///
/// `lock` is an initialised `spinlock_t`.
#[pin_data]
pub(crate) struct IrqLock<T> {
    #[pin]
    lock: Opaque<bindings::spinlock_t>,
    data: UnsafeCell<T>,
}

// SAFETY: Whoever has the lock is the only one to see the data, on whatever thread.
unsafe impl<T: Send> Sync for IrqLock<T> {}
// SAFETY: A spinlock that nobody holds belongs to no thread.
unsafe impl<T: Send> Send for IrqLock<T> {}

impl<T> IrqLock<T> {
    /// An open lock.
    pub(crate) fn new(data: T) -> impl PinInit<Self> {
        pin_init!(IrqLock {
            // INVARIANT: Initialised here. SAFETY: `slot` is valid and stays where it is.
            lock <- Opaque::ffi_init(|slot: *mut bindings::spinlock_t| unsafe {
                ffi::nm_lock_init(slot.cast());
            }),
            data: UnsafeCell::new(data),
        })
    }

    /// Waits for the lock, in any context; nothing may sleep while it is held.
    pub(crate) fn lock(&self) -> IrqGuard<'_, T> {
        // SAFETY: Initialised by the type invariant.
        let flags = unsafe { ffi::nm_lock(self.lock.get().cast()) };
        IrqGuard {
            lock: self,
            flags,
            _this_cpu: PhantomData,
        }
    }
}

/// The lock, held.
pub(crate) struct IrqGuard<'a, T> {
    lock: &'a IrqLock<T>,
    flags: kernel::ffi::c_ulong,
    _this_cpu: PhantomData<*mut ()>,
}

impl<T> Deref for IrqGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: The lock is held.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T> DerefMut for IrqGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: The lock is held, and this is its only guard.
        unsafe { &mut *self.lock.data.get() }
    }
}

impl<T> Drop for IrqGuard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: Taken in `lock` with these flags.
        unsafe { ffi::nm_unlock(self.lock.lock.get().cast(), self.flags) };
    }
}
