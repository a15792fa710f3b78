// SPDX-License-Identifier: GPL-2.0

//! C structures, as much of them as the module touches, and the two C functions it calls itself.
#![allow(missing_docs, non_camel_case_types)]

use crate::ffi::{c_int, c_long, c_uint, c_ulong, c_void};
use crate::init::Zeroable;

macro_rules! opaque {
    ($($t:ident),+) => { $(#[repr(C)] pub struct $t { _private: [u8; 8] })+ };
}
opaque!(device, eventfd_ctx, net_device, vm_area_struct, inode, pid);

#[repr(C)]
pub struct module {
    _private: [u8; 8],
}

impl module {
    pub const fn new() -> Self {
        module { _private: [0; 8] }
    }
}

impl Default for module {
    fn default() -> Self {
        Self::new()
    }
}

/// The size of the kernel's; what is in it is the machine's business.
#[repr(C)]
#[derive(Default)]
pub struct spinlock_t {
    pub held: crate::sync::raw::atomic::AtomicU32,
}

/// Who asks, and for what.
#[repr(C)]
#[derive(Default)]
pub struct poll_table_struct {
    pub _key: u32,
    pub waiter: Option<std::sync::Arc<crate::sync::poll::Waiter>>,
}

/// What a debugfs file shows.
#[derive(Default)]
pub struct seq_file {
    pub text: String,
}

#[repr(C)]
pub struct file {
    pub private_data: *mut c_void,
}

pub type __poll_t = c_uint;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct file_operations {
    pub owner: *mut module,
    pub llseek: Option<unsafe extern "C" fn(*mut file, i64, c_int) -> i64>,
    pub open: Option<unsafe extern "C" fn(*mut inode, *mut file) -> c_int>,
    pub release: Option<unsafe extern "C" fn(*mut inode, *mut file) -> c_int>,
    pub unlocked_ioctl: Option<unsafe extern "C" fn(*mut file, c_uint, c_ulong) -> c_long>,
    pub compat_ioctl: Option<unsafe extern "C" fn(*mut file, c_uint, c_ulong) -> c_long>,
    pub poll: Option<unsafe extern "C" fn(*mut file, *mut poll_table_struct) -> __poll_t>,
    pub mmap: Option<unsafe extern "C" fn(*mut file, *mut vm_area_struct) -> c_int>,
}

// SAFETY: Null pointers and no functions.
unsafe impl Zeroable for file_operations {}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct miscdevice {
    pub minor: c_int,
    pub name: *const u8,
    pub fops: *const file_operations,
    pub mode: u16,
}

// SAFETY: Null pointers and zeroes.
unsafe impl Zeroable for miscdevice {}

pub const MISC_DYNAMIC_MINOR: c_uint = 255;
pub const EOPNOTSUPP: c_uint = 95;
pub const POLLIN: c_uint = 0x1;
pub const POLLOUT: c_uint = 0x4;
pub const POLLERR: c_uint = 0x8;
pub const POLLRDNORM: c_uint = 0x40;
pub const POLLWRNORM: c_uint = 0x100;

#[allow(improper_ctypes)]
unsafe extern "C" {
    pub fn misc_register(misc: *mut miscdevice) -> c_int;
    pub fn misc_deregister(misc: *mut miscdevice);
    pub fn nonseekable_open(inode: *mut inode, file: *mut file) -> c_int;
}
