// SPDX-License-Identifier: GPL-2.0
//! Receiver: an AF_XDP socket in zero-copy mode, dropping.
//!
//! The loop of the usual receive-and-drop program: take up to 64 descriptors, put
//! the same frames back into the fill ring, and poll() only when there is nothing.

use crate::bpf::Redirect;
use crate::nic::Nic;
use crate::receive::Receiver;
use crate::sys::{bind, check, setsockopt, socket, Mapping};
use anyhow::{bail, Context, Result};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

/// Bytes of a frame's place.
pub const FRAME: usize = 2048;
/// Places.
pub const FRAMES: u32 = 4096;
/// Entries of each ring.
pub const RING: u32 = 2048;
const BATCH: u32 = 64;

/// One of the rings shared with the kernel; its addresses are inside the mapping.
pub struct Ring {
    producer: *const AtomicU32,
    consumer: *const AtomicU32,
    flags: *const AtomicU32,
    desc: *mut u8,
    _map: Mapping,
}

impl Ring {
    /// Map the ring at `page`, with entries of `entry` bytes.
    pub fn map(fd: &OwnedFd, page: u64, at: &libc::xdp_ring_offset, entry: usize) -> Result<Self> {
        let (desc, size) = (at.desc as usize, RING as usize * entry);
        let map = Mapping::shared(fd, page, desc + size)?;
        let word = |offset: u64| map.at(offset as usize, 4).cast_const().cast::<AtomicU32>();
        Ok(Ring {
            producer: word(at.producer),
            consumer: word(at.consumer),
            flags: word(at.flags),
            desc: map.at(desc, size),
            _map: map,
        })
    }

    /// How many entries were put in, modulo 2^32.
    #[inline(always)]
    pub fn producer(&self) -> &AtomicU32 {
        // SAFETY: inside the mapping; both sides use it atomically.
        unsafe { &*self.producer }
    }

    /// How many entries were taken out, modulo 2^32.
    #[inline(always)]
    pub fn consumer(&self) -> &AtomicU32 {
        // SAFETY: as above.
        unsafe { &*self.consumer }
    }

    /// Address of entry `index`, of the type the ring was mapped for.
    #[inline(always)]
    pub fn entry<T>(&self, index: u32) -> *mut T {
        let slot = (index & (RING - 1)) as usize;
        self.desc.wrapping_add(slot * size_of::<T>()).cast()
    }

    /// Does the kernel want a system call?
    #[inline(always)]
    pub fn needs_wakeup(&self) -> bool {
        // SAFETY: as above.
        let flags = unsafe { &*self.flags };
        flags.load(Ordering::Relaxed) & libc::XDP_RING_NEED_WAKEUP != 0
    }
}

/// The socket, its memory and the program that feeds it.
pub struct Xdp {
    receive: Ring,
    fill: Ring,
    received: u32,
    filled: u32,
    /// Bytes received.
    pub bytes: u64,
    fd: OwnedFd,
    _program: Redirect,
    _memory: Mapping,
}

impl Xdp {
    /// Take queue 0 of the port; refuses anything but zero-copy.
    pub fn open(nic: &Nic) -> Result<Self> {
        let program = Redirect::attach(nic.index()?)?;
        let fd = socket(libc::AF_XDP, libc::SOCK_RAW, 0)?;
        let memory = give_memory(&fd)?;
        for name in [
            libc::XDP_UMEM_FILL_RING,
            libc::XDP_UMEM_COMPLETION_RING,
            libc::XDP_RX_RING,
        ] {
            setsockopt(&fd, libc::SOL_XDP, name, &RING)?;
        }
        let offsets: libc::xdp_mmap_offsets = getsockopt(&fd, libc::XDP_MMAP_OFFSETS)?;
        let fill = Ring::map(
            &fd,
            libc::XDP_UMEM_PGOFF_FILL_RING,
            &offsets.fr,
            size_of::<u64>(),
        )?;
        let receive = Ring::map(
            &fd,
            libc::XDP_PGOFF_RX_RING as u64,
            &offsets.rx,
            size_of::<libc::xdp_desc>(),
        )?;
        let mut xdp = Xdp {
            receive,
            fill,
            received: 0,
            filled: 0,
            bytes: 0,
            fd,
            _program: program,
            _memory: memory,
        };
        for frame in 0..u64::from(RING) {
            xdp.put(frame * FRAME as u64);
        }
        xdp.publish();
        bind_zero_copy(&xdp.fd, nic)?;
        xdp._program.set(0, &xdp.fd)?;
        nic.settle()?;
        check_zero_copy(&xdp.fd)?;
        xdp.wake()?;
        Ok(xdp)
    }

    /// Packets the kernel dropped on this socket for any reason.
    pub fn dropped(&self) -> Result<u64> {
        let statistics: libc::xdp_statistics = getsockopt(&self.fd, libc::XDP_STATISTICS)?;
        Ok(statistics.rx_dropped + statistics.rx_ring_full)
    }

