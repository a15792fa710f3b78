// SPDX-License-Identifier: GPL-2.0
//! One transmit descriptor ring.
//!
//! The card reports progress in one of two ways: it sets DD in each descriptor that asked for a
//! report (RS), or, with head write-back (TDWBAL), it writes its head index to memory instead.

use crate::dma::Dma;
use crate::faults::{Late, QueueFault};

const TXDCTL_WTHRESH: u32 = 0x7f << 16;
const TXDCTL_ENABLE: u32 = 1 << 25;
const TXDCTL_SWFLSH: u32 = 1 << 26;
const TDWBAL_ENABLE: u64 = 1;
const STATUS_DD: u32 = 1;

/// A descriptor: address, then command/length and option words, and where it is.
pub struct Fetched {
    pub addr: u64,
    pub cmd: u32,
    pub opt: u32,
    at: u64,
}

/// The ring's registers.
#[derive(Clone, Default)]
pub struct Queue {
    base: u64,
    n: u32,
    head: u32,
    tail: u32,
    txdctl: u32,
    /// TDWBAH and TDWBAL: where the head goes, and whether it does.
    write_back: u64,
    /// Misbehaviour asked for from outside.
    pub fault: QueueFault,
    late: Late,
    /// Where a babbling queue writes to (fault `babble`).
    babble_at: u64,
}

impl Queue {
    /// A reset of the MAC; a fault that was asked for stays.
    pub fn reset(&mut self) {
        *self = Self {
            fault: self.fault,
            ..Self::default()
        };
    }

    pub fn enabled(&self) -> bool {
        self.txdctl & TXDCTL_ENABLE != 0
    }

    /// Are there descriptors to look at?
    pub fn waiting(&self) -> bool {
        self.enabled()
            && !self.fault.hang
            && self.head != self.tail
            && self.head < self.n
            && self.tail < self.n
    }

    pub fn head(&self) -> u32 {
        self.head
    }

    pub fn tail(&self) -> u32 {
        self.tail
    }

    pub fn txdctl(&self) -> u32 {
        self.txdctl
    }

    pub fn base(&self) -> u64 {
        self.base
    }

    pub fn len_bytes(&self) -> u32 {
        self.n * 16
    }

    pub fn write_back(&self) -> u64 {
        self.write_back
    }

    pub fn set_write_back_low(&mut self, v: u32) {
        self.write_back = (self.write_back >> 32 << 32) | u64::from(v);
    }

    pub fn set_write_back_high(&mut self, v: u32) {
        self.write_back = (u64::from(v) << 32) | (self.write_back & 0xffff_ffff);
    }

    pub fn set_base_low(&mut self, v: u32) {
        self.base = (self.base >> 32 << 32) | u64::from(v & !0x7f);
    }

    pub fn set_base_high(&mut self, v: u32) {
        self.base = (u64::from(v) << 32) | (self.base & 0xffff_ffff);
    }

    pub fn set_len(&mut self, v: u32) {
        self.n = (v & 0xf_ff80) / 16;
    }

    pub fn set_head(&mut self, v: u32) {
        self.head = v & 0xffff;
    }

    pub fn set_tail(&mut self, v: u32) {
        self.tail = v & 0xffff;
    }

    pub fn set_txdctl(&mut self, v: u32, now: u64) {
        let v = self.fault.enable(self.txdctl, v & !TXDCTL_SWFLSH);
        self.txdctl = match self.fault.late {
            true => self.late.write(self.txdctl, v, self.fault.number, now),
            false => v,
        };
        self.forget();
    }

    /// What was to change by now; true if it did.
    pub fn tick(&mut self, now: u64) -> bool {
        let due = self.late.due(now);
        self.txdctl = due.unwrap_or(self.txdctl);
        self.forget();
        due.is_some()
    }

    /// A queue that has stopped does not know any more where to write.
    fn forget(&mut self) {
        if !self.enabled() {
            self.babble_at = 0;
        } else if self.fault.babble && self.write_back & TDWBAL_ENABLE != 0 {
            self.babble_at = self.write_back & !3;
        }
    }

    /// Writes to where the head was last to be written, whatever it is now; true if it did.
    pub fn babble(&self, dma: &Dma) -> bool {
        self.fault.babble && self.babble_at != 0 && dma.write_word(self.babble_at, 0xbab_b1e5)
    }

    /// Takes the next descriptor.
    pub fn fetch(&mut self, dma: &Dma) -> Option<Fetched> {
        if !self.waiting() {
            return None;
        }
        let at = self.base.wrapping_add(u64::from(self.head) * 16);
        let [addr, rest] = dma.read_desc(at)?;
        self.head = if self.head + 1 == self.n {
            0
        } else {
            self.head + 1
        };
        Some(Fetched {
            addr,
            cmd: rest as u32,
            opt: (rest >> 32) as u32,
            at,
        })
    }

    /// Tells the driver that everything up to this descriptor is done.
    pub fn complete(&self, dma: &Dma, d: &Fetched) {
        // Memory that went away is counted by `dma`; nobody is there to be told.
        if self.write_back & TDWBAL_ENABLE == 0 {
            if !self.fault.mute {
                let _ = dma.write_desc_status(d.at, STATUS_DD);
            }
        } else if self.txdctl & TXDCTL_WTHRESH == 0 {
            // Another threshold is forbidden then; a driver that sets one hears nothing.
            if let Some(head) = self.fault.head(self.head, self.tail, self.n) {
                let _ = dma.write_word(self.write_back & !3, head);
            }
        }
    }
}
