// SPDX-License-Identifier: GPL-2.0
//! The card: all rooms together, and what each register does to them.
//!
//! Nothing here knows of threads, sockets or time: the caller holds the lock and says what time
//! it is.

mod access;
mod misbehave;

use std::fs::File;
use std::io::Write;

use crate::bench::Bench;
use crate::dma::Dma;
use crate::eeprom::Eeprom;
use crate::faults::PortFault;
use crate::irq::{Irq, CAUSE_LSC, VECTORS};
use crate::pci::Pci;
use crate::phy::Phy;
use crate::regs::{at, Regs};
use crate::rx::Rx;
use crate::stats::{Counters, StatRegs, QUEUES};
use crate::trace::Trace;
use crate::tx::Tx;
use crate::wire::Outbox;

const DMATXCTL_TE: u32 = 1;
const HLREG0_LPBK: u32 = 1 << 15;
const RAH_AV: u32 = 1 << 31;

/// The vectors' event descriptors.
pub struct Msix {
    fds: Vec<Option<File>>,
}

impl Msix {
    pub fn set(&mut self, v: usize, fd: Option<File>) {
        if let Some(slot) = self.fds.get_mut(v) {
            *slot = fd;
        }
    }

    pub fn clear(&mut self) {
        self.fds.iter_mut().for_each(|f| *f = None);
    }

    fn fire(&self, v: usize) {
        if let Some(Some(fd)) = self.fds.get(v) {
            // It can only fail when the counter is full, and then an interrupt is pending anyway.
            let mut fd: &File = fd;
            let _ = fd.write(&1u64.to_ne_bytes());
        }
    }
}

/// One emulated 82599.
pub struct Card {
    pub mac: [u8; 6],
    pub pci: Pci,
    pub regs: Regs,
    pub irq: Irq,
    pub rx: Rx,
    pub tx: Tx,
    pub phy: Phy,
    pub dma: Dma,
    pub msix: Msix,
    pub counters: Counters,
    pub fault: PortFault,
    pub bench: Bench,
    pub trace: Trace,
    /// A guest is connected.
    pub attached: bool,
    /// When an interrupt waits for its throttle: until when.
    pub irq_due: Option<u64>,
    /// When something is to misbehave next.
    pub pulse_due: Option<u64>,
    /// It did not answer when faults were last switched.
    was_gone: bool,
    eeprom: Eeprom,
    stat_regs: StatRegs,
}

impl Card {
    pub fn new(mac: [u8; 6], bench: bool) -> Self {
        let regs = Regs::new();
        let mut card = Self {
            mac,
            pci: Pci::new(mac),
            irq: Irq::new(),
            rx: Rx::new(&regs),
            tx: Tx::new(),
            phy: Phy::new(),
            dma: Dma::default(),
            msix: Msix {
                fds: (0..VECTORS).map(|_| None).collect(),
            },
            counters: Counters::default(),
            fault: PortFault::default(),
            bench: Bench::new(bench, mac),
            trace: Trace::default(),
            attached: false,
            irq_due: None,
            pulse_due: None,
            was_gone: false,
            eeprom: Eeprom::new(mac),
            stat_regs: StatRegs::default(),
            regs,
        };
        card.load_mac();
        card
    }

    /// A reset: of the MAC by its register, or (`all`) of the whole function.
    pub fn reset(&mut self, all: bool) {
        self.counters.resets += 1;
        self.regs.reset(all);
        self.irq.reset();
        self.rx.reset(&self.regs);
        self.tx.reset();
        self.irq_due = None;
        if all {
            self.pci = Pci::new(self.mac);
            self.master();
            self.eeprom = Eeprom::new(self.mac);
        }
        self.load_mac();
    }

    /// The PCI command register has changed: may the card access memory?
    pub fn master(&mut self) {
        self.dma.off = !self.pci.master();
    }

    fn load_mac(&mut self) {
        let m = self.mac;
        let low = u32::from_le_bytes([m[0], m[1], m[2], m[3]]);
        let high = u32::from(m[4]) | (u32::from(m[5]) << 8) | RAH_AV;
        self.rx.filter.set_ral(0, low);
        self.rx.filter.set_rah(0, high);
    }

