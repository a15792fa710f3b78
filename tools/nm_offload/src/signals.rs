// SPDX-License-Identifier: GPL-2.0
//! SIGINT, SIGTERM and SIGHUP as a readable descriptor, and waiting for it and
//! others with a timeout.

use anyhow::{Context, Result};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// Readable when the program is asked to end.
pub struct Signals(OwnedFd);

impl Signals {
    /// From now on, in this thread and those it starts, the signals come here.
    pub fn block() -> Result<Self> {
        // SAFETY: the set is initialised before use; results are checked.
        let fd = unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut set);
            for s in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
                libc::sigaddset(&mut set, s);
            }
            libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
            libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
        };
        if fd < 0 {
            return Err(io::Error::last_os_error()).context("signalfd");
        }
        // SAFETY: a new descriptor, owned by nobody else.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Which of two descriptors (the second may be missing) are readable after at most
/// `timeout`.
pub fn wait(a: BorrowedFd<'_>, b: Option<BorrowedFd<'_>>, timeout: Duration) -> Result<[bool; 2]> {
    let mut fds = [Some(a), b].map(|fd| libc::pollfd {
        // poll() leaves negative ones out.
        fd: fd.map_or(-1, |fd| fd.as_raw_fd()),
        events: libc::POLLIN,
        revents: 0,
    });
    let ms = timeout.as_micros().div_ceil(1000).min(i32::MAX as u128) as libc::c_int;
    // SAFETY: two live pollfds.
    let n = unsafe { libc::poll(fds.as_mut_ptr(), 2, ms) };
    if n < 0 {
        let e = io::Error::last_os_error();
        if e.kind() != io::ErrorKind::Interrupted {
            return Err(e).context("poll");
        }
        return Ok([false; 2]);
    }
    Ok(fds.map(|p| p.revents != 0))
}
