// SPDX-License-Identifier: GPL-2.0
//! What an administrator sees of netmap traffic (netmap-abi lesson 24, 8 "Stats/visibility"):
//! netdev and ethtool counters move, rings have theirs, tracepoints tell what happened.

use super::abi_register::rx;
use super::tests;
use super::tx::{drained, send, SOON};
use crate::abi::*;
use crate::check::*;
use crate::fd::Fd;
use crate::frame::{outgoing, udp_sized};
use crate::nic::Nic;
use crate::port::{tx_info, Lane, Port, DPORT, Q};
use crate::setup::eventually;
use crate::steer::{ifname, run, stats, sysfs};
use anyhow::{Context, Result};
use std::fs;

tests! { "counters":
    ethtool_counts_what_a_program_receives,
    ethtool_counts_what_a_program_sends,
    interface_counts_both,
    counters_never_go_back_when_rings_do,
    nmq_shows_every_kind_of_ring_with_its_counters,
    tracepoints_tell_of_rings_syncs_and_resets,
}

/// `ethtool -S` of queue `Q`: packets, bytes.
fn queue(direction: &str) -> Result<(u64, u64)> {
    let names = ["packets", "bytes"].map(|k| format!("{direction}_queue_{Q}_{k}"));
    let v = stats(&[&names[0], &names[1]])?;
    Ok((v[0], v[1]))
}

fn netdev(name: &str) -> Result<u64> {
    Ok(sysfs(&format!("statistics/{name}"))?.parse()?)
}

fn ethtool_counts_what_a_program_receives() -> Result<()> {
    let lane = Lane::open()?;
    let nic = Nic::open()?;
    let before = queue("rx")?;
    for s in 0..123 {
        nic.send(&udp_sized(DPORT, s, 200))?;
    }
    want_eq("received", lane.recv(123, SOON)?.len(), 123)?;
    want_ok("RXSYNC", lane.port.fd.rxsync())?;
    let after = queue("rx")?;
    want_eq(
        "rx_queue packets, bytes",
        (after.0 - before.0, after.1 - before.1),
        (123, 123 * 200),
    )
}

fn ethtool_counts_what_a_program_sends() -> Result<()> {
    let port = Port::tx(Q)?;
    let ring = port.tx_ring(Q)?;
    let before = queue("tx")?;
    let frames: Vec<_> = (0..123).map(|s| outgoing(s, 200)).collect();
    send(&port, &ring, &frames)?;
    drained(&port, &ring)?;
    let after = queue("tx")?;
    // the kernel's own few frames by that queue are in it, too
    want(
        &format!("tx_queue packets, bytes: {before:?} -> {after:?}"),
        (123..150).contains(&(after.0 - before.0)) && after.1 - before.1 >= 123 * 200,
    )
}

/// #282, #256, #522: ip -s link.
fn interface_counts_both() -> Result<()> {
    let lane = Lane::with(Register {
        mode: ONE_NIC,
        ringid: Q as u16,
        ..Default::default()
    })?;
    let nic = Nic::open()?;
    let names = ["rx_packets", "rx_bytes", "tx_packets", "tx_bytes"];
    let read = || names.iter().map(|n| netdev(n)).collect::<Result<Vec<_>>>();
    let before = read()?;
    for s in 0..50 {
        nic.send(&udp_sized(DPORT, s, 200))?;
    }
    want_eq("received", lane.recv(50, SOON)?.len(), 50)?;
    want_ok("RXSYNC", lane.port.fd.rxsync())?;
    let ring = lane.port.tx_ring(Q)?;
    let frames: Vec<_> = (0..50).map(|s| outgoing(s, 200)).collect();
    send(&lane.port, &ring, &frames)?;
    drained(&lane.port, &ring)?;
    // the driver adds up its rings when it is asked
    eventually("the interface's counters have moved", SOON, || {
        let now = read()?;
        Ok((0..4).all(|i| now[i] - before[i] >= [50, 10_000, 50, 10_000][i]))
    })
}

