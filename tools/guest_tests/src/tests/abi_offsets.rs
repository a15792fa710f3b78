// SPDX-License-Identifier: GPL-2.0
//! The options OFFSETS and RX_META of REGISTER (API 14: 1.3, 1.7 row OFFSETS, 5
//! Offsets): what is agreed, what is refused, and that rings are made so.

use super::putback::payload;
use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::{header, one_rx, Fd};
use crate::frame::{udp, udp_sized};
use crate::mem::{Ring, Slot};
use crate::nic::Nic;
use crate::port::{rx_info, Port, DPORT, OTHER_PORT, Q};
use crate::setup::eventually;
use crate::sock::{bind, recv};
use crate::steer::{ifname, Rss, Rule};
use anyhow::{Context, Result};
use std::time::Duration;

tests! { "abi":
    offsets_that_cannot_be_are_refused_and_nothing_is_taken,
    offsets_are_in_the_ring_and_in_every_slot,
    offsets_other_than_those_of_the_bound_ring_give_ebusy,
    offsets_of_a_port_hold_for_queues_that_join,
    offsets_move_received_frames_within_their_buffers,
    offsets_move_frames_put_back,
    rx_meta_says_where_its_entries_are,
    rx_meta_on_a_ring_without_gives_ebusy_but_not_the_other_way_round,
}

const SOON: Duration = Duration::from_secs(10);
const RING_OFFSET_MASK: usize = 56;
const SLOT_PTR: usize = 8;

fn offsets(bits: u32, max: u64, initial: u64) -> OffsetsOpt {
    OffsetsOpt {
        opt: Opt {
            reqtype: OPT_OFFSETS,
            status: 0x5a5a,
            ..Default::default()
        },
        bits,
        max,
        initial,
        ..Default::default()
    }
}

fn register(mut reg: Register, first: u64) -> Result<(Fd, Register, Sys<()>)> {
    let fd = Fd::open()?;
    let mut hdr = header(&ifname(), REQ_REGISTER);
    hdr.body = &raw mut reg as u64;
    hdr.options = first;
    let got = fd.ctrl(&mut hdr);
    Ok((fd, reg, got))
}

/// A port with these offsets.
fn port(reg: Register, opt: &mut OffsetsOpt) -> Result<Port> {
    let (fd, reg, got) = register(reg, &raw mut *opt as u64)?;
    want_ok("REGISTER", got)?;
    want_eq("nro_status", opt.opt.status, 0)?;
    want_ok("mmap", Port::mapped(fd, reg))
}

fn ptr(ring: &Ring, i: u32) -> u64 {
    ring.mem.get(ring.slot_off(i) + SLOT_PTR)
}

/// OFFSETS: bad bits or max or initial -> EINVAL; what is not offered -> EOPNOTSUPP.
fn offsets_that_cannot_be_are_refused_and_nothing_is_taken() -> Result<()> {
    let align = |tx_align| OffsetsOpt {
        tx_align,
        ..offsets(0, 64, 0)
    };
    let gap = OffsetsOpt {
        min_gap: 8,
        ..offsets(0, 64, 0)
    };
    for (what, mut opt, errno) in [
        ("65 bits", offsets(65, 64, 0), libc::EINVAL),
        ("max beyond its bits", offsets(6, 64, 0), libc::EINVAL),
        ("initial beyond max", offsets(0, 64, 65), libc::EINVAL),
        ("no room behind max", offsets(0, 1025, 0), libc::EINVAL),
        ("max of 2^64 - 1", offsets(0, u64::MAX, 0), libc::EINVAL),
        ("alignment 3", align(3), libc::EINVAL),
        ("a gap", gap, libc::EOPNOTSUPP),
    ] {
        let (fd, _, got) = register(one_rx(Q), &raw mut opt as u64)?;
        want_errno(what, got, errno)?;
        want_eq("nro_status", opt.opt.status, errno as u32)?;
        want_errno("RXSYNC: not registered", fd.rxsync(), libc::ENXIO)?;
        want_eq("state of the queue", rx_info(&fd, Q)?.state, Q_KERNEL)?;
    }
    let mut good = align(64);
    port(one_rx(Q), &mut good).map(drop)
}

fn offsets_are_in_the_ring_and_in_every_slot() -> Result<()> {
    for (bits, mask) in [(0, u64::MAX), (16, 0xffff), (64, u64::MAX)] {
        let mut opt = offsets(bits, 512, 128);
        let port = port(one_rx(Q), &mut opt)?;
        want_eq("bits come back", opt.bits, mask.count_ones())?;
        want_eq("max, initial", (opt.max, opt.initial), (512, 128))?;
        let ring = port.ring(Q)?;
        let said: u64 = ring.mem.get(ring.off + RING_OFFSET_MASK);
        want_eq("offset_mask", said, mask)?;
        for i in 0..ring.n {
            want_eq(&format!("ptr of slot {i}"), ptr(&ring, i), 128)?;
        }
    }
    let plain = Port::rx(Q)?.ring(Q)?;
    let said: u64 = plain.mem.get(plain.off + RING_OFFSET_MASK);
    want_eq("offset_mask without the option", said, 0)
}

