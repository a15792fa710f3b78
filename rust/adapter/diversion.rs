// SPDX-License-Identifier: GPL-2.0

//! Whose the kernel's own transmissions through an interface are: they come to its host RX rings as
//! long as an fd has all TX rings, whether or not any fd has those host rings.

use kernel::error::Result;
use kernel::prelude::*;
use kernel::sync::Arc;

use super::{Adapter, Owner};
use crate::kring::host::divert::Divert;
use crate::os::divert::Diverted;
use crate::os::netdev::NetDev;
use crate::os::Rtnl;

/// The fds for which they are diverted, and the driver's doing so while there are any.
#[derive(Default)]
pub(crate) struct Diversion {
    owners: KVec<Arc<Owner>>,
    running: Option<Diverted<Divert>>,
}

impl Adapter {
    /// An fd has all TX rings.
    ///
    /// # Errors
    ///
    /// ENOMEM; ENXIO: the interface has gone; EBUSY, EOPNOTSUPP as the driver says.
    pub(crate) fn divert(&self, owner: &Arc<Owner>) -> Result {
        let rtnl = Rtnl::lock();
        let dev = self.dev.lock();
        let dev = dev.as_ref().filter(|d| d.registered(&rtnl)).ok_or(ENXIO)?;
        let mut diversion = self.diversion.lock();
        diversion.owners.reserve(1, GFP_KERNEL)?;
        if diversion.running.is_none() {
            let lanes = self.lanes.clone();
            diversion.running = Some(Diverted::begin(&self.nic, dev, lanes, &rtnl)?);
        }
        // There is room.
        diversion.owners.push(owner.clone(), GFP_KERNEL)?;
        Ok(())
    }

    /// It gives them back, if it had them. With the last, the kernel's transmissions are its own
    /// when this returns.
    pub(super) fn end_divert(&self, owner: &Arc<Owner>, rtnl: &Rtnl) {
        let dev = self.dev.lock();
        let mut diversion = self.diversion.lock();
        diversion.owners.retain(|o| !Arc::ptr_eq(o, owner));
        if diversion.owners.is_empty() {
            self.stop_divert(&mut diversion, dev.as_ref(), rtnl);
        }
    }

    /// Ends it for all.
    pub(super) fn end_divert_of_all(&self, dev: &NetDev, rtnl: &Rtnl) {
        let mut diversion = self.diversion.lock();
        diversion.owners = KVec::new();
        self.stop_divert(&mut diversion, Some(dev), rtnl);
    }

    fn stop_divert(&self, diversion: &mut Diversion, dev: Option<&NetDev>, rtnl: &Rtnl) {
        // Without an interface it has ended when that went.
        if let (Some(running), Some(dev)) = (diversion.running.take(), dev) {
            running.end(&self.nic, dev, rtnl);
        }
    }
}
