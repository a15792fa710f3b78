// SPDX-License-Identifier: GPL-2.0

//! Where objects of a region are.

use crate::mem::layout::*;
use proptest::prelude::*;

const FLOOR: Layout = Layout::FLOOR;

#[test]
fn the_pools_follow_each_other_without_gap_or_overlap() {
    let l = FLOOR;
    assert_eq!(l.ring_pool(), l.if_count() * l.if_size());
    assert_eq!(l.buf_pool(), l.ring_pool() + l.ring_count() * l.ring_size());
    assert_eq!(l.memsize(), l.buf_pool() + l.buf_count() * l.buf_size());
}

#[test]
fn the_longest_ring_fits_its_object() {
    let size = FLOOR.ring_size();
    assert_eq!(ring_bytes(MAX_SLOTS, false), 256 + 16 * 4096);
    assert_eq!(ring_bytes(MAX_SLOTS, true), 256 + (16 + 32) * 4096);
    assert!(ring_bytes(MAX_SLOTS, true) <= size);
    assert!(ring_bytes(MAX_SLOTS, true) > size - PAGE);
}

#[test]
fn pools_info_says_what_the_layout_is() {
    let (l, info) = (FLOOR, FLOOR.pools_info(7));
    assert_eq!(info.nr_mem_id, 7);
    assert_eq!(info.nr_memsize, l.memsize() as u64);
    assert_eq!(
        (info.nr_ring_pool_offset, info.nr_buf_pool_offset),
        (l.ring_offset(0) as u64, l.buf_pool() as u64)
    );
    let bytes = |n: u32, size: u32| u64::from(n) * u64::from(size);
    assert_eq!(
        info.nr_memsize,
        bytes(info.nr_if_pool_objtotal, info.nr_if_pool_objsize)
            + bytes(info.nr_ring_pool_objtotal, info.nr_ring_pool_objsize)
            + bytes(info.nr_buf_pool_objtotal, info.nr_buf_pool_objsize)
    );
}

#[test]
fn every_page_belongs_to_one_object_and_all_objects_are_reached() {
    let l = FLOOR;
    let (mut ifs, mut rings, mut bufs) = (0, 0, 0);
    for page in 0..(l.memsize() / PAGE) as u64 {
        let at = page as usize * PAGE;
        match l.place(page).unwrap() {
            Place::If(i) => {
                assert_eq!(l.if_offset(i), at);
                ifs += 1;
            }
            Place::Ring(i, p) => {
                assert_eq!(l.ring_offset(i) + p * PAGE, at);
                rings += 1;
            }
            Place::Bufs(i, p) => {
                assert!(p < l.chunk_pages(i));
                assert_eq!(l.buf_pool() + (i * CHUNK_PAGES + p) * PAGE, at);
                bufs += 1;
            }
        }
    }
    assert_eq!(
        (ifs, rings, bufs),
        (
            l.if_count(),
            l.ring_count() * l.ring_size() / PAGE,
            l.buf_count() * l.buf_size() / PAGE
        )
    );
}

#[test]
fn nothing_is_beyond_the_end() {
    assert_eq!(FLOOR.place((FLOOR.memsize() / PAGE) as u64), None);
    assert_eq!(FLOOR.place(u64::MAX), None);
    assert_eq!(
        FLOOR.chunk_bufs(FLOOR.buf_count() / FLOOR.bufs_per_chunk()),
        0
    );
    assert_eq!(FLOOR.chunk_bufs(usize::MAX), 0);
}

#[test]
fn buffers_0_and_1_and_those_beyond_the_end_do_not_exist() {
    for index in [0, 1, FLOOR.buf_count() as u32, u32::MAX] {
        assert_eq!(FLOOR.buffer(index), None);
    }
    assert_eq!(FLOOR.buffer(2), Some((0, 2)));
}

proptest! {
    #[test]
    fn a_buffer_is_where_a_program_looks_for_it(
        index in FIRST_BUF..FLOOR.buf_count() as u32
    ) {
        let (chunk, at) = FLOOR.buffer(index).unwrap();
        prop_assert!(at < FLOOR.chunk_bufs(chunk));
        let offset = at * FLOOR.buf_size();
        let at = FLOOR.buf_pool() + chunk * CHUNK_PAGES * PAGE + offset;
        prop_assert_eq!(at, FLOOR.buf_pool() + index as usize * FLOOR.buf_size());
        prop_assert_eq!(
            FLOOR.place((at / PAGE) as u64),
            Some(Place::Bufs(chunk, offset / PAGE))
        );
    }
}
