// SPDX-License-Identifier: MIT OR Apache-2.0
//! When to end: SIGINT, SIGTERM, or the end of the time given.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

static ASKED: AtomicBool = AtomicBool::new(false);

extern "C" fn on_signal(_: libc::c_int) {
    ASKED.store(true, Ordering::Relaxed);
}

/// Says when to end.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    end: Option<Instant>,
}

impl Stop {
    /// From now on the signals end the program by way of [`Self::now`], and so does
    /// the time if there is one. They interrupt `poll`.
    pub fn after(time: Option<Duration>) -> Self {
        for signal in [libc::SIGINT, libc::SIGTERM] {
            // SAFETY: a zeroed sigaction is valid (no flags, empty mask); the handler
            // only stores to an atomic.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = on_signal as extern "C" fn(libc::c_int) as usize;
                libc::sigaction(signal, &action, std::ptr::null_mut());
            }
        }
        Self {
            end: time.map(|t| Instant::now() + t),
        }
    }

    /// Is it time?
    pub fn now(&self) -> bool {
        ASKED.load(Ordering::Relaxed) || self.end.is_some_and(|end| Instant::now() >= end)
    }
}
