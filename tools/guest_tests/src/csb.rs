// SPDX-License-Identifier: GPL-2.0
//! The communication status block of an fd, and a kernel loop in a thread.

use crate::abi::*;
use crate::check::{Errno, Sys};
use crate::fd::{header, Fd};
use crate::mem::Mem;
use anyhow::{bail, Context, Result};
use std::sync::atomic::{fence, Ordering};
use std::sync::mpsc::{channel, Receiver};
use std::time::Duration;

const ENTRY: usize = 64;
/// Words of an entry.
pub const HEAD: usize = 0;
pub const CUR: usize = 4;
pub const APPL_NEED_KICK: usize = 8;
pub const HWCUR: usize = 0;
pub const HWTAIL: usize = 4;
pub const KERN_NEED_KICK: usize = 8;

/// Two pages of the program's: what it writes, and what the kernel writes.
pub struct Csb {
    pub mem: Mem,
}

impl Csb {
    /// Full of rubbish, as fresh memory may be.
    pub fn new() -> Result<Csb> {
        // SAFETY: new memory at an address the kernel picks.
        let p = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                8192,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if p == libc::MAP_FAILED {
            bail!("mmap: {}", Errno::last());
        }
        // SAFETY: just mapped, given to nobody else.
        let mem = unsafe { Mem::new(p.cast(), 8192) };
        for off in (0..8192).step_by(4) {
            mem.set(off, 0xa5a5_a5a5u32);
        }
        Ok(Csb { mem })
    }

    pub fn atok(&self) -> u64 {
        self.mem.base() as u64
    }

    pub fn ktoa(&self) -> u64 {
        self.atok() + 4096
    }

    pub fn option(&self) -> CsbOpt {
        csb_option(self.atok(), self.ktoa())
    }

    /// What the program told the kernel of entry `i`.
    pub fn told(&self, i: usize, word: usize) -> u32 {
        self.mem.get(i * ENTRY + word)
    }

    /// Tells the kernel a word.
    pub fn tell(&self, i: usize, word: usize, value: u32) {
        self.mem.set(i * ENTRY + word, value);
    }

    /// What the kernel says of entry `i`.
    pub fn says(&self, i: usize, word: usize) -> u32 {
        self.mem.get(4096 + i * ENTRY + word)
    }

    /// Moves on: `cur`, then `head`, as the kernel reads them the other way round.
    pub fn advance(&self, i: usize, head: u32) {
        fence(Ordering::Release);
        self.tell(i, CUR, head);
        fence(Ordering::Release);
        self.tell(i, HEAD, head);
    }

    /// hwcur and hwtail of entry `i`, read in the protocol's order.
    pub fn indices(&self, i: usize) -> (u32, u32) {
        let hwtail = self.says(i, HWTAIL);
        fence(Ordering::Acquire);
        let hwcur = self.says(i, HWCUR);
        fence(Ordering::Acquire);
        (hwcur, hwtail)
    }
}

/// The option CSB with these arrays.
pub fn csb_option(atok: u64, ktoa: u64) -> CsbOpt {
    CsbOpt {
        opt: Opt {
            reqtype: OPT_CSB,
            status: 0x5a5a,
            ..Default::default()
        },
        atok,
        ktoa,
    }
}

/// CSB_ENABLE with an option list.
pub fn enable(fd: &Fd, first: u64) -> Sys<()> {
    let mut hdr = header("", REQ_CSB_ENABLE);
    hdr.options = first;
    fd.ctrl(&mut hdr)
}

/// SYNC_KLOOP_START with an option list; returns when the loop ends.
pub fn start(fd: &Fd, sleep_us: u32, first: u64) -> Sys<()> {
    let mut body = [sleep_us, 0];
    let mut hdr = header("", REQ_SYNC_KLOOP_START);
    hdr.body = body.as_mut_ptr() as u64;
    hdr.options = first;
    fd.ctrl(&mut hdr)
}

pub fn stop(fd: &Fd) -> Sys<()> {
    fd.ctrl(&mut header("", REQ_SYNC_KLOOP_STOP))
}

/// A kernel loop in a thread of this process.
pub struct Loop {
    fd: Fd,
    ended: Receiver<Sys<()>>,
    thread: libc::pthread_t,
}

impl Loop {
    /// Starts it with the options at `first`, which stay until it ends.
    pub fn start(fd: &Fd, sleep_us: u32, first: u64) -> Result<Loop> {
        let own = Fd {
            file: fd.file.try_clone()?,
        };
        let fd = Fd {
            file: fd.file.try_clone()?,
        };
        let (tx, ended) = channel();
        let (said, id) = channel();
        std::thread::spawn(move || {
            // SAFETY: the calling thread's own id.
            let _ = said.send(unsafe { libc::pthread_self() });
            let _ = tx.send(start(&own, sleep_us, first));
        });
        let thread = id.recv()?;
        Ok(Loop { fd, ended, thread })
    }

    /// How it ended, if it does so in time.
    pub fn ended(&self, limit: Duration) -> Option<Sys<()>> {
        self.ended.recv_timeout(limit).ok()
    }

    /// A signal to its thread.
    pub fn signal(&self, sig: i32) {
        // SAFETY: the thread is in the loop, or ended and not reaped: it was not joined.
        unsafe { libc::pthread_kill(self.thread, sig) };
    }

    /// Stops it, and says how it ended.
    pub fn stop(self) -> Result<Sys<()>> {
        stop(&self.fd).context("SYNC_KLOOP_STOP")?;
        self.ended(Duration::from_secs(5))
            .context("the loop goes on after SYNC_KLOOP_STOP has returned")
    }
}

/// An eventfd of ours.
pub struct EventFd(pub std::os::fd::OwnedFd);

impl EventFd {
    pub fn new() -> Result<EventFd> {
        // SAFETY: no memory; the descriptor that comes back is ours.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            bail!("eventfd: {}", Errno::last());
        }
        // SAFETY: just made, owned by nobody else.
        Ok(EventFd(unsafe { std::os::fd::FromRawFd::from_raw_fd(fd) }))
    }

    pub fn raw(&self) -> i32 {
        use std::os::fd::AsRawFd;
        self.0.as_raw_fd()
    }

    pub fn signal(&self) {
        let one = 1u64;
        // SAFETY: eight bytes of ours.
        unsafe { libc::write(self.raw(), (&raw const one).cast(), 8) };
    }

    /// Its count, which becomes 0.
    pub fn take(&self) -> u64 {
        let mut n = 0u64;
        // SAFETY: eight bytes of ours.
        match unsafe { libc::read(self.raw(), (&raw mut n).cast(), 8) } {
            8 => n,
            _ => 0,
        }
    }

    /// Waits until its count is not 0, and takes it.
    pub fn wait(&self, limit: Duration) -> Result<u64> {
        crate::fd::poll_fd(self.raw(), libc::POLLIN, limit)?;
        Ok(self.take())
    }
}

/// The option EVENTFDS: header, then pairs of descriptors.
pub fn eventfds(pairs: &[(i32, i32)]) -> Vec<u64> {
    let size = 24 + 8 * pairs.len() as u64;
    let mut words = vec![0, u64::from(OPT_KLOOP_EVENTFDS), size];
    for (io, irq) in pairs {
        words.push(u64::from(*io as u32) | (u64::from(*irq as u32) << 32));
    }
    words
}

/// The status of an option made of words.
pub fn status(words: &[u64]) -> u32 {
    (words[1] >> 32) as u32
}
