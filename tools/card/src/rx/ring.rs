// SPDX-License-Identifier: GPL-2.0
//! One receive descriptor ring: taking descriptors, writing data, writing back.
//!
//! The card owns the descriptors from head up to, not including, tail. A frame longer than the
//! buffers (SRRCTL.BSIZEPKT) spans several; only the last one says end-of-packet.

use super::parse::status;
use crate::dma::Dma;
use crate::faults::{Late, RingFault};

const RXDCTL_ENABLE: u32 = 1 << 25;
const RXDCTL_SWFLSH: u32 = 1 << 26;
const RXDCTL_VME: u32 = 1 << 30;
const SRRCTL_DROP_EN: u32 = 1 << 28;

/// What is known about a frame when it is written to memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct Verdict {
    pub queue: u8,
    /// First descriptor word: RSS type and packet type.
    pub info: u32,
    /// Second descriptor word: the hash, or flow director's filter number.
    pub hash: u32,
    /// Status and error bits.
    pub status: u32,
    /// The frame's tag, if it has one.
    pub vlan: Option<u16>,
    /// A PTP message whose time is to be taken.
    pub stamp: bool,
}

/// Why a frame was not written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// The queue is not enabled.
    Disabled,
    /// Not enough descriptors, and the ring drops.
    NoDescriptor,
    /// Not enough descriptors, and the ring blocks.
    Blocked,
}

/// What a babbling ring writes.
pub const BABBLE: [u8; 8] = *b"BABBLE!!";
/// Descriptors it remembers.
const PREFETCH: u32 = 64;

/// One ring. Counts of bytes and frames are kept by the caller.
#[derive(Clone, Default)]
pub struct Ring {
    base: u64,
    n: u32,
    head: u32,
    tail: u32,
    rxdctl: u32,
    srrctl: u32,
    /// Misbehaviour asked for from outside.
    pub fault: RingFault,
    late: Late,
    /// A write-back that waits for the next (fault `order`).
    held: Option<(u64, [u64; 2])>,
    /// Buffers of descriptors that were read ahead (fault `babble`).
    prefetched: Vec<u64>,
}

impl Ring {
    pub fn new() -> Self {
        Self {
            srrctl: 0x402,
            ..Self::default()
        }
    }

    /// A reset of the MAC; a fault that was asked for stays.
    pub fn reset(&mut self) {
        *self = Self {
            fault: self.fault,
            ..Self::new()
        };
    }

    pub fn enabled(&self) -> bool {
        self.rxdctl & RXDCTL_ENABLE != 0
    }

    pub fn drops(&self) -> bool {
        self.srrctl & SRRCTL_DROP_EN != 0
    }

    pub fn head(&self) -> u32 {
        self.head
    }

    pub fn tail(&self) -> u32 {
        self.tail
    }

    pub fn rxdctl(&self) -> u32 {
        self.rxdctl
    }

