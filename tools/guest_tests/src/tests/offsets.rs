// SPDX-License-Identifier: GPL-2.0
//! Frames at offsets in their buffers (netmap-abi 1.3 OPT_OFFSETS, 5 "Offsets"): `slot.ptr`, masked
//! by `ring.offset_mask`, says where the frame begins; the driver adds it to the DMA address and
//! takes it off the usable length.

use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::{header, one_rx, Fd};
use crate::frame::udp_sized;
use crate::mem::Ring;
use crate::nic::Nic;
use crate::port::{Port, DPORT, Q};
use crate::setup::eventually;
use crate::steer::{ethtool, ifname, wait_carrier, Rss, Rule};
use anyhow::{Context, Result};
use std::time::Duration;

tests! { "offsets":
    frames_begin_at_the_initial_offset,
    slot_gets_its_next_frame_where_it_asks_for_it,
    offset_beyond_the_highest_is_replaced_and_never_reaches_the_card,
    bits_outside_the_mask_are_the_programs,
    frame_longer_than_what_is_left_of_a_buffer_spans_slots,
    buffers_swapped_between_slots_keep_the_slots_offset,
    offsets_hold_after_a_reset_of_the_port @ 90 | flaps,
    fd_that_agreed_on_other_offsets_can_not_join,
}

const SOON: Duration = Duration::from_secs(10);
const INITIAL: u64 = 128;
const MAX: u64 = 512;
const MASK: u64 = 0xffff;

/// REGISTER with offsets in the low 16 bits of `slot.ptr`.
fn register(mut reg: Register, initial: u64, max: u64) -> Sys<Port> {
    let mut opt = OffsetsOpt {
        opt: Opt {
            reqtype: OPT_OFFSETS,
            ..Default::default()
        },
        max,
        initial,
        bits: 16,
        ..Default::default()
    };
    let fd = Fd::open()?;
    let mut hdr = header(&ifname(), REQ_REGISTER);
    hdr.body = &raw mut reg as u64;
    hdr.options = &raw mut opt as u64;
    fd.ctrl(&mut hdr)?;
    Port::mapped(fd, reg)
}

/// Queue `Q` with offsets, and what is steered to it.
struct Lane {
    _rule: Rule,
    port: Port,
    ring: Ring,
    nic: Nic,
    _rss: Rss,
}

fn lane(initial: u64, max: u64) -> Result<Lane> {
    let rss = Rss::without(&[Q])?;
    let port = want_ok("REGISTER with OFFSETS", register(one_rx(Q), initial, max))?;
    let (nic, ring) = (Nic::open()?, port.ring(Q)?);
    Ok(Lane {
        _rule: Rule::udp(DPORT, Q)?,
        port,
        ring,
        nic,
        _rss: rss,
    })
}

fn ptr_at(ring: &Ring, i: u32) -> usize {
    ring.slot_off(i) + 8
}

impl Lane {
    fn ptr(&self, i: u32) -> u64 {
        self.ring.mem.get(ptr_at(&self.ring, i))
    }

    fn set_ptr(&self, i: u32, ptr: u64) {
        self.ring.mem.set(ptr_at(&self.ring, i), ptr);
    }

    /// The frame that begins in slot `i`, from where its slots say.
    fn frame(&self, mut i: u32) -> Vec<u8> {
        let mut frame = Vec::new();
        loop {
            let slot = self.ring.slot(i);
            let mut piece = vec![0; usize::from(slot.len)];
            let at = self.ring.buf_off(slot.idx) + (self.ptr(i) & MASK) as usize;
            self.ring.mem.copy_out(at, &mut piece);
            frame.extend(piece);
            if slot.flags & NS_MOREFRAG == 0 {
                return frame;
            }
            i = self.ring.next(i);
        }
    }

    /// Sends `frame` and waits for it; the slot it begins in, which is still the program's.
    fn receive(&self, frame: &[u8]) -> Result<u32> {
        let first = self.ring.tail();
        self.nic.send(frame)?;
        eventually("the frame is in the ring", SOON, || {
            want_ok("RXSYNC", self.port.fd.rxsync())?;
            Ok(self.ring.tail() != first)
        })?;
        want_eq("frame", self.frame(first), frame.to_vec())?;
        Ok(first)
    }

    /// Releases everything.
    fn release(&self) -> Result<()> {
        let tail = self.ring.tail();
        self.ring.set_cur(tail);
        self.ring.set_head(tail);
        want_ok("RXSYNC", self.port.fd.rxsync())
    }

    /// Takes frames until slot `i` is the next one.
    fn until_slot(&self, i: u32) -> Result<()> {
        let n = self.ring.n;
        let left = (i + n - self.ring.tail()) % n;
        for seq in 0..left {
            self.receive(&udp_sized(DPORT, seq, 60))?;
            self.release()?;
        }
        want_eq("next slot", self.ring.tail(), i)
    }

    fn bad_slots(&self) -> Result<u64> {
        Ok(self.port.info(Q)?.counter[counter::BAD_SLOTS])
    }
}

fn frames_begin_at_the_initial_offset() -> Result<()> {
    let lane = lane(INITIAL, MAX)?;
    let mask: u64 = lane.ring.mem.get(lane.ring.off + 56);
    want_eq("offset_mask", mask, MASK)?;
    for i in 0..lane.ring.n {
        want_eq("slot.ptr of a fresh ring", lane.ptr(i), INITIAL)?;
    }
    // What stands before the frame is the program's own.
    let idx = lane.ring.slot(0).idx;
    let before = vec![0x5a; INITIAL as usize];
    lane.ring.mem.copy_in(lane.ring.buf_off(idx), &before);
    let slot = lane.receive(&udp_sized(DPORT, 1, 300))?;
    want_eq("slot", slot, 0)?;
    let mut now = before.clone();
    lane.ring.mem.copy_out(lane.ring.buf_off(idx), &mut now);
    want_eq("bytes before the frame", now, before)
}

