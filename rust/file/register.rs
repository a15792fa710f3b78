// SPDX-License-Identifier: GPL-2.0

//! Binding an fd to a port: what both request families come down to.
//!
//! All checks and allocations come before the first queue is taken, and what was done is undone in
//! reverse by drop, so that a refused request changes nothing.

use kernel::error::Result;
use kernel::prelude::*;
use kernel::sync::Arc;

use super::nif::{Nif, Which, HOST_RINGS};
use super::options::Options;
use super::File;
use crate::kring::host::rx::HostRx;
use crate::kring::host::tx::HostTx;
use crate::kring::rx::RxRing;
use crate::kring::Sync;
use crate::mem::layout::MAX_SLOTS;
use crate::mem::owner::Owner;
use crate::mem::region::Region;
use crate::mem::registry::Lease;
use crate::os::eopnotsupp;
use crate::os::nic::PortInfo;
use crate::os::Caller;
use crate::port::name::{NameError, PortName};
use crate::port::{self, Port};
use crate::uapi::{flag, mode};

/// Extra buffers one fd may have: 32 MiB.
const MAX_EXTRA: u32 = 16384;

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
}

/// What it gets.
pub(crate) struct Granted {
    /// Where its `netmap_if` is.
    pub(crate) offset: usize,
    /// Size of the mapping.
    pub(crate) memsize: usize,
    /// Slots and rings of the port.
    pub(crate) port: PortInfo,
    /// Its memory region.
    pub(crate) mem_id: u16,
    /// Extra buffers.
    pub(crate) extra: u32,
}

/// An fd bound to a port.
pub(crate) struct Registered {
    /// RX rings, in the order they were bound.
    pub(crate) rx: KVec<Arc<RxRing>>,
    /// The host RX ring, where the fd has one.
    pub(crate) host_rx: Option<Arc<HostRx>>,
    /// The port.
    pub(crate) port: Arc<Port>,
    /// poll() sends only when asked for POLLOUT.
    pub(crate) no_tx_poll: bool,
    nif: Nif,
    extra: u32,
    /// Last, so that the region outlives all of the above.
    pub(crate) lease: Lease,
}

/// Which rings a request binds.
struct Rings {
    rx: core::ops::Range<u32>,
    host_tx: bool,
    host_rx: bool,
}

impl Rings {
    /// Checks mode, ring number and flags against the port.
    ///
    /// # Errors
    ///
    /// EINVAL: no such mode or ring. EOPNOTSUPP: a NIC TX ring, a monitor.
    fn of(want: &Want<'_>, name: &PortName<'_>, info: &PortInfo) -> Result<Self> {
        let (mode, ringid, flags) = name.binding(want.mode, want.ringid, want.flags);
        let rx_only = flags & flag::RX_RINGS_ONLY != 0;
        let tx_only = flags & flag::TX_RINGS_ONLY != 0;
        let mut rings = Rings {
            rx: 0..0,
            host_tx: flags & flag::PUTBACK != 0,
            host_rx: false,
        };
        if rx_only && tx_only {
            // Excludes everything; netmap accepts it whatever the mode.
            return Ok(rings);
        }
        let id = u32::from(ringid);
        let (nic, host) = match mode {
            mode::ALL_NIC => (0..info.num_rx, false),
            mode::SW => (0..0, true),
            mode::NIC_SW => (0..info.num_rx, true),
            mode::ONE_NIC if flags & flag::NO_RINGS != 0 => (0..0, false),
            mode::ONE_NIC if id < info.num_rx => (id..id + 1, false),
            // A TX ring may have the number, where RX is not asked for alone.
            mode::ONE_NIC if id < info.num_tx && !rx_only => return Err(eopnotsupp()),
            mode::ONE_SW if id < HOST_RINGS => (0..0, true),
            _ => return Err(EINVAL),
        };
        if flags & (flag::MONITOR_TX | flag::MONITOR_RX | flag::ZCOPY_MON) != 0 {
            return Err(eopnotsupp());
        }
        if !rx_only && !matches!(mode, mode::SW | mode::ONE_SW) {
            return Err(eopnotsupp());
        }
        rings.rx = nic;
        rings.host_tx |= host && !rx_only;
        rings.host_rx = host && !tx_only;
        Ok(rings)
    }
}

