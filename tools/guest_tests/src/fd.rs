// SPDX-License-Identifier: GPL-2.0
//! An open /dev/netmap and the raw system calls on it.

use crate::abi::*;
use crate::check::{Errno, Sys};
use crate::mem::Mem;
use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

pub const DEVICE: &str = "/dev/netmap";

/// One open file.
pub struct Fd {
    pub file: File,
}

impl Fd {
    pub fn open() -> Sys<Fd> {
        let file = OpenOptions::new().read(true).write(true).open(DEVICE);
        match file {
            Ok(file) => Ok(Fd { file }),
            Err(e) => Err(Errno(e.raw_os_error().unwrap_or(libc::EIO))),
        }
    }

    pub fn raw(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// ioctl() with any number and any pointer, good or bad.
    ///
    /// # Safety
    /// If `arg` points to memory of this process, the kernel may write there
    /// what the request writes.
    pub unsafe fn ioctl_raw(&self, nr: u64, arg: usize) -> Sys<()> {
        // SAFETY: the caller answers for `arg`.
        match unsafe { libc::ioctl(self.raw(), nr as libc::Ioctl, arg) } {
            -1 => Err(Errno::last()),
            _ => Ok(()),
        }
    }

    fn ioctl<T>(&self, nr: u64, arg: &mut T) -> Sys<()> {
        // SAFETY: each number is used with the structure of the size it encodes.
        unsafe { self.ioctl_raw(nr, arg as *mut T as usize) }
    }

    /// NIOCCTRL.  Body and options are what the header points at.
    pub fn ctrl(&self, hdr: &mut Header) -> Sys<()> {
        self.ioctl(NIOCCTRL, hdr)
    }

    /// NIOCCTRL with a body: the header is made here.
    pub fn request<B>(&self, name: &str, reqtype: u16, body: &mut B) -> Sys<()> {
        let mut hdr = header(name, reqtype);
        hdr.body = body as *mut B as u64;
        self.ctrl(&mut hdr)
    }

    pub fn register(&self, name: &str, reg: &mut Register) -> Sys<()> {
        self.request(name, REQ_REGISTER, reg)
    }

    pub fn port_info(&self, name: &str) -> Sys<PortInfo> {
        let mut info = PortInfo::default();
        self.request(name, REQ_PORT_INFO_GET, &mut info)?;
        Ok(info)
    }

    pub fn pools_info(&self, name: &str) -> Sys<PoolsInfo> {
        let mut info = PoolsInfo::default();
        self.request(name, REQ_POOLS_INFO_GET, &mut info)?;
        Ok(info)
    }

    pub fn regif(&self, req: &mut Nmreq) -> Sys<()> {
        self.ioctl(NIOCREGIF, req)
    }

    pub fn ginfo(&self, req: &mut Nmreq) -> Sys<()> {
        self.ioctl(NIOCGINFO, req)
    }

    pub fn config(&self, req: &mut NmIfreq) -> Sys<()> {
        self.ioctl(NIOCCONFIG, req)
    }

    pub fn rxsync(&self) -> Sys<()> {
        // SAFETY: takes no argument.
        unsafe { self.ioctl_raw(NIOCRXSYNC, 0) }
    }

    pub fn txsync(&self) -> Sys<()> {
        // SAFETY: takes no argument.
        unsafe { self.ioctl_raw(NIOCTXSYNC, 0) }
    }

    pub fn qadd_raw(&self, req: &mut QueueReq) -> Sys<()> {
        self.ioctl(NIOCQADD, req)
    }

    pub fn qdel_raw(&self, req: &mut QueueReq) -> Sys<()> {
        self.ioctl(NIOCQDEL, req)
    }

    pub fn qadd(&self, queue: u32) -> Sys<()> {
        self.qadd_raw(&mut QueueReq {
            version: 1,
            queue,
            ..Default::default()
        })
    }

    pub fn qdel(&self, queue: u32) -> Sys<()> {
        self.qdel_raw(&mut QueueReq {
            version: 1,
            queue,
            ..Default::default()
        })
    }

    pub fn qnext(&self, info: &mut QueueInfo) -> Sys<()> {
        self.ioctl(NIOCQNEXT, info)
    }

    /// The whole listing, optionally of one interface.
    pub fn queues(&self, name: Option<&str>) -> Sys<Vec<QueueInfo>> {
        let mut all = Vec::new();
        let mut at = QueueInfo {
            version: 1,
            ..Default::default()
        };
        loop {
            at.name = name_field(name.unwrap_or(""));
            match self.qnext(&mut at) {
                Ok(()) => all.push(at),
                Err(Errno(libc::ENOENT)) => return Ok(all),
                Err(e) => return Err(e),
            }
            if all.len() > 4096 {
                return Err(Errno(libc::ELOOP));
            }
        }
    }

    /// mmap() as given.
    pub fn mmap(&self, len: usize, off: i64, flags: i32) -> Sys<Mem> {
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address the kernel picks.
        let p = unsafe { libc::mmap(std::ptr::null_mut(), len, prot, flags, self.raw(), off) };
        if p == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        // SAFETY: just mapped, and given to nobody else.
        Ok(unsafe { Mem::new(p.cast(), len) })
    }

    /// poll() of this fd alone; 0 on time-out.
    pub fn poll(&self, events: i16, timeout: Duration) -> Sys<i16> {
        poll_fd(self.raw(), events, timeout)
    }
}

/// poll() of one descriptor; 0 on time-out.
pub fn poll_fd(fd: RawFd, events: i16, timeout: Duration) -> Sys<i16> {
    let mut p = libc::pollfd {
        fd,
        events,
        revents: 0,
    };
    // SAFETY: one pollfd that lives across the call.
    match unsafe { libc::poll(&mut p, 1, timeout.as_millis().min(i32::MAX as u128) as i32) } {
        -1 => Err(Errno::last()),
        0 => Ok(0),
        _ => Ok(p.revents),
    }
}

/// A request header at API 14.
pub fn header(name: &str, reqtype: u16) -> Header {
    Header {
        version: 14,
        reqtype,
        name: name_field(name),
        ..Default::default()
    }
}

/// A legacy request at API 14.
pub fn nmreq(name: &str) -> Nmreq {
    Nmreq {
        version: 14,
        name: name_field(name),
        ..Default::default()
    }
}

/// A registration of one RX queue with no TX ring.
pub fn one_rx(queue: u32) -> Register {
    Register {
        mode: ONE_NIC,
        ringid: queue as u16,
        flags: RX_ONLY,
        ..Default::default()
    }
}

/// A registration of one TX queue with no RX ring.
pub fn one_tx(queue: u32) -> Register {
    Register {
        mode: ONE_NIC,
        ringid: queue as u16,
        flags: TX_ONLY,
        ..Default::default()
    }
}
