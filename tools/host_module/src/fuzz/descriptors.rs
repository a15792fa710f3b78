// SPDX-License-Identifier: GPL-2.0

//! The per-packet loops of both directions, between a hostile program's slots and a hostile card's
//! descriptors. Memory is checked by where each descriptor ends up pointing.

use super::bytes::Bytes;
use crate::kring::options::Offsets;
use crate::kring::tx::indices::Indices;
use crate::kring::tx::packet::{Fate, Walk};
use crate::nic::rx82599::meta::{describe, Ask};
use crate::nic::rx82599::{import, refill, Armed, Import};
use crate::nic::tx82599::Export;
use crate::ring::distance;
use crate::shm::{RxDesc, RxMeta, Shared, Slot, TxDesc};

const SIZE: u32 = 2048;
/// Buffers there are: others are refused.
const BUFS: u32 = 64;

fn bus(buf: u32) -> u64 {
    0x10_0000 + u64::from(buf) * u64::from(SIZE)
}

fn slots(b: &mut Bytes<'_>, n: u32) -> Vec<Slot> {
    let slot = |i| {
        let buf = if b.u8() & 3 == 0 { b.odd_u32() } else { 2 + i };
        let len = if b.u8() & 3 == 0 {
            b.u32()
        } else {
            u32::from(b.u16() % 2100)
        };
        let ptr = if b.u8() & 7 == 0 { b.u64() } else { 0 };
        Slot {
            buf_idx: Shared::new(buf),
            len_flags: Shared::new(len),
            ptr: Shared::new(ptr),
        }
    };
    (0..n).map(slot).collect()
}

fn offsets(b: &mut Bytes<'_>) -> Option<Offsets> {
    let asked = b.u8() & 1 != 0;
    let (bits, max, initial) = (u32::from(b.u8() % 70), b.odd_u64(), b.odd_u64());
    if asked {
        Offsets::agree(bits, max, initial, SIZE - 1024)
    } else {
        None
    }
}

pub fn run(data: &[u8]) {
    let mut b = Bytes::new(data);
    match b.flip() {
        true => receive(&mut b),
        false => send(&mut b),
    }
}

struct Nobody;

impl Ask for Nobody {
    fn vlan(&mut self, first: usize) -> Option<u16> {
        (first % 2 == 0).then_some(7)
    }
    fn timestamp(&mut self) -> Option<u64> {
        Some(1)
    }
}

fn receive(b: &mut Bytes<'_>) {
    let n = 1 + b.below(32);
    let options = offsets(b);
    let size = SIZE - options.map_or(0, |o| o.max).next_multiple_of(1024);
    let slots = slots(b, n as u32);
    let armed: Vec<_> = (0..n as u32)
        .map(|i| {
            if b.u8() == 0 {
                Armed::NONE
            } else {
                Armed::new(2 + i, bus(2 + i))
            }
        })
        .collect();
    let descs: Vec<_> = (0..n)
        .map(|_| RxDesc {
            lo: Shared::new(b.u64()),
            hi: Shared::new(b.odd_u64() | u64::from(b.u8() & 3)),
        })
        .collect();
    let done = |d: &RxDesc| d.hi.get() & 1 != 0;
    let eop = |d: &RxDesc| d.hi.get() & 2 != 0;
    let first = descs.iter().position(|d| !done(d)).unwrap_or(n);
    let mut total = Import::default();
    assert_eq!(import(&descs, &slots, &armed, size, &mut total), first);
    let complete = descs[..first].iter().rposition(eop).map_or(0, |i| i + 1);
    assert_eq!(total.complete as usize, complete);
    let bytes: u64 = slots[..complete]
        .iter()
        .map(|s| u64::from(s.len_and_flags().0))
        .sum();
    assert_eq!(total.bytes, bytes);
    for (slot, armed) in slots[..first].iter().zip(&armed) {
        assert!(
            u32::from(slot.len_and_flags().0) <= size,
            "longer than its buffer"
        );
        assert_eq!(slot.buf_idx.get(), armed.buf().unwrap_or(u32::MAX));
    }
    let entry = || RxMeta {
        tstamp_ns: Shared::new(0),
        hash: Shared::new(0),
        vlan_ptype: Shared::new(0),
        flags: Shared::new(!0),
        spare: [Shared::new(0), Shared::new(0), Shared::new(0)],
    };
    let entries: Vec<_> = (0..complete).map(|_| entry()).collect();
    assert_eq!(
        describe(&descs[..complete], &entries, 0, 0, &mut Nobody),
        complete
    );
    for (entry, desc) in entries.iter().zip(&descs) {
        assert_eq!(entry.flags.get() != 0, eop(desc));
    }
    // The program writes once more, and releases.
    for slot in &slots {
        if b.u8() & 7 == 0 {
            slot.buf_idx.set(b.odd_u32());
        }
        slot.ptr.set(b.u64());
    }
    let mut bad = 0;
    let armed_again = match &options {
        None => refill(&descs, &slots, &armed, |_| 0),
        Some(o) => refill(&descs, &slots, &armed, |s| o.wanted(s, &mut bad)),
    };
    for (i, desc) in descs[..armed_again].iter().enumerate() {
        let (at, own) = (desc.lo.get(), bus(2 + i as u32));
        assert_eq!(desc.hi.get(), 0);
        let inside = at >= own && at + u64::from(size) <= own + u64::from(SIZE);
        assert!(inside, "the card would write outside the slot's buffer");
    }
}

