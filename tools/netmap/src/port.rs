// SPDX-License-Identifier: MIT OR Apache-2.0
//! A port: one open file of `/dev/netmap`, registered and mapped.

use crate::abi::{self, ext};
use crate::builder::Builder;
use crate::csb::Csb;
use crate::error::{Error, Op, Result};
use crate::explain::explain;
use crate::extra::{ExtraBuf, ListHead};
use crate::name::PortName;
use crate::request::{self, Options};
use crate::ring::MetaAt;
use crate::rx::RxRing;
use crate::sys::{self, Mapping};
use crate::table::{Bound, Dir, RingId, Table};
use crate::tx::TxRing;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::Ordering;
use std::sync::Arc;

/// An open port. Dropping it gives its queues back; that is complete when drop
/// returns.
#[derive(Debug)]
pub struct Port {
    // Rings point into `map` and `csb`; `map` goes before `fd`, since a mapping keeps
    // the file registered.
    table: Table,
    csb: Option<Arc<Csb>>,
    map: Arc<Mapping>,
    own_memory: bool,
    fd: OwnedFd,
    name: PortName,
    reg: abi::nmreq_register,
    offset_mask: u64,
}

impl Port {
    /// Open a port by name, see [`crate::name`].
    pub fn open(name: &str) -> Result<Self> {
        Self::builder(name).open()
    }

    /// Open a port with more than a name.
    pub fn builder(name: &str) -> Builder {
        Builder::new(name)
    }

    /// The memory with this id and no rings: it stays while this is open.
    pub fn memory(id: u16) -> Builder {
        let mut builder = Builder::new("");
        builder.memory_only = true;
        builder.mem_id(id)
    }

    pub(crate) fn register(name: PortName, ask: &Builder) -> Result<Self> {
        let object = object(&name);
        let system = |op, e| Error::system(op, &object, e);
        let fd =
            sys::open_device().map_err(|e| Error::system(Op::OpenDevice, abi::NETMAP_DEVICE, e))?;
        let queue = (name.mode == abi::NR_REG_ONE_NIC).then_some(name.ring);
        let mut reg = abi::nmreq_register {
            nr_mode: name.mode,
            nr_ringid: name.ring,
            nr_mem_id: name.mem_id,
            nr_flags: name.flags,
            nr_extra_bufs: ask.extra_buffers,
            nr_host_tx_rings: ask.host_rings[0],
            nr_host_rx_rings: ask.host_rings[1],
            ..Default::default()
        };
        let mut own = match ask.own_memory {
            0 => None,
            bytes => Some(Mapping::anonymous(bytes).map_err(|e| system(Op::Map, e))?),
        };
        let mut extmem = own.as_ref().map(|map| abi::nmreq_opt_extmem {
            nro_usrptr: map.base().as_ptr() as u64,
            nro_info: abi::nmreq_pools_info {
                nr_memsize: map.len() as u64,
                ..Default::default()
            },
            ..Default::default()
        });
        let mut offsets = ask.offsets.map(|o| abi::nmreq_opt_offsets {
            nro_max_offset: o.max,
            nro_initial_offset: o.initial,
            nro_min_gap: o.min_gap,
            ..Default::default()
        });
        let mut meta = ask.metadata.then(ext::nmreq_opt_rx_meta::default);
        let mut options = Options::default();
        options.push_some(&mut extmem);
        options.push_some(&mut offsets);
        options.push_some(&mut meta);
        request::ctrl(fd.as_fd(), &name.ifname, &mut reg, options)
            .map_err(|r| explain(r.error(Op::Register, &object), &name.ifname, queue))?;

        let len = usize::try_from(reg.nr_memsize)
            .map_err(|_| Error::Layout("memory size".to_string()))?;
        let shared = ask.shared.clone().filter(|map| map.len() >= len);
        let own_memory = own.is_some() || shared.is_some();
        let map = match (own.take(), shared) {
            (Some(map), _) if map.len() >= len => Arc::new(map),
            (Some(map), _) => return Err(Error::Layout(format!("{len} of {} bytes", map.len()))),
            (None, Some(map)) => map,
            (None, None) => {
                Arc::new(Mapping::new(fd.as_fd(), len).map_err(|e| system(Op::Map, e))?)
            }
        };
        let meta = meta.map(|m| MetaAt {
            ofs: m.nro_meta_ofs,
            size: m.nro_meta_size,
        });
        let mut port = Self {
            table: Table::read(&map, reg.nr_offset, reg.nr_mem_id, meta)?,
            csb: None,
            map,
            own_memory,
            fd,
            name,
            reg,
            offset_mask: ask.offsets.map_or(0, |o| o.max),
        };
        if ask.csb {
            port.enable_csb()?;
        }
        Ok(port)
    }

