// SPDX-License-Identifier: GPL-2.0
//! The ring as a whole: it wraps, fills up and goes on, serves two programs on
//! two queues, and counts what it carried.

use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::frame::{mark, parse_udp, pattern, udp_sized};
use crate::helper::Helper;
use crate::nic::Nic;
use crate::port::{Lane, Port, DPORT, DPORT2, Q, Q2};
use crate::sock::Flow;
use crate::steer::{num_queues, Rss, Rule};
use anyhow::{bail, Context, Result};
use std::time::{Duration, Instant};

tests! { "data":
    ring_wraps_many_times_without_loss @ 120,
    ring_full_keeps_what_is_there_and_drops_the_rest,
    ring_with_one_slot_given_back_takes_one_frame,
    partial_release_keeps_the_other_frames,
    two_programs_on_two_queues_each_get_their_own @ 90,
    queue_above_the_rss_range_or_the_last_one_receives,
    counters_of_the_ring_count_packets_and_bytes,
    interface_statistics_of_the_queue_count_too,
}

const SOON: Duration = Duration::from_secs(10);

/// Some thousand frames, several times the ring, none lost, in order, right content.
fn ring_wraps_many_times_without_loss() -> Result<()> {
    let lane = Lane::open()?;
    let nic = Nic::open()?;
    let ring = lane.ring()?;
    let count = u64::from(ring.n) * 12 + 7;
    let gen = nic.generate(
        "wrap",
        &format!("profile=udp wait=1 rate=4000 count={count} size=128 dport={DPORT}"),
    )?;
    let mut flow = Flow::default();
    let end = Instant::now() + Duration::from_secs(60);
    while flow.count < count {
        if Instant::now() > end {
            bail!("only {} of {count} after 60 s ({flow:?})", flow.count);
        }
        lane.port
            .fd
            .poll(libc::POLLIN, Duration::from_millis(500))?;
        for f in ring.take() {
            let u = parse_udp(&f).context("not UDP")?;
            want_eq("frame size", f.len(), 128)?;
            flow.see(mark(u.payload).context("no mark")?.seq);
        }
    }
    want_eq("generator sent", gen.wait(SOON)?, count)?;
    want_eq(
        "in order, none missing, none twice",
        (flow.skipped, flow.late),
        (0, 0),
    )
}

fn ring_full_keeps_what_is_there_and_drops_the_rest() -> Result<()> {
    let lane = Lane::open()?;
    let nic = Nic::open()?;
    let ring = lane.ring()?;
    let before = nic.counts()?;
    let more = 100;
    for seq in 0..ring.n + more {
        nic.send(&udp_sized(DPORT, seq, 60))?;
    }
    let after = nic.counts()?;
    let room = ring.n - 1;
    let dropped = after.rxq(Q, "drop_nodesc")? - before.rxq(Q, "drop_nodesc")?;
    want_eq(
        "dropped by the card: one slot always stays free",
        dropped,
        u64::from(more + 1),
    )?;
    let got = lane.recv(room as usize, SOON)?;
    for (seq, f) in got.iter().enumerate() {
        want_eq(
            &format!("frame {seq}"),
            f,
            &udp_sized(DPORT, seq as u32, 60),
        )?;
    }
    want_eq("kept", got.len() as u32, room)?;
    want_ok("RXSYNC", lane.port.fd.rxsync())?;
    nic.wait_room(Q, ring.n, room)?;
    nic.send(&udp_sized(DPORT, 777_777, 60))?;
    want_eq(
        "the ring goes on",
        lane.recv(1, SOON)?,
        vec![udp_sized(DPORT, 777_777, 60)],
    )
}

fn ring_with_one_slot_given_back_takes_one_frame() -> Result<()> {
    let lane = Lane::open()?;
    let nic = Nic::open()?;
    let ring = lane.ring()?;
    nic.send_n(&udp_sized(DPORT, 1, 60), ring.n + 5)?;
    want_ok("RXSYNC", lane.port.fd.rxsync())?;
    want_eq("full", ring.space(), ring.n - 1)?;
    for seq in 100..140 {
        ring.take_up_to(1);
        want_ok("RXSYNC", lane.port.fd.rxsync())?;
        nic.wait_room(Q, ring.n, 1)?;
        nic.send(&udp_sized(DPORT, seq, 60))?;
        nic.send(&udp_sized(DPORT, 9, 60))?;
        want_ok("RXSYNC", lane.port.fd.rxsync())?;
        want_eq("full again", ring.space(), ring.n - 1)?;
        let newest = (ring.tail() + ring.n - 1) % ring.n;
        want_eq(
            "the newest frame",
            ring.bytes(newest),
            udp_sized(DPORT, seq, 60),
        )?;
    }
    Ok(())
}

