// SPDX-License-Identifier: GPL-2.0
//! What an administrator can do to a port whose queue is out, one test per row
//! of the table in Documentation/ixgbe-hooks.md: it works, or it is refused;
//! the ring goes on either way.

use super::lifecycle::{kernel_receives, receives, refused};
use super::tests;
use crate::abi::*;
use crate::bpf::{attach_xdp, Xsk};
use crate::broken::{forget_self_test, offline_self_test};
use crate::check::*;
use crate::deep::count;
use crate::frame::{pattern, udp_sized};
use crate::nic::Nic;
use crate::port::{rx_info, Lane, Port, DPORT, DPORT2, Q, Q2};
use crate::setup;
use crate::steer::{ethtool, ifname, num_queues, run, wait_carrier, Rss, Rule};
use anyhow::{Context, Result};
use std::time::Duration;

tests! { "lifecycle":
    link_restart_by_ethtool_with_a_queue_out | flaps,
    pause_change_resets_the_port_and_the_ring_goes_on | flaps,
    vlan_strip_change_leaves_the_ring_unstripped | flaps,
    offline_self_test_with_a_queue_out @ 120 | flaps,
    coalescing_change_with_a_queue_out | flaps,
    rss_table_set_by_the_user_is_the_users_while_a_queue_is_out,
    rss_table_leaves_out_a_queue_that_is_out_after_a_reset | flaps,
    ntuple_rules_survive_a_reset_with_a_queue_out | flaps,
    many_resets_with_a_queue_out_under_traffic @ 150 | flaps,
    generic_xdp_works_and_does_not_see_the_queue | flaps,
    af_xdp_on_another_queue_works_with_a_queue_out | flaps,
    hardware_traffic_classes_are_refused_with_a_queue_out,
    register_with_hardware_traffic_classes_gives_eopnotsupp | flaps,
}

/// `ethtool -r`: the driver restarts the port.
fn link_restart_by_ethtool_with_a_queue_out() -> Result<()> {
    let lane = Lane::open()?;
    receives(&lane, 1)?;
    ethtool("-r", &[])?;
    wait_carrier()?;
    receives(&lane, 50)?;
    want_eq("starts", lane.port.info(Q)?.counter[counter::STARTS], 2)
}

fn pause_change_resets_the_port_and_the_ring_goes_on() -> Result<()> {
    let lane = Lane::open()?;
    ethtool("-A", &["rx", "off", "tx", "off"])?;
    wait_carrier()?;
    let off = receives(&lane, 1);
    ethtool("-A", &["rx", "on", "tx", "on"])?;
    wait_carrier()?;
    off?;
    receives(&lane, 50)
}

/// The driver's VLAN functions rewrite RXDCTL; not of this queue.
fn vlan_strip_change_leaves_the_ring_unstripped() -> Result<()> {
    const VME: u64 = 1 << 30;
    const ENABLE: u64 = 1 << 25;
    let lane = Lane::open()?;
    let nic = Nic::open()?;
    let rxdctl = |q| nic.counts()?.rxq(q, "rxdctl");
    want_eq("kernel's queue strips", rxdctl(Q2)? & VME, VME)?;
    for state in ["off", "on"] {
        ethtool("-K", &["rxvlan", state])?;
        wait_carrier()?;
        let ours = rxdctl(Q)?;
        want_eq(&format!("strip bit, rxvlan {state}"), ours & VME, 0)?;
        want_eq("enable bit", ours & ENABLE, ENABLE)?;
    }
    drop(nic);
    receives(&lane, 1)
}

/// As interface down, then up: rules go, the ring comes back.
fn offline_self_test_with_a_queue_out() -> Result<()> {
    let lane = Lane::open()?;
    receives(&lane, 1)?;
    offline_self_test()?;
    let rule = Rule::udp(DPORT, Q)?;
    receives(&lane, 50)?;
    drop((rule, lane));
    forget_self_test()
}

fn coalescing_change_with_a_queue_out() -> Result<()> {
    let lane = Lane::open()?;
    let before = ethtool("-c", &[])?;
    let usecs = before.lines().find_map(|l| l.strip_prefix("rx-usecs:"));
    let usecs = usecs.context("ethtool -c shows no rx-usecs")?.trim();
    for value in ["0", "100", usecs] {
        ethtool("-C", &["rx-usecs", value])?;
        wait_carrier()?;
        receives(&lane, 1).with_context(|| format!("rx-usecs {value}"))?;
    }
    want_eq("settings at the end", ethtool("-c", &[])?, before)
}

/// Queues named in the RSS table.
fn rss_queues() -> Result<Vec<u32>> {
    let table = ethtool("-x", &[])?;
    let mut named: Vec<u32> = table
        .lines()
        .filter_map(|l| l.trim_start().split_once(':'))
        .filter(|(at, _)| at.parse::<u32>().is_ok())
        .flat_map(|(_, row)| row.split_whitespace().filter_map(|w| w.parse().ok()))
        .collect();
    named.sort_unstable();
    named.dedup();
    Ok(named)
}

