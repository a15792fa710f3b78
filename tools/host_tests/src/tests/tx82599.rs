// SPDX-License-Identifier: GPL-2.0

//! The per-packet path of a TX ring: slots into descriptors, read back as the hardware would.

use crate::nic::rx82599::Armed;
use crate::nic::tx82599::{export, plain, report, Export, Packet, Place, MAX_FRAME, MAX_PIECES};
use crate::shm::{Shared, Slot, TxDesc};
use crate::uapi::{NS_BUF_CHANGED, NS_MOREFRAG, NS_REPORT};
use proptest::prelude::*;

const UNTOUCHED: u64 = 0xdead;

/// A descriptor as the data sheet (7.2.3.2.4) reads it.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    addr: u64,
    len: u64,
    eop: bool,
    rs: bool,
    paylen: u64,
}

fn read(desc: &TxDesc) -> Read {
    let cmd = desc.cmd.get();
    assert_eq!((cmd >> 20) & 0xf, 3, "DTYP: advanced data");
    assert_eq!((cmd >> 29) & 1, 1, "DEXT");
    assert_eq!((cmd >> 25) & 1, 1, "IFCS: the NIC adds the checksum");
    let reserved = 0x000f_0000 | (1 << 26) | (1 << 28) | (3 << 30) | (0x3fff << 32);
    assert_eq!(cmd & reserved, 0, "no offload, VLAN tag or segmentation");
    Read {
        addr: desc.addr.get(),
        len: cmd & 0xffff,
        eop: (cmd >> 24) & 1 == 1,
        rs: (cmd >> 27) & 1 == 1,
        paylen: cmd >> 46,
    }
}

fn descs(n: usize) -> Vec<TxDesc> {
    let desc = || TxDesc {
        addr: Shared::new(UNTOUCHED),
        cmd: Shared::new(UNTOUCHED),
    };
    (0..n).map(|_| desc()).collect()
}

fn slot(buf: u32, len: u16, flags: u16) -> Slot {
    Slot {
        buf_idx: Shared::new(buf),
        len_flags: Shared::new(u32::from(len) | (u32::from(flags) << 16)),
        ptr: Shared::new(0),
    }
}

fn known(slots: &[Slot]) -> Vec<Armed> {
    let know = |s: &Slot| Armed::new(s.buf_idx.get(), u64::from(s.buf_idx.get()) * 2048);
    slots.iter().map(know).collect()
}

#[test]
fn a_plain_slot_becomes_a_whole_packet_of_one_descriptor() {
    let slots = [slot(7, 60, 0), slot(9, 1514, 0)];
    let (descs, mut total) = (descs(2), Export::default());
    assert_eq!(
        export(&descs, &slots, &known(&slots), 2048, &mut total, |_| Some(
            0
        )),
        2
    );
    let packet = |buf: u64, len| Read {
        addr: buf * 2048,
        len,
        eop: true,
        rs: false,
        paylen: len,
    };
    assert_eq!(read(&descs[0]), packet(7, 60));
    assert_eq!(read(&descs[1]), packet(9, 1514));
    let sums = (total.packets, total.bytes, total.frags);
    assert_eq!(sums, (2, 1574, 0));
}

#[test]
fn the_hot_loop_stops_before_a_slot_it_cannot_do_and_leaves_its_descriptor() {
    let odd = [
        slot(5, 0, 0),
        slot(5, 16, 0),
        slot(5, 2049, 0),
        slot(5, 0xffff, 0),
        slot(5, 60, NS_MOREFRAG),
        slot(5, 60, NS_REPORT),
        slot(5, 60, NS_BUF_CHANGED),
        slot(5, 60, 0x8000),
        slot(6, 60, 0),
        slot(0, 60, 0),
        slot(0xffff_ffff, 60, 0),
    ];
    for odd in odd {
        let slots = [slot(4, 60, 0), odd, slot(6, 60, 0)];
        let known: Vec<_> = (4..7).map(|buf| Armed::new(buf, 0x1000)).collect();
        let (descs, mut total) = (descs(3), Export::default());
        assert_eq!(
            export(&descs, &slots, &known, 2048, &mut total, |_| Some(0)),
            1
        );
        assert_eq!((total.packets, total.bytes), (1, 60));
        assert_eq!(descs[1].cmd.get(), UNTOUCHED);
        assert_eq!(descs[2].cmd.get(), UNTOUCHED);
    }
}

