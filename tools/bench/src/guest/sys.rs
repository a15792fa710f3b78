// SPDX-License-Identifier: GPL-2.0
//! Safe faces of the system calls the receivers use, and of memory shared with others.

use anyhow::{bail, Context, Result};
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// The result of a system call, or its errno with what was tried.
pub fn check(what: &str, result: libc::c_long) -> Result<libc::c_long> {
    if result < 0 {
        let error = io::Error::last_os_error();
        bail!("{what}: {error}");
    }
    Ok(result)
}

/// A new socket.
pub fn socket(family: i32, kind: i32, protocol: i32) -> Result<OwnedFd> {
    // SAFETY: no pointers.
    let fd = unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, protocol) };
    check("socket()", fd.into())?;
    // SAFETY: a descriptor that was just made and belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Set a socket option to a plain value.
pub fn setsockopt<T: Copy>(fd: &impl AsRawFd, level: i32, name: i32, value: &T) -> Result<()> {
    let len = size_of::<T>() as libc::socklen_t;
    // SAFETY: `value` is readable for `len` bytes.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            name,
            std::ptr::from_ref(value).cast(),
            len,
        )
    };
    check(&format!("setsockopt({level}, {name})"), result.into())?;
    Ok(())
}

/// Bind a socket to an address of any family.
pub fn bind<T: Copy>(fd: &impl AsRawFd, address: &T) -> Result<()> {
    let len = size_of::<T>() as libc::socklen_t;
    // SAFETY: `address` is readable for `len` bytes.
    let result = unsafe { libc::bind(fd.as_raw_fd(), std::ptr::from_ref(address).cast(), len) };
    check("bind()", result.into())?;
    Ok(())
}

/// A mapping that lives as long as this value.
pub struct Mapping {
    base: *mut u8,
    len: usize,
}

// SAFETY: the memory belongs to the process, not to a thread; whoever uses an
// address from at() says why that is sound.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Map `len` bytes of `fd` from `offset`, shared.
    pub fn shared(fd: &impl AsRawFd, offset: u64, len: usize) -> Result<Self> {
        Self::map(
            libc::MAP_SHARED | libc::MAP_POPULATE,
            fd.as_raw_fd(),
            offset,
            len,
        )
    }

    /// Map `len` bytes of `fd`, of which not every page needs to be there.
    pub fn lazy(fd: &impl AsRawFd, len: usize) -> Result<Self> {
        Self::map(libc::MAP_SHARED, fd.as_raw_fd(), 0, len)
    }

    /// Map `len` bytes of fresh memory.
    pub fn anonymous(len: usize) -> Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE;
        Self::map(flags, -1, 0, len)
    }

    fn map(flags: i32, fd: i32, offset: u64, len: usize) -> Result<Self> {
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let offset = libc::off_t::try_from(offset).context("offset of a mapping")?;
        // SAFETY: a new mapping at an address the kernel chooses.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), len, prot, flags, fd, offset) };
        if base == libc::MAP_FAILED {
            bail!("mmap of {len} bytes: {}", io::Error::last_os_error());
        }
        Ok(Mapping {
            base: base.cast(),
            len,
        })
    }

    /// Address of the byte at `offset`; `size` bytes from there are inside.
    pub fn at(&self, offset: usize, size: usize) -> *mut u8 {
        assert!(offset.checked_add(size).is_some_and(|end| end <= self.len));
        self.base.wrapping_add(offset)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping made in map(), which nothing else unmaps.
        unsafe { libc::munmap(self.base.cast(), self.len) };
    }
}

/// Load a module from a file, as insmod does.
pub fn insmod(path: &str) -> Result<()> {
    let file = File::open(path).with_context(|| format!("open {path}"))?;
    let none = CString::default();
    // SAFETY: an open file and a NUL-terminated string.
    let result =
        unsafe { libc::syscall(libc::SYS_finit_module, file.as_raw_fd(), none.as_ptr(), 0) };
    check(&format!("insmod {path}"), result)?;
    Ok(())
}

/// Mount a file system of the kernel's.
pub fn mount(kind: &str, target: &str) -> Result<()> {
    std::fs::create_dir_all(target).with_context(|| format!("mkdir {target}"))?;
    let (fs, dir) = (CString::new(kind)?, CString::new(target)?);
    // SAFETY: NUL-terminated strings.
    let result =
        unsafe { libc::mount(fs.as_ptr(), dir.as_ptr(), fs.as_ptr(), 0, std::ptr::null()) };
    check(&format!("mount {kind} on {target}"), result.into())?;
    Ok(())
}

/// Let this thread run only when nothing else wants to, from here on.
pub fn become_idle() -> Result<()> {
    let param = libc::sched_param { sched_priority: 0 };
    // SAFETY: `param` is readable; thread 0 is the calling one.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &param) };
    check("sched_setscheduler()", result.into())?;
    Ok(())
}

/// Switch the machine off.
pub fn power_off() -> ! {
    // SAFETY: no pointers; the process is init and nothing needs to be kept.
    unsafe {
        libc::sync();
        libc::reboot(libc::RB_POWER_OFF);
    }
    loop {
        std::thread::park();
    }
}
