// SPDX-License-Identifier: GPL-2.0
//! poll() and NIC TX rings (netmap-abi 1.12): what it pushes, when it says POLLOUT, and that a
//! program that waits for room is woken.

use super::putback::put_copy;
use super::tests;
use super::tx::{drained, SOON};
use crate::abi::*;
use crate::check::*;
use crate::fd::one_tx;
use crate::frame::{outgoing, udp_sized};
use crate::mem::Ring;
use crate::nic::Nic;
use crate::port::{tx_info, Lane, Port, DPORT, Q};
use crate::setup::eventually;
use crate::steer::{ifname, ip_link, sysfs, wait_carrier};
use crate::txlog::TxLog;
use anyhow::{Context, Result};
use std::time::{Duration, Instant};

tests! { "tx":
    poll_says_pollout_while_there_is_room,
    poll_for_input_pushes_unless_no_tx_poll,
    poll_for_output_pushes_always,
    poll_waits_for_room_and_is_woken_by_completions @ 90,
    poll_with_bad_pointers_says_pollerr_for_input_only_rings_go_on,
    without_carrier_slots_stay_pending_and_pollout_waits | flaps,
    down_says_eio_and_pollerr_up_goes_on @ 90 | flaps,
    sleeper_is_woken_by_ifdown @ 90 | flaps,
    completions_do_not_wake_those_who_wait_for_frames,
}

const NOW: Duration = Duration::ZERO;

fn fill(ring: &Ring, first: u32) -> Result<Vec<Vec<u8>>> {
    let frames: Vec<_> = (first..first + ring.space())
        .map(|s| outgoing(s, 60))
        .collect();
    for f in &frames {
        put_copy(ring, f)?;
    }
    Ok(frames)
}

/// POLLOUT if any bound ring has cur != tail.
fn poll_says_pollout_while_there_is_room() -> Result<()> {
    let port = Port::tx(Q)?;
    let ring = port.tx_ring(Q)?;
    for events in [libc::POLLOUT, libc::POLLOUT | libc::POLLIN] {
        want_eq("POLLOUT", port.fd.poll(events, NOW)?, libc::POLLOUT)?;
    }
    // one slot left: still room
    ring.set_cur((ring.tail() + ring.n - 1) % ring.n);
    want_eq("one slot", port.fd.poll(libc::POLLOUT, NOW)?, libc::POLLOUT)?;
    // none: it waits, as nothing is under way that could make room
    ring.set_cur(ring.tail());
    want_eq(
        "no slot",
        port.fd.poll(libc::POLLOUT, Duration::from_millis(100))?,
        0,
    )?;
    ring.set_cur(ring.head());
    want_eq("again", port.fd.poll(libc::POLLOUT, NOW)?, libc::POLLOUT)
}

/// 1.12: unless NR_NO_TX_POLL a txsync is done on every poll, even if only POLLIN is asked.
fn poll_for_input_pushes_unless_no_tx_poll() -> Result<()> {
    let nic = Nic::open()?;
    for (flag, pushed) in [(0, 1), (NO_TX_POLL, 0)] {
        let mut reg = one_tx(Q);
        reg.flags |= flag;
        let port = Port::open(&ifname(), reg)?;
        let ring = port.tx_ring(Q)?;
        let log = TxLog::start(&nic)?;
        put_copy(&ring, &outgoing(1, 60))?;
        port.fd.poll(libc::POLLIN, NOW)?;
        want_eq(
            &format!("flag {flag:#x}: frames pushed"),
            tx_info(&port.fd, Q)?.counter[counter::PACKETS],
            pushed,
        )?;
        want_ok("TXSYNC", port.fd.txsync())?;
        want_eq("on the wire", log.outgoing(1)?, vec![outgoing(1, 60)])?;
    }
    Ok(())
}

/// 1.12: with POLLOUT it is always done.
fn poll_for_output_pushes_always() -> Result<()> {
    let nic = Nic::open()?;
    for flag in [0, NO_TX_POLL] {
        let mut reg = one_tx(Q);
        reg.flags |= flag;
        let port = Port::open(&ifname(), reg)?;
        let log = TxLog::start(&nic)?;
        put_copy(&port.tx_ring(Q)?, &outgoing(1, 60))?;
        want_eq("POLLOUT", port.fd.poll(libc::POLLOUT, NOW)?, libc::POLLOUT)?;
        want_eq("on the wire", log.outgoing(1)?, vec![outgoing(1, 60)])?;
    }
    Ok(())
}

/// A sender that only ever fills the ring and polls: it always goes on.
fn poll_waits_for_room_and_is_woken_by_completions() -> Result<()> {
    let nic = Nic::open()?;
    let port = Port::tx(Q)?;
    let ring = port.tx_ring(Q)?;
    let before = nic.counts()?;
    let mut sent = 0;
    for round in 0..100 {
        sent += fill(&ring, sent)?.len() as u32;
        let started = Instant::now();
        let got = port.fd.poll(libc::POLLOUT, Duration::from_secs(10))?;
        want_eq(&format!("round {round}"), got, libc::POLLOUT)?;
        want(
            "woken, not timed out",
            started.elapsed() < Duration::from_secs(5),
        )?;
        want("there is room", ring.space() > 0)?;
    }
    drained(&port, &ring)?;
    let q = tx_info(&port.fd, Q)?.reg_idx;
    let left = nic.counts()?.txq(q, "packets")? - before.txq(q, "packets")?;
    want_eq("frames that left the card", left, sent.into())
}

