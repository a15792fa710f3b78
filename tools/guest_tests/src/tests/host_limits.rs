// SPDX-License-Identifier: GPL-2.0
//! Host rings at their limits: full, hostile, several of them, and what is left of them when
//! the program ends (netmap-abi 1.7, 1.11, 3.3).

use super::abi_register::rx;
use super::host_rx::{collect, nic_sw, send, to_echo, SOON};
use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::deep::patience;
use crate::helper::Helper;
use crate::peer::{self, PEER};
use crate::port::{host_rx_info, Port};
use crate::setup::eventually;
use crate::steer::{ifname, run, sysfs};
use anyhow::{Context, Result};
use std::time::{Duration, Instant};

tests! { "host":
    full_host_ring_drops_and_counts_and_blocks_nobody,
    wire_is_the_kernels_again_after_close,
    wire_is_the_kernels_again_after_sigkill,
    several_host_rings_share_the_kernels_frames,
    hostile_pointers_and_slots_of_the_host_rx_ring,
    one_skb_that_pktgen_sends_many_times_arrives_many_times,
}

/// Nobody reads: the ring fills, the rest is dropped and counted, senders go on; what was
/// kept is whole, and the ring works again.
fn full_host_ring_drops_and_counts_and_blocks_nobody() -> Result<()> {
    let port = nic_sw()?;
    let ring = port.host_rx(0)?;
    let dropped: u64 = sysfs("statistics/tx_dropped")?.parse()?;
    let count = 4 * ring.n as usize;
    let started = Instant::now();
    send(&vec![100; count])?;
    want(
        &format!("sending did not wait: {:?}", started.elapsed()),
        started.elapsed() < patience(SOON),
    )?;
    std::thread::sleep(Duration::from_millis(100));
    let mut kept = 0;
    let mut last = Instant::now();
    while last.elapsed() < Duration::from_millis(300) {
        want_ok("RXSYNC", port.fd.rxsync())?;
        let got = ring.take().into_iter().filter(|f| to_echo(f)).count();
        if got > 0 {
            (kept, last) = (kept + got, Instant::now());
        }
    }
    let now: u64 = sysfs("statistics/tx_dropped")?.parse()?;
    println!(
        "{kept} of {count} kept, {} counted as dropped",
        now - dropped
    );
    want(
        "as many as slots were kept",
        (ring.n as usize - 1..count).contains(&kept),
    )?;
    want(
        "kept and dropped make up all",
        kept as u64 + (now - dropped) >= count as u64,
    )?;
    send(&[300; 3])?;
    collect(&port, &ring, 3).map(drop)
}

fn wire_is_the_kernels_again_after_close() -> Result<()> {
    for round in 0..5 {
        let port = nic_sw()?;
        send(&[100; 5])?;
        drop(port);
        let socket = peer::udp(PEER)?;
        for seq in 0..20 {
            peer::udp_echo(&socket, 100 * round + seq, 200)?;
        }
    }
    want_eq("pings answered", peer::pings(20)?, 20)?;
    peer::tcp_echo(1 << 20, SOON)
}

fn wire_is_the_kernels_again_after_sigkill() -> Result<()> {
    for _ in 0..3 {
        let other = Helper::start(&["nic-sw"])?;
        other.ready()?;
        send(&[100; 5])?;
        other.kill()?;
        peer::udp_echo(&peer::udp(PEER)?, 1, 200)?;
    }
    peer::tcp_echo(1 << 20, SOON)
}