    pub fn srrctl(&self) -> u32 {
        self.srrctl
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

    pub fn set_srrctl(&mut self, v: u32) {
        self.srrctl = v;
    }

    pub fn set_rxdctl(&mut self, v: u32, now: u64) {
        let v = self.fault.enable(self.rxdctl, v & !RXDCTL_SWFLSH);
        self.rxdctl = match self.fault.late {
            true => self.late.write(self.rxdctl, v, self.fault.number, now),
            false => v,
        };
        self.forget();
    }

    /// What was to change by now.
    pub fn tick(&mut self, now: u64) {
        if let Some(v) = self.late.due(now) {
            self.rxdctl = v;
            self.forget();
        }
    }

    /// A queue that has stopped knows no buffer any more.
    fn forget(&mut self) {
        if !self.enabled() {
            self.held = None;
            self.prefetched.clear();
        }
    }

    /// Reads descriptors ahead, to write to their buffers whatever happens.
    pub fn prefetch(&mut self, dma: &Dma) {
        if !self.fault.babble || !self.enabled() || self.room() == 0 {
            return;
        }
        self.prefetched.clear();
        for i in 0..self.room().min(PREFETCH) {
            let at = self.at(self.head + i);
            self.prefetched.extend(dma.read_desc(at).map(|d| d[0]));
        }
    }

    /// Writes to all buffers it remembers; how many there are.
    pub fn babble(&self, dma: &Dma) -> usize {
        if !self.fault.babble {
            return 0;
        }
        for &addr in self.prefetched.iter().filter(|a| **a != 0) {
            let _ = dma.write(addr, &BABBLE.repeat(8));
        }
        self.prefetched.len()
    }

    /// Address of a descriptor.
    fn at(&self, i: u32) -> u64 {
        self.base.wrapping_add(u64::from(i % self.n.max(1)) * 16)
    }

    /// Descriptors the card may use now.
    pub fn room(&self) -> u32 {
        if self.n == 0 || self.head >= self.n || self.tail >= self.n {
            return 0;
        }
        (self.tail + self.n - self.head) % self.n
    }

    fn buffer(&self) -> usize {
        ((self.srrctl & 0x1f) as usize).max(1) * 1024
    }

    /// Can a frame of this length be written now?
    pub fn fits(&self, len: usize) -> bool {
        self.room() as usize * self.buffer() >= len
    }

    /// Writes a frame; the number of bytes that went to the driver.
    pub fn put(&mut self, dma: &Dma, frame: &[u8], v: &Verdict) -> Result<usize, Refused> {
        if !self.enabled() {
            return Err(Refused::Disabled);
        }
        // With stripping the tag leaves the frame and goes to the descriptor.
        let strip = v.vlan.is_some() && self.rxdctl & RXDCTL_VME != 0;
        let (front, rest) = match strip {
            true => (&frame[..12], &frame[16..]),
            false => (&frame[..0], frame),
        };
        let len = front.len() + rest.len();
        if !self.fits(len) {
            return Err(if self.drops() {
                Refused::NoDescriptor
            } else {
                Refused::Blocked
            });
        }
        let (mut status, mut tag) = (v.status, 0);
        if strip {
            status |= status::VP;
            tag = v.vlan.unwrap_or(0);
        }
        let size = self.buffer();
        let mut done = 0;
        while done < len {
            let here = (len - done).min(size);
            let at = self.at(self.head);
            if let Some([addr, _]) = dma.read_desc(at) {
                // Memory that is not there is counted by `dma`; the card carries on.
                let _ = write_range(dma, addr, front, rest, done, here);
            }
            done += here;
            let st = match done == len && !self.fault.noeop {
                true => status | status::DD | status::EOP,
                false => status::DD,
            };
            let shown = self.fault.length(here as u16);
            let back = [
                u64::from(v.info) | (u64::from(v.hash) << 32),
                u64::from(st) | (u64::from(shown) << 32) | (u64::from(tag) << 48),
            ];
            self.write_back(dma, at, back);
            self.head += 1;
            if self.head == self.n {
                self.head = 0;
            }
        }
        if self.fault.ghost {
            self.write_back_others(dma, self.tail);
        }
        if self.fault.early {
            self.write_back_others(dma, self.head);
        }
        Ok(len)
    }

    /// Says that a descriptor is done; or not, or later.
    fn write_back(&mut self, dma: &Dma, at: u64, back: [u64; 2]) {
        if self.fault.nodd {
            return;
        }
        if self.fault.order && self.held.is_none() {
            self.held = Some((at, back));
            return;
        }
        let _ = dma.write_desc(at, back);
        if let Some((at, back)) = self.held.take() {
            let _ = dma.write_desc(at, back);
        }
    }

    /// Says that eight descriptors from `first` on are done, which are not.
    fn write_back_others(&self, dma: &Dma, first: u32) {
        let st = u64::from(status::DD | status::EOP);
        for i in 0..8.min(self.n) {
            let _ = dma.write_desc(self.at(first + i), [0, st | (1500 << 32)]);
        }
    }
}

/// Writes bytes `from..from + n` of `a` followed by `b`.
fn write_range(dma: &Dma, addr: u64, a: &[u8], b: &[u8], from: usize, n: usize) -> bool {
    let k = a.len().saturating_sub(from).min(n);
    let skip = from.saturating_sub(a.len());
    (k == 0 || dma.write(addr, &a[from..from + k]))
        && dma.write(addr.wrapping_add(k as u64), &b[skip..skip + n - k])
}

#[cfg(test)]
mod tests {
    use super::*;

    pub const RING: u64 = 0x1000;
    pub const BUF: u64 = 0x10000;

