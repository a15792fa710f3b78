// SPDX-License-Identifier: GPL-2.0
//! A program that writes nonsense into the shared memory: ring headers, the
//! netmap_if, everything at once.  The kernel goes on, and so does the ring
//! once the nonsense stops.

use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::one_rx;
use crate::frame::udp_sized;
use crate::mem::Ring;
use crate::nic::Nic;
use crate::port::{Lane, DPORT, Q, Q2};
use anyhow::Result;
use std::time::Duration;

tests! { "hostile":
    every_head_and_cur_out_of_range_is_survived,
    random_pointers_never_move_the_ring_out_of_its_bounds,
    scribbled_constants_of_the_ring_are_not_trusted,
    scribbled_netmap_if_is_not_trusted,
    all_ones_over_the_whole_ring_is_survived,
    all_zero_over_rings_and_netmap_if_is_survived,
}

const SOON: Duration = Duration::from_secs(10);

/// A small generator of numbers that look random; seeded, so that a failure
/// can be had again.
pub(super) struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Values at the edges more often than others.
    pub fn nasty(&mut self, n: u32) -> u32 {
        let r = self.next();
        match r % 8 {
            0 => n,
            1 => n - 1,
            2 => 0,
            3 => u32::MAX,
            4 => 0x8000_0000,
            5 => (r >> 32) as u32 % n,
            6 => n.wrapping_add((r >> 32) as u32 % 16),
            _ => (r >> 32) as u32,
        }
    }
}

/// The ring receives as it should once the nonsense has stopped: bad pointers
/// are reset at the next sync, and each frame's slot names its buffer again.
pub(super) fn works_again(nic: &Nic, lane: &Lane, ring: &Ring) -> Result<()> {
    for _ in 0..3 {
        lane.port.fd.rxsync()?;
        lane.port.fd.txsync()?;
        let (head, _, tail) = ring.pointers();
        want(
            &format!("pointers in the ring: {:?}", ring.pointers()),
            head < ring.n && tail < ring.n,
        )?;
        ring.set_cur(tail);
        ring.set_head(tail);
    }
    want_ok("RXSYNC", lane.port.fd.rxsync())?;
    nic.wait_room(Q, ring.n, ring.n / 2)?;
    for first in (0..2 * ring.n).step_by(32) {
        let all: Vec<_> = (first..first + 32)
            .map(|s| udp_sized(DPORT, s, 80))
            .collect();
        for frame in &all {
            nic.send(frame)?;
        }
        let got = lane.port.recv_from(ring, DPORT, 32, SOON)?;
        want_eq("frames after the nonsense", got, all)?;
    }
    Ok(())
}

fn every_head_and_cur_out_of_range_is_survived() -> Result<()> {
    let lane = Lane::open()?;
    let ring = lane.ring()?;
    let n = ring.n;
    for bad in [
        n,
        n + 1,
        2 * n,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_fffe,
        0xffff_ffff,
    ] {
        for (head, cur) in [(bad, 0), (0, bad), (bad, bad)] {
            ring.set_head(head);
            ring.set_cur(cur);
            want_ok("RXSYNC", lane.port.fd.rxsync())?;
            want_eq(
                &format!("pointers after head {head}, cur {cur}"),
                ring.pointers(),
                (0, 0, 0),
            )?;
        }
    }
    works_again(&Nic::open()?, &lane, &ring)
}

/// Whatever head, cur and tail are: after a sync they make sense again.
fn random_pointers_never_move_the_ring_out_of_its_bounds() -> Result<()> {
    let lane = Lane::open()?;
    let ring = lane.ring()?;
    let nic = Nic::open()?;
    let gen = nic.generate("g", &format!("profile=udp rate=1000 size=60 dport={DPORT}"))?;
    let mut rng = Rng(0x9e37_79b9_7f4a_7c15);
    for turn in 0..20_000 {
        ring.set_head(rng.nasty(ring.n));
        ring.set_cur(rng.nasty(ring.n));
        ring.set_tail(rng.nasty(ring.n));
        want_ok("RXSYNC", lane.port.fd.rxsync())?;
        let (head, cur, tail) = ring.pointers();
        let inside = head < ring.n && cur < ring.n && tail < ring.n;
        let ordered = ring.distance(head, cur) <= ring.distance(head, tail);
        want(
            &format!("turn {turn}: {head} {cur} {tail} make sense"),
            inside && ordered,
        )?;
    }
    drop(gen);
    works_again(&nic, &lane, &ring)
}

