// SPDX-License-Identifier: GPL-2.0
//! Who may do what (`Documentation/privileges.md` has the table): the device node's permissions
//! let a process open it, CAP_NET_ADMIN over the interface lets it take rings, and nothing but
//! the open file is needed for the rest.

use super::tests;
use crate::actor::{Actor, Mode};
use crate::check::*;
use crate::fd::{Fd, DEVICE};
use crate::port::{rx_info, Port, Q, Q2};
use crate::steer::ifname;
use anyhow::{Context, Result};
use std::fs;

tests! { "rights":
    device_node_decides_who_opens_and_a_group_can_be_let_in,
    every_call_without_net_admin,
    every_way_to_take_a_ring_needs_net_admin,
    rights_given_up_after_opening_count_and_those_held_at_open_do_not,
    registered_file_passed_on_needs_no_right_to_be_used_but_to_take_more,
    user_with_net_admin_alone_uses_every_part,
    memory_of_own_is_bounded_by_memlock_without_ipc_lock,
    debugfs_and_tracefs_are_for_root_alone,
    another_users_region_cannot_be_named_by_any_call,
    owner_is_shown_by_the_numbers_of_the_one_who_asks,
    udev_rule_and_group_are_what_the_module_expects,
}

/// A group nobody is in.
const GROUP: u32 = 990;
const USER: u32 = 1000;

/// The node as `60-netmap.rules` has it.
fn node_of_group() -> Result<Mode> {
    Mode::set(DEVICE, GROUP, 0o660)
}

/// A user who can open the device, with some capabilities.
fn member(caps: &str) -> Result<Actor> {
    let mut actor = Actor::start()?;
    actor.must(&format!("become {USER} {caps} {GROUP}"))?;
    Ok(actor)
}

fn device_node_decides_who_opens_and_a_group_can_be_let_in() -> Result<()> {
    let mut other = Actor::user(USER, "net_admin")?;
    other.want("open", "EACCES")?;
    let _mode = node_of_group()?;
    other.want("open", "EACCES")?;
    member("none")?.want("open", "ok")?;
    // root without the right to pass over permissions is the owner all the same
    Actor::user(0, "none")?.want("open", "ok")
}

/// What a process that may open the node, and no more, can do: ask about interfaces of its own
/// namespace, and have memory of its own.
fn every_call_without_net_admin() -> Result<()> {
    let _mode = node_of_group()?;
    let mut a = member("none")?;
    let name = &ifname();
    a.must("open a")?;
    for (call, answer) in [
        (format!("port-info a {name}"), "ok"),
        (format!("pools-info a {name}"), "ok"),
        (format!("hdr-get a {name}"), "ok"),
        (format!("hdr-set a {name}"), "ENXIO"),
        (format!("ginfo a {name}"), "ok"),
        ("mem-info a 0".into(), "ok"),
        ("config a".into(), "EINVAL"),
        ("rxsync a".into(), "ENXIO"),
        ("txsync a".into(), "ENXIO"),
        (format!("qadd a {Q}"), "ENXIO"),
        (format!("qdel a {Q}"), "ENXIO"),
        ("poll a".into(), "0x8"),
        ("csb a".into(), "ENXIO"),
        ("kloop-start a".into(), "ENXIO"),
        ("kloop-stop a".into(), "ENXIO"),
        ("mmap a 4096".into(), "EINVAL"),
        (
            format!("register a {name} mode=4 ring={Q} flags=rx"),
            "EPERM",
        ),
        (format!("regif a {name} mode=4 ring={Q} flags=rx"), "EPERM"),
        (
            format!("register a {name} mode=4 ring={Q} flags=rx+private"),
            "EPERM",
        ),
        (
            format!("extmem a 1048576 mode=4 ring={Q} flags=rx"),
            "EPERM",
        ),
    ] {
        a.want(&call, answer)?;
    }
    // it may look who has which queue
    let taken = Port::rx(Q)?;
    let all = a.ask("list a")?;
    want(
        &format!("the list shows queue {Q} as taken: {all}"),
        all.contains(&format!("{name} 1 {Q} state 2 pid ")),
    )?;
    drop(taken);
    // a port of memory alone: no interface, so nobody's right is needed
    let got = a.ask("register a - mode=7 flags=private extra=4")?;
    want(&format!("mode NULL: {got}"), got.starts_with("mem_id"))?;
    a.want("mmap a 4096", "ok")?;
    a.want(&format!("qadd a {Q}"), "ENXIO")?;
    want_eq("the queue", rx_info(&Fd::open()?, Q)?.state, 0)
}

