// SPDX-License-Identifier: GPL-2.0
//! What tests assert with: an errno by name, a value, a value with its context.

use anyhow::{bail, Result};
use std::fmt;

/// An errno as the kernel gave it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub i32);

/// Result of a system call.
pub type Sys<T> = std::result::Result<T, Errno>;

impl Errno {
    /// The calling thread's errno.
    pub fn last() -> Self {
        Errno(std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            libc::EPERM => "EPERM",
            libc::ENOENT => "ENOENT",
            libc::EINTR => "EINTR",
            libc::EIO => "EIO",
            libc::ENXIO => "ENXIO",
            libc::EAGAIN => "EAGAIN",
            libc::ENOMEM => "ENOMEM",
            libc::EBADF => "EBADF",
            libc::EACCES => "EACCES",
            libc::EFAULT => "EFAULT",
            libc::EBUSY => "EBUSY",
            libc::ENODEV => "ENODEV",
            libc::EINVAL => "EINVAL",
            libc::ENOTTY => "ENOTTY",
            libc::EMSGSIZE => "EMSGSIZE",
            libc::EOPNOTSUPP => "EOPNOTSUPP",
            libc::ENOSPC => "ENOSPC",
            libc::ETIMEDOUT => "ETIMEDOUT",
            libc::ENETDOWN => "ENETDOWN",
            other => return write!(f, "errno {other}"),
        };
        f.write_str(name)
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Errno {}

/// The call must have failed with exactly this errno.
#[track_caller]
pub fn want_errno<T>(what: &str, got: Sys<T>, want: i32) -> Result<()> {
    let at = std::panic::Location::caller();
    match got {
        Err(e) if e.0 == want => Ok(()),
        Err(e) => bail!(
            "{what}: want {}, got {e} ({}:{})",
            Errno(want),
            at.file(),
            at.line()
        ),
        Ok(_) => bail!(
            "{what}: want {}, but it succeeded ({}:{})",
            Errno(want),
            at.file(),
            at.line()
        ),
    }
}

/// The call must have failed; which error is noted in the log.
#[track_caller]
pub fn want_some_errno<T>(what: &str, got: Sys<T>) -> Result<()> {
    let at = std::panic::Location::caller();
    match got {
        Err(e) => {
            println!("{what}: {e}");
            Ok(())
        }
        Ok(_) => bail!(
            "{what}: want an error, but it succeeded ({}:{})",
            at.file(),
            at.line()
        ),
    }
}

/// The call must have succeeded.
#[track_caller]
pub fn want_ok<T>(what: &str, got: Sys<T>) -> Result<T> {
    let at = std::panic::Location::caller();
    match got {
        Ok(v) => Ok(v),
        Err(e) => bail!(
            "{what}: want success, got {e} ({}:{})",
            at.file(),
            at.line()
        ),
    }
}

/// Two values must be equal.
#[track_caller]
pub fn want_eq<T: PartialEq + fmt::Debug>(what: &str, got: T, want: T) -> Result<()> {
    let at = std::panic::Location::caller();
    if got == want {
        return Ok(());
    }
    let (got, want) = contrast(&format!("{got:?}"), &format!("{want:?}"));
    bail!(
        "{what}: want {want}, got {got} ({}:{})",
        at.file(),
        at.line()
    )
}

/// Long values (frames, lists of them) from shortly before where they differ.
fn contrast(got: &str, want: &str) -> (String, String) {
    const LONG: usize = 160;
    if got.len().max(want.len()) <= LONG {
        return (got.to_string(), want.to_string());
    }
    let same = got
        .bytes()
        .zip(want.bytes())
        .take_while(|(a, b)| a == b)
        .count();
    let from = same.saturating_sub(40);
    let cut = |s: &str| {
        let piece =
            String::from_utf8_lossy(&s.as_bytes()[from.min(s.len())..(from + LONG).min(s.len())])
                .into_owned();
        format!("...{piece}... (from {from} of {} characters)", s.len())
    };
    (cut(got), cut(want))
}

/// A statement that must hold.
#[track_caller]
pub fn want(what: &str, holds: bool) -> Result<()> {
    let at = std::panic::Location::caller();
    if holds {
        return Ok(());
    }
    bail!("not so: {what} ({}:{})", at.file(), at.line())
}
