// SPDX-License-Identifier: MIT OR Apache-2.0
//! Both ends of a ring against each other, in memory.

use crate::abi::{NS_BUF_CHANGED, NS_MOREFRAG};
use crate::rx::{RxRing, Shape};
use crate::testing::{FakeRing, BUF};
use crate::tx::{PushError, TxRing};

fn rx(ring: &FakeRing) -> RxRing<'_> {
    RxRing {
        geo: &ring.geo,
        taken: &ring.taken,
    }
}

fn tx(ring: &FakeRing) -> TxRing<'_> {
    TxRing::new(&ring.geo, &ring.taken)
}

#[test]
fn a_walk_releases_what_it_saw() {
    let ring = FakeRing::new(8, 1);
    ring.place(6, 2);
    for (i, n) in [6u32, 7, 0, 1].into_iter().enumerate() {
        ring.deliver(n, &[i as u8; 10][..i + 1], false);
    }
    let mut r = rx(&ring);
    let seen: Vec<_> = r
        .acquire()
        .slots()
        .map(|s| (s.len(), s.payload().to_vec()))
        .collect();
    assert_eq!(seen[0], (1, vec![0]));
    assert_eq!(seen[3], (4, vec![3; 4]));
    assert_eq!(ring.pointers(), (2, 2));
}

#[test]
fn a_walk_that_stops_keeps_the_rest() {
    let ring = FakeRing::new(8, 1);
    ring.place(0, 5);
    let mut r = rx(&ring);
    let mut batch = r.acquire();
    assert_eq!(batch.len(), 5);
    assert_eq!(batch.slots().take(2).count(), 2);
    assert_eq!(batch.len(), 3);
    drop(batch);
    assert_eq!(ring.pointers(), (2, 5));
    r.acquire().hold();
    assert_eq!(ring.pointers(), (2, 5));
}

#[test]
fn fold_and_next_agree_at_every_position() {
    for head in 0..8 {
        for tail in 0..8 {
            let ring = FakeRing::new(8, 1);
            for i in 0..8 {
                ring.deliver(i, &vec![0; i as usize], false);
            }
            let mut by_next = Vec::new();
            ring.place(head, tail);
            for s in rx(&ring).acquire().slots() {
                by_next.push(s.len());
            }
            assert_eq!(ring.pointers(), (tail, tail));
            let mut by_fold = Vec::new();
            ring.place(head, tail);
            rx(&ring)
                .acquire()
                .slots()
                .for_each(|s| by_fold.push(s.len()));
            assert_eq!(ring.pointers(), (tail, tail));
            assert_eq!(by_next, by_fold, "{head} {tail}");
            assert_eq!(by_next.len() as u32, (tail + 8 - head) % 8);
        }
    }
}

#[test]
fn hostile_pointers_and_slots_stay_in_bounds() {
    let ring = FakeRing::new(8, 1);
    ring.place(0, 99);
    assert!(rx(&ring).acquire().is_empty());
    ring.place(0, 2);
    ring.deliver(0, &[1; 4], false);
    ring.geo.slot(0).set_buf_idx(u32::MAX);
    ring.geo.slot(1).set_len(u16::MAX);
    let lens: Vec<_> = rx(&ring)
        .acquire()
        .slots()
        .map(|s| s.payload().len())
        .collect();
    assert_eq!(lens, [0, BUF]);
}

#[test]
fn a_packet_of_several_slots_is_counted_when_complete() {
    let ring = FakeRing::new(8, 1);
    ring.place(6, 0);
    ring.deliver(6, &[1; 8], true);
    ring.deliver(7, &[1; 8], true);
    let mut r = rx(&ring);
    assert_eq!(r.acquire().slots().peek_packet(), None);
    ring.place(6, 1);
    ring.deliver(0, &[1; 8], false);
    let shape = r.acquire().slots().peek_packet();
    assert_eq!(
        shape,
        Some(Shape {
            slots: 3,
            bytes: 24
        })
    );
    ring.place(1, 1);
    assert_eq!(r.acquire().slots().peek_packet(), None);
}

#[test]
fn putting_back_swaps_buffers() {
    let (nic, host) = (FakeRing::new(8, 1), FakeRing::new(4, 1));
    nic.place(0, 1);
    host.place(0, 3);
    nic.deliver(0, b"query", false);
    let mut t = tx(&host);
    assert_eq!(t.space(), 3);
    let mut r = rx(&nic);
    for slot in r.acquire().slots() {
        assert!(t.forward(slot).is_ok());
    }
    assert_eq!(host.pointers().0, 0, "not visible before it is published");
    drop(t);
    assert_eq!(host.pointers(), (1, 3));
    let (n, h) = (nic.geo.slot(0), host.geo.slot(0));
    // The two fakes number their buffers alike, so the swap shows in the flags.
    assert_eq!(n.flags() & NS_BUF_CHANGED, NS_BUF_CHANGED);
    assert_eq!(h.flags() & NS_BUF_CHANGED, NS_BUF_CHANGED);
    assert_eq!(h.len(), 5);
    assert!(!host.taken.load(std::sync::atomic::Ordering::Relaxed));
}

