// SPDX-License-Identifier: GPL-2.0
//! Rows: what `ethtool` sets.

use super::play::{answer, Event};
use super::stage::Stage;
use super::{rows, Case, Outcome::*};
use crate::broken::{forget_self_test, offline_self_test};
use crate::check::*;
use crate::steer::{ethtool, wait_carrier, Rule};
use anyhow::{Context, Result};

const BUSY: super::Outcome = Refused(libc::EBUSY);

rows! {
    ring_size = "`ethtool -G DEV rx N tx N`" by ring_size, Quick =>
        [Reset, BUSY, BUSY, BUSY, BUSY];
    channels = "`ethtool -L DEV combined N`" by channels, Quick =>
        [Reset, BUSY, BUSY, BUSY, BUSY];
    rss_table = "`ethtool -X DEV weight …`" by rss_table, Quick =>
        [WorksOn, WorksOn, WorksOn, WorksOn, WorksOn],
        "The table is the user's, also if it names a queue that is out: what the hash sends there, the program gets.";
    ntuple_rule = "`ethtool -N DEV flow-type …`, then `delete`" by ntuple_rule, Thorough =>
        [WorksOn, WorksOn, WorksOn, WorksOn, WorksOn];
    feature_lro = "`ethtool -K DEV lro on`, then `off`" by feature_lro, Quick =>
        [Reset, Rearmed, Rearmed, Rearmed, Rearmed],
        "Rings of programs get single frames as they were on the wire, whatever the kernel's do.";
    feature_gro = "`ethtool -K DEV gro off`, then `on`" by feature_gro, Thorough =>
        [WorksOn, WorksOn, WorksOn, WorksOn, WorksOn];
    feature_rxvlan = "`ethtool -K DEV rxvlan off`, then `on`" by feature_rxvlan, Quick =>
        [WorksOn, WorksOn, WorksOn, WorksOn, WorksOn];
    feature_ntuple = "`ethtool -K DEV ntuple off`, then `on`" by feature_ntuple, Quick =>
        [Reset, Rearmed, Rearmed, Rearmed, Rearmed],
        "While it is off the card does not follow its rules; they are there again with `on`.";
    pause = "`ethtool -A DEV rx off tx off`" by pause, Thorough =>
        [Reset, Rearmed, Rearmed, Rearmed, Rearmed];
    coalescing = "`ethtool -C DEV rx-usecs N`" by coalescing, Thorough =>
        [WorksOn, WorksOn, WorksOn, WorksOn, WorksOn];
    speed = "`ethtool -s DEV speed 10000 …`" by speed, Thorough =>
        [WorksOn, WorksOn, WorksOn, WorksOn, WorksOn];
    restart = "`ethtool -r DEV`" by restart, Thorough =>
        [Reset, Rearmed, Rearmed, Rearmed, Rearmed];
    self_test_online = "`ethtool -t DEV online`" by self_test_online, Thorough =>
        [WorksOn, WorksOn, WorksOn, WorksOn, WorksOn];
    self_test_offline = "`ethtool -t DEV offline`" by self_test_offline, Quick =>
        [Reset, Rearmed, Rearmed, Rearmed, Rearmed],
        "As interface down and up, in one call.";
}

/// `ethtool -OPT DEV WORDS`, and what it says.
fn set(option: &'static str, words: &'static [&'static str]) -> Event {
    Event::new(move |_| answer(ethtool(option, words)))
}

/// The same as the event's reverse.
fn back(option: &'static str, words: &'static [&'static str]) -> impl FnOnce(&Stage) -> Result<()> {
    move |_| {
        ethtool(option, words)?;
        wait_carrier()
    }
}

fn ring_size(case: Case) -> Result<()> {
    let event = set("-G", &["rx", "1024", "tx", "1024"]);
    case.play(event.undo(back("-G", &["rx", "512", "tx", "512"])))
}

fn channels(case: Case) -> Result<()> {
    let before = crate::steer::num_queues("rx-")?.to_string();
    let event = Event::new(|stage| {
        // a table of the user's that names the last queue would have the stack refuse it
        ethtool("-X", &["default"])?;
        let fewer = (stage.queues - 1).to_string();
        let said = ethtool("-L", &["combined", &fewer]);
        if said.is_err() {
            stage.spread()?;
        }
        answer(said)
    });
    case.play(event.undo(move |_| {
        ethtool("-L", &["combined", &before])?;
        wait_carrier()
    }))
}

/// The first two queues get nothing, all others something.
fn rss_table(case: Case) -> Result<()> {
    let event = Event::new(|stage| {
        let n = stage.queues.min(16);
        let mut args = vec!["weight", "0", "0"];
        args.extend(vec!["1"; n as usize - 2]);
        let said = answer(ethtool("-X", &args))?;
        let before = stage.nic.counts()?;
        std::thread::sleep(std::time::Duration::from_millis(100));
        let after = stage.nic.counts()?;
        let got = |q| Ok::<_, anyhow::Error>(after.rxq(q, "packets")? - before.rxq(q, "packets")?);
        want_eq("frames to queues 0 and 1", (got(0)?, got(1)?), (0, 0))?;
        want("queue 2 gets frames", got(2)? > 0)?;
        stage.spread()?;
        Ok(said)
    });
    case.play(event)
}

fn ntuple_rule(case: Case) -> Result<()> {
    case.play(Event::new(|_| answer(Rule::udp(7999, 0).map(drop))))
}

fn feature_lro(case: Case) -> Result<()> {
    let event = set("-K", &["lro", "on"]);
    case.play(event.undo(back("-K", &["lro", "off"])))
}

fn feature_gro(case: Case) -> Result<()> {
    let event = set("-K", &["gro", "off"]);
    case.play(event.undo(back("-K", &["gro", "on"])))
}

fn feature_rxvlan(case: Case) -> Result<()> {
    let event = set("-K", &["rxvlan", "off"]);
    case.play(event.undo(back("-K", &["rxvlan", "on"])))
}

fn feature_ntuple(case: Case) -> Result<()> {
    let event = set("-K", &["ntuple", "off"]);
    case.play(event.undo(back("-K", &["ntuple", "on"])).away())
}

fn pause(case: Case) -> Result<()> {
    let event = set("-A", &["rx", "off", "tx", "off"]);
    case.play(event.undo(back("-A", &["rx", "on", "tx", "on"])))
}

fn coalescing(case: Case) -> Result<()> {
    let before = ethtool("-c", &[])?;
    let usecs = before.lines().find_map(|l| l.strip_prefix("rx-usecs:"));
    let usecs = usecs.context("ethtool -c shows no rx-usecs")?.trim();
    let usecs = usecs.to_string();
    let event = set("-C", &["rx-usecs", "100"]);
    case.play(event.undo(move |_| ethtool("-C", &["rx-usecs", &usecs]).map(drop)))
}

fn speed(case: Case) -> Result<()> {
    case.play(set(
        "-s",
        &["speed", "10000", "duplex", "full", "autoneg", "off"],
    ))
}

fn restart(case: Case) -> Result<()> {
    case.play(set("-r", &[]))
}

fn self_test_online(case: Case) -> Result<()> {
    case.play(set("-t", &["online"]))
}

fn self_test_offline(case: Case) -> Result<()> {
    let event = Event::new(|_| offline_self_test().map(Ok));
    case.play(event.loses_rules())?;
    forget_self_test()
}
