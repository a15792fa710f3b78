// SPDX-License-Identifier: GPL-2.0
//! Counting. The card counts everything once, in 64-bit counters that only grow; the hardware's
//! clear-on-read registers and the control socket's resettable view are differences to what was
//! there at the last read or reset.

use std::collections::HashMap;

use crate::regs::{at, Regs};

/// Queues of either direction.
pub const QUEUES: usize = 128;

/// A receive queue's counters.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct RxqCount {
    pub packets: u64,
    pub bytes: u64,
    /// Dropped: DROP_EN set and no descriptor.
    pub drop_nodesc: u64,
    /// Dropped: the queue was not enabled.
    pub drop_disabled: u64,
}

/// A transmit queue's counters: frames as they went to the wire.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct TxqCount {
    pub packets: u64,
    pub bytes: u64,
}

/// Everything that is counted.
#[derive(Clone)]
pub struct Counters {
    /// Frames taken in from the wire, that is past the filters and into the packet buffer.
    pub rx_packets: u64,
    pub rx_bytes: u64,
    pub rx_broadcast: u64,
    pub rx_multicast: u64,
    pub rx_size: [u64; 6],
    /// Lost because the packet buffer was full.
    pub rx_missed: u64,
    /// Not for this port: address or VLAN filter.
    pub rx_filtered: u64,
    /// Arrived while reception was off (RXCTRL) or the link down.
    pub rx_off: u64,
    pub rx_oversize: u64,
    pub rx_crc: u64,
    /// Times a ring without descriptors and without DROP_EN blocked the packet buffer.
    pub rx_stalls: u64,
    pub fdir_match: u64,
    pub fdir_miss: u64,
    /// Dropped by a filter that says so.
    pub fdir_drop: u64,
    pub tx_packets: u64,
    pub tx_bytes: u64,
    pub tx_broadcast: u64,
    pub tx_multicast: u64,
    pub tx_size: [u64; 6],
    /// Transmit packets the card could not make sense of.
    pub tx_bad: u64,
    pub link_changes: u64,
    pub resets: u64,
    pub rxq: [RxqCount; QUEUES],
    pub txq: [TxqCount; QUEUES],
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            rx_packets: 0,
            rx_bytes: 0,
            rx_broadcast: 0,
            rx_multicast: 0,
            rx_size: [0; 6],
            rx_missed: 0,
            rx_filtered: 0,
            rx_off: 0,
            rx_oversize: 0,
            rx_crc: 0,
            rx_stalls: 0,
            fdir_match: 0,
            fdir_miss: 0,
            fdir_drop: 0,
            tx_packets: 0,
            tx_bytes: 0,
            tx_broadcast: 0,
            tx_multicast: 0,
            tx_size: [0; 6],
            tx_bad: 0,
            link_changes: 0,
            resets: 0,
            rxq: [RxqCount::default(); QUEUES],
            txq: [TxqCount::default(); QUEUES],
        }
    }
}

impl Counters {
    pub fn count_rx(&mut self, frame: &[u8]) {
        self.rx_packets += 1;
        self.rx_bytes += frame.len() as u64;
        self.rx_size[size_class(frame.len())] += 1;
        match cast(frame) {
            Cast::Unicast => {}
            Cast::Multicast => self.rx_multicast += 1,
            Cast::Broadcast => self.rx_broadcast += 1,
        }
    }

    pub fn count_tx(&mut self, q: usize, frame: &[u8]) {
        self.tx_packets += 1;
        self.tx_bytes += frame.len() as u64;
        self.tx_size[size_class(frame.len())] += 1;
        self.txq[q].packets += 1;
        self.txq[q].bytes += frame.len() as u64;
        match cast(frame) {
            Cast::Unicast => {}
            Cast::Multicast => self.tx_multicast += 1,
            Cast::Broadcast => self.tx_broadcast += 1,
        }
    }
}

/// Whom a frame is addressed to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cast {
    Unicast,
    Multicast,
    Broadcast,
}

/// Whom a frame is addressed to.
pub fn cast(frame: &[u8]) -> Cast {
    if frame[0] & 1 == 0 {
        Cast::Unicast
    } else if frame[..6] == [0xff; 6] {
        Cast::Broadcast
    } else {
        Cast::Multicast
    }
}

/// The size classes of the statistics: 64, -127, -255, -511, -1023, more (with FCS).
fn size_class(len: usize) -> usize {
    // The boundaries count the FCS.
    [64, 127, 255, 511, 1023]
        .iter()
        .position(|&most| len + 4 <= most)
        .unwrap_or(5)
}

/// What a statistics register counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stat {
    Zero,
    Gprc,
    Bprc,
    Mprc,
    GorcLow,
    GorcHigh,
    Gptc,
    GotcLow,
    GotcHigh,
    TorLow,
    TorHigh,
    Tpr,
    Prc,
    Ptc,
    Mptc,
    Bptc,
    Crcerrs,
    Roc,
    Mpc,
    Qprc,
    QbrcLow,
    QbrcHigh,
    Qprdc,
    Qptc,
    QbtcLow,
    QbtcHigh,
    FdirMatch,
    FdirMiss,
}

/// The clear-on-read view.
#[derive(Default)]
pub struct StatRegs {
    base: HashMap<u32, u64>,
    /// High halves that wait to be read after their low half.
    high: HashMap<u32, u32>,
}

