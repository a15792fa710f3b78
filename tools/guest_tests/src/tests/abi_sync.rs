// SPDX-License-Identifier: GPL-2.0
//! TXSYNC, RXSYNC and poll(): what they answer without, with, and with a
//! broken ring (API 14, syncs, ring pointer rules, poll).

use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::{one_rx, Fd};
use crate::frame::udp_sized;
use crate::mem::Ring;
use crate::nic::Nic;
use crate::port::{Lane, Port, DPORT, Q};
use crate::steer::ifname;
use anyhow::Result;
use std::time::Duration;

tests! { "abi":
    sync_unregistered_gives_enxio,
    sync_registered_returns_0,
    poll_unregistered_gives_pollerr,
    poll_with_bad_pointers_gives_pollerr_and_resets,
    rxsync_head_out_of_range_returns_0_and_resets,
    rxsync_cur_out_of_range_returns_0_and_resets,
    rxsync_cur_before_head_returns_0_and_resets,
    rxsync_head_beyond_tail_returns_0_and_resets,
    rxsync_head_going_back_returns_0_and_resets,
    rxsync_restores_a_scribbled_tail,
    rxsync_keeps_slots_between_head_and_cur,
    txsync_bad_pointers_of_host_ring_return_0_and_reset,
    resets_are_counted,
    poll_out_is_reported_when_host_ring_has_room,
    poll_in_pushes_host_ring_unless_no_tx_poll,
}

const NOW: Duration = Duration::ZERO;
const SOON: Duration = Duration::from_secs(5);

/// A lane with `n` frames waiting in its ring, not yet taken.
fn lane_with(n: u32) -> Result<Lane> {
    let lane = Lane::open()?;
    let nic = Nic::open()?;
    for seq in 0..n {
        nic.send(&udp_sized(DPORT, seq, 60))?;
    }
    let ring = lane.ring()?;
    crate::setup::eventually("the frames are in the ring", SOON, || {
        lane.port.fd.rxsync()?;
        Ok(ring.space() >= n)
    })?;
    Ok(lane)
}

/// ENXIO if not registered.
fn sync_unregistered_gives_enxio() -> Result<()> {
    let fd = Fd::open()?;
    want_errno("RXSYNC", fd.rxsync(), libc::ENXIO)?;
    want_errno("TXSYNC", fd.txsync(), libc::ENXIO)
}

/// 0, also where there is nothing to do.
fn sync_registered_returns_0() -> Result<()> {
    let port = Port::rx_putback(Q)?;
    for _ in 0..3 {
        want_ok("RXSYNC", port.fd.rxsync())?;
        want_ok("TXSYNC", port.fd.txsync())?;
    }
    let port = Port::rx(Q + 1)?;
    want_ok("TXSYNC with no TX ring", port.fd.txsync())
}

/// POLLERR when not registered.
fn poll_unregistered_gives_pollerr() -> Result<()> {
    let fd = Fd::open()?;
    for events in [libc::POLLIN, libc::POLLOUT, libc::POLLIN | libc::POLLOUT] {
        let got = want_ok("poll", fd.poll(events, NOW))?;
        want("POLLERR", got & libc::POLLERR != 0)?;
    }
    Ok(())
}

/// bad pointers -> POLLERR and the ring is reset.
fn poll_with_bad_pointers_gives_pollerr_and_resets() -> Result<()> {
    let lane = lane_with(3)?;
    let ring = lane.ring()?;
    ring.set_head(ring.n + 7);
    let got = want_ok("poll", lane.port.fd.poll(libc::POLLIN, NOW))?;
    want(&format!("POLLERR in {got:#x}"), got & libc::POLLERR != 0)?;
    want(
        "head and cur are in the ring again",
        ring.head() < ring.n && ring.head() == ring.cur(),
    )?;
    want_eq("the frames are still there", lane.recv(3, SOON)?.len(), 3)
}

/// Breaks the pointers of a ring that holds three frames; the sync returns 0,
/// head and cur are what they were at the last sync, and nothing is lost.
fn broken_pointers(what: &str, scribble: impl Fn(&Ring)) -> Result<()> {
    let lane = lane_with(3)?;
    let ring = lane.ring()?;
    let before = ring.pointers();
    let resets = lane.port.info(Q)?.counter[counter::RESETS];
    scribble(&ring);
    want_ok(what, lane.port.fd.rxsync())?;
    want_eq(
        "head and cur after the reset",
        (ring.head(), ring.cur()),
        (before.0, before.1),
    )?;
    want("tail is in the ring", ring.tail() < ring.n)?;
    want("the frames are still there", ring.space() >= 3)?;
    want_eq(
        "resets counted",
        lane.port.info(Q)?.counter[counter::RESETS],
        resets + 1,
    )?;
    let got = lane.recv(3, SOON)?;
    for (seq, f) in got.iter().enumerate() {
        want_eq(
            "frame after the reset",
            f,
            &udp_sized(DPORT, seq as u32, 60),
        )?;
    }
    want_eq("frames after the reset", got.len(), 3)?;
    Nic::open()?.send(&udp_sized(DPORT, 9, 60))?;
    want_eq(
        "a new frame",
        lane.recv(1, SOON)?,
        vec![udp_sized(DPORT, 9, 60)],
    )
}

/// head >= n.
fn rxsync_head_out_of_range_returns_0_and_resets() -> Result<()> {
    broken_pointers("head = n", |r| r.set_head(r.n))?;
    broken_pointers("head = 2^32-1", |r| r.set_head(u32::MAX))
}

