// SPDX-License-Identifier: GPL-2.0
//! The card: all rooms together, and what each register does to them.
//!
//! Nothing here knows of threads, sockets or time: the caller holds the lock and says what time
//! it is.

use std::fs::File;
use std::io::Write;

use crate::bench::Bench;
use crate::dma::Dma;
use crate::eeprom::Eeprom;
use crate::faults::PortFault;
use crate::irq::{Irq, CAUSE_LSC, VECTORS};
use crate::pci::Pci;
use crate::phy::Phy;
use crate::regs::{at, Kind, Regs, RxReg, TxReg};
use crate::rx::Rx;
use crate::stats::{Counters, StatRegs, QUEUES};
use crate::trace::Trace;
use crate::tx::Tx;
use crate::wire::Outbox;

const CTRL_GIO_DIS: u32 = 1 << 2;
const CTRL_LNK_RST: u32 = 1 << 3;
const CTRL_RST: u32 = 1 << 26;
const STATUS_GIO: u32 = 1 << 19;
const SECRX_DIS: u32 = 1 << 1;
const SECRX_RDY: u32 = 1;
const SECRX_OFF: u32 = 1 << 1;
const AUTOC_AN_RESTART: u32 = 1 << 12;
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
            self.eeprom = Eeprom::new(self.mac);
        }
        self.load_mac();
    }

    fn load_mac(&mut self) {
        let m = self.mac;
        let low = u32::from_le_bytes([m[0], m[1], m[2], m[3]]);
        let high = u32::from(m[4]) | (u32::from(m[5]) << 8) | RAH_AV;
        self.rx.filter.set_ral(0, low);
        self.rx.filter.set_rah(0, high);
    }

    /// Reads a register.
    pub fn read(&mut self, offset: u32) -> u32 {
        let v = if self.fault.gone {
            !0
        } else {
            self.read_value(offset)
        };
        self.trace.access(&self.regs, 'R', offset, v);
        v
    }

    fn read_value(&mut self, offset: u32) -> u32 {
        let stored = self.regs.get(offset);
        let Some((reg, i)) = self.regs.find(offset) else {
            return stored;
        };
        match reg.kind {
            Kind::Status => match self.regs.get(at::CTRL) & CTRL_GIO_DIS {
                0 => STATUS_GIO,
                _ => 0,
            },
            Kind::Esdp => Phy::esdp(stored),
            Kind::I2c => self.phy.read_i2cctl(),
            Kind::Eec => self.eeprom.read_eec(),
            Kind::Eerd => self.eeprom.read_eerd(),
            Kind::Swsm => {
                // The semaphore is taken by being read.
                self.regs.set(offset, stored | 1);
                stored
            }
            Kind::Links => self.phy.links(),
            Kind::SecRxStat => {
                let off = self.regs.get(at::SECRXCTRL) & SECRX_DIS != 0;
                SECRX_OFF | if off { SECRX_RDY } else { 0 }
            }
            Kind::Eicr => self.irq.take_eicr(),
            Kind::Eics => self.irq.eicr(),
            Kind::Eims | Kind::Eimc => self.irq.eims(),
            Kind::EimsEx | Kind::EimcEx => self.irq.eims_ex(i),
            Kind::RxQueue(r) => self.read_rx(i, r),
            Kind::TxQueue(r) => self.read_tx(i, r),
            Kind::Ral => self.rx.filter.ral(i),
            Kind::Rah => self.rx.filter.rah(i),
            Kind::FdirFree => self.rx.fdir.free(),
            Kind::Stat(s) => self
                .stat_regs
                .read(offset, s, i, &self.counters, &self.regs),
            Kind::BenchDone => self.bench.done(),
            _ => stored,
        }
    }

    fn read_rx(&self, q: usize, r: RxReg) -> u32 {
        let ring = &self.rx.rings[q];
        match r {
            RxReg::BaseLow => ring.base() as u32,
            RxReg::BaseHigh => (ring.base() >> 32) as u32,
            RxReg::Length => ring.len_bytes(),
            RxReg::Head => ring.head(),
            RxReg::Tail => ring.tail(),
            RxReg::Control => ring.rxdctl(),
            RxReg::Split => ring.srrctl(),
        }
    }

    fn read_tx(&self, q: usize, r: TxReg) -> u32 {
        let queue = &self.tx.queues[q];
        match r {
            TxReg::BaseLow => queue.base() as u32,
            TxReg::BaseHigh => (queue.base() >> 32) as u32,
            TxReg::Length => queue.len_bytes(),
            TxReg::Head => queue.head(),
            TxReg::Tail => queue.tail(),
            TxReg::Control => queue.txdctl(),
        }
    }

    /// Writes a register.
    pub fn write(&mut self, offset: u32, v: u32, now: u64) {
        self.trace.access(&self.regs, 'W', offset, v);
        if self.fault.gone {
            return;
        }
        let Some((reg, i)) = self.regs.find(offset) else {
            self.regs.set(offset, v);
            return;
        };
        match reg.kind {
            Kind::Const | Kind::Status | Kind::Links | Kind::SecRxStat => {}
            Kind::Stat(_) | Kind::FdirFree | Kind::BenchDone => {}
            Kind::Ctrl => self.write_ctrl(v),
            Kind::I2c => self.phy.write_i2cctl(v),
            Kind::Eec => self.eeprom.write_eec(v),
            Kind::Eerd => self.eeprom.write_eerd(v),
            Kind::Msca => self.regs.set(offset, Phy::msca(v)),
            Kind::Autoc => {
                self.regs.set(offset, v & !AUTOC_AN_RESTART);
                if v & AUTOC_AN_RESTART != 0 && self.phy.link {
                    self.irq.raise_other(CAUSE_LSC);
                }
            }
            Kind::RxQueue(r) => self.write_rx(i, r, v),
            Kind::TxQueue(r) => self.write_tx(i, r, v),
            Kind::Mta => self.rx.filter.set_mta(i, v),
            Kind::Vfta => self.rx.filter.set_vfta(i, v),
            Kind::Ral => self.rx.filter.set_ral(i, v),
            Kind::Rah => self.rx.filter.set_rah(i, v),
            Kind::Rssrk => self.rx.rss.set_key(i, v),
            Kind::Reta => self.rx.rss.set_reta(i, v),
            Kind::FdirCtrl => {
                let v = self.rx.fdir.set_ctrl(v);
                self.regs.set(offset, v);
                return;
            }
            Kind::FdirCmd => {
                let v = self.rx.fdir.command(v, &self.regs);
                self.regs.set(offset, v);
                return;
            }
            Kind::BenchGo => {
                let n = v;
                self.bench
                    .go(n, &mut self.rx, &self.dma, &self.fault, &mut self.counters);
                self.after_rx(now);
                return;
            }
            _ => self.write_irq(reg.kind, i, v),
        }
        match reg.kind {
            Kind::Ctrl | Kind::Msca | Kind::Autoc | Kind::Const => {}
            _ => self.regs.set(offset, v),
        }
        match reg.kind {
            Kind::RxSetup => self.rx.reload(&self.regs),
            Kind::FdirMask => self.rx.fdir.set_masks(&self.regs),
            _ if offset == at::DMATXCTL => self.tx_switch(),
            _ => {}
        }
        self.fire(now);
    }

    fn write_irq(&mut self, kind: Kind, i: usize, v: u32) {
        match kind {
            Kind::Eicr => self.irq.clear_eicr(v),
            Kind::Eics => self.irq.set(v),
            Kind::Eims => self.irq.unmask(v),
            Kind::Eimc => self.irq.mask(v),
            Kind::EicsEx => self.irq.set_ex(i, v),
            Kind::EimsEx => self.irq.unmask_ex(i, v),
            Kind::EimcEx => self.irq.mask_ex(i, v),
            Kind::EiamEx => self.irq.set_eiam_ex(i, v),
            Kind::Gpie => self.irq.set_gpie(v),
            Kind::Eitr => self.irq.set_eitr(i, v),
            Kind::Ivar => self.irq.set_ivar(i, v),
            Kind::IvarMisc => self.irq.set_ivar_misc(v),
            _ => {}
        }
    }

    fn write_ctrl(&mut self, v: u32) {
        if v & (CTRL_RST | CTRL_LNK_RST) != 0 {
            self.reset(false);
        }
        self.regs.set(at::CTRL, v & !(CTRL_RST | CTRL_LNK_RST));
    }

    fn write_rx(&mut self, q: usize, r: RxReg, v: u32) {
        let ring = &mut self.rx.rings[q];
        match r {
            RxReg::BaseLow => ring.set_base_low(v),
            RxReg::BaseHigh => ring.set_base_high(v),
            RxReg::Length => ring.set_len(v),
            RxReg::Head => ring.set_head(v),
            RxReg::Tail => ring.set_tail(v),
            RxReg::Control => ring.set_rxdctl(v),
            RxReg::Split => ring.set_srrctl(v),
        }
    }

    fn write_tx(&mut self, q: usize, r: TxReg, v: u32) {
        let queue = &mut self.tx.queues[q];
        match r {
            TxReg::BaseLow => queue.set_base_low(v),
            TxReg::BaseHigh => queue.set_base_high(v),
            TxReg::Length => queue.set_len(v),
            TxReg::Head => queue.set_head(v),
            TxReg::Tail => queue.set_tail(v),
            TxReg::Control => queue.set_txdctl(v),
        }
        self.tx.look(q);
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
mod tests {
    use super::*;
    use crate::wire::frame::udp4;

    const MAC: [u8; 6] = [0xa0, 0x36, 0x9f, 0x82, 0x59, 0x90];

    #[test]
    fn reset_self_clears_and_reloads_the_address() {
        let mut c = Card::new(MAC, false);
        c.write(0x5400, 0, 0);
        c.write(0x0000, CTRL_RST | CTRL_GIO_DIS, 0);
        assert_eq!(c.read(0), CTRL_GIO_DIS);
        assert_eq!(c.read(8), 0);
        assert_eq!(c.read(0x5400), 0x829f_36a0);
        assert_eq!(c.read(0x5404), 0x8000_9059);
        c.write(0, 0, 0);
        assert_eq!(c.read(8), STATUS_GIO);
        assert_eq!(c.counters.resets, 1);
    }

    #[test]
    fn the_software_semaphore_is_taken_by_reading() {
        let mut c = Card::new(MAC, false);
        assert_eq!(c.read(0x10140), 0);
        assert_eq!(c.read(0x10140), 1);
        c.write(0x10140, 0, 0);
        assert_eq!(c.read(0x10140) & 1, 0);
    }

    #[test]
    fn the_receive_security_block_stops_on_request() {
        let mut c = Card::new(MAC, false);
        assert_eq!(c.read(0x8d04) & SECRX_RDY, 0);
        c.write(at::SECRXCTRL, SECRX_DIS, 0);
        assert_eq!(c.read(0x8d04) & SECRX_RDY, SECRX_RDY);
    }

    #[test]
    fn both_places_of_a_queue_register_are_one() {
        let mut c = Card::new(MAC, false);
        c.write(0x2100 + 4 * 3, 0x1234, 0);
        assert_eq!(c.read(0x1014 + 0x40 * 3), 0x1234);
        c.write(0xd018 + 0x40 * 6, 17, 0);
        assert_eq!(c.rx.rings[70].tail(), 17);
        c.write(0x1008, 0xffff_ffff, 0);
        assert_eq!(c.read(0x1008), 0xf_ff80);
    }

    #[test]
    fn all_registers_can_be_read_and_written() {
        let mut c = Card::new(MAC, true);
        for pass in [0u32, !0, 0x5a5a_a5a5] {
            for at in (0..0x80000).step_by(4) {
                c.write(at, pass, 0);
                c.read(at);
            }
            c.receive(&udp4([1, 1, 1, 1], [2, 2, 2, 2], 1, 2, &[0; 64]));
            c.transmit(16, &mut Outbox::default(), 0);
        }
    }

    #[test]
    fn a_removed_card_reads_all_ones() {
        let mut c = Card::new(MAC, false);
        c.fault.gone = true;
        assert_eq!(c.read(8), !0);
    }

    #[test]
    fn the_link_stops_reception_and_transmission() {
        let mut c = Card::new(MAC, false);
        c.write(at::DMATXCTL, 1, 0);
        c.set_link(false, 0);
        assert_eq!(c.read(0x42a4), 0);
        c.receive(&[0; 60]);
        assert_eq!(c.counters.rx_off, 1);
        assert_eq!(c.irq.eicr(), CAUSE_LSC);
        c.set_link(true, 0);
        assert_eq!(c.read(0x42a4), 0x7000_0000);
        assert_eq!(c.counters.link_changes, 2);
    }
}