#[test]
fn the_hot_loop_changes_no_slot() {
    let slots = [slot(4, 60, 0)];
    export(
        &descs(1),
        &slots,
        &known(&slots),
        2048,
        &mut Export::default(),
        |_| Some(0),
    );
    assert_eq!(
        (slots[0].buf_idx.get(), slots[0].len_and_flags()),
        (4, (60, 0))
    );
}

#[test]
fn a_packet_may_begin_within_its_buffer_but_not_end_beyond_it() {
    for (len, offset, taken) in [
        (60, Some(0), 1),
        (1848, Some(200), 1),
        (1849, Some(200), 0),
        (60, None, 0),
    ] {
        let (descs, slots) = (descs(1), [slot(4, len, 0)]);
        let took = export(
            &descs,
            &slots,
            &known(&slots),
            2048,
            &mut Export::default(),
            |_| offset,
        );
        assert_eq!(took, taken);
        if taken == 1 {
            assert_eq!(descs[0].addr.get(), 4 * 2048 + u64::from(offset.unwrap()));
        }
    }
}

#[test]
fn only_a_slot_without_flags_in_its_known_buffer_is_plain() {
    let known = Armed::new(4, 0);
    assert!(plain(&slot(4, 60, 0), &known));
    assert!(!plain(&slot(5, 60, 0), &known));
    assert!(!plain(&slot(4, 60, NS_REPORT), &known));
    assert!(!plain(&slot(4, 60, 0x100), &known));
}

#[test]
fn a_buffer_longer_than_the_longest_frame_does_not_make_a_longer_frame() {
    let max = MAX_FRAME as u16;
    for (len, taken) in [(max, 1), (max + 1, 0)] {
        let slots = [slot(4, len, 0)];
        let mut total = Export::default();
        let took = export(&descs(1), &slots, &known(&slots), 16384, &mut total, |_| {
            Some(0)
        });
        assert_eq!(took, taken);
    }
}

/// Adds pieces of these lengths to a packet, in buffers of `room` bytes and a ring of `n` slots;
/// returns the descriptors if it is complete.
fn packet(lens: &[u16], room: u32, n: u32) -> Option<(Vec<TxDesc>, Export)> {
    let descs = descs(lens.len());
    let (mut packet, mut total) = (Packet::default(), Export::default());
    for (i, (desc, &len)) in descs.iter().zip(lens).enumerate() {
        let more = i + 1 < lens.len();
        if !packet.add(
            desc,
            Some(Place {
                bus: i as u64 * 4096,
                room,
            }),
            len,
            more,
            n,
        ) {
            assert_eq!(desc.cmd.get(), UNTOUCHED);
            return None;
        }
    }
    packet.close(&descs[0], &mut total);
    Some((descs, total))
}

#[test]
fn a_packet_of_three_pieces_says_its_length_in_the_first_and_ends_in_the_last() {
    let (descs, total) = packet(&[2048, 2048, 100], 2048, 512).unwrap();
    let read: Vec<_> = descs.iter().map(read).collect();
    let fields: Vec<_> = read
        .iter()
        .map(|r| (r.addr, r.len, r.eop, r.paylen))
        .collect();
    let expected = [
        (0, 2048, false, 4196),
        (4096, 2048, false, 0),
        (8192, 100, true, 0),
    ];
    assert_eq!(fields, expected);
    assert_eq!((total.packets, total.bytes, total.frags), (1, 4196, 2));
}

#[test]
fn a_packet_has_at_most_as_many_pieces_as_the_hardware_takes() {
    let lens = vec![60; MAX_PIECES as usize];
    assert!(packet(&lens, 2048, 512).is_some());
    let lens = vec![60; MAX_PIECES as usize + 1];
    assert!(packet(&lens, 2048, 512).is_none());
}

