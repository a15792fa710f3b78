// SPDX-License-Identifier: GPL-2.0

//! Ports: a registered fd's hold on an interface.
//!
//! A port ends in one of two ways: its fd is released, or its interface goes away under it. Both
//! give back under rtnl what the fd had; after the second the fd stays, and everything says ENXIO.

pub(crate) mod name;
pub(crate) mod select;

use kernel::error::Result;
use kernel::prelude::*;
use kernel::sync::{new_mutex, Arc, Mutex};

use crate::adapter::bind::Bid;
use crate::adapter::{self, Adapter, Owner, Ring, Which};
use crate::kring::host::tx::HostTx;
use crate::kring::RingOptions;
use crate::mem::region::Region;
use crate::os::eopnotsupp;
use crate::os::netdev::NetDev;
use crate::os::nic::{Nic, PortInfo};
use crate::os::wait::Waiters;
use crate::os::Rtnl;
use select::Counts;

/// A registered fd's hold on an interface.
#[pin_data]
pub(crate) struct Port {
    /// What it shares with other fds.
    pub(crate) adapter: Arc<Adapter>,
    /// Who registered.
    pub(crate) owner: Arc<Owner>,
    waiters: Arc<Waiters>,
    /// The adapter's interface; a lock of the fd's own, so that a sync waits for no other fd.
    #[pin]
    dev: Mutex<Option<NetDev>>,
    /// The ring into the stack that is this fd's alone, where it has one.
    #[pin]
    putback: Mutex<Option<Arc<HostTx>>>,
}

/// A port's numbers, as programs are told them.
#[derive(Clone, Copy, Default)]
pub(crate) struct Numbers {
    /// Rings.
    pub(crate) has: Counts,
    /// Slots of a TX ring.
    pub(crate) tx_slots: u32,
    /// Slots of an RX ring.
    pub(crate) rx_slots: u32,
}

impl Numbers {
    /// Those of a port with so many host TX and RX rings.
    pub(crate) fn of(info: &PortInfo, hosts: (u32, u32)) -> Self {
        Numbers {
            has: Counts {
                tx: info.num_tx,
                rx: info.num_rx,
                host_tx: hosts.0,
                host_rx: hosts.1,
            },
            tx_slots: info.tx_slots,
            rx_slots: info.rx_slots,
        }
    }

    /// Is the port still what they say?
    pub(crate) fn still(&self, info: &PortInfo) -> bool {
        (self.has.tx, self.has.rx, self.tx_slots, self.rx_slots)
            == (info.num_tx, info.num_rx, info.tx_slots, info.rx_slots)
    }

    /// Those of an interface as it is now.
    ///
    /// # Errors
    ///
    /// As [`find`] and [`info`].
    pub(crate) fn now(ifname: &[u8]) -> Result<Self> {
        let (dev, nic) = find(ifname)?;
        let hosts = adapter::hosts(&dev).unwrap_or((1, 1));
        Ok(Numbers::of(&info(&dev, &nic)?, hosts))
    }
}

/// Finds an interface and its hooked driver.
///
/// # Errors
///
/// ENXIO: no such interface. EOPNOTSUPP: its driver has no hooks.
pub(crate) fn find(ifname: &[u8]) -> Result<(NetDev, Nic)> {
    let dev = NetDev::by_name(ifname)?;
    let nic = Nic::of(&dev).ok_or_else(eopnotsupp)?;
    Ok((dev, nic))
}

/// The port's numbers, as they are now.
///
/// # Errors
///
/// ENXIO: the interface is going away.
pub(crate) fn info(dev: &NetDev, nic: &Nic) -> Result<PortInfo> {
    let rtnl = Rtnl::lock();
    if !dev.registered(&rtnl) {
        return Err(ENXIO);
    }
    nic.info(dev, &rtnl)
}

impl Port {
    /// A port without rings, known to the adapter of its interface; `hosts`: host TX and RX rings
    /// the adapter has if this is its first port.
    ///
    /// # Errors
    ///
    /// ENXIO: the interface has gone meanwhile. ENOMEM.
    pub(crate) fn open(
        dev: NetDev,
        nic: Nic,
        hosts: (u32, u32),
        owner: Owner,
        waiters: Arc<Waiters>,
    ) -> Result<Arc<Self>> {
        let owner = Arc::new(owner, GFP_KERNEL)?;
        Adapter::enter(dev.clone(), nic, hosts, |adapter| {
            Arc::pin_init(
                pin_init!(Port {
                    adapter,
                    owner,
                    waiters,
                    dev <- new_mutex!(Some(dev), "netmap::Port::dev"),
                    putback <- new_mutex!(None, "netmap::Port::putback"),
                }),
                GFP_KERNEL,
            )
        })
    }

    /// Calls `f` with the interface, `None` if it has gone.
    pub(crate) fn with_dev<R>(&self, f: impl FnOnce(Option<&NetDev>) -> R) -> R {
        f(self.dev.lock().as_ref())
    }

    /// Binds a ring of `region`; `told`: the numbers the fd has, or `registers` to get. True: other
    /// fds share it.
    ///
    /// # Errors
    ///
    /// As [`Adapter::bind`].
    pub(crate) fn bind(
        &self,
        which: Which,
        region: &Arc<Region>,
        exclusive: bool,
        options: &RingOptions,
        (told, registers): (&Numbers, bool),
    ) -> Result<(Ring, bool)> {
        let bid = Bid {
            owner: &self.owner,
            region,
            waiters: &self.waiters,
            exclusive,
            options,
            told,
            registers,
        };
        self.adapter.bind(which, &bid)
    }

    /// Gives a ring back; if no other fd has it, it is the kernel's when this returns.
    ///
    /// # Errors
    ///
    /// ENOENT: the fd does not have it. EIO: the hardware did not stop it.
    pub(crate) fn unbind(&self, which: Which) -> Result {
        self.adapter.unbind(which, &self.owner, &Rtnl::lock())
    }

    /// The fd's own ring into the stack, for the listing.
    pub(crate) fn set_putback(&self, ring: Arc<HostTx>) {
        *self.putback.lock() = Some(ring);
    }

    /// As above.
    pub(crate) fn putback(&self) -> Option<Arc<HostTx>> {
        self.putback.lock().clone()
    }

    /// The interface goes away.
    pub(crate) fn gone(&self) {
        *self.dev.lock() = None;
        self.waiters.wake();
    }

    /// The fd is released: all its rings go back. Complete when it returns.
    pub(crate) fn close(&self) {
        self.adapter.unbind_all(&self.owner, &Rtnl::lock());
        *self.dev.lock() = None;
        *self.putback.lock() = None;
        self.adapter.leave(self);
    }
}