/// Each mode and both families; nothing has changed afterwards.
fn every_way_to_take_a_ring_needs_net_admin() -> Result<()> {
    let _mode = node_of_group()?;
    let name = &ifname();
    let mut a = member("net_raw,sys_admin,ipc_lock,dac_override")?;
    a.must("open a")?;
    for mode in [1, 2, 3, 4, 8] {
        for flags in ["", " flags=rx", " flags=tx", " flags=exclusive"] {
            let flags = flags.to_string();
            a.want(&format!("register a {name} mode={mode}{flags}"), "EPERM")?;
            if mode != 8 {
                a.want(&format!("regif a {name} mode={mode}{flags}"), "EPERM")?;
            }
        }
    }
    a.want(&format!("register a {name}~{Q}"), "EPERM")?;
    a.want(&format!("register a {name}~"), "EPERM")?;
    a.want(
        &format!("register a {name} mode=4 flags=rx+no_rings"),
        "EPERM",
    )?;
    // the one bit more
    let mut b = member("net_admin")?;
    b.must("open b")?;
    let got = b.ask(&format!("register b {name}~{Q}"))?;
    want(&format!("with it: {got}"), got.starts_with("mem_id"))
}

fn rights_given_up_after_opening_count_and_those_held_at_open_do_not() -> Result<()> {
    let name = &ifname();
    let mut a = Actor::start()?;
    a.must("open a")?;
    a.must("open b")?;
    let got = a.ask(&format!("register b {name} mode=4 flags=rx+no_rings"))?;
    want(&format!("as root: {got}"), got.starts_with("mem_id"))?;
    a.must(&format!("become {USER} none"))?;
    a.want(
        &format!("register a {name} mode=4 ring={Q} flags=rx"),
        "EPERM",
    )?;
    a.want(&format!("qadd b {Q}"), "EPERM")?;
    a.want("open c", "EACCES")?;
    want_eq("the queue", rx_info(&Fd::open()?, Q)?.state, 0)
}

/// As any open file: whoever was given it may use what it has.
fn registered_file_passed_on_needs_no_right_to_be_used_but_to_take_more() -> Result<()> {
    let name = &ifname();
    let mut a = Actor::start()?;
    a.must("open a")?;
    let got = a.ask(&format!(
        "register a {name} mode=4 ring={Q} flags=rx+putback"
    ))?;
    want(&format!("as root: {got}"), got.starts_with("mem_id"))?;
    a.must(&format!("become {USER} none"))?;
    a.want("mmap a 4096", "ok")?;
    a.want("rxsync a", "ok")?;
    a.want("txsync a", "ok")?;
    a.want("poll a", "0x0")?;
    a.want(&format!("qadd a {Q2}"), "EPERM")?;
    a.want(&format!("qdel a {Q}"), "ok")?;
    a.want(&format!("qadd a {Q}"), "EPERM")?;
    want_eq("the queue", rx_info(&Fd::open()?, Q)?.state, 0)
}

fn user_with_net_admin_alone_uses_every_part() -> Result<()> {
    let _mode = node_of_group()?;
    let name = &ifname();
    let mut a = member("net_admin")?;
    for (fd, request) in [
        ("rx", format!("mode=4 ring={Q} flags=rx+putback")),
        ("tx", "mode=4 ring=0 flags=tx".to_string()),
        ("host", "mode=2".to_string()),
        (
            "own",
            format!("mode=4 ring={Q2} flags=rx+private+exclusive"),
        ),
    ] {
        a.must(&format!("open {fd}"))?;
        let got = a.ask(&format!("register {fd} {name} {request}"))?;
        want(&format!("{fd}: {got}"), got.starts_with("mem_id"))?;
        a.want(&format!("mmap {fd} 65536"), "ok")?;
        a.want(&format!("rxsync {fd}"), "ok")?;
        a.want(&format!("txsync {fd}"), "ok")?;
    }
    a.want("qadd rx 6", "ok")?;
    a.want("qdel rx 6", "ok")?;
    a.want("csb own", "ok")?;
    a.want("open all", "ok")?;
    for fd in ["rx", "tx", "host", "own"] {
        a.must(&format!("close {fd}"))?;
    }
    let got = a.ask(&format!("register all {name} mode=3"))?;
    want(&format!("all rings: {got}"), got.starts_with("mem_id"))
}

/// RLIMIT_MEMLOCK is 8 MiB for ordinary processes.
fn memory_of_own_is_bounded_by_memlock_without_ipc_lock() -> Result<()> {
    let _mode = node_of_group()?;
    for (caps, answer) in [("net_admin", "ENOMEM"), ("net_admin,ipc_lock", "ok")] {
        let mut a = member(caps)?;
        a.must("open a")?;
        let request = format!("mode=4 ring={Q} flags=rx");
        a.want(&format!("extmem a {} {request}", 24 << 20), answer)?;
    }
    Ok(())
}

