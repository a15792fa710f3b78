// SPDX-License-Identifier: GPL-2.0
//! XDP and AF_XDP with raw system calls, only as far as needed to see what a
//! port whose queue is out says to them.

use crate::check::{Errno, Sys};
use crate::steer::{ifindex, ifname};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_LINK_CREATE: libc::c_int = 28;
const PROG_TYPE_XDP: u32 = 6;
const ATTACH_XDP: u32 = 37;
const XDP_FLAGS_SKB_MODE: u32 = 2;
const XDP_FLAGS_DRV_MODE: u32 = 4;

const SOL_XDP: libc::c_int = 283;
const XDP_RX_RING: libc::c_int = 2;
const XDP_UMEM_REG: libc::c_int = 4;
const XDP_UMEM_FILL_RING: libc::c_int = 5;
const XDP_UMEM_COMPLETION_RING: libc::c_int = 6;
const XDP_ZEROCOPY: u16 = 4;

/// An attribute of bpf(): zeroed, then filled by 32-bit word.
fn bpf(cmd: libc::c_int, words: &[(usize, u32)]) -> Sys<OwnedFd> {
    let mut attr = [0u64; 16];
    for (at, v) in words {
        attr[at / 8] |= u64::from(*v) << (8 * (at % 8));
    }
    // SAFETY: the attribute is larger than any field used; unknown tail is zero.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            cmd,
            attr.as_mut_ptr(),
            std::mem::size_of_val(&attr),
        )
    };
    if fd < 0 {
        return Err(Errno::last());
    }
    // SAFETY: a new descriptor, owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Attaches a program that passes everything, in driver mode or in front of
/// the stack (generic); it is detached when the descriptor that comes back is
/// closed.
pub fn attach_xdp(driver: bool) -> Sys<OwnedFd> {
    // r0 = XDP_PASS; exit
    let program: [u64; 2] = [0x0000_0002_0000_00b7, 0x95];
    let licence = c"GPL";
    let (code, gpl) = (program.as_ptr() as u64, licence.as_ptr() as u64);
    let prog = bpf(
        BPF_PROG_LOAD,
        &[
            (0, PROG_TYPE_XDP),
            (4, program.len() as u32),
            (8, code as u32),
            (12, (code >> 32) as u32),
            (16, gpl as u32),
            (20, (gpl >> 32) as u32),
        ],
    )?;
    let raw = prog.as_raw_fd() as u32;
    bpf(
        BPF_LINK_CREATE,
        &[
            (0, raw),
            (4, ifindex(&ifname())),
            (8, ATTACH_XDP),
            (
                12,
                if driver {
                    XDP_FLAGS_DRV_MODE
                } else {
                    XDP_FLAGS_SKB_MODE
                },
            ),
        ],
    )
}

/// An AF_XDP socket with its memory.
pub struct Xsk {
    fd: OwnedFd,
    umem: *mut libc::c_void,
}

const UMEM: usize = 64 * 4096;

impl Xsk {
    /// Binds a zero-copy socket to a queue of the port under test.
    pub fn bind(queue: u32) -> Sys<Xsk> {
        // SAFETY: plain system calls; the mapping is new and stays until drop.
        let (fd, umem) = unsafe {
            let fd = libc::socket(libc::AF_XDP, libc::SOCK_RAW, 0);
            let (prot, flags) = (
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            );
            (
                fd,
                libc::mmap(std::ptr::null_mut(), UMEM, prot, flags, -1, 0),
            )
        };
        if fd < 0 || umem == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        // SAFETY: just opened, owned by nobody else.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let xsk = Xsk { fd, umem };
        // struct xdp_umem_reg: addr, len, chunk_size + headroom, flags
        let reg = [umem as u64, UMEM as u64, 4096, 0];
        xsk.option(XDP_UMEM_REG, &reg)?;
        for ring in [XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING, XDP_RX_RING] {
            xsk.option(ring, &[64u32])?;
        }
        // struct sockaddr_xdp: family, flags, ifindex, queue id, shared umem fd
        let first = (libc::AF_XDP as u32) | (u32::from(XDP_ZEROCOPY) << 16);
        let address = [first, ifindex(&ifname()), queue, 0];
        // SAFETY: an address of the size given.
        match unsafe { libc::bind(xsk.fd.as_raw_fd(), address.as_ptr().cast(), 16) } {
            0 => Ok(xsk),
            _ => Err(Errno::last()),
        }
    }

    fn option<T>(&self, name: libc::c_int, value: &[T]) -> Sys<()> {
        let size = std::mem::size_of_val(value) as u32;
        // SAFETY: the value has the size given.
        match unsafe {
            libc::setsockopt(
                self.fd.as_raw_fd(),
                SOL_XDP,
                name,
                value.as_ptr().cast(),
                size,
            )
        } {
            0 => Ok(()),
            _ => Err(Errno::last()),
        }
    }
}

impl Drop for Xsk {
    fn drop(&mut self) {
        // SAFETY: mapped in `bind`; the kernel holds its own reference to the pages.
        unsafe { libc::munmap(self.umem, UMEM) };
    }
}
