// SPDX-License-Identifier: GPL-2.0
//! Receiver: netmap, counting and dropping, by poll() or by NIOCRXSYNC.

use crate::nic::Nic;
use crate::receive::Receiver;
use anyhow::{Context, Result};
use netmap::{Port, RxRing, RxSlot};

/// What the program does for a batch, and with each packet.
pub trait Style {
    /// Get a batch.
    fn fetch(port: &Port) -> netmap::Result<()>;
    /// Look at one packet.
    fn look(slot: &RxSlot) -> u64;
}

/// poll(), and count bytes by the slots' lengths.
pub struct Poll;
/// NIOCRXSYNC, and count bytes by the slots' lengths.
pub struct Sync;
/// poll(), and read the first byte of each packet.
pub struct Touch;

impl Style for Poll {
    #[inline(always)]
    fn fetch(port: &Port) -> netmap::Result<()> {
        port.wait(None).map(|_| ())
    }
    #[inline(always)]
    fn look(slot: &RxSlot) -> u64 {
        slot.len() as u64
    }
}

impl Style for Sync {
    #[inline(always)]
    fn fetch(port: &Port) -> netmap::Result<()> {
        port.rxsync()
    }
    #[inline(always)]
    fn look(slot: &RxSlot) -> u64 {
        slot.len() as u64
    }
}

impl Style for Touch {
    #[inline(always)]
    fn fetch(port: &Port) -> netmap::Result<()> {
        port.wait(None).map(|_| ())
    }
    #[inline(always)]
    fn look(slot: &RxSlot) -> u64 {
        slot.payload().first().copied().unwrap_or(0).into()
    }
}

/// Queue 0 of the port, taken from the kernel.
pub fn open(nic: &Nic) -> Result<Port> {
    let name = format!("netmap:{}~0", nic.name);
    Port::open(&name).with_context(|| format!("open {name}"))
}

/// The receiver on an open port.
pub struct Netmap<'p, S> {
    port: &'p Port,
    ring: RxRing<'p>,
    /// What was added up about the packets, so that looking at them is not for nothing.
    pub sum: u64,
    style: std::marker::PhantomData<S>,
}

impl<'p, S: Style> Netmap<'p, S> {
    /// Receive on queue 0 of `port`.
    pub fn new(port: &'p Port) -> Result<Self> {
        Ok(Netmap {
            port,
            ring: port.rx_ring(0)?,
            sum: 0,
            style: std::marker::PhantomData,
        })
    }
}

impl<S: Style> Receiver for Netmap<'_, S> {
    #[inline(always)]
    fn receive(&mut self) -> Result<u64> {
        S::fetch(self.port)?;
        let mut batch = self.ring.acquire();
        let (count, sum) = batch
            .slots()
            .fold((0, 0), |(n, sum), slot| (n + 1, sum + S::look(&slot)));
        self.sum += sum;
        Ok(count)
    }
}
