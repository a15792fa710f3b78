// SPDX-License-Identifier: GPL-2.0
//! The PTP unit: a clock that software sets the pace of, and one latch for the time a received
//! frame came at, another for a sent one (82599 data sheet, "Time SYNC").
//!
//! The card stamps event messages of one kind at a time (TSYNCRXCTL, RXMTRL, and for frames
//! without IP an EtherType filter). A latch holds one time until the upper half is read; what comes
//! meanwhile gets none.

use crate::rx::parse::{Parsed, L4};

const ENABLED: u32 = 1 << 4;
const VALID: u32 = 1;
const TYPE: u32 = 7 << 1;
const ETQF_ON: u32 = 1 << 31;
const ETQF_1588: u32 = 1 << 30;

/// A register of the unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PtpReg {
    RxControl,
    RxLow,
    RxHigh,
    RxMatch,
    EtherType,
    TxControl,
    TxLow,
    TxHigh,
    TimeLow,
    TimeHigh,
    Increment,
}

/// What a latch holds.
#[derive(Clone, Copy, Default)]
struct Latch {
    control: u32,
    time: u64,
    valid: bool,
}

impl Latch {
    fn set(&mut self, time: u64) -> bool {
        if self.control & ENABLED == 0 || self.valid {
            return false;
        }
        (self.time, self.valid) = (time, true);
        true
    }

    fn high(&mut self) -> u32 {
        self.valid = false;
        (self.time >> 32) as u32
    }

    fn control(&self) -> u32 {
        self.control & !VALID | u32::from(self.valid)
    }
}

/// The unit.
#[derive(Clone, Default)]
pub struct Ptp {
    now: u64,
    /// SYSTIM was this, at that time.
    time: u64,
    since: u64,
    increment: u32,
    /// What the upper half of SYSTIM was when the lower was read.
    high: u32,
    rx: Latch,
    tx: Latch,
    matching: u32,
    ether_types: [u32; 8],
}

impl Ptp {
    /// A reset of the MAC.
    pub fn reset(&mut self) {
        *self = Self {
            now: self.now,
            ..Self::default()
        };
    }

    /// What time it is outside, in nanoseconds.
    pub fn tick(&mut self, now: u64) {
        self.now = now;
    }

    /// SYSTIM: TIMINCA says by how much it grows every so many cycles of 6.4 ns (at 10 Gb/s).
    fn systim(&self) -> u64 {
        let period = u64::from(self.increment >> 24);
        if period == 0 {
            return self.time;
        }
        let cycles = self.now.saturating_sub(self.since) * 5 / 32;
        let step = u64::from(self.increment & 0xff_ffff);
        self.time.wrapping_add((cycles / period).wrapping_mul(step))
    }

    fn set_time(&mut self, time: u64) {
        (self.time, self.since) = (time, self.now);
    }

    pub fn read(&mut self, r: PtpReg, i: usize) -> u32 {
        match r {
            PtpReg::RxControl => self.rx.control(),
            PtpReg::RxLow => self.rx.time as u32,
            PtpReg::RxHigh => self.rx.high(),
            PtpReg::RxMatch => self.matching,
            PtpReg::EtherType => self.ether_types[i],
            PtpReg::TxControl => self.tx.control(),
            PtpReg::TxLow => self.tx.time as u32,
            PtpReg::TxHigh => self.tx.high(),
            PtpReg::TimeLow => {
                let time = self.systim();
                self.high = (time >> 32) as u32;
                time as u32
            }
            PtpReg::TimeHigh => self.high,
            PtpReg::Increment => self.increment,
        }
    }

    pub fn write(&mut self, r: PtpReg, i: usize, v: u32) {
        match r {
            PtpReg::RxControl => self.rx.control = v,
            PtpReg::TxControl => self.tx.control = v,
            PtpReg::RxMatch => self.matching = v,
            PtpReg::EtherType => self.ether_types[i] = v,
            PtpReg::TimeLow => self.set_time((self.systim() >> 32 << 32) | u64::from(v)),
            PtpReg::TimeHigh => {
                self.set_time((u64::from(v) << 32) | self.systim() & 0xffff_ffff);
            }
            PtpReg::Increment => {
                self.set_time(self.systim());
                self.increment = v;
            }
            PtpReg::RxLow | PtpReg::RxHigh | PtpReg::TxLow | PtpReg::TxHigh => {}
        }
    }

    /// The EtherType filter that takes this frame.
    pub fn ether_type(&self, f: &[u8], p: &Parsed) -> Option<usize> {
        let kind = be16(f, p.l3_at - 2)?;
        self.ether_types
            .iter()
            .position(|e| e & ETQF_ON != 0 && *e as u16 == kind)
    }

