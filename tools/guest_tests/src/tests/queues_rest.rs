// SPDX-License-Identifier: GPL-2.0
//! The rest of the port while queues are out: settings, RSS, carrier, TX, and
//! statistics that still add up.

use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::one_rx;
use crate::frame::udp_sized;
use crate::nic::{CardCounts, Nic};
use crate::port::{Lane, Port, DPORT, DPORT2, OTHER_PORT, Q, Q2};
use crate::setup::eventually;
use crate::sock::Counter;
use crate::steer::{carrier_changes, ethtool, ifname, num_queues, run, stats, Rss, Rule};
use anyhow::{bail, Context, Result};
use std::fs;
use std::net::UdpSocket;
use std::time::Duration;

tests! { "queues":
    rss_table_rules_features_and_link_are_equal_before_and_after,
    rss_weights_survive_attach_and_detach,
    carrier_does_not_change_on_attach_and_detach,
    kernel_transmits_on_every_queue_while_rx_is_out,
    kernel_receives_on_the_same_vector_after_return,
    driver_statistics_and_card_agree_on_all_queues @ 90,
    seven_queues_out_at_once_each_receive_their_own,
}

fn settings() -> Result<Vec<String>> {
    let mut all = Vec::new();
    for option in ["-x", "-n", "-k", "-l", "-g", "-c"] {
        all.push(ethtool(option, &[])?);
    }
    all.push(run("ethtool", &[&ifname()])?);
    Ok(all)
}

/// XPS maps for the time of a test: none, so that the flow's hash chooses.
struct NoXps(Vec<(String, String)>);

impl NoXps {
    fn set() -> Result<NoXps> {
        let mut saved = NoXps(Vec::new());
        for q in 0..num_queues("tx-")? {
            let path = format!("/sys/class/net/{}/queues/tx-{q}/xps_cpus", ifname());
            let was = fs::read_to_string(&path).with_context(|| path.clone())?;
            fs::write(&path, "0").with_context(|| path.clone())?;
            saved.0.push((path, was));
        }
        Ok(saved)
    }
}

impl Drop for NoXps {
    fn drop(&mut self) {
        for (path, was) in &self.0 {
            if let Err(e) = fs::write(path, was) {
                eprintln!("{path}: {e}");
            }
        }
    }
}

const SOON: Duration = Duration::from_secs(10);

fn rss_table_rules_features_and_link_are_equal_before_and_after() -> Result<()> {
    let _rss = Rss::without(&[2, Q])?;
    let _rules = [Rule::udp(DPORT, Q)?, Rule::udp(DPORT2, Q2)?];
    let before = settings()?;
    let port = Port::rx_putback(Q)?;
    let during = settings()?;
    want_ok("NIOCQADD", port.fd.qadd(Q2))?;
    want_ok("NIOCQDEL", port.fd.qdel(Q2))?;
    drop(port);
    let after = settings()?;
    for (i, b) in before.iter().enumerate() {
        want_eq("while a queue is out", &during[i], b)?;
        want_eq("afterwards", &after[i], b)?;
    }
    Ok(())
}

/// RSS goes on as it was set: flows reach the same queues before and after.
fn rss_weights_survive_attach_and_detach() -> Result<()> {
    let _rss = Rss::without(&[Q])?;
    let nic = Nic::open()?;
    let counter = Counter::start(OTHER_PORT)?;
    let mut spread = Vec::new();
    for taken in [None, Some(Q), None] {
        let _port = taken.map(Port::rx).transpose()?;
        let before = nic.counts()?;
        let gen = nic.generate(
            "s",
            &format!("profile=flows src=10.0.3.10 flows=32 rate=3000 count=640 size=80 dport={OTHER_PORT}"),
        )?;
        gen.wait(SOON)?;
        let after = nic.counts()?;
        let mut used = Vec::new();
        for q in after.rx.keys() {
            if after.rxq(*q, "packets")? - before.rxq(*q, "packets")? >= 10 {
                used.push(*q);
            }
        }
        want(
            &format!("not through queue {Q}: {used:?}"),
            !used.contains(&Q),
        )?;
        spread.push(used);
    }
    want("several queues", spread[0].len() > 2)?;
    want_eq("the same queues while one is out", &spread[1], &spread[0])?;
    want_eq("the same queues afterwards", &spread[2], &spread[0])?;
    counter.finish().map(drop)
}

fn carrier_does_not_change_on_attach_and_detach() -> Result<()> {
    let nic = Nic::open()?;
    let before = (carrier_changes()?, nic.counts()?);
    for q in 0..num_queues("rx-")? {
        drop(want_ok(&format!("queue {q}"), Port::rx(q))?);
    }
    let after = nic.counts()?;
    want_eq("carrier_changes", carrier_changes()?, before.0)?;
    for key in ["link_changes", "resets"] {
        want_eq(key, after.port.get(key)?, before.1.port.get(key)?)?;
    }
    Ok(())
}

