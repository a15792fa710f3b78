// SPDX-License-Identifier: GPL-2.0
//! Rows: what `ip link` does to the interface.

use super::play::{answer, Event};
use super::{rows, Case, Outcome::*};
use crate::setup;
use crate::steer::{ifname, ip_link, run, wait_carrier};
use anyhow::Result;

const DOWN: super::Outcome = Down(libc::EIO);
const GONE: super::Outcome = Gone(libc::ENXIO);

rows! {
    ifdown_ifup = "`ip link set DEV down`, then `up`" by ifdown_ifup, Quick =>
        [Reset, DOWN, DOWN, DOWN, DOWN],
        "The driver drops its ntuple rules when the interface goes down, as the stock driver does; set them again.";
    mtu_change = "`ip link set DEV mtu N`" by mtu_change, Quick =>
        [Reset, Rearmed, Rearmed, Rearmed, Rearmed];
    address_change = "`ip link set DEV address MAC`" by address_change, Quick =>
        [WorksOn, WorksOn, WorksOn, WorksOn, WorksOn];
    promiscuous = "`ip link set DEV promisc on`, then `off`" by promiscuous, Quick =>
        [WorksOn, WorksOn, WorksOn, WorksOn, WorksOn];
    all_multicast = "`ip link set DEV allmulticast on`, then `off`" by all_multicast, Thorough =>
        [WorksOn, WorksOn, WorksOn, WorksOn, WorksOn];
    vlan_added = "`ip link add link DEV type vlan`, then `del`" by vlan_added, Quick =>
        [WorksOn, WorksOn, WorksOn, WorksOn, WorksOn];
    rename = "`ip link set DEV name NEW`" by rename, Quick =>
        [WorksOn, WorksOn, WorksOn, WorksOn, WorksOn],
        "The fd stays with its interface, whatever its name; the listing shows the new one.";
    netns_move = "`ip link set DEV netns NS`" by netns_move, Quick =>
        [Reset, GONE, GONE, GONE, GONE],
        "A port belongs to the network namespace it was registered in.";
}

fn ifdown_ifup(case: Case) -> Result<()> {
    let event = Event::new(|_| answer(ip_link(&["down"])));
    case.play(event.undo(|_| setup::ensure()).away().loses_rules())
}

fn mtu_change(case: Case) -> Result<()> {
    let event = Event::new(|_| answer(ip_link(&["mtu", "1400"])));
    case.play(event.undo(|_| {
        ip_link(&["mtu", "1500"])?;
        wait_carrier()
    }))
}

fn address_change(case: Case) -> Result<()> {
    let before = crate::steer::sysfs("address")?;
    let event = Event::new(|_| answer(ip_link(&["address", "02:00:00:00:03:77"])));
    case.play(event.undo(move |_| ip_link(&["address", &before])))
}

fn promiscuous(case: Case) -> Result<()> {
    let event = Event::new(|_| answer(ip_link(&["promisc", "on"])));
    case.play(event.undo(|_| ip_link(&["promisc", "off"])))
}

fn all_multicast(case: Case) -> Result<()> {
    let event = Event::new(|_| answer(ip_link(&["allmulticast", "on"])));
    case.play(event.undo(|_| ip_link(&["allmulticast", "off"])))
}

fn vlan_added(case: Case) -> Result<()> {
    let event = Event::new(|_| {
        let (dev, words) = (ifname(), ["type", "vlan", "id", "5"]);
        let mut args = vec!["link", "add", "link", &dev, "name", "nm_vlan5"];
        args.extend(words);
        let added = run("ip", &args);
        answer(added.and_then(|_| run("ip", &["link", "set", "dev", "nm_vlan5", "up"])))
    });
    case.play(event.undo(|_| run("ip", &["link", "del", "dev", "nm_vlan5"]).map(drop)))
}

/// While it has another name; what is checked asks for the interface by name, so it is short.
fn rename(case: Case) -> Result<()> {
    const NEW: &str = "nm_renamed";
    case.play(Event::new(|stage| {
        let there = ip_link(&["name", NEW]);
        let listed = crate::fd::Fd::open()?.queues(Some(NEW));
        let back = run("ip", &["link", "set", "dev", NEW, "name", &ifname()]);
        crate::check::want(
            "the listing knows the new name",
            listed?.len() >= stage.queues as usize,
        )?;
        answer(there.and(back))
    }))
}

fn netns_move(case: Case) -> Result<()> {
    const NS: &str = "nm_matrix";
    let event = Event::new(|_| {
        run("ip", &["netns", "add", NS])?;
        answer(run("ip", &["link", "set", "dev", &ifname(), "netns", NS]))
    });
    let event = event.undo(|_| {
        let back = ["-n", NS, "link", "set", "dev", &ifname(), "netns", "1"];
        let back = run("ip", &back);
        run("ip", &["netns", "del", NS])?;
        setup::ensure()?;
        back.map(drop)
    });
    case.play(event.away())
}