    #[inline(always)]
    fn put(&mut self, address: u64) {
        // SAFETY: inside the ring; the kernel reads it after publish().
        unsafe { self.fill.entry::<u64>(self.filled).write(address) };
        self.filled = self.filled.wrapping_add(1);
    }

    #[inline(always)]
    fn publish(&self) {
        self.fill.producer().store(self.filled, Ordering::Release);
    }

    /// Let the kernel look at the fill ring.
    fn wake(&self) -> Result<()> {
        // SAFETY: receives nothing: no buffer.
        let result = unsafe {
            libc::recvfrom(
                self.fd.as_raw_fd(),
                std::ptr::null_mut(),
                0,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
            )
        };
        let error = std::io::Error::last_os_error();
        if result < 0 && error.kind() != std::io::ErrorKind::WouldBlock {
            bail!("wake the AF_XDP queue: {error}");
        }
        Ok(())
    }

    #[inline(always)]
    fn wait(&self) -> Result<()> {
        let mut fd = libc::pollfd {
            fd: self.fd.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one pollfd.
        let result = unsafe { libc::poll(&mut fd, 1, -1) };
        check("poll()", result.into())?;
        Ok(())
    }
}

impl Receiver for Xdp {
    #[inline(always)]
    fn receive(&mut self) -> Result<u64> {
        let arrived = self.receive.producer().load(Ordering::Acquire);
        let ready = arrived.wrapping_sub(self.received);
        if ready == 0 {
            self.wait()?;
            return Ok(0);
        }
        let take = ready.min(BATCH);
        // In locals: the compiler can't know that a ring is not part of `self`.
        let (mut received, mut filled, mut bytes) = (self.received, self.filled, 0);
        for _ in 0..take {
            // SAFETY: the kernel filled it before it moved the producer.
            let desc = unsafe { self.receive.entry::<libc::xdp_desc>(received).read() };
            // SAFETY: inside the ring; the kernel reads it after publish().
            unsafe {
                self.fill
                    .entry::<u64>(filled)
                    .write(desc.addr & !(FRAME as u64 - 1))
            };
            bytes += u64::from(desc.len);
            received = received.wrapping_add(1);
            filled = filled.wrapping_add(1);
        }
        (self.received, self.filled) = (received, filled);
        self.bytes += bytes;
        self.publish();
        self.receive
            .consumer()
            .store(self.received, Ordering::Release);
        if self.fill.needs_wakeup() {
            self.wake()?;
        }
        Ok(take.into())
    }
}

/// Give the socket memory for frames.
pub fn give_memory(fd: &OwnedFd) -> Result<Mapping> {
    let memory = Mapping::anonymous(FRAMES as usize * FRAME)?;
    // SAFETY: plain numbers, for which zero is valid.
    let mut region: libc::xdp_umem_reg = unsafe { std::mem::zeroed() };
    region.addr = memory.at(0, 1).expose_provenance() as u64;
    region.len = u64::from(FRAMES) * FRAME as u64;
    region.chunk_size = FRAME as u32;
    setsockopt(fd, libc::SOL_XDP, libc::XDP_UMEM_REG, &region).context("XDP_UMEM_REG")?;
    Ok(memory)
}

/// Bind the socket to queue 0 of the port, without copies.
pub fn bind_zero_copy(fd: &OwnedFd, nic: &Nic) -> Result<()> {
    let address = libc::sockaddr_xdp {
        sxdp_family: libc::AF_XDP as u16,
        sxdp_flags: libc::XDP_ZEROCOPY | libc::XDP_USE_NEED_WAKEUP,
        sxdp_ifindex: nic.index()?,
        sxdp_queue_id: 0,
        sxdp_shared_umem_fd: 0,
    };
    bind(fd, &address).context("AF_XDP zero-copy on queue 0")
}

/// Is it really without copies?
pub fn check_zero_copy(fd: &OwnedFd) -> Result<()> {
    let options: libc::xdp_options = getsockopt(fd, libc::XDP_OPTIONS)?;
    if options.flags & libc::XDP_OPTIONS_ZEROCOPY == 0 {
        bail!("the AF_XDP socket is in copy mode: the driver refused zero-copy");
    }
    Ok(())
}

/// Read a socket option of level SOL_XDP.
pub fn getsockopt<T: Copy>(fd: &OwnedFd, name: i32) -> Result<T> {
    // SAFETY: the structs asked for are plain numbers.
    let mut value: T = unsafe { std::mem::zeroed() };
    let mut len = size_of::<T>() as libc::socklen_t;
    // SAFETY: `value` is writable for `len` bytes.
    let result = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_XDP,
            name,
            std::ptr::from_mut(&mut value).cast(),
            &mut len,
        )
    };
    check(&format!("getsockopt(SOL_XDP, {name})"), result.into())?;
    Ok(value)
}
