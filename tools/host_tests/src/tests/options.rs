// SPDX-License-Identifier: GPL-2.0

//! What a program may ask of its rings: offsets in buffers.

use crate::kring::options::{Offsets, RingOptions};
use crate::shm::{Shared, Slot};
use proptest::prelude::*;

const OFFSETS: Offsets = Offsets {
    mask: 0xffff,
    max: 512,
    initial: 128,
};

fn slot(ptr: u64) -> Slot {
    Slot {
        buf_idx: Shared::new(2),
        len_flags: Shared::new(0),
        ptr: Shared::new(ptr),
    }
}

fn with(offsets: Offsets) -> RingOptions {
    RingOptions {
        offsets: Some(offsets),
        rx_meta: false,
    }
}

#[test]
fn the_offset_is_in_the_masked_bits_alone() {
    assert_eq!(OFFSETS.of(0xabcd_0000 | 200), Some(200));
    assert_eq!(OFFSETS.of(512), Some(512));
    assert_eq!(OFFSETS.of(513), None);
    assert_eq!(OFFSETS.reset(0xabcd_0000 | 600), 0xabcd_0000 | 128);
}

#[test]
fn an_offset_beyond_the_highest_is_replaced_and_counted_once() {
    let (slot, mut bad) = (slot(0x1_0000 | 513), 0);
    assert_eq!(OFFSETS.wanted(&slot, &mut bad), 128);
    assert_eq!((slot.ptr.get(), bad), (0x1_0000 | 128, 1));
    assert_eq!((OFFSETS.wanted(&slot, &mut bad), bad), (128, 1));
}

#[test]
fn the_nic_writes_whole_kib_behind_the_highest_offset() {
    let left = |max, size| with(Offsets { max, ..OFFSETS }).buf_len(size);
    assert_eq!(RingOptions::default().buf_len(2048), Some(2048));
    assert_eq!(left(0, 2048), Some(2048));
    assert_eq!(left(1, 2048), Some(1024));
    assert_eq!(left(1024, 2048), Some(1024));
    assert_eq!(left(1025, 2048), None);
    assert_eq!(left(u32::MAX, 2048), None);
    assert_eq!(RingOptions::default().buf_len(65536), Some(16384));
}

proptest! {
    #[test]
    fn no_slot_makes_the_nic_write_outside_its_buffer(
        bits in 1u32..=64, max in 0u32..4096, initial in 0u32..4096, ptr: u64,
    ) {
        let mask = u64::MAX >> (64 - bits);
        prop_assume!(initial <= max && u64::from(max) <= mask);
        let offsets = Offsets { mask, max, initial };
        if let Some(len) = with(offsets).buf_len(4096) {
            let (slot, mut bad) = (slot(ptr), 0);
            let at = offsets.wanted(&slot, &mut bad);
            prop_assert!(at + len <= 4096);
            prop_assert_eq!(u64::from(at), slot.ptr.get() & mask);
            prop_assert_eq!(ptr & !mask, slot.ptr.get() & !mask);
        }
    }
}

#[test]
fn offsets_are_agreed_within_their_bits_and_the_buffer() {
    let agree = |bits, max, initial| Offsets::agree(bits, max, initial, 1024);
    let all = Offsets {
        mask: u64::MAX,
        max: 1024,
        initial: 64,
    };
    assert_eq!(agree(0, 1024, 64), Some(all));
    assert_eq!(agree(64, 1024, 64), Some(all));
    assert_eq!(agree(11, 1024, 64).map(|o| o.mask), Some(0x7ff));
    assert_eq!(agree(1, 1, 1).map(|o| o.mask), Some(1));
    for refused in [
        agree(65, 64, 0),
        agree(u32::MAX, 64, 0),
        agree(10, 1024, 0),
        agree(0, 1025, 0),
        agree(0, u64::MAX, 0),
        agree(0, 1 << 32, 0),
        agree(0, 64, 65),
    ] {
        assert_eq!(refused, None);
    }
}

#[test]
fn a_ring_suits_fds_with_its_offsets_and_no_more_metadata_than_it_has() {
    let plain = RingOptions::default();
    let meta = RingOptions {
        rx_meta: true,
        ..plain
    };
    assert!(plain.suit(&plain) && meta.suit(&meta) && meta.suit(&plain));
    assert!(!plain.suit(&meta));
    assert!(!plain.suit(&with(OFFSETS)) && !with(OFFSETS).suit(&plain));
    assert!(with(OFFSETS).suit(&with(OFFSETS)));
}
