// SPDX-License-Identifier: GPL-2.0

//! The communication status block of an fd: its rings' pointers in memory of the program's own.
//!
//! Two arrays with an entry per ring, the fd's TX rings first and then its RX rings, each with the
//! NIC's before the host's, as the `netmap_if` has them. The program writes one array, the kernel
//! the other; head, cur and tail of the rings themselves are not used any more. They are exchanged
//! by a kernel loop ([`super::kloop`]) alone.
//!
//! Neither side can write two words at once, so each reads them in the reverse order of the
//! other's writing: `head` read before `cur` never runs ahead of it.

use kernel::error::Result;
use kernel::prelude::*;
use kernel::sync::Arc;

use super::registered::Registered;
use crate::adapter::Ring;
use crate::kring::Sync;
use crate::os::user::Addr;
use crate::os::{full_barrier, read_barrier, write_barrier};
use crate::port::select::Selection;
use crate::port::Port;
use crate::ring::Pointers;
use crate::uapi::opt::{self, atok, ktoa, CSB_ENTRY};

/// A ring's two entries.
pub(super) struct Entry {
    ring: Ring,
    /// Application to kernel.
    atok: Addr,
    /// Kernel to application.
    ktoa: Addr,
}

/// A CSB in use.
pub(super) struct Csb {
    /// Of all rings of the fd.
    pub(super) entries: KVec<Entry>,
    /// Their port.
    pub(super) port: Arc<Port>,
}

impl Csb {
    /// What can be said before there are rings.
    ///
    /// # Errors
    ///
    /// EINVAL: as [`Csb::new`].
    pub(super) fn check(selection: &Selection, at: &mut opt::Csb) -> Result {
        if selection.is_empty() {
            return Ok(());
        }
        check(selection.exclusive, at)
    }

    /// Checks the program's two arrays and writes what rings look like now. `None`: the fd has no
    /// ring, so whatever the program says will do.
    ///
    /// # Errors
    ///
    /// EINVAL: the fd shares its rings, or an array is not aligned. EFAULT: one cannot be written.
    /// ENOMEM.
    pub(super) fn new(reg: &Registered, at: &opt::Csb) -> Result<Option<Arc<Self>>> {
        let rings = reg.rings()?;
        let Some(port) = reg.port.clone().filter(|_| !rings.is_empty()) else {
            return Ok(None);
        };
        check(reg.exclusive, at)?;
        let mut entries = KVec::with_capacity(rings.len(), GFP_KERNEL)?;
        for (i, ring) in rings.into_iter().enumerate() {
            let entry = Entry {
                ring,
                atok: Addr(at.csb_atok as usize).offset(i * CSB_ENTRY)?,
                ktoa: Addr(at.csb_ktoa as usize).offset(i * CSB_ENTRY)?,
            };
            entry.init()?;
            entries.push(entry, GFP_KERNEL)?;
        }
        Ok(Some(Arc::new(Csb { entries, port }, GFP_KERNEL)?))
    }
}

fn check(exclusive: bool, at: &opt::Csb) -> Result {
    let aligned = |array: u64| array % CSB_ENTRY as u64 == 0;
    match exclusive && aligned(at.csb_atok) && aligned(at.csb_ktoa) {
        true => Ok(()),
        false => Err(EINVAL),
    }
}

impl Entry {
    /// The ring as it is, nothing released, and both sides to be kicked.
    fn init(&self) -> Result {
        let (hwcur, hwtail) = self.ring.indices();
        // As the kernel reads and writes them later: all must be there.
        self.atok.offset(atok::HEAD)?.put(hwcur)?;
        self.atok.offset(atok::CUR)?.put(hwcur)?;
        self.atok.offset(atok::APPL_NEED_KICK)?.put(1)?;
        self.atok.offset(atok::SYNC_FLAGS)?.put(0)?;
        self.ask_for_kicks(true)?;
        self.tell(hwcur, hwtail)
    }

    /// The program's pointers, each read once.
    pub(super) fn pointers(&self) -> Result<Pointers> {
        let head = self.atok.offset(atok::HEAD)?.get()?;
        // The program writes `cur`, then `head`.
        read_barrier();
        let cur = self.atok.offset(atok::CUR)?.get()?;
        // It has written slots and buffers before both.
        read_barrier();
        Ok(Pointers { head, cur })
    }

    /// Exchanges slots with the ring; returns hwcur and hwtail too.
    pub(super) fn sync(&self, port: &Port, p: Pointers) -> (Sync, u32, u32) {
        port.with_dev(|dev| self.ring.sync_at(dev, p))
    }

    /// hwcur and hwtail as they were last told.
    pub(super) fn indices(&self) -> (u32, u32) {
        self.ring.indices()
    }

    /// Tells the program what the kernel has taken, and what it hands over.
    pub(super) fn tell(&self, hwcur: u32, hwtail: u32) -> Result {
        // Slots and buffers first; then `hwcur`, which the program reads after `hwtail`.
        write_barrier();
        self.ktoa.offset(ktoa::HWCUR)?.put(hwcur)?;
        write_barrier();
        self.ktoa.offset(ktoa::HWTAIL)?.put(hwtail)
    }

    /// Does the program want to be kicked, now that it has been told something?
    pub(super) fn wants_kick(&self) -> Result<bool> {
        // It asks for kicks and then looks; here it is the other way round, so one of us sees.
        full_barrier();
        Ok(self.atok.offset(atok::APPL_NEED_KICK)?.get()? != 0)
    }

    /// Asks the program to kick, or not to.
    pub(super) fn ask_for_kicks(&self, please: bool) -> Result {
        self.ktoa
            .offset(ktoa::KERN_NEED_KICK)?
            .put(u32::from(please))
    }
}
