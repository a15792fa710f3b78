// SPDX-License-Identifier: GPL-2.0

//! What the driver asks of a ring: start, stop, interrupt, farewell.

use kernel::error::Result;
use kernel::prelude::*;
use kernel::sync::atomic::Relaxed;

use super::RxRing;
use crate::nic::rx82599::{self, Armed};
use crate::os::nic::{NextCell, NicClient, NicRing};
use crate::ring::{advance, distance, prev};
use crate::uapi::ext::{counter, state};

impl NicClient for RxRing {
    const TX: bool = false;

    fn start(&self, mut nic: NicRing) -> Result {
        let mut guard = self.hw.lock();
        let hw = &mut *guard;
        let kring = &mut hw.kring;
        let n = self.shm.n;
        // Never a tail over descriptors that no buffer is behind.
        if nic.descs().len() != n as usize || kring.armed.len() != n as usize {
            pr_err!("queue {}: ring size changed under netmap\n", self.queue);
            return Err(ERANGE);
        }
        // The NIC begins at descriptor 0, the kernel's part of the ring at hwtail: the program
        // keeps the slots it holds.
        let kernel = n - distance(kring.hwcur, kring.hwtail, n);
        let slots = self.shm.slots();
        let bad = &mut kring.counters[counter::BAD_SLOTS];
        for (i, desc) in nic.descs().iter().enumerate() {
            let slot = advance(kring.hwtail, i as u32, n) as usize;
            match kring.armed.get(slot) {
                Some(armed) if (i as u32) < kernel && *armed != Armed::NONE => {
                    let offset = match (&self.options.offsets, slots.get(slot)) {
                        (Some(offsets), Some(slot)) => offsets.wanted(slot, bad),
                        _ => 0,
                    };
                    if kring.needs_sync {
                        self.sync_for_device(armed.bus);
                    }
                    rx82599::arm(desc, armed, offset);
                }
                _ => rx82599::arm(desc, &Armed::NONE, 0),
            }
        }
        kring.next_clean = 0;
        self.next.set(0);
        kring.next_use = kernel % n;
        hw.reg_idx = nic.reg_idx;
        kring.counters[counter::STARTS] += 1;
        nic.set_tail(prev(kring.next_use, n));
        hw.nic = Some(nic);
        drop(guard);
        self.set_state(state::NETMAP);
        self.wakers.wake();
        Ok(())
    }

    fn stop(&self) {
        self.hw.lock().nic = None;
        self.set_state(state::PARKED);
        self.wakers.wake();
    }

    fn irq(&self, status: Option<u32>) {
        // The vector is shared with TX: only what is received is news. Also what another thread's
        // sync has taken before its interrupt came: those who sleep know nothing of that.
        let taken = self.next.taken();
        if status.is_none_or(rx82599::is_done) || taken != self.told.load(Relaxed) {
            self.told.store(taken, Relaxed);
            self.wakeups.add(1, Relaxed);
            self.wakers.wake();
        }
    }

    fn next_cell(&self) -> Option<&NextCell> {
        Some(&self.next)
    }

    fn gone(&self) {
        {
            let mut hw = self.hw.lock();
            hw.nic = None;
            hw.gone = true;
        }
        self.set_state(state::KERNEL);
        self.wakers.wake();
    }

    fn is_gone(&self) -> bool {
        self.hw.lock().gone
    }

    fn released(&self) {
        self.set_state(state::KERNEL);
        self.retire();
    }
}
