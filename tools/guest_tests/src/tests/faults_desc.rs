// SPDX-License-Identifier: GPL-2.0
//! The card writes nonsense into descriptors and head indices. What it says is bounded by what the
//! kernel knows; a ring that has got out of step works again after a reset of the port.

use super::tests;
use crate::abi::*;
use crate::broken::*;
use crate::check::*;
use crate::deep::count;
use crate::frame::udp_sized;
use crate::mem::Slot;
use crate::nic::Nic;
use crate::port::{Lane, Port, DPORT, Q};
use crate::setup::eventually;
use crate::steer::ifname;
use anyhow::{Context, Result};
use std::time::Duration;

tests! { "faults":
    lengths_of_any_kind_are_bounded_by_the_buffer,
    frames_without_an_end_do_not_use_up_the_ring,
    write_backs_in_the_wrong_order_are_waited_for,
    write_backs_of_descriptors_that_are_the_programs_change_nothing,
    write_backs_that_are_too_early_are_bounded_and_a_reset_helps | flaps,
    write_backs_that_never_come_stop_the_ring_until_a_reset | flaps,
    put_back_of_frames_with_absurd_lengths_is_harmless,
    heads_that_cannot_be_are_ignored,
    heads_beyond_what_was_sent_are_ignored,
    tx_queue_that_reports_nothing_fills_up_and_closes_in_time,
    tx_queue_that_hangs_is_named_in_the_log_and_a_reset_helps @ 90 | flaps,
}

/// What was asked for, whatever came: `n` slots, given back.
fn take_any(lane: &Lane, n: u32) -> Result<Vec<(u16, u16)>> {
    let ring = lane.ring()?;
    eventually("slots are filled", SOON, || {
        lane.port.fd.rxsync()?;
        Ok(ring.space() >= n)
    })?;
    let mut slots = Vec::new();
    let mut i = ring.head();
    while i != ring.tail() {
        let slot = ring.slot(i);
        slots.push((slot.len, slot.flags));
        i = ring.next(i);
    }
    ring.set_cur(i);
    ring.set_head(i);
    want_ok("RXSYNC", lane.port.fd.rxsync())?;
    Ok(slots)
}

fn lengths_of_any_kind_are_bounded_by_the_buffer() -> Result<()> {
    let lane = Lane::open()?;
    let nic = Nic::open()?;
    let size = lane.ring()?.buf_size as u16;
    for (seq, len) in [0u16, 1, 13, size - 1, size, size + 1, 16384, 65535]
        .into_iter()
        .enumerate()
    {
        let wrong = Fault::with(&nic, format!("rxq {Q} length"), len)?;
        nic.send_n(&udp_sized(DPORT, seq as u32, 100), 20)?;
        let got = take_any(&lane, 20)?;
        drop(wrong);
        want_eq("lengths", got, vec![(len.min(size), 0); 20])?;
        arrive(&nic, &lane, 100 * seq as u32)?;
    }
    Ok(())
}

/// Three rings full of it: slots come empty, descriptors go back, and when it ends frames arrive.
fn frames_without_an_end_do_not_use_up_the_ring() -> Result<()> {
    let lane = Lane::open()?;
    let nic = Nic::open()?;
    let n = lane.ring()?.n;
    let endless = Fault::on(&nic, format!("rxq {Q} noeop"))?;
    let (mut slots, mut sent) = (0, 0);
    while slots < 3 * n {
        nic.send_n(&udp_sized(DPORT, 1, 100), 64)?;
        sent += 64;
        // beyond the longest frame there can be, all of what came is handed over
        let got = take_any(&lane, 64)?;
        slots += got.len() as u32;
        let other = got.iter().find(|s| **s != (0, 0));
        want_eq("slots that are not empty", other, None)?;
    }
    want_eq("frames that took a descriptor", slots, sent)?;
    let counters = lane.port.info(Q)?.counter;
    want(
        "drops are counted",
        counters[counter::DROP_LOST] >= u64::from(3 * n / 64),
    )?;
    want_eq(
        "drops",
        counters[counter::DROPS],
        counters[counter::DROP_LOST],
    )?;
    want_eq("packets", counters[counter::PACKETS], 0)?;
    drop(endless);
    arrive(&nic, &lane, 1)
}

