// SPDX-License-Identifier: GPL-2.0
//! A tap interface as the far end of the cable.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;

const TUNSETIFF: libc::c_ulong = 0x4004_54ca;
const TUNSETCARRIER: libc::c_ulong = 0x4004_54e2;

/// An open tap.
pub struct Tap {
    file: File,
}

impl Tap {
    /// Opens the tap of this name in the caller's network namespace, making it if need be.
    pub fn open(name: &str) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open("/dev/net/tun")?;
        if name.is_empty() || name.len() >= libc::IFNAMSIZ {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "an interface name has 1 to 15 characters",
            ));
        }
        // SAFETY: ifreq is plain data, for which zero is valid.
        let mut req: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, from) in req.ifr_name.iter_mut().zip(name.bytes()) {
            *to = from as libc::c_char;
        }
        req.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI) as libc::c_short;
        // SAFETY: the request takes an ifreq, which `req` is, and `file` is open.
        if unsafe { libc::ioctl(file.as_raw_fd(), TUNSETIFF, &mut req) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { file })
    }

    pub fn fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// Shows the state of the link to the tap's side.
    pub fn set_carrier(&self, up: bool) {
        let v = libc::c_int::from(up);
        // SAFETY: the request reads an int, which `v` is. Failure is harmless: an old kernel
        // without the request just shows no carrier changes.
        unsafe { libc::ioctl(self.file.as_raw_fd(), TUNSETCARRIER, &v) };
    }

    /// Reads one frame; None if there is none.
    pub fn read(&self, buf: &mut [u8]) -> Option<usize> {
        (&self.file).read(buf).ok().filter(|&n| n >= 14)
    }

    /// Writes one frame. A tap that is down or full loses it, as a cable would.
    pub fn write(&self, frame: &[u8]) {
        let _ = (&self.file).write(frame);
    }
}
