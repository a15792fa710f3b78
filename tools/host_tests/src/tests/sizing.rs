// SPDX-License-Identifier: GPL-2.0

//! How large a region is.

use crate::mem::layout::*;
use crate::mem::sizing::Unfit;
use crate::uapi::ctrl::PoolsInfo;
use proptest::prelude::*;

const MIB: u64 = 1 << 20;

fn ask(ifs: (u32, u32), rings: (u32, u32), bufs: (u32, u32)) -> PoolsInfo {
    PoolsInfo {
        nr_if_pool_objtotal: ifs.0,
        nr_if_pool_objsize: ifs.1,
        nr_ring_pool_objtotal: rings.0,
        nr_ring_pool_objsize: rings.1,
        nr_buf_pool_objtotal: bufs.0,
        nr_buf_pool_objsize: bufs.1,
        ..PoolsInfo::default()
    }
}

/// What every layout must be, whatever it was made from.
fn sound(l: &Layout) {
    assert!(l.memsize() <= u32::MAX as usize);
    assert_eq!(l.memsize() % PAGE, 0);
    assert!(l.if_count() >= 1 && l.ring_count() >= 1 && l.buf_count() > FIRST_BUF as usize);
    assert!(l.buf_size().is_power_of_two());
    assert_eq!(l.buf_pool() % l.buf_size().max(PAGE), 0);
    let last = l.buf_count() as u32 - 1;
    let (chunk, at) = l.buffer(last).unwrap();
    assert_eq!(at + 1, l.chunk_bufs(chunk));
    assert_eq!(l.chunk_bufs(chunk + 1), 0);
    assert_eq!(
        l.place((l.memsize() / PAGE - 1) as u64),
        Some(Place::Bufs(chunk, l.chunk_pages(chunk) - 1))
    );
}

#[test]
fn without_ports_a_region_has_the_least_there_is() {
    assert_eq!(Layout::for_ports(0, 0), Layout::FLOOR);
}

#[test]
fn two_ports_of_64_queue_pairs_and_4096_slots_have_room_for_every_ring_twice() {
    let rings = 2 * (64 + 64 + 2);
    let l = Layout::for_ports(rings, rings * 4096);
    sound(&l);
    assert_eq!(l.ring_count() as u64, 2 * rings);
    // 4 GiB would be needed; what 32-bit offsets leave is there.
    assert!(l.buf_count() as u64 > rings * 4096 * 3 / 2);
}

#[test]
fn one_port_of_63_queue_pairs_and_512_slots_has_room_for_every_ring_twice_and_spare() {
    let rings = 63 + 63 + 2;
    let l = Layout::for_ports(rings, rings * 512);
    sound(&l);
    assert!(l.buf_count() as u64 >= 2 * rings * 512 + 65_536);
}

#[test]
fn a_programs_memory_goes_to_buffers_where_it_asks_for_nothing() {
    let l = Layout::within(64 * MIB, &PoolsInfo::default()).unwrap();
    sound(&l);
    assert_eq!(l.buf_size(), 2048);
    assert!(ring_bytes(MAX_SLOTS, false) <= l.ring_size());
    assert!(l.ring_count() >= 64 && l.if_count() >= 64);
    assert!(l.buf_count() * l.buf_size() >= l.memsize() / 2);
    // Less than one ring object is left over.
    assert!(64 * MIB as usize - l.memsize() < PAGE);
}

#[test]
fn objects_are_there_in_the_number_and_size_asked_for() {
    let l = Layout::within(64 * MIB, &ask((10, 1024), (20, 36_864), (1000, 4096))).unwrap();
    sound(&l);
    assert_eq!((l.if_count(), l.if_size()), (10, PAGE));
    assert_eq!((l.ring_count(), l.ring_size()), (20, 36_864));
    assert_eq!((l.buf_count(), l.buf_size()), (1000, 4096));
}

#[test]
fn the_size_of_a_buffer_is_rounded_up_to_a_power_of_two() {
    for (asked, got) in [(64, 2048), (2048, 2048), (2049, 4096), (9000, 16_384)] {
        let l = Layout::within(64 * MIB, &ask((0, 0), (0, 0), (0, asked))).unwrap();
        sound(&l);
        assert_eq!(l.buf_size(), got);
    }
}

#[test]
fn sizes_and_numbers_that_cannot_be_are_refused() {
    for ask in [
        ask((10_001, 0), (0, 0), (0, 0)),
        ask((0, 4097), (0, 0), (0, 0)),
        ask((0, 0), (1025, 0), (0, 0)),
        ask((0, 0), (0, 65 * 4096), (0, 0)),
        ask((0, 0), (0, 0), (0, 16_385)),
        ask((0, 0), (0, u32::MAX), (0, u32::MAX)),
    ] {
        assert_eq!(Layout::within(64 * MIB, &ask), Err(Unfit::Impossible));
    }
}

#[test]
fn memory_too_small_for_what_is_asked_is_refused() {
    for (bytes, ask) in [
        (0, PoolsInfo::default()),
        (4096, PoolsInfo::default()),
        (MIB, ask((0, 0), (100, 36_864), (0, 0))),
        (MIB, ask((256, 0), (0, 0), (0, 0))),
        (10 * 4096, ask((1, 0), (1, 9 * 4096), (0, 0))),
    ] {
        assert_eq!(Layout::within(bytes, &ask), Err(Unfit::TooSmall));
    }
    // One page more holds the reserved buffers only, two more one that can be used.
    let ask = ask((1, 0), (1, 9 * 4096), (0, 0));
    assert_eq!(Layout::within(11 * 4096, &ask), Err(Unfit::TooSmall));
    assert!(Layout::within(12 * 4096, &ask).is_ok());
}

proptest! {
    #[test]
    fn a_region_for_ports_is_sound(rings in any::<u64>(), slots in any::<u64>()) {
        sound(&Layout::for_ports(rings, slots));
        sound(&Layout::for_ports(rings % 2048, slots % 4_000_000));
    }

    #[test]
    fn a_layout_within_memory_is_sound_and_not_larger(
        bytes in prop_oneof![any::<u64>(), 0..1u64 << 33, 0..1u64 << 23],
        ifs in (0u32..200, 0u32..4100),
        rings in (0u32..1030, 0u32..65 * 4096),
        bufs in (prop_oneof![0u32..1000, any::<u32>()], 0u32..17_000),
    ) {
        if let Ok(l) = Layout::within(bytes, &ask(ifs, rings, bufs)) {
            sound(&l);
            prop_assert!(l.memsize() as u64 <= bytes);
            prop_assert!(l.if_count() >= ifs.0 as usize);
            prop_assert!(rings.0 == 0 || l.ring_count() == rings.0 as usize);
            prop_assert!(l.ring_size() >= rings.1 as usize);
            prop_assert!(l.buf_size() >= bufs.1 as usize);
            prop_assert!(bufs.0 == 0 || l.buf_count() <= bufs.0 as usize + 1);
        }
    }
}
