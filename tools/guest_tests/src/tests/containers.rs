// SPDX-License-Identifier: GPL-2.0
//! Containers: processes in user, network and pid namespaces of their own, with the device node and
//! without, with an interface of their own and without (`Documentation/privileges.md`).

use super::tests;
use crate::actor::{Actor, Mode};
use crate::check::*;
use crate::fd::{Fd, DEVICE};
use crate::frame::{hex, to_mac, udp, CARD2_MAC};
use crate::nic::Nic;
use crate::port::{rx_info, Q, Q2};
use crate::setup::{ensure_second, eventually, SECOND};
use crate::steer::{ifname, run};
use anyhow::{Context, Result};
use std::time::Duration;

tests! { "containers":
    node_is_asked_for_even_with_all_capabilities_of_a_user_namespace,
    root_of_a_user_namespace_cannot_take_a_queue_of_the_host,
    host_port_is_not_there_for_a_container_without_it,
    container_root_takes_the_queues_of_its_own_interface @ 90,
    host_user_inside_the_namespace_needs_the_capability_too @ 90,
    interface_taken_away_takes_nothing_along_but_leaves_the_program_its_memory @ 90,
    container_killed_with_queues_out_leaves_the_interface_to_the_host @ 90,
}

const SOON: Duration = Duration::from_secs(15);
/// Where a container's user ids begin in the host.
const FIRST_ID: u32 = 100_000;

/// The node as a container that is to have it finds it.
fn node_for_all() -> Result<Mode> {
    Mode::set(DEVICE, 0, 0o666)
}

/// Root, with every capability, of a user namespace and of what is made in it.
fn container(namespaces: &str) -> Result<Actor> {
    let mut actor = Actor::start()?;
    actor.must(&format!("unshare {namespaces}"))?;
    actor.map_ids(FIRST_ID)?;
    actor.must("become 0 all")?;
    Ok(actor)
}

/// A container to which the second port has moved, up there.
fn with_second_port() -> Result<Actor> {
    ensure_second()?;
    let mut actor = container("user,net,mount,ipc")?;
    let pid = actor.pid().to_string();
    run("ip", &["link", "set", "dev", SECOND, "netns", &pid])?;
    actor.must(&format!("run ip link set dev {SECOND} up"))?;
    Ok(actor)
}

/// The second port is the host's again.
fn second_is_back() -> Result<()> {
    eventually("the port is back", SOON, || Ok(ensure_second().is_ok()))
}

fn node_is_asked_for_even_with_all_capabilities_of_a_user_namespace() -> Result<()> {
    container("user")?.want("open", "EACCES")?;
    container("user,net,mount,ipc")?.want("open", "EACCES")?;
    let _mode = node_for_all()?;
    container("user,net,mount,ipc")?.want("open", "ok")
}

/// Its capabilities are over what its namespace owns; the host's network namespace is not.
fn root_of_a_user_namespace_cannot_take_a_queue_of_the_host() -> Result<()> {
    let _mode = node_for_all()?;
    let mut c = container("user")?;
    let name = &ifname();
    c.must("open a")?;
    for mode in [1, 2, 3, 4] {
        c.want(&format!("register a {name} mode={mode}"), "EPERM")?;
        c.want(&format!("regif a {name} mode={mode}"), "EPERM")?;
    }
    c.want(&format!("register a {name}~{Q}"), "EPERM")?;
    c.want(&format!("port-info a {name}"), "ok")?;
    want_eq("the queue", rx_info(&Fd::open()?, Q)?.state, 0)
}

fn host_port_is_not_there_for_a_container_without_it() -> Result<()> {
    let _mode = node_for_all()?;
    let mut c = container("user,net,mount,ipc")?;
    c.must("new-pid-namespace")?;
    let name = &ifname();
    c.must("open a")?;
    for call in [
        format!("port-info a {name}"),
        format!("pools-info a {name}"),
        format!("hdr-get a {name}"),
        format!("ginfo a {name}"),
        format!("register a {name} mode=4 ring={Q} flags=rx"),
        format!("regif a {name} mode=4 ring={Q} flags=rx"),
        format!("register a {name}~"),
    ] {
        c.want(&call, "ENXIO")?;
    }
    c.want("list a", "end")?;
    // what is its own it has
    c.want("mem-info a 0", "ok")?;
    let got = c.ask("register a - mode=7 flags=private")?;
    want(&format!("memory alone: {got}"), got.starts_with("mem_id"))
}

