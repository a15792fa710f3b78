// SPDX-License-Identifier: GPL-2.0

//! A TX ring between a program and a NIC that the test plays: what reaches the wire, and when slots
//! are the program's again.

use std::collections::VecDeque;

use crate::kring::tx::indices::Indices;
use crate::kring::tx::packet::{Fate, Walk};
use crate::nic::rx82599::Armed;
use crate::nic::tx82599::Export;
use crate::ring::{advance, distance, prev};
use crate::shm::{Shared, Slot, TxDesc};
use crate::uapi::{NS_BUF_CHANGED, NS_MOREFRAG, NS_REPORT};
use proptest::prelude::*;

const EOP: u64 = 1 << 24;
const RS: u64 = 1 << 27;

/// Bus address and length of each piece.
type Frame = Vec<(u64, u64)>;

/// A buffer that may not be sent.
const BAD: u32 = 0;

/// Where a buffer is.
fn bus(buf: u32) -> u64 {
    u64::from(buf) * 2048
}

/// A ring with both its ends.
struct Rig {
    at: Indices,
    slots: Vec<Slot>,
    descs: Vec<TxDesc>,
    known: Vec<Armed>,
    skipped: Vec<u16>,
    dropping: bool,
    total: Export,
    /// For each slot the NIC or a drop holds: has it a descriptor?
    held: VecDeque<bool>,
    wire: Vec<Frame>,
}

impl Rig {
    fn new(n: u32) -> Self {
        let slot = |_| Slot {
            buf_idx: Shared::new(0),
            len_flags: Shared::new(0),
            ptr: Shared::new(0),
        };
        let desc = |_| TxDesc {
            addr: Shared::new(0),
            cmd: Shared::new(0),
        };
        Rig {
            at: Indices::new(n),
            slots: (0..n).map(slot).collect(),
            descs: (0..n).map(desc).collect(),
            known: vec![Armed::new(1, bus(1)); n as usize],
            skipped: vec![0; n as usize],
            dropping: false,
            total: Export::default(),
            held: VecDeque::new(),
            wire: Vec::new(),
        }
    }

    fn room(&self) -> u32 {
        distance(self.at.rhead, self.at.hwtail, self.at.n)
    }

    /// The program fills a slot.
    fn fill(&mut self, buf: u32, len: u16, flags: u16) {
        assert_ne!(self.room(), 0);
        let slot = &self.slots[self.at.rhead as usize];
        slot.buf_idx.set(buf);
        slot.set_len_and_flags(len, flags);
        self.at.rhead = advance(self.at.rhead, 1, self.at.n);
    }

