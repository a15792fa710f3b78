// SPDX-License-Identifier: GPL-2.0
//! The receive path: filter, choose a queue (Flow Director, then RSS), write to its ring.
//!
//! A ring that has no descriptors either drops (DROP_EN) or blocks the packet buffer, and with it
//! every other queue, in order of arrival: that is what real hardware does and why a slow reader
//! is dangerous.

pub mod buffer;
pub mod fdir;
pub mod filter;
pub mod parse;
pub mod ring;
pub mod rss;

use crate::dma::Dma;
use crate::faults::PortFault;
use crate::ptp::Ptp;
use crate::regs::{at, Regs};
use crate::stats::{Counters, QUEUES};
use buffer::Buffer;
use fdir::{Fdir, Hit};
use filter::Filter;
use parse::{status, Parsed};
use ring::{Refused, Ring, Verdict};
use rss::Rss;

/// Packet type: the number of an EtherType filter follows.
const ETQF: u32 = 1 << 15;
const PACKET_BUFFER: usize = 512 << 10;
/// The least a frame has on the wire, without FCS.
pub const MIN_FRAME: usize = 60;
/// The most: a jumbo frame of 16 KiB less FCS and a tag.
pub const MAX_FRAME: usize = 16 * 1024 - 8;

/// The receive half of the card.
pub struct Rx {
    pub filter: Filter,
    pub rss: Rss,
    pub fdir: Fdir,
    pub rings: Vec<Ring>,
    /// It stamps sent frames, too.
    pub ptp: Ptp,
    buffer: Buffer,
    /// The ring at the head of the packet buffer is blocked (so that a stall is counted once).
    stalled: bool,
    /// Nothing leaves the packet buffer (fault `stall`).
    pub held: bool,
    /// Queues that got something since [`Rx::take_dirty`].
    dirty: u128,
    scratch: Vec<u8>,
}

impl Rx {
    pub fn new(regs: &Regs) -> Self {
        let mut rx = Self {
            filter: Filter::new(),
            rss: Rss::new(),
            fdir: Fdir::new(regs),
            rings: vec![Ring::new(); QUEUES],
            ptp: Ptp::default(),
            buffer: Buffer::new(PACKET_BUFFER),
            stalled: false,
            held: false,
            dirty: 0,
            scratch: Vec::with_capacity(MAX_FRAME),
        };
        rx.reload(regs);
        rx
    }

    /// A reset of the MAC: what waits is lost, set-up is gone.
    pub fn reset(&mut self, regs: &Regs) {
        self.filter = Filter::new();
        self.rss = Rss::new();
        self.fdir = Fdir::new(regs);
        self.rings.iter_mut().for_each(Ring::reset);
        self.ptp.reset();
        self.buffer.clear();
        self.stalled = false;
        self.dirty = 0;
        self.reload(regs);
    }

    /// A port-wide register changed.
    pub fn reload(&mut self, regs: &Regs) {
        self.filter.reload(regs);
        self.rss.set_mrqc(regs.get(at::MRQC));
        self.buffer
            .set_limit(regs.get(at::RXPBSIZE0) as usize & 0xf_fc00);
        if !self.filter.on {
            self.buffer.clear();
            self.stalled = false;
        }
    }

    /// What was to change by now; false if no ring waits for that or babbles.
    pub fn tick(&mut self, dma: &Dma, now: u64) -> bool {
        let mut busy = false;
        for ring in &mut self.rings {
            if ring.fault.late || ring.fault.babble {
                busy = true;
                ring.tick(now);
                ring.prefetch(dma);
                ring.babble(dma);
            }
        }
        busy
    }

    /// Frames and bytes that wait in the packet buffer.
    pub fn waiting(&self) -> usize {
        self.buffer.used()
    }

    pub fn blocked(&self) -> bool {
        self.stalled
    }

    /// Queues that got something.
    pub fn take_dirty(&mut self) -> u128 {
        std::mem::take(&mut self.dirty)
    }

