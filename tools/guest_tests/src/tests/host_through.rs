// SPDX-License-Identifier: GPL-2.0
//! The host behind a program: with NIC_SW every frame of the port passes through it, both
//! ways, and the host's own programs notice nothing (netmap-abi 2.1, 2.4.4, lesson 3).

use super::abi_register::rx;
use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::frame::wrong_on_wire;
use crate::nic::Nic;
use crate::peer::{self, PEER};
use crate::port::Port;
use crate::setup::eventually;
use crate::steer::{ethtool, ifname, run};
use crate::through::{any, nobody_has_a_ring, Through};
use anyhow::Result;
use std::time::Duration;

tests! { "host":
    ping_and_udp_pass_through_a_program @ 90,
    tcp_with_segmentation_offload_passes_through_whole @ 120,
    tcp_without_offloads_passes_through_whole @ 120,
    program_may_come_and_go_under_a_tcp_connection @ 120,
    qdisc_and_queues_are_as_before_afterwards,
}

const LONG: Duration = Duration::from_secs(60);

/// What the kernel hands over is fit for the wire: no longer than the MTU, checksums right.
fn wire_frame(f: &[u8]) -> Option<String> {
    wrong_on_wire(f, 1500)
}

fn through() -> Result<Through> {
    Through::host(Port::open(&ifname(), rx(NIC_SW, 0, 0))?, wire_frame)
}

fn ping_and_udp_pass_through_a_program() -> Result<()> {
    let through = through()?;
    want_eq("pings answered", peer::pings(50)?, 50)?;
    let socket = peer::udp(PEER)?;
    for seq in 0..300 {
        peer::udp_echo(&socket, seq, 1 + (seq as usize * 5) % 1472)?;
    }
    let moved = through.end()?;
    want(
        &format!("it passed through the program: {moved:?}"),
        moved.out >= 350 && moved.back >= 350,
    )?;
    want_eq("pings answered without it", peer::pings(10)?, 10)
}

/// GSO packets are cut to frames of the MTU, each with its checksum.
fn tcp_with_segmentation_offload_passes_through_whole() -> Result<()> {
    want(
        "the port offers segmentation",
        ethtool("-k", &[])?.contains("tcp-segmentation-offload: on"),
    )?;
    let through = through()?;
    peer::tcp_echo(4 << 20, LONG)?;
    let moved = through.end()?;
    want(
        &format!("frames: {moved:?}"),
        moved.out > 2800 && moved.back > 2800,
    )
}

fn tcp_without_offloads_passes_through_whole() -> Result<()> {
    let _tso = crate::steer::Feature::off("tx-tcp-segmentation")?;
    let _gso = crate::steer::Feature::off("tx-generic-segmentation")?;
    let through = through()?;
    peer::tcp_echo(2 << 20, LONG)?;
    through.end().map(drop)
}

/// The connection lives through it: the program takes the port and gives it back in mid-stream.
fn program_may_come_and_go_under_a_tcp_connection() -> Result<()> {
    let stream = std::thread::spawn(|| peer::tcp_echo(6 << 20, LONG));
    let mut turns = 0;
    while !stream.is_finished() && turns < 6 {
        let through = through()?;
        std::thread::sleep(Duration::from_millis(400));
        through.end()?;
        want("all rings are back", nobody_has_a_ring()?)?;
        std::thread::sleep(Duration::from_millis(200));
        turns += 1;
    }
    match stream.join() {
        Ok(whole) => whole?,
        Err(_) => anyhow::bail!("the connection's thread died"),
    }
    want("it came at least once", turns > 0)
}

/// 3.3: comes back to normal: same qdisc, no stopped queue, nothing left in one.
fn qdisc_and_queues_are_as_before_afterwards() -> Result<()> {
    let shape = || run("tc", &["qdisc", "show", "dev", &ifname()]);
    let before = shape()?;
    let through = Through::host(Port::open(&ifname(), rx(NIC_SW, 0, 0))?, any)?;
    want_eq("qdisc while it is out", shape()?, before.clone())?;
    peer::udp_echo(&peer::udp(PEER)?, 1, 100)?;
    through.end()?;
    want_eq("qdisc afterwards", shape()?, before)?;
    eventually("nothing is left in a qdisc", LONG, || {
        let said = run("tc", &["-s", "qdisc", "show", "dev", &ifname()])?;
        Ok(said
            .lines()
            .filter(|l| l.contains("backlog"))
            .all(|l| l.contains("backlog 0b 0p")))
    })?;
    let card = Nic::open()?.counts()?;
    want_eq("bad packets by the card", card.port.get("tx_bad")?, 0)
}
