// SPDX-License-Identifier: GPL-2.0

//! A program's own memory, pinned and mapped for the kernel.

use core::ptr::NonNull;

use kernel::error::{to_result, Result};
use kernel::prelude::*;

use crate::ffi;
use crate::mem::layout::PAGE;

/// Pages of a program that stay where they are until drop, even if the program ends.
///
/// # Invariants
///
/// The pointer is what `nm_pin_new` made of `pages` pages.
pub(crate) struct Pinned {
    pin: NonNull<ffi::nm_pin>,
    pages: usize,
}

// SAFETY: Pins belong to no thread, and the user they are counted against is referenced.
unsafe impl Send for Pinned {}
// SAFETY: No method changes anything.
unsafe impl Sync for Pinned {}

impl Pinned {
    /// Pins `pages` pages of the calling program from `user` on, which is page-aligned.
    ///
    /// # Errors
    ///
    /// EFAULT: not all of it is memory the program may write and that may stay pinned. ENOMEM: more
    /// than RLIMIT_MEMLOCK lets the user have, or no memory.
    pub(crate) fn new(user: u64, pages: usize) -> Result<Self> {
        let mut pin = core::ptr::null_mut();
        // SAFETY: `pin` is valid for writing; process context. User addresses are checked there.
        to_result(unsafe { ffi::nm_pin_new(user, pages as u32, &mut pin) }).map_err(|e| {
            if e == ENOMEM {
                e
            } else {
                EFAULT
            }
        })?;
        let pin = NonNull::new(pin).ok_or(ENOMEM)?;
        // INVARIANT: Just made.
        Ok(Pinned { pin, pages })
    }

    /// Are both the same memory?
    pub(crate) fn same(&self, other: &Pinned) -> bool {
        // SAFETY: Both are valid by the type invariant.
        unsafe { ffi::nm_pin_same(self.pin.as_ptr(), other.pin.as_ptr()) }
    }

    /// The kernel's address of `pages` pages at byte `offset`.
    pub(super) fn range(&self, offset: usize, pages: usize) -> Option<NonNull<u8>> {
        let end = pages.checked_mul(PAGE)?.checked_add(offset)?;
        if offset % PAGE != 0 || end > self.pages * PAGE {
            return None;
        }
        // SAFETY: Valid by the type invariant; in bounds by the check.
        NonNull::new(unsafe { ffi::nm_pin_addr(self.pin.as_ptr()).cast::<u8>().add(offset) })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // SAFETY: Made by `nm_pin_new`, freed once; process context.
        unsafe { ffi::nm_pin_free(self.pin.as_ptr()) };
    }
}