    fn unit(n: u32, srrctl: u32) -> (Dma, Ring) {
        let dma = Dma::of_size(0x10_0000);
        let mut r = Ring::new();
        r.set_base_low(RING as u32);
        r.set_len(n * 16);
        r.set_srrctl(srrctl);
        for i in 0..u64::from(n) {
            assert!(dma.write_desc(RING + 16 * i, [BUF + i * 0x1000, 0]));
        }
        r.set_rxdctl(RXDCTL_ENABLE, 0);
        assert!(r.enabled());
        (dma, r)
    }

    fn desc(dma: &Dma, i: u64) -> (u32, u16, u16) {
        let d = dma.read_desc(RING + 16 * i).unwrap();
        (d[1] as u32, (d[1] >> 32) as u16, (d[1] >> 48) as u16)
    }

    #[test]
    fn one_descriptor() {
        let (dma, mut r) = unit(8, 0x0200_0002);
        r.set_tail(7);
        let v = Verdict {
            info: 0x217,
            hash: 0x1234_5678,
            status: 0x70,
            ..Verdict::default()
        };
        let frame: Vec<u8> = (0..100).collect();
        assert_eq!(r.put(&dma, &frame, &v), Ok(100));
        assert_eq!(dma.read_desc(RING).unwrap()[0], 0x1234_5678_0000_0217);
        assert_eq!(desc(&dma, 0), (0x73, 100, 0));
        let mut back = vec![0; 100];
        assert!(dma.read(BUF, &mut back));
        assert_eq!(back, frame);
        assert_eq!((r.head(), r.room()), (1, 6));
    }

    #[test]
    fn several_descriptors_and_only_the_last_ends_the_packet() {
        let (dma, mut r) = unit(8, 0x0200_0001);
        r.set_tail(7);
        let frame: Vec<u8> = (0..2500u32).map(|i| i as u8).collect();
        assert_eq!(r.put(&dma, &frame, &Verdict::default()), Ok(2500));
        assert_eq!(desc(&dma, 0), (1, 1024, 0));
        assert_eq!(desc(&dma, 1), (1, 1024, 0));
        assert_eq!(desc(&dma, 2), (3, 452, 0));
        let mut back = vec![0; 452];
        assert!(dma.read(BUF + 0x2000, &mut back));
        assert_eq!(back, frame[2048..]);
    }

    #[test]
    fn a_ring_without_room_drops_or_blocks() {
        let (dma, mut r) = unit(8, 0x0200_0002);
        r.set_tail(1);
        assert!(r.put(&dma, &[0; 60], &Verdict::default()).is_ok());
        assert_eq!(
            r.put(&dma, &[0; 60], &Verdict::default()),
            Err(Refused::Blocked)
        );
        r.set_srrctl(0x1200_0002);
        assert_eq!(
            r.put(&dma, &[0; 60], &Verdict::default()),
            Err(Refused::NoDescriptor)
        );
        r.set_tail(2);
        assert_eq!(
            r.put(&dma, &[0; 3000], &Verdict::default()),
            Err(Refused::NoDescriptor)
        );
        r.set_rxdctl(0, 0);
        assert_eq!(
            r.put(&dma, &[0; 60], &Verdict::default()),
            Err(Refused::Disabled)
        );
    }

    #[test]
    fn the_tag_is_stripped_where_the_queue_says_so() {
        let (dma, mut r) = unit(8, 0x0200_0001);
        r.set_tail(7);
        let mut frame: Vec<u8> = (0..2000u32).map(|i| i as u8).collect();
        frame[12..16].copy_from_slice(&[0x81, 0, 0x20, 7]);
        let v = Verdict {
            vlan: Some(0x2007),
            ..Verdict::default()
        };
        assert_eq!(r.put(&dma, &frame, &v), Ok(2000));
        assert_eq!(desc(&dma, 0).2, 0);
        r.set_rxdctl(RXDCTL_ENABLE | RXDCTL_VME, 0);
        assert_eq!(r.put(&dma, &frame, &v), Ok(1996));
        assert_eq!(desc(&dma, 3), (3 | status::VP, 972, 0x2007));
        let mut back = vec![0; 1024];
        assert!(dma.read(BUF + 0x2000, &mut back));
        assert_eq!(back[..12], frame[..12]);
        assert_eq!(back[12..], frame[16..1028]);
        assert!(dma.read(BUF + 0x3000, &mut back[..972]));
        assert_eq!(back[..972], frame[1028..]);
    }