/// cur >= n.
fn rxsync_cur_out_of_range_returns_0_and_resets() -> Result<()> {
    broken_pointers("cur = n", |r| r.set_cur(r.n))
}

/// cur < head; upstream leaves this in place, here it is always reset.
fn rxsync_cur_before_head_returns_0_and_resets() -> Result<()> {
    broken_pointers("head = tail, cur behind it", |r| {
        r.set_head(r.tail());
    })
}

/// head beyond tail; always reset.
fn rxsync_head_beyond_tail_returns_0_and_resets() -> Result<()> {
    broken_pointers("head = cur = tail + 5", |r| {
        let beyond = (r.tail() + 5) % r.n;
        r.set_cur(beyond);
        r.set_head(beyond);
    })
}

/// a head that goes back over slots already given to the kernel.
fn rxsync_head_going_back_returns_0_and_resets() -> Result<()> {
    broken_pointers("head = cur = head - 1", |r| {
        let back = (r.head() + r.n - 1) % r.n;
        r.set_cur(back);
        r.set_head(back);
    })
}

/// a user-modified tail is silently restored.
fn rxsync_restores_a_scribbled_tail() -> Result<()> {
    let lane = lane_with(3)?;
    let ring = lane.ring()?;
    let (head, _, tail) = ring.pointers();
    for bad in [ring.n + 3, u32::MAX, (tail + 9) % ring.n, head] {
        ring.set_tail(bad);
        want_ok("RXSYNC", lane.port.fd.rxsync())?;
        want(
            &format!("tail {bad} was replaced"),
            ring.space() >= 3 && ring.tail() < ring.n,
        )?;
    }
    want_eq("the frames are still there", lane.recv(3, SOON)?.len(), 3)
}

/// slots [head, cur) stay with the user; poll waits for more than cur.
fn rxsync_keeps_slots_between_head_and_cur() -> Result<()> {
    let lane = lane_with(3)?;
    let ring = lane.ring()?;
    ring.set_cur(ring.tail());
    want_ok("RXSYNC", lane.port.fd.rxsync())?;
    want_eq(
        "poll: nothing beyond cur",
        lane.port.fd.poll(libc::POLLIN, Duration::from_millis(50))?,
        0,
    )?;
    Nic::open()?.send(&udp_sized(DPORT, 3, 60))?;
    want_eq(
        "poll: one more",
        lane.port.fd.poll(libc::POLLIN, SOON)?,
        libc::POLLIN,
    )?;
    let got = lane.recv(4, SOON)?;
    let all: Vec<_> = (0..4).map(|s| udp_sized(DPORT, s, 60)).collect();
    want_eq("all four, from head on", got, all)
}

/// the same for the host TX ring.
fn txsync_bad_pointers_of_host_ring_return_0_and_reset() -> Result<()> {
    let port = Port::rx_putback(Q)?;
    let ring = port.host()?;
    for (what, head, cur) in [
        ("head = n", ring.n, 0),
        ("cur = n", 0, ring.n),
        ("head = 3, cur = 1", 3, 1),
        (
            "head = cur = n - 1, beyond tail is not possible but back is",
            ring.n - 1,
            2,
        ),
    ] {
        ring.set_head(head);
        ring.set_cur(cur);
        want_ok(what, port.fd.txsync())?;
        want_eq(
            &format!("head, cur, tail after {what}"),
            ring.pointers(),
            (0, 0, ring.n - 1),
        )?;
    }
    Ok(())
}

/// The counters tell how often a ring was reset.
fn resets_are_counted() -> Result<()> {
    let port = Port::open(&ifname(), one_rx(Q))?;
    let ring = port.ring(Q)?;
    let before = port.info(Q)?.counter[counter::RESETS];
    for _ in 0..5 {
        ring.set_head(u32::MAX);
        want_ok("RXSYNC", port.fd.rxsync())?;
    }
    want_eq("resets", port.info(Q)?.counter[counter::RESETS], before + 5)
}

/// POLLOUT if any bound ring has room.
fn poll_out_is_reported_when_host_ring_has_room() -> Result<()> {
    let port = Port::rx_putback(Q)?;
    want_eq(
        "poll(OUT)",
        port.fd.poll(libc::POLLOUT, NOW)?,
        libc::POLLOUT,
    )?;
    let rx_only = Port::rx(Q + 1)?;
    let got = rx_only.fd.poll(libc::POLLOUT, NOW)?;
    want(
        &format!("no TX ring: no POLLOUT in {got:#x}"),
        got & libc::POLLOUT == 0,
    )
}

/// pending TX slots are pushed on every poll unless NR_NO_TX_POLL.
fn poll_in_pushes_host_ring_unless_no_tx_poll() -> Result<()> {
    for (flag, pushed) in [(0, true), (NO_TX_POLL, false)] {
        let mut reg = one_rx(Q);
        reg.flags |= PUTBACK | flag;
        let port = Port::open(&ifname(), reg)?;
        let socket = crate::sock::bind(DPORT)?;
        let ring = port.host()?;
        crate::tests::putback::put_copy(&ring, &udp_sized(DPORT, 1, 100))?;
        port.fd.poll(libc::POLLIN, NOW)?;
        let got = crate::sock::recv(&socket, Duration::from_millis(500))?.is_some();
        want_eq(
            &format!("frame pushed by poll with flag {flag:#x}"),
            got,
            pushed,
        )?;
        want_ok("TXSYNC", port.fd.txsync())?;
        let got = pushed || crate::sock::recv(&socket, Duration::from_secs(2))?.is_some();
        want("TXSYNC pushes it", got)?;
    }
    Ok(())
}