/// 1.7: nr_host_*_rings is honoured when the first fd opens the port; ONE_SW takes one.
fn several_host_rings_share_the_kernels_frames() -> Result<()> {
    const RINGS: u16 = 4;
    let several = Register {
        host_tx_rings: RINGS,
        host_rx_rings: RINGS,
        ..rx(NIC_SW, 0, 0)
    };
    let port = want_ok("4 host ring pairs", Port::open(&ifname(), several))?;
    want_eq(
        "host rings that came back",
        (port.reg.host_tx_rings, port.reg.host_rx_rings),
        (RINGS, RINGS),
    )?;
    let rings: Vec<_> = (0..4).map(|k| port.host_rx(k)).collect::<Result<_>>()?;
    for k in 0..4 {
        want("host TX ring is bound", port.nif.host_tx_at(k).is_some())?;
    }
    // many flows: the stack spreads them over its TX queues, these over the host rings
    for k in 0..64u32 {
        send(&[100 + k as usize])?;
    }
    let mut got = [0; 4];
    eventually("all frames are in the rings", SOON, || {
        want_ok("RXSYNC", port.fd.rxsync())?;
        for (n, ring) in got.iter_mut().zip(&rings) {
            *n += ring.take().iter().filter(|f| to_echo(f)).count();
        }
        Ok(got.iter().sum::<usize>() >= 64)
    })?;
    println!("frames per host ring: {got:?}");
    want_eq("frames", got.iter().sum::<usize>(), 64)?;
    // put back by each of them: the kernel gets them
    let socket = crate::sock::bind(7100)?;
    for k in 0..4 {
        let ring = port.nif.host_tx_at(k).context("not bound")?;
        let f = crate::frame::udp(40000 + k as u16, 7100, b"by any host ring");
        super::putback::put_copy(&ring, &f)?;
    }
    want_ok("TXSYNC", port.fd.txsync())?;
    for k in 0..4 {
        want(
            &format!("datagram {k} of 4"),
            crate::sock::recv(&socket, SOON)?.is_some(),
        )?;
    }
    drop((rings, port));
    let port = nic_sw()?;
    want_eq("host rings of the next", port.reg.host_rx_rings, 1)
}

/// 1.11, lesson 7: as for a NIC RX ring.
fn hostile_pointers_and_slots_of_the_host_rx_ring() -> Result<()> {
    let port = nic_sw()?;
    let ring = port.host_rx(0)?;
    let total = port.fd.pools_info(&ifname())?.buf_total;
    for bad in [ring.n, u32::MAX, 17] {
        ring.set_head(bad);
        ring.set_cur(bad);
        want_ok("RXSYNC", port.fd.rxsync())?;
        want_eq(
            &format!("head {bad} became"),
            (ring.head(), ring.cur()),
            (0, 0),
        )?;
    }
    for idx in [0, 1, total, u32::MAX] {
        send(&[100; 8])?;
        eventually("frames are in the ring", SOON, || {
            want_ok("RXSYNC", port.fd.rxsync())?;
            Ok(ring.space() >= 8)
        })?;
        let mut i = ring.head();
        while i != ring.tail() {
            let s = ring.slot(i);
            let flags = NS_BUF_CHANGED;
            ring.set_slot(i, crate::mem::Slot { idx, flags, ..s });
            i = ring.next(i);
        }
        ring.set_cur(i);
        ring.set_head(i);
        want_ok("RXSYNC", port.fd.rxsync())?;
    }
    let bad = host_rx_info(&port.fd, 0)?.counter[counter::BAD_SLOTS];
    want(&format!("bad slots were counted: {bad}"), bad >= 32)?;
    let sizes = vec![200; 2 * ring.n as usize];
    for batch in sizes.chunks(64) {
        send(batch)?;
        collect(&port, &ring, batch.len())?;
    }
    Ok(())
}

/// pktgen's skbs are shared: what waits here must not be linked twice.
fn one_skb_that_pktgen_sends_many_times_arrives_many_times() -> Result<()> {
    const COUNT: usize = 200;
    const TO: [u8; 6] = [2, 0, 0, 0, 0, 1];
    run("modprobe", &["pktgen"])?;
    let port = nic_sw()?;
    let ring = port.host_rx(0)?;
    let tell = |file: &str, line: &str| {
        std::fs::write(format!("/proc/net/pktgen/{file}"), line)
            .with_context(|| format!("pktgen: {line}"))
    };
    tell("kpktgend_0", &format!("add_device {}", ifname()))?;
    for line in [
        format!("count {COUNT}"),
        format!("clone_skb {COUNT}"),
        "pkt_size 60".into(),
        "dst 192.0.2.1".into(),
        "dst_mac 02:00:00:00:00:01".into(),
    ] {
        tell(&ifname(), &line)?;
    }
    tell("pgctrl", "start")?;
    tell("kpktgend_0", "rem_device_all")?;
    let mut got = 0;
    eventually("all are in the ring", SOON, || {
        want_ok("RXSYNC", port.fd.rxsync())?;
        got += ring.take().iter().filter(|f| f.starts_with(&TO)).count();
        Ok(got >= COUNT)
    })?;
    want_eq("frames", got, COUNT)
}
