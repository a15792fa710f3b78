// SPDX-License-Identifier: GPL-2.0
//! Descriptors through a socket (SCM_RIGHTS).

use crate::check::{Errno, Sys};
use std::os::fd::RawFd;

/// Room for a control message of some descriptors, aligned as one must be.
type Control = [u64; 16];

/// Two ends of a socket that keeps messages apart; they are inherited by other programs.
pub fn pair() -> Sys<[RawFd; 2]> {
    let mut ends = [0; 2];
    // SAFETY: room for two descriptors.
    match unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_SEQPACKET, 0, ends.as_mut_ptr()) } {
        0 => Ok(ends),
        _ => Err(Errno::last()),
    }
}

/// Closes descriptors that nothing else owns.
pub fn close(fds: &[RawFd]) {
    for fd in fds {
        // SAFETY: the caller owns them.
        unsafe { libc::close(*fd) };
    }
}

/// A message with descriptors.
pub fn send(socket: RawFd, text: &[u8], fds: &[RawFd]) -> Sys<()> {
    let mut part = libc::iovec {
        iov_base: text.as_ptr().cast_mut().cast(),
        iov_len: text.len(),
    };
    let mut control: Control = [0; 16];
    let bytes = std::mem::size_of_val(fds) as u32;
    // SAFETY: all structures live across the calls; the control message fits (a test's few
    // descriptors), and is filled in where CMSG_DATA says.
    let sent = unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(bytes) as usize;
        let head = libc::CMSG_FIRSTHDR(&message);
        (*head).cmsg_level = libc::SOL_SOCKET;
        (*head).cmsg_type = libc::SCM_RIGHTS;
        (*head).cmsg_len = libc::CMSG_LEN(bytes) as usize;
        std::ptr::copy_nonoverlapping(fds.as_ptr().cast(), libc::CMSG_DATA(head), bytes as usize);
        libc::sendmsg(socket, &message, 0)
    };
    match sent {
        -1 => Err(Errno::last()),
        _ => Ok(()),
    }
}

/// The next message, with at most one descriptor; `None` when the other end has been closed.
pub fn receive(socket: RawFd) -> Sys<Option<(Vec<u8>, Vec<RawFd>)>> {
    let mut text = vec![0u8; 512];
    let mut part = libc::iovec {
        iov_base: text.as_mut_ptr().cast(),
        iov_len: text.len(),
    };
    let mut control: Control = [0; 16];
    let mut fds = Vec::new();
    // SAFETY: all structures live across the calls; a control message of one descriptor is read
    // where CMSG_DATA says.
    let got = unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = std::mem::size_of_val(&control);
        let got = libc::recvmsg(socket, &mut message, 0);
        let head = libc::CMSG_FIRSTHDR(&message);
        if got > 0 && !head.is_null() && (*head).cmsg_type == libc::SCM_RIGHTS {
            fds.push(libc::CMSG_DATA(head).cast::<RawFd>().read_unaligned());
        }
        got
    };
    match got {
        -1 => Err(Errno::last()),
        0 => Ok(None),
        n => {
            text.truncate(n as usize);
            Ok(Some((text, fds)))
        }
    }
}