/// Only the RX side of an index is taken; TX of the same index goes on.
fn kernel_transmits_on_every_queue_while_rx_is_out() -> Result<()> {
    let nic = Nic::open()?;
    let _hash = NoXps::set()?;
    let port = Port::open(
        &ifname(),
        Register {
            mode: ALL_NIC,
            flags: RX_ONLY,
            ..Default::default()
        },
    )?;
    let before = nic.counts()?;
    let count = 600;
    for i in 0..count {
        let s = UdpSocket::bind(("10.0.3.1", 0))?;
        s.send_to(&[0x5a; 64], ("10.0.3.2", 9000 + i % 97))?;
    }
    let n = num_queues("tx-")?;
    let sent = |after: &CardCounts, q: u32| -> Result<u64> {
        Ok(after.txq(q, "packets")? - before.txq(q, "packets")?)
    };
    eventually("all frames left the card", SOON, || {
        let after = nic.counts()?;
        let mut total = 0;
        for q in 0..n {
            total += sent(&after, q)?;
        }
        Ok(total >= u64::from(count))
    })?;
    let after = nic.counts()?;
    let unused: Vec<u32> = (0..n.min(16))
        .filter(|q| sent(&after, *q).unwrap_or(0) == 0)
        .collect();
    want(
        &format!("frames left on every TX queue; none on {unused:?}"),
        unused.is_empty(),
    )?;
    want_ok("RXSYNC", port.fd.rxsync())
}

/// After it came back, the queue serves the kernel for more than a ring's worth.
fn kernel_receives_on_the_same_vector_after_return() -> Result<()> {
    let nic = Nic::open()?;
    let _rule = Rule::udp(DPORT, Q)?;
    let counter = Counter::start(DPORT)?;
    let mut total = 0;
    for _ in 0..5 {
        let port = Port::rx(Q)?;
        nic.send(&udp_sized(DPORT, 1, 60))?;
        want_eq("frame in the ring", port.recv(Q, DPORT, 1, SOON)?.len(), 1)?;
        let count = u64::from(port.reg.rx_slots) * 2 + 10;
        drop(port);
        let gen = nic.generate(
            "k",
            &format!("profile=udp rate=3000 count={count} size=80 dport={DPORT}"),
        )?;
        total += gen.wait(Duration::from_secs(20))?;
        want_eq("received by the socket", counter.settle(total), total)?;
    }
    counter.finish().map(drop)
}

fn driver_statistics_and_card_agree_on_all_queues() -> Result<()> {
    let n = num_queues("rx-")?;
    let lane = Lane::open()?;
    let nic = Nic::open()?;
    let _sink = crate::sock::bind(OTHER_PORT)?;
    let names: Vec<String> = (0..n).map(|q| format!("rx_queue_{q}_packets")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let before = (stats(&names)?, nic.counts()?);
    let a = nic.generate(
        "a",
        &format!(
            "profile=flows src=10.0.3.10 flows=64 rate=2000 count=4000 size=100 dport={OTHER_PORT}"
        ),
    )?;
    let b = nic.generate(
        "b",
        &format!("profile=udp wait=1 rate=500 count=1000 size=100 dport={DPORT}"),
    )?;
    want_eq(
        "frames in the ring",
        lane.recv(1000, Duration::from_secs(30))?.len(),
        1000,
    )?;
    a.wait(Duration::from_secs(30))?;
    b.wait(SOON)?;
    lane.port.fd.rxsync()?;
    eventually("driver and card agree", SOON, || {
        let (s, c) = (stats(&names)?, nic.counts()?);
        for q in 0..n {
            let card = c.rxq(q, "packets")? - before.1.rxq(q, "packets")?;
            if s[q as usize] - before.0[q as usize] != card {
                return Ok(false);
            }
        }
        Ok(true)
    })
}

fn seven_queues_out_at_once_each_receive_their_own() -> Result<()> {
    let n = num_queues("rx-")?;
    let nic = Nic::open()?;
    let port = Port::open(
        &ifname(),
        Register {
            flags: RX_ONLY | NO_RINGS,
            ..one_rx(0)
        },
    )?;
    let mut rules = Vec::new();
    let queues: Vec<u32> = (n - 7..n).collect();
    let _rss = Rss::without(&queues)?;
    for q in &queues {
        want_ok("NIOCQADD", port.fd.qadd(*q))?;
        rules.push(Rule::udp(7200 + *q as u16, *q)?);
    }
    for seq in 0..50 {
        for q in &queues {
            nic.send(&udp_sized(7200 + *q as u16, seq, 60 + *q as usize))?;
        }
    }
    for q in &queues {
        let dport = 7200 + *q as u16;
        let all: Vec<_> = (0..50)
            .map(|s| udp_sized(dport, s, 60 + *q as usize))
            .collect();
        let got = port.recv(*q, dport, 50, SOON)?;
        if got != all {
            bail!("queue {q}: {} frames, not the 50 sent", got.len());
        }
    }
    Ok(())
}
