// SPDX-License-Identifier: GPL-2.0

//! Binding an fd to a port: what both request families come down to.
//!
//! All checks and allocations come before the first queue is taken, and what was done is undone in
//! reverse by drop, so that a refused request changes nothing.

use kernel::error::Result;
use kernel::prelude::*;

use super::agree;
use super::csb::Csb;
use super::memory;
use super::nif::Nif;
use super::options::Options;
use super::registered::Registered;
use super::File;
use crate::adapter::{self, Owner};
use crate::mem::registry::Lease;
use crate::os::eopnotsupp;
use crate::os::{Caller, Pid, Rtnl};
use crate::port::name::{NameError, PortName};
use crate::port::select::{self, SelectError};
use crate::port::{self, Numbers, Port};
use crate::uapi::{flag, mode, opt};

/// What a program asks for.
pub(crate) struct Want<'a> {
    /// Name field of the request, with its NUL.
    pub(crate) name: &'a [u8],
    /// One of [`mode`].
    pub(crate) mode: u32,
    /// Ring number, where the mode takes one.
    pub(crate) ringid: u16,
    /// Bits of [`flag`].
    pub(crate) flags: u64,
    /// Memory region, 0 for the caller's default.
    pub(crate) mem_id: u16,
    /// Extra buffers.
    pub(crate) extra: u32,
    /// Host TX and RX rings the port is to have, if this is its first fd.
    pub(crate) hosts: (u16, u16),
}

/// What it gets.
pub(crate) struct Granted {
    /// Where its `netmap_if` is.
    pub(crate) offset: usize,
    /// Size of the mapping.
    pub(crate) memsize: usize,
    /// Slots and rings of the port.
    pub(crate) numbers: Numbers,
    /// Its memory region.
    pub(crate) mem_id: u16,
    /// Extra buffers.
    pub(crate) extra: u32,
}

/// The errno of a refused name.
pub(crate) fn name_errno(e: NameError) -> Error {
    match e {
        NameError::NoInterface => ENXIO,
        NameError::Unsupported => eopnotsupp(),
        NameError::BadQueue => EINVAL,
    }
}

/// Host rings in one direction: as many as are asked for, within reason.
fn host_rings(wanted: u16) -> u32 {
    u32::from(wanted).clamp(1, 64)
}

impl File {
    /// Binds the fd.
    ///
    /// # Errors
    ///
    /// Those of netmap's REGISTER (`Documentation/netmap-api.md` lists them); nothing has changed
    /// then.
    pub(super) fn register(&self, want: &Want<'_>, options: &mut Options) -> Result<Granted> {
        let mut state = self.state.lock();
        if state.is_some() {
            return Err(EBUSY);
        }
        let caller = Caller::current();
        let named = memory::choose(&caller, want, options)?;
        if matches!(want.mode, mode::PIPE_MASTER | mode::PIPE_SLAVE) {
            return Err(EINVAL);
        }
        let (reg, granted) = if want.mode == mode::NULL {
            // Without a region to name, a port of memory alone makes no sense.
            Registered::without_port(want, named.ok_or(EINVAL)?, options)?
        } else {
            self.register_port(want, caller, named, options)?
        };
        *self.region.lock() = Some(reg.lease.clone());
        *state = Some(reg);
        // Who has looked before may have been told of an error: there is room to send now.
        self.polled.own().wake();
        Ok(granted)
    }

    fn register_port(
        &self,
        want: &Want<'_>,
        caller: Caller,
        named: Option<Lease>,
        options: &mut Options,
    ) -> Result<(Registered, Granted)> {
        let name = PortName::parse(want.name).map_err(name_errno)?;
        let (dev, nic) = port::find(name.ifname)?;
        let info = port::info(&dev, &nic)?;
        // The first fd says how many host rings there are.
        let wanted = (host_rings(want.hosts.0), host_rings(want.hosts.1));
        let hosts = adapter::hosts(&dev).unwrap_or(wanted);
        let numbers = Numbers::of(&info, hosts);
        let (mode, ringid, flags) = name.binding(want.mode, want.ringid, want.flags);
        let selection = select::select(mode, ringid, flags, &numbers.has).map_err(|e| match e {
            SelectError::Invalid => EINVAL,
            SelectError::Unsupported => eopnotsupp(),
        })?;
        if !dev.may_admin(&Rtnl::lock()) {
            return Err(EPERM);
        }
        let lease = match named {
            Some(lease) => lease,
            None => Lease::get(&caller, 0)?,
        };
        let ring_options = agree::ring_options(options, lease.layout(), info.rx_slots)?;
        // A CSB is filled in when the rings are there.
        options.check(|at| Csb::check(&selection, at))?;
        options.all_honoured_but::<opt::Csb>()?;
        let nif = Nif::new(lease.clone(), dev.name(), numbers.has)?;
        let owner = Owner {
            caller,
            pid: Pid::current(),
            mem_id: lease.id,
        };
        let port = Port::open(dev, nic, hosts, owner, self.polled.own().clone())?;
        // From here on `close` undoes.
        let mut reg = Registered::new(Some(port.clone()), numbers, nif, lease);
        reg.options = ring_options;
        reg.exclusive = selection.exclusive;
        reg.no_tx_poll = want.flags & flag::NO_TX_POLL != 0;
        let bound = if (port.adapter.host_tx, port.adapter.host_rx) == hosts {
            reg.bind(&port, &selection, want.extra)
                .and_then(|()| reg.enable_csb(options))
        } else {
            // Another first fd was faster and wanted other host rings.
            Err(EBUSY)
        };
        if let Err(e) = bound {
            reg.close();
            return Err(e);
        }
        let granted = reg.granted();
        Ok((reg, granted))
    }
}