    fn enable_csb(&mut self) -> Result<()> {
        let failed = |e| Error::system(Op::Loop, self.ifname(), e);
        let csb = Arc::new(Csb::new(self.table.count()).map_err(failed)?);
        self.table.start_csb(&csb);
        let mut option = csb.option();
        let mut options = Options::default();
        options.push(&mut option);
        let kind = abi::NETMAP_REQ_CSB_ENABLE;
        request::ctrl_empty(self.fd.as_fd(), kind, self.ifname(), options)
            .map_err(|r| r.error(Op::Loop, self.ifname()))?;
        // SAFETY: self keeps a reference from here on.
        unsafe { self.table.use_csb(&csb) };
        self.csb = Some(csb);
        Ok(())
    }

    pub(crate) fn csb(&self) -> Option<&Arc<Csb>> {
        self.csb.as_ref()
    }

    /// Memory another port has to use at the same address to share it, if that is not
    /// the kernel's.
    pub(crate) fn own_memory(&self) -> Option<Arc<Mapping>> {
        self.own_memory.then(|| self.map.clone())
    }

    /// Interface name.
    pub fn ifname(&self) -> &str {
        &self.name.ifname
    }

    /// The name as parsed.
    pub fn name(&self) -> &PortName {
        &self.name
    }

    /// Number of RX queues of the port (not of those bound).
    pub fn num_rx_rings(&self) -> u16 {
        self.table.nic_rings(Dir::Rx)
    }

    /// Number of TX rings of the port (not of those bound).
    pub fn num_tx_rings(&self) -> u16 {
        self.table.nic_rings(Dir::Tx)
    }

    /// Rings bound to this file, of both directions.
    pub fn bound_rings(&self) -> usize {
        self.table.count()
    }

    /// Id of the memory: a port opened with the same id swaps buffers with this.
    pub fn mem_id(&self) -> u16 {
        self.reg.nr_mem_id
    }

    /// Largest offset of packets in their buffers, as asked for.
    pub fn max_offset(&self) -> u64 {
        self.offset_mask
    }

    /// Extra buffers that were granted.
    pub fn extra_buffers(&self) -> u32 {
        self.reg.nr_extra_bufs
    }

    fn ring(&self, dir: Dir, id: RingId) -> Result<&Bound> {
        let what = || match (id, dir) {
            (RingId::Nic(q), _) => queue_name(self.ifname(), q),
            (RingId::Host(n), Dir::Tx) => format!("host TX ring {n} of {}", self.ifname()),
            (RingId::Host(n), Dir::Rx) => format!("host RX ring {n} of {}", self.ifname()),
        };
        let bound = self.table.get(dir, id);
        let bound = bound.ok_or_else(|| Error::NotBound(what()))?;
        if bound.taken.swap(true, Ordering::Acquire) {
            return Err(Error::RingInUse(what()));
        }
        Ok(bound)
    }