    /// Transmission runs while it is switched on and there is a link.
    fn tx_switch(&mut self) {
        let on = self.regs.get(at::DMATXCTL) & DMATXCTL_TE != 0;
        self.tx.set_on(on && self.phy.link);
    }

    /// Plugs the cable in or out.
    pub fn set_link(&mut self, up: bool, now: u64) {
        if self.phy.link != up {
            self.phy.link = up;
            self.counters.link_changes += 1;
            self.tx_switch();
            self.irq.raise_other(CAUSE_LSC);
            self.fire(now);
        }
    }

    /// What time it is, before anything that may take a timestamp.
    pub fn tick(&mut self, now: u64) {
        self.rx.ptp.tick(now);
    }

    /// Takes a frame from the wire.
    pub fn receive(&mut self, f: &[u8]) {
        if self.phy.link {
            self.rx
                .receive(&self.dma, f, &self.fault, &mut self.counters);
        } else {
            self.counters.rx_off += 1;
        }
    }

    /// Takes a frame only if it would go straight into its ring (or nowhere at all).
    pub fn receive_if_ready(&mut self, f: &[u8]) -> bool {
        if !self.phy.link || !self.rx.filter.on {
            return false;
        }
        // Judged twice when it has to wait; the counters must see it once.
        let before = (self.counters.fdir_match, self.counters.fdir_miss);
        match self.rx.judge(f, &self.fault, &mut self.counters) {
            None => true,
            Some(v) if self.rx.ready(f.len(), &v) => {
                self.rx.deliver(&self.dma, f, v, &mut self.counters);
                true
            }
            Some(_) => {
                (self.counters.fdir_match, self.counters.fdir_miss) = before;
                false
            }
        }
    }

    /// After a batch of received frames: raises the causes of the queues that got some.
    pub fn after_rx(&mut self, now: u64) {
        let mut dirty = self.rx.take_dirty();
        while dirty != 0 {
            self.irq.raise_queue(dirty.trailing_zeros() as usize, false);
            dirty &= dirty - 1;
        }
        self.fire(now);
    }

    /// Sends what is to be sent, within a budget.
    pub fn transmit(&mut self, budget: usize, out: &mut Outbox, now: u64) {
        self.tx
            .run(&self.dma, budget, &mut self.counters, |f| out.push(f));
        if self.tx.take_stamp() {
            self.rx.ptp.sent();
        }
        if self.regs.get(at::HLREG0) & HLREG0_LPBK != 0 {
            for f in out.frames() {
                self.rx
                    .receive(&self.dma, f, &self.fault, &mut self.counters);
            }
            out.clear();
            self.after_rx(now);
        }
        let mut dirty = self.tx.take_dirty();
        while dirty != 0 {
            self.irq.raise_queue(dirty.trailing_zeros() as usize, true);
            dirty &= dirty - 1;
        }
        self.fire(now);
    }

    /// Moves frames that waited in the packet buffer.
    pub fn drain(&mut self, budget: usize, now: u64) {
        if self.rx.can_drain() {
            self.rx.drain(&self.dma, budget, &mut self.counters);
            self.after_rx(now);
        }
    }

    /// Fires the interrupts that are due.
    pub fn fire(&mut self, now: u64) {
        self.irq_due = self.irq.run(now, |v| self.msix.fire(v));
    }

    /// Is there something for the data path to do?
    pub fn has_work(&self) -> bool {
        self.tx.has_work() || self.rx.can_drain()
    }

    /// Was the queue ever used, or is it in use?
    pub fn queue_shown(&self, q: usize, tx: bool) -> bool {
        debug_assert!(q < QUEUES);
        if tx {
            self.tx.queues[q].enabled() || self.counters.txq[q] != Default::default()
        } else {
            self.rx.rings[q].enabled() || self.counters.rxq[q] != Default::default()
        }
    }
}

#[cfg(test)]
mod tests;