    /// Filters a frame and chooses its queue; None if it goes no further.
    pub fn judge(&mut self, f: &[u8], fault: &PortFault, c: &mut Counters) -> Option<Verdict> {
        debug_assert!(f.len() >= MIN_FRAME);
        if !self.filter.on {
            c.rx_off += 1;
            return None;
        }
        if fault.crc {
            c.rx_crc += 1;
            return None;
        }
        let p = Parsed::of(f, self.filter.vlan_type);
        if self.filter.too_long(f.len(), p.vlan.is_some()) || f.len() > MAX_FRAME {
            c.rx_oversize += 1;
            return None;
        }
        if !self.filter.accepts(f, p.vlan) {
            c.rx_filtered += 1;
            return None;
        }
        let hit = self.fdir.choose(f, &p);
        let (kind, hash, rss_queue) = self.rss.choose(f, &p);
        let mut v = Verdict {
            queue: rss_queue,
            info: kind | p.ptype,
            hash: if self.filter.hash { hash } else { 0 },
            status: p.status,
            vlan: p.vlan,
            stamp: self.ptp.matches(f, &p),
        };
        if let Some(i) = self.ptp.ether_type(f, &p) {
            v.info = ETQF | ((i as u32) << 4);
        }
        match hit {
            Hit::Off => {}
            Hit::Miss => c.fdir_miss += 1,
            Hit::Queue { queue, .. } => {
                c.fdir_match += 1;
                v.queue = queue;
                v.status |= status::FLM;
            }
            Hit::Drop => {
                c.fdir_match += 1;
                c.fdir_drop += 1;
                return None;
            }
        }
        Some(v)
    }

    /// Would a frame with this verdict go straight into its ring?
    pub fn ready(&self, len: usize, v: &Verdict) -> bool {
        !self.held && self.buffer.is_empty() && self.rings[usize::from(v.queue)].fits(len)
    }

    /// Delivers a judged frame: to its ring, into the packet buffer, or nowhere.
    pub fn deliver(&mut self, dma: &Dma, f: &[u8], mut v: Verdict, c: &mut Counters) {
        if v.stamp && self.ptp.received() {
            v.status |= status::TS;
        }
        if self.buffer.is_empty() && !self.held {
            c.count_rx(f);
            if !self.write(dma, f, &v, c) {
                self.stall(c);
                if !self.buffer.push(f, v) {
                    c.rx_missed += 1;
                }
            }
        } else if self.buffer.push(f, v) {
            c.count_rx(f);
        } else {
            c.rx_missed += 1;
        }
    }

    /// Takes a frame from the wire.
    pub fn receive(&mut self, dma: &Dma, f: &[u8], fault: &PortFault, c: &mut Counters) {
        if let Some(v) = self.judge(f, fault, c) {
            self.deliver(dma, f, v, c);
        }
    }

    /// Writes to the ring; false if the frame must wait.
    fn write(&mut self, dma: &Dma, f: &[u8], v: &Verdict, c: &mut Counters) -> bool {
        let q = usize::from(v.queue);
        match self.rings[q].put(dma, f, v) {
            Ok(n) => {
                c.rxq[q].packets += 1;
                c.rxq[q].bytes += n as u64;
                self.dirty |= 1 << q;
            }
            Err(Refused::Disabled) => c.rxq[q].drop_disabled += 1,
            Err(Refused::NoDescriptor) => c.rxq[q].drop_nodesc += 1,
            Err(Refused::Blocked) => return false,
        }
        true
    }

    fn stall(&mut self, c: &mut Counters) {
        if !self.stalled {
            self.stalled = true;
            c.rx_stalls += 1;
        }
    }

    /// Could the frame at the head of the packet buffer move?
    pub fn can_drain(&self) -> bool {
        !self.held
            && self.buffer.peek().is_some_and(|(len, v)| {
                let ring = &self.rings[usize::from(v.queue)];
                !ring.enabled() || ring.drops() || ring.fits(len)
            })
    }

