// SPDX-License-Identifier: GPL-2.0

//! Sync of a TX ring: filled slots to the NIC, those that are sent back to the program.

use super::{Aside, Kring, TxRing};
use crate::kring::Sync;
use crate::nic::tx82599::{self, Export};
use crate::os::nic::NicRing;
use crate::os::trace;
use crate::ring::{self, advance, distance, Pointers};
use crate::uapi::{ext::counter, NR_TIMESTAMP};

/// A report is asked for at least every this part of the ring, so that a program that waits for room
/// is woken while the NIC still has something to send.
const REPORTS: u32 = 4;

impl TxRing {
    /// Sends what the program filled, and gives it back the slots of what is sent.
    pub(crate) fn sync(&self) -> Sync {
        let mut guard = self.hw.lock();
        let hw = &mut *guard;
        if hw.gone {
            return Sync::Gone;
        }
        let Some(nic) = hw.nic.as_mut() else {
            return Sync::Parked;
        };
        let outcome = self.exchange(nic, &mut hw.kring, self.shm.pointers());
        if outcome == Sync::Reset {
            self.shm.reset(hw.kring.at.hwcur, hw.kring.at.hwtail);
        }
        let header = self.shm.header();
        if header.flags.get() & NR_TIMESTAMP != 0 {
            self.shm.stamp();
        }
        // The program fills slots after it has seen the tail.
        crate::os::write_barrier();
        header.tail.set(hw.kring.at.hwtail);
        outcome
    }

    /// The same for a program whose pointers are elsewhere than in the ring, which is left alone.
    /// Returns what to publish there too: hwcur and hwtail.
    pub(crate) fn sync_at(&self, p: Pointers) -> (Sync, u32, u32) {
        let mut guard = self.hw.lock();
        let hw = &mut *guard;
        let outcome = match hw.nic.as_mut() {
            _ if hw.gone => Sync::Gone,
            None => Sync::Parked,
            Some(nic) => self.exchange(nic, &mut hw.kring, p),
        };
        (outcome, hw.kring.at.hwcur, hw.kring.at.hwtail)
    }

    /// What both have in common. With impossible pointers nothing is sent, and what was not yet in a
    /// descriptor is the program's again.
    #[inline(never)]
    fn exchange(&self, nic: &mut NicRing, kring: &mut Kring, p: Pointers) -> Sync {
        kring.counters[counter::SYNCS] += 1;
        let before = kring.counters[counter::PACKETS];
        let at = &mut kring.at;
        let mut outcome = Sync::Done;
        let mut no_link = false;
        match ring::check(p, at.rhead, at.hwtail, at.n) {
            Ok(Pointers { head, .. }) => {
                at.rhead = head;
                if at.filled() != 0 {
                    // Without a link nothing is sent, and the slots wait.
                    no_link = !nic.carrier();
                    if !no_link {
                        self.send(nic, kring);
                    }
                }
            }
            Err(ring::Impossible) => {
                kring.counters[counter::RESETS] += 1;
                trace::reinit(&self.name, p, at.hwcur, at.hwtail);
                at.rhead = at.hwcur;
                // What comes next begins a packet.
                kring.dropping = false;
                outcome = Sync::Reset;
            }
        }
        if self.reclaim(nic, kring) {
            self.wakers.wake_others();
        }
        if no_link {
            // Nothing will be sent, so nothing reported: let any interrupt make the poller look.
            self.reclaimed.forget();
        }
        let sent = kring.counters[counter::PACKETS].wrapping_sub(before) as u32;
        trace::sync(&self.name, p, kring.at.hwtail, sent);
        outcome
    }

    /// What the program filled, to the NIC; the beginning of a packet stays until its end is there.
    #[inline(always)]
    fn send(&self, nic: &mut NicRing, kring: &mut Kring) {
        let from = kring.at.next_use;
        let mut total = Export::default();
        loop {
            self.send_plain(nic, kring, &mut total);
            if kring.at.filled() == 0 || !self.send_others(nic, kring, &mut total) {
                break;
            }
        }
        let written = distance(from, kring.at.next_use, kring.at.n);
        if written == 0 {
            return;
        }
        self.ask_for_reports(nic, from, written);
        nic.set_tail(kring.at.next_use);
        kring.counters[counter::PACKETS] += u64::from(total.packets);
        kring.counters[counter::BYTES] += total.bytes;
        kring.counters[counter::FRAGS] += u64::from(total.frags);
        self.nic.account_tx(nic, total.packets, total.bytes as u32);
    }

    /// Packets that need no thought, until another comes.
    #[inline(always)]
    fn send_plain(&self, nic: &NicRing, kring: &mut Kring, total: &mut Export) {
        let (mut walk, Aside { needs_sync, .. }) = self.walk(nic, kring);
        walk.plain(total, |known| {
            if *needs_sync {
                known.iter().for_each(|k| self.sync_for_device(k.bus));
            }
        });
    }

    /// Asks for a report every part of the ring and at the end of the `written` descriptors from
    /// `from`, the last of which ends a packet.
    #[inline(always)]
    fn ask_for_reports(&self, nic: &NicRing, from: u32, written: u32) {
        let n = self.shm.n;
        let descs = nic.tx_descs();
        let step = (n / REPORTS).max(1);
        let mut count = step.min(written);
        while let Some(desc) = descs.get(advance(from, count.wrapping_sub(1), n) as usize) {
            let reported = tx82599::report(desc);
            if count >= written {
                break;
            }
            count = count
                .wrapping_add(if reported { step } else { 1 })
                .min(written);
        }
    }

    /// Slots the NIC is done with, back to the program; says whether there were any.
    #[inline(always)]
    pub(super) fn reclaim(&self, nic: &NicRing, kring: &mut Kring) -> bool {
        let before = kring.at.next_clean;
        let slots = kring.at.reclaim(nic.head(), &mut kring.skipped);
        let now = kring.at.next_clean;
        self.reclaimed
            .advance(now, distance(before, now, kring.at.n));
        slots != 0
    }
}
