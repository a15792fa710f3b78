// SPDX-License-Identifier: MIT OR Apache-2.0
//! A port: one open file of `/dev/netmap`, registered and mapped.

use crate::abi::{self, ext};
use crate::builder::Builder;
use crate::error::{Error, Op, Result};
use crate::explain::explain;
use crate::extra::{ExtraBuf, ListHead};
use crate::name::PortName;
use crate::ring::Geometry;
use crate::rx::RxRing;
use crate::sys::{self, Mapping};
use crate::tx::TxRing;
use std::cell::Cell;
use std::mem::{offset_of, size_of};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr::{self, NonNull};
use std::time::Duration;

/// One ring as bound to this file.
#[derive(Debug)]
struct Bound {
    geo: Geometry,
    taken: Cell<bool>,
}

/// An open port. Dropping it gives its queues back; that is complete when drop
/// returns.
#[derive(Debug)]
pub struct Port {
    // Rings point into `map`; `map` goes before `fd`, since a mapping keeps the
    // file registered.
    rings: Vec<Option<Bound>>,
    map: Mapping,
    fd: OwnedFd,
    name: PortName,
    reg: abi::nmreq_register,
    host_tx: u32,
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

    pub(crate) fn register(name: PortName, extra_buffers: u32) -> Result<Self> {
        let object = object(&name);
        let fd =
            sys::open_device().map_err(|e| Error::system(Op::OpenDevice, abi::NETMAP_DEVICE, e))?;
        let queue = (name.mode == abi::NR_REG_ONE_NIC).then_some(name.ring);
        let mut reg = abi::nmreq_register {
            nr_mode: name.mode,
            nr_ringid: name.ring,
            nr_mem_id: name.mem_id,
            nr_flags: name.flags,
            nr_extra_bufs: extra_buffers,
            ..Default::default()
        };
        sys::register(fd.as_fd(), &name.ifname, &mut reg)
            .map_err(|e| explain(Error::system(Op::Register, &object, e), &name.ifname, queue))?;
        let len = usize::try_from(reg.nr_memsize)
            .map_err(|_| Error::Layout("memory size".to_string()))?;
        let map = Mapping::new(fd.as_fd(), len).map_err(|e| Error::system(Op::Map, &object, e))?;
        let mut port = Self {
            rings: Vec::new(),
            map,
            fd,
            name,
            reg,
            host_tx: 0,
        };
        port.find_rings()?;
        Ok(port)
    }

    /// Read `netmap_if` and the rings bound so far.
    fn find_rings(&mut self) -> Result<()> {
        let at = self.reg.nr_offset as usize;
        let end = at.checked_add(size_of::<abi::netmap_if>());
        if at % 8 != 0 || end.is_none_or(|end| end > self.map.len()) {
            return Err(Error::Layout(format!("netmap_if at {at:#x}")));
        }
        let nif = self.nif().as_ptr();
        // SAFETY: inside the mapping (checked above), aligned, volatile because
        // the memory is shared.
        let counts = unsafe {
            [
                ptr::read_volatile(&raw const (*nif).ni_tx_rings),
                ptr::read_volatile(&raw const (*nif).ni_host_tx_rings),
                ptr::read_volatile(&raw const (*nif).ni_rx_rings),
                ptr::read_volatile(&raw const (*nif).ni_host_rx_rings),
            ]
        };
        if counts.iter().any(|n| *n > 4096) {
            return Err(Error::Layout(format!("ring counts {counts:?}")));
        }
        let total: usize = counts.iter().map(|n| *n as usize).sum();
        if at + size_of::<abi::netmap_if>() + total * size_of::<isize>() > self.map.len() {
            return Err(Error::Layout(format!("{total} rings")));
        }
        self.reg.nr_tx_rings = counts[0] as u16;
        self.host_tx = counts[1];
        self.reg.nr_rx_rings = counts[2] as u16;
        self.rings.resize_with(total, || None);
        for k in 0..total {
            self.bind(k)?;
        }
        Ok(())
    }

    /// Look at ring `k` of the ring table again.
    fn bind(&mut self, k: usize) -> Result<()> {
        let at = self.reg.nr_offset as usize;
        let entry = at + size_of::<abi::netmap_if>() + k * size_of::<isize>();
        // SAFETY: find_rings() checked that the whole table is in the mapping.
        let ofs = unsafe { ptr::read_volatile(self.map.base().add(entry).cast::<i64>().as_ptr()) };
        self.rings[k] = match ofs {
            0 => None,
            ofs => {
                let ring = (at as i64)
                    .checked_add(ofs)
                    .and_then(|r| usize::try_from(r).ok())
                    .ok_or_else(|| Error::Layout(format!("ring {k} at offset {ofs:#x}")))?;
                let geo =
                    Geometry::new(&self.map, ring, self.reg.nr_mem_id).map_err(Error::Layout)?;
                Some(Bound {
                    geo,
                    taken: Cell::new(false),
                })
            }
        };
        Ok(())
    }

