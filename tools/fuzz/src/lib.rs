// SPDX-License-Identifier: GPL-2.0

//! A fuzz target: the function that libFuzzer calls. libFuzzer itself comes with clang.

/// Makes the program of this file run `host_module`'s target of that name.
#[macro_export]
macro_rules! fuzz_target {
    ($name:expr) => {
        /// # Safety
        ///
        /// `data` must have `len` bytes.
        #[no_mangle]
        unsafe extern "C" fn LLVMFuzzerTestOneInput(data: *const u8, len: usize) -> i32 {
            let data = if len == 0 {
                &[]
            } else {
                // SAFETY: By the caller's promise.
                unsafe { core::slice::from_raw_parts(data, len) }
            };
            $crate::run($name, data);
            0
        }
    };
}

pub use host_module::fuzz::run;