fn send(b: &mut Bytes<'_>) {
    let n = 2 + b.below(80) as u32;
    let options = offsets(b);
    let slots = slots(b, n);
    let descs: Vec<_> = (0..n)
        .map(|_| TxDesc {
            addr: Shared::new(!0),
            cmd: Shared::new(!0),
        })
        .collect();
    let mut known: Vec<_> = (0..n)
        .map(|i| Armed::new(2 + i % 60, bus(2 + i % 60)))
        .collect();
    let mut skipped = vec![0; n as usize];
    let (mut at, mut dropping, mut total) = (Indices::new(n), false, Export::default());
    let locate = |buf: u32| (2..BUFS).contains(&buf).then(|| bus(buf));
    for _ in 0..12 {
        // The program fills, the kernel sends, the card reports.
        at.rhead = (at.rhead + b.below(distance(at.rhead, at.hwtail, n) as usize + 1) as u32) % n;
        let from = at.next_use;
        loop {
            let before = at.filled();
            let mut walk = Walk {
                slots: &slots,
                descs: &descs,
                known: &mut known,
                at: &mut at,
                skipped: &mut skipped,
                dropping: &mut dropping,
                buf_size: SIZE,
                offsets: options.as_ref(),
            };
            walk.plain(&mut total, |_| ());
            walk.swapped(&mut total, locate);
            if walk.at.filled() == 0 {
                break;
            }
            let fate = walk.packet(&mut total, |slot, known| {
                let buf = slot.buf_idx.get();
                let bus = locate(buf)?;
                *known = Armed::new(buf, bus);
                Some(bus)
            });
            if fate == Fate::Waits {
                break;
            }
            assert!(walk.at.filled() < before, "no way on");
        }
        sent(&descs, from, at.next_use, n);
        if b.u8() & 15 == 0 {
            at.restart(&mut skipped);
        }
        let head = match b.u8() & 3 {
            0 => b.odd_u32(),
            _ => (at.next_clean + b.below(at.in_flight() as usize + 1) as u32) % n,
        };
        at.reclaim(head, &mut skipped);
        let below = [at.rhead, at.hwcur, at.hwtail, at.next_clean, at.next_use];
        assert!(below.iter().all(|i| *i < n));
        assert!(at.in_flight() < n && at.filled() < n);
        for slot in &slots {
            if b.u8() & 7 == 0 {
                slot.len_flags.set(b.odd_u32());
                slot.buf_idx.set(b.odd_u32());
            }
        }
    }
}

/// What the card is told of is whole packets, each piece within a buffer.
fn sent(descs: &[TxDesc], from: u32, to: u32, n: u32) {
    let (mut bytes, mut pieces, mut whole) = (0, 0, 0);
    for i in 0..distance(from, to, n) {
        let desc = &descs[((from + i) % n) as usize];
        let (addr, cmd) = (desc.addr.get(), desc.cmd.get());
        let len = cmd & 0xffff;
        let buf = (addr - bus(0)) / u64::from(SIZE);
        assert!((2..u64::from(BUFS)).contains(&buf), "in no buffer");
        let room = bus(buf as u32 + 1) - addr;
        assert!(len != 0 && len <= room, "beyond its buffer");
        if pieces == 0 {
            whole = cmd >> 46;
        }
        (bytes, pieces) = (bytes + len, pieces + 1);
        assert!(pieces <= 38 && bytes <= 15868);
        if cmd & (1 << 24) != 0 {
            assert_eq!(bytes, whole);
            (bytes, pieces) = (0, 0);
        }
    }
    assert_eq!(pieces, 0, "a packet without an end");
}
