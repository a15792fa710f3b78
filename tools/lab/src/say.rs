// SPDX-License-Identifier: GPL-2.0
//! How the lab speaks to a person: progress on standard error, results on standard output.

use std::sync::OnceLock;
use std::time::Instant;

static START: OnceLock<Instant> = OnceLock::new();

/// Seconds since the lab started.
pub fn elapsed() -> f64 {
    START.get_or_init(Instant::now).elapsed().as_secs_f64()
}

/// Print one line of progress, with the time since the start.
pub fn progress(text: &str) {
    eprintln!("[{:7.1} s] {text}", elapsed());
}