fn partial_release_keeps_the_other_frames() -> Result<()> {
    let lane = Lane::open()?;
    let nic = Nic::open()?;
    let ring = lane.ring()?;
    for seq in 0..10 {
        nic.send(&udp_sized(DPORT, seq, 60))?;
    }
    want_ok("RXSYNC", lane.port.fd.rxsync())?;
    want_eq("frames there", ring.space(), 10)?;
    ring.take_up_to(4);
    want_ok("RXSYNC", lane.port.fd.rxsync())?;
    want_eq("frames left", ring.space(), 6)?;
    let rest: Vec<_> = (4..10).map(|s| udp_sized(DPORT, s, 60)).collect();
    want_eq("the rest", ring.take(), rest)
}

fn two_programs_on_two_queues_each_get_their_own() -> Result<()> {
    let count = 3000;
    let lane = Lane::open()?;
    let second = Helper::start(&[
        "recv",
        &Q2.to_string(),
        &DPORT2.to_string(),
        &count.to_string(),
    ])?;
    second.ready()?;
    let _rule = Rule::udp(DPORT2, Q2)?;
    let nic = Nic::open()?;
    let _a = nic.generate(
        "a",
        &format!("profile=udp wait=1 rate=2000 count={count} size=60 dport={DPORT}"),
    )?;
    let _b = nic.generate(
        "b",
        &format!("profile=udp wait=1 rate=2000 count={count} size=60 dport={DPORT2}"),
    )?;
    let got = lane.recv(count, Duration::from_secs(30))?;
    let mut flow = Flow::default();
    for f in &got {
        flow.see(
            parse_udp(f)
                .and_then(|u| mark(u.payload))
                .context("no mark")?
                .seq,
        );
    }
    want_eq(
        "this program",
        (flow.count, flow.skipped, flow.late),
        (count as u64, 0, 0),
    )?;
    let said = second.line(Duration::from_secs(30))?;
    want_eq(
        "the other program",
        said,
        format!("got {count} skipped 0 late 0"),
    )?;
    second.end()
}

/// The queue RSS reaches least: the last one.
fn queue_above_the_rss_range_or_the_last_one_receives() -> Result<()> {
    let last = num_queues("rx-")? - 1;
    let _rss = if last < 16 {
        Some(Rss::without(&[last])?)
    } else {
        None
    };
    let port = Port::rx(last)?;
    let _rule = Rule::udp(DPORT, last)?;
    let nic = Nic::open()?;
    nic.send(&udp_sized(DPORT, 5, 300))?;
    want_eq(
        "frame",
        port.recv(last, DPORT, 1, SOON)?,
        vec![udp_sized(DPORT, 5, 300)],
    )?;
    want(
        "the pattern is not all zero",
        pattern(5, 100).iter().any(|b| *b != 0),
    )
}

fn counters_of_the_ring_count_packets_and_bytes() -> Result<()> {
    let lane = Lane::open()?;
    let nic = Nic::open()?;
    let before = lane.port.info(Q)?.counter;
    for (seq, size) in [60, 100, 1514].into_iter().enumerate() {
        nic.send(&udp_sized(DPORT, seq as u32, size))?;
    }
    want_eq("frames", lane.recv(3, SOON)?.len(), 3)?;
    let after = lane.port.info(Q)?.counter;
    want_eq(
        "packets",
        after[counter::PACKETS] - before[counter::PACKETS],
        3,
    )?;
    want_eq(
        "bytes",
        after[counter::BYTES] - before[counter::BYTES],
        60 + 100 + 1514,
    )?;
    want("syncs", after[counter::SYNCS] > before[counter::SYNCS])
}

/// `ethtool -S` goes on counting for a queue that is out.
fn interface_statistics_of_the_queue_count_too() -> Result<()> {
    let lane = Lane::open()?;
    let nic = Nic::open()?;
    let (packets, bytes) = (
        format!("rx_queue_{Q}_packets"),
        format!("rx_queue_{Q}_bytes"),
    );
    let names = [packets.as_str(), bytes.as_str()];
    let before = crate::steer::stats(&names)?;
    nic.send_n(&udp_sized(DPORT, 1, 100), 20)?;
    want_eq("frames", lane.recv(20, SOON)?.len(), 20)?;
    want_ok("RXSYNC", lane.port.fd.rxsync())?;
    let after = crate::steer::stats(&names)?;
    want_eq(&packets, after[0] - before[0], 20)?;
    want_eq(&bytes, after[1] - before[1], 2000)
}
