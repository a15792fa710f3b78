// SPDX-License-Identifier: GPL-2.0
//! One transmit descriptor ring.

use crate::dma::Dma;

const TXDCTL_ENABLE: u32 = 1 << 25;
const TXDCTL_SWFLSH: u32 = 1 << 26;
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
}

impl Queue {
    pub fn enabled(&self) -> bool {
        self.txdctl & TXDCTL_ENABLE != 0
    }

    /// Are there descriptors to look at?
    pub fn waiting(&self) -> bool {
        self.enabled() && self.head != self.tail && self.head < self.n && self.tail < self.n
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

    pub fn set_txdctl(&mut self, v: u32) {
        self.txdctl = v & !TXDCTL_SWFLSH;
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
        let _ = dma.write_desc_status(d.at, STATUS_DD);
    }
}
