// SPDX-License-Identifier: GPL-2.0
//! Receiver: a UDP socket read with recvmmsg(), 64 messages per call.

use crate::nic::ADDRESS;
use crate::receive::Receiver;
use crate::sys::{bind, check, setsockopt, socket};
use anyhow::Result;
use std::os::fd::{AsRawFd, OwnedFd};

/// UDP port the frames go to.
pub const PORT: u16 = 9000;

const BATCH: usize = 64;
const MESSAGE: usize = 2048;

/// The socket with room for one batch.
pub struct Udp {
    fd: OwnedFd,
    headers: Vec<libc::mmsghdr>,
    _vectors: Vec<libc::iovec>,
    _buffers: Vec<u8>,
    /// Bytes received.
    pub bytes: u64,
}

impl Udp {
    /// Bind the port with a receive buffer that holds any burst.
    pub fn open() -> Result<Self> {
        let fd = socket(libc::AF_INET, libc::SOCK_DGRAM, 0)?;
        setsockopt(&fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &(64i32 << 20))?;
        let address = libc::sockaddr_in {
            sin_family: libc::AF_INET as u16,
            sin_port: PORT.to_be(),
            sin_addr: libc::in_addr {
                s_addr: u32::from_ne_bytes(ADDRESS),
            },
            sin_zero: [0; 8],
        };
        bind(&fd, &address)?;
        let mut buffers = vec![0u8; BATCH * MESSAGE];
        let mut vectors: Vec<libc::iovec> = buffers
            .chunks_mut(MESSAGE)
            .map(|buffer| libc::iovec {
                iov_base: buffer.as_mut_ptr().cast(),
                iov_len: MESSAGE,
            })
            .collect();
        let headers = vectors
            .iter_mut()
            .map(|vector| {
                // SAFETY: plain numbers and pointers, for which zero is valid.
                let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
                header.msg_hdr.msg_iov = vector;
                header.msg_hdr.msg_iovlen = 1;
                header
            })
            .collect();
        Ok(Udp {
            fd,
            headers,
            _vectors: vectors,
            _buffers: buffers,
            bytes: 0,
        })
    }

    /// Read what is there without waiting; how many messages.
    pub fn drain(&mut self) -> u64 {
        let mut count = 0;
        while let Ok(n @ 1..) = self.receive(libc::MSG_DONTWAIT) {
            count += n;
        }
        count
    }

    #[inline(always)]
    fn receive(&mut self, flags: i32) -> Result<u64> {
        // SAFETY: every header points to a vector, and that to a buffer of MESSAGE
        // bytes; all of them live in `self` and don't move.
        let count = unsafe {
            libc::recvmmsg(
                self.fd.as_raw_fd(),
                self.headers.as_mut_ptr(),
                BATCH as u32,
                flags,
                std::ptr::null_mut(),
            )
        };
        if count < 0 {
            check("recvmmsg()", count.into())?;
        }
        for header in self.headers.iter().take(count as usize) {
            self.bytes += u64::from(header.msg_len);
        }
        Ok(count as u64)
    }
}

impl Receiver for Udp {
    #[inline(always)]
    fn receive(&mut self) -> Result<u64> {
        Udp::receive(self, libc::MSG_WAITFORONE)
    }
}
