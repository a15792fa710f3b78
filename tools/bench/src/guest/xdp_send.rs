// SPDX-License-Identifier: GPL-2.0
//! Sender: an AF_XDP socket in zero-copy mode.
//!
//! Frames lie in their places from the start; a burst is descriptors, one system call if the
//! kernel wants it, and what has been completed is taken back before the next.

use crate::bpf::Redirect;
use crate::nic::Nic;
use crate::nm_send::frame;
use crate::sys::{setsockopt, socket, Mapping};
use crate::transmit::Sender;
use crate::xdp::{bind_zero_copy, check_zero_copy, getsockopt, give_memory};
use crate::xdp::{Ring, FRAME, FRAMES, RING};
use anyhow::{bail, Result};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::Ordering;

/// The socket, its memory, and the program without which the driver does nothing for it.
pub struct XdpSender {
    transmit: Ring,
    complete: Ring,
    sent: u32,
    completed: u32,
    len: u32,
    fd: OwnedFd,
    _program: Redirect,
    _memory: Mapping,
}

impl XdpSender {
    /// Take queue 0 of the port; refuses anything but zero-copy.
    pub fn open(nic: &Nic) -> Result<Self> {
        let program = Redirect::attach(nic.index()?)?;
        let fd = socket(libc::AF_XDP, libc::SOCK_RAW, 0)?;
        let memory = give_memory(&fd)?;
        let frame = frame();
        for place in 0..FRAMES as usize {
            let to = memory.at(place * FRAME, frame.len());
            // SAFETY: inside the memory, which nobody else knows of yet.
            unsafe { std::ptr::copy_nonoverlapping(frame.as_ptr(), to, frame.len()) };
        }
        for name in [
            libc::XDP_UMEM_FILL_RING,
            libc::XDP_UMEM_COMPLETION_RING,
            libc::XDP_TX_RING,
        ] {
            setsockopt(&fd, libc::SOL_XDP, name, &RING)?;
        }
        let offsets: libc::xdp_mmap_offsets = getsockopt(&fd, libc::XDP_MMAP_OFFSETS)?;
        let complete = Ring::map(
            &fd,
            libc::XDP_UMEM_PGOFF_COMPLETION_RING,
            &offsets.cr,
            size_of::<u64>(),
        )?;
        let transmit = Ring::map(
            &fd,
            libc::XDP_PGOFF_TX_RING as u64,
            &offsets.tx,
            size_of::<libc::xdp_desc>(),
        )?;
        bind_zero_copy(&fd, nic)?;
        nic.settle()?;
        check_zero_copy(&fd)?;
        Ok(XdpSender {
            transmit,
            complete,
            sent: 0,
            completed: 0,
            len: frame.len() as u32,
            fd,
            _program: program,
            _memory: memory,
        })
    }

    /// Take back what is done.
    #[inline(always)]
    fn reap(&mut self) {
        // Which places they were does not matter: all have the same in them.
        self.completed = self.complete.producer().load(Ordering::Acquire);
        self.complete
            .consumer()
            .store(self.completed, Ordering::Release);
    }

    #[inline(always)]
    fn wake(&self) -> Result<()> {
        // SAFETY: sends nothing: no buffer.
        let result = unsafe {
            libc::sendto(
                self.fd.as_raw_fd(),
                std::ptr::null(),
                0,
                libc::MSG_DONTWAIT,
                std::ptr::null(),
                0,
            )
        };
        let error = std::io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EBUSY | libc::ENOBUFS) => Ok(()),
            _ if result >= 0 => Ok(()),
            _ => bail!("wake the AF_XDP queue: {error}"),
        }
    }
}

impl Sender for XdpSender {
    #[inline(always)]
    fn send(&mut self, size: u32) -> Result<bool> {
        self.reap();
        if self.sent.wrapping_sub(self.completed) + size > RING {
            self.wake()?;
            return Ok(false);
        }
        let mut sent = self.sent;
        for _ in 0..size {
            let desc = libc::xdp_desc {
                addr: u64::from(sent % FRAMES) * FRAME as u64,
                len: self.len,
                options: 0,
            };
            // SAFETY: inside the ring; the kernel reads it after the producer has moved.
            unsafe { self.transmit.entry::<libc::xdp_desc>(sent).write(desc) };
            sent = sent.wrapping_add(1);
        }
        self.sent = sent;
        self.transmit.producer().store(sent, Ordering::Release);
        if self.transmit.needs_wakeup() {
            self.wake()?;
        }
        Ok(true)
    }

    fn in_flight(&mut self) -> Result<u32> {
        self.reap();
        if self.sent != self.completed {
            self.wake()?;
        }
        Ok(self.sent.wrapping_sub(self.completed))
    }
}
