// SPDX-License-Identifier: GPL-2.0
//! The register file: one table (see [`table`]) says for every register its name, place, reset
//! value and behaviour. What is not in the table is plain storage, as the many set-up registers
//! that a driver writes and never depends on.

mod table;

use std::fmt::Write;

use crate::pci::BAR0_SIZE;
use crate::ptp::PtpReg;
use crate::stats::Stat;

/// What a register of a receive queue is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RxReg {
    BaseLow,
    BaseHigh,
    Length,
    Head,
    Tail,
    Control,
    Split,
}

/// What a register of a transmit queue is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TxReg {
    BaseLow,
    BaseHigh,
    Length,
    Head,
    Tail,
    Control,
    WriteBackLow,
    WriteBackHigh,
}

/// How a register behaves. Those that are an array are told their index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Storage, cleared to its reset value by a reset of the MAC.
    Store,
    /// Storage that a reset of the MAC leaves alone.
    Keep,
    /// Always its reset value.
    Const,
    Ctrl,
    Status,
    Esdp,
    I2c,
    Eec,
    Eerd,
    Swsm,
    Msca,
    Autoc,
    Links,
    SecRxStat,
    Eicr,
    Eics,
    Eims,
    Eimc,
    EicsEx,
    EimsEx,
    EimcEx,
    EiamEx,
    Gpie,
    Eitr,
    Ivar,
    IvarMisc,
    /// Port-wide receive set-up, of which the receive path keeps a digest.
    RxSetup,
    RxQueue(RxReg),
    TxQueue(TxReg),
    Mta,
    Vfta,
    Ral,
    Rah,
    Rssrk,
    Reta,
    FdirMask,
    FdirCtrl,
    FdirCmd,
    FdirFree,
    Ptp(PtpReg),
    Stat(Stat),
    BenchGo,
    BenchDone,
}

/// One row of the table: a register or an array of them.
pub struct Reg {
    pub name: &'static str,
    pub at: u32,
    pub stride: u32,
    pub n: u32,
    /// The number of the element at `at`.
    pub first: u32,
    pub reset: u32,
    pub kind: Kind,
    /// The part of the 82599 data sheet (chapter 8, "Programming Interface") it is described in.
    pub part: &'static str,
}

/// The values, and the way from an offset to its row.
pub struct Regs {
    val: Vec<u32>,
    row: Vec<u16>,
}

impl Regs {
    pub fn new() -> Self {
        let n = BAR0_SIZE as usize / 4;
        let mut regs = Self {
            val: vec![0; n],
            row: vec![0; n],
        };
        for (r, reg) in table::ROWS.iter().enumerate() {
            for i in 0..reg.n {
                let at = ((reg.at + i * reg.stride) / 4) as usize;
                debug_assert!(regs.row[at] == 0, "{} overlaps", reg.name);
                regs.row[at] = r as u16 + 1;
                regs.val[at] = reg.reset;
            }
        }
        regs
    }

    /// The row an offset belongs to, and which element of it it is.
    pub fn find(&self, at: u32) -> Option<(&'static Reg, usize)> {
        let row = *self.row.get(at as usize / 4)?;
        let reg = table::ROWS.get(usize::from(row).checked_sub(1)?)?;
        Some((reg, ((at - reg.at) / reg.stride + reg.first) as usize))
    }

    pub fn get(&self, at: u32) -> u32 {
        self.val.get(at as usize / 4).copied().unwrap_or(0)
    }

    pub fn set(&mut self, at: u32, v: u32) {
        if let Some(slot) = self.val.get_mut(at as usize / 4) {
            *slot = v;
        }
    }

    /// The table in words, a row each, with what is stored in the first element (for registers
    /// with a behaviour of their own that may not be what a driver reads).
    pub fn describe(&self) -> String {
        let mut s = String::new();
        for r in table::ROWS {
            let (at, n, part) = (r.at, r.n, r.part);
            let v = self.get(at);
            let _ = writeln!(
                s,
                "reg {} at={at:#07x} n={n} value={v:#010x} part={part:?}",
                r.name
            );
        }
        s
    }

    /// Back to reset values; `all` includes what only power-on clears.
    pub fn reset(&mut self, all: bool) {
        for (i, v) in self.val.iter_mut().enumerate() {
            let row = usize::from(self.row[i]).checked_sub(1);
            match row.map(|r| &table::ROWS[r]) {
                Some(reg) if reg.kind == Kind::Keep && !all => {}
                Some(reg) => *v = reg.reset,
                None => *v = 0,
            }
        }
    }
}

/// Offsets that other rooms read by name.
pub mod at {
    pub const CTRL: u32 = 0x00000;
    pub const RXCTRL: u32 = 0x03000;
    pub const RXPBSIZE0: u32 = 0x03c00;
    pub const RXCSUM: u32 = 0x05000;
    pub const FCTRL: u32 = 0x05080;
    pub const VLNCTRL: u32 = 0x05088;
    pub const MCSTCTRL: u32 = 0x05090;
    pub const MRQC: u32 = 0x05818;
    pub const HLREG0: u32 = 0x04240;
    pub const MHADD: u32 = 0x04268;
    pub const DMATXCTL: u32 = 0x04a80;
    pub const SECRXCTRL: u32 = 0x08d00;
    pub const RQSMR: u32 = 0x02300;
    pub const TQSM: u32 = 0x08600;
    pub const FDIRIPSA: u32 = 0x0ee18;
    pub const FDIRIPDA: u32 = 0x0ee1c;
    pub const FDIRPORT: u32 = 0x0ee20;
    pub const FDIRVLAN: u32 = 0x0ee24;
    pub const FDIRHASH: u32 = 0x0ee28;
    pub const FDIRDIP4M: u32 = 0x0ee3c;
    pub const FDIRSIP4M: u32 = 0x0ee40;
    pub const FDIRTCPM: u32 = 0x0ee44;
    pub const FDIRUDPM: u32 = 0x0ee48;
    pub const FDIRSCTPM: u32 = 0x0ee78;
    pub const FDIRM: u32 = 0x0ee70;
    /// Not on an 82599: the bench's doorbell and its answer.
    pub const BENCH_GO: u32 = 0x70020;
    pub const BENCH_DONE: u32 = 0x70024;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_do_not_overlap_and_are_found() {
        let regs = Regs::new();
        let (reg, i) = regs.find(0x1000 + 0x40 * 5 + 0x28).unwrap();
        assert_eq!((reg.name, i), ("RXDCTL", 5));
        let (reg, i) = regs.find(0xd000 + 0x40 * 3 + 0x18).unwrap();
        assert_eq!((reg.name, i), ("RDT", 67));
        let (reg, i) = regs.find(0x12300 + 4).unwrap();
        assert_eq!((reg.name, i), ("EITR", 25));
        assert!(regs.find(0x0e000).is_none());
        assert!(regs.find(0xffff_fffc).is_none());
    }

    #[test]
    fn reset_restores_values_and_keeps_semaphores() {
        let mut regs = Regs::new();
        regs.set(at::RXPBSIZE0, 1);
        regs.set(0x10160, 2);
        regs.set(0x0f000, 3);
        regs.reset(false);
        assert_eq!(regs.get(at::RXPBSIZE0), 0x80000);
        assert_eq!(regs.get(0x10160), 2);
        assert_eq!(regs.get(0x0f000), 0);
        regs.reset(true);
        assert_eq!(regs.get(0x10160), 0);
    }
}
