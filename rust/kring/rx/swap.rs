// SPDX-License-Identifier: GPL-2.0

//! Slots that name another buffer than they were armed with.
//!
//! Programs swap buffers between slots, rings and ports to pass packets on without copying. Which
//! buffer a slot may be armed with is decided by kernel-private state alone (see
//! [`crate::mem::owner`]); a wrong index costs the program that slot's wish, nothing else.

use super::{Kring, RxRing};
use crate::mem::owner::{Claim, Owner};
use crate::mem::region::Inner;
use crate::nic::rx82599::{self, Armed};
use crate::ring::distance;
use crate::shm::RxDesc;
use crate::uapi::ext::counter;

impl RxRing {
    /// Arms released slots from `first` on, each with the buffer its program has put there, or with
    /// one of its own if it cannot have that; up to a slot that names the buffer it was armed with,
    /// or that cannot be armed now. `descs` are those beside the slots. Returns how many were.
    ///
    /// Each slot is read once and its descriptor written from that, so a program that goes on
    /// writing cannot hold the kernel up.
    #[cold]
    pub(super) fn rearm(&self, first: usize, descs: &[RxDesc], kring: &mut Kring) -> usize {
        kring.starved = false;
        let mut mem = self.region.lock();
        let slots = self.shm.slots().get(first..).unwrap_or(&[]);
        for (i, (slot, desc)) in slots.iter().zip(descs).enumerate() {
            let at = first + i;
            let Some(before) = kring.armed.get(at).map(Armed::buf) else {
                return i;
            };
            let wanted = slot.buf_idx.get();
            // The first has just been seen to differ, whatever it says now.
            if i != 0 && before == Some(wanted) {
                return i;
            }
            let buf = match self.claim(&mem, at, wanted, kring) {
                Some(_) if before == Some(wanted) => wanted,
                Some(true) => {
                    kring.counters[counter::SWAPS] += 1;
                    if let Some(before) = before {
                        mem.set_owner(before, Owner::Loose);
                    }
                    wanted
                }
                Some(false) => {
                    kring.counters[counter::BAD_SLOTS] += 1;
                    let Ok(own) = before.map_or_else(|| mem.alloc_buf(self.owner(at)), Ok) else {
                        kring.starved = true;
                        return i;
                    };
                    slot.buf_idx.set(own);
                    own
                }
                None => return i,
            };
            mem.set_owner(buf, self.owner(at));
            let (Some((bus, sync)), Some(place)) =
                (mem.bus(&self.dev, buf), kring.armed.get_mut(at))
            else {
                return i;
            };
            kring.needs_sync |= sync;
            *place = Armed::new(buf, bus);
            if sync {
                self.sync_for_device(bus);
            }
            let bad = &mut kring.counters[counter::BAD_SLOTS];
            let offset = (self.options.offsets.as_ref()).map_or(0, |o| o.wanted(slot, bad));
            rx82599::arm(desc, place, offset);
        }
        slots.len().min(descs.len())
    }

    /// May slot `slot` be armed with `wanted`? What had it so far has lost it then. `None`: its ring
    /// is being synced, the slot waits for the next sync.
    fn claim(&self, mem: &Inner, slot: usize, wanted: u32, kring: &mut Kring) -> Option<bool> {
        match mem.owner(wanted).map(Owner::claim) {
            Some(Claim::Now) => Some(true),
            Some(Claim::From { ring, slot: other }) if usize::from(ring) == self.shm.object => {
                // Ours: the program must hold that slot, beyond this one.
                let n = self.shm.n;
                let ahead = distance(slot as u32, u32::from(other), n);
                let held = ahead != 0 && ahead < distance(slot as u32, kring.hwtail, n);
                Some(held && kring.yield_from(usize::from(other), wanted))
            }
            Some(Claim::From { ring, slot: other }) => match mem.ring(ring) {
                // Being made, or retired and not yet dropped: it still frees its buffers.
                None => Some(false),
                Some(owner) => owner.yield_buffer(other, wanted),
            },
            Some(Claim::Refused) | None => Some(false),
        }
    }

    /// Lets another ring of the region have the buffer of a slot, if a program holds the slot.
    /// `None`: the ring is busy. The caller has the region's lock, hence only tries for this one.
    pub(in crate::kring) fn yield_buffer(&self, slot: u16, buf: u32) -> Option<bool> {
        let mut hw = self.hw.try_lock()?;
        let n = self.shm.n;
        let kring = &mut hw.kring;
        let held = distance(kring.hwcur, kring.hwtail, n);
        let user = distance(kring.hwcur, u32::from(slot), n) < held;
        Some(user && kring.yield_from(usize::from(slot), buf))
    }
}

impl Kring {
    /// Forgets that `slot` was armed with `buf`.
    fn yield_from(&mut self, slot: usize, buf: u32) -> bool {
        match self.armed.get_mut(slot) {
            Some(place) if place.buf() == Some(buf) => {
                *place = Armed::NONE;
                true
            }
            _ => false,
        }
    }
}