/// 1.12: a reset TX ring; RX is not asked for.
fn poll_with_bad_pointers_says_pollerr_for_input_only_rings_go_on() -> Result<()> {
    let port = Port::tx(Q)?;
    let ring = port.tx_ring(Q)?;
    ring.set_head(ring.n + 7);
    let got = port.fd.poll(libc::POLLOUT, NOW)?;
    println!("poll(POLLOUT) with head = n+7: {got:#x}");
    want_eq("pointers", ring.pointers(), (0, 0, ring.n - 1))?;
    want_eq("POLLOUT", port.fd.poll(libc::POLLOUT, NOW)?, libc::POLLOUT)
}

/// 4.2 step 1: carrier off: nothing is sent, slots stay pending, 0 is returned.
fn without_carrier_slots_stay_pending_and_pollout_waits() -> Result<()> {
    let nic = Nic::open()?;
    let port = Port::tx(Q)?;
    let ring = port.tx_ring(Q)?;
    let log = TxLog::start(&nic)?;
    nic.link(false)?;
    let unplugged = (|| {
        eventually("carrier is lost", SOON, || Ok(sysfs("carrier")? == "0"))?;
        let frames = fill(&ring, 0)?;
        want_ok("TXSYNC", port.fd.txsync())?;
        want_eq("room", ring.space(), 0)?;
        want_eq(
            "poll without carrier",
            port.fd.poll(libc::POLLOUT, Duration::from_millis(200))?,
            0,
        )?;
        Ok::<_, anyhow::Error>(frames)
    })();
    nic.link(true)?;
    wait_carrier()?;
    let frames = unplugged?;
    want_eq(
        "poll with carrier",
        port.fd.poll(libc::POLLOUT, SOON)?,
        libc::POLLOUT,
    )?;
    want_eq("on the wire", log.outgoing(frames.len())?, frames)?;
    drained(&port, &ring)
}

/// 1.10: stopped: EIO; 1.12: POLLERR. Up: the same fd sends again.
fn down_says_eio_and_pollerr_up_goes_on() -> Result<()> {
    let nic = Nic::open()?;
    let port = Port::tx(Q)?;
    let ring = port.tx_ring(Q)?;
    super::tx::leaves(&nic, &port, Q, &[outgoing(1, 60)])?;
    ip_link(&["down"])?;
    let sync = port.fd.txsync();
    let poll = port.fd.poll(libc::POLLOUT, NOW);
    let state = tx_info(&port.fd, Q).map(|i| i.state);
    crate::setup::ensure()?;
    want_errno("TXSYNC while down", sync, libc::EIO)?;
    want(
        "POLLERR while down",
        want_ok("poll", poll)? & libc::POLLERR != 0,
    )?;
    want_eq("state while down: parked", state?, 5)?;
    want_ok("TXSYNC when up", port.fd.txsync())?;
    want_eq("state when up", tx_info(&port.fd, Q)?.state, Q_NETMAP)?;
    let frames: Vec<_> = (0..ring.n + 100).map(|s| outgoing(s, 64)).collect();
    super::tx::leaves(&nic, &port, Q, &frames)?;
    want_eq("starts", tx_info(&port.fd, Q)?.counter[counter::STARTS], 2)
}

fn sleeper_is_woken_by_ifdown() -> Result<()> {
    let port = Port::tx(Q)?;
    let ring = port.tx_ring(Q)?;
    ring.set_cur(ring.tail());
    let raw = port.fd.raw();
    let sleeper =
        std::thread::spawn(move || crate::fd::poll_fd(raw, libc::POLLOUT, Duration::from_secs(20)));
    std::thread::sleep(Duration::from_millis(300));
    let started = Instant::now();
    ip_link(&["down"])?;
    let got = sleeper.join().ok().context("the polling thread died");
    let took = started.elapsed();
    crate::setup::ensure()?;
    want("POLLERR", got?? & libc::POLLERR != 0)?;
    want(&format!("woken, not timed out: {took:?}"), took < SOON)
}

/// An fd with both directions that waits for input sleeps on while its frames complete.
fn completions_do_not_wake_those_who_wait_for_frames() -> Result<()> {
    let lane = Lane::with(Register {
        mode: ONE_NIC,
        ringid: Q as u16,
        ..Default::default()
    })?;
    let tx = lane.port.tx_ring(Q)?;
    for seq in 0..100 {
        put_copy(&tx, &outgoing(seq, 60))?;
    }
    // pushes, and sleeps to its end although they complete meanwhile
    want_eq(
        "poll(POLLIN)",
        lane.port
            .fd
            .poll(libc::POLLIN, Duration::from_millis(500))?,
        0,
    )?;
    drained(&lane.port, &tx)?;
    Nic::open()?.send(&udp_sized(DPORT, 1, 60))?;
    want_eq(
        "with a frame",
        lane.port.fd.poll(libc::POLLIN, SOON)?,
        libc::POLLIN,
    )
}
