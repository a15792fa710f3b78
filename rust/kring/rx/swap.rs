// SPDX-License-Identifier: GPL-2.0

//! Slots that name another buffer than they were armed with.
//!
//! Programs swap buffers between slots, rings and ports to pass packets on without copying. Which
//! buffer a slot may be armed with is decided by kernel-private state alone (see
//! [`crate::mem::owner`]); a wrong index costs the program that slot's wish, nothing else.

use kernel::prelude::*;

use super::RxRing;
use crate::mem::owner::{Claim, Owner};
use crate::nic::rx82599::Armed;
use crate::ring::distance;
use crate::uapi::ext::counter;

impl RxRing {
    /// Arms a released slot with the buffer its program has put there, or with one of its own if it
    /// cannot have that. False: the slot cannot be armed now.
    #[cold]
    pub(super) fn rearm(
        &self,
        slot: usize,
        hwtail: u32,
        armed: &mut KVVec<Armed>,
        counters: &mut [u64; counter::MAX],
    ) -> bool {
        let n = self.shm.n;
        let Some(shared) = self.shm.slots().get(slot) else {
            return false;
        };
        let wanted = shared.buf_idx.get();
        let mut mem = self.region.lock();
        let claimed = match mem.owner(wanted).map(Owner::claim) {
            Some(Claim::Now) => true,
            Some(Claim::From { ring, slot: other }) if usize::from(ring) == self.shm.object => {
                // Ours: the program must hold that slot, beyond this one.
                let ahead = distance(slot as u32, u32::from(other), n);
                let mine = ahead != 0 && ahead < distance(slot as u32, hwtail, n);
                mine && Self::yield_from(armed, usize::from(other), wanted)
            }
            Some(Claim::From { ring, slot: other }) => match mem.ring(ring) {
                None => true,
                Some(owner) => match owner.yield_buffer(other, wanted) {
                    Some(yielded) => yielded,
                    // Its ring is being synced: the slot waits for the next sync.
                    None => return false,
                },
            },
            Some(Claim::Refused) | None => false,
        };
        let before = armed.get(slot).and_then(Armed::buf);
        let buf = if claimed {
            counters[counter::SWAPS] += 1;
            if let Some(before) = before {
                mem.set_owner(before, Owner::Loose);
            }
            wanted
        } else {
            counters[counter::BAD_SLOTS] += 1;
            let own = before.map_or_else(|| mem.alloc_buf(self.owner(slot)), Ok);
            let Ok(buf) = own else {
                return false;
            };
            shared.buf_idx.set(buf);
            buf
        };
        mem.set_owner(buf, self.owner(slot));
        match (mem.bus(&self.dev, buf), armed.get_mut(slot)) {
            (Some((bus, _)), Some(place)) => {
                *place = Armed::new(buf, bus);
                true
            }
            _ => false,
        }
    }

    /// Forgets that `slot` was armed with `buf`.
    fn yield_from(armed: &mut KVVec<Armed>, slot: usize, buf: u32) -> bool {
        match armed.get_mut(slot) {
            Some(place) if place.buf() == Some(buf) => {
                *place = Armed::NONE;
                true
            }
            _ => false,
        }
    }

    /// Lets another ring of the region have the buffer of a slot, if a program holds the slot.
    /// `None`: the ring is busy. The caller has the region's lock, hence only tries for this one.
    fn yield_buffer(&self, slot: u16, buf: u32) -> Option<bool> {
        let mut hw = self.hw.try_lock()?;
        let n = self.shm.n;
        let held = distance(hw.hwcur, hw.hwtail, n);
        let user = distance(hw.hwcur, u32::from(slot), n) < held;
        Some(user && Self::yield_from(&mut hw.armed, usize::from(slot), buf))
    }
}