    /// A bound RX ring.
    pub fn rx(&self, id: RingId) -> Result<RxRing<'_>> {
        let bound = self.ring(Dir::Rx, id)?;
        Ok(RxRing {
            geo: &bound.geo,
            taken: &bound.taken,
        })
    }

    /// A bound TX ring.
    pub fn tx(&self, id: RingId) -> Result<TxRing<'_>> {
        let bound = self.ring(Dir::Tx, id)?;
        Ok(TxRing::new(&bound.geo, &bound.taken))
    }

    /// RX ring of a queue.
    pub fn rx_ring(&self, queue: u16) -> Result<RxRing<'_>> {
        self.rx(RingId::Nic(queue))
    }

    /// TX ring of a queue.
    pub fn tx_ring(&self, queue: u16) -> Result<TxRing<'_>> {
        self.tx(RingId::Nic(queue))
    }

    /// First host TX ring: what is sent there enters the kernel's stack.
    pub fn host_tx_ring(&self) -> Result<TxRing<'_>> {
        self.tx(RingId::Host(0))
    }

    /// First host RX ring: what the kernel sends while the port's TX rings are taken.
    pub fn host_rx_ring(&self) -> Result<RxRing<'_>> {
        self.rx(RingId::Host(0))
    }

    /// The RX rings bound now.
    pub fn rx_ids(&self) -> impl Iterator<Item = RingId> + '_ {
        self.table.ids(Dir::Rx)
    }

    /// The TX rings bound now.
    pub fn tx_ids(&self) -> impl Iterator<Item = RingId> + '_ {
        self.table.ids(Dir::Tx)
    }

    /// The RX queues bound now.
    pub fn queues(&self) -> impl Iterator<Item = u16> + '_ {
        self.rx_ids().filter_map(|id| match id {
            RingId::Nic(q) => Some(q),
            RingId::Host(_) => None,
        })
    }

    /// Take one more RX queue from the kernel.
    pub fn add_queue(&mut self, queue: u16) -> Result<()> {
        self.queue_ioctl(ext::NIOCQADD, Op::Add, queue)?;
        self.look(queue)
    }

    /// Give an RX queue back to the kernel.
    pub fn remove_queue(&mut self, queue: u16) -> Result<()> {
        let given = self.queue_ioctl(ext::NIOCQDEL, Op::Remove, queue);
        // Also after an error: a queue that did not stop is no longer ours.
        self.look(queue)?;
        given
    }

    fn look(&mut self, queue: u16) -> Result<()> {
        match self.table.place(Dir::Rx, RingId::Nic(queue)) {
            Some(k) => self.table.look(&self.map, k),
            None => Ok(()),
        }
    }

    fn queue_ioctl(&self, number: u32, op: Op, queue: u16) -> Result<()> {
        let mut req = ext::nm_queue_req {
            nq_version: ext::NM_QUEUE_VERSION,
            nq_queue: queue.into(),
            ..Default::default()
        };
        sys::ioctl(self.fd.as_fd(), number, &mut req).map_err(|e| {
            let object = queue_name(&self.name.ifname, queue);
            explain(Error::system(op, object, e), &self.name.ifname, Some(queue))
        })
    }

    /// An extra buffer, while there is one.
    pub fn take_extra(&self) -> Option<ExtraBuf<'_>> {
        let geo = &self.table.first()?.geo;
        // SAFETY: a u32 inside netmap_if, which is in the mapping for the life of
        // self; Port is not Sync, so one thread uses it.
        let list = unsafe { ListHead::new(self.table.extra_list(&self.map)) };
        list.take(geo)
    }
}

impl AsFd for Port {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Port {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

fn queue_name(ifname: &str, queue: u16) -> String {
    format!("{ifname} queue {queue}")
}

fn object(name: &PortName) -> String {
    match name.mode {
        abi::NR_REG_ONE_NIC if name.flags & ext::NR_NO_RINGS == 0 => {
            queue_name(&name.ifname, name.ring)
        }
        _ => name.ifname.clone(),
    }
}