    #[test]
    fn head_wraps_and_wrong_indices_are_no_room() {
        let (dma, mut r) = unit(8, 0x0200_0002);
        r.set_head(7);
        r.set_tail(3);
        assert_eq!(r.room(), 4);
        assert!(r.put(&dma, &[0; 60], &Verdict::default()).is_ok());
        assert_eq!(r.head(), 0);
        r.set_tail(8);
        assert_eq!(r.room(), 0);
        r.set_len(0);
        assert_eq!(r.room(), 0);
    }

    #[test]
    fn faults_hold_the_enable_bit() {
        let (_, mut r) = unit(8, 0x0200_0002);
        r.fault.stuck = true;
        r.set_rxdctl(0, 0);
        assert!(r.enabled());
        r.fault = RingFault::default();
        r.set_rxdctl(RXDCTL_SWFLSH, 0);
        assert_eq!(r.rxdctl(), 0);
        r.fault.dead = true;
        r.set_rxdctl(RXDCTL_ENABLE, 0);
        assert!(!r.enabled());
    }

    fn send(r: &mut Ring, dma: &Dma, n: usize) {
        for i in 0..n {
            assert!(r.put(dma, &[i as u8; 60], &Verdict::default()).is_ok());
        }
    }

    #[test]
    fn write_backs_are_left_out_or_come_in_the_wrong_order() {
        let (dma, mut r) = unit(8, 0x0200_0002);
        r.set_tail(7);
        r.fault.nodd = true;
        send(&mut r, &dma, 1);
        assert_eq!((desc(&dma, 0), r.head()), ((0, 0, 0), 1));
        r.fault = RingFault {
            order: true,
            ..RingFault::default()
        };
        send(&mut r, &dma, 1);
        assert_eq!(desc(&dma, 1), (0, 0, 0));
        send(&mut r, &dma, 1);
        assert_eq!((desc(&dma, 1), desc(&dma, 2)), ((3, 60, 0), (3, 60, 0)));
        r.fault = RingFault {
            noeop: true,
            ..RingFault::default()
        };
        send(&mut r, &dma, 1);
        assert_eq!(desc(&dma, 3), (1, 60, 0));
    }

    #[test]
    fn descriptors_are_written_back_that_are_not_done() {
        let (dma, mut r) = unit(32, 0x0200_0002);
        r.set_tail(20);
        r.fault.ghost = true;
        send(&mut r, &dma, 1);
        assert_eq!(
            (desc(&dma, 20), desc(&dma, 27)),
            ((3, 1500, 0), (3, 1500, 0))
        );
        assert_eq!((desc(&dma, 1), desc(&dma, 28)), ((0, 0, 0), (0, 0, 0)));
        r.fault = RingFault {
            early: true,
            ..RingFault::default()
        };
        send(&mut r, &dma, 1);
        assert_eq!((desc(&dma, 2), desc(&dma, 9)), ((3, 1500, 0), (3, 1500, 0)));
        assert_eq!(desc(&dma, 10), (0, 0, 0));
    }

    #[test]
    fn a_babbling_ring_writes_until_it_has_stopped() {
        let (dma, mut r) = unit(8, 0x0200_0002);
        r.set_tail(3);
        assert_eq!(r.babble(&dma), 0);
        (r.fault.babble, r.fault.stuck) = (true, true);
        r.prefetch(&dma);
        r.set_rxdctl(0, 0);
        r.set_tail(0);
        r.prefetch(&dma);
        assert_eq!(r.babble(&dma), 3);
        let mut b = [0; 8];
        assert!(dma.read(BUF + 0x2000, &mut b));
        assert_eq!(b, BABBLE);
        assert!(dma.read(BUF + 0x3000, &mut b));
        assert_eq!(b, [0; 8], "a buffer it was never given");
        r.reset();
        assert_eq!(r.babble(&dma), 0);
    }

    #[test]
    fn a_ring_stops_late() {
        let (_, mut r) = unit(8, 0x0200_0002);
        (r.fault.late, r.fault.number) = (true, 5);
        r.set_rxdctl(0, 100);
        r.tick(5_000_099);
        assert!(r.enabled());
        r.tick(5_000_100);
        assert!(!r.enabled());
    }
}