fn container_root_takes_the_queues_of_its_own_interface() -> Result<()> {
    let _mode = node_for_all()?;
    let mut c = with_second_port()?;
    let outer = c.pid();
    c.must("new-pid-namespace")?;
    c.must("open a")?;
    let take = |queue| format!("register a {SECOND} mode=4 ring={queue} flags=rx+putback");
    let got = c.ask(&take(Q))?;
    want(&format!("its own: {got}"), got.starts_with("mem_id"))?;
    c.want("mmap a 65536", "ok")?;
    c.want("rxsync a", "ok")?;
    c.want(&format!("qadd a {Q2}"), "ok")?;
    c.must("open b")?;
    c.want(
        &format!("register b {} mode=4 ring={Q} flags=rx", ifname()),
        "ENXIO",
    )?;
    let all = c.ask("list a")?;
    let mine = format!("{SECOND} 1 {Q} state 2 pid 1 uid 0;");
    want(
        &format!("its list: {all}"),
        all.contains(&mine) && !all.contains(&ifname()),
    )?;
    let host = Fd::open()?.queues(None)?;
    want(
        "the host does not list it",
        host.iter()
            .all(|i| crate::abi::field_name(&i.name) != SECOND),
    )?;
    // the host's root may go there, and is another user
    let mut root = Actor::start()?;
    root.must(&format!("enter-net {outer}"))?;
    root.must("open a")?;
    root.want(&take(Q), "EBUSY")?;
    let got = root.ask(&take(6))?;
    want(
        &format!("another queue, by the host's root: {got}"),
        got.starts_with("mem_id"),
    )?;
    let all = root.ask("list a")?;
    let seen = format!("{SECOND} 1 {Q} state 2 pid ");
    want(
        &format!("the host's root sees whose it is: {all}"),
        all.contains(&seen),
    )?;
    want(
        &format!("by its uid there: {all}"),
        all.contains(&format!("uid {FIRST_ID};")),
    )?;
    root.end()?;
    c.end()?;
    second_is_back()
}

fn host_user_inside_the_namespace_needs_the_capability_too() -> Result<()> {
    let _mode = node_for_all()?;
    let c = with_second_port()?;
    let mut user = Actor::start()?;
    user.must(&format!("enter-net {}", c.pid()))?;
    user.must("become 1000 none")?;
    user.must("open a")?;
    user.want(
        &format!("register a {SECOND} mode=4 ring={Q} flags=rx"),
        "EPERM",
    )?;
    user.want(&format!("port-info a {SECOND}"), "ok")?;
    user.end()?;
    c.end()?;
    second_is_back()
}

/// What arrives for the host's port afterwards is looked for in all that the container can read.
fn interface_taken_away_takes_nothing_along_but_leaves_the_program_its_memory() -> Result<()> {
    let _mode = node_for_all()?;
    let mut c = with_second_port()?;
    c.must("open a")?;
    let got = c.ask(&format!("register a {SECOND} mode=1 flags=rx"))?;
    want(&format!("all RX rings: {got}"), got.starts_with("mem_id"))?;
    let memory = 300 << 20;
    c.must(&format!("mmap a {memory}"))?;
    let nic = Nic::second()?;
    let frame = |text: &[u8]| to_mac(&udp(40001, 7777, text), CARD2_MAC);
    let hits = |c: &mut Actor, what: &[u8]| -> Result<u64> {
        let said = c.ask(&format!("search a {}", hex(what)))?;
        let hits = said.split_whitespace().last().context("no number")?.parse();
        hits.with_context(|| said.clone())
    };
    let (early, late) = (
        b"while it is the container's 4711",
        b"for the host alone again 0815 99",
    );
    eventually("the container receives", SOON, || {
        nic.send(&frame(early))?;
        Ok(hits(&mut c, early)? > 0)
    })?;
    let mut root = Actor::start()?;
    root.must(&format!("enter-net {}", c.pid()))?;
    root.must(&format!("run ip link set dev {SECOND} netns 1"))?;
    c.want("rxsync a", "ENXIO")?;
    c.want("poll a", "0x8")?;
    c.want(&format!("qadd a {Q}"), "ENXIO")?;
    second_is_back()?;
    let before = nic.counts()?.port.get("rx_packets")?;
    nic.send_n(&frame(late), 200)?;
    eventually("the host receives", SOON, || {
        Ok(nic.counts()?.port.get("rx_packets")? >= before + 200)
    })?;
    want("it can still read its memory", hits(&mut c, early)? > 0)?;
    want_eq("of the host's frames it finds", hits(&mut c, late)?, 0)?;
    root.end()?;
    c.end()
}

fn container_killed_with_queues_out_leaves_the_interface_to_the_host() -> Result<()> {
    let _mode = node_for_all()?;
    let mut c = with_second_port()?;
    c.must("open a")?;
    let got = c.ask(&format!("register a {SECOND} mode=3"))?;
    want(&format!("everything: {got}"), got.starts_with("mem_id"))?;
    c.kill()?;
    second_is_back()?;
    let rings = Fd::open()?.queues(Some(SECOND))?;
    want(
        "no ring of it is out",
        rings
            .iter()
            .all(|i| i.state == crate::abi::Q_KERNEL && i.pid == 0),
    )
}
