// SPDX-License-Identifier: GPL-2.0

//! Where the frames of a host RX ring go: which buffer stands behind a slot.
//!
//! Programs pass filled buffers on by putting others into the slots. Frames are written only into
//! buffers that kernel-private state says are in no descriptor ([`crate::mem::owner`]); the kernel
//! remembers which it wrote to last, so that a slot always has one.

use kernel::error::Result;

use super::{HostRx, State};
use crate::mem::owner::{Claim, Owner};
use crate::mem::region::Inner;
use crate::ring::advance;
use crate::uapi::ext::counter;

impl HostRx {
    /// The slots before `head` are released. One that names no buffer gets back the one it had; what
    /// the others name is looked at when it is needed, as it may be on its way from another ring.
    pub(super) fn take_back(&self, state: &mut State, head: u32) {
        while state.hwcur != head {
            let at = state.hwcur as usize;
            if let (Some(slot), Some(own)) = (self.shm.slots().get(at), state.own.get(at)) {
                let named = slot.buf_idx.get();
                let is_one = |owner: Option<Owner>| owner.is_some_and(|o| o != Owner::Free);
                if named != *own && !is_one(self.region.lock().owner(named)) {
                    state.counters[counter::BAD_SLOTS] += 1;
                    slot.buf_idx.set(*own);
                }
            }
            state.hwcur = advance(state.hwcur, 1, self.shm.n);
        }
    }

    /// Looks where the bytes of the next `count` slots go; returns how many have a place, and whether
    /// the next one has none for want of memory.
    pub(super) fn find_places(&self, state: &mut State, count: u32) -> (u32, bool) {
        let room = self.room();
        let State {
            hwtail,
            own,
            places,
            counters,
            ..
        } = state;
        let bad = counter::BAD_SLOTS;
        let mut mem = self.region.lock();
        let mut starved = false;
        places.clear();
        for i in 0..count {
            let at = advance(*hwtail, i, self.shm.n) as usize;
            let (Some(slot), Some(own)) = (self.shm.slots().get(at), own.get_mut(at)) else {
                break;
            };
            let named = slot.buf_idx.get();
            let buf = match Self::choose(&mut mem, named, *own, counters) {
                Ok(Some(buf)) => buf,
                Ok(None) => break,
                Err(_) => {
                    starved = true;
                    break;
                }
            };
            let offset =
                (self.offsets.as_ref()).map_or(0, |o| o.wanted(slot, &mut counters[bad]) as usize);
            let place = mem.bytes(buf, offset + room as usize);
            let Some(place) = place.and_then(|place| place.skip(offset)) else {
                break;
            };
            if buf != named {
                slot.buf_idx.set(buf);
            }
            *own = buf;
            if places.push_within_capacity(place).is_err() {
                break;
            }
        }
        (places.len() as u32, starved)
    }

    /// The buffer a slot that names `named` is filled with: one in no descriptor. `None`: not now.
    ///
    /// # Errors
    ///
    /// ENOMEM: there is none for a slot that has none of its own.
    fn choose(
        mem: &mut Inner,
        named: u32,
        own: u32,
        counters: &mut [u64; counter::MAX],
    ) -> Result<Option<u32>> {
        let fit = match mem.owner(named).map(Owner::claim) {
            Some(Claim::Now) => true,
            // A program that holds that slot has swapped the buffer here.
            Some(Claim::From { ring, slot }) => match mem.ring(ring) {
                Some(ring) => match ring.yield_buffer(slot, named) {
                    Some(fit) => fit,
                    None => return Ok(None),
                },
                None => false,
            },
            Some(Claim::Refused) | None => false,
        };
        if fit {
            mem.set_owner(named, Owner::Loose);
            counters[counter::SWAPS] += u64::from(named != own);
            return Ok(Some(named));
        }
        counters[counter::BAD_SLOTS] += 1;
        if mem.owner(own) == Some(Owner::Loose) {
            return Ok(Some(own));
        }
        mem.alloc_buf(Owner::Loose).map(Some)
    }
}