    fn nif(&self) -> NonNull<abi::netmap_if> {
        // SAFETY: find_rings() checks the offset before anything else is done.
        unsafe { self.map.base().add(self.reg.nr_offset as usize) }.cast()
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
        self.reg.nr_rx_rings
    }

    /// Id of the memory: a port opened with the same id swaps buffers with this.
    pub fn mem_id(&self) -> u16 {
        self.reg.nr_mem_id
    }

    /// Extra buffers that were granted.
    pub fn extra_buffers(&self) -> u32 {
        self.reg.nr_extra_bufs
    }

    fn rx_index(&self, queue: u16) -> usize {
        usize::from(self.reg.nr_tx_rings) + self.host_tx as usize + usize::from(queue)
    }

    fn ring(&self, k: usize, what: impl Fn() -> String) -> Result<&Bound> {
        let bound = self.rings.get(k).and_then(Option::as_ref);
        let bound = bound.ok_or_else(|| Error::NotBound(what()))?;
        if bound.taken.replace(true) {
            return Err(Error::RingInUse(what()));
        }
        Ok(bound)
    }

    /// RX ring of a queue.
    pub fn rx_ring(&self, queue: u16) -> Result<RxRing<'_>> {
        if queue >= self.reg.nr_rx_rings {
            return Err(Error::NotBound(queue_name(&self.name.ifname, queue)));
        }
        let bound = self.ring(self.rx_index(queue), || {
            queue_name(&self.name.ifname, queue)
        })?;
        Ok(RxRing {
            geo: &bound.geo,
            taken: &bound.taken,
        })
    }

    /// Host TX ring: what is sent there enters the kernel's stack.
    pub fn host_tx_ring(&self) -> Result<TxRing<'_>> {
        let bound = self.ring(usize::from(self.reg.nr_tx_rings), || {
            format!("host TX ring of {}", self.name.ifname)
        })?;
        Ok(TxRing::new(&bound.geo, &bound.taken))
    }

    /// The RX queues bound now.
    pub fn queues(&self) -> impl Iterator<Item = u16> + '_ {
        (0..self.reg.nr_rx_rings)
            .filter(|q| matches!(self.rings.get(self.rx_index(*q)), Some(Some(_))))
    }

    /// Take one more RX queue from the kernel.
    pub fn add_queue(&mut self, queue: u16) -> Result<()> {
        self.queue_ioctl(ext::NIOCQADD, Op::Add, queue)?;
        let k = self.rx_index(queue);
        self.bind(k)
    }

    /// Give an RX queue back to the kernel.
    pub fn remove_queue(&mut self, queue: u16) -> Result<()> {
        let given = self.queue_ioctl(ext::NIOCQDEL, Op::Remove, queue);
        let k = self.rx_index(queue);
        // Also after an error: a queue that did not stop is no longer ours.
        if k < self.rings.len() {
            self.bind(k)?;
        }
        given
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
        let geo = &self.rings.iter().flatten().next()?.geo;
        let at = self.nif().as_ptr() as usize + offset_of!(abi::netmap_if, ni_bufs_head);
        // SAFETY: a u32 inside netmap_if, which is in the mapping for the life of
        // self; Port is not Sync, so one thread uses it.
        let list = unsafe { ListHead::new(NonNull::new(at as *mut u32)?) };
        list.take(geo)
    }

    /// Wait for packets on the bound RX rings, after pushing what is queued for
    /// the host. False after the timeout or a signal.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<bool> {
        let events = sys::poll(self.fd.as_fd(), libc::POLLIN, timeout)
            .map_err(|e| Error::system(Op::Sync, &self.name.ifname, e))?;
        if events & (libc::POLLERR | libc::POLLNVAL) != 0 {
            // The sync call knows why.
            self.rxsync()?;
        }
        Ok(events & libc::POLLIN != 0)
    }

    /// Fetch what has arrived, give back what was released.
    #[inline]
    pub fn rxsync(&self) -> Result<()> {
        self.sync(abi::NIOCRXSYNC)
    }

    /// Push what is queued on the TX rings.
    #[inline]
    pub fn txsync(&self) -> Result<()> {
        self.sync(abi::NIOCTXSYNC)
    }

    fn sync(&self, number: u32) -> Result<()> {
        sys::ioctl_none(self.fd.as_fd(), number)
            .map_err(|e| Error::system(Op::Sync, &self.name.ifname, e))
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
