// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table of a port's rings, as `netmap_if` has it: NIC TX, host TX, NIC RX,
//! host RX, an offset each, 0 for a ring that is not bound.

use crate::abi::netmap_if;
use crate::csb::Csb;
use crate::error::{Error, Result};
use crate::ring::{Geometry, MetaAt};
use crate::sys::Mapping;
use std::collections::BTreeMap;
use std::fmt;
use std::mem::{offset_of, size_of};
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// A ring of a port, of either direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RingId {
    /// Of the NIC: its queue with this index.
    Nic(u16),
    /// Of the host: TX leads into the kernel's stack, RX comes from it.
    Host(u16),
}

impl fmt::Display for RingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nic(n) => write!(f, "queue {n}"),
            Self::Host(n) => write!(f, "host ring {n}"),
        }
    }
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dir {
    Tx,
    Rx,
}

/// One ring as bound to this file.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) geo: Geometry,
    pub(crate) taken: Arc<AtomicBool>,
}

/// Whether a ring is handed out. Ports that share a ring share this: two handles of
/// it would hand out the same buffers.
fn taken(mem_id: u16, at: usize) -> Arc<AtomicBool> {
    static RINGS: Mutex<BTreeMap<(u16, usize), Weak<AtomicBool>>> = Mutex::new(BTreeMap::new());
    let mut rings = RINGS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(taken) = rings.get(&(mem_id, at)).and_then(Weak::upgrade) {
        return taken;
    }
    rings.retain(|_, taken| taken.strong_count() > 0);
    let taken = Arc::new(AtomicBool::new(false));
    rings.insert((mem_id, at), Arc::downgrade(&taken));
    taken
}

/// All rings of a port.
#[derive(Debug)]
pub(crate) struct Table {
    rings: Vec<Option<Bound>>,
    /// NIC TX, host TX, NIC RX, host RX.
    counts: [u16; 4],
    at: usize,
    mem_id: u16,
    meta: Option<MetaAt>,
}

impl Table {
    /// Read the `netmap_if` at byte `at` and the rings bound so far.
    pub(crate) fn read(map: &Mapping, at: u64, mem_id: u16, meta: Option<MetaAt>) -> Result<Self> {
        let wrong = |what: String| Error::Layout(what);
        let at = usize::try_from(at).map_err(|_| wrong(format!("netmap_if at {at:#x}")))?;
        let fits = |len: usize| at.checked_add(len).is_some_and(|end| end <= map.len());
        if at % 8 != 0 || !fits(size_of::<netmap_if>()) {
            return Err(wrong(format!("netmap_if at {at:#x}")));
        }
        // SAFETY: inside the mapping (checked above), aligned, volatile because
        // the memory is shared.
        let counts = unsafe {
            let nif = map.base().add(at).cast::<netmap_if>().as_ptr();
            [
                ptr::read_volatile(&raw const (*nif).ni_tx_rings),
                ptr::read_volatile(&raw const (*nif).ni_host_tx_rings),
                ptr::read_volatile(&raw const (*nif).ni_rx_rings),
                ptr::read_volatile(&raw const (*nif).ni_host_rx_rings),
            ]
        };
        if counts.iter().any(|n| *n > 4096) {
            return Err(wrong(format!("ring counts {counts:?}")));
        }
        let total: usize = counts.iter().map(|n| *n as usize).sum();
        if !fits(size_of::<netmap_if>() + total * size_of::<i64>()) {
            return Err(wrong(format!("{total} rings")));
        }
        let mut table = Self {
            rings: Vec::new(),
            counts: counts.map(|n| n as u16),
            at,
            mem_id,
            meta,
        };
        table.rings.resize_with(total, || None);
        for k in 0..total {
            table.look(map, k)?;
        }
        Ok(table)
    }

    /// Look at ring `k` again.
    pub(crate) fn look(&mut self, map: &Mapping, k: usize) -> Result<()> {
        let entry = self.at + size_of::<netmap_if>() + k * size_of::<i64>();
        // SAFETY: read() checked that the whole table is in the mapping.
        let ofs = unsafe { ptr::read_volatile(map.base().add(entry).cast::<i64>().as_ptr()) };
        self.rings[k] = match ofs {
            0 => None,
            ofs => Some(self.bound(map, k, ofs).map_err(Error::Layout)?),
        };
        Ok(())
    }

    fn bound(&self, map: &Mapping, k: usize, ofs: i64) -> Result<Bound, String> {
        let at = (self.at as i64)
            .checked_add(ofs)
            .and_then(|r| usize::try_from(r).ok())
            .ok_or_else(|| format!("ring {k} at offset {ofs:#x}"))?;
        let mut geo = Geometry::new(map, at, self.mem_id)?;
        if let (Some(meta), (Dir::Rx, RingId::Nic(_))) = (self.meta, self.id(k)) {
            geo = geo.with_meta(map, at, meta)?;
        }
        Ok(Bound {
            geo,
            taken: taken(self.mem_id, at),
        })
    }

