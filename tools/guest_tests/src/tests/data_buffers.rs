// SPDX-License-Identifier: GPL-2.0
//! Buffers as a program may use them: swapped within a ring, between rings of
//! one fd and of two fds, and extra ones.

use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::one_rx;
use crate::frame::udp_sized;
use crate::mem::{Ring, Slot};
use crate::nic::Nic;
use crate::port::{Lane, Port, DPORT, DPORT2, Q, Q2};
use crate::setup::eventually;
use crate::steer::{ifname, Rule};
use anyhow::Result;
use std::collections::BTreeSet;
use std::time::Duration;

tests! { "data":
    buffers_swapped_within_a_ring_keep_working,
    buffers_swapped_between_two_rings_of_one_fd_keep_working,
    buffers_swapped_between_two_fds_of_one_user_keep_working,
    buffer_kept_aside_keeps_its_frame,
    extra_buffers_are_granted_and_chained,
    extra_buffers_are_distinct_and_in_no_ring,
    extra_buffers_can_be_swapped_in_for_a_whole_ring,
    extra_buffers_asked_without_end_are_bounded,
    extra_buffers_are_returned_on_close,
    extra_buffer_list_scribbled_before_close_is_harmless,
}

const SOON: Duration = Duration::from_secs(10);

/// Waits until a ring shows `n` slots.
fn filled(port: &Port, ring: &Ring, n: u32) -> Result<()> {
    eventually(&format!("{n} slots filled"), SOON, || {
        port.fd.rxsync()?;
        Ok(ring.space() >= n)
    })
}

/// Exchanges the buffers of two slots the user owns.
fn swap(a: &Ring, i: u32, b: &Ring, j: u32) {
    let (x, y) = (a.slot(i), b.slot(j));
    a.set_slot(
        i,
        Slot {
            idx: y.idx,
            flags: NS_BUF_CHANGED,
            ..x
        },
    );
    b.set_slot(
        j,
        Slot {
            idx: x.idx,
            flags: NS_BUF_CHANGED,
            ..y
        },
    );
}

/// Sends `n` numbered frames; what arrives must be exactly these.
fn round(nic: &Nic, port: &Port, queue: u32, dport: u16, first: u32, n: u32) -> Result<()> {
    for seq in first..first + n {
        nic.send(&udp_sized(dport, seq, 200))?;
    }
    let all: Vec<_> = (first..first + n)
        .map(|s| udp_sized(dport, s, 200))
        .collect();
    want_eq("frames", port.recv(queue, dport, n as usize, SOON)?, all)
}

fn buffers_swapped_within_a_ring_keep_working() -> Result<()> {
    let lane = Lane::open()?;
    let ring = lane.ring()?;
    let nic = Nic::open()?;
    let swaps = lane.port.info(Q)?.counter[counter::SWAPS];
    for seq in 0..4 {
        nic.send(&udp_sized(DPORT, seq, 200))?;
    }
    filled(&lane.port, &ring, 4)?;
    let idx: Vec<u32> = (0..4).map(|i| ring.slot(i).idx).collect();
    swap(&ring, 0, &ring, 3);
    swap(&ring, 1, &ring, 2);
    let back: Vec<_> = [3, 2, 1, 0].map(|s| udp_sized(DPORT, s, 200)).into();
    want_eq("the frames moved with their buffers", ring.take(), back)?;
    want_ok("RXSYNC", lane.port.fd.rxsync())?;
    let now: Vec<u32> = (0..4).map(|i| ring.slot(i).idx).collect();
    want_eq(
        "the kernel took the swap",
        now,
        vec![idx[3], idx[2], idx[1], idx[0]],
    )?;
    want_eq(
        "swaps counted",
        lane.port.info(Q)?.counter[counter::SWAPS],
        swaps + 4,
    )?;
    for first in (100..100 + 3 * ring.n).step_by(64) {
        round(&nic, &lane.port, Q, DPORT, first, 64)?;
    }
    Ok(())
}

fn buffers_swapped_between_two_rings_of_one_fd_keep_working() -> Result<()> {
    let lane = Lane::open()?;
    want_ok("NIOCQADD", lane.port.fd.qadd(Q2))?;
    let _rule = Rule::udp(DPORT2, Q2)?;
    let (a, b) = (lane.port.ring(Q)?, lane.port.ring(Q2)?);
    swap_between(&lane.port, &a, &lane.port, &b)
}

