// SPDX-License-Identifier: GPL-2.0
//! Calls around the requests: children that inherit files and mappings, files that travel,
//! and what else a program can do with a file and a mapping.

use super::call::Call;
use super::world::{errno, File, Map, World, MAPS};
use crate::abi::{NIOCRXSYNC, NIOCTXSYNC};
use crate::rng::Rng;
use std::ptr::{null, null_mut};

/// A child with all files and mappings.
pub fn fork(w: &mut World<'_>, at: usize, c: &Call) -> i32 {
    if w.children.len() >= 4 {
        return -1;
    }
    let fd = w.files[at].map_or(-1, |f| f.fd);
    let map = w.maps.first().copied();
    // SAFETY: the child, whose other threads are gone, makes system calls only and ends.
    let pid = unsafe { libc::fork() };
    match pid {
        -1 => return errno(),
        0 => child(fd, map, c.x % 8),
        _ => {}
    }
    w.children.push(pid);
    0
}

/// What a forked child does. Only system calls: locks of the allocator may be held by threads
/// that do not exist here.
fn child(fd: i32, map: Option<Map>, what: u8) -> ! {
    // SAFETY: system calls on descriptors and mappings this process has inherited; `map` is
    // touched by writing to it only if the kernel says it is there, else this process dies of
    // SIGBUS, which is as good an end as any.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        libc::alarm(3);
        match what {
            0 => {}
            1 => {
                for _ in 0..8 {
                    libc::ioctl(fd, NIOCRXSYNC as libc::Ioctl, 0);
                    libc::ioctl(fd, NIOCTXSYNC as libc::Ioctl, 0);
                }
            }
            2 => {
                libc::close(fd);
                libc::usleep(2000);
            }
            3 => {
                let path = c"/bin/true".as_ptr();
                libc::execv(path, [path, null()].as_ptr());
            }
            4 | 5 => {
                libc::pause();
            }
            6 => {
                let mut p = libc::pollfd {
                    fd,
                    events: libc::POLLIN,
                    revents: 0,
                };
                libc::poll(&mut p, 1, 50);
            }
            _ => {
                if let Some(map) = map {
                    let at = map.base.wrapping_add(map.offset) as *mut u32;
                    for i in 0..64 {
                        at.add(i).write_volatile(i as u32);
                    }
                    libc::munmap(map.base as *mut libc::c_void, map.len);
                }
            }
        }
        libc::_exit(0)
    }
}

pub fn epoll(w: &World<'_>, fd: i32, c: &Call) -> i32 {
    let mut event = libc::epoll_event {
        events: if c.x % 2 == 0 {
            libc::EPOLLIN
        } else {
            libc::EPOLLOUT
        } as u32
            | if c.y % 2 == 0 {
                libc::EPOLLET as u32
            } else {
                0
            },
        u64: 0,
    };
    let op = [
        libc::EPOLL_CTL_ADD,
        libc::EPOLL_CTL_MOD,
        libc::EPOLL_CTL_DEL,
    ][c.y as usize % 3];
    // SAFETY: events are ours, descriptors may be none.
    unsafe {
        let r = libc::epoll_ctl(w.epoll, op, fd, &mut event);
        libc::epoll_wait(w.epoll, &mut event, 1, i32::from(c.z % 2));
        r
    }
}

/// The file goes into a socket; out of it again, or it is lost there.
pub fn pass(w: &mut World<'_>, at: usize, c: &Call) -> i32 {
    let Some(file) = w.files[at] else { return -1 };
    let mut pair = [0; 2];
    // SAFETY: makes two descriptors; messages are built below in memory of ours that is as long
    // as they say and aligned as a cmsghdr must be.
    unsafe {
        if libc::socketpair(libc::AF_UNIX, libc::SOCK_DGRAM, 0, pair.as_mut_ptr()) != 0 {
            return errno();
        }
        let mut byte = 0u8;
        let mut iov = libc::iovec {
            iov_base: (&raw mut byte).cast(),
            iov_len: 1,
        };
        let mut control = [0u64; 8];
        let mut msg: libc::msghdr = std::mem::zeroed();
        (msg.msg_iov, msg.msg_iovlen) = (&mut iov, 1);
        msg.msg_control = control.as_mut_ptr().cast();
        msg.msg_controllen = libc::CMSG_SPACE(4) as _;
        let cmsg = libc::CMSG_FIRSTHDR(&msg);
        (*cmsg).cmsg_level = libc::SOL_SOCKET;
        (*cmsg).cmsg_type = libc::SCM_RIGHTS;
        (*cmsg).cmsg_len = libc::CMSG_LEN(4) as _;
        libc::CMSG_DATA(cmsg).cast::<i32>().write_unaligned(file.fd);
        let sent = libc::sendmsg(pair[0], &msg, 0);
        w.close(at);
        if sent == 1 && c.x % 2 == 0 {
            msg.msg_controllen = std::mem::size_of_val(&control) as _;
            if libc::recvmsg(pair[1], &mut msg, libc::MSG_DONTWAIT) == 1 {
                let cmsg = libc::CMSG_FIRSTHDR(&msg);
                if !cmsg.is_null() && (*cmsg).cmsg_type == libc::SCM_RIGHTS {
                    let fd = libc::CMSG_DATA(cmsg).cast::<i32>().read_unaligned();
                    w.files[at] = Some(File { fd, ..file });
                }
            }
        }
        libc::close(pair[0]);
        libc::close(pair[1]);
    }
    0
}