fn debugfs_and_tracefs_are_for_root_alone() -> Result<()> {
    let paths = [
        "/sys/kernel/debug/netmap/rings",
        "/sys/kernel/debug/netmap/regions",
        "/sys/kernel/tracing/events/netmap/netmap_sync/enable",
    ];
    let mut a = Actor::user(USER, "net_admin")?;
    for path in paths {
        fs::read(path).with_context(|| format!("root reads {path}"))?;
        a.want(&format!("read {path}"), "EACCES")?;
    }
    Ok(())
}

/// Ids are small numbers, so they are tried: what exists but is another's looks as if it did not.
fn another_users_region_cannot_be_named_by_any_call() -> Result<()> {
    let port = Port::rx(Q)?;
    let mut reg = crate::abi::Register {
        flags: crate::abi::PRIVATE_MEM | crate::abi::RX_ONLY,
        ..crate::fd::one_rx(Q2)
    };
    let fd = Fd::open()?;
    fd.register(&ifname(), &mut reg)?;
    let mut a = Actor::user(USER, "net_admin,dac_override")?;
    a.must("open a")?;
    for id in [port.reg.mem_id, reg.mem_id, 0xfff0] {
        a.want(&format!("mem-info a {id}"), "EINVAL")?;
        a.want(&format!("register a - mode=7 mem={id}"), "EINVAL")?;
        a.want(
            &format!("register a {} mode=4 ring=6 flags=rx mem={id}", ifname()),
            "EINVAL",
        )?;
        a.want(
            &format!("register a {} mode=4 ring={Q} flags=rx mem={id}", ifname()),
            "EINVAL",
        )?;
        a.want(
            &format!("extmem a 1048576 mode=4 ring=6 flags=rx mem={id}"),
            "EINVAL",
        )?;
    }
    Ok(())
}

/// A number means nothing in another namespace, or, worse, another process.
fn owner_is_shown_by_the_numbers_of_the_one_who_asks() -> Result<()> {
    let name = &ifname();
    let shown = |pid: u32, uid: u32| format!("{name} 1 {Q} state 2 pid {pid} uid {uid};");
    // process 1 of a pid namespace of its own has the queue
    let mut inside = Actor::start()?;
    inside.must("new-pid-namespace")?;
    inside.must("open a")?;
    let got = inside.ask(&format!("register a {name} mode=4 ring={Q} flags=rx"))?;
    want(&format!("inside: {got}"), got.starts_with("mem_id"))?;
    let children = format!("/proc/{0}/task/{0}/children", inside.pid());
    let child = fs::read_to_string(children)?.trim().parse()?;
    want_eq("seen from outside", rx_info(&Fd::open()?, Q)?.pid, child)?;
    let all = inside.ask("list a")?;
    want(
        &format!("seen from inside: {all}"),
        all.contains(&shown(1, 0)),
    )?;
    let text = fs::read_to_string("/sys/kernel/debug/netmap/rings")?;
    want(
        &format!("in debugfs: {text}"),
        text.contains(&format!(" pid={child} ")),
    )?;
    inside.must("close a")?;
    // the test itself has the queue; the one inside sees that somebody has
    let port = Port::rx(Q)?;
    inside.must("open a")?;
    let all = inside.ask("list a")?;
    want(
        &format!("another's, from inside: {all}"),
        all.contains(&shown(0, 0)),
    )?;
    // and in a user namespace without root, nobody
    let mut nobody = Actor::start()?;
    nobody.must("open a")?;
    nobody.must("unshare user")?;
    nobody.map_ids(100_000)?;
    let (all, pid) = (nobody.ask("list a")?, std::process::id());
    want(
        &format!("from a user namespace: {all}"),
        all.contains(&shown(pid, 65534)),
    )?;
    drop(port);
    Ok(())
}

/// The files that are shipped, as far as they can be checked without udev.
fn udev_rule_and_group_are_what_the_module_expects() -> Result<()> {
    let rule = include_str!("../../../../packaging/udev/60-netmap.rules");
    let line = rule.lines().find(|l| !l.starts_with('#') && !l.is_empty());
    let line = line.context("no rule")?;
    let uevent = fs::read_to_string("/sys/class/misc/netmap/uevent")?;
    for (key, value) in [("KERNEL", "netmap"), ("SUBSYSTEM", "misc")] {
        want(
            &format!("{line} matches {key} {value}"),
            line.contains(&format!("{key}==\"{value}\"")),
        )?;
    }
    want(
        &format!("its uevent: {uevent}"),
        uevent.contains("DEVNAME=netmap"),
    )?;
    let subsystem = fs::read_link("/sys/class/misc/netmap/subsystem")?;
    want("it is a misc device", subsystem.ends_with("misc"))?;
    want(
        line,
        line.contains("GROUP=\"netmap\"") && line.contains("MODE=\"0660\""),
    )?;
    let group = include_str!("../../../../packaging/sysusers.d/netmap.conf");
    want(
        "sysusers makes the group",
        group.lines().any(|l| l.starts_with("g netmap ")),
    )
}
