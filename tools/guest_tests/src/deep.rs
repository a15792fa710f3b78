// SPDX-License-Identifier: GPL-2.0
//! How thorough this run is, and how slow this kernel.
//!
//! `make test` has minutes, `make test-deep` hours; a kernel with KASAN and lockdep needs
//! several times as long as a distribution's for the same test.

use std::fs;
use std::sync::OnceLock;
use std::time::Duration;

/// Set for the processes of a thorough run (`nm_test --deep`).
pub const VARIABLE: &str = "NM_TEST_DEEP";

/// Whether this run is a thorough one.
fn deep() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// How often to do something: `long` in a thorough run, else `short`.
pub fn count(short: u64, long: u64) -> u64 {
    if deep() {
        long
    } else {
        short
    }
}

/// The lab's kernels with run-time checks are named for them (tools/debug).
pub fn debug_kernel() -> bool {
    static DEBUG: OnceLock<bool> = OnceLock::new();
    *DEBUG.get_or_init(|| {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        release.contains("-nm-")
    })
}

/// `limit`, as long as this kernel needs for it. For limits of what must happen; never for
/// how long to watch that nothing does.
pub fn patience(limit: Duration) -> Duration {
    limit * if debug_kernel() { 6 } else { 1 }
}
