// SPDX-License-Identifier: GPL-2.0
//! What the rest of the port notices while queues come and go: nothing.
//!
//! Loss is read from the card (per-queue drops), from the generator's sequence
//! numbers at the kernel's socket, and from the driver's statistics.

use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::deep::flood;
use crate::fd::one_rx;
use crate::frame::{mark, parse_udp, udp_sized};
use crate::nic::{CardCounts, Nic};
use crate::port::{Lane, Port, DPORT, OTHER_PORT, Q};
use crate::setup::eventually;
use crate::sock::{Counter, Flow};
use crate::steer::{carrier_changes, ifname, num_queues, stats, Rss, Rule};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::time::Duration;

tests! { "queues":
    twenty_cycles_under_traffic_lose_nothing_on_the_other_queues @ 180,
    twenty_cycles_of_register_and_close_under_traffic_lose_nothing @ 180,
    qadd_and_qdel_under_steered_traffic_lose_nothing_in_lossless_order @ 120,
    attach_under_steered_traffic_delivers_only_whole_frames @ 90,
    slow_reader_does_not_slow_the_other_queues @ 90,
    flooded_queue_does_not_touch_the_counters_of_others @ 90,
}

const SOON: Duration = Duration::from_secs(10);

/// No queue but those named dropped anything, and nothing stalled.
pub(super) fn nothing_lost(before: &CardCounts, after: &CardCounts, but: &[u32]) -> Result<()> {
    for q in after.rx.keys().filter(|q| !but.contains(q)) {
        for key in ["drop_nodesc", "drop_disabled"] {
            want_eq(
                &format!("queue {q}: {key}"),
                after.rxq(*q, key)? - before.rxq(*q, key)?,
                0,
            )?;
        }
    }
    for key in ["rx_missed", "rx_stalls", "resets", "link_changes"] {
        want_eq(
            &format!("port: {key}"),
            after.port.get(key)? - before.port.get(key)?,
            0,
        )?;
    }
    Ok(())
}

/// Every flow arrived whole.
fn flows_whole(flows: &BTreeMap<u32, Flow>, want_flows: usize) -> Result<()> {
    want_eq("flows", flows.len(), want_flows)?;
    for (id, f) in flows {
        want_eq(
            &format!("flow {id}: skipped and late"),
            (f.skipped, f.late),
            (0, 0),
        )?;
        want_eq(&format!("flow {id}: all"), f.count, f.next)?;
    }
    Ok(())
}

/// Runs `work` while sixteen flows spread over the kernel's queues, and checks
/// that not one frame of theirs is missing, anywhere, and no other sign of it.
pub(super) fn undisturbed(
    rate: u32,
    out: &[u32],
    work: impl FnOnce(&Nic) -> Result<()>,
) -> Result<()> {
    let nic = Nic::open()?;
    let counter = Counter::start(OTHER_PORT)?;
    let carrier = carrier_changes()?;
    let before = nic.counts()?;
    let rate = flood(rate.into());
    let gen = nic.generate(
        "rest",
        &format!("profile=flows src=10.0.3.10 flows=16 rate={rate} size=80 dport={OTHER_PORT}"),
    )?;
    eventually("traffic flows", SOON, || Ok(counter.total() > 100))?;
    work(&nic)?;
    let sent = gen.stop()?;
    want("the generator sent during the whole of it", sent > 100)?;
    let received = counter.settle(sent);
    // where it was lost says more than that it was
    nothing_lost(&before, &nic.counts()?, out)?;
    want_eq("received by the socket", received, sent)?;
    want_eq("carrier_changes", carrier_changes()?, carrier)?;
    flows_whole(&counter.finish()?, 16)
}

fn twenty_cycles_under_traffic_lose_nothing_on_the_other_queues() -> Result<()> {
    let _rss = Rss::without(&[Q])?;
    undisturbed(2000, &[], |nic| {
        for turn in 0..20 {
            let port = Port::rx_putback(Q)?;
            let rule = Rule::udp(DPORT, Q)?;
            for seq in 0..5 {
                nic.send(&udp_sized(DPORT, turn * 10 + seq, 60))?;
            }
            want_eq(
                &format!("frames in cycle {turn}"),
                port.recv(Q, DPORT, 5, SOON)?.len(),
                5,
            )?;
            drop(rule);
            drop(port);
        }
        Ok(())
    })
}

fn twenty_cycles_of_register_and_close_under_traffic_lose_nothing() -> Result<()> {
    let n = num_queues("rx-")?;
    let _rss = Rss::without(&[n - 2, n - 1])?;
    undisturbed(2000, &[], |_| {
        for turn in 0..20 {
            let q = n - 2 + turn % 2;
            drop(want_ok("REGISTER", Port::rx(q))?);
        }
        Ok(())
    })
}

