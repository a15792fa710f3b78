// SPDX-License-Identifier: GPL-2.0

//! How a ring is bound: shared with those who have it, or taken from the driver.

use kernel::error::Result;
use kernel::prelude::*;
use kernel::sync::Arc;

use super::{Adapter, Lent, Owner, Ring, Which};
use crate::kring::host::rx::HostRx;
use crate::kring::host::tx::HostTx;
use crate::kring::rx::RxRing;
use crate::kring::tx::TxRing;
use crate::kring::{Parts, RingOptions};
use crate::mem::layout::MAX_SLOTS;
use crate::mem::region::Region;
use crate::os::netdev::NetDev;
use crate::os::nic::{PortInfo, Taken};
use crate::os::wait::{Waiters, Wakers};
use crate::os::Rtnl;
use crate::port::Numbers;

/// Who wants a ring, and how.
pub(crate) struct Bid<'a> {
    /// The fd.
    pub(crate) owner: &'a Arc<Owner>,
    /// Its memory.
    pub(crate) region: &'a Arc<Region>,
    /// Those who wait for it.
    pub(crate) waiters: &'a Arc<Waiters>,
    /// No other fd may have the ring.
    pub(crate) exclusive: bool,
    /// What a NIC ring is made with.
    pub(crate) options: &'a RingOptions,
    /// The port's numbers as the fd was told them.
    pub(crate) told: &'a Numbers,
    /// It is being told them now.
    pub(crate) registers: bool,
}

impl Bid<'_> {
    /// The port may have been reconfigured since the numbers were looked up.
    ///
    /// # Errors
    ///
    /// EBUSY: what a registration would answer is not true any more. EINVAL: the metadata of a ring
    /// would not be where the program was told.
    fn check(&self, info: &PortInfo) -> Result {
        if self.registers && !self.told.still(info) {
            return Err(EBUSY);
        }
        if self.options.rx_meta && info.rx_slots != self.told.rx_slots {
            return Err(EINVAL);
        }
        Ok(())
    }
}

impl Adapter {
    /// Binds a ring to an fd. Everything that can fail for want of memory comes before the hardware
    /// is touched. True: the fd shares it with others.
    ///
    /// # Errors
    ///
    /// ENOMEM; ENXIO: the interface has gone; EINVAL: no such ring; EPERM: the caller has no
    /// CAP_NET_ADMIN; EBUSY: another fd has it and does not share, or the port was being reconfigured;
    /// EBUSY, ENETDOWN, EOPNOTSUPP, ENOSPC, EIO as the driver says. Nothing has changed then.
    pub(crate) fn bind(&self, which: Which, bid: &Bid<'_>) -> Result<(Ring, bool)> {
        // From the look at the port to the taking: neither its rings nor its driver may change.
        let rtnl = Rtnl::lock();
        let dev = self.dev.lock();
        let dev = dev.as_ref().filter(|d| d.registered(&rtnl)).ok_or(ENXIO)?;
        // Each time: the fd may have been passed on, or the right given up, since it was registered.
        if !dev.may_admin(&rtnl) {
            return Err(EPERM);
        }
        let info = self.nic.info(dev, &rtnl)?;
        bid.check(&info)?;
        let mut table = self.table.lock();
        let fits = |ring: &Ring| ring.lives_in(bid.region) && ring.has(bid.options);
        if let Some(ring) = table.join(which, bid.owner, bid.exclusive, fits)? {
            return Ok((ring, true));
        }
        let place = table.place(which, bid.owner, bid.exclusive)?;
        let (ring, lent) = self.make(which, bid, info, dev, &rtnl)?;
        ring.set_ifindex(self.ifindex);
        table.bind(place, ring.clone(), lent);
        Ok((ring, false))
    }

    /// Makes the ring, and takes it from the driver if it is the NIC's.
    fn make(
        &self,
        which: Which,
        bid: &Bid<'_>,
        info: PortInfo,
        dev: &NetDev,
        rtnl: &Rtnl,
    ) -> Result<(Ring, Option<Lent>)> {
        let (index, count, slots) = match which {
            Which::Tx(i) => (i, info.num_tx, info.tx_slots),
            Which::HostTx(i) => (i, self.host_tx, info.tx_slots),
            Which::Rx(i) => (i, info.num_rx, info.rx_slots),
            Which::HostRx(i) => (i, self.host_rx, info.rx_slots),
        };
        if index >= count || !(2..=MAX_SLOTS).contains(&slots) {
            return Err(EINVAL);
        }
        let region = bid.region.clone();
        let wakers = Wakers::new(bid.waiters.clone(), self.waiters.clone());
        let parts = |region: Arc<Region>, wakers| Parts {
            queue: index,
            slots,
            region,
            dev: info.dev.clone(),
            nic: self.nic.clone(),
            wakers,
            options: *bid.options,
        };
        Ok(match which {
            Which::Tx(_) => {
                let ring = TxRing::new(parts(region, wakers))?;
                let taken = Taken::take(&self.nic, dev, index, 0, ring.clone(), rtnl)
                    .inspect_err(|_| ring.retire())?;
                (Ring::Tx(ring), Some(Lent::Tx(taken)))
            }
            Which::Rx(_) => {
                let ring = RxRing::new(parts(region, wakers))?;
                let taken = Taken::take(&self.nic, dev, index, ring.buf_len(), ring.clone(), rtnl)
                    .inspect_err(|_| ring.retire())?;
                (Ring::Rx(ring), Some(Lent::Rx(taken)))
            }
            Which::HostTx(_) => {
                let ring = HostTx::new(region, slots, index as u16, index, bid.options.offsets)?;
                (Ring::HostTx(ring), None)
            }
            Which::HostRx(_) => {
                let ring = HostRx::new(region, slots, index as u16, wakers, bid.options.offsets)?;
                self.divert.bind(index, &ring)?;
                (Ring::HostRx(ring), None)
            }
        })
    }
}
