// SPDX-License-Identifier: GPL-2.0

//! The table of bound rings of an adapter: who has which.

use kernel::error::Result;
use kernel::prelude::*;
use kernel::sync::Arc;

use super::ring::{Lent, Ring, Which};
use crate::kring::Status;
use crate::os::{uid_seen, Caller, Pid};
use crate::port::Port;
use crate::uapi::ext::state;

/// A registered fd, as an owner of rings.
pub(crate) struct Owner {
    /// Who registered.
    pub(crate) caller: Caller,
    /// Its process.
    pub(crate) pid: Option<Pid>,
    /// Its memory region.
    pub(crate) mem_id: u16,
}

impl Owner {
    /// Process and user as the one who asks sees them; what its namespaces do not have is 0, or the
    /// overflow uid.
    pub(crate) fn seen(&self) -> (u32, u32) {
        let pid = self.pid.as_ref().map_or(0, Pid::seen);
        (pid, uid_seen(self.caller.uid))
    }
}

/// A ring that fds have bound.
pub(crate) struct Bound {
    pub(super) which: Which,
    pub(super) ring: Ring,
    pub(super) lent: Option<Lent>,
    owners: KVec<Arc<Owner>>,
    exclusive: bool,
}

/// All of a port.
#[derive(Default)]
pub(crate) struct Table {
    bound: KVec<Bound>,
    /// Those that did not stop when they were given back.
    pub(super) stuck: KVec<Bound>,
    /// The fds.
    pub(super) ports: KVec<Arc<Port>>,
}

/// A ring in a listing.
pub(crate) struct Row<'a> {
    /// Kind and number.
    pub(crate) which: Which,
    /// Its numbers.
    pub(crate) status: Status,
    /// Who has it first.
    pub(crate) owner: Option<&'a Owner>,
    /// Fds that have it.
    pub(crate) fds: usize,
}

/// A place in the table that is kept free, so that nothing can fail once a ring has been taken.
pub(crate) struct Place {
    which: Which,
    owners: KVec<Arc<Owner>>,
    exclusive: bool,
}

impl Table {
    /// Joins `owner` to a ring that is bound already; `None`: it is not.
    ///
    /// # Errors
    ///
    /// EBUSY: one of its fds wants it alone, or it does not fit. ENOMEM.
    pub(crate) fn join(
        &mut self,
        which: Which,
        owner: &Arc<Owner>,
        exclusive: bool,
        fits: impl FnOnce(&Ring) -> bool,
    ) -> Result<Option<Ring>> {
        let Some(bound) = self.bound.iter_mut().find(|b| b.which == which) else {
            return Ok(None);
        };
        let mine = bound.owners.iter().any(|o| Arc::ptr_eq(o, owner));
        if exclusive || bound.exclusive || mine || !fits(&bound.ring) {
            return Err(EBUSY);
        }
        bound.owners.push(owner.clone(), GFP_KERNEL)?;
        bound.ring.share();
        Ok(Some(bound.ring.clone()))
    }

    /// A place for one more ring.
    ///
    /// # Errors
    ///
    /// ENOMEM.
    pub(crate) fn place(
        &mut self,
        which: Which,
        owner: &Arc<Owner>,
        exclusive: bool,
    ) -> Result<Place> {
        self.bound.reserve(1, GFP_KERNEL)?;
        let mut owners = KVec::with_capacity(1, GFP_KERNEL)?;
        owners.push(owner.clone(), GFP_KERNEL)?;
        Ok(Place {
            which,
            owners,
            exclusive,
        })
    }

    /// Enters a ring.
    pub(crate) fn bind(&mut self, place: Place, ring: Ring, lent: Option<Lent>) {
        let bound = Bound {
            which: place.which,
            ring,
            lent,
            owners: place.owners,
            exclusive: place.exclusive,
        };
        // There is room, by `place`.
        let _ = self.bound.push_within_capacity(bound);
    }

    /// Takes an owner from a ring; its last takes the ring from the table.
    ///
    /// # Errors
    ///
    /// ENOENT: it does not own it.
    pub(super) fn unbind(&mut self, which: Which, owner: &Arc<Owner>) -> Result<Option<Bound>> {
        let at = self.bound.iter().position(|b| b.which == which);
        let at = at.ok_or(ENOENT)?;
        let owners = &mut self.bound[at].owners;
        let mine = owners.iter().position(|o| Arc::ptr_eq(o, owner));
        let mine = mine.ok_or(ENOENT)?;
        if owners.len() > 1 {
            let _ = owners.remove(mine);
            return Ok(None);
        }
        self.bound.remove(at).map(Some).map_err(|_| ENOENT)
    }

    /// A ring the owner has.
    pub(super) fn first_of(&self, owner: &Arc<Owner>) -> Option<Which> {
        let owns = |b: &&Bound| b.owners.iter().any(|o| Arc::ptr_eq(o, owner));
        self.bound.iter().find(owns).map(|b| b.which)
    }

    /// All rings, out of the table.
    pub(super) fn take_all(&mut self) -> KVec<Bound> {
        core::mem::take(&mut self.bound)
    }

    /// Remembers a ring that did not stop, and is nobody's, for the listing; without memory for it
    /// the log has to do.
    pub(super) fn stuck(&mut self, mut bound: Bound) {
        bound.owners = KVec::new();
        let _ = self.stuck.push(bound, GFP_KERNEL);
    }

    /// Is there an fd, or a ring that did not stop?
    pub(super) fn in_use(&self) -> bool {
        !self.ports.is_empty() || !self.stuck.is_empty()
    }

    /// Forgets the rings that have stopped since.
    pub(super) fn forget_released(&mut self) {
        self.stuck.retain(|b| b.ring.status().state == state::STUCK);
    }

    /// A ring's numbers and who has it first, for the listing.
    pub(super) fn show(&self, which: Which) -> Option<(Status, Option<Arc<Owner>>)> {
        let is = |b: &&Bound| b.which == which;
        let found = self.bound.iter().find(is);
        let bound = found.or_else(|| self.stuck.iter().find(is))?;
        Some((bound.ring.status(), bound.owners.first().cloned()))
    }

    /// Calls `f` with each ring, those that fds have for themselves included.
    pub(super) fn each(&self, mut f: impl FnMut(Row<'_>)) {
        for bound in [&self.bound, &self.stuck].into_iter().flatten() {
            f(Row {
                which: bound.which,
                status: bound.ring.status(),
                owner: bound.owners.first().map(|o| &**o),
                fds: bound.owners.len(),
            });
        }
        for port in &self.ports {
            if let Some(ring) = port.putback() {
                f(Row {
                    which: Which::HostTx(0),
                    status: ring.status(),
                    owner: Some(&port.owner),
                    fds: 1,
                });
            }
        }
    }

    /// Host TX ring number `at` of all there are: those of the port, in any order, then those that
    /// fds have for themselves.
    pub(super) fn show_host_tx(&self, at: u32) -> Option<(Status, Option<Arc<Owner>>)> {
        let is_host_tx = |b: &&Bound| matches!(b.which, Which::HostTx(_));
        let mut left = at as usize;
        for bound in self.bound.iter().filter(is_host_tx) {
            if left == 0 {
                return Some((bound.ring.status(), bound.owners.first().cloned()));
            }
            left -= 1;
        }
        let mut own = self
            .ports
            .iter()
            .filter_map(|p| Some((p.putback()?, &p.owner)));
        let (ring, owner) = own.nth(left)?;
        Some((ring.status(), Some(owner.clone())))
    }
}