impl StatRegs {
    /// Reads the register at `offset`, element `i` of counter `s`.
    pub fn read(&mut self, offset: u32, s: Stat, i: usize, c: &Counters, regs: &Regs) -> u32 {
        if let Stat::GorcHigh | Stat::GotcHigh | Stat::TorHigh | Stat::QbrcHigh | Stat::QbtcHigh = s
        {
            return self.high.remove(&offset).unwrap_or(0);
        }
        let now = value(s, i, c, regs);
        let base = self.base.insert(offset, now).unwrap_or(0);
        let delta = now.saturating_sub(base);
        if let Stat::GorcLow | Stat::GotcLow | Stat::TorLow | Stat::QbrcLow | Stat::QbtcLow = s {
            self.high.insert(offset + 4, (delta >> 32) as u32);
        }
        delta as u32
    }
}

fn value(s: Stat, i: usize, c: &Counters, regs: &Regs) -> u64 {
    let fcs = |packets: u64| 4 * packets;
    match s {
        Stat::Zero => 0,
        Stat::Gprc => c.rx_packets,
        Stat::Bprc => c.rx_broadcast,
        Stat::Mprc => c.rx_multicast,
        Stat::GorcLow => c.rx_bytes + fcs(c.rx_packets),
        Stat::Gptc => c.tx_packets,
        Stat::GotcLow => c.tx_bytes + fcs(c.tx_packets),
        Stat::TorLow => c.rx_bytes + fcs(c.rx_packets),
        Stat::Tpr => c.rx_packets + c.rx_missed + c.rx_filtered + c.rx_crc + c.rx_oversize,
        Stat::Prc => c.rx_size[i],
        Stat::Ptc => c.tx_size[i],
        Stat::Mptc => c.tx_multicast,
        Stat::Bptc => c.tx_broadcast,
        Stat::Crcerrs => c.rx_crc,
        Stat::Roc => c.rx_oversize,
        Stat::Mpc => c.rx_missed,
        Stat::Qprc => mapped(regs, at::RQSMR, i, |q| c.rxq[q].packets),
        Stat::QbrcLow => mapped(regs, at::RQSMR, i, |q| {
            c.rxq[q].bytes + fcs(c.rxq[q].packets)
        }),
        Stat::Qprdc => mapped(regs, at::RQSMR, i, |q| c.rxq[q].drop_nodesc),
        Stat::Qptc => mapped(regs, at::TQSM, i, |q| c.txq[q].packets),
        Stat::QbtcLow => mapped(regs, at::TQSM, i, |q| {
            c.txq[q].bytes + fcs(c.txq[q].packets)
        }),
        Stat::FdirMatch => c.fdir_match,
        Stat::FdirMiss => c.fdir_miss,
        Stat::GorcHigh | Stat::GotcHigh | Stat::TorHigh | Stat::QbrcHigh | Stat::QbtcHigh => 0,
    }
}

/// Sums over the queues that the mapping registers (four queues each) assign to counter `i`.
fn mapped(regs: &Regs, map: u32, i: usize, of: impl Fn(usize) -> u64) -> u64 {
    (0..QUEUES)
        .filter(|q| regs.get(map + (q / 4 * 4) as u32).to_le_bytes()[q % 4] as usize & 0xf == i)
        .map(of)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_clear_on_read_and_counters_do_not() {
        let (mut c, regs, mut s) = (Counters::default(), Regs::new(), StatRegs::default());
        c.count_rx(&[0; 60]);
        c.count_rx(&[0xff; 1514]);
        assert_eq!(s.read(0x4074, Stat::Gprc, 0, &c, &regs), 2);
        assert_eq!(s.read(0x4074, Stat::Gprc, 0, &c, &regs), 0);
        assert_eq!(s.read(0x4078, Stat::Bprc, 0, &c, &regs), 1);
        assert_eq!((c.rx_size[0], c.rx_size[5]), (1, 1));
        assert_eq!(c.rx_packets, 2);
    }

    #[test]
    fn wide_counters_keep_their_high_half() {
        let (mut c, regs, mut s) = (Counters::default(), Regs::new(), StatRegs::default());
        c.rx_bytes = (5 << 32) | 7;
        assert_eq!(s.read(0x4088, Stat::GorcLow, 0, &c, &regs), 7);
        c.rx_bytes += 1;
        assert_eq!(s.read(0x408c, Stat::GorcHigh, 0, &c, &regs), 5);
        assert_eq!(s.read(0x4088, Stat::GorcLow, 0, &c, &regs), 1);
    }

    #[test]
    fn queue_counters_follow_the_mapping() {
        let (mut c, mut regs, mut s) = (Counters::default(), Regs::new(), StatRegs::default());
        c.rxq[4].packets = 3;
        c.rxq[5].packets = 4;
        assert_eq!(s.read(0x1030, Stat::Qprc, 0, &c, &regs), 7);
        regs.set(at::RQSMR + 4, 0x0000_0201);
        assert_eq!(s.read(0x1070, Stat::Qprc, 1, &c, &regs), 3);
        assert_eq!(s.read(0x10b0, Stat::Qprc, 2, &c, &regs), 4);
    }
}