    /// Moves up to `budget` frames from the packet buffer to their rings.
    pub fn drain(&mut self, dma: &Dma, budget: usize, c: &mut Counters) {
        if self.held {
            return;
        }
        let mut frame = std::mem::take(&mut self.scratch);
        for _ in 0..budget {
            let Some(v) = self.buffer.front(&mut frame) else {
                self.stalled = false;
                break;
            };
            if !self.write(dma, &frame, &v, c) {
                self.stall(c);
                break;
            }
            self.stalled = false;
            self.buffer.pop();
        }
        self.scratch = frame;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::udp4;

    const DROP_EN: u32 = 1 << 28;

    struct Port {
        dma: Dma,
        rx: Rx,
        c: Counters,
    }

    impl Port {
        /// Queue 0 and 1 with 8 descriptors each; UDP to port 53 goes to queue 1.
        fn new(srrctl: [u32; 2]) -> Self {
            let mut regs = Regs::new();
            regs.set(at::RXCTRL, 1);
            regs.set(at::FCTRL, 0x700);
            regs.set(at::FDIRM, 0x37);
            regs.set(at::FDIRUDPM, 0xffff);
            regs.set(at::FDIRSIP4M, !0);
            regs.set(at::FDIRDIP4M, !0);
            let mut rx = Rx::new(&regs);
            rx.fdir.set_ctrl(0x4a06_7f11);
            regs.set(at::FDIRPORT, 53 << 16);
            regs.set(at::FDIRHASH, 1 << 16);
            rx.fdir.command(0x0001_8829, &regs);
            let dma = Dma::of_size(0x10_0000);
            for (q, split) in srrctl.into_iter().enumerate() {
                let base = 0x1000 * (q as u64 + 1);
                for i in 0..8 {
                    assert!(dma.write_desc(base + 16 * i, [0x10000 * (i + 1), 0]));
                }
                rx.rings[q].set_base_low(base as u32);
                rx.rings[q].set_len(128);
                rx.rings[q].set_srrctl(2 | split);
                rx.rings[q].set_rxdctl(1 << 25, 0);
                rx.rings[q].set_tail(7);
            }
            Self {
                dma,
                rx,
                c: Counters::default(),
            }
        }

        fn send(&mut self, dport: u16, n: usize) {
            let f = udp4([1, 2, 3, 4], [10, 0, 3, 1], 7, dport, &[0; 20]);
            for _ in 0..n {
                self.rx
                    .receive(&self.dma, &f, &PortFault::default(), &mut self.c);
            }
        }
    }

    #[test]
    fn a_dropping_ring_does_not_stall_the_other() {
        let mut p = Port::new([0, DROP_EN]);
        p.send(53, 20);
        p.send(80, 5);
        assert_eq!(p.c.rxq[1].packets, 7);
        assert_eq!(p.c.rxq[1].drop_nodesc, 13);
        assert_eq!(p.c.rxq[0].packets, 5);
        assert_eq!((p.c.rx_stalls, p.c.rx_missed), (0, 0));
        assert_eq!(p.rx.take_dirty(), 3);
    }

    #[test]
    fn a_blocking_ring_stalls_all_and_drains_in_order() {
        let mut p = Port::new([0, 0]);
        p.send(53, 8);
        p.send(80, 5);
        assert_eq!((p.c.rxq[1].packets, p.c.rxq[0].packets), (7, 0));
        assert_eq!((p.c.rx_stalls, p.c.rx_missed), (1, 0));
        assert!(p.rx.blocked() && !p.rx.can_drain());
        p.rx.rings[1].set_tail(1);
        assert!(p.rx.can_drain());
        p.rx.drain(&p.dma, 100, &mut p.c);
        assert_eq!((p.c.rxq[1].packets, p.c.rxq[0].packets), (8, 5));
        assert!(!p.rx.blocked() && p.rx.waiting() == 0);
    }

    #[test]
    fn a_full_packet_buffer_misses_and_nothing_is_uncounted() {
        let mut p = Port::new([0, 0]);
        p.send(53, 10_000);
        assert!(p.c.rx_missed > 0);
        assert_eq!(p.c.rx_packets + p.c.rx_missed, 10_000);
        // Switching the queue off lets the rest go, as drops.
        p.rx.rings[1].set_rxdctl(0, 0);
        p.rx.drain(&p.dma, 100_000, &mut p.c);
        let q = p.c.rxq[1];
        assert_eq!(q.packets + q.drop_disabled, p.c.rx_packets);
    }

    #[test]
    fn a_fdir_match_is_reported_and_misses_are_counted() {
        let mut p = Port::new([0, 0]);
        p.send(53, 1);
        p.send(54, 2);
        assert_eq!((p.c.fdir_match, p.c.fdir_miss), (1, 2));
        let d = p.dma.read_desc(0x2000).unwrap();
        assert_ne!(d[1] as u32 & status::FLM, 0);
    }

    #[test]
    fn reception_off_and_foreign_frames() {
        let mut p = Port::new([0, 0]);
        let mut regs = Regs::new();
        p.rx.reload(&regs);
        p.send(80, 1);
        assert_eq!(p.c.rx_off, 1);
        regs.set(at::RXCTRL, 1);
        p.rx.reload(&regs);
        p.send(80, 1);
        assert_eq!(p.c.rx_filtered, 1);
    }

    #[test]
    fn a_stuck_packet_buffer_keeps_everything_and_lets_it_go_in_order() {
        let mut p = Port::new([DROP_EN, DROP_EN]);
        p.rx.held = true;
        p.send(80, 3);
        assert_eq!((p.c.rxq[0].packets, p.rx.can_drain()), (0, false));
        p.rx.held = false;
        assert!(p.rx.can_drain());
        p.rx.drain(&p.dma, 100, &mut p.c);
        assert_eq!(p.c.rxq[0].packets, 3);
    }
}
