// SPDX-License-Identifier: GPL-2.0

//! Errors: negative errnos.

/// An errno; kept negative.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Error(i32);

/// What fallible functions return.
pub type Result<T = (), E = Error> = core::result::Result<T, E>;

impl Error {
    /// From a negative errno.
    pub fn from_errno(errno: i32) -> Self {
        assert!((-4095..0).contains(&errno), "no errno: {errno}");
        Error(errno)
    }

    /// The negative errno.
    pub fn to_errno(self) -> i32 {
        self.0
    }
}

impl core::fmt::Debug for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "errno {}", -self.0)
    }
}

impl From<core::convert::Infallible> for Error {
    fn from(never: core::convert::Infallible) -> Self {
        match never {}
    }
}

impl From<crate::alloc::AllocError> for Error {
    fn from(_: crate::alloc::AllocError) -> Self {
        code::ENOMEM
    }
}

/// A C function's answer.
///
/// # Errors
///
/// The errno, if it is negative.
pub fn to_result(ret: i32) -> Result {
    if ret < 0 {
        Err(Error::from_errno(ret))
    } else {
        Ok(())
    }
}

/// The same, the other way.
pub fn from_result(f: impl FnOnce() -> Result<i32>) -> i32 {
    f().unwrap_or_else(|e| e.to_errno())
}

/// The errnos by name.
pub mod code {
    #![allow(missing_docs)]
    use super::Error;
    macro_rules! errnos {
        ($($name:ident = $number:expr;)+) => { $(pub const $name: Error = Error(-$number);)+ };
    }
    errnos! {
        EPERM = 1; ENOENT = 2; EINTR = 4; EIO = 5; ENXIO = 6; EBADF = 9; ENOMEM = 12; EFAULT = 14;
        EBUSY = 16; ENODEV = 19; EINVAL = 22; ENOSPC = 28; ERANGE = 34; EMSGSIZE = 90;
    }
}
