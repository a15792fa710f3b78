// SPDX-License-Identifier: GPL-2.0
//! One receive descriptor ring: taking descriptors, writing data, writing back.
//!
//! The card owns the descriptors from head up to, not including, tail. A frame longer than the
//! buffers (SRRCTL.BSIZEPKT) spans several; only the last one says end-of-packet.

use super::parse::status;
use crate::dma::Dma;
use crate::faults::RingFault;

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

    pub fn set_rxdctl(&mut self, v: u32) {
        let was = self.rxdctl & RXDCTL_ENABLE;
        let mut v = v & !RXDCTL_SWFLSH;
        if self.fault.stuck && was != 0 {
            v |= RXDCTL_ENABLE;
        }
        if self.fault.dead {
            v &= !RXDCTL_ENABLE;
        }
        self.rxdctl = v;
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
            let at = self.base.wrapping_add(u64::from(self.head) * 16);
            if let Some([addr, _]) = dma.read_desc(at) {
                // Memory that is not there is counted by `dma`; the card carries on.
                let _ = write_range(dma, addr, front, rest, done, here);
            }
            done += here;
            let st = match done == len {
                true => status | status::DD | status::EOP,
                false => status::DD,
            };
            let shown = self.fault.length(here as u16);
            let back = [
                u64::from(v.info) | (u64::from(v.hash) << 32),
                u64::from(st) | (u64::from(shown) << 32) | (u64::from(tag) << 48),
            ];
            let _ = dma.write_desc(at, back);
            self.head += 1;
            if self.head == self.n {
                self.head = 0;
            }
        }
        Ok(len)
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
        r.set_rxdctl(RXDCTL_ENABLE);
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
        r.set_rxdctl(0);
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
        r.set_rxdctl(RXDCTL_ENABLE | RXDCTL_VME);
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
        r.set_rxdctl(0);
        assert!(r.enabled());
        r.fault = RingFault::default();
        r.set_rxdctl(RXDCTL_SWFLSH);
        assert_eq!(r.rxdctl(), 0);
        r.fault.dead = true;
        r.set_rxdctl(RXDCTL_ENABLE);
        assert!(!r.enabled());
    }
}
