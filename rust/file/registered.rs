// SPDX-License-Identifier: GPL-2.0

//! What a registered fd has: its rings, its `netmap_if`, its extra buffers.

use kernel::error::Result;
use kernel::prelude::*;
use kernel::sync::Arc;

use super::csb::Csb;
use super::nif::Nif;
use super::options::Options;
use super::register::{Granted, Want};
use crate::adapter::{Ring, Which};
use crate::kring::host::rx::HostRx;
use crate::kring::host::tx::HostTx;
use crate::kring::rx::RxRing;
use crate::kring::tx::TxRing;
use crate::kring::RingOptions;
use crate::mem::owner;
use crate::mem::registry::Lease;
use crate::port::select::Selection;
use crate::port::{Numbers, Port};

/// Extra buffers one fd may have: 32 MiB.
const MAX_EXTRA: u32 = 16384;

/// A registered fd.
pub(crate) struct Registered {
    /// TX rings.
    pub(crate) tx: KVec<Arc<TxRing>>,
    /// Host TX rings, among them one of its own to put packets back.
    pub(crate) host_tx: KVec<Arc<HostTx>>,
    /// RX rings, in the order they were bound.
    pub(crate) rx: KVec<Arc<RxRing>>,
    /// Host RX rings.
    pub(crate) host_rx: KVec<Arc<HostRx>>,
    /// The port; none: the fd has memory alone.
    pub(crate) port: Option<Arc<Port>>,
    /// It has bound rings that another fd had before.
    pub(crate) shares: bool,
    /// What its NIC rings are made with.
    pub(crate) options: RingOptions,
    /// What the kernel sends through the port is diverted for this fd too.
    diverts: bool,
    /// poll() sends only when asked for POLLOUT.
    pub(crate) no_tx_poll: bool,
    /// No other fd may bind its rings.
    pub(super) exclusive: bool,
    /// Where its rings' pointers are, if not in the rings.
    pub(super) csb: Option<Arc<Csb>>,
    /// The port's numbers as the program was told them.
    told: Numbers,
    nif: Nif,
    extra: u32,
    /// Last, so that the region outlives all of the above.
    pub(crate) lease: Lease,
}

impl Registered {
    pub(super) fn new(port: Option<Arc<Port>>, told: Numbers, nif: Nif, lease: Lease) -> Self {
        Registered {
            tx: KVec::new(),
            host_tx: KVec::new(),
            rx: KVec::new(),
            host_rx: KVec::new(),
            port,
            shares: false,
            options: RingOptions::default(),
            no_tx_poll: false,
            exclusive: false,
            csb: None,
            diverts: false,
            told,
            nif,
            extra: 0,
            lease,
        }
    }

    /// An fd with memory, and no port.
    pub(super) fn without_port(
        want: &Want<'_>,
        lease: Lease,
        options: &mut Options,
    ) -> Result<(Self, Granted)> {
        let numbers = Numbers::default();
        let nif = Nif::new(lease.clone(), [0; 16], numbers.has)?;
        let mut reg = Registered::new(None, numbers, nif, lease);
        reg.enable_csb(options)?;
        options.all_honoured()?;
        reg.extra_bufs(want.extra);
        let granted = reg.granted();
        Ok((reg, granted))
    }

    pub(super) fn granted(&self) -> Granted {
        Granted {
            offset: self.nif.offset(),
            memsize: self.lease.layout().memsize(),
            numbers: self.told,
            mem_id: self.lease.id,
            extra: self.extra,
        }
    }

    pub(super) fn bind(&mut self, port: &Arc<Port>, selection: &Selection, extra: u32) -> Result {
        let Selection {
            tx,
            rx,
            host_tx,
            host_rx,
            putback,
            exclusive,
            divert,
        } = selection.clone();
        if putback {
            let region = Arc::clone(&self.lease);
            // As deep as an RX ring, all of which may have to go back; received on the same queue.
            let offsets = self.options.offsets;
            let ring = HostTx::new(region, self.told.rx_slots, 0, rx.start, offsets)?;
            ring.name().set_ifindex(port.adapter.ifindex);
            self.nif.set_ring(Which::HostTx(0), Some(ring.offset()));
            port.set_putback(ring.clone());
            self.host_tx.push(ring, GFP_KERNEL)?;
        }
        self.bind_each(port, tx.map(Which::Tx), exclusive)?;
        self.bind_each(port, host_tx.map(Which::HostTx), exclusive)?;
        self.bind_each(port, rx.map(Which::Rx), exclusive)?;
        self.bind_each(port, host_rx.map(Which::HostRx), exclusive)?;
        // What the rings have left: there may be fewer, but rings have all of theirs or none.
        self.extra_bufs(extra);
        // Last: from now on what the kernel sends is the program's to deal with.
        if divert {
            port.adapter.divert()?;
            self.diverts = true;
        }
        Ok(())
    }

    fn bind_each(
        &mut self,
        port: &Arc<Port>,
        rings: impl Iterator<Item = Which>,
        exclusive: bool,
    ) -> Result {
        for which in rings {
            self.bind_one(port, which, exclusive, true)?;
        }
        Ok(())
    }