/// The second of two is done before the first: nothing is handed over until the first is.
fn write_backs_in_the_wrong_order_are_waited_for() -> Result<()> {
    let lane = Lane::open()?;
    let nic = Nic::open()?;
    let ring = lane.ring()?;
    let order = Fault::on(&nic, format!("rxq {Q} order"))?;
    for seq in 0..20 {
        nic.send(&udp_sized(DPORT, 2 * seq, 100))?;
        want_ok("RXSYNC", lane.port.fd.rxsync())?;
        want_eq("slots after the first", ring.space(), 0)?;
        nic.send(&udp_sized(DPORT, 2 * seq + 1, 100))?;
        let both = [2 * seq, 2 * seq + 1].map(|s| udp_sized(DPORT, s, 100));
        want_eq(
            "frames after the second",
            lane.recv(2, SOON)?,
            both.to_vec(),
        )?;
    }
    drop(order);
    arrive(&nic, &lane, 100)
}

/// The program holds 20 slots; the card writes to the descriptors beside them, which are not its own.
fn write_backs_of_descriptors_that_are_the_programs_change_nothing() -> Result<()> {
    let lane = Lane::open()?;
    let nic = Nic::open()?;
    let ring = lane.ring()?;
    nic.send_n(&udp_sized(DPORT, 0, 100), 20)?;
    eventually("20 slots", SOON, || {
        want_ok("RXSYNC", lane.port.fd.rxsync())?;
        Ok(ring.space() == 20)
    })?;
    let ghost = Fault::on(&nic, format!("rxq {Q} ghost"))?;
    for seq in 0..count(30, 2000) as u32 {
        // it knows what is its own
        nic.wait_room(Q, ring.n, ring.n - 22)?;
        nic.send(&udp_sized(DPORT, seq, 100))?;
        eventually("one more", SOON, || {
            want_ok("RXSYNC", lane.port.fd.rxsync())?;
            Ok(ring.space() >= 21)
        })?;
        want_eq("slots", ring.space(), 21)?;
        // the oldest goes, so that the hold moves round the ring
        let next = ring.next(ring.head());
        ring.set_cur(next);
        ring.set_head(next);
    }
    drop(ghost);
    want_ok("RXSYNC", lane.port.fd.rxsync())?;
    let last = ring.take();
    want_eq("slots held at the end", last.len(), 20)?;
    want("they hold frames", last.iter().all(|f| f.len() == 100))?;
    // round the ring, and past each descriptor that was written to while nobody had it
    (0..120).try_for_each(|i| arrive(&nic, &lane, 5 * i))
}

/// Slots come with what was in their buffers before, at most as much as fits; later frames come beside
/// the slots the program expects, until the port is reset.
fn write_backs_that_are_too_early_are_bounded_and_a_reset_helps() -> Result<()> {
    let lane = Lane::open()?;
    let nic = Nic::open()?;
    let size = lane.ring()?.buf_size as u16;
    let early = Fault::on(&nic, format!("rxq {Q} early"))?;
    for seq in 0..count(50, 2000) as u32 {
        nic.send(&udp_sized(DPORT, seq, 100))?;
        let got = take_any(&lane, 0)?;
        want(
            "no slot is longer than its buffer",
            got.iter().all(|s| s.0 <= size),
        )?;
    }
    drop(early);
    reset_port()?;
    let _ = take_any(&lane, 0)?;
    arrive(&nic, &lane, 1)
}

fn write_backs_that_never_come_stop_the_ring_until_a_reset() -> Result<()> {
    let lane = Lane::open()?;
    let nic = Nic::open()?;
    let silent = Fault::on(&nic, format!("rxq {Q} nodd"))?;
    nic.send_n(&udp_sized(DPORT, 1, 100), 20)?;
    let none = lane
        .port
        .fd
        .poll(libc::POLLIN, Duration::from_millis(200))?;
    drop(silent);
    nic.send_n(&udp_sized(DPORT, 2, 100), 20)?;
    let still = lane
        .port
        .fd
        .poll(libc::POLLIN, Duration::from_millis(200))?;
    want_eq("poll", (none, still), (0, 0))?;
    reset_port()?;
    arrive(&nic, &lane, 50)
}

/// Through the host ring into the stack, which must be given no frame that is none.
fn put_back_of_frames_with_absurd_lengths_is_harmless() -> Result<()> {
    let lane = Lane::putback()?;
    let nic = Nic::open()?;
    let (ring, host) = (lane.ring()?, lane.port.host()?);
    for len in [0u16, 1, 13, 14, 65535] {
        let wrong = Fault::with(&nic, format!("rxq {Q} length"), len)?;
        nic.send_n(&udp_sized(DPORT, 1, 100), 20)?;
        eventually("slots are filled", SOON, || {
            lane.port.fd.rxsync()?;
            Ok(ring.space() >= 20)
        })?;
        drop(wrong);
        let (mut from, mut to) = (ring.head(), host.head());
        for _ in 0..20 {
            let (a, b) = (ring.slot(from), host.slot(to));
            let (flags, len) = (NS_BUF_CHANGED, a.len);
            host.set_slot(
                to,
                Slot {
                    idx: a.idx,
                    len,
                    flags,
                },
            );
            ring.set_slot(
                from,
                Slot {
                    idx: b.idx,
                    len,
                    flags,
                },
            );
            (from, to) = (ring.next(from), host.next(to));
        }
        ring.set_cur(from);
        ring.set_head(from);
        host.set_cur(to);
        host.set_head(to);
        want_ok("TXSYNC", lane.port.fd.txsync())?;
        want_ok("RXSYNC", lane.port.fd.rxsync())?;
    }
    arrive(&nic, &lane, 1)
}

