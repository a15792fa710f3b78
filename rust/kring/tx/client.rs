// SPDX-License-Identifier: GPL-2.0

//! What the driver asks of a TX ring: start, stop, interrupt, farewell.

use kernel::error::Result;
use kernel::prelude::*;
use kernel::sync::atomic::Relaxed;

use super::{Kring, TxRing};
use crate::nic::tx82599;
use crate::os::nic::{HeadCell, NicClient, NicRing};
use crate::ring::advance;
use crate::uapi::ext::{counter, state};

impl NicClient for TxRing {
    const TX: bool = true;

    fn start(&self, nic: NicRing) -> Result {
        let mut hw = self.hw.lock();
        if nic.tx_descs().len() != hw.kring.known.len() {
            pr_err!("TX ring {}: ring size changed under netmap\n", self.queue);
            return Err(ERANGE);
        }
        // Pollers are woken below.
        self.told.store(self.reclaimed.count(), Relaxed);
        hw.reg_idx = nic.reg_idx;
        hw.kring.counters[counter::STARTS] += 1;
        hw.nic = Some(nic);
        drop(hw);
        self.set_state(state::NETMAP);
        self.wakers.wake();
        Ok(())
    }

    fn stop(&self) {
        {
            let mut guard = self.hw.lock();
            let hw = &mut *guard;
            if let Some(nic) = hw.nic.take() {
                self.reclaim(&nic, &mut hw.kring);
                Self::give_up(&nic, &mut hw.kring);
                self.reclaimed.restart();
            }
        }
        self.set_state(state::PARKED);
        self.wakers.wake();
    }

    fn irq(&self, head: Option<u32>) {
        // The vector is shared with RX: only what gives the program room is news. Also room that
        // another thread's sync has found before the interrupt came.
        let Some(head) = head else {
            return;
        };
        let (behind, done) = self.reclaimed.seen_from(head, self.shm.n);
        if behind || done != self.told.load(Relaxed) {
            self.told.store(done, Relaxed);
            self.wakeups.add(1, Relaxed);
            self.wakers.wake();
        }
    }

    fn head_cell(&self) -> Option<&HeadCell> {
        Some(&self.head)
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

impl TxRing {
    /// What the NIC has not reported by now nobody will hear of: the slots go back to the program,
    /// and the packets count as dropped.
    fn give_up(nic: &NicRing, kring: &mut Kring) {
        let (descs, at) = (nic.tx_descs(), &kring.at);
        let lost = (0..at.in_flight())
            .filter_map(|i| descs.get(advance(at.next_clean, i, at.n) as usize))
            .filter(|desc| tx82599::is_last(desc))
            .count();
        kring.counters[counter::DROPS] += lost as u64;
        kring.counters[counter::DROP_LOST] += lost as u64;
        kring.at.restart(&mut kring.skipped);
    }
}
