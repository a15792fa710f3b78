// SPDX-License-Identifier: GPL-2.0
//! Bridges as users have them: the C example with libnetmap's calls (netmap-abi 2.3) and
//! `nm_bridge`, between two cards and between the NIC and the host.

use super::tests;
use super::tx::SOON;
use crate::abi::{QueueInfo, KIND_RX, KIND_TX, Q_NETMAP};
use crate::check::*;
use crate::fd::Fd;
use crate::frame::{parse_udp, to_mac, udp_sized, CARD2_MAC};
use crate::helper::Helper;
use crate::nic::Nic;
use crate::peer;
use crate::port::OTHER_PORT;
use crate::setup::{ensure_second, eventually, SECOND};
use crate::steer::ifname;
use crate::through::nobody_has_a_ring;
use crate::txlog::TxLog;
use anyhow::Result;

tests! { "bridge":
    libnetmap_style_bridge_joins_two_ports,
    nm_bridge_joins_two_ports_without_copying,
    nm_bridge_carries_the_hosts_traffic @ 90,
    tools_leave_nothing_behind_when_killed,
}

/// Frames into one card leave by the other, both ways.
fn crosses(seq: u32) -> Result<()> {
    let (nic, nic2) = (Nic::open()?, Nic::second()?);
    let (log, log2) = (TxLog::start(&nic)?, TxLog::start(&nic2)?);
    let out: Vec<_> = (seq..seq + 50)
        .map(|s| udp_sized(OTHER_PORT, s, 400))
        .collect();
    let back: Vec<_> = out.iter().map(|f| to_mac(f, CARD2_MAC)).collect();
    for (a, b) in out.iter().zip(&back) {
        nic.send(a)?;
        nic2.send(b)?;
    }
    let pick = |f: &[u8]| parse_udp(f).is_some_and(|u| u.dport == OTHER_PORT);
    want_eq("left by the second card", log2.wait(50, pick)?, out)?;
    want_eq("left by the first card", log.wait(50, pick)?, back)
}

/// Waits until a program has all rings of these ports: it takes the TX rings last.
fn taken_whole(ports: &[&str]) -> Result<()> {
    let fd = Fd::open()?;
    for port in ports {
        eventually(&format!("the program has all of {port}"), SOON, || {
            let all = fd.queues(Some(port))?;
            let of = |kind| move |i: &&QueueInfo| i.kind == kind && i.state == Q_NETMAP;
            let n = all.iter().filter(|i| i.kind == KIND_RX).count();
            let taken = [KIND_RX, KIND_TX].map(|kind| all.iter().filter(of(kind)).count());
            Ok(n > 0 && taken == [n, n])
        })?;
    }
    Ok(())
}

/// 2.3: nmport_open and friends.
fn libnetmap_style_bridge_joins_two_ports() -> Result<()> {
    ensure_second()?;
    for program in ["port_bridge", "port_bridge_cpp"] {
        let names = [ifname(), SECOND.into()].map(|n| format!("netmap:{n}"));
        let bridge = Helper::program(program, &[&names[0], &names[1]])?;
        taken_whole(&[&ifname(), SECOND])?;
        crosses(1)?;
        want_eq("exit code", bridge.ended_by(libc::SIGINT)?, Some(0))?;
        want("all rings are back", nobody_has_a_ring()?)?;
    }
    Ok(())
}

fn nm_bridge_joins_two_ports_without_copying() -> Result<()> {
    ensure_second()?;
    let bridge = Helper::program("nm_bridge", &[&ifname(), SECOND])?;
    taken_whole(&[&ifname(), SECOND])?;
    crosses(1)?;
    crosses(500)?;
    want_eq("exit code", bridge.ended_by(libc::SIGINT)?, Some(0))?;
    want("all rings are back", nobody_has_a_ring()?)
}

/// `nm_bridge eth3 eth3^`: the host as without netmap.
fn nm_bridge_carries_the_hosts_traffic() -> Result<()> {
    let host = format!("{}^", ifname());
    let bridge = Helper::program("nm_bridge", &[&ifname(), &host])?;
    taken_whole(&[&ifname()])?;
    want_eq("pings answered", peer::pings(20)?, 20)?;
    peer::tcp_echo(1 << 20, 4 * SOON)?;
    want_eq("exit code", bridge.ended_by(libc::SIGTERM)?, Some(0))?;
    want_eq("pings answered afterwards", peer::pings(5)?, 5)
}

fn tools_leave_nothing_behind_when_killed() -> Result<()> {
    let (name, tx) = (ifname(), format!("{}/T", ifname()));
    for (program, args) in [
        ("nm_count", vec![name.as_str()]),
        ("nm_pktgen", vec!["tx", tx.as_str()]),
    ] {
        let running = Helper::program(program, &args)?;
        eventually(&format!("{program} has rings"), SOON, || {
            Ok(!nobody_has_a_ring()?)
        })?;
        running.kill()?;
        want("all rings are back", nobody_has_a_ring()?)?;
        peer::udp_echo(&peer::udp(peer::PEER)?, 1, 100)?;
    }
    Ok(())
}
