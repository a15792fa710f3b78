// SPDX-License-Identifier: GPL-2.0

//! A ring of any kind, as adapters and fds hold it.

use kernel::error::Result;
use kernel::sync::Arc;

use crate::kring::host::rx::HostRx;
use crate::kring::host::tx::HostTx;
use crate::kring::rx::RxRing;
use crate::kring::tx::TxRing;
use crate::kring::{RingOptions, Status, Sync};
use crate::mem::region::Region;
use crate::os::netdev::NetDev;
use crate::os::nic::{Nic, NicClient, Taken};
use crate::os::Rtnl;
use crate::ring::Pointers;

/// A ring of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// TX ring of the NIC.
    Tx(u32),
    /// Host TX ring.
    HostTx(u32),
    /// RX ring of the NIC.
    Rx(u32),
    /// Host RX ring.
    HostRx(u32),
}

/// A bound ring.
#[derive(Clone)]
pub(crate) enum Ring {
    /// TX ring of the NIC.
    Tx(Arc<TxRing>),
    /// Host TX ring.
    HostTx(Arc<HostTx>),
    /// RX ring of the NIC.
    Rx(Arc<RxRing>),
    /// Host RX ring.
    HostRx(Arc<HostRx>),
}

/// The driver's loan of a ring.
pub(crate) enum Lent {
    /// An RX queue.
    Rx(Taken<RxRing>),
    /// A spare TX queue.
    Tx(Taken<TxRing>),
}

impl Lent {
    /// Gives it back.
    ///
    /// # Errors
    ///
    /// EIO: the hardware did not stop it.
    pub(super) fn give(self, nic: &Nic, dev: &NetDev, rtnl: &Rtnl) -> Result {
        match self {
            Lent::Rx(taken) => taken.give(nic, dev, rtnl),
            Lent::Tx(taken) => taken.give(nic, dev, rtnl),
        }
    }
}

/// The same method of whatever ring it is.
macro_rules! each {
    ($ring:expr, $r:ident => $call:expr) => {
        match $ring {
            Ring::Tx($r) => $call,
            Ring::HostTx($r) => $call,
            Ring::Rx($r) => $call,
            Ring::HostRx($r) => $call,
        }
    };
}

impl Which {
    /// Its kind in words, and its number.
    pub(crate) fn words(self) -> (&'static str, u32) {
        match self {
            Which::Tx(i) => ("TX ring", i),
            Which::HostTx(i) => ("host TX ring", i),
            Which::Rx(i) => ("RX queue", i),
            Which::HostRx(i) => ("host RX ring", i),
        }
    }
}

impl Ring {
    /// It belongs to this interface.
    pub(super) fn set_ifindex(&self, ifindex: u32) {
        each!(self, r => r.name().set_ifindex(ifindex));
    }

    /// What the listing shows.
    pub(crate) fn status(&self) -> Status {
        each!(self, r => r.status())
    }

    /// Offset of the ring object in its region.
    pub(crate) fn offset(&self) -> usize {
        each!(self, r => r.offset())
    }

    /// hwcur and hwtail as they are.
    pub(crate) fn indices(&self) -> (u32, u32) {
        each!(self, r => r.indices())
    }

    /// Exchanges slots with the program whose pointers are `p`, not those in the ring; returns
    /// hwcur and hwtail too. `dev`: the port's interface, unless it has gone.
    pub(crate) fn sync_at(&self, dev: Option<&NetDev>, p: Pointers) -> (Sync, u32, u32) {
        match self {
            Ring::Tx(ring) => ring.sync_at(p),
            Ring::HostTx(ring) => ring.sync_at(dev, p),
            Ring::Rx(ring) => ring.sync_at(p),
            Ring::HostRx(ring) => {
                let (outcome, hwcur, hwtail) = ring.sync_at(p);
                // The other kinds say so themselves.
                let outcome = dev.map_or(Sync::Gone, |_| outcome);
                (outcome, hwcur, hwtail)
            }
        }
    }

    /// Is its memory in this region?
    pub(crate) fn lives_in(&self, region: &Arc<Region>) -> bool {
        each!(self, r => Arc::ptr_eq(r.region(), region))
    }

    /// Was it made with options that suit an fd that wants these?
    pub(super) fn has(&self, options: &RingOptions) -> bool {
        match self {
            // Metadata is of RX rings.
            Ring::Tx(ring) => ring.options().offsets == options.offsets,
            Ring::Rx(ring) => ring.options().suit(options),
            Ring::HostTx(ring) => ring.offsets() == options.offsets,
            Ring::HostRx(ring) => ring.offsets() == options.offsets,
        }
    }

    /// Changes what the listing shows.
    pub(super) fn set_state(&self, state: u32) {
        match self {
            Ring::Tx(ring) => ring.set_state(state),
            Ring::Rx(ring) => ring.set_state(state),
            Ring::HostTx(_) | Ring::HostRx(_) => (),
        }
    }

    /// Another fd has bound it: all who wait for shared rings are woken too.
    pub(super) fn share(&self) {
        match self {
            Ring::Tx(ring) => ring.wakers().share(),
            Ring::Rx(ring) => ring.wakers().share(),
            Ring::HostRx(ring) => ring.wakers().share(),
            // Nobody waits for it: it always has room.
            Ring::HostTx(_) => (),
        }
    }

    /// The ring is back, or was never the driver's: it may go.
    pub(super) fn retire(&self) {
        match self {
            Ring::Tx(ring) => ring.retire(),
            Ring::Rx(ring) => ring.retire(),
            Ring::HostTx(_) | Ring::HostRx(_) => (),
        }
    }

    /// The interface has gone.
    pub(super) fn gone(&self) {
        match self {
            Ring::Tx(ring) => ring.gone(),
            Ring::Rx(ring) => ring.gone(),
            Ring::HostRx(ring) => ring.gone(),
            // Its fds are told by their ports.
            Ring::HostTx(_) => (),
        }
    }
}
