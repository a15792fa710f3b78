// SPDX-License-Identifier: MIT OR Apache-2.0
//! Waiting for ports and syncing them. `poll` syncs by itself: it fetches what has
//! arrived, and pushes what stands in the TX rings.

use crate::abi;
use crate::error::{Error, Op, Result};
use crate::port::Port;
use crate::sys;
use std::os::fd::AsFd;
use std::time::Duration;

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Packets in any bound RX ring.
    Readable,
    /// Room in any bound TX ring.
    Writable,
    /// Either.
    Both,
    /// Neither: what stands in the TX rings is pushed, and errors are told.
    Push,
}

/// What there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// Packets in an RX ring.
    pub readable: bool,
    /// Room in a TX ring.
    pub writable: bool,
}

/// Wait until one of several ports is ready. Nothing is, after the timeout or a signal.
///
/// ```no_run
/// use netmap::{wait, Interest, Port};
///
/// let (a, b) = (Port::open("netmap:eth3")?, Port::open("netmap:eth4")?);
/// let [a_ready, b_ready] = wait([(&a, Interest::Readable), (&b, Interest::Readable)], None)?;
/// # let _ = (a_ready, b_ready);
/// # Ok::<(), netmap::Error>(())
/// ```
pub fn wait<const N: usize>(
    ports: [(&Port, Interest); N],
    timeout: Option<Duration>,
) -> Result<[Ready; N]> {
    let mut files = ports.map(|(port, interest)| {
        let events = match interest {
            Interest::Readable => libc::POLLIN,
            Interest::Writable => libc::POLLOUT,
            Interest::Both => libc::POLLIN | libc::POLLOUT,
            Interest::Push => 0,
        };
        (port.as_fd(), events)
    });
    sys::poll(&mut files, timeout)
        .map_err(|e| Error::system(Op::Sync, ports.first().map_or("", |p| p.0.ifname()), e))?;
    let mut ready = [Ready::default(); N];
    for (i, (_, events)) in files.iter().enumerate() {
        if events & (libc::POLLERR | libc::POLLNVAL) != 0 {
            // The sync calls know why.
            ports[i].0.rxsync()?;
            ports[i].0.txsync()?;
        }
        ready[i] = Ready {
            readable: events & libc::POLLIN != 0,
            writable: events & libc::POLLOUT != 0,
        };
    }
    Ok(ready)
}

impl Port {
    /// Wait for packets on the bound RX rings, after pushing what is queued on the TX
    /// rings. False after the timeout or a signal.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<bool> {
        let [ready] = wait([(self, Interest::Readable)], timeout)?;
        Ok(ready.readable)
    }

    /// Wait for room in the bound TX rings, after pushing what is queued there. False
    /// after the timeout or a signal.
    pub fn wait_writable(&self, timeout: Option<Duration>) -> Result<bool> {
        let [ready] = wait([(self, Interest::Writable)], timeout)?;
        Ok(ready.writable)
    }

    /// Fetch what has arrived, give back what was released.
    #[inline]
    pub fn rxsync(&self) -> Result<()> {
        self.sync(abi::NIOCRXSYNC)
    }

    /// Push what is queued on the TX rings, see what was sent.
    #[inline]
    pub fn txsync(&self) -> Result<()> {
        self.sync(abi::NIOCTXSYNC)
    }

    fn sync(&self, number: u32) -> Result<()> {
        sys::ioctl_none(self.as_fd(), number).map_err(|e| Error::system(Op::Sync, self.ifname(), e))
    }
}
