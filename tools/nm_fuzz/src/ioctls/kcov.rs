// SPDX-License-Identifier: GPL-2.0
//! Which code of netmap.ko a sequence has reached, on kernels that can tell (KCOV).
//!
//! On others what requests answer has to do: less sharp, but it also tells new from old.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

const INIT_TRACE: u64 = 0x8008_6301;
const ENABLE: u64 = 0x6364;
const DISABLE: u64 = 0x6365;
const WORDS: usize = 1 << 16;

/// The calling thread's trace.
pub struct Kcov {
    fd: i32,
    words: &'static [AtomicU64],
    /// Where netmap.ko is.
    code: std::ops::Range<u64>,
}

impl Kcov {
    /// For the calling thread; `None` where the kernel has none.
    pub fn open() -> Option<Kcov> {
        let code = module()?;
        // SAFETY: makes a descriptor, then a mapping of it as long as it was told to be, which
        // stays; the kernel writes there, hence atomics.
        unsafe {
            let path = c"/sys/kernel/debug/kcov".as_ptr();
            let fd = libc::open(path, libc::O_RDWR | libc::O_CLOEXEC);
            if fd < 0 || libc::ioctl(fd, INIT_TRACE as libc::Ioctl, WORDS) != 0 {
                return None;
            }
            let p = libc::mmap(
                std::ptr::null_mut(),
                WORDS * 8,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                fd,
                0,
            );
            if p == libc::MAP_FAILED {
                return None;
            }
            let words = std::slice::from_raw_parts(p.cast::<AtomicU64>(), WORDS);
            Some(Kcov { fd, words, code })
        }
    }

    /// Runs `work`; hands over the places in netmap.ko that this thread has passed in it.
    pub fn trace<T>(&self, work: impl FnOnce() -> T, mut reached: impl FnMut(u64)) -> T {
        self.words[0].store(0, Ordering::Relaxed);
        // SAFETY: no memory but the trace.
        unsafe { libc::ioctl(self.fd, ENABLE as libc::Ioctl, 0) };
        let value = work();
        // SAFETY: as above.
        unsafe { libc::ioctl(self.fd, DISABLE as libc::Ioctl, 0) };
        let n = self.words[0].load(Ordering::Relaxed) as usize;
        for word in &self.words[1..=n.min(WORDS - 1)] {
            let pc = word.load(Ordering::Relaxed);
            if self.code.contains(&pc) {
                reached(pc - self.code.start);
            }
        }
        value
    }
}

/// Where netmap.ko is in memory.
fn module() -> Option<std::ops::Range<u64>> {
    let text = fs::read_to_string("/proc/modules").ok()?;
    let line = text.lines().find(|l| l.starts_with("netmap "))?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let size: u64 = words.get(1)?.parse().ok()?;
    let base = words.get(5)?.strip_prefix("0x")?;
    let base = u64::from_str_radix(base, 16).ok().filter(|b| *b != 0)?;
    Some(base..base + size)
}
