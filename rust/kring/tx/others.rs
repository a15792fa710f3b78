// SPDX-License-Identifier: GPL-2.0

//! Packets that need a second look: of several slots, with flags, in other buffers than the slots
//! had, or impossible ones.

use super::packet::{Fate, Walk};
use super::{Kring, TxRing};
use crate::mem::owner::Owner;
use crate::mem::region::Inner;
use crate::nic::rx82599::Armed;
use crate::nic::tx82599::{self, Export, Place};
use crate::os::nic::NicRing;
use crate::shm::Slot;
use crate::uapi::ext::counter;

impl TxRing {
    /// Sends or drops packets one by one, until one comes that the hot loop can do. False: the rest
    /// is the beginning of a packet.
    #[cold]
    pub(super) fn send_others(&self, nic: &NicRing, kring: &mut Kring, total: &mut Export) -> bool {
        let mem = self.region.lock();
        let slots = self.shm.slots();
        while kring.at.filled() != 0 {
            let Kring {
                at,
                known,
                skipped,
                dropping,
                needs_sync,
                counters,
            } = kring;
            let mut walk = Walk {
                slots,
                descs: nic.tx_descs(),
                at,
                skipped,
                dropping,
            };
            let fate = walk.packet(total, |at, slot| {
                let known = known.get_mut(at)?;
                let before = *known;
                let bus = self.locate(&mem, slot, known, needs_sync)?;
                counters[counter::SWAPS] += u64::from(before != *known);
                let offset = match &self.options.offsets {
                    Some(offsets) => offsets.of(slot.ptr.get())?,
                    None => 0,
                };
                Some(Place {
                    bus: bus.checked_add(u64::from(offset))?,
                    room: (self.shm.buf_size() as u32).checked_sub(offset)?,
                })
            });
            match fate {
                Fate::Waits => return false,
                Fate::Dropped => {
                    counters[counter::BAD_SLOTS] += 1;
                    counters[counter::DROPS] += 1;
                }
                Fate::Sent | Fate::Rest => {}
            }
            let next = at.hwcur as usize;
            if let (Some(slot), Some(known)) = (slots.get(next), known.get(next)) {
                if !*dropping && tx82599::plain(slot, known) {
                    break;
                }
            }
        }
        true
    }

    /// Where the buffer a slot names is, if it may be sent. A slot that names none gets back the one
    /// it had.
    fn locate(
        &self,
        mem: &Inner,
        slot: &Slot,
        known: &mut Armed,
        needs_sync: &mut bool,
    ) -> Option<u64> {
        let named = slot.buf_idx.get();
        if known.buf() != Some(named) {
            // Any that was given out, also one that an RX ring has: they are the same user's.
            let given = mem.owner(named).is_some_and(|o| o != Owner::Free);
            let Some((bus, sync)) = given.then(|| mem.bus(&self.dev, named)).flatten() else {
                if let Some(buf) = known.buf() {
                    slot.buf_idx.set(buf);
                }
                return None;
            };
            *needs_sync |= sync;
            *known = Armed::new(named, bus);
        }
        if *needs_sync {
            self.sync_for_device(known.bus);
        }
        Some(known.bus)
    }
}