/// Other system calls.
pub fn other(w: &mut World<'_>, fd: i32, c: &Call, rng: &mut Rng) -> i32 {
    let i = c.y as usize % MAPS;
    let own = w.own.base() as usize;
    let (base, len) = match w.maps.get(i) {
        Some(m) if m.base != own => (m.base as *mut libc::c_void, m.len),
        _ => (null_mut(), 4096),
    };
    let mut byte = [0u8; 64];
    let page = 4096 * rng.below((len / 4096).max(1));
    let here = base.wrapping_byte_add(page);
    // SAFETY: system calls on a descriptor and on mappings of this sequence, into which nothing
    // of Rust's refers; buffers are ours and as long as said.
    let r = unsafe {
        match c.x % 16 {
            0 => libc::read(fd, byte.as_mut_ptr().cast(), 64) as i32,
            1 => libc::write(fd, byte.as_ptr().cast(), 64) as i32,
            2 => libc::lseek(fd, 4096, libc::SEEK_SET) as i32,
            3 => libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK | libc::O_ASYNC),
            4 => libc::fstat(fd, std::mem::zeroed::<[u64; 32]>().as_mut_ptr().cast()),
            5 => libc::ftruncate(fd, 4096),
            6 => libc::fallocate(fd, 0, 0, 4096),
            7 => libc::fsync(fd),
            8 => {
                let advice = rng.pick(&[
                    libc::MADV_DONTNEED,
                    libc::MADV_REMOVE,
                    libc::MADV_FREE,
                    libc::MADV_DONTFORK,
                    libc::MADV_WIPEONFORK,
                    libc::MADV_HUGEPAGE,
                    libc::MADV_MERGEABLE,
                    libc::MADV_COLD,
                    libc::MADV_PAGEOUT,
                    libc::MADV_WILLNEED,
                ]);
                libc::madvise(here, 4096, advice)
            }
            9 => {
                let prot = rng.pick(&[libc::PROT_NONE, libc::PROT_READ, 7]);
                libc::mprotect(here, 4096, prot)
            }
            10 => libc::mlock(here, 4096),
            11 => libc::msync(here, 4096, libc::MS_SYNC),
            12 => grow(w, i),
            13 => {
                let mut pipe = [0; 2];
                libc::pipe2(pipe.as_mut_ptr(), libc::O_NONBLOCK);
                let n = libc::splice(fd, null_mut(), pipe[1], null_mut(), 4096, 0);
                libc::close(pipe[0]);
                libc::close(pipe[1]);
                n as i32
            }
            14 => {
                // the kernel copies from a file into the mapping, and out of it
                let zero = libc::open(c"/dev/zero".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
                let n = libc::write(zero, here, 4096);
                libc::close(zero);
                n as i32
            }
            _ => libc::syscall(libc::SYS_mincore, here, 4096usize, byte.as_mut_ptr()) as i32,
        }
    };
    if r < 0 {
        errno()
    } else {
        0
    }
}

/// A mapping that is to grow, or to be elsewhere as well.
///
/// # Safety
///
/// Nothing of Rust's refers into the mappings.
unsafe fn grow(w: &mut World<'_>, i: usize) -> i32 {
    let own = w.own.base() as usize;
    let Some(map) = w.maps.get_mut(i).filter(|m| m.base != own) else {
        return -1;
    };
    let (old, flags) = (map.len, libc::MREMAP_MAYMOVE);
    // SAFETY: a mapping of this sequence's; by the caller's promise.
    let p = unsafe { libc::mremap(map.base as *mut libc::c_void, old, old + 4096, flags) };
    if p == libc::MAP_FAILED {
        return -1;
    }
    (map.base, map.len) = (p as usize, old + 4096);
    0
}