/// Exclude from RSS, take, steer; unsteer, give back: the steered flow itself
/// loses nothing either, counted over ring and socket together.
fn qadd_and_qdel_under_steered_traffic_lose_nothing_in_lossless_order() -> Result<()> {
    let nic = Nic::open()?;
    let _rss = Rss::without(&[Q])?;
    let port = Port::open(
        &ifname(),
        Register {
            flags: RX_ONLY | NO_RINGS,
            ..one_rx(0)
        },
    )?;
    let counter = Counter::start(DPORT)?;
    let gen = nic.generate(
        "steered",
        &format!("profile=udp rate=1000 size=80 dport={DPORT}"),
    )?;
    let mut in_ring = 0;
    for _ in 0..10 {
        want_ok("NIOCQADD", port.fd.qadd(Q))?;
        let ring = port.ring(Q)?;
        let rule = Rule::udp(DPORT, Q)?;
        let mut take = |wait: u64| -> Result<()> {
            port.fd.poll(libc::POLLIN, Duration::from_millis(wait))?;
            in_ring += ring.take().len() as u64;
            Ok(())
        };
        for _ in 0..20 {
            take(10)?;
        }
        drop(rule);
        // what was on its way when the rule went
        for _ in 0..5 {
            take(20)?;
        }
        want_ok("RXSYNC", port.fd.rxsync())?;
        want_ok("NIOCQDEL", port.fd.qdel(Q))?;
    }
    let sent = gen.stop()?;
    want("some went each way", in_ring > 0 && counter.total() > 0)?;
    let in_socket = counter.settle(sent - in_ring);
    want_eq(
        &format!("{in_ring} in the ring and {in_socket} at the socket together"),
        in_ring + in_socket,
        sent,
    )
}

/// The queue is taken and given back in the middle of its own traffic: what the
/// program sees are whole frames with the right content, in order.
fn attach_under_steered_traffic_delivers_only_whole_frames() -> Result<()> {
    let nic = Nic::open()?;
    let _rss = Rss::without(&[Q])?;
    let _rule = Rule::udp(DPORT, Q)?;
    let _sink = crate::sock::bind(DPORT)?;
    let _gen = nic.generate(
        "steered",
        &format!("profile=udp wait=1 rate=2000 size=300 dport={DPORT}"),
    )?;
    for _ in 0..10 {
        let port = Port::rx(Q)?;
        let ring = port.ring(Q)?;
        let (mut flow, mut first) = (Flow::default(), None);
        while flow.count < 200 {
            want_eq("revents", port.fd.poll(libc::POLLIN, SOON)?, libc::POLLIN)?;
            for f in ring.take() {
                want_eq("frame size", f.len(), 300)?;
                let m = parse_udp(&f)
                    .and_then(|u| mark(u.payload))
                    .context("no mark")?;
                let base = *first.get_or_insert(m.seq);
                want(&format!("sequence {} after {base}", m.seq), m.seq >= base)?;
                flow.see(m.seq - base);
            }
        }
        want_eq("skipped, late", (flow.skipped, flow.late), (0, 0))?;
    }
    Ok(())
}

/// A program that never syncs: its own queue drops, nobody else's.
fn slow_reader_does_not_slow_the_other_queues() -> Result<()> {
    let lane = Lane::open()?;
    let mut flooded = 0;
    undisturbed(1500, &[Q], |nic| {
        let before = nic.counts()?.rxq(Q, "drop_nodesc")?;
        let gen = nic.generate(
            "flood",
            &format!("profile=udp rate=20000 count=40000 size=60 dport={DPORT}"),
        )?;
        gen.wait(Duration::from_secs(40))?;
        flooded = nic.counts()?.rxq(Q, "drop_nodesc")? - before;
        Ok(())
    })?;
    want(
        &format!("the slow reader's own queue dropped: {flooded}"),
        flooded > 30_000,
    )?;
    let ring = lane.ring()?;
    want_ok("RXSYNC", lane.port.fd.rxsync())?;
    want_eq(
        "its ring is full of whole frames",
        ring.take().len() as u32,
        ring.n - 1,
    )
}

fn flooded_queue_does_not_touch_the_counters_of_others() -> Result<()> {
    let n = num_queues("rx-")?;
    let lane = Lane::open()?;
    let nic = Nic::open()?;
    let names: Vec<String> = (0..n).map(|q| format!("rx_queue_{q}_packets")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let before = (stats(&names)?, nic.counts()?);
    let gen = nic.generate(
        "flood",
        &format!("profile=udp rate=10000 count=10000 size=60 dport={DPORT}"),
    )?;
    let ring = lane.ring()?;
    let mut got = 0;
    while gen.status()?.1 {
        lane.port.fd.poll(libc::POLLIN, Duration::from_millis(10))?;
        got += ring.take().len() as u64;
    }
    want("the ring received", got > 0)?;
    let after = (stats(&names)?, nic.counts()?);
    for q in (0..n).filter(|q| *q != Q) {
        let driver = after.0[q as usize] - before.0[q as usize];
        let card = after.1.rxq(q, "packets")? - before.1.rxq(q, "packets")?;
        want_eq(&format!("queue {q}: packets at the driver"), driver, card)?;
        want(
            &format!("queue {q} got none of the flood: {card}"),
            card < 100,
        )?;
    }
    nothing_lost(&before.1, &after.1, &[Q])
}
