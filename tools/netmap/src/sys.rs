// SPDX-License-Identifier: MIT OR Apache-2.0
//! The system calls the crate needs, with Rust types: open, ioctl, mmap, poll.
//!
//! `libc` and not a wrapper crate: all there is are five calls, the requests are
//! our own, and a wrapper would leave the same `unsafe` around each ioctl.

use crate::abi;
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::time::Duration;

/// Structures an ioctl of `/dev/netmap` may be given.
///
/// # Safety
/// The type is `repr(C)`, valid for every bit pattern, and has the size that the
/// ioctl numbers used with it say.
pub(crate) unsafe trait Request {}
// SAFETY: plain integers and arrays of them; sizes are asserted in abi::layout.
unsafe impl Request for abi::ext::nm_queue_req {}
// SAFETY: as above.
unsafe impl Request for abi::ext::nm_queue_info {}

/// Open `/dev/netmap`.
pub(crate) fn open_device() -> io::Result<OwnedFd> {
    let file: File = OpenOptions::new()
        .read(true)
        .write(true)
        .open(abi::NETMAP_DEVICE)?;
    Ok(file.into())
}

/// An ioctl with a structure that has no pointers in it.
pub(crate) fn ioctl<T: Request>(fd: BorrowedFd<'_>, number: u32, arg: &mut T) -> io::Result<()> {
    // SAFETY: `arg` is a live, writable T, as large as the number says (Request),
    // and holds no addresses the kernel would follow.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), number as _, arg as *mut T) })
}

/// An ioctl without argument.
pub(crate) fn ioctl_none(fd: BorrowedFd<'_>, number: u32) -> io::Result<()> {
    // SAFETY: TXSYNC and RXSYNC take no argument; they change ring memory only
    // in the slots that belong to the kernel (crate::ring relies on that).
    check(unsafe { libc::ioctl(fd.as_raw_fd(), number as _) })
}

fn check(ret: libc::c_int) -> io::Result<()> {
    if ret < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// A shared mapping of a netmap region; unmapped on drop.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: a mapping belongs to the process, not to the thread that made it.
unsafe impl Send for Mapping {}
// SAFETY: what can be done with a shared one is to ask where it is.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Map the region of the registered file.
    pub(crate) fn new(fd: BorrowedFd<'_>, len: usize) -> io::Result<Self> {
        Self::map(fd.as_raw_fd(), len, libc::MAP_SHARED)
    }

    /// Zeroed memory of the program's own, in whole pages.
    pub(crate) fn anonymous(len: usize) -> io::Result<Self> {
        Self::map(-1, len, libc::MAP_SHARED | libc::MAP_ANONYMOUS)
    }

    fn map(fd: libc::c_int, len: usize, flags: libc::c_int) -> io::Result<Self> {
        // SAFETY: a new mapping at an address of the kernel's choice; nothing
        // that exists is replaced.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                flags,
                fd,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, len })
    }

    /// First byte.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: base and len are what mmap returned; rings borrow the Port that
        // owns this mapping, so nothing points into it any more.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// `poll()`: for each file the events asked for, then those that are there. False
/// after the timeout, and when a signal came, so that the caller can look at its flags.
pub(crate) fn poll(
    files: &mut [(BorrowedFd<'_>, i16)],
    timeout: Option<Duration>,
) -> io::Result<bool> {
    const FEW: usize = 64;
    const NONE: libc::pollfd = libc::pollfd {
        fd: -1,
        events: 0,
        revents: 0,
    };
    let (mut few, mut many);
    let set: &mut [libc::pollfd] = if files.len() <= FEW {
        few = [NONE; FEW];
        &mut few
    } else {
        many = vec![NONE; files.len()];
        &mut many
    };
    for (p, (fd, events)) in set.iter_mut().zip(files.iter()) {
        (p.fd, p.events) = (fd.as_raw_fd(), *events);
    }
    // SAFETY: at least that many live pollfds.
    let n = unsafe { libc::poll(set.as_mut_ptr(), files.len() as _, millis(timeout)) };
    let e = io::Error::last_os_error();
    for (p, (_, events)) in set.iter().zip(files.iter_mut()) {
        *events = if n > 0 { p.revents } else { 0 };
    }
    match n {
        n if n >= 0 => Ok(n > 0),
        _ if e.kind() == io::ErrorKind::Interrupted => Ok(false),
        _ => Err(e),
    }
}

/// A new eventfd.
pub(crate) fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: no pointers.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: new, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Signal an eventfd.
pub(crate) fn signal(fd: &OwnedFd) -> io::Result<()> {
    let one = 1u64.to_ne_bytes();
    // SAFETY: eight live bytes.
    let n = unsafe { libc::write(fd.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    check(if n < 0 { -1 } else { 0 })
}

/// Take back what was signalled on an eventfd.
pub(crate) fn clear(fd: &OwnedFd) {
    let mut count = [0u8; 8];
    // SAFETY: eight live, writable bytes. Nothing to read is no error here.
    unsafe { libc::read(fd.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
}

/// A timeout for `poll()`: rounded up, so that a short one does not spin.
fn millis(timeout: Option<Duration>) -> libc::c_int {
    match timeout {
        None => -1,
        Some(t) => t
            .as_micros()
            .div_ceil(1000)
            .try_into()
            .unwrap_or(libc::c_int::MAX),
    }
}

/// Is there an interface of this name in our network namespace?
pub(crate) fn interface_exists(name: &str) -> bool {
    let Ok(name) = CString::new(name) else {
        return false;
    };
    // SAFETY: a valid C string.
    unsafe { libc::if_nametoindex(name.as_ptr()) != 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn as_many_files_are_polled_as_a_port_has_rings() {
        let events: Vec<_> = (0..130).map(|_| eventfd().expect("eventfd")).collect();
        let mut files: Vec<_> = events.iter().map(|e| (e.as_fd(), libc::POLLIN)).collect();
        assert!(!poll(&mut files, Some(Duration::ZERO)).expect("poll"));
        signal(&events[129]).expect("signal");
        files.iter_mut().for_each(|f| f.1 = libc::POLLIN);
        assert!(poll(&mut files, Some(Duration::ZERO)).expect("poll"));
        let ready: Vec<_> = (0..130).filter(|i| files[*i].1 != 0).collect();
        assert_eq!(ready, [129]);
    }

    #[test]
    fn timeouts_round_up_and_saturate() {
        assert_eq!(millis(None), -1);
        assert_eq!(millis(Some(Duration::ZERO)), 0);
        assert_eq!(millis(Some(Duration::from_micros(1))), 1);
        assert_eq!(millis(Some(Duration::from_millis(250))), 250);
        assert_eq!(millis(Some(Duration::MAX)), libc::c_int::MAX);
    }
}