fn scribbled_constants_of_the_ring_are_not_trusted() -> Result<()> {
    let lane = Lane::open()?;
    let ring = lane.ring()?;
    let (mem, off) = (&ring.mem, ring.off);
    let saved = (
        mem.get::<u32>(off + shm::RING_NUM_SLOTS),
        mem.get::<i64>(off + shm::RING_BUF_OFS),
        mem.get::<u32>(off + shm::RING_BUF_SIZE),
    );
    for bad in [0u32, 1, 0x10_0000, u32::MAX] {
        mem.set(off + shm::RING_NUM_SLOTS, bad);
        mem.set(off + shm::RING_BUF_SIZE, bad);
        mem.set(off + shm::RING_BUF_OFS, i64::from(bad) << 20);
        mem.set(off + shm::RING_ID, bad as u16);
        mem.set(off + shm::RING_DIR, bad as u16);
        mem.set(off + shm::RING_FLAGS, bad);
        for seq in 0..3 {
            Nic::open()?.send(&udp_sized(DPORT, seq, 80))?;
        }
        want_ok("RXSYNC", lane.port.fd.rxsync())?;
        want_eq(
            &format!("frames with constants {bad:#x}"),
            ring.take().len(),
            3,
        )?;
        want_ok("RXSYNC", lane.port.fd.rxsync())?;
    }
    mem.set(off + shm::RING_NUM_SLOTS, saved.0);
    mem.set(off + shm::RING_BUF_OFS, saved.1);
    mem.set(off + shm::RING_BUF_SIZE, saved.2);
    mem.set(off + shm::RING_FLAGS, 0u32);
    works_again(&Nic::open()?, &lane, &ring)
}

/// Old nm_open programs write through a ring offset of 0 onto the netmap_if.
fn scribbled_netmap_if_is_not_trusted() -> Result<()> {
    let lane = Lane::with(Register {
        extra_bufs: 4,
        ..one_rx(Q)
    })?;
    let ring = lane.ring()?;
    let rings = lane.port.nif.tx_rings() + lane.port.nif.rx_rings() + 2;
    let (mem, off) = (&lane.port.mem, lane.port.nif.off);
    for at in 0..(shm::IF_RING_OFS + 8 * rings) / 8 {
        mem.set(off + 8 * at, u64::MAX);
    }
    want_ok("RXSYNC", lane.port.fd.rxsync())?;
    want_ok("NIOCQADD", lane.port.fd.qadd(Q2))?;
    want_ok("NIOCQDEL", lane.port.fd.qdel(Q2))?;
    works_again(&Nic::open()?, &lane, &ring)
}

fn all_ones_over_the_whole_ring_is_survived() -> Result<()> {
    let lane = Lane::open()?;
    let ring = lane.ring()?;
    fill(&ring, 0xff);
    for _ in 0..3 {
        want_ok("RXSYNC", lane.port.fd.rxsync())?;
    }
    works_again(&Nic::open()?, &lane, &ring)
}

/// Writes one byte value over header and slots.
fn fill(ring: &Ring, byte: u8) {
    let size = shm::RING_SLOTS + shm::SLOT_SIZE * ring.n as usize;
    ring.mem.copy_in(ring.off, &vec![byte; size]);
}

fn all_zero_over_rings_and_netmap_if_is_survived() -> Result<()> {
    let lane = Lane::putback()?;
    let (ring, host) = (lane.ring()?, lane.port.host()?);
    fill(&ring, 0);
    fill(&host, 0);
    let rings = lane.port.nif.tx_rings() + lane.port.nif.rx_rings() + 2;
    let netmap_if = vec![0; shm::IF_RING_OFS + 8 * rings];
    lane.port.mem.copy_in(lane.port.nif.off, &netmap_if);
    want_ok("RXSYNC", lane.port.fd.rxsync())?;
    want_ok("TXSYNC", lane.port.fd.txsync())?;
    works_again(&Nic::open()?, &lane, &ring)
}
