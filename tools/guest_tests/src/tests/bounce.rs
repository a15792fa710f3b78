// SPDX-License-Identifier: GPL-2.0
//! A machine whose devices cannot reach all memory: every buffer has a bounce buffer, and there may
//! be none left. Booted with `swiotlb=N,force`; elsewhere these are skipped. (All other tests pass
//! there too: tools/lab/lab --append swiotlb=65536,force test.)

use super::abi_register::rx;
use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::failnth::Held;
use crate::fd::{one_rx, one_tx};
use crate::frame::udp_sized;
use crate::nic::Nic;
use crate::port::{Lane, Port, DPORT, Q, Q2};
use crate::setup::eventually;
use crate::steer::ifname;
use anyhow::{Context, Result};
use std::fs;
use std::time::Duration;

tests! { "bounce":
    buffers_are_bounced,
    what_programs_wrote_survives_the_end_of_a_mapping,
    frames_pass_from_ring_to_ring_by_buffer_swap,
    registration_without_bounce_buffers_is_enomem_and_keeps_none @ 120,
}

const SOON: Duration = Duration::from_secs(10);

/// Bounce buffers there are and that are used, in pieces of 2 KiB.
fn bounce() -> Result<(u64, u64)> {
    let cmdline = fs::read_to_string("/proc/cmdline")?;
    let forced = cmdline
        .split_whitespace()
        .any(|w| w.starts_with("swiotlb=") && w.contains("force"));
    if !forced {
        return Err(super::Skip("no bounce buffers: boot with swiotlb=N,force".into()).into());
    }
    let read = |file: &str| -> Result<u64> {
        let text = fs::read_to_string(format!("/sys/kernel/debug/swiotlb/{file}"))?;
        text.trim().parse().context("not a number")
    };
    Ok((read("io_tlb_nslabs")?, read("io_tlb_used")?))
}

fn buffers_are_bounced() -> Result<()> {
    let (_, before) = bounce()?;
    // an RX ring sets the kernel's own buffers free at the same time
    let port = Port::tx(Q)?;
    let (_, used) = bounce()?;
    want(
        &format!("{before}, then {used} for {} slots", port.reg.tx_slots),
        used >= before + u64::from(port.reg.tx_slots),
    )?;
    drop(port);
    want_eq("afterwards", bounce()?.1, before)
}

/// The last ring of the card ends; the region stays, and a program's buffers in it.
fn what_programs_wrote_survives_the_end_of_a_mapping() -> Result<()> {
    bounce()?;
    let lane = Lane::open()?;
    let memory = Register {
        mode: MODE_NULL,
        mem_id: lane.port.reg.mem_id,
        extra_bufs: 8,
        ..Default::default()
    };
    let memory = want_ok("mode NULL", Port::open("", memory))?;
    let pools = memory.fd.pools_info(&ifname())?;
    let place = |buf: u32| pools.buf_offset as usize + buf as usize * pools.buf_size as usize;
    let first = memory.nif.bufs_head();
    let note = b"written while the card had a mapping of this buffer";
    memory.mem.copy_in(place(first) + 100, note);
    // received frames too, which the program has not yet released
    let frame = udp_sized(DPORT, 7, 300);
    Nic::open()?.send(&frame)?;
    let ring = lane.ring()?;
    eventually("a frame", SOON, || {
        want_ok("RXSYNC", lane.port.fd.rxsync())?;
        Ok(ring.space() > 0)
    })?;
    want_eq("the frame", ring.bytes(ring.head()), frame)?;
    drop(ring);
    drop(lane);
    let mut got = vec![0; note.len()];
    memory.mem.copy_out(place(first) + 100, &mut got);
    want_eq("the note", got, note.to_vec())
}

/// Received into one ring's bounce buffer, sent from another's.
fn frames_pass_from_ring_to_ring_by_buffer_swap() -> Result<()> {
    bounce()?;
    let nic = Nic::open()?;
    let lane = Lane::with(one_rx(Q))?;
    let tx = want_ok("TX ring", Port::open(&ifname(), one_tx(Q2)))?;
    let (from, to) = (lane.ring()?, tx.tx_ring(Q2)?);
    let frames: Vec<_> = (0..20).map(|seq| udp_sized(DPORT, seq, 400)).collect();
    let (_, sent) = nic.sent_during(|| {
        for (i, f) in frames.iter().enumerate() {
            nic.send(f)?;
            eventually("a frame", SOON, || {
                want_ok("RXSYNC", lane.port.fd.rxsync())?;
                Ok(from.space() > 0)
            })?;
            let (r, t) = (from.head(), to.head());
            let (got, mine) = (from.slot(r), to.slot(t));
            to.set_slot(
                t,
                crate::mem::Slot {
                    flags: NS_BUF_CHANGED,
                    ..got
                },
            );
            let back = crate::mem::Slot {
                idx: mine.idx,
                flags: NS_BUF_CHANGED,
                ..got
            };
            from.set_slot(r, back);
            for (ring, next) in [(&from, from.next(r)), (&to, to.next(t))] {
                ring.set_cur(next);
                ring.set_head(next);
            }
            want_ok("TXSYNC", tx.fd.txsync())?;
            eventually(&format!("frame {i} is sent"), SOON, || {
                want_ok("TXSYNC", tx.fd.txsync())?;
                Ok(to.space() == to.n - 1)
            })?;
        }
        Ok(())
    })?;
    let ours: Vec<_> = sent.into_iter().filter(|f| frames.contains(f)).collect();
    want_eq("on the wire", ours, frames)
}

/// Ports with extra buffers until nothing can be mapped any more; then each kind is refused, nothing
/// of it stays mapped, and it works when there is room again.
fn registration_without_bounce_buffers_is_enomem_and_keeps_none() -> Result<()> {
    let (all, before) = bounce()?;
    let mut hogs = Vec::new();
    let greedy = |queue| Register {
        flags: RX_ONLY | PRIVATE_MEM,
        extra_bufs: 16_384,
        ..one_rx(queue)
    };
    for queue in 0..8 {
        match Port::open(&ifname(), greedy(queue)) {
            Ok(port) => hogs.push(port),
            Err(Errno(libc::ENOMEM)) => break,
            Err(e) => return Err(e).context("REGISTER"),
        }
    }
    let (_, used) = bounce()?;
    println!("{} ports use {} of {all}", hogs.len(), used - before);
    if used + 4096 < all {
        let why = format!("too many bounce buffers: {all}, try swiotlb=65536,force");
        return Err(super::Skip(why).into());
    }
    let held = Held::now()?;
    let private = |mut reg: Register| {
        reg.flags |= PRIVATE_MEM;
        reg
    };
    for (what, reg) in [
        ("RX", private(one_rx(9))),
        ("TX", private(one_tx(9))),
        ("all", private(rx(ALL_NIC, 0, TX_ONLY))),
    ] {
        let got = Port::open(&ifname(), reg);
        want_errno(what, got, libc::ENOMEM)?;
        held.same()?;
        want_eq("bounce buffers used", bounce()?.1, used)?;
    }
    drop(hogs);
    want_eq("afterwards", bounce()?.1, before)?;
    drop(want_ok(
        "RX again",
        Port::open(&ifname(), private(one_rx(9))),
    )?);
    drop(want_ok(
        "TX again",
        Port::open(&ifname(), private(one_tx(9))),
    )?);
    want_eq("in the end", bounce()?.1, before)
}
