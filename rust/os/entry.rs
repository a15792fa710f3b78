// SPDX-License-Identifier: GPL-2.0

//! The functions the C shim calls; each hands over to safe code at once.

use kernel::bindings;
use kernel::ffi::c_void;

use crate::adapter;
use crate::ffi;
use crate::mem::region::Region;

/// An interface goes away or leaves its namespace; rtnl is held.
///
/// # Safety
///
/// `dev` must be valid.
#[no_mangle]
unsafe extern "C" fn nm_rs_netdev_gone(dev: *mut bindings::net_device) {
    adapter::interface_gone(dev);
}

/// Kernel address of a page of a region; null beyond what is allocated.
///
/// # Safety
///
/// `region` must be what the mapping was made with, and its file still open.
#[no_mangle]
unsafe extern "C" fn nm_rs_region_page(region: *const c_void, pgoff: u64) -> *mut c_void {
    // SAFETY: The file keeps its region, and the mapping keeps the file.
    let region = unsafe { &*region.cast::<Region>() };
    region
        .with_page(pgoff, |chunk, page| chunk.page_addr(page))
        .flatten()
        .unwrap_or(core::ptr::null_mut())
}

/// Fails to compile where a definition above differs from its C prototype.
const _: () = {
    let _ = if true {
        ffi::nm_rs_netdev_gone
    } else {
        nm_rs_netdev_gone
    };
    let _ = if true {
        ffi::nm_rs_region_page
    } else {
        nm_rs_region_page
    };
};