fn slot_gets_its_next_frame_where_it_asks_for_it() -> Result<()> {
    let lane = lane(INITIAL, MAX)?;
    for (i, offset) in [(0, 0), (1, 2), (2, 257), (3, MAX)] {
        want_eq("slot", lane.receive(&udp_sized(DPORT, i, 100))?, i)?;
        lane.set_ptr(i, offset);
        lane.release()?;
    }
    lane.until_slot(0)?;
    for (i, offset) in [(0, 0), (1, 2), (2, 257), (3, MAX), (4, INITIAL)] {
        // `receive` looks for the frame where the slot says.
        want_eq("slot", lane.receive(&udp_sized(DPORT, 9, 1000))?, i)?;
        want_eq("its ptr", lane.ptr(i), offset)?;
        lane.release()?;
    }
    want_eq("bad slots", lane.bad_slots()?, 0)
}

fn offset_beyond_the_highest_is_replaced_and_never_reaches_the_card() -> Result<()> {
    let lane = lane(INITIAL, MAX)?;
    let bad = [MAX + 1, 2047, 0xffff];
    for (i, offset) in (0..).zip(bad) {
        lane.receive(&udp_sized(DPORT, i, 100))?;
        lane.set_ptr(i, offset);
        lane.release()?;
        want_eq("ptr after the release", lane.ptr(i), INITIAL)?;
        want_eq("bad slots", lane.bad_slots()?, u64::from(i) + 1)?;
    }
    lane.until_slot(0)?;
    for i in 0..bad.len() as u32 {
        want_eq("slot", lane.receive(&udp_sized(DPORT, i, 1000))?, i)?;
        lane.release()?;
    }
    Ok(())
}

fn bits_outside_the_mask_are_the_programs() -> Result<()> {
    let lane = lane(INITIAL, MAX)?;
    let mine = 0xdead_beef_0001_0000;
    lane.receive(&udp_sized(DPORT, 0, 100))?;
    lane.set_ptr(0, mine | 64);
    lane.release()?;
    lane.receive(&udp_sized(DPORT, 1, 100))?;
    lane.set_ptr(1, mine | (MAX + 1));
    lane.release()?;
    want_eq("upper bits, good offset", lane.ptr(0), mine | 64)?;
    want_eq("upper bits, bad offset", lane.ptr(1), mine | INITIAL)?;
    want_eq("bad slots", lane.bad_slots()?, 1)?;
    lane.until_slot(0)?;
    lane.receive(&udp_sized(DPORT, 2, 200)).map(drop)
}

fn frame_longer_than_what_is_left_of_a_buffer_spans_slots() -> Result<()> {
    // 2048 - 1000 leaves the card one KiB.
    let lane = lane(0, 1000)?;
    let first = lane.receive(&udp_sized(DPORT, 1, 1500))?;
    want_eq("slots", lane.ring.distance(first, lane.ring.tail()), 2)?;
    let pieces = [lane.ring.slot(0).len, lane.ring.slot(1).len];
    want_eq("pieces", pieces, [1024, 476])?;
    lane.set_ptr(first, 1000);
    lane.set_ptr(first + 1, 1000);
    lane.release()?;
    lane.until_slot(first)?;
    lane.receive(&udp_sized(DPORT, 2, 1500)).map(drop)
}

fn buffers_swapped_between_slots_keep_the_slots_offset() -> Result<()> {
    let lane = lane(INITIAL, MAX)?;
    lane.receive(&udp_sized(DPORT, 0, 100))?;
    lane.receive(&udp_sized(DPORT, 1, 100))?;
    let (mut a, mut b) = (lane.ring.slot(0), lane.ring.slot(1));
    std::mem::swap(&mut a.idx, &mut b.idx);
    lane.ring.set_slot(0, a);
    lane.ring.set_slot(1, b);
    lane.set_ptr(0, 16);
    lane.set_ptr(1, 480);
    lane.release()?;
    lane.until_slot(0)?;
    for (i, idx) in [(0, a.idx), (1, b.idx)] {
        want_eq("slot", lane.receive(&udp_sized(DPORT, i, 1000))?, i)?;
        want_eq("buffer", lane.ring.slot(i).idx, idx)?;
    }
    want_eq("bad slots", lane.bad_slots()?, 0)
}

fn offsets_hold_after_a_reset_of_the_port() -> Result<()> {
    let lane = lane(INITIAL, MAX)?;
    lane.receive(&udp_sized(DPORT, 0, 100))?;
    lane.set_ptr(0, 400);
    lane.release()?;
    ethtool("-r", &[])?;
    wait_carrier()?;
    eventually("the ring is back", SOON, || {
        Ok(lane.port.fd.rxsync().is_ok())
    })?;
    lane.until_slot(0)?;
    lane.receive(&udp_sized(DPORT, 1, 1400))?;
    want_eq("ptr", lane.ptr(0), 400)
}

fn fd_that_agreed_on_other_offsets_can_not_join() -> Result<()> {
    let first = want_ok("the first", register(one_rx(Q), INITIAL, MAX))?;
    let got = register(one_rx(Q), 0, MAX).map(drop);
    want_errno("another initial offset", got, libc::EBUSY)?;
    let got = Port::rx(Q).map(drop);
    want_errno("none at all", got, libc::EBUSY)?;
    drop(want_ok("the same", register(one_rx(Q), INITIAL, MAX))?);
    want_ok("the first goes on", first.fd.rxsync()).context("after all")
}
