// SPDX-License-Identifier: GPL-2.0

//! The per-packet path: descriptors into slots and back, against a NIC played by the test.

use crate::nic::rx82599::{arm, import, refill, Armed, Import};
use crate::shm::{RxDesc, Shared, Slot};
use crate::uapi::NS_MOREFRAG;
use proptest::prelude::*;

const DD: u64 = 1;
const EOP: u64 = 2;

fn desc(hi: u64) -> RxDesc {
    RxDesc {
        lo: Shared::new(0xdead),
        hi: Shared::new(hi),
    }
}

fn done(len: u16, eop: bool) -> RxDesc {
    desc(DD | if eop { EOP } else { 0 } | (u64::from(len) << 32))
}

fn slot(buf: u32) -> Slot {
    Slot {
        buf_idx: Shared::new(buf),
        len_flags: Shared::new(0xffff_ffff),
        ptr: Shared::new(0),
    }
}

fn slots(n: usize) -> Vec<Slot> {
    (0..n as u32).map(|i| slot(i + 2)).collect()
}

fn armed(slots: &[Slot]) -> Vec<Armed> {
    let arm = |s: &Slot| Armed::new(s.buf_idx.get(), u64::from(s.buf_idx.get()) * 2048);
    slots.iter().map(arm).collect()
}

#[test]
fn import_stops_at_the_first_descriptor_that_is_not_done() {
    let descs = [done(60, true), done(1514, true), desc(0), done(60, true)];
    let slots = slots(4);
    let mut total = Import::default();
    assert_eq!(import(&descs, &slots, &armed(&slots), 2048, &mut total), 2);
    assert_eq!(
        total,
        Import {
            slots: 2,
            complete: 2,
            packets: 2,
            bytes: 1574,
            partial: 0
        }
    );
    assert_eq!(slots[0].len_and_flags(), (60, 0));
    assert_eq!(slots[1].len_and_flags(), (1514, 0));
    assert_eq!(slots[2].len_and_flags(), (0xffff, 0xffff));
}

#[test]
fn a_frame_of_three_descriptors_is_one_packet_of_three_slots() {
    let descs = [done(2048, false), done(2048, false), done(10, true)];
    let slots = slots(3);
    let mut total = Import::default();
    import(&descs, &slots, &armed(&slots), 2048, &mut total);
    assert_eq!(
        total,
        Import {
            slots: 3,
            complete: 3,
            packets: 1,
            bytes: 4106,
            partial: 0
        }
    );
    assert_eq!(slots[0].len_and_flags(), (2048, NS_MOREFRAG));
    assert_eq!(slots[1].len_and_flags(), (2048, NS_MOREFRAG));
    assert_eq!(slots[2].len_and_flags(), (10, 0));
}

#[test]
fn the_beginning_of_a_frame_is_not_published() {
    let descs = [done(60, true), done(2048, false), desc(0)];
    let mut total = Import::default();
    import(&descs, &slots(3), &armed(&slots(3)), 2048, &mut total);
    assert_eq!((total.slots, total.complete, total.packets), (2, 1, 1));
    assert_eq!((total.bytes, total.partial), (60, 2048));
}

#[test]
fn bytes_of_a_frame_whose_end_comes_later_are_counted_once() {
    let descs = [done(60, true), done(2048, false), desc(0)];
    let mut first = Import::default();
    import(&descs, &slots(3), &armed(&slots(3)), 2048, &mut first);
    let descs = [done(2048, false), done(10, true)];
    let mut second = Import::default();
    import(&descs, &slots(2), &armed(&slots(2)), 2048, &mut second);
    assert_eq!((first.bytes, second.bytes), (60, 2058));
}

#[test]
fn a_frame_that_wraps_has_the_bytes_of_both_runs() {
    let mut total = Import::default();
    import(
        &[done(2048, false)],
        &slots(1),
        &armed(&slots(1)),
        2048,
        &mut total,
    );
    import(
        &[done(10, true)],
        &slots(1),
        &armed(&slots(1)),
        2048,
        &mut total,
    );
    assert_eq!((total.packets, total.bytes, total.partial), (1, 2058, 0));
}

#[test]
fn absurd_lengths_are_clamped_to_the_buffer() {
    let slots = slots(1);
    let mut total = Import::default();
    import(
        &[done(0xffff, true)],
        &slots,
        &armed(&slots),
        2048,
        &mut total,
    );
    assert_eq!(slots[0].len_and_flags(), (2048, 0));
    assert_eq!(total.bytes, 2048);
}