    /// Does `what` with the ring, and notes which slots it took.
    fn walk<R>(&mut self, what: impl FnOnce(&mut Walk<'_>, &mut Export) -> R) -> R {
        let Indices {
            n, hwcur, next_use, ..
        } = self.at;
        let mut walk = Walk {
            slots: &self.slots,
            descs: &self.descs,
            known: &mut self.known,
            at: &mut self.at,
            skipped: &mut self.skipped,
            dropping: &mut self.dropping,
            buf_size: 2048,
            offsets: None,
        };
        let result = what(&mut walk, &mut self.total);
        let took = distance(hwcur, self.at.hwcur, n);
        let written = distance(next_use, self.at.next_use, n);
        // All or none: packets with and without descriptors are never done together.
        assert!(written == took || written == 0);
        self.held.extend((0..took).map(|_| written != 0));
        result
    }

    /// One careful look of the kernel at the first packet.
    fn packet(&mut self) -> Fate {
        let filled = self.at.filled();
        let fate = self.walk(|walk, total| {
            walk.packet(total, |slot, known| {
                let buf = slot.buf_idx.get();
                (buf != BAD).then(|| {
                    *known = Armed::new(buf, bus(buf));
                    known.bus
                })
            })
        });
        assert_eq!(filled == self.at.filled(), fate == Fate::Waits);
        fate
    }

    /// All that can be sent or dropped is, as the kernel does it.
    fn sync(&mut self) {
        loop {
            self.walk(|walk, total| walk.plain(total, |_| ()));
            if self.at.filled() == 0 {
                break;
            }
            self.walk(|walk, total| walk.swapped(total, |buf| (buf != BAD).then(|| bus(buf))));
            if self.at.filled() == 0 || self.packet() == Fate::Waits {
                break;
            }
        }
        self.reclaim(self.at.next_clean);
    }

    /// The NIC sends whole packets, `count` at most.
    fn nic(&mut self, count: usize) {
        let mut head = self.at.next_clean;
        for _ in 0..count {
            if head == self.at.next_use {
                break;
            }
            let mut frame = Frame::new();
            let paylen = self.descs[head as usize].cmd.get() >> 46;
            loop {
                let desc = &self.descs[head as usize];
                frame.push((desc.addr.get(), desc.cmd.get() & 0xffff));
                head = advance(head, 1, self.at.n);
                if desc.cmd.get() & EOP != 0 {
                    break;
                }
                assert_ne!(head, self.at.next_use, "a packet without an end");
            }
            assert_eq!(paylen, frame.iter().map(|piece| piece.1).sum::<u64>());
            self.wire.push(frame);
        }
        self.reclaim(head);
    }

    /// Slots come back in order: up to the first whose descriptor is not done.
    fn reclaim(&mut self, head: u32) {
        let mut done = distance(self.at.next_clean, head, self.at.n);
        let mut back = 0;
        while let Some(&has_desc) = self.held.front() {
            if has_desc && done == 0 {
                break;
            }
            done -= u32::from(has_desc);
            back += 1;
            self.held.pop_front();
        }
        assert_eq!(self.at.reclaim(head, &mut self.skipped), back);
        self.check();
    }

    fn check(&self) {
        let held = self.held.len() as u32;
        let first = advance(self.at.hwtail, 1, self.at.n);
        assert_eq!(distance(first, self.at.hwcur, self.at.n), held);
    }
}

#[test]
fn a_fresh_ring_has_all_slots_but_one_to_fill() {
    let rig = Rig::new(512);
    assert_eq!((rig.at.hwcur, rig.at.hwtail, rig.room()), (0, 511, 511));
}

#[test]
fn a_packet_waits_for_its_end_and_keeps_its_slots_as_they_are() {
    let mut rig = Rig::new(8);
    rig.fill(1, 100, NS_MOREFRAG);
    rig.fill(1, 100, NS_MOREFRAG | NS_REPORT);
    assert_eq!(rig.packet(), Fate::Waits);
    assert_eq!(rig.slots[0].len_and_flags(), (100, NS_MOREFRAG));
    rig.fill(1, 100, 0);
    assert_eq!(rig.packet(), Fate::Sent);
    rig.nic(1);
    assert_eq!(rig.wire, [[(bus(1), 100); 3]]);
}

#[test]
fn flags_that_were_heeded_are_cleared_and_others_stay() {
    let mut rig = Rig::new(8);
    rig.fill(1, 100, NS_MOREFRAG | NS_BUF_CHANGED | 0x8000);
    rig.fill(1, 100, NS_REPORT | 0x10);
    rig.fill(0, 100, NS_REPORT);
    rig.sync();
    let flags: Vec<_> = rig.slots.iter().map(|s| s.len_and_flags()).collect();
    assert_eq!(flags[..3], [(100, 0x8000), (100, 0x10), (100, 0)]);
}

#[test]
fn a_report_is_asked_for_at_the_end_of_a_packet_that_wants_one() {
    let mut rig = Rig::new(8);
    rig.fill(1, 100, NS_MOREFRAG | NS_REPORT);
    rig.fill(1, 100, 0);
    rig.fill(1, 100, NS_BUF_CHANGED);
    rig.sync();
    let asks: Vec<_> = rig.descs.iter().map(|d| d.cmd.get() & RS != 0).collect();
    assert_eq!(asks[..3], [false, true, false]);
}

#[test]
fn a_ring_full_of_a_packet_without_end_does_not_hang() {
    let mut rig = Rig::new(8);
    (0..7).for_each(|_| rig.fill(1, 100, NS_MOREFRAG));
    assert_eq!(rig.packet(), Fate::Dropped);
    rig.sync();
    assert_eq!(rig.room(), 7);
    // Its rest goes the same way, what follows does not.
    rig.fill(1, 100, NS_MOREFRAG);
    rig.fill(1, 100, 0);
    rig.fill(1, 200, 0);
    assert_eq!(rig.packet(), Fate::Rest);
    assert_eq!(rig.packet(), Fate::Sent);
    rig.nic(1);
    assert_eq!(rig.wire, [[(bus(1), 200)]]);
}

#[test]
fn a_packet_with_a_bad_piece_is_dropped_whole_also_when_its_end_comes_later() {
    let mut rig = Rig::new(16);
    rig.fill(1, 100, NS_MOREFRAG);
    rig.fill(0, 100, NS_MOREFRAG);
    rig.sync();
    rig.fill(1, 100, NS_MOREFRAG);
    rig.sync();
    rig.fill(1, 100, 0);
    rig.fill(1, 300, 0);
    rig.sync();
    rig.nic(9);
    assert_eq!(rig.wire, [[(bus(1), 300)]]);
}

#[test]
fn dropped_slots_come_back_behind_those_that_are_still_being_sent() {
    let mut rig = Rig::new(8);
    rig.fill(1, 100, 0);
    rig.fill(0, 100, 0);
    rig.fill(1, 100, 0);
    rig.fill(0, 100, 0);
    rig.sync();
    assert_eq!(rig.room(), 3);
    rig.nic(1);
    assert_eq!(rig.room(), 5);
    rig.nic(1);
    assert_eq!(rig.room(), 7);
}

#[test]
fn dropped_slots_come_back_at_once_when_nothing_is_being_sent() {
    let mut rig = Rig::new(8);
    (0..7).for_each(|_| rig.fill(0, 100, 0));
    rig.sync();
    assert_eq!(rig.room(), 7);
}

#[test]
fn a_head_that_no_card_reports_changes_nothing() {
    let mut rig = Rig::new(8);
    (0..3).for_each(|_| rig.fill(1, 100, 0));
    rig.sync();
    let before = rig.at;
    for head in [4, 7, 8, u32::MAX] {
        assert_eq!(rig.at.reclaim(head, &mut rig.skipped), 0);
        assert_eq!(rig.at, before);
    }
}

#[test]
fn a_restart_gives_back_what_was_being_sent_and_keeps_what_was_not_looked_at() {
    let mut rig = Rig::new(8);
    rig.fill(1, 100, 0);
    rig.fill(0, 100, 0);
    rig.fill(1, 100, 0);
    rig.sync();
    rig.fill(1, 100, NS_MOREFRAG);
    rig.sync();
    rig.at.restart(&mut rig.skipped);
    rig.held.clear();
    assert_eq!((rig.at.hwcur, rig.at.rhead, rig.at.hwtail), (3, 4, 2));
    rig.fill(1, 200, 0);
    rig.sync();
    rig.nic(1);
    assert_eq!(rig.wire, [[(bus(1), 100), (bus(1), 200)]]);
    assert_eq!(rig.at.hwtail, prev(rig.at.hwcur, 8));
}

#[test]
fn the_end_of_a_dropped_packet_is_not_taken_for_a_packet() {
    let mut rig = Rig::new(8);
    rig.fill(BAD, 100, NS_MOREFRAG);
    rig.sync();
    // Alone it would be as plain as can be.
    rig.fill(1, 100, 0);
    rig.fill(1, 200, 0);
    rig.sync();
    rig.nic(9);
    assert_eq!(rig.wire, [[(bus(1), 200)]]);
}

#[test]
fn packets_in_other_buffers_are_sent_from_there_and_known_from_then_on() {
    let mut rig = Rig::new(8);
    rig.fill(7, 100, NS_BUF_CHANGED);
    rig.fill(1, 100, 0);
    rig.fill(8, 100, 0);
    let swaps = rig.walk(|walk, total| walk.swapped(total, |buf| Some(bus(buf))));
    assert_eq!((swaps, rig.at.filled()), (2, 0));
    assert_eq!(
        rig.known[..3],
        [7, 1, 8].map(|buf| Armed::new(buf, bus(buf)))
    );
    assert_eq!(rig.slots[0].len_and_flags(), (100, 0));
    rig.nic(9);
    assert_eq!(rig.wire, [7, 1, 8].map(|buf| [(bus(buf), 100)]));
}

#[test]
fn a_packet_in_a_buffer_that_may_not_be_sent_or_with_a_wish_is_left_to_the_careful_path() {
    for (buf, len, flags) in [
        (BAD, 100, 0),
        (7, 100, NS_REPORT),
        (7, 100, NS_MOREFRAG),
        (7, 16, 0),
        (7, 2049, 0),
    ] {
        let mut rig = Rig::new(8);
        rig.fill(buf, len, flags);
        let locate = |buf| (buf != BAD).then(|| bus(buf));
        assert_eq!(rig.walk(|walk, total| walk.swapped(total, locate)), 0);
        assert_eq!(rig.at.filled(), 1);
        assert_eq!(rig.slots[0].len_and_flags(), (len, flags));
    }
}

/// A slot as the program fills it.
#[derive(Clone, Copy, Debug)]
struct Fill {
    buf: u32,
    len: u16,
    flags: u16,
}

/// What the test lets happen.
#[derive(Clone, Debug)]
enum Event {
    Fill(Fill),
    Sync,
    Nic(usize),
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    let buf = prop_oneof![20 => Just(1u32), 8 => 2u32..5, 1 => Just(BAD)];
    let len = prop_oneof![20 => 14u16..2049, 1 => 0u16..14, 1 => 2049u16..];
    let flags = prop_oneof![
        10 => Just(0),
        7 => Just(NS_MOREFRAG),
        2 => Just(NS_BUF_CHANGED),
        1 => Just(NS_REPORT),
        1 => Just(NS_MOREFRAG | NS_REPORT | NS_BUF_CHANGED),
    ];
    let fill = (buf, len, flags).prop_map(|(buf, len, flags)| Fill { buf, len, flags });
    prop_oneof![
        12 => fill.prop_map(Event::Fill),
        2 => Just(Event::Sync),
        3 => (1usize..6).prop_map(Event::Nic),
        1 => Just(Event::Restart),
    ]
}

/// The frames that a row of filled slots should make.
fn expected(n: u32, slots: &[Fill]) -> Vec<Frame> {
    let most = 38.min(n as usize - 1);
    let (mut frames, mut frame) = (Vec::new(), Vec::new());
    for &slot in slots {
        frame.push(slot);
        if slot.flags & NS_MOREFRAG != 0 {
            continue;
        }
        let frame = std::mem::take(&mut frame);
        let bytes: u64 = frame.iter().map(|p| u64::from(p.len)).sum();
        let good = |p: &Fill| p.buf != BAD && (1..=2048).contains(&p.len);
        if frame.len() <= most && frame.iter().all(good) && (14..=15868).contains(&bytes) {
            let short = 17u64.saturating_sub(bytes);
            let piece = |p: &Fill| (bus(p.buf), u64::from(p.len));
            let mut pieces: Frame = frame.iter().map(piece).collect();
            pieces.last_mut().unwrap().1 += short;
            frames.push(pieces);
        }
    }
    frames
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn good_packets_reach_the_wire_in_order_and_all_slots_come_back(
        n in 2u32..70, events in proptest::collection::vec(event(), 0..400)
    ) {
        let mut rig = Rig::new(n);
        let mut slots = Vec::new();
        let end = [Event::Sync, Event::Nic(1000)];
        for event in events.into_iter().chain(end) {
            match event {
                Event::Fill(fill) if rig.room() != 0 => {
                    rig.fill(fill.buf, fill.len, fill.flags);
                    slots.push(fill);
                }
                Event::Fill(_) | Event::Sync => rig.sync(),
                Event::Nic(count) => rig.nic(count),
                Event::Restart => {
                    // What was being sent counts as sent here.
                    rig.nic(1000);
                    rig.at.restart(&mut rig.skipped);
                    rig.check();
                }
            }
        }
        prop_assert_eq!(rig.at.in_flight(), 0);
        prop_assert_eq!(rig.at.hwtail, prev(rig.at.hwcur, n));
        prop_assert!(rig.skipped.iter().all(|&skipped| skipped == 0));
        prop_assert_eq!(rig.total.packets as usize, rig.wire.len());
        prop_assert_eq!(&rig.wire, &expected(n, &slots));
        // Only the beginning of a packet may be left.
        prop_assert!(rig.at.filled() == 0 || slots.last().unwrap().flags & NS_MOREFRAG != 0);
    }
}