#[test]
fn putting_back_across_regions_copies() {
    let (nic, host) = (FakeRing::new(8, 1), FakeRing::new(4, 2));
    nic.place(0, 1);
    host.place(0, 3);
    nic.deliver(0, b"query", true);
    let mut r = rx(&nic);
    let mut t = tx(&host);
    for slot in r.acquire().slots() {
        assert!(t.forward(slot).is_ok());
    }
    drop(t);
    assert_eq!(host.content(0), b"query");
    assert_eq!(host.geo.slot(0).flags(), crate::abi::NS_MOREFRAG);
    assert_eq!(nic.geo.slot(0).flags() & NS_BUF_CHANGED, 0);
}

#[test]
fn a_full_ring_hands_the_slot_back() {
    let (nic, host) = (FakeRing::new(8, 1), FakeRing::new(4, 1));
    nic.place(0, 4);
    host.place(0, 3);
    let mut r = rx(&nic);
    let mut t = tx(&host);
    let refused = r
        .acquire()
        .slots()
        .map(|s| t.forward(s))
        .filter(Result::is_err)
        .count();
    assert_eq!(refused, 1);
    assert_eq!(t.push(b"x"), Err(PushError::Full));
    host.place(3, 2);
    t.refresh();
    assert_eq!(t.push(&[0; 3 * BUF + 1]), Err(PushError::TooLong));
    assert_eq!(t.push(b"late"), Ok(()));
    drop(t);
    assert_eq!(host.content(3), b"late");
    assert_eq!(host.pointers(), (0, 2));
}

#[test]
fn counting_knows_packets_from_slots() {
    let ring = FakeRing::new(8, 1);
    ring.place(6, 3);
    for (i, more) in [(6, false), (7, true), (0, true), (1, false), (2, false)] {
        ring.deliver(i, &[1; 100], more);
    }
    assert_eq!(rx(&ring).acquire().slots().count(), (3, 500));
    assert_eq!(ring.pointers(), (3, 3));
}

/// Eight slots: single packets "a" "b", a long one of three slots, single "c".
fn mixed(mem_id: u16) -> FakeRing {
    let nic = FakeRing::new(8, mem_id);
    nic.place(5, 3);
    nic.deliver(5, b"a", false);
    nic.deliver(6, b"b", false);
    nic.deliver(7, b"long", true);
    nic.deliver(0, b"long", true);
    nic.deliver(1, b"end", false);
    nic.deliver(2, b"c", false);
    nic
}

#[test]
fn chosen_packets_are_forwarded_whole() {
    for mem_id in [1, 2] {
        let (nic, host) = (mixed(1), FakeRing::new(8, mem_id));
        host.place(6, 5);
        let mut seen = Vec::new();
        let mut t = tx(&host);
        let mut r = rx(&nic);
        let tally = t.forward_where(&mut r.acquire().slots(), |slot, len| {
            seen.push((slot.payload()[0], len));
            slot.payload() != b"b"
        });
        drop((t, r));
        assert_eq!(seen, [(b'a', 1), (b'b', 1), (b'l', 11), (b'c', 1)]);
        assert_eq!((tally.packets, tally.bytes, tally.forwarded), (4, 14, 3));
        assert_eq!(host.pointers(), (3, 5));
        assert_eq!(nic.pointers(), (3, 3));
        let lens: Vec<u16> = [6, 7, 0, 1, 2].map(|i| host.geo.slot(i).len()).into();
        assert_eq!(lens, [1, 4, 4, 3, 1]);
        let more = [6, 7, 0, 1, 2].map(|i| host.geo.slot(i).flags() & NS_MOREFRAG != 0);
        assert_eq!(more, [false, true, true, false, false]);
    }
}

#[test]
fn forwarding_stops_before_a_packet_that_does_not_fit() {
    let (nic, host) = (mixed(1), FakeRing::new(8, 1));
    host.place(0, 4);
    let mut t = tx(&host);
    let mut r = rx(&nic);
    let mut batch = r.acquire();
    let tally = t.forward_where(&mut batch.slots(), |_, _| true);
    assert_eq!(tally.forwarded, 2);
    assert_eq!(batch.len(), 4, "the long one waits");
    t.publish();
    host.place(2, 1);
    t.refresh();
    assert_eq!(
        t.forward_where(&mut batch.slots(), |_, _| true).forwarded,
        2
    );
    assert!(batch.is_empty());
}

#[test]
fn no_buffer_is_ever_in_two_places() {
    // The fakes number buffers alike; give the host ring its own numbers.
    let (nic, host) = (FakeRing::new(8, 1), FakeRing::new(8, 1));
    for i in 0..8 {
        host.geo.slot(i).set_buf_idx(100 + i);
    }
    let mut state = 1u32;
    for round in 0..500u32 {
        let n = nic.pointers().0;
        nic.place(n, (n + 5) % 8);
        let h = host.pointers().0;
        host.place(h, (h + 7) % 8);
        let mut t = tx(&host);
        let mut r = rx(&nic);
        t.forward_where(&mut r.acquire().slots(), |_, _| {
            state = state.wrapping_mul(1_103_515_245).wrapping_add(12345);
            state & 0x1_0000 != 0
        });
        let mut all: Vec<u32> = (0..8)
            .flat_map(|i| [nic.geo.slot(i).buf_idx(), host.geo.slot(i).buf_idx()])
            .collect();
        all.sort_unstable();
        let want: Vec<u32> = (2..10).chain(100..108).collect();
        assert_eq!(all, want, "round {round}");
    }
}