/// The queues RSS can use, but for some.
fn all_but(out: &[u32]) -> Result<Vec<u32>> {
    let all = 0..num_queues("rx-")?.min(16);
    Ok(all.filter(|q| !out.contains(q)).collect())
}

/// `ethtool -X` works while a queue is out, also if it names the queue.
fn rss_table_set_by_the_user_is_the_users_while_a_queue_is_out() -> Result<()> {
    let port = Port::rx(Q)?;
    let rss = Rss::without(&[0, 1])?;
    want_eq("queues in the table", rss_queues()?, all_but(&[0, 1])?)?;
    let table = ethtool("-x", &[])?;
    drop(port);
    want_eq("table after the queue's return", ethtool("-x", &[])?, table)?;
    drop(rss);
    want_eq("queues in the default table", rss_queues()?, all_but(&[])?)
}

/// A reset spreads RSS over the queues the kernel has.
fn rss_table_leaves_out_a_queue_that_is_out_after_a_reset() -> Result<()> {
    let _back_at_the_end = Rss::without(&[Q])?;
    ethtool("-X", &["default"])?;
    let port = Port::rx(Q)?;
    ethtool("-r", &[])?;
    wait_carrier()?;
    want_eq("queues in the table", rss_queues()?, all_but(&[Q])?)?;
    want_ok("RXSYNC", port.fd.rxsync())
}

fn ntuple_rules_survive_a_reset_with_a_queue_out() -> Result<()> {
    let lane = Lane::open()?;
    let before = ethtool("-n", &[])?;
    ethtool("-r", &[])?;
    wait_carrier()?;
    want_eq("rules", ethtool("-n", &[])?, before)?;
    receives(&lane, 1)
}

/// Again and again, with packets in flight and a program that reads.
fn many_resets_with_a_queue_out_under_traffic() -> Result<()> {
    let lane = Lane::open()?;
    let ring = lane.ring()?;
    let nic = Nic::open()?;
    let gen = nic.generate(
        "g",
        &format!("profile=udp rate=2000 size=300 dport={DPORT}"),
    )?;
    let resets = count(10, 60);
    for turn in 0..resets {
        ethtool("-r", &[])?;
        wait_carrier()?;
        let mut got = 0;
        while got < 100 {
            let events = lane.port.fd.poll(libc::POLLIN, Duration::from_secs(10))?;
            want_eq(&format!("revents after reset {turn}"), events, libc::POLLIN)?;
            for f in ring.take() {
                want_eq("frame size", f.len(), 300)?;
                got += 1;
            }
        }
    }
    want_eq(
        "starts",
        lane.port.info(Q)?.counter[counter::STARTS],
        resets + 1,
    )?;
    gen.stop()?;
    Ok(())
}

fn generic_xdp_works_and_does_not_see_the_queue() -> Result<()> {
    let lane = Lane::open()?;
    let xdp = want_ok("generic XDP", attach_xdp(false))?;
    receives(&lane, 1)?;
    drop(xdp);
    receives(&lane, 50)
}

fn af_xdp_on_another_queue_works_with_a_queue_out() -> Result<()> {
    let lane = Lane::open()?;
    let xsk = want_ok("zero-copy AF_XDP on another queue", Xsk::bind(Q2))?;
    receives(&lane, 1)?;
    drop(xsk);
    receives(&lane, 50)?;
    // the other queue is the kernel's again
    let _rule = Rule::udp(DPORT2, Q2)?;
    let socket = crate::sock::bind(DPORT2)?;
    let nic = Nic::open()?;
    setup::eventually(
        "its packets reach the kernel",
        Duration::from_secs(10),
        || {
            nic.send(&udp_sized(DPORT2, 3, 100))?;
            let got = crate::sock::recv(&socket, Duration::from_millis(200))?;
            Ok(got == Some(pattern(3, 100 - 42)))
        },
    )
}

/// The queue discipline's command line for four classes in hardware.
fn mqprio() -> Result<String> {
    let words = ["num_tc", "4", "map", "0", "1", "2", "3", "hw", "1"];
    let mut args = vec!["qdisc", "add", "dev"];
    let name = ifname();
    args.push(&name);
    args.extend(["root", "handle", "100:", "mqprio"]);
    args.extend(words);
    run("tc", &args)
}

fn hardware_traffic_classes_are_refused_with_a_queue_out() -> Result<()> {
    let lane = Lane::open()?;
    refused("mqprio in hardware", mqprio())?;
    receives(&lane, 1)
}

fn register_with_hardware_traffic_classes_gives_eopnotsupp() -> Result<()> {
    mqprio()?;
    let got = Port::rx(Q).map(drop);
    let back = run("tc", &["qdisc", "del", "dev", &ifname(), "root"]);
    setup::ensure()?;
    want_errno("REGISTER", got, libc::EOPNOTSUPP)?;
    back?;
    want_eq(
        "state",
        rx_info(&crate::fd::Fd::open()?, Q)?.state,
        Q_KERNEL,
    )?;
    kernel_receives(1)?;
    receives(&Lane::open()?, 1)
}