fn buffers_swapped_between_two_fds_of_one_user_keep_working() -> Result<()> {
    let lane = Lane::open()?;
    let other = Port::rx(Q2)?;
    let _rule = Rule::udp(DPORT2, Q2)?;
    let (a, b) = (lane.ring()?, other.ring(Q2)?);
    swap_between(&lane.port, &a, &other, &b)
}

/// Eight frames in each ring change places by swapping buffers; then both
/// rings go on, several times around.
fn swap_between(pa: &Port, a: &Ring, pb: &Port, b: &Ring) -> Result<()> {
    let nic = Nic::open()?;
    // the other queue is in RSS: begin with an empty ring
    pb.fd.rxsync()?;
    b.take();
    pb.fd.rxsync()?;
    for seq in 0..8 {
        nic.send(&udp_sized(DPORT, seq, 200))?;
        nic.send(&udp_sized(DPORT2, seq, 200))?;
    }
    filled(pa, a, 8)?;
    filled(pb, b, 8)?;
    let (mut i, mut j) = (a.head(), b.head());
    for _ in 0..8 {
        swap(a, i, b, j);
        (i, j) = (a.next(i), b.next(j));
    }
    for (ring, dport) in [(a, DPORT2), (b, DPORT)] {
        let all: Vec<_> = (0..8).map(|s| udp_sized(dport, s, 200)).collect();
        want_eq("frames of the other ring", ring.take_up_to(8), all)?;
    }
    want_ok("RXSYNC", pa.fd.rxsync())?;
    want_ok("RXSYNC", pb.fd.rxsync())?;
    for first in (100..100 + 2 * a.n).step_by(64) {
        round(&nic, pa, Q, DPORT, first, 64)?;
        round(&nic, pb, Q2, DPORT2, first, 64)?;
    }
    let all: Vec<u32> = (0..a.n)
        .map(|i| a.slot(i).idx)
        .chain((0..b.n).map(|i| b.slot(i).idx))
        .collect();
    let distinct: BTreeSet<&u32> = all.iter().collect();
    want_eq("no buffer is in two slots", distinct.len(), all.len())
}

/// head stays behind cur: the kernel does not touch what lies between.
fn buffer_kept_aside_keeps_its_frame() -> Result<()> {
    let lane = Lane::open()?;
    let ring = lane.ring()?;
    let nic = Nic::open()?;
    nic.send(&udp_sized(DPORT, 4711, 900))?;
    filled(&lane.port, &ring, 1)?;
    nic.send_n(&udp_sized(DPORT, 5, 60), 3 * ring.n)?;
    for _ in 0..10 {
        want_ok("RXSYNC", lane.port.fd.rxsync())?;
    }
    want_eq("full behind it", ring.space(), ring.n - 1)?;
    want_eq(
        "the frame",
        ring.bytes(ring.head()),
        udp_sized(DPORT, 4711, 900),
    )
}

fn with_extra(extra_bufs: u32) -> Result<Port> {
    let reg = Register {
        extra_bufs,
        ..one_rx(Q)
    };
    want_ok("REGISTER", Port::open(&ifname(), reg))
}

/// The list that starts at ni_bufs_head.
fn chain(port: &Port) -> Result<Vec<u32>> {
    let ring = port.ring(Q)?;
    let (mut idx, mut all) = (port.nif.bufs_head(), Vec::new());
    while idx != 0 {
        want(
            &format!("the chain of {} ends", all.len()),
            all.len() < 1_000_000,
        )?;
        all.push(idx);
        idx = port.mem.get(ring.buf_off(idx));
    }
    Ok(all)
}

fn extra_buffers_are_granted_and_chained() -> Result<()> {
    for count in [1, 8, 100] {
        let port = with_extra(count)?;
        want_eq("granted", port.reg.extra_bufs, count)?;
        want_eq("in the chain", chain(&port)?.len() as u32, count)?;
    }
    Ok(())
}

