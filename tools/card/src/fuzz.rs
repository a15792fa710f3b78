// SPDX-License-Identifier: GPL-2.0
//! A guest that does anything: random register accesses, descriptors and frames. The card must
//! never panic, never write outside the guest's memory, and never lose count of a frame.

use crate::card::Card;
use crate::dma::Dma;
use crate::rx::MIN_FRAME;
use crate::wire::Outbox;

const MEMORY: u64 = 0x40_0000;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// Values that matter: small, huge, an address inside memory, or anything.
    fn value(&mut self) -> u32 {
        match self.below(5) {
            0 => self.below(64) as u32,
            1 => !0,
            2 => self.below(MEMORY) as u32 & !0x7f,
            3 => 1 << self.below(32),
            _ => self.next() as u32,
        }
    }

    /// Registers that matter: those of the first queues, the port's, or any.
    fn register(&mut self) -> u32 {
        match self.below(6) {
            0 => 0x1000 + 0x40 * self.below(4) as u32 + 4 * self.below(11) as u32,
            1 => 0x6000 + 0x40 * self.below(4) as u32 + 4 * self.below(11) as u32,
            2 => [0x3000, 0x5080, 0x4a80, 0x4240, 0x5818, 0xee00, 0xee2c][self.below(7) as usize],
            3 => 0xee00 + 4 * self.below(32) as u32,
            4 => 0x0800 + 4 * self.below(256) as u32,
            _ => 4 * self.below(0x20000) as u32,
        }
    }

    fn frame(&mut self) -> Vec<u8> {
        let mut f: Vec<u8> = (0..MIN_FRAME as u64 + self.below(3000))
            .map(|_| self.next() as u8)
            .collect();
        let kind = [0x0800u16, 0x86dd, 0x8100, 0x0806][self.below(4) as usize];
        f[12..14].copy_from_slice(&kind.to_be_bytes());
        f[14] = [0x45, 0x46, 0x60, 0x00][self.below(4) as usize];
        if self.below(2) == 0 {
            f[..6].fill(0xff);
        }
        f
    }
}

fn run(seed: u64, steps: u32) {
    let mut r = Random(seed);
    let mut card = Card::new([2, 0, 0, 0, 0, 1], true);
    card.dma = Dma::of_size(MEMORY);
    let mut out = Outbox::default();
    let mut offered = 0;
    for step in 0..steps {
        let now = u64::from(step) * 500;
        match r.below(10) {
            0..=4 => {
                let (at, v) = (r.register(), r.value());
                card.write(at, v, now);
            }
            5 => {
                let at = r.register();
                card.read(at);
            }
            6 => {
                let v = [r.value() as u64, r.next()];
                let _ = card.dma.write_desc(r.below(MEMORY / 16) * 16, v);
            }
            7 | 8 => {
                card.receive(&r.frame());
                offered += 1;
                card.after_rx(now);
            }
            _ => {
                card.drain(64, now);
                card.transmit(64, &mut out, now);
                out.clear();
            }
        }
    }
    let c = &card.counters;
    let taken = c.rx_packets + c.rx_missed + c.rx_filtered + c.rx_off + c.rx_oversize + c.rx_crc;
    // The bench's doorbell and loopback add frames of the card's own.
    assert!(taken + c.fdir_drop >= offered, "{taken} of {offered}");
    let to_queues: u64 = c
        .rxq
        .iter()
        .map(|q| q.packets + q.drop_nodesc + q.drop_disabled)
        .sum();
    assert!(to_queues <= c.rx_packets);
}

#[test]
fn anything_goes() {
    for seed in 1..=20u64 {
        run(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15), 20_000);
    }
}
