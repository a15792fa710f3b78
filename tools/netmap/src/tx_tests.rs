// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sending side against a ring in memory: several slots, offsets, buffers
//! written in place and swapped, metadata beside an RX ring.

use crate::abi::{ext::nm_rx_meta, NS_BUF_CHANGED, NS_MOREFRAG, NS_REPORT};
use crate::rx::RxRing;
use crate::testing::{FakeRing, BUF};
use crate::tx::{PushError, TxRing};

fn tx(ring: &FakeRing) -> TxRing<'_> {
    TxRing::new(&ring.geo, &ring.taken)
}

fn rx(ring: &FakeRing) -> RxRing<'_> {
    RxRing {
        geo: &ring.geo,
        taken: &ring.taken,
    }
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7) as u8).collect()
}

#[test]
fn a_long_packet_takes_several_slots() {
    let ring = FakeRing::new(8, 1);
    ring.place(6, 5);
    let packet = pattern(2 * BUF + 3);
    let mut t = tx(&ring);
    assert_eq!(t.push(&packet), Ok(()));
    assert_eq!(t.space(), 4);
    drop(t);
    assert_eq!(ring.pointers(), (1, 5));
    let parts: Vec<u8> = [6, 7, 0].iter().flat_map(|i| ring.content(*i)).collect();
    assert_eq!(parts, packet);
    let more = [6, 7, 0].map(|i| ring.geo.slot(i).flags() & NS_MOREFRAG != 0);
    assert_eq!(more, [true, true, false]);
}

#[test]
fn an_exact_fit_takes_one_slot_and_an_empty_packet_too() {
    let ring = FakeRing::new(8, 1);
    ring.place(0, 7);
    let mut t = tx(&ring);
    assert_eq!(t.push(&pattern(BUF)), Ok(()));
    assert_eq!(t.push(&[]), Ok(()));
    assert_eq!(t.space(), 5);
    assert_eq!(ring.geo.slot(0).flags(), 0);
}

#[test]
fn what_does_not_fit_now_is_told_from_what_never_will() {
    let ring = FakeRing::new(8, 1);
    ring.place(0, 2);
    let mut t = tx(&ring);
    assert_eq!(t.push(&pattern(3 * BUF)), Err(PushError::Full));
    assert_eq!(t.push(&pattern(7 * BUF)), Err(PushError::Full));
    assert_eq!(t.push(&pattern(7 * BUF + 1)), Err(PushError::TooLong));
    assert_eq!(t.space(), 2, "nothing was queued in part");
    drop(t);
    let long = FakeRing::new(128, 1);
    long.place(0, 127);
    let mut t = tx(&long);
    assert_eq!(t.push(&pattern(64 * BUF)), Ok(()));
    assert_eq!(t.push(&pattern(63 * BUF + 1)), Err(PushError::Full));
    assert_eq!(t.push(&pattern(64 * BUF + 1)), Err(PushError::TooLong));
}

#[test]
fn packets_written_in_place_are_counted_and_can_be_declined() {
    let ring = FakeRing::new(8, 1);
    ring.place(0, 7);
    let mut t = tx(&ring);
    let mut n = 0;
    let queued = t.fill(100, |buf| {
        assert_eq!(buf.len(), BUF);
        n += 1;
        buf[..2].copy_from_slice(&[n, 9]);
        (n < 4).then_some(2)
    });
    assert_eq!((queued, n), (3, 4));
    assert_eq!(t.fill(100, |_| Some(usize::MAX)), 4, "until it is full");
    t.report();
    drop(t);
    assert_eq!(ring.content(2), [3, 9]);
    assert_eq!(
        ring.geo.slot(6).len() as usize,
        BUF,
        "no more than a buffer"
    );
    assert_eq!(ring.geo.slot(6).flags(), NS_REPORT);
    assert_eq!(ring.geo.slot(5).flags(), 0);
    assert_eq!(tx(&ring).in_flight(), 7);
}

#[test]
fn a_report_without_a_packet_touches_nothing() {
    let ring = FakeRing::new(8, 1);
    ring.place(3, 2);
    tx(&ring).report();
    assert!((0..8).all(|i| ring.geo.slot(i).flags() == 0));
}

#[test]
fn an_offset_shifts_packets_of_both_directions() {
    let (a, b) = (FakeRing::with_offsets(8, 1), FakeRing::with_offsets(8, 1));
    let plain = FakeRing::new(8, 1);
    for ring in [&a, &b] {
        (0..8).for_each(|i| ring.geo.slot(i).set_ptr(16));
    }
    a.place(0, 7);
    let packet = pattern(BUF - 16 + 5);
    assert_eq!(tx(&a).push(&packet), Ok(()));
    let lens = [0, 1].map(|i| a.geo.slot(i).len() as usize);
    assert_eq!(lens, [BUF - 16, 5]);
    // Received again as it lies, and moved on: the offset goes with the buffer.
    a.place(0, 2);
    a.geo.slot(0).set_ptr(16);
    for i in 0..8 {
        b.geo.slot(i).set_ptr(32);
        b.geo.slot(i).set_buf_idx(100 + i);
    }
    b.place(0, 7);
    {
        let (mut t, mut r) = (tx(&b), rx(&a));
        let tally = t.forward_where(&mut r.acquire().slots(), |slot, len| {
            assert_eq!(slot.payload(), &packet[..BUF - 16]);
            assert_eq!(len as usize, packet.len());
            true
        });
        assert_eq!((tally.forwarded, t.space()), (1, 5));
    }
    assert_eq!((b.geo.slot(0).ptr(), a.geo.slot(0).ptr()), (16, 32));
    assert_eq!(b.geo.slot(0).buf_idx(), 2);
    assert_eq!(b.geo.slot(0).flags(), NS_BUF_CHANGED | NS_MOREFRAG);
    // A ring without offsets gets a copy.
    a.place(3, 2);
    assert_eq!(tx(&a).push(b"fresh"), Ok(()));
    a.place(3, 4);
    plain.place(0, 7);
    {
        let (mut t, mut r) = (tx(&plain), rx(&a));
        t.forward_where(&mut r.acquire().slots(), |_, _| true);
    }
    assert_eq!(plain.content(0), b"fresh");
    assert_eq!(plain.geo.slot(0).flags() & NS_BUF_CHANGED, 0);
}

#[test]
fn an_offset_beyond_the_buffer_leaves_an_empty_packet() {
    let ring = FakeRing::with_offsets(8, 1);
    ring.place(0, 1);
    ring.geo.slot(0).set_ptr(u64::MAX);
    ring.geo.slot(0).set_len(60);
    for slot in rx(&ring).acquire().slots() {
        assert!(slot.payload().is_empty());
    }
}

#[test]
fn metadata_stands_beside_the_slot_it_belongs_to() {
    let ring = FakeRing::with_meta(8, 1, |i| nm_rx_meta {
        hash: 1000 + i,
        flags: 0x3,
        ..Default::default()
    });
    ring.place(6, 2);
    let hashes: Vec<_> = rx(&ring)
        .acquire()
        .slots()
        .map(|s| s.meta().and_then(|m| m.hash()))
        .collect();
    assert_eq!(hashes, [1006, 1007, 1000, 1001].map(Some));
    let without = FakeRing::new(8, 1);
    without.place(0, 1);
    assert!(rx(&without).acquire().slots().all(|s| s.meta().is_none()));
}
