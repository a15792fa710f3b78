// SPDX-License-Identifier: GPL-2.0
//! Those who wait at a program's fd: a reader in poll(), one who waits in epoll_wait(), and one
//! in poll() for nothing but errors. None of them has a time limit: whom the kernel does not
//! wake sleeps until the watch ends.

use crate::check::{Errno, Sys};
use crate::frame::parse_udp;
use crate::mem::Ring;
use crate::setup::eventually;
use anyhow::{bail, Context, Result};
use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// The sleepers, by what they are called in reasons.
const SLEEPERS: [&str; 3] = [
    "the reader in poll()",
    "the sleeper in epoll_wait()",
    "the sleeper in poll() for errors alone",
];

/// After an error, which stays until it is undone: how often to look again.
const AGAIN: Duration = Duration::from_millis(5);

/// What the threads have seen.
#[derive(Default)]
struct Seen {
    stop: AtomicBool,
    /// Times each sleeper was told POLLERR.
    errors: [AtomicU64; 3],
    /// Frames by queue and UDP port.
    frames: Mutex<BTreeMap<(u32, u16), u64>>,
    /// A system call that failed.
    trouble: Mutex<Option<String>>,
}

/// What one of the threads does.
type Part = Box<dyn FnOnce(&Seen) -> Sys<()> + Send>;

/// The threads at one fd.
pub struct Watch {
    seen: Arc<Seen>,
    stop: OwnedFd,
    threads: Vec<JoinHandle<()>>,
}

impl Watch {
    /// Sleepers at `fd`, whose rings these are.
    pub fn start(fd: RawFd, rings: Vec<(u32, Ring)>) -> Result<Watch> {
        let seen = Arc::new(Seen::default());
        // SAFETY: no memory involved.
        let stop = owned(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) })?;
        let raw = stop.as_raw_fd();
        let run = |part: Part| {
            let seen = seen.clone();
            std::thread::spawn(move || {
                if let Err(e) = part(&seen) {
                    *seen.trouble.lock().unwrap() = Some(e.to_string());
                }
            })
        };
        let threads = vec![
            run(Box::new(move |seen| read(seen, fd, raw, &rings))),
            run(Box::new(move |seen| epoll(seen, fd, raw))),
            run(Box::new(move |seen| errors(seen, fd, raw))),
        ];
        Ok(Watch {
            seen,
            stop,
            threads,
        })
    }

    /// Frames from a queue so far; `None`: from all.
    pub fn frames(&self, queue: Option<u32>, dport: u16) -> u64 {
        let frames = self.seen.frames.lock().unwrap();
        let of = |&((q, p), _): &(&(u32, u16), &u64)| queue.is_none_or(|w| *q == w) && *p == dport;
        frames.iter().filter(of).map(|(_, n)| n).sum()
    }

    /// Times each sleeper was told POLLERR.
    pub fn errors(&self) -> [u64; 3] {
        [0, 1, 2].map(|i| self.seen.errors[i].load(Ordering::Relaxed))
    }

    /// Waits until each sleeper has been told POLLERR since `before`.
    pub fn woken(&self, before: [u64; 3], limit: Duration) -> Result<()> {
        for (i, who) in SLEEPERS.iter().enumerate() {
            eventually(&format!("{who} is told POLLERR"), limit, || {
                Ok(self.errors()[i] > before[i])
            })?;
        }
        Ok(())
    }

    /// Nobody has been told POLLERR since `before`.
    pub fn undisturbed(&self, before: [u64; 3]) -> Result<()> {
        for (i, who) in SLEEPERS.iter().enumerate() {
            let told = self.errors()[i] - before[i];
            if told > 0 {
                bail!("{who} was told POLLERR {told} times");
            }
        }
        Ok(())
    }

    /// Ends the threads; what went wrong in them.
    pub fn end(mut self) -> Result<()> {
        self.halt();
        for t in self.threads.drain(..) {
            t.join().ok().context("a watching thread died")?;
        }
        match self.seen.trouble.lock().unwrap().take() {
            Some(e) => bail!("a watching thread's system call: {e}"),
            None => Ok(()),
        }
    }

    fn halt(&self) {
        self.seen.stop.store(true, Ordering::Relaxed);
        let one = 1u64.to_ne_bytes();
        // SAFETY: eight bytes to an eventfd.
        unsafe { libc::write(self.stop.as_raw_fd(), one.as_ptr().cast(), 8) };
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.halt();
        for t in self.threads.drain(..) {
            let _ = t.join();
        }
    }
}

fn owned(fd: i32) -> Sys<OwnedFd> {
    match fd {
        -1 => Err(Errno::last()),
        // SAFETY: just made, owned by nobody else.
        fd => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
    }
}

impl Seen {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Counts an error for a sleeper; true if there was one.
    fn error(&self, who: usize, events: u32) -> bool {
        let told = events & libc::POLLERR as u32 != 0;
        if told {
            self.errors[who].fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(AGAIN);
        }
        told
    }
}

/// poll() without limit for `events` of `fd`, or for the end of the watch.
fn sleep(fd: RawFd, stop: RawFd, events: i16) -> Sys<u32> {
    let one = |fd, events| libc::pollfd {
        fd,
        events,
        revents: 0,
    };
    let mut both = [one(fd, events), one(stop, libc::POLLIN)];
    // SAFETY: two pollfds that live across the call.
    match unsafe { libc::poll(both.as_mut_ptr(), 2, -1) } {
        -1 => Err(Errno::last()),
        _ => Ok(both[0].revents as u16 as u32),
    }
}

/// Takes frames as they come.
fn read(seen: &Seen, fd: RawFd, stop: RawFd, rings: &[(u32, Ring)]) -> Sys<()> {
    while !seen.stopped() {
        let events = sleep(fd, stop, libc::POLLIN)?;
        for (queue, ring) in rings {
            for f in ring.take() {
                if let Some(udp) = parse_udp(&f) {
                    let mut frames = seen.frames.lock().unwrap();
                    *frames.entry((*queue, udp.dport)).or_default() += 1;
                }
            }
        }
        seen.error(0, events);
    }
    Ok(())
}

/// Waits in an epoll set; edge-triggered, as it leaves the frames to the reader.
fn epoll(seen: &Seen, fd: RawFd, stop: RawFd) -> Sys<()> {
    // SAFETY: no memory involved.
    let set = owned(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
    for (fd, events) in [(fd, libc::EPOLLIN | libc::EPOLLET), (stop, libc::EPOLLIN)] {
        let mut event = libc::epoll_event {
            events: events as u32,
            u64: fd as u64,
        };
        // SAFETY: an event that lives across the call.
        if unsafe { libc::epoll_ctl(set.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &mut event) } != 0 {
            return Err(Errno::last());
        }
    }
    while !seen.stopped() {
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        // SAFETY: room for one event.
        if unsafe { libc::epoll_wait(set.as_raw_fd(), &mut event, 1, -1) } < 0 {
            match Errno::last() {
                // SIGCONT ends it, and sleep too (signal(7)); poll() goes on by itself
                Errno(libc::EINTR) => continue,
                e => return Err(e),
            }
        }
        if event.u64 == fd as u64 {
            seen.error(1, event.events);
        }
    }
    Ok(())
}

/// Waits for errors, which poll() reports unasked.
fn errors(seen: &Seen, fd: RawFd, stop: RawFd) -> Sys<()> {
    while !seen.stopped() {
        let events = sleep(fd, stop, 0)?;
        seen.error(2, events);
    }
    Ok(())
}
