// SPDX-License-Identifier: GPL-2.0

//! What descriptors say of frames, as programs are told.

use crate::nic::rx82599::meta::{describe, Ask};
use crate::shm::{RxDesc, RxMeta, Shared};
use crate::uapi::ext::meta::*;
use proptest::prelude::*;

const DD: u64 = 0x1;
const EOP: u64 = 0x2;

/// Answers from a list of tags, one per slot, and a clock.
#[derive(Default)]
struct Wire {
    tags: Vec<Option<u16>>,
    stamp: Option<u64>,
    asked: Vec<usize>,
}

impl Ask for Wire {
    fn vlan(&mut self, first: usize) -> Option<u16> {
        self.asked.push(first);
        self.tags.get(first).copied().flatten()
    }

    fn timestamp(&mut self) -> Option<u64> {
        self.stamp.take()
    }
}

fn desc(lo: u64, hi: u64) -> RxDesc {
    RxDesc {
        lo: Shared::new(lo),
        hi: Shared::new(hi),
    }
}

/// Entries with something in them already.
fn entries(n: usize) -> Vec<RxMeta> {
    let entry = |_| RxMeta {
        tstamp_ns: Shared::new(7),
        hash: Shared::new(7),
        vlan_ptype: Shared::new(7),
        flags: Shared::new(u32::MAX),
        spare: [const { Shared::new(0) }; 3],
    };
    (0..n).map(entry).collect()
}

/// The entry of a frame of one descriptor.
fn one(lo: u64, hi: u64, wire: &mut Wire) -> (u64, u32, u16, u16, u32) {
    let entries = entries(1);
    describe(&[desc(lo, hi | DD | EOP)], &entries, 0, 0, wire);
    let e = &entries[0];
    let word = e.vlan_ptype.get();
    (
        e.tstamp_ns.get(),
        e.hash.get(),
        word as u16,
        (word >> 16) as u16,
        e.flags.get(),
    )
}

fn flags(lo: u64, hi: u64) -> u32 {
    one(lo, hi, &mut Wire::default()).4
}

#[test]
fn a_udp_frame_with_good_checksums_and_a_hash() {
    // RSS type 7 (IPv4, UDP), packet type IPv4 and UDP; IPCS, L4CS, UDPCS.
    let lo = (0x0dd0_feed << 32) | 0x210 | 7;
    let (stamp, hash, vlan, ptype, flags) = one(lo, 0x70, &mut Wire::default());
    assert_eq!((stamp, hash, vlan, ptype), (0, 0x0dd0_feed, 0, 0x21));
    assert_eq!(
        flags,
        VALID | HASH | L3_OK | L4_OK | IPV4 | UDP | (7 << HASH_TYPE_SHIFT)
    );
}

#[test]
fn layers_are_those_of_the_packet_type() {
    assert_eq!(flags(0x110, 0), VALID | IPV4 | TCP);
    assert_eq!(flags(0x120, 0), VALID | IPV4 | IP_EXT | TCP);
    assert_eq!(flags(0x240, 0), VALID | IPV6 | UDP);
    assert_eq!(flags(0x480, 0), VALID | IPV6 | IP_EXT | SCTP);
    assert_eq!(flags(0, 0), VALID);
}

#[test]
fn an_ethertype_filters_number_is_not_taken_for_layers() {
    assert_eq!(flags(0x8030, 0), VALID | ETYPE);
}

#[test]
fn a_checksum_not_verified_is_neither_good_nor_bad() {
    let (ip, l4) = (1 << 31, 1 << 30);
    assert_eq!(flags(0, ip | l4), VALID);
    assert_eq!(flags(0, 0x60), VALID | L3_OK | L4_OK);
    assert_eq!(flags(0, 0x60 | ip), VALID | L3_BAD | L4_OK);
    assert_eq!(flags(0, 0x60 | l4), VALID | L3_OK | L4_BAD);
}

#[test]
fn a_flow_director_match_is_told() {
    assert_eq!(flags(0, 0x4), VALID | FLOW);
}

#[test]
fn a_tag_is_the_descriptors_if_taken_out_and_the_frames_if_left_in() {
    let mut wire = Wire {
        tags: vec![Some(0x2007)],
        ..Wire::default()
    };
    let out = one(0, 0x8 | (0x0abc << 48), &mut wire);
    assert_eq!((out.2, out.4), (0x0abc, VALID | VLAN));
    assert!(wire.asked.is_empty());
    let left = one(0, 0, &mut wire);
    assert_eq!((left.2, left.4), (0x2007, VALID | VLAN));
}

#[test]
fn the_clock_is_asked_only_where_the_descriptor_says_so() {
    let mut wire = Wire {
        stamp: Some(1_700_000_000_000_000_001),
        ..Wire::default()
    };
    assert_eq!(one(0, 0, &mut wire).0, 0);
    let (stamp, .., flags) = one(0, 1 << 16, &mut wire);
    assert_eq!(stamp, 1_700_000_000_000_000_001);
    assert_eq!(flags, VALID | TSTAMP);
    // The bit is set, but another has fetched the stamp.
    assert_eq!(one(0, 1 << 16, &mut wire).4, VALID);
}

#[test]
fn a_frame_of_several_slots_is_described_at_its_last_and_looked_at_in_its_first() {
    // One frame ends in slot 4 that began in slot 2, before this run; then one of two slots; then
    // the beginning of another.
    let descs = [
        desc(0, DD),
        desc(0x110, DD | EOP),
        desc(0, DD),
        desc(0x210, DD | EOP),
        desc(0, DD),
    ];
    let entries = entries(5);
    let mut wire = Wire::default();
    assert_eq!(describe(&descs, &entries, 2, 3, &mut wire), 7);
    let flags: Vec<u32> = entries.iter().map(|e| e.flags.get()).collect();
    assert_eq!(flags, [0, VALID | IPV4 | TCP, 0, VALID | IPV4 | UDP, 0]);
    assert_eq!(wire.asked, [2, 5]);
}

proptest! {
    #[test]
    fn no_descriptor_leaves_an_entry_as_it_was(lo: u64, hi: u64, tag: Option<u16>) {
        let mut wire = Wire { tags: vec![tag], stamp: None, asked: vec![] };
        let entries = entries(1);
        describe(&[desc(lo, hi)], &entries, 0, 0, &mut wire);
        let flags = entries[0].flags.get();
        prop_assert_eq!(flags & VALID != 0, hi & EOP != 0);
        prop_assert_eq!(flags & (L3_OK | L3_BAD) == L3_OK | L3_BAD, false);
        prop_assert_eq!(flags & (L4_OK | L4_BAD) == L4_OK | L4_BAD, false);
    }
}
