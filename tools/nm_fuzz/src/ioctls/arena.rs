// SPDX-License-Identifier: GPL-2.0
//! Where requests stand in memory: pages that end before one that cannot be touched, and one
//! that cannot be written. And reads and writes of mappings that fail instead of killing.

use crate::check::Errno;
use crate::rng::Rng;
use anyhow::{bail, Result};

const PAGE: usize = 4096;
/// Pages that can be written.
const PAGES: usize = 4;

/// Four pages, one that is read-only, one that is not there.
#[derive(Clone, Copy)]
pub struct Arena {
    base: usize,
}

impl Arena {
    pub fn new() -> Result<Arena> {
        let len = (PAGES + 2) * PAGE;
        // SAFETY: new memory at an address the kernel picks, never unmapped; then protection of
        // its last two pages.
        unsafe {
            let p = libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            if p == libc::MAP_FAILED {
                bail!("mmap: {}", Errno::last());
            }
            let tail = p.cast::<u8>().add(PAGES * PAGE);
            if libc::mprotect(tail.cast(), PAGE, libc::PROT_READ) != 0
                || libc::mprotect(tail.add(PAGE).cast(), PAGE, libc::PROT_NONE) != 0
            {
                bail!("mprotect: {}", Errno::last());
            }
            Ok(Arena { base: p as usize })
        }
    }

    /// Address of a place in the writable pages.
    pub fn at(&self, offset: usize) -> u64 {
        (self.base + offset % (PAGES * PAGE)) as u64
    }

    /// Puts bytes at a place, as far as they fit.
    pub fn put<T: Copy>(&self, offset: usize, value: T) -> u64 {
        let offset = offset.min(PAGES * PAGE - std::mem::size_of::<T>());
        // SAFETY: in the writable pages; nothing refers to them but raw addresses.
        unsafe { std::ptr::write_unaligned((self.base + offset) as *mut T, value) };
        self.at(offset)
    }

    pub fn get<T: Copy>(&self, offset: usize) -> T {
        let offset = offset.min(PAGES * PAGE - std::mem::size_of::<T>());
        // SAFETY: in the writable pages; T is plain data of the interface.
        unsafe { std::ptr::read_unaligned((self.base + offset) as *const T) }
    }

    /// An address at which `size` bytes are not all there, or not to be written, or not the
    /// program's.
    pub fn bad(&self, size: usize, rng: &mut Rng) -> u64 {
        let end = (self.base + (PAGES + 1) * PAGE) as u64;
        match rng.below(7) {
            0 => end - (size as u64 / 2),
            1 => end - PAGE as u64,
            2 => end - PAGE as u64 - size as u64 / 2,
            3 => end,
            4 => 0xffff_8880_0000_0000 + (rng.next() >> 40),
            5 => rng.nasty64(),
            _ => 1 + rng.below(4096) as u64,
        }
    }

    /// Another word of the first request area becomes something else: for a racing thread.
    pub fn flip(&self, rng: &mut Rng) {
        let word = (self.base + 4 * rng.below(0x500)) as *mut u32;
        // SAFETY: in the writable pages.
        let now = unsafe { word.read_volatile() };
        let value = match rng.below(4) {
            0 => rng.nasty32(16),
            1 => self.at(rng.below(0x1000)) as u32,
            _ => now ^ (1 << rng.below(32)),
        };
        // SAFETY: in the writable pages.
        unsafe { word.write_volatile(value) };
    }
}

/// Writes to memory of this process; false where there is none to write.
pub fn poke(at: usize, bytes: &[u8]) -> bool {
    vm(
        libc::SYS_process_vm_writev,
        at,
        bytes.as_ptr() as usize,
        bytes.len(),
    )
}

/// Reads memory of this process; false where there is none to read.
pub fn look(at: usize, into: &mut [u8]) -> bool {
    let (to, len) = (into.as_mut_ptr() as usize, into.len());
    vm(libc::SYS_process_vm_readv, at, to, len)
}

fn vm(call: libc::c_long, remote: usize, local: usize, len: usize) -> bool {
    let iov = |p: usize| libc::iovec {
        iov_base: p as *mut libc::c_void,
        iov_len: len,
    };
    let (local, remote) = (iov(local), iov(remote));
    // SAFETY: `local` is the caller's buffer; the kernel checks `remote`, which is memory the
    // fuzzer has mapped, or none.
    let n = unsafe {
        libc::syscall(
            call,
            libc::getpid(),
            &local,
            1usize,
            &remote,
            1usize,
            0usize,
        )
    };
    n == len as libc::c_long
}