fn counters_never_go_back_when_rings_do() -> Result<()> {
    let read = || -> Result<Vec<u64>> {
        let (rx, tx) = (queue("rx")?, queue("tx")?);
        let mut all = vec![rx.0, rx.1, tx.0, tx.1];
        for name in ["rx_packets", "tx_packets", "rx_bytes", "tx_bytes"] {
            all.push(netdev(name)?);
        }
        Ok(all)
    };
    let nic = Nic::open()?;
    let mut last = read()?;
    let mut check = |what: &str| -> Result<()> {
        let now = read()?;
        want(
            &format!("{what}: {last:?} -> {now:?}"),
            now.iter().zip(&last).all(|(n, l)| n >= l),
        )?;
        last = now;
        Ok(())
    };
    for _ in 0..3 {
        let lane = Lane::with(Register {
            mode: ONE_NIC,
            ringid: Q as u16,
            ..Default::default()
        })?;
        check("taken")?;
        let ring = lane.port.tx_ring(Q)?;
        let frames: Vec<_> = (0..50).map(|s| outgoing(s, 200)).collect();
        send(&lane.port, &ring, &frames)?;
        drained(&lane.port, &ring)?;
        for s in 0..50 {
            nic.send(&udp_sized(DPORT, s, 200))?;
        }
        lane.recv(50, SOON)?;
        check("used")?;
        drop(ring);
        drop(lane);
        check("given back")?;
    }
    Ok(())
}

fn nmq_shows_every_kind_of_ring_with_its_counters() -> Result<()> {
    let port = Port::open(&ifname(), rx(NIC_SW, 0, 0))?;
    let ring = port.tx_ring(Q)?;
    let frames: Vec<_> = (0..77).map(|s| outgoing(s, 100)).collect();
    send(&port, &ring, &frames)?;
    drained(&port, &ring)?;
    let json = run("nmq", &["-j", "queue", "show", &ifname(), "-s"])?;
    for kind in ["\"rx\"", "\"tx\"", "\"host-tx\"", "\"host-rx\""] {
        want(&format!("nmq -j names kind {kind}"), json.contains(kind))?;
    }
    want(
        &format!("the TX ring's count is there: {json:.300}"),
        json.contains("77"),
    )?;
    let text = run("nmq", &["queue", "show", &ifname(), "-s"])?;
    let pid = std::process::id().to_string();
    want("the owner is named", text.contains(&pid))?;
    let bytes = tx_info(&port.fd, Q)?.counter[counter::BYTES];
    want_eq("bytes in the listing", bytes, 7700)
}

const TRACING: &str = "/sys/kernel/tracing";

/// Events of the module, on while this lives.
struct Events;

impl Events {
    fn on() -> Result<Events> {
        let dir = format!("{TRACING}/events/netmap");
        fs::write(format!("{TRACING}/trace"), "").context("empty the trace")?;
        fs::write(format!("{dir}/enable"), "1").context(dir)?;
        Ok(Events)
    }

    fn text(&self) -> Result<String> {
        Ok(fs::read_to_string(format!("{TRACING}/trace"))?)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let _ = fs::write(format!("{TRACING}/events/netmap/enable"), "0");
        let _ = fs::write(format!("{TRACING}/trace"), "");
    }
}

fn tracepoints_tell_of_rings_syncs_and_resets() -> Result<()> {
    let events = Events::on()?;
    let port = Port::open(&ifname(), rx(ONE_NIC, Q as u16, 0))?;
    let ring = port.tx_ring(Q)?;
    send(&port, &ring, &[outgoing(1, 60), outgoing(2, 60)])?;
    drained(&port, &ring)?;
    port.ring(Q)?.set_head(u32::MAX);
    want_ok("RXSYNC", port.fd.rxsync())?;
    drop(ring);
    drop(port);
    let text = events.text()?;
    let has = |words: &[&str]| text.lines().any(|l| words.iter().all(|w| l.contains(w)));
    let (name, q) = (format!("dev={} ", ifname()), format!("ring={Q} "));
    let ring = q.trim_end();
    for words in [
        &["netmap_attach", &name, "kind=rx", ring][..],
        &["netmap_attach", &name, "kind=tx", ring],
        &["netmap_sync", "kind=tx", &q, "head=2 cur=2", "packets=2"],
        &["netmap_reinit", "kind=rx", &q, "head=4294967295"],
        &["netmap_detach", &name, "kind=rx", &q, "error=0"],
        &["netmap_detach", &name, "kind=tx", &q, "error=0"],
    ] {
        want(&format!("a line with {words:?} in\n{text}"), has(words))?;
    }
    drop(events);
    let _other = Fd::open()?;
    let quiet = fs::read_to_string(format!("{TRACING}/trace"))?;
    want("silent when off", !quiet.contains("netmap_"))
}