#[test]
fn a_vlan_tag_beside_the_length_does_not_disturb_it() {
    let slots = slots(1);
    let mut total = Import::default();
    import(
        &[desc(DD | EOP | (64 << 32) | (0xfff << 48))],
        &slots,
        &armed(&slots),
        2048,
        &mut total,
    );
    assert_eq!(slots[0].len_and_flags(), (64, 0));
}

#[test]
fn a_received_slot_names_the_buffer_the_nic_has_filled_whatever_stood_there() {
    let slots = slots(5);
    let armed = armed(&slots);
    slots.iter().for_each(|s| s.buf_idx.set(0xffff_ffff));
    let mut descs: Vec<_> = (0..4).map(|_| done(60, true)).collect();
    descs.insert(2, done(2048, false));
    import(&descs, &slots, &armed, 2048, &mut Import::default());
    let named: Vec<_> = slots.iter().map(|s| s.buf_idx.get()).collect();
    assert_eq!(named, [2, 3, 4, 5, 6]);
}

#[test]
fn refill_rewrites_both_words_of_each_descriptor() {
    let slots = slots(3);
    let descs: Vec<_> = (0..3).map(|_| done(60, true)).collect();
    assert_eq!(refill(&descs, &slots, &armed(&slots), |_| 0), 3);
    for (desc, slot) in descs.iter().zip(&slots) {
        assert_eq!(desc.lo.get(), u64::from(slot.buf_idx.get()) * 2048);
        assert_eq!(desc.hi.get(), 0);
    }
}

#[test]
fn refill_stops_at_a_slot_that_names_another_buffer_and_leaves_its_descriptor() {
    let slots = slots(3);
    let armed = armed(&slots);
    slots[1].buf_idx.set(77);
    let descs: Vec<_> = (0..3).map(|_| done(60, true)).collect();
    assert_eq!(refill(&descs, &slots, &armed, |_| 0), 1);
    assert_eq!(descs[1].lo.get(), 0xdead);
    assert_eq!(descs[2].lo.get(), 0xdead);
}

#[test]
fn a_slot_whose_buffer_was_taken_over_never_matches() {
    // Whatever the program writes into the slot.
    for named in [0, 1, 2, u32::MAX] {
        let descs = [done(60, true)];
        assert_eq!(refill(&descs, &[slot(named)], &[Armed::NONE], |_| 0), 0);
        assert_eq!(descs[0].lo.get(), 0xdead);
    }
}

#[test]
fn arm_points_into_the_buffer_and_clears_an_old_status() {
    let desc = done(60, true);
    arm(&desc, &Armed::new(9, 0x8000), 0x80);
    assert_eq!((desc.lo.get(), desc.hi.get()), (0x8080, 0));
}

proptest! {
    #[test]
    fn import_counts_what_was_written_back(frames in proptest::collection::vec((0u16..4000, any::<bool>()), 0..64)) {
        let descs: Vec<_> = frames.iter().map(|&(len, eop)| done(len, eop)).collect();
        let slots = slots(frames.len());
        let mut total = Import::default();
        prop_assert_eq!(import(&descs, &slots, &armed(&slots), 2048, &mut total), frames.len());
        let complete = frames.iter().rposition(|f| f.1).map_or(0, |i| i + 1);
        prop_assert_eq!(total.complete as usize, complete);
        prop_assert_eq!(total.packets as usize, frames.iter().filter(|f| f.1).count());
        for (slot, &(len, eop)) in slots.iter().zip(&frames) {
            let flags = if eop { 0 } else { NS_MOREFRAG };
            prop_assert_eq!(slot.len_and_flags(), (len.min(2048), flags));
        }
    }

    #[test]
    fn import_in_two_parts_equals_import_at_once(
        frames in proptest::collection::vec((1u16..2048, any::<bool>()), 1..64), cut in 0usize..64
    ) {
        let descs: Vec<_> = frames.iter().map(|&(len, eop)| done(len, eop)).collect();
        let (a, b) = (slots(frames.len()), slots(frames.len()));
        let cut = cut.min(frames.len());
        let (mut once, mut parts) = (Import::default(), Import::default());
        import(&descs, &a, &armed(&a), 2048, &mut once);
        import(&descs[..cut], &b[..cut], &armed(&b)[..cut], 2048, &mut parts);
        import(&descs[cut..], &b[cut..], &armed(&b)[cut..], 2048, &mut parts);
        prop_assert_eq!(once, parts);
    }
}
