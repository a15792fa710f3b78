// SPDX-License-Identifier: GPL-2.0

//! Files of debugfs: text.

use core::cell::UnsafeCell;

/// Where the text goes.
#[repr(transparent)]
pub struct SeqFile(UnsafeCell<crate::bindings::seq_file>);

impl SeqFile {
    /// The one behind a C pointer.
    ///
    /// # Safety
    ///
    /// It must be valid for `'a`, and used by nobody else.
    pub unsafe fn from_raw<'a>(at: *mut crate::bindings::seq_file) -> &'a SeqFile {
        // SAFETY: Transparent; valid by the caller's promise.
        unsafe { &*at.cast() }
    }

    /// Adds to it.
    pub fn print(&self, text: core::fmt::Arguments<'_>) {
        // SAFETY: Used by nobody else, as promised in `from_raw`.
        unsafe { &mut *self.0.get() }
            .text
            .push_str(&text.to_string());
    }
}

/// Adds to the text.
#[macro_export]
macro_rules! seq_print {
    ($out:expr, $($arg:tt)*) => { $out.print(format_args!($($arg)*)) };
}
