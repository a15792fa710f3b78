// SPDX-License-Identifier: GPL-2.0
//! The memory a program may write, area by area, and hostile values for each.
//!
//! Most writes go into slots: a ring whose pointers are always nonsense is only ever reset, and
//! what comes behind the check of the pointers would never be reached.

use super::open::Target;
use crate::abi::shm;
use crate::mem::{Mem, Ring};
use crate::rng::Rng;
use std::sync::Arc;

/// A kind of memory of one file.
pub enum Area<'a> {
    Slots {
        ring: &'a Ring,
        bufs: &'a [u32],
    },
    /// head, cur, tail.
    Pointers(&'a Ring),
    /// The rest of a ring's header.
    Header(&'a Ring),
    /// Words at an offset: a `netmap_if`, metadata, an array of a CSB.
    Words {
        mem: &'a Mem,
        at: usize,
        len: usize,
    },
    /// Bytes of buffers, their first word above all: extra buffers are chained through it.
    Bytes {
        ring: &'a Ring,
        bufs: &'a [u32],
    },
}

/// Everything the program may write.
pub fn of(targets: &[Target]) -> Vec<Area<'_>> {
    let mut all = Vec::new();
    for t in targets {
        let mem: &Arc<Mem> = &t.mem;
        for ring in &t.rings {
            for _ in 0..4 {
                all.push(Area::Slots {
                    ring,
                    bufs: &t.bufs,
                });
            }
            all.push(Area::Pointers(ring));
            all.push(Area::Header(ring));
            all.push(Area::Bytes {
                ring,
                bufs: &t.bufs,
            });
            if t.meta != 0 {
                let (at, len) = (ring.off + t.meta, 32 * ring.n as usize);
                // TX rings have none; what is behind them is theirs all the same
                if ring.mem.get::<u16>(ring.off + shm::RING_DIR) == 0 {
                    all.push(Area::Words { mem, at, len });
                }
            }
        }
        let places = t.nif.tx_rings() + t.nif.host_tx() + t.nif.rx_rings() + t.nif.host_rx();
        all.push(Area::Words {
            mem,
            at: t.nif.off,
            len: shm::IF_RING_OFS + 8 * places,
        });
        if let Some(csb) = &t.csb {
            let len = 64 * t.rings.len();
            for (at, weight) in [(0, t.rings.len() * 4), (4096, 1)] {
                for _ in 0..weight {
                    all.push(Area::Words {
                        mem: &csb.mem,
                        at,
                        len,
                    });
                }
            }
        }
    }
    all
}

/// Writes over some area for a moment; how many values.
pub fn scribble(areas: &[Area<'_>], rng: &mut Rng) -> u64 {
    match &areas[rng.below(areas.len())] {
        Area::Slots { ring, bufs } => {
            for _ in 0..256 {
                slot(ring, bufs, rng);
            }
            256
        }
        Area::Pointers(ring) => {
            for _ in 0..4 {
                let at = rng.pick(&[shm::RING_HEAD, shm::RING_CUR, shm::RING_TAIL]);
                ring.mem.set(ring.off + at, rng.nasty32(ring.n));
            }
            4
        }
        Area::Header(ring) => {
            for _ in 0..8 {
                // head, cur and tail are between the two halves
                let at = rng.pick(&[0, 4, 8, 12, 16, 32, 36, 40, 48, 56, 64, 128, 252]);
                ring.mem.set(ring.off + at, rng.nasty32(ring.n));
            }
            8
        }
        Area::Words { mem, at, len } => {
            for _ in 0..16 {
                mem.set(at + rng.below(len / 4) * 4, rng.nasty32(512));
            }
            16
        }
        Area::Bytes { ring, bufs } => {
            if bufs.is_empty() {
                return 0;
            }
            for _ in 0..32 {
                let buf = ring.buf_off(rng.pick(bufs));
                let word = if rng.one_in(2) { 0 } else { rng.below(32) };
                let value = match rng.below(3) {
                    0 => rng.pick(bufs),
                    _ => rng.nasty32(1024),
                };
                ring.mem.set(buf + 4 * word, value);
            }
            32
        }
    }
}

/// One field of a slot.
fn slot(ring: &Ring, bufs: &[u32], rng: &mut Rng) {
    let o = ring.slot_off(rng.below(ring.n as usize) as u32);
    match rng.below(5) {
        // Another slot's buffer, or an extra one: what a bridge does, and what a thief does.
        0 if !bufs.is_empty() => ring.mem.set(o, rng.pick(bufs)),
        0 | 1 => ring.mem.set(o, rng.nasty32(4096)),
        2 => {
            let len = match rng.below(3) {
                0 => 60 + rng.below(1455) as u16,
                1 => rng.pick(&[0, 1, 13, 14, 16, 17, 2047, 2048, 2049, 4096, 16384]),
                _ => rng.nasty32(2048) as u16,
            };
            ring.mem.set(o + shm::SLOT_LEN, len);
        }
        3 => {
            // whole frames, chains, everything
            let flags = match rng.below(4) {
                0 => 0,
                1 => rng.pick(&[0x20, 1, 2, 4, 3, 0x21]),
                _ => rng.next() as u16,
            };
            ring.mem.set(o + shm::SLOT_FLAGS, flags);
        }
        _ => {
            let ptr = match rng.below(2) {
                0 => rng.below(600) as u64,
                _ => rng.nasty64(),
            };
            ring.mem.set(o + 8, ptr);
        }
    }
}
