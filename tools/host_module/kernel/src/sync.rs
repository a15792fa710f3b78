// SPDX-License-Identifier: GPL-2.0

//! Locks, reference counts, waiting.
//!
//! Under `cfg(loom)` all of it is loom's, so that a model checker sees every step.

pub mod atomic;
pub mod lock;
#[cfg(not(loom))]
pub mod lockdep;
#[cfg(loom)]
#[path = "sync/no_lockdep.rs"]
pub mod lockdep;
pub mod poll;
mod set_once;

#[cfg(loom)]
pub(crate) use loom::sync as raw;
#[cfg(not(loom))]
pub(crate) use std::sync as raw;

pub use crate::{global_lock, new_condvar, new_mutex, new_poll_condvar};
pub use lock::{CondVar, GlobalMutex, Mutex};
pub use set_once::SetOnce;

use core::ops::Deref;
use std::sync::Arc as Counted;

use crate::alloc::{may, Flags};
use crate::error::{Error, Result};
use crate::init::PinInit;
use crate::types::ForeignOwnable;

/// A step that others can see: where memory is not loom's own, it must be told that it was touched.
#[cfg(loom)]
pub fn point() {
    loom::lazy_static! {
        static ref POINT: loom::sync::atomic::AtomicUsize = loom::sync::atomic::AtomicUsize::new(0);
    }
    POINT.fetch_add(1, loom::sync::atomic::Ordering::AcqRel);
}

/// Nothing, where no model checker looks.
#[cfg(not(loom))]
#[inline(always)]
pub fn point() {}

/// Lets other threads run.
pub fn yield_now() {
    #[cfg(loom)]
    loom::thread::yield_now();
    #[cfg(not(loom))]
    std::thread::yield_now();
}

/// The strongest order.
pub const SEQ_CST: raw::atomic::Ordering = raw::atomic::Ordering::SeqCst;

/// A counted reference.
pub struct Arc<T>(Counted<T>);

impl<T> Arc<T> {
    /// To a new value.
    ///
    /// # Errors
    ///
    /// No memory.
    pub fn new(value: T, _flags: Flags) -> Result<Self, crate::alloc::AllocError> {
        may()?;
        Ok(Arc(Counted::new(value)))
    }

    /// To a value that `init` makes.
    ///
    /// # Errors
    ///
    /// No memory, or its own.
    pub fn pin_init<E>(init: impl PinInit<T, E>, _flags: Flags) -> Result<Self>
    where
        Error: From<E>,
    {
        may()?;
        Ok(Arc(Counted::new(init.build()?)))
    }

    /// Is it the same value?
    pub fn ptr_eq(this: &Self, other: &Self) -> bool {
        Counted::ptr_eq(&this.0, &other.0)
    }

    /// Where the value is.
    pub fn as_ptr(this: &Self) -> *const T {
        Counted::as_ptr(&this.0)
    }

    /// The reference that somebody has left at `as_ptr`.
    ///
    /// # Safety
    ///
    /// There is one, and it is taken once.
    pub unsafe fn from_raw(at: *const T) -> Self {
        // SAFETY: By the caller's promise.
        Arc(unsafe { Counted::from_raw(at) })
    }
}

impl<T> Clone for Arc<T> {
    fn clone(&self) -> Self {
        Arc(self.0.clone())
    }
}

impl<T> Deref for Arc<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// A reference that is counted by somebody else.
pub struct ArcBorrow<'a, T>(&'a T);

impl<T> Clone for ArcBorrow<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for ArcBorrow<'_, T> {}

impl<T> Deref for ArcBorrow<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0
    }
}

impl<T: 'static> ForeignOwnable for Arc<T> {
    type Borrowed<'a> = ArcBorrow<'a, T>;

    fn into_foreign(self) -> *mut core::ffi::c_void {
        Counted::into_raw(self.0).cast_mut().cast()
    }

    unsafe fn from_foreign(at: *mut core::ffi::c_void) -> Self {
        // SAFETY: From `into_foreign` by the caller's promise.
        Arc(unsafe { Counted::from_raw(at.cast_const().cast()) })
    }

    unsafe fn borrow<'a>(at: *mut core::ffi::c_void) -> ArcBorrow<'a, T> {
        // SAFETY: As above; not taken back meanwhile.
        ArcBorrow(unsafe { &*at.cast_const().cast() })
    }
}
