// SPDX-License-Identifier: GPL-2.0
//! Users that fuzz: root, one with CAP_NET_ADMIN alone, one with nothing.

use anyhow::{bail, Result};

/// Who a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    Root,
    /// CAP_NET_ADMIN, and the right to open the device.
    Admin(u32),
    /// Nothing but files that were opened before.
    Nobody(u32),
}

const CAP_DAC_OVERRIDE: u32 = 1;
const CAP_NET_ADMIN: u32 = 12;

impl User {
    /// The user of the n-th process.
    pub fn of(n: usize) -> User {
        match n % 4 {
            0 | 1 => User::Root,
            2 => User::Admin(65533),
            _ => User::Nobody(65532),
        }
    }

    pub fn uid(self) -> u32 {
        match self {
            User::Root => 0,
            User::Admin(uid) | User::Nobody(uid) => uid,
        }
    }

    /// Files to open before becoming this user.
    pub fn stash(self) -> usize {
        match self {
            User::Nobody(_) => 200,
            _ => 0,
        }
    }

    /// Makes this process that user's.
    pub fn become_it(self) -> Result<()> {
        let caps = match self {
            User::Root => return Ok(()),
            User::Admin(_) => (1 << CAP_NET_ADMIN) | (1 << CAP_DAC_OVERRIDE),
            User::Nobody(_) => 0,
        };
        let uid = self.uid();
        let header = [0x2008_0522u32, 0];
        // effective, permitted, inheritable; low words, then high words
        let data = [caps, caps, 0, 0, 0, 0];
        // SAFETY: system calls on this process's credentials; the arrays have the sizes that
        // version 3 of the structures has. No other threads yet.
        let failed = unsafe {
            libc::prctl(libc::PR_SET_KEEPCAPS, 1) != 0
                || libc::setgroups(0, std::ptr::null()) != 0
                || libc::setgid(uid) != 0
                || libc::setuid(uid) != 0
                || libc::syscall(libc::SYS_capset, header.as_ptr(), data.as_ptr()) != 0
                // setuid() has cleared it
                || libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0
        };
        if failed {
            bail!("become {self:?}: {}", std::io::Error::last_os_error());
        }
        Ok(())
    }
}
