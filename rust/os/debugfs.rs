// SPDX-License-Identifier: GPL-2.0

//! Files of debugfs, by C: the kernel crate's do not hold the module while they are open.

use kernel::bindings;
use kernel::error::from_result;
use kernel::ffi::c_int;
use kernel::seq_file::SeqFile;

use crate::ffi;

/// The module's directory; its files are gone, and nobody reads them, once it is dropped.
pub(crate) struct Directory(());

impl Directory {
    /// Makes it; without debugfs, nothing.
    pub(crate) fn new() -> Self {
        // SAFETY: Process context; once, by the module's initialisation.
        unsafe { ffi::nm_debugfs_add() };
        Directory(())
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // SAFETY: Added in `new`; process context.
        unsafe { ffi::nm_debugfs_remove() };
    }
}

/// Somebody reads `rings`.
///
/// # Safety
///
/// `m` must be valid, and used by nobody else meanwhile.
#[no_mangle]
unsafe extern "C" fn nm_rs_show_rings(m: *mut bindings::seq_file) -> c_int {
    // SAFETY: By the caller's promise.
    from_result(|| crate::show::rings(unsafe { SeqFile::from_raw(m) }).map(|()| 0))
}

/// Somebody reads `regions`.
///
/// # Safety
///
/// As above.
#[no_mangle]
unsafe extern "C" fn nm_rs_show_regions(m: *mut bindings::seq_file) -> c_int {
    // SAFETY: By the caller's promise.
    from_result(|| crate::show::regions(unsafe { SeqFile::from_raw(m) }).map(|()| 0))
}

/// Fails to compile where a definition above differs from its C prototype.
const _: () = {
    let _ = if true {
        ffi::nm_rs_show_rings
    } else {
        nm_rs_show_rings
    };
    let _ = if true {
        ffi::nm_rs_show_regions
    } else {
        nm_rs_show_regions
    };
};