/// OFFSETS: clashes with the current setting -> EBUSY.
fn offsets_other_than_those_of_the_bound_ring_give_ebusy() -> Result<()> {
    let mut opt = offsets(16, 512, 128);
    let _first = port(one_rx(Q), &mut opt)?;
    for mut other in [
        offsets(16, 512, 0),
        offsets(16, 256, 128),
        offsets(0, 512, 128),
    ] {
        let (_, _, got) = register(one_rx(Q), &raw mut other as u64)?;
        want_errno("other offsets", got, libc::EBUSY)?;
    }
    let (_, _, got) = register(one_rx(Q), 0)?;
    want_errno("none", got, libc::EBUSY)?;
    let mut same = offsets(16, 512, 128);
    port(one_rx(Q), &mut same).map(drop)
}

fn offsets_of_a_port_hold_for_queues_that_join() -> Result<()> {
    let reg = Register {
        flags: RX_ONLY | NO_RINGS,
        ..one_rx(0)
    };
    let port = port(reg, &mut offsets(0, 64, 32))?;
    want_ok("NIOCQADD", port.fd.qadd(Q))?;
    want_eq("ptr of slot 7", ptr(&port.ring(Q)?, 7), 32)
}

fn offsets_move_received_frames_within_their_buffers() -> Result<()> {
    let _rss = Rss::without(&[Q])?;
    let port = port(one_rx(Q), &mut offsets(0, 512, 128))?;
    let _rule = Rule::udp(DPORT, Q)?;
    let (nic, ring) = (Nic::open()?, port.ring(Q)?);
    for seq in 0..8 {
        let frame = udp_sized(DPORT, seq, 400);
        nic.send(&frame)?;
        eventually("it is in the ring", SOON, || {
            port.fd.rxsync()?;
            Ok(ring.space() == 1)
        })?;
        let slot = ring.slot(ring.head());
        want_eq("ptr", ptr(&ring, ring.head()), 128)?;
        let mut bytes = vec![0; slot.len as usize];
        ring.mem.copy_out(ring.buf_off(slot.idx) + 128, &mut bytes);
        want_eq("frame", bytes, frame)?;
        let next = ring.next(ring.head());
        ring.set_cur(next);
        ring.set_head(next);
    }
    Ok(())
}

fn offsets_move_frames_put_back() -> Result<()> {
    let reg = Register {
        flags: RX_ONLY | PUTBACK,
        ..one_rx(Q)
    };
    let port = port(reg, &mut offsets(0, 512, 64))?;
    let socket = bind(OTHER_PORT)?;
    let host = port.host()?;
    for (i, at) in [0u64, 1, 64, 512].into_iter().enumerate() {
        let frame = udp(40001, OTHER_PORT, &[i as u8; 200]);
        let (head, slot) = (host.head(), host.slot(host.head()));
        want_eq("ptr at first", ptr(&host, head), 64)?;
        let len = frame.len() as u16;
        host.mem
            .copy_in(host.buf_off(slot.idx) + at as usize, &frame);
        host.set_slot(
            head,
            Slot {
                len,
                flags: 0,
                ..slot
            },
        );
        host.mem.set(host.slot_off(head) + SLOT_PTR, at);
        let next = host.next(head);
        host.set_cur(next);
        host.set_head(next);
        want_ok("TXSYNC", port.fd.txsync())?;
        let got = recv(&socket, SOON)?.context("the frame did not come")?;
        want_eq(&format!("frame at {at}"), got, payload(&frame))?;
    }
    Ok(())
}

/// The option RX_META: header, offset, size, spare.
fn meta() -> [u64; 5] {
    [0, u64::from(OPT_RX_META), 40, 0, 0]
}

fn rx_meta_says_where_its_entries_are() -> Result<()> {
    let mut opt = meta();
    let (fd, reg, got) = register(one_rx(Q), &raw mut opt as u64)?;
    want_ok("REGISTER", got)?;
    let slots = u64::from(reg.rx_slots);
    let (at, size) = (opt[3] & 0xffff_ffff, opt[3] >> 32);
    want_eq("bytes of an entry", size, 32)?;
    want_eq(
        "where they are",
        at,
        (256 + 16 * slots).next_multiple_of(64),
    )?;
    let port = want_ok("mmap", Port::mapped(fd, reg))?;
    let ring = port.ring(Q)?;
    for i in 0..slots {
        let flags: u32 = ring.mem.get(ring.off + (at + i * size) as usize + 16);
        want_eq("flags before anything came", flags, 0)?;
    }
    drop(port);
    let mut bad = meta();
    bad[4] = 1;
    let (_, _, got) = register(one_rx(Q), &raw mut bad as u64)?;
    want_errno("spare not 0", got, libc::EINVAL)
}

fn rx_meta_on_a_ring_without_gives_ebusy_but_not_the_other_way_round() -> Result<()> {
    let plain = Port::rx(Q)?;
    let mut opt = meta();
    let (_, _, got) = register(one_rx(Q), &raw mut opt as u64)?;
    want_errno("metadata of a plain ring", got, libc::EBUSY)?;
    drop(plain);
    let (_with, _, got) = register(one_rx(Q), &raw mut opt as u64)?;
    want_ok("metadata", got)?;
    let (_, _, got) = register(one_rx(Q), 0)?;
    want_ok("none of a ring that has it", got)
}
