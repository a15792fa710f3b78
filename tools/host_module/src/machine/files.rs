// SPDX-License-Identifier: GPL-2.0

//! `/dev/netmap`, as the VFS uses it, and mappings of it.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use kernel::bindings::{
    file, file_operations, inode, miscdevice, poll_table_struct, vm_area_struct,
};
use kernel::ffi::{c_int, c_void};
use kernel::sync::lockdep;

use super::mem::PAGE;
use crate::ffi;

static FOPS: AtomicUsize = AtomicUsize::new(0);

/// # Safety
///
/// `misc` must be valid.
#[no_mangle]
unsafe extern "C" fn misc_register(misc: *mut miscdevice) -> c_int {
    // SAFETY: By the caller's promise.
    FOPS.store(unsafe { (*misc).fops } as usize, SeqCst);
    0
}

#[no_mangle]
extern "C" fn misc_deregister(_misc: *mut miscdevice) {
    FOPS.store(0, SeqCst);
}

#[no_mangle]
extern "C" fn nonseekable_open(_inode: *mut inode, _file: *mut file) -> c_int {
    0
}

thread_local! {
    static MAPPED: Cell<(usize, u64)> = const { Cell::new((0, 0)) };
}

#[no_mangle]
extern "C" fn nm_vma_init(_vma: *mut vm_area_struct, region: *const c_void, pages: u64) -> c_int {
    MAPPED.set((region as usize, pages));
    0
}

fn fops() -> &'static file_operations {
    // SAFETY: The module's constant table, while it is registered.
    unsafe { &*(FOPS.load(SeqCst) as *const file_operations) }
}

/// An open file; released on drop.
pub struct File {
    file: Box<file>,
    /// Its mapping: region and pages.
    pub map: Option<Map>,
}

// SAFETY: An open file belongs to no thread.
unsafe impl Send for File {}
// SAFETY: The module's operations may be called by several.
unsafe impl Sync for File {}

/// A mapping of a region.
#[derive(Clone, Copy)]
pub struct Map {
    region: *const c_void,
    pub pages: u64,
}

fn back<T>(value: T) -> T {
    assert_eq!(lockdep::held(), 0, "a lock is held on the way out");
    value
}

impl File {
    /// Opens it.
    ///
    /// # Errors
    ///
    /// The errno.
    pub fn open() -> Result<Self, i32> {
        let mut file = Box::new(file {
            private_data: core::ptr::null_mut(),
        });
        // SAFETY: As the VFS does.
        let ret = unsafe { fops().open.expect("a function")(core::ptr::null_mut(), &mut *file) };
        match back(ret) {
            0 => Ok(File { file, map: None }),
            errno => Err(-errno),
        }
    }

    fn at(&self) -> *mut file {
        (&raw const *self.file).cast_mut()
    }

    /// An ioctl: 0 or the errno.
    pub fn ioctl(&self, cmd: u32, arg: usize) -> i32 {
        // SAFETY: As the VFS does.
        let ret = unsafe { fops().unlocked_ioctl.expect("a function")(self.at(), cmd, arg) };
        back(-ret as i32)
    }

    /// poll(), without waiting.
    pub fn poll(&self, table: &mut poll_table_struct) -> u32 {
        // SAFETY: As the VFS does.
        back(unsafe { fops().poll.expect("a function")(self.at(), table) })
    }

    /// Maps the region.
    ///
    /// # Errors
    ///
    /// The errno.
    pub fn mmap(&mut self) -> Result<Map, i32> {
        let vma = core::ptr::null_mut();
        // SAFETY: As the VFS does.
        let ret = unsafe { fops().mmap.expect("a function")(self.at(), vma) };
        if back(ret) != 0 {
            return Err(-ret);
        }
        let (region, pages) = MAPPED.get();
        let map = Map {
            region: region as *const c_void,
            pages,
        };
        self.map = Some(map);
        Ok(map)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // SAFETY: As the VFS does.
        unsafe { fops().release.expect("a function")(core::ptr::null_mut(), self.at()) };
        if !std::thread::panicking() {
            back(());
        }
    }
}

impl Map {
    /// The word of four bytes at `offset`, if there is a page.
    pub fn word(&self, offset: usize) -> Option<*mut u32> {
        // SAFETY: Its file is open.
        let page = unsafe { ffi::nm_rs_region_page(self.region, (offset / PAGE) as u64) };
        if page.is_null() {
            return None;
        }
        Some(page.cast::<u8>().wrapping_add((offset % PAGE) & !3).cast())
    }

    /// The program reads a word; 0 where there is none.
    pub fn read(&self, offset: usize) -> u32 {
        // SAFETY: In the page.
        self.word(offset)
            .map_or(0, |at| unsafe { at.read_volatile() })
    }

    /// It writes one.
    pub fn write(&self, offset: usize, value: u32) {
        if let Some(at) = self.word(offset) {
            // SAFETY: In the page.
            unsafe { at.write_volatile(value) };
        }
    }
}
