// SPDX-License-Identifier: GPL-2.0

//! Eventfds, and a sleep that ends with them.

use core::ptr::NonNull;

use kernel::bindings;
use kernel::error::{to_result, Result};
use kernel::ffi::c_void;
use kernel::fs::File;
use kernel::prelude::*;
use kernel::sync::poll::PollTable;

use super::wait::Polled;
use crate::ffi;

/// An eventfd to signal.
///
/// # Invariants
///
/// The pointer is a context this object holds a reference to.
pub(crate) struct EventFd(NonNull<bindings::eventfd_ctx>);

impl EventFd {
    /// The calling process's descriptor `fd`; `None` for a negative one.
    ///
    /// # Errors
    ///
    /// EBADF: it is not open. EINVAL: it is no eventfd.
    pub(crate) fn get(fd: i32) -> Result<Option<Self>> {
        if fd < 0 {
            return Ok(None);
        }
        let mut ctx = core::ptr::null_mut();
        // SAFETY: `ctx` is valid for writing; process context.
        to_result(unsafe { ffi::nm_eventfd_get(fd, &mut ctx) })?;
        // INVARIANT: The reference comes with it.
        Ok(NonNull::new(ctx).map(EventFd))
    }

    /// Adds one to its count, which wakes those who wait for it.
    pub(crate) fn signal(&self) {
        // SAFETY: Valid by the type invariant.
        unsafe { ffi::nm_eventfd_signal(self.0.as_ptr()) };
    }
}

impl Drop for EventFd {
    fn drop(&mut self) {
        // SAFETY: The reference is this object's.
        unsafe { ffi::nm_eventfd_put(self.0.as_ptr()) };
    }
}

/// The calling thread's sleep, of which it is woken by whatever it has joined.
///
/// # Invariants
///
/// The pointer is a sleeper of the thread that made it, which the object does not leave.
pub(crate) struct Sleeper(NonNull<c_void>);

impl Sleeper {
    /// Nothing wakes it yet but signals.
    ///
    /// # Errors
    ///
    /// ENOMEM.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: Process context. INVARIANT: Made here, and neither `Send` nor `Sync`.
        NonNull::new(unsafe { ffi::nm_sleeper_new() })
            .map(Sleeper)
            .ok_or(ENOMEM)
    }

    /// Is woken when the calling process's eventfd `fd` is signalled; a negative one never is.
    ///
    /// # Errors
    ///
    /// EBADF: it is not open. EINVAL: it is no eventfd. ENOMEM.
    pub(crate) fn join_eventfd(&mut self, fd: i32) -> Result {
        if fd < 0 {
            return Ok(());
        }
        // SAFETY: Valid by the type invariant; process context.
        to_result(unsafe { ffi::nm_sleeper_eventfd(self.0.as_ptr(), fd) })
    }

    /// Is woken with those who poll `file`.
    ///
    /// # Errors
    ///
    /// ENOMEM.
    pub(crate) fn join(&mut self, file: &File, polled: &Polled) -> Result {
        // SAFETY: Valid by the type invariant; the table is used in this call only.
        let table = unsafe { PollTable::from_raw(ffi::nm_sleeper_table(self.0.as_ptr())) };
        polled.wait(file, &table);
        // SAFETY: Valid by the type invariant.
        to_result(unsafe { ffi::nm_sleeper_error(self.0.as_ptr()) })
    }

    /// Sleeps for at most `usec` microseconds; not at all if it was woken since the last sleep.
    ///
    /// # Errors
    ///
    /// EINTR: a signal is pending.
    pub(crate) fn sleep(&mut self, usec: u64) -> Result {
        // SAFETY: Valid by the type invariant, and called by its own thread.
        interrupted(unsafe { ffi::nm_sleeper_sleep(self.0.as_ptr(), usec) })
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        // SAFETY: Made in `new`; leaves the wait queues it has joined.
        unsafe { ffi::nm_sleeper_free(self.0.as_ptr()) };
    }
}

/// Lets others run, if there are any.
///
/// # Errors
///
/// EINTR: a signal is pending.
pub(crate) fn yield_now() -> Result {
    // SAFETY: Process context.
    interrupted(unsafe { ffi::nm_yield() })
}

fn interrupted(signal: bool) -> Result {
    match signal {
        true => Err(EINTR),
        false => Ok(()),
    }
}