    fn bind_one(
        &mut self,
        port: &Arc<Port>,
        which: Which,
        exclusive: bool,
        registers: bool,
    ) -> Result {
        match which {
            Which::Tx(_) => self.tx.reserve(1, GFP_KERNEL)?,
            Which::HostTx(_) => self.host_tx.reserve(1, GFP_KERNEL)?,
            Which::Rx(_) => self.rx.reserve(1, GFP_KERNEL)?,
            Which::HostRx(_) => self.host_rx.reserve(1, GFP_KERNEL)?,
        }
        let (ring, shared) = port.bind(
            which,
            &self.lease,
            exclusive,
            &self.options,
            (&self.told, registers),
        )?;
        self.nif.set_ring(which, Some(ring.offset()));
        self.shares |= shared;
        // There is room.
        match ring {
            Ring::Tx(ring) => self.tx.push(ring, GFP_KERNEL)?,
            Ring::HostTx(ring) => self.host_tx.push(ring, GFP_KERNEL)?,
            Ring::Rx(ring) => self.rx.push(ring, GFP_KERNEL)?,
            Ring::HostRx(ring) => self.host_rx.push(ring, GFP_KERNEL)?,
        }
        Ok(())
    }

    /// Chains up to `count` extra buffers; fewer when the region has no more.
    fn extra_bufs(&mut self, count: u32) {
        let mut mem = self.lease.lock();
        let mut head = 0;
        while self.extra < count.min(MAX_EXTRA) {
            let Ok(buf) = mem.alloc_buf(owner::Owner::Loose) else {
                break;
            };
            if let Some(link) = mem.link(buf) {
                link.set(head);
            }
            head = buf;
            self.extra += 1;
        }
        if self.extra != 0 {
            mem.has_extra(self.nif.index());
        }
        self.nif.set_bufs_head(head);
    }

    /// Honours the option CSB, if there is one.
    ///
    /// # Errors
    ///
    /// As [`Csb::new`].
    pub(super) fn enable_csb(&mut self, options: &mut Options) -> Result {
        if let Some(csb) = options.honour(|at| Csb::new(self, at))? {
            self.csb = csb;
        }
        Ok(())
    }

    /// All rings, in the order a `netmap_if` has them.
    pub(super) fn rings(&self) -> Result<KVec<Ring>> {
        let mut rings = KVec::new();
        for ring in &self.tx {
            rings.push(Ring::Tx(ring.clone()), GFP_KERNEL)?;
        }
        for ring in &self.host_tx {
            rings.push(Ring::HostTx(ring.clone()), GFP_KERNEL)?;
        }
        // Queues may have joined in any order.
        for queue in 0..self.nif.has().rx {
            if let Some(ring) = self.rx.iter().find(|r| r.queue == queue) {
                rings.push(Ring::Rx(ring.clone()), GFP_KERNEL)?;
            }
        }
        for ring in &self.host_rx {
            rings.push(Ring::HostRx(ring.clone()), GFP_KERNEL)?;
        }
        Ok(rings)
    }

    /// Before a ring is synced: the stack gets what the program has marked for it.
    #[inline]
    pub(super) fn forward(&self, ring: &RxRing) {
        if let Some(port) = self.port.as_ref().filter(|_| ring.forwards()) {
            port.with_dev(|dev| ring.forward(dev));
        }
    }

    /// Adds an RX queue, for this fd alone.
    ///
    /// # Errors
    ///
    /// As [`Port::bind`]; EBUSY: the CSB has no entry for it. EINVAL: rings have another length now,
    /// and with it metadata another place.
    pub(crate) fn add_queue(&mut self, queue: u32) -> Result {
        let port = self.port.clone().ok_or(ENXIO)?;
        if self.csb.is_some() {
            return Err(EBUSY);
        }
        if queue >= self.nif.has().rx {
            return Err(EINVAL);
        }
        self.bind_one(&port, Which::Rx(queue), true, false)
    }

    /// Removes an RX queue.
    ///
    /// # Errors
    ///
    /// ENXIO: the interface has gone. ENOENT: the fd does not have it. EBUSY: the CSB has an entry
    /// for it. EIO: the hardware did not stop it.
    pub(crate) fn remove_queue(&mut self, queue: u32) -> Result {
        let port = self.port.clone().filter(|_| !self.gone()).ok_or(ENXIO)?;
        if self.csb.is_some() {
            return Err(EBUSY);
        }
        let at = self.rx.iter().position(|r| r.queue == queue);
        let at = at.ok_or(ENOENT)?;
        self.nif.set_ring(Which::Rx(queue), None);
        let _ = self.rx.remove(at);
        port.unbind(Which::Rx(queue))
    }

    /// Has the interface gone?
    pub(crate) fn gone(&self) -> bool {
        let port = self.port.as_ref();
        port.is_some_and(|port| port.with_dev(|dev| dev.is_none()))
    }

    /// Gives everything back; complete when it returns.
    pub(crate) fn close(self) {
        self.free_extra();
        let Some(port) = &self.port else {
            return;
        };
        if self.diverts {
            port.adapter.undivert();
        }
        port.close();
    }

    /// Frees the extra buffers the program has left in its chain.
    fn free_extra(&self) {
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
    }
}