    /// The place of a ring, if the port has such a ring.
    pub(crate) fn place(&self, dir: Dir, id: RingId) -> Option<usize> {
        let group = match (dir, id) {
            (Dir::Tx, RingId::Nic(_)) => 0,
            (Dir::Tx, RingId::Host(_)) => 1,
            (Dir::Rx, RingId::Nic(_)) => 2,
            (Dir::Rx, RingId::Host(_)) => 3,
        };
        let before: usize = self.counts[..group].iter().map(|n| usize::from(*n)).sum();
        (id.index() < self.counts[group]).then(|| before + usize::from(id.index()))
    }

    /// The ring at a place.
    fn id(&self, k: usize) -> (Dir, RingId) {
        let [tx, host_tx, rx, _] = self.counts.map(usize::from);
        match k {
            k if k < tx => (Dir::Tx, RingId::Nic(k as u16)),
            k if k < tx + host_tx => (Dir::Tx, RingId::Host((k - tx) as u16)),
            k if k < tx + host_tx + rx => (Dir::Rx, RingId::Nic((k - tx - host_tx) as u16)),
            k => (Dir::Rx, RingId::Host((k - tx - host_tx - rx) as u16)),
        }
    }

    /// The bound rings of a direction.
    pub(crate) fn ids(&self, dir: Dir) -> impl Iterator<Item = RingId> + '_ {
        (0..self.rings.len())
            .filter(|k| self.rings[*k].is_some())
            .map(|k| self.id(k))
            .filter(move |(d, _)| *d == dir)
            .map(|(_, id)| id)
    }

    /// A bound ring.
    pub(crate) fn get(&self, dir: Dir, id: RingId) -> Option<&Bound> {
        self.rings.get(self.place(dir, id)?)?.as_ref()
    }

    /// Any bound ring.
    pub(crate) fn first(&self) -> Option<&Bound> {
        self.rings.iter().flatten().next()
    }

    /// Bound rings.
    pub(crate) fn count(&self) -> usize {
        self.rings.iter().flatten().count()
    }

    /// NIC rings of a direction, bound or not.
    pub(crate) fn nic_rings(&self, dir: Dir) -> u16 {
        self.counts[if dir == Dir::Tx { 0 } else { 2 }]
    }

    /// Have all rings exchange their pointers by way of `csb`, which has an entry
    /// for each, in the order of the table.
    ///
    /// # Safety
    /// `csb` lives as long as self.
    pub(crate) unsafe fn use_csb(&mut self, csb: &Csb) {
        for (n, bound) in self.rings.iter_mut().flatten().enumerate() {
            // SAFETY: passed on to the caller.
            bound.geo = unsafe { bound.geo.with_words(csb.words(n)) };
        }
    }

    /// Let `csb` begin with the pointers the rings have now.
    pub(crate) fn start_csb(&self, csb: &Csb) {
        for (n, bound) in self.rings.iter().flatten().enumerate() {
            let (head, tail) = bound.geo.range();
            csb.start(n, head, tail);
        }
    }

    /// Where the list of extra buffers begins.
    pub(crate) fn extra_list(&self, map: &Mapping) -> NonNull<u32> {
        let at = self.at + offset_of!(netmap_if, ni_bufs_head);
        // SAFETY: inside netmap_if, which read() checked to be in the mapping.
        unsafe { map.base().add(at) }.cast()
    }
}

impl RingId {
    /// Its number.
    pub fn index(self) -> u16 {
        let (Self::Nic(n) | Self::Host(n)) = self;
        n
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_that_share_a_ring_share_its_handle() {
        let (a, b) = (taken(900, 64), taken(900, 64));
        assert!(Arc::ptr_eq(&a, &b));
        assert!(!Arc::ptr_eq(&a, &taken(900, 128)) && !Arc::ptr_eq(&a, &taken(901, 64)));
        a.store(true, std::sync::atomic::Ordering::Relaxed);
        drop((a, b));
        let again = taken(900, 64);
        assert!(!again.load(std::sync::atomic::Ordering::Relaxed));
    }

    #[test]
    fn places_and_ids_are_inverse_in_the_order_of_the_interface() {
        let table = Table {
            rings: Vec::new(),
            counts: [4, 2, 3, 2],
            at: 0,
            mem_id: 1,
            meta: None,
        };
        for k in 0..11 {
            let (dir, id) = table.id(k);
            assert_eq!(table.place(dir, id), Some(k));
        }
        assert_eq!(table.place(Dir::Tx, RingId::Host(0)), Some(4));
        assert_eq!(table.place(Dir::Rx, RingId::Nic(0)), Some(6));
        assert_eq!(table.place(Dir::Rx, RingId::Host(1)), Some(10));
        assert_eq!(table.place(Dir::Tx, RingId::Nic(4)), None);
        assert_eq!(table.place(Dir::Rx, RingId::Host(2)), None);
    }
}
