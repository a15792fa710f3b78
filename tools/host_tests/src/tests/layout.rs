// SPDX-License-Identifier: GPL-2.0

//! Where objects of a region are.

use crate::mem::layout::*;
use proptest::prelude::*;

#[test]
fn the_pools_follow_each_other_without_gap_or_overlap() {
    assert_eq!(RING_POOL, IF_COUNT * PAGE);
    assert_eq!(BUF_POOL, RING_POOL + RING_COUNT * RING_PAGES * PAGE);
    assert_eq!(MEMSIZE, BUF_POOL + BUF_COUNT * BUF_SIZE);
}

#[test]
fn the_longest_ring_fits_its_object() {
    assert!(256 + 16 * MAX_SLOTS as usize <= RING_PAGES * PAGE);
    assert!(256 + 16 * MAX_SLOTS as usize > (RING_PAGES - 1) * PAGE);
}

#[test]
fn every_page_belongs_to_one_object_and_all_objects_are_reached() {
    let (mut ifs, mut rings, mut bufs) = (0, 0, 0);
    for page in 0..(MEMSIZE / PAGE) as u64 {
        let at = page as usize * PAGE;
        match place(page).unwrap() {
            Place::If(i) => {
                assert_eq!(if_offset(i), at);
                ifs += 1;
            }
            Place::Ring(i, p) => {
                assert_eq!(ring_offset(i) + p * PAGE, at);
                rings += 1;
            }
            Place::Bufs(i, p) => {
                assert_eq!(BUF_POOL + (i * CHUNK_PAGES + p) * PAGE, at);
                bufs += 1;
            }
        }
    }
    assert_eq!(
        (ifs, rings, bufs),
        (IF_COUNT, RING_COUNT * RING_PAGES, CHUNK_COUNT * CHUNK_PAGES)
    );
}

#[test]
fn nothing_is_beyond_the_end() {
    assert_eq!(place((MEMSIZE / PAGE) as u64), None);
    assert_eq!(place(u64::MAX), None);
}

#[test]
fn buffers_0_and_1_and_those_beyond_the_end_do_not_exist() {
    for index in [0, 1, BUF_COUNT as u32, u32::MAX] {
        assert_eq!(buffer(index), None);
    }
    assert_eq!(buffer(2), Some((0, 2 * BUF_SIZE)));
}

proptest! {
    #[test]
    fn a_buffer_is_where_a_program_looks_for_it(index in FIRST_BUF..BUF_COUNT as u32) {
        let (chunk, offset) = buffer(index).unwrap();
        let at = BUF_POOL + chunk * CHUNK_PAGES * PAGE + offset;
        prop_assert_eq!(at, BUF_POOL + index as usize * BUF_SIZE);
        prop_assert_eq!(place((at / PAGE) as u64), Some(Place::Bufs(chunk, offset / PAGE)));
    }
}