/// Fills the TX ring with `n` frames and syncs.
fn send(port: &Port, n: u32) -> Result<()> {
    let ring = port.tx_ring(Q)?;
    for seq in 0..n {
        super::putback::put_copy(&ring, &udp_sized(DPORT, seq, 60))?;
    }
    want_ok("TXSYNC", port.fd.txsync())?;
    Ok(())
}

/// All slots are the program's again.
fn all_back(port: &Port) -> Result<()> {
    let ring = port.tx_ring(Q)?;
    eventually("all slots are the program's", SOON, || {
        want_ok("TXSYNC", port.fd.txsync())?;
        Ok(ring.space() == ring.n - 1)
    })
}

/// A head that is no index, and one that goes back: no slot changes hands by it; the next true one
/// makes up for it.
fn heads_that_cannot_be_are_ignored() -> Result<()> {
    let port = Port::tx(Q)?;
    let nic = Nic::open()?;
    let ring = port.tx_ring(Q)?;
    for name in ["wild", "back"] {
        send(&port, 20)?;
        all_back(&port)?;
        let wrong = Fault::on(&nic, format!("txq {} {name}", spare(Q)))?;
        // fewer than the eight it goes back
        for i in 1..=4 {
            send(&port, 1)?;
            std::thread::sleep(Duration::from_millis(20));
            want_ok("TXSYNC", port.fd.txsync())?;
            want_eq(&format!("{name}: room"), ring.space(), ring.n - 1 - i)?;
        }
        drop(wrong);
        send(&port, 1)?;
        all_back(&port)?;
    }
    in_time("close()", SOON, || drop(port))
}

fn heads_beyond_what_was_sent_are_ignored() -> Result<()> {
    let port = Port::tx(Q)?;
    let nic = Nic::open()?;
    let ring = port.tx_ring(Q)?;
    let wrong = Fault::on(&nic, format!("txq {} ahead", spare(Q)))?;
    for i in 1..=20 {
        send(&port, 1)?;
        std::thread::sleep(Duration::from_millis(5));
        want_ok("TXSYNC", port.fd.txsync())?;
        want_eq("room", ring.space(), ring.n - 1 - i)?;
    }
    drop(wrong);
    send(&port, 1)?;
    all_back(&port)?;
    in_time("close()", SOON, || drop(port))
}

/// Frames go out and nobody says so.
fn tx_queue_that_reports_nothing_fills_up_and_closes_in_time() -> Result<()> {
    let log = Log::from_now();
    let port = Port::tx(Q)?;
    let nic = Nic::open()?;
    let mute = Fault::on(&nic, format!("txq {} mute", spare(Q)))?;
    let n = port.tx_ring(Q)?.n;
    send(&port, n - 1)?;
    let events = port.fd.poll(libc::POLLOUT, Duration::from_millis(300))?;
    want_eq("poll", events, 0)?;
    in_time("close()", SOON, || drop(port))?;
    drop(mute);
    log.says_times(&format!("TX ring {Q} still had packets to send"), 1)?;
    let again = Port::tx(Q)?;
    send(&again, 20)?;
    all_back(&again)
}

/// POLLOUT does not come; after some seconds the log says why, and what to do.
fn tx_queue_that_hangs_is_named_in_the_log_and_a_reset_helps() -> Result<()> {
    let log = Log::from_now();
    let port = Port::tx(Q)?;
    let nic = Nic::open()?;
    let hang = Fault::on(&nic, format!("txq {} hang", spare(Q)))?;
    send(&port, 20)?;
    let what = format!("TX ring {Q} of a netmap program has sent nothing for");
    eventually("the log says so", 3 * SOON, || Ok(log.count(&what) > 0))?;
    let action = format!("'ethtool -r {}' resets the port", ifname());
    log.says_times(&action, 1).context("what to do")?;
    drop(hang);
    reset_port()?;
    all_back(&port)?;
    let lost = crate::port::tx_info(&port.fd, Q)?.counter[counter::DROP_LOST];
    want("at most what was sent is lost", lost <= 20)?;
    send(&port, 20)?;
    all_back(&port)?;
    log.says_times(&what, 1)
}
