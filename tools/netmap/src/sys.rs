// SPDX-License-Identifier: MIT OR Apache-2.0
//! The system calls the crate needs, with Rust types: open, ioctl, mmap, poll.
//!
//! `libc` and not a wrapper crate: all there is are five calls, the requests are
//! our own, and a wrapper would leave the same `unsafe` around each ioctl.

use crate::abi;
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
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

/// `NETMAP_REQ_REGISTER` for the port called `name`.
pub(crate) fn register(
    fd: BorrowedFd<'_>,
    name: &str,
    body: &mut abi::nmreq_register,
) -> io::Result<()> {
    let mut header = abi::nmreq_header {
        nr_version: abi::NETMAP_API,
        nr_reqtype: abi::NETMAP_REQ_REGISTER,
        nr_reserved: 0,
        nr_name: [0; abi::NETMAP_REQ_IFNAMSIZ],
        nr_options: 0,
        nr_body: body as *mut abi::nmreq_register as u64,
    };
    let bytes = name.as_bytes();
    if bytes.len() >= header.nr_name.len() || bytes.contains(&0) {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    header.nr_name[..bytes.len()].copy_from_slice(bytes);
    // SAFETY: `header` is the structure NIOCCTRL takes, and its nr_body points to
    // the live body that belongs to its request type; there are no options.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), abi::NIOCCTRL as _, &mut header) })
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

impl Mapping {
    /// Map the region of the registered file.
    pub(crate) fn new(fd: BorrowedFd<'_>, len: usize) -> io::Result<Self> {
        // SAFETY: a new mapping at an address of the kernel's choice; nothing
        // that exists is replaced.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                fd.as_raw_fd(),
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

/// `poll()` on one file; the events that are there, 0 after the timeout. Returns
/// with 0 as well when a signal came, so that the caller can look at its flags.
pub(crate) fn poll(fd: BorrowedFd<'_>, events: i16, timeout: Option<Duration>) -> io::Result<i16> {
    let mut pfd = libc::pollfd {
        fd: fd.as_raw_fd(),
        events,
        revents: 0,
    };
    // SAFETY: one live pollfd.
    let n = unsafe { libc::poll(&mut pfd, 1, millis(timeout)) };
    if n < 0 {
        let e = io::Error::last_os_error();
        if e.kind() == io::ErrorKind::Interrupted {
            return Ok(0);
        }
        return Err(e);
    }
    Ok(if n == 0 { 0 } else { pfd.revents })
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

    #[test]
    fn timeouts_round_up_and_saturate() {
        assert_eq!(millis(None), -1);
        assert_eq!(millis(Some(Duration::ZERO)), 0);
        assert_eq!(millis(Some(Duration::from_micros(1))), 1);
        assert_eq!(millis(Some(Duration::from_millis(250))), 250);
        assert_eq!(millis(Some(Duration::MAX)), libc::c_int::MAX);
    }
}
