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
pub fn deep() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// Whether large counts are for this run: it is a thorough one, on a distribution's kernel.
pub fn large() -> bool {
    deep() && !debug_kernel()
}

/// How often to do something: `long` where large counts are due, else `short`. A kernel with run-time
/// checks does it a third as often: it takes it longer all the same.
pub fn count(short: u64, long: u64) -> u64 {
    match (large(), debug_kernel()) {
        (true, _) => long,
        (false, true) => short.div_ceil(3),
        (false, false) => short,
    }
}

/// The same for tests that look for leaks, where few times show nothing. The kernel that finds leaks by
/// itself (kmemleak) needs fewer, and takes ten times as long for each.
pub fn count_leaks(short: u64, long: u64) -> u64 {
    match (deep(), debug_kernel()) {
        (true, false) => long,
        (true, true) if release().ends_with("-nm-kasan") => (long / 10).max(short),
        _ => short,
    }
}

/// How long a test may take that takes `usual` seconds at most with small counts.
pub fn limit(usual: u64) -> Duration {
    let most = if large() { usual.max(3600) } else { usual };
    patience(Duration::from_secs(most))
}

/// Frames per second that keep this kernel busy and leave it time: `usual` on a distribution's.
pub fn flood(usual: u64) -> u64 {
    usual / if debug_kernel() { 13 } else { 1 }
}

/// The lab's kernels with run-time checks are named for them (tools/debug).
pub fn debug_kernel() -> bool {
    release().contains("-nm-")
}

/// The running kernel's.
pub fn release() -> &'static str {
    static RELEASE: OnceLock<String> = OnceLock::new();
    let release = RELEASE.get_or_init(|| {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease");
        release.unwrap_or_default().trim().to_string()
    });
    release
}

/// `limit`, as long as this kernel needs for it. For limits of what must happen; never for
/// how long to watch that nothing does.
pub fn patience(limit: Duration) -> Duration {
    limit * if debug_kernel() { 6 } else { 1 }
}

/// Prints what a test has reached; `lab test` shows such lines of tests that pass, too.
pub fn figure(text: impl std::fmt::Display) {
    println!("figure: {text}");
}
