// SPDX-License-Identifier: GPL-2.0
//! What a register access does: the way from the table's behaviours to the rooms.

use super::Card;
use crate::irq::CAUSE_LSC;
use crate::phy::Phy;
use crate::regs::{at, Kind, RxReg, TxReg};

pub(super) const CTRL_GIO_DIS: u32 = 1 << 2;
pub(super) const CTRL_LNK_RST: u32 = 1 << 3;
pub(super) const CTRL_RST: u32 = 1 << 26;
pub(super) const STATUS_GIO: u32 = 1 << 19;
pub(super) const SECRX_DIS: u32 = 1 << 1;
pub(super) const SECRX_RDY: u32 = 1;
pub(super) const SECRX_OFF: u32 = 1 << 1;
pub(super) const AUTOC_AN_RESTART: u32 = 1 << 12;

impl Card {
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
                _ if self.fault.pending => STATUS_GIO,
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
            Kind::Ptp(r) => self.rx.ptp.read(r, i),
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
            TxReg::WriteBackLow => queue.write_back() as u32,
            TxReg::WriteBackHigh => (queue.write_back() >> 32) as u32,
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
            Kind::RxQueue(r) => self.write_rx(i, r, v, now),
            Kind::TxQueue(r) => self.write_tx(i, r, v, now),
            Kind::Ptp(r) => self.rx.ptp.write(r, i, v),
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
        if v & (CTRL_RST | CTRL_LNK_RST) != 0 && !self.fault.noreset {
            self.reset(false);
        }
        self.regs.set(at::CTRL, v & !(CTRL_RST | CTRL_LNK_RST));
    }

    fn write_rx(&mut self, q: usize, r: RxReg, v: u32, now: u64) {
        let ring = &mut self.rx.rings[q];
        match r {
            RxReg::BaseLow => ring.set_base_low(v),
            RxReg::BaseHigh => ring.set_base_high(v),
            RxReg::Length => ring.set_len(v),
            RxReg::Head => ring.set_head(v),
            RxReg::Tail => ring.set_tail(v),
            RxReg::Control => ring.set_rxdctl(v, now),
            RxReg::Split => ring.set_srrctl(v),
        }
    }

    fn write_tx(&mut self, q: usize, r: TxReg, v: u32, now: u64) {
        let queue = &mut self.tx.queues[q];
        match r {
            TxReg::BaseLow => queue.set_base_low(v),
            TxReg::BaseHigh => queue.set_base_high(v),
            TxReg::Length => queue.set_len(v),
            TxReg::Head => queue.set_head(v),
            TxReg::Tail => queue.set_tail(v),
            TxReg::Control => queue.set_txdctl(v, now),
            TxReg::WriteBackLow => queue.set_write_back_low(v),
            TxReg::WriteBackHigh => queue.set_write_back_high(v),
        }
        self.tx.look(q);
    }
}
