// SPDX-License-Identifier: GPL-2.0
//! Counts that all processes of a run share: memory that fork() does not copy.

use crate::check::Errno;
use anyhow::{bail, Result};
use std::sync::atomic::{AtomicU64, Ordering};

/// What is counted.
#[derive(Clone, Copy)]
pub enum Count {
    /// Hostile values stored into memory the kernel reads.
    Writes,
    /// Syncs over such memory: sync ioctls, polls, rounds of a kernel loop.
    Syncs,
    /// ioctl() calls on /dev/netmap.
    Ioctls,
    /// Other calls of a sequence: mmap, fork, dup, close …
    Others,
    /// Sequences of calls run.
    Programs,
    /// Those that reached something new.
    Kept,
    /// Things reached: program counters of netmap.ko, or outcomes of requests.
    Reached,
    /// Processes killed in the middle.
    Kills,
    /// Administrator's commands.
    Events,
    /// Pages of regions looked into for another user's bytes.
    Pages,
    /// Another user's bytes found.
    Leaks,
    /// Registrations that succeeded.
    Registered,
    /// Set when the run is to end.
    Stop,
    Len,
}

/// The shared counts, and a bitmap of what was reached.
#[derive(Clone, Copy)]
pub struct Counts {
    words: &'static [AtomicU64],
}

const NAMED: usize = Count::Len as usize;
/// A heartbeat per process.
const HEARTS: usize = 64;
/// Bits of the bitmap of what was reached.
pub const REACH_BITS: usize = 1 << 16;
const WORDS: usize = NAMED + HEARTS + REACH_BITS / 64;

impl Counts {
    /// Fresh ones; they stay until the process ends.
    pub fn new() -> Result<Counts> {
        // SAFETY: new memory at an address the kernel picks.
        let p = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                WORDS * 8,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if p == libc::MAP_FAILED {
            bail!("mmap: {}", Errno::last());
        }
        // SAFETY: as long, zeroed, never unmapped; atomics may be shared with other processes.
        let words = unsafe { std::slice::from_raw_parts(p.cast::<AtomicU64>(), WORDS) };
        Ok(Counts { words })
    }

    pub fn add(&self, what: Count, n: u64) {
        self.words[what as usize].fetch_add(n, Ordering::Relaxed);
    }

    pub fn get(&self, what: Count) -> u64 {
        self.words[what as usize].load(Ordering::Relaxed)
    }

    pub fn stop(&self) {
        self.words[Count::Stop as usize].store(1, Ordering::Relaxed);
    }

    pub fn stopped(&self) -> bool {
        self.get(Count::Stop) != 0
    }

    /// A process shows that it is alive.
    pub fn beat(&self, process: usize) {
        self.words[NAMED + process % HEARTS].fetch_add(1, Ordering::Relaxed);
    }

    pub fn heart(&self, process: usize) -> u64 {
        self.words[NAMED + process % HEARTS].load(Ordering::Relaxed)
    }

    /// Notes that `feature` was reached; true for the first time.
    pub fn reach(&self, feature: u64) -> bool {
        let bit = (crate::rng::spread(feature) as usize) % REACH_BITS;
        let word = &self.words[NAMED + HEARTS + bit / 64];
        let mask = 1 << (bit % 64);
        if word.load(Ordering::Relaxed) & mask != 0 {
            return false;
        }
        let first = word.fetch_or(mask, Ordering::Relaxed) & mask == 0;
        if first {
            self.add(Count::Reached, 1);
        }
        first
    }
}