fn extra_buffers_are_distinct_and_in_no_ring() -> Result<()> {
    let port = with_extra(64)?;
    let ring = port.ring(Q)?;
    let total = port.fd.pools_info(&ifname())?.buf_total;
    let mut seen: BTreeSet<u32> = (0..ring.n).map(|i| ring.slot(i).idx).collect();
    for idx in chain(&port)? {
        want(&format!("2 <= {idx} < {total}"), (2..total).contains(&idx))?;
        want(&format!("buffer {idx} is nowhere else"), seen.insert(idx))?;
    }
    Ok(())
}

/// Zero-copy keeping of packets: each received buffer is replaced by a spare.
fn extra_buffers_can_be_swapped_in_for_a_whole_ring() -> Result<()> {
    let lane = Lane::with(Register {
        extra_bufs: 32,
        ..one_rx(Q)
    })?;
    let (port, ring) = (&lane.port, lane.ring()?);
    want_eq("granted", port.reg.extra_bufs, 32)?;
    let mut spare = chain(port)?;
    let nic = Nic::open()?;
    let mut kept = Vec::new();
    for seq in 0..32 {
        nic.send(&udp_sized(DPORT, seq, 300))?;
    }
    filled(port, &ring, 32)?;
    for i in 0..32 {
        let s = ring.slot(i);
        kept.push(s.idx);
        ring.set_slot(
            i,
            Slot {
                idx: spare[i as usize],
                flags: NS_BUF_CHANGED,
                ..s
            },
        );
    }
    ring.set_cur(32);
    ring.set_head(32);
    want_ok("RXSYNC", port.fd.rxsync())?;
    // the ring goes around; the kept buffers must not change
    for first in (1000..1000 + 2 * ring.n).step_by(64) {
        round(&nic, port, Q, DPORT, first, 64)?;
    }
    for (seq, idx) in kept.iter().enumerate() {
        let mut frame = vec![0; 300];
        port.mem.copy_out(ring.buf_off(*idx), &mut frame);
        want_eq(
            &format!("kept frame {seq}"),
            frame,
            udp_sized(DPORT, seq as u32, 300),
        )?;
    }
    // the list found at close is the one that is freed: chain what is held now
    spare.clear();
    for w in kept.windows(2) {
        port.mem.set(ring.buf_off(w[0]), w[1]);
    }
    port.mem.set(ring.buf_off(kept[31]), 0u32);
    port.nif.set_bufs_head(kept[0]);
    Ok(())
}

/// Upstream gives everything there is; here another fd still finds memory.
fn extra_buffers_asked_without_end_are_bounded() -> Result<()> {
    let port = with_extra(u32::MAX)?;
    let total = port.fd.pools_info(&ifname())?.buf_total;
    let granted = port.reg.extra_bufs;
    println!("asked for {}, granted {granted} of {total}", u32::MAX);
    want("some were granted", granted > 0 && granted < total)?;
    want_eq("in the chain", chain(&port)?.len() as u32, granted)?;
    want_ok("another fd of the same user", Port::rx(Q2)).map(drop)
}

/// They come back: taking them all again and again does not use them up.
fn extra_buffers_are_returned_on_close() -> Result<()> {
    let most = with_extra(u32::MAX)?.reg.extra_bufs;
    for _ in 0..4 {
        want_eq("granted again", with_extra(u32::MAX)?.reg.extra_bufs, most)?;
    }
    Ok(())
}

/// The kernel walks that list at close: it must check each index and the length.
fn extra_buffer_list_scribbled_before_close_is_harmless() -> Result<()> {
    let most = with_extra(u32::MAX)?.reg.extra_bufs;
    for bad in [u32::MAX, 0x8000_0000, 1, 0] {
        let port = with_extra(8)?;
        port.nif.set_bufs_head(bad);
        drop(port);
        let port = with_extra(8)?;
        let list = chain(&port)?;
        port.mem.set(port.ring(Q)?.buf_off(list[3]), bad);
        drop(port);
        let port = with_extra(8)?;
        let list = chain(&port)?;
        port.mem.set(port.ring(Q)?.buf_off(list[7]), list[0]);
        drop(port);
        // a buffer that stands in a ring slot must not be freed twice
        let port = with_extra(8)?;
        port.nif.set_bufs_head(port.ring(Q)?.slot(0).idx);
    }
    want_eq(
        "nothing leaked, nothing freed twice",
        with_extra(u32::MAX)?.reg.extra_bufs,
        most,
    )
}
