// SPDX-License-Identifier: GPL-2.0

//! Open files.

/// An open file.
#[repr(transparent)]
pub struct File(crate::bindings::file);

impl File {
    /// The file behind a C pointer.
    ///
    /// # Safety
    ///
    /// It must be valid for `'a`.
    pub unsafe fn from_raw_file<'a>(file: *const crate::bindings::file) -> &'a File {
        // SAFETY: Transparent; valid by the caller's promise.
        unsafe { &*file.cast() }
    }
}