/// The errno of a refused name.
pub(crate) fn name_errno(e: NameError) -> Error {
    match e {
        NameError::NoInterface => ENXIO,
        NameError::Unsupported => eopnotsupp(),
        NameError::BadQueue => EINVAL,
    }
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
        let named = match want.mem_id {
            0 => None,
            id => Some(Lease::get(&caller, id)?),
        };
        if matches!(want.mode, mode::PIPE_MASTER | mode::PIPE_SLAVE) {
            return Err(EINVAL);
        }
        if want.mode == mode::NULL {
            // A port of memory alone; without a region to name it makes no sense at all.
            return Err(if want.mem_id == 0 {
                EINVAL
            } else {
                eopnotsupp()
            });
        }
        let name = PortName::parse(want.name).map_err(name_errno)?;
        let (dev, nic) = port::find(name.ifname)?;
        let info = port::info(&dev, &nic)?;
        let rings = Rings::of(want, &name, &info)?;
        if !dev.may_admin() {
            return Err(EPERM);
        }
        if info.rx_slots > MAX_SLOTS || info.rx_slots < 2 {
            return Err(EINVAL);
        }
        options.all_honoured()?;
        let lease = match named {
            Some(lease) => lease,
            None => Lease::get(&caller, 0)?,
        };
        let nif = Nif::new(lease.clone(), dev.name(), info.num_tx, info.num_rx)?;
        let port = Port::open(dev, nic, caller, lease.id, self.waiters.clone())?;
        // From here on `close` undoes.
        let mut reg = Registered {
            rx: KVec::new(),
            host_rx: None,
            port,
            no_tx_poll: want.flags & flag::NO_TX_POLL != 0,
            nif,
            extra: 0,
            lease,
        };
        if let Err(e) = reg.bind(&rings, &info, want.extra) {
            reg.close();
            return Err(e);
        }
        let granted = Granted {
            offset: reg.nif.offset(),
            memsize: reg.lease.layout().memsize(),
            port: info,
            mem_id: reg.lease.id,
            extra: reg.extra,
        };
        *self.region.lock() = Some(reg.lease.clone());
        *state = Some(reg);
        Ok(granted)
    }
}

impl Registered {
    fn bind(&mut self, rings: &Rings, info: &PortInfo, extra: u32) -> Result {
        let region: Arc<Region> = self.lease.clone();
        if rings.host_tx {
            let from = rings.rx.start;
            let ring = HostTx::new(region.clone(), info.rx_slots, 0, from)?;
            self.nif.set_ring(Which::HostTx, Some(ring.offset()));
            *self.port.host_tx.lock() = Some(ring);
        }
        if rings.host_rx {
            let wakers = self.port.wakers();
            let ring = HostRx::new(region.clone(), info.rx_slots, 0, wakers)?;
            self.nif.set_ring(Which::HostRx, Some(ring.offset()));
            self.host_rx = Some(ring);
        }
        self.extra_bufs(&region, extra.min(MAX_EXTRA));
        for queue in rings.rx.clone() {
            self.add_queue(queue)?;
        }
        Ok(())
    }

    /// Chains up to `count` extra buffers; fewer when the region has no more.
    fn extra_bufs(&mut self, region: &Region, count: u32) {
        let mut mem = region.lock();
        let mut head = 0;
        while self.extra < count {
            let Ok(buf) = mem.alloc_buf(Owner::Loose) else {
                break;
            };
            if let Some(link) = mem.link(buf) {
                link.set(head);
            }
            head = buf;
            self.extra += 1;
        }
        self.nif.set_bufs_head(head);
    }

    /// Adds an RX queue.
    ///
    /// # Errors
    ///
    /// As [`Port::take`].
    pub(crate) fn add_queue(&mut self, queue: u32) -> Result {
        if queue >= self.nif.num_rx() {
            return Err(EINVAL);
        }
        self.rx.reserve(1, GFP_KERNEL)?;
        let ring = self.port.take(queue, &self.lease)?;
        self.nif.set_ring(Which::Rx(queue), Some(ring.offset()));
        self.rx.push(ring, GFP_KERNEL)?;
        Ok(())
    }

    /// Has the interface gone?
    pub(crate) fn gone(&self) -> bool {
        self.port.with_dev(|dev| dev.is_none())
    }

    /// Removes an RX queue.
    ///
    /// # Errors
    ///
    /// ENXIO: the interface has gone. ENOENT: the fd does not have it. EIO: the hardware did not stop it.
    pub(crate) fn remove_queue(&mut self, queue: u32) -> Result {
        if self.gone() {
            return Err(ENXIO);
        }
        let at = self
            .rx
            .iter()
            .position(|r| r.queue == queue)
            .ok_or(ENOENT)?;
        self.nif.set_ring(Which::Rx(queue), None);
        let _ = self.rx.remove(at);
        self.port.give(queue)
    }

    /// Sends what is in the host TX ring; `None`: the fd has none.
    pub(crate) fn sync_host_tx(&self) -> Option<Sync> {
        let host = self.port.host_tx.lock().clone()?;
        Some(self.port.with_dev(|dev| host.sync(dev)))
    }

    /// Gives everything back; complete when it returns.
    pub(crate) fn close(self) {
        let mut mem = self.lease.lock();
        let mut buf = self.nif.bufs_head();
        // The program may have changed the chain: as long as it is, and no longer.
        for _ in 0..self.extra {
            let Some(next) = mem.link(buf).map(|link| link.get()) else {
                break;
            };
            mem.free_loose(buf);
            buf = next;
        }
        drop(mem);
        self.port.close();
    }
}
