// SPDX-License-Identifier: GPL-2.0

//! Sync of an RX ring: released slots back to the NIC, received frames to the program.

use super::{Kring, RxRing};
use crate::kring::Sync;
use crate::nic::rx82599::{self, Armed, Import};
use crate::os::nic::NicRing;
use crate::os::trace;
use crate::ring::{self, advance, distance, prev, Pointers};
use crate::uapi::ext::counter;

/// No frame is longer: the hardware receives 15.5 KiB (82599 data sheet 1.2).
const MAX_FRAME: u32 = 16 << 10;

impl RxRing {
    /// Takes back the slots the program released, and hands it what has arrived, at the time
    /// the ring says: that is the frames' time for a program that asks for no better.
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
            self.shm.reset(hw.kring.hwcur, hw.kring.hwtail);
        }
        self.shm.stamp();
        // The program reads slots and buffers after it has seen the tail: x86 keeps stores in
        // order and the volatile accesses keep the compiler from reordering them.
        crate::os::write_barrier();
        self.shm.header().tail.set(hw.kring.hwtail);
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
        (outcome, hw.kring.hwcur, hw.kring.hwtail)
    }

    /// hwcur and hwtail as they are.
    pub(crate) fn indices(&self) -> (u32, u32) {
        let hw = self.hw.lock();
        (hw.kring.hwcur, hw.kring.hwtail)
    }

    /// What both have in common. With impossible pointers nothing is taken back.
    #[inline(never)]
    fn exchange(&self, nic: &mut NicRing, kring: &mut Kring, p: Pointers) -> Sync {
        let n = self.shm.n;
        kring.counters[counter::SYNCS] += 1;
        let (head, outcome) = match ring::check(p, kring.hwcur, kring.hwtail, n) {
            Ok(p) => (p.head, Sync::Done),
            Err(ring::Impossible) => {
                kring.counters[counter::RESETS] += 1;
                trace::reinit(&self.name, p, kring.hwcur, kring.hwtail);
                (kring.hwcur, Sync::Reset)
            }
        };
        let released = distance(kring.hwcur, head, n);
        let starved = released != 0 && self.take_back(nic, kring, released);
        let packets = self.hand_over(nic, kring);
        trace::sync(&self.name, p, kring.hwtail, packets);
        match outcome {
            Sync::Done if starved => Sync::Starved,
            outcome => outcome,
        }
    }

    /// The slots released, back to the NIC. One descriptor always stays behind the tail. True: one
    /// has no buffer, and there is none.
    #[inline(always)]
    fn take_back(&self, nic: &mut NicRing, kring: &mut Kring, released: u32) -> bool {
        let n = self.shm.n;
        let done = self.release(nic, kring, released);
        if done != 0 {
            self.arm_spare(nic, kring);
            kring.hwcur = advance(kring.hwcur, done, n);
            kring.next_use = advance(kring.next_use, done, n);
            nic.set_tail(prev(kring.next_use, n));
        }
        if done == released {
            return false;
        }
        if !kring.starved {
            // A buffer's ring is busy. What was not taken stays released; nothing may ever
            // interrupt for this ring, so the poller must look again.
            self.wakers.wake();
        }
        kring.starved
    }

    /// Arms the descriptor at the tail once more, which the next tail makes the NIC's. It has been
    /// nobody's since: what a card wrote there against the rules would be taken for a frame, one
    /// lap later and at each lap.
    #[inline(always)]
    fn arm_spare(&self, nic: &NicRing, kring: &mut Kring) {
        let n = self.shm.n;
        let slot = prev(kring.hwcur, n) as usize;
        if let (Some(desc), Some(slot), Some(armed)) = (
            nic.descs().get(prev(kring.next_use, n) as usize),
            self.shm.slots().get(slot),
            kring.armed.get(slot),
        ) {
            let bad = &mut kring.counters[counter::BAD_SLOTS];
            let offset = (self.options.offsets.as_ref()).map_or(0, |o| o.wanted(slot, bad));
            rx82599::arm(desc, armed, offset);
        }
    }

    /// What has arrived, to the program; only complete frames. Returns how many.
    #[inline(always)]
    fn hand_over(&self, nic: &NicRing, kring: &mut Kring) -> u32 {
        let n = self.shm.n;
        let held = distance(kring.hwcur, kring.hwtail, n);
        let room = n.wrapping_sub(1).wrapping_sub(held);
        let slots = self.shm.slots();
        let descs = nic.descs();
        let armed = &kring.armed;
        let buf_size = self.shm.buf_size();
        let mut got = Import::default();
        ring::runs(kring.next_clean, kring.hwtail, n, room, |d, s, len| {
            let to = s + len;
            match (descs.get(d..d + len), slots.get(s..to), armed.get(s..to)) {
                (Some(d), Some(s), Some(a)) => rx82599::import(d, s, a, self.buf_len, &mut got),
                _ => 0,
            }
        });
        if got.complete == 0 {
            if got.slots.wrapping_mul(self.buf_len) > MAX_FRAME + self.buf_len {
                self.drop_endless(kring, got.slots);
            }
            return 0;
        }
        if kring.needs_sync {
            for i in 0..got.complete {
                let at = advance(kring.hwtail, i, n) as usize;
                if let Some(armed) = kring.armed.get(at) {
                    self.dev.sync_for_cpu(armed.bus, buf_size);
                }
            }
        }
        if self.options.rx_meta {
            self.describe(nic, kring, got.complete);
        }
        kring.next_clean = advance(kring.next_clean, got.complete, n);
        self.next.advance(kring.next_clean, got.complete);
        kring.hwtail = advance(kring.hwtail, got.complete, n);
        kring.counters[counter::PACKETS] += u64::from(got.packets);
        kring.counters[counter::BYTES] += got.bytes;
        kring.counters[counter::FRAGS] += u64::from(got.complete - got.packets);
        self.nic.account(nic, got.packets, got.bytes as u32);
        got.packets
    }

    /// The NIC writes a frame that does not end, which is longer than any by now: without this it
    /// would have all descriptors sooner or later, and none ever come back. Its slots go to the
    /// program as empty ones.
    #[cold]
    fn drop_endless(&self, kring: &mut Kring, count: u32) {
        let n = self.shm.n;
        for at in (0..count).map(|i| advance(kring.hwtail, i, n) as usize) {
            if let Some(slot) = self.shm.slots().get(at) {
                slot.set_len_and_flags(0, 0);
            }
            if let (true, Some(meta)) = (self.options.rx_meta, self.shm.rx_meta().get(at)) {
                meta.flags.set(0);
            }
        }
        kring.next_clean = advance(kring.next_clean, count, n);
        self.next.advance(kring.next_clean, count);
        kring.hwtail = advance(kring.hwtail, count, n);
        kring.counters[counter::DROPS] += 1;
        kring.counters[counter::DROP_LOST] += 1;
    }

    /// Arms descriptors for the `count` slots from `hwcur`; returns how many were.
    #[inline(always)]
    fn release(&self, nic: &NicRing, kring: &mut Kring, count: u32) -> u32 {
        let n = self.shm.n;
        let slots = self.shm.slots();
        let descs = nic.descs();
        ring::runs(kring.next_use, kring.hwcur, n, count, |d, s, len| {
            let mut done = 0;
            while done < len {
                let (from, to) = (s + done, s + len);
                let (Some(ds), Some(ss), Some(aa)) = (
                    descs.get(d + done..d + len),
                    slots.get(from..to),
                    kring.armed.get(from..to),
                ) else {
                    break;
                };
                if kring.needs_sync {
                    // A slot whose buffer another ring has taken over has nothing to sync.
                    let armed = aa.iter().filter(|a| **a != Armed::NONE);
                    armed.for_each(|a| self.sync_for_device(a.bus));
                }
                let bad = &mut kring.counters[counter::BAD_SLOTS];
                done += match &self.options.offsets {
                    None => rx82599::refill(ds, ss, aa, |_| 0),
                    Some(o) => rx82599::refill(ds, ss, aa, |s| o.wanted(s, bad)),
                };
                if done == len {
                    break;
                }
                // A slot with another buffer than it was armed with, and those like it behind it.
                let ds = descs.get(d + done..d + len).unwrap_or(&[]);
                match self.rearm(s + done, ds, kring) {
                    0 => break,
                    n => done += n,
                }
            }
            done
        })
    }
}