#[test]
fn a_packet_of_a_small_ring_has_at_most_as_many_pieces_as_the_ring_has_room_for() {
    assert!(packet(&[60; 7], 2048, 8).is_some());
    assert!(packet(&[60; 8], 2048, 8).is_none());
    assert!(packet(&[60; 2], 2048, 2).is_none());
}

#[test]
fn a_packet_is_at_most_as_long_as_the_hardware_sends() {
    let whole = [2048; 7];
    let rest = (MAX_FRAME - 7 * 2048) as u16;
    let with = |last| [&whole[..], &[last]].concat();
    assert!(packet(&with(rest), 2048, 512).is_some());
    assert!(packet(&with(rest + 1), 2048, 512).is_none());
}

#[test]
fn an_empty_piece_or_one_longer_than_its_buffer_spoils_a_packet() {
    for lens in [[60, 0, 60], [0, 60, 60], [60, 60, 0], [60, 2049, 60]] {
        assert!(packet(&lens, 2048, 512).is_none());
    }
}

#[test]
fn a_frame_without_a_whole_ethernet_header_is_not_sent() {
    for lens in [&[13][..], &[1], &[6, 7]] {
        assert!(packet(lens, 2048, 512).is_none());
    }
}

#[test]
fn a_frame_shorter_than_the_hardware_takes_is_made_as_long() {
    for lens in [&[14][..], &[16], &[8, 6], &[17]] {
        let (descs, total) = packet(lens, 2048, 512).unwrap();
        let sent: u64 = descs.iter().map(|d| read(d).len).sum();
        assert_eq!((sent, read(&descs[0]).paylen, total.bytes), (17, 17, 17));
    }
    // But not beyond the end of its buffer.
    assert!(packet(&[14], 16, 512).is_none());
}

#[test]
fn a_piece_in_no_buffer_is_not_sent() {
    let descs = descs(1);
    assert!(!Packet::default().add(&descs[0], None, 60, false, 512));
    assert_eq!(descs[0].cmd.get(), UNTOUCHED);
}

#[test]
fn only_the_end_of_a_packet_can_ask_for_a_report() {
    let (descs, _) = packet(&[60, 60], 2048, 512).unwrap();
    assert!(!report(&descs[0]));
    assert!(report(&descs[1]));
    assert_eq!((read(&descs[0]).rs, read(&descs[1]).rs), (false, true));
}

proptest! {
    #[test]
    fn what_the_hot_loop_takes_the_careful_path_would_send_alike(
        slots in proptest::collection::vec((0u32..4, 0u16..2100, prop_oneof![9 => Just(0u16), 1 => any::<u16>()]), 0..40)
    ) {
        let slots: Vec<_> = slots.into_iter().map(|(buf, len, flags)| slot(buf, len, flags)).collect();
        let known: Vec<_> = (0..slots.len()).map(|_| Armed::new(1, 0x800)).collect();
        let (descs, mut total) = (descs(slots.len()), Export::default());
        let took = export(&descs, &slots, &known, 2048, &mut total, |_| Some(0));
        let mut bytes = 0;
        for (desc, slot) in descs.iter().zip(&slots).take(took) {
            let (len, flags) = slot.len_and_flags();
            prop_assert_eq!((slot.buf_idx.get(), flags), (1, 0));
            let (alone, mut sum) = (&self::descs(1)[0], Export::default());
            let mut packet = Packet::default();
            let place = Place { bus: 0x800, room: 2048 };
            prop_assert!(packet.add(alone, Some(place), len, false, 512));
            packet.close(alone, &mut sum);
            prop_assert_eq!(read(desc), read(alone));
            bytes += sum.bytes;
        }
        prop_assert_eq!((total.packets as usize, total.bytes), (took, bytes));
        prop_assert!(descs.iter().skip(took).all(|d| d.cmd.get() == UNTOUCHED));
        if let Some(slot) = slots.get(took) {
            let (len, flags) = slot.len_and_flags();
            prop_assert!(slot.buf_idx.get() != 1 || flags != 0 || !(17..=2048).contains(&len));
        }
    }
}
