// SPDX-License-Identifier: GPL-2.0

//! Packets that need a second look: of several slots, with flags, in other buffers than the slots
//! had, or impossible ones.

use super::packet::Fate;
use super::{Aside, Kring, TxRing};
use crate::mem::region::bufs::Given;
use crate::nic::rx82599::Armed;
use crate::nic::tx82599::Export;
use crate::os::nic::NicRing;
use crate::shm::Slot;
use crate::uapi::ext::counter;

impl TxRing {
    /// Sends or drops packets until one comes that the hot loop can do. False: the rest is the
    /// beginning of a packet.
    #[cold]
    pub(super) fn send_others(&self, nic: &NicRing, kring: &mut Kring, total: &mut Export) -> bool {
        let mem = self.region.lock();
        let Some(given) = mem.given(&self.dev) else {
            return false;
        };
        let (
            mut walk,
            Aside {
                needs_sync,
                counters,
            },
        ) = self.walk(nic, kring);
        while walk.at.filled() != 0 {
            if !*needs_sync {
                let swaps = walk.swapped(total, |buf| match given.bus(buf) {
                    Some((bus, false)) => Some(bus),
                    _ => None,
                });
                counters[counter::SWAPS] += u64::from(swaps);
                if walk.at.filled() == 0 {
                    break;
                }
            }
            let fate = walk.packet(total, |slot, known| {
                let before = *known;
                let bus = self.locate(&given, slot, known, needs_sync);
                counters[counter::SWAPS] += u64::from(before != *known);
                bus
            });
            match fate {
                Fate::Waits => return false,
                Fate::Dropped => {
                    counters[counter::BAD_SLOTS] += 1;
                    counters[counter::DROPS] += 1;
                }
                Fate::Sent | Fate::Rest => {}
            }
            if walk.is_plain() {
                break;
            }
        }
        true
    }

    /// Where the buffer a slot names is, if it may be sent. A slot that names none gets back the one
    /// it had.
    fn locate(
        &self,
        given: &Given<'_>,
        slot: &Slot,
        known: &mut Armed,
        needs_sync: &mut bool,
    ) -> Option<u64> {
        let named = slot.buf_idx.get();
        if known.buf() != Some(named) {
            // Any that was given out, also one that an RX ring has: they are the same user's.
            let Some((bus, sync)) = given.bus(named) else {
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
