// SPDX-License-Identifier: GPL-2.0

//! The `netmap_if` of an fd: where the program finds its rings.
//!
//! Ring offsets are in the order TX, host TX, RX, host RX; 0 says that the fd does not have the
//! ring. They change when queues are added and removed.

use kernel::error::Result;
use kernel::prelude::*;
use kernel::sync::Arc;

use crate::adapter::Which;
use crate::mem::layout::MAX_RING_OFS;
use crate::mem::region::Region;
use crate::os::chunk::Chunk;
use crate::port::select::Counts;
use crate::uapi::NI_PRIV_MEM;

/// A `netmap_if`.
pub(crate) struct Nif {
    index: usize,
    mem: Arc<Chunk>,
    region: Arc<Region>,
    has: Counts,
}

impl Nif {
    /// A `netmap_if` without rings, for a port with that many.
    ///
    /// # Errors
    ///
    /// ENOMEM; ENOSPC: more rings than it has room for.
    pub(crate) fn new(region: Arc<Region>, name: [u8; 16], has: Counts) -> Result<Self> {
        let rings = [has.tx, has.host_tx, has.rx, has.host_rx];
        if rings.iter().map(|&n| n as usize).sum::<usize>() > MAX_RING_OFS {
            return Err(ENOSPC);
        }
        let (index, mem) = region.lock().alloc_if()?;
        let nif = mem.if_header();
        let word = u128::from_le_bytes(name);
        nif.ni_name[0].set(word as u64);
        nif.ni_name[1].set((word >> 64) as u64);
        if region.is_private() {
            nif.ni_flags.set(NI_PRIV_MEM);
        }
        nif.ni_tx_rings.set(has.tx);
        nif.ni_rx_rings.set(has.rx);
        nif.ni_host_tx_rings.set(has.host_tx);
        nif.ni_host_rx_rings.set(has.host_rx);
        Ok(Nif {
            index,
            mem,
            region,
            has,
        })
    }

    /// Rings it has places for: as many as the port had at registration.
    pub(crate) fn has(&self) -> &Counts {
        &self.has
    }

    /// Its number in the region.
    pub(super) fn index(&self) -> usize {
        self.index
    }

    /// Where it is in the region.
    pub(crate) fn offset(&self) -> usize {
        self.region.layout().if_offset(self.index)
    }

    /// Says where a ring is, by the ring's offset in the region; `None`: not bound.
    pub(crate) fn set_ring(&self, which: Which, ring: Option<usize>) {
        let has = &self.has;
        let at = match which {
            Which::Tx(i) => i,
            Which::HostTx(i) => has.tx + i,
            Which::Rx(i) => has.tx + has.host_tx + i,
            Which::HostRx(i) => has.tx + has.host_tx + has.rx + i,
        };
        let ofs = ring.map_or(0, |ring| ring as i64 - self.offset() as i64);
        if let Some(place) = self.mem.ring_ofs(at as usize + 1).last() {
            place.set(ofs);
        }
    }

    /// First of the extra buffers, as the program left it.
    pub(crate) fn bufs_head(&self) -> u32 {
        self.mem.if_header().ni_bufs_head.get()
    }

    /// Tells the program its extra buffers.
    pub(crate) fn set_bufs_head(&self, buf: u32) {
        self.mem.if_header().ni_bufs_head.set(buf);
    }
}

impl Drop for Nif {
    fn drop(&mut self) {
        self.region.lock().free_if(self.index);
    }
}
