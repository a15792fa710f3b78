// SPDX-License-Identifier: MIT OR Apache-2.0
//! Both ends of a ring against each other, in memory.

use crate::abi::NS_BUF_CHANGED;
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
    assert!(!host.taken.get());
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
    assert_eq!(t.push(&[0; BUF + 1]), Err(PushError::TooLong));
    assert_eq!(t.push(b"late"), Ok(()));
    drop(t);
    assert_eq!(host.content(3), b"late");
    assert_eq!(host.pointers(), (0, 2));
}