    /// Is this a message that is to be stamped?
    pub fn matches(&self, f: &[u8], p: &Parsed) -> bool {
        if self.rx.control & ENABLED == 0 {
            return false;
        }
        let l2 = || {
            let hit = self.ether_type(f, p)?;
            (self.ether_types[hit] & ETQF_1588 != 0).then_some(p.l3_at)
        };
        let l4 = || {
            let port = be16(f, p.l4_at + 2)?;
            let want = (self.matching >> 16) as u16;
            (p.l4 == L4::Udp && port == want).then_some(p.l4_at + 8)
        };
        // Version 2 has its message type in the first byte, version 1 a control field at 32.
        let v2 = |at: usize| (f.get(at + 1)? & 0xf == 2).then_some(f[at] & 0xf);
        let named = |at| v2(at) == Some((self.matching >> 8) as u8 & 0xf);
        match (self.rx.control & TYPE) >> 1 {
            0 => l2().is_some_and(named),
            1 => l4().is_some_and(|at| f.get(at + 32) == Some(&(self.matching as u8))),
            2 => l2().or_else(l4).is_some_and(named),
            5 => l2().or_else(l4).and_then(v2).is_some_and(|t| t & 8 == 0),
            _ => false,
        }
    }

    /// A message came; true if its time is in the latch.
    pub fn received(&mut self) -> bool {
        self.rx.set(self.systim())
    }

    /// A frame went whose descriptor asked for its time.
    pub fn sent(&mut self) {
        self.tx.set(self.systim());
    }
}

fn be16(f: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*f.get(at)?, *f.get(at + 1)?]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::udp4;

    /// As the driver sets it for version 2 event messages.
    fn unit() -> Ptp {
        let mut p = Ptp::default();
        p.write(PtpReg::RxControl, 0, ENABLED | 0xa);
        p.write(PtpReg::RxMatch, 0, 319 << 16);
        p.write(PtpReg::EtherType, 3, ETQF_ON | ETQF_1588 | 0x88f7);
        p
    }

    fn message(port: u16, first: u8, version: u8) -> Vec<u8> {
        let mut body = [0; 44];
        (body[0], body[1]) = (first, version);
        udp4([10, 0, 3, 2], [10, 0, 3, 1], 319, port, &body)
    }

    fn hit(p: &Ptp, f: &[u8]) -> bool {
        p.matches(f, &Parsed::of(f, 0x8100))
    }

    #[test]
    fn the_clock_runs_at_the_pace_it_was_told() {
        let mut p = Ptp::default();
        p.tick(1_000);
        assert_eq!(p.read(PtpReg::TimeLow, 0), 0);
        // The driver's value at 10 Gb/s: 2^21 units to the nanosecond.
        p.write(PtpReg::Increment, 0, (1 << 24) | 0xcc_cccc);
        p.tick(1_000 + 64_000_000_000);
        let low = p.read(PtpReg::TimeLow, 0);
        let time = (u64::from(p.read(PtpReg::TimeHigh, 0)) << 32) | u64::from(low);
        let ns = time >> 21;
        assert!(ns.abs_diff(64_000_000_000) < 10_000, "{ns}");
        p.write(PtpReg::TimeLow, 0, 5);
        p.write(PtpReg::TimeHigh, 0, 0);
        assert_eq!(p.read(PtpReg::TimeLow, 0), 5);
    }

    #[test]
    fn event_messages_of_version_2_are_recognized() {
        let p = unit();
        assert!(hit(&p, &message(319, 0x11, 2)), "Delay_Req");
        assert!(!hit(&p, &message(319, 0x18, 2)), "Follow_Up is no event");
        assert!(!hit(&p, &message(319, 0x11, 1)), "version 1");
        assert!(!hit(&p, &message(320, 0x11, 2)), "the general port");
        let mut l2 = vec![0; 60];
        l2[12..16].copy_from_slice(&[0x88, 0xf7, 0, 2]);
        assert!(hit(&p, &l2));
        l2[13] = 0xf6;
        assert!(!hit(&p, &l2));
        assert!(!hit(&Ptp::default(), &message(319, 0, 2)), "off");
    }

    #[test]
    fn one_message_type_of_version_1_is_recognized() {
        let mut p = unit();
        p.write(PtpReg::RxControl, 0, ENABLED | 2);
        p.write(PtpReg::RxMatch, 0, (319 << 16) | 1);
        let mut f = message(319, 0, 1);
        assert!(!hit(&p, &f));
        f[42 + 32] = 1;
        assert!(hit(&p, &f));
    }

    #[test]
    fn a_latch_holds_one_time_until_it_is_read() {
        let mut p = unit();
        p.write(PtpReg::TimeHigh, 0, 7);
        assert!(p.received());
        assert!(!p.received());
        assert_eq!(p.read(PtpReg::RxControl, 0) & VALID, VALID);
        p.read(PtpReg::RxLow, 0);
        assert!(!p.received());
        assert_eq!(p.read(PtpReg::RxHigh, 0), 7);
        assert_eq!(p.read(PtpReg::RxControl, 0) & VALID, 0);
        assert!(p.received());
        p.sent();
        assert_eq!(p.read(PtpReg::TxControl, 0), 0, "not switched on");
    }
}
