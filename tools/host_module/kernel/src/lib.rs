// SPDX-License-Identifier: GPL-2.0

//! The part of Rust-for-Linux's `kernel` crate that netmap.ko uses, for a process of the build host.
//!
//! Same names, same types as far as the module can tell, written anew: memory that can be told to run
//! out ([`alloc`]), locks that notice when a thread waits for itself ([`sync`]), user memory that is an
//! array ([`uaccess`]), poll tables that say whom to wake. So `rust/` is compiled as it is, its
//! unsafe parts included, and run under a fuzzer, sanitizers and a model checker.
//!
//! What the module calls in C (`nm_*`) is not here, but in the machine of `host_module`.

pub mod alloc;
pub mod bindings;
pub mod error;
pub mod fs;
pub mod init;
pub mod seq_file;
pub mod sync;
pub mod transmute;
pub mod types;
pub mod uaccess;

/// C's types, as the kernel has them.
pub mod ffi {
    #![allow(missing_docs)]
    #![allow(non_camel_case_types)]
    pub type c_char = u8;
    pub type c_int = i32;
    pub type c_uint = u32;
    pub type c_long = isize;
    pub type c_ulong = usize;
    pub type c_longlong = i64;
    pub type c_ulonglong = u64;
    pub use core::ffi::c_void;
}

/// Formatting.
pub mod fmt {
    pub use core::fmt::*;
}

/// What every file of the module sees.
pub mod prelude {
    pub use crate::alloc::{Flags, KBox, KVVec, KVec, GFP_KERNEL};
    pub use crate::error::code::*;
    pub use crate::error::{Error, Result};
    pub use crate::init as pin_init;
    pub use crate::init::{CStrExt, PinInit};
    pub use crate::{pin_init, pr_err, try_pin_init};
    pub use core::ffi::CStr;
    pub use core::pin::Pin;
    pub use host_kernel_macros::{pin_data, pinned_drop};
}

/// Says something in the kernel's log; here only those who ask hear it.
#[macro_export]
macro_rules! pr_err {
    ($($arg:tt)*) => { $crate::log(format_args!($($arg)*)) };
}

/// Prints a line of the kernel's log if the environment has `NM_HOST_LOG`.
pub fn log(line: core::fmt::Arguments<'_>) {
    if std::env::var_os("NM_HOST_LOG").is_some() {
        eprint!("{line}");
    }
}
