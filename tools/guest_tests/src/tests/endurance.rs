// SPDX-License-Identifier: GPL-2.0
//! The same thing many times over, under traffic on the other queues: nothing is lost there, and
//! the kernel holds no more afterwards than before.
//!
//! `make test` does it some dozen times, `make test-deep` a thousand.

use super::queues_traffic::undisturbed;
use super::tests;
use crate::abi::PRIVATE_MEM;
use crate::check::*;
use crate::churn::{live, KINDS};
use crate::deep::{count_leaks, figure};
use crate::fd::{one_rx, Fd};
use crate::helper::Helper;
use crate::leak::{nothing_kept, pages_tell, Footprint};
use crate::nic::Nic;
use crate::port::{Port, DPORT, OTHER_PORT, Q, Q2};
use crate::setup::{self, insmod, rmmod, SECOND};
use crate::sock::Counter;
use crate::steer::{ifname, ip_link, Rss, Rule};
use anyhow::{Context, Result};
use std::fs;
use std::time::Duration;

tests! { "endurance":
    a_leak_is_seen,
    attaching_and_detaching_under_traffic_loses_and_keeps_nothing @ 900,
    killed_programs_under_traffic_lose_and_keep_nothing @ 900,
    reloading_netmap_under_traffic_loses_and_keeps_nothing @ 900,
    reloading_ixgbe_keeps_nothing @ 2400 | flaps,
}

const SOON: Duration = Duration::from_secs(10);
/// Frames per second on the kernel's queues.
const RATE: u32 = 1000;

/// What the other tests of this group rely on.
fn a_leak_is_seen() -> Result<()> {
    drop(Port::rx(Q)?);
    let before = Footprint::read()?;
    want_eq("kept by doing nothing", before.kept_since(1)?, vec![])?;

    // One object in each of 120 rounds, beyond what wavers.
    let fds: Vec<Fd> = (0..120).map(|_| Fd::open()).collect::<Result<_, _>>()?;
    let kept = before.kept_now(120)?.join("; ");
    for what in ["slab filp", "references to netmap", "open files"] {
        want(
            &format!("{what} of 120 open files, in '{kept}'"),
            kept.contains(what),
        )?;
    }
    drop(fds);
    want_eq("kept when they are closed", before.kept_since(120)?, vec![])?;

    // One region, once.
    let mut reg = one_rx(Q);
    reg.flags |= PRIVATE_MEM;
    reg.extra_bufs = 1024;
    let port = Port::open(&ifname(), reg)?;
    let kept = before.kept_now(1000)?.join("; ");
    for what in [
        "netmap's regions",
        "netmap's rings",
        "vmalloc pages of netmap",
        "references to ixgbe",
        "pages not",
    ] {
        want(
            &format!("{what} of one ring, in '{kept}'"),
            kept.contains(what) || (what == "pages not" && !pages_tell()),
        )?;
    }
    drop(port);
    want_eq("kept when it is closed", before.kept_since(1)?, vec![])
}

/// Frames are steered to the queue all the time: whoever has it gets them.
fn attaching_and_detaching_under_traffic_loses_and_keeps_nothing() -> Result<()> {
    let rounds = count_leaks(45, 1000);
    let _rss = Rss::without(&[Q, Q2])?;
    let _rule = Rule::udp(DPORT, Q)?;
    let _sink = Counter::start(DPORT)?;
    for kind in 0..KINDS {
        live(kind, Q, Q2).with_context(|| format!("kind {kind}, first time"))?;
    }
    nothing_kept(rounds, || {
        undisturbed(RATE, &[Q], |nic| {
            let _steered = nic.generate(
                "steered",
                &format!("profile=udp wait=1 rate={RATE} size=120 dport={DPORT}"),
            )?;
            for round in 0..rounds {
                live(round, Q, Q2).with_context(|| format!("round {round}"))?;
            }
            Ok(())
        })
    })?;
    figure(format_args!("{rounds} lives of queues, nothing kept"));
    Ok(())
}

/// Two programs at a time, each killed wherever it happens to be.
fn killed_programs_under_traffic_lose_and_keep_nothing() -> Result<()> {
    let rounds = count_leaks(40, 1000);
    let _rss = Rss::without(&[Q, Q2])?;
    let _rule = Rule::udp(DPORT, Q)?;
    let _sink = Counter::start(DPORT)?;
    let kill = |round: u64| -> Result<()> {
        let (a, b) = (Q.to_string(), Q2.to_string());
        let one = Helper::start(&["churn", &round.to_string(), &a, &b])?;
        let two = Helper::start(&["churn", &(round + KINDS / 2).to_string(), &b, &a])?;
        // From before their first system call to some lives later.
        std::thread::sleep(Duration::from_micros(round * 7919 % 60_000));
        one.kill()?;
        two.kill()
    };
    for round in 0..8 {
        kill(round * 7)?;
    }
    nothing_kept(rounds, || {
        undisturbed(RATE, &[Q], |nic| {
            let _steered = nic.generate(
                "steered",
                &format!("profile=udp wait=1 rate={RATE} size=120 dport={DPORT}"),
            )?;
            (0..rounds / 2).try_for_each(kill)
        })?;
        drop(want_ok("the first queue afterwards", Port::rx(Q))?);
        want_ok("the second queue afterwards", Port::rx(Q2)).map(drop)
    })?;
    figure(format_args!(
        "{} programs killed, nothing kept",
        rounds / 2 * 2
    ));
    Ok(())
}

/// The port is the driver's and goes on.
fn reloading_netmap_under_traffic_loses_and_keeps_nothing() -> Result<()> {
    let rounds = count_leaks(4, 500);
    let _rss = Rss::without(&[Q, Q2])?;
    let reload = |round: u64| -> Result<()> {
        rmmod("netmap")?;
        insmod("netmap")?;
        live(round, Q, Q2).with_context(|| format!("round {round}"))
    };
    for round in 0..2 {
        reload(round)?;
    }
    nothing_kept(rounds, || {
        undisturbed(RATE, &[Q], |_| (0..rounds).try_for_each(reload))
    })?;
    figure(format_args!(
        "{rounds} times netmap.ko loaded anew, nothing kept"
    ));
    Ok(())
}

/// The link goes down with the driver; it comes back, and so does all memory.
fn reloading_ixgbe_keeps_nothing() -> Result<()> {
    let rounds = count_leaks(2, 500);
    let second = Aside::card(SECOND)?;
    let reload = |round: u64| -> Result<()> {
        rmmod("ixgbe")?;
        insmod("ixgbe")?;
        setup::wait_interface()?;
        ip_link(&["up"])?;
        live(round, Q, Q2).with_context(|| format!("round {round}"))
    };
    let work = || -> Result<()> {
        reload(0)?;
        reload(1)?;
        nothing_kept(rounds, || (0..rounds).try_for_each(reload))
    };
    let outcome = work();
    drop(second);
    setup::ensure()?;
    outcome?;
    figure(format_args!(
        "{rounds} times ixgbe.ko loaded anew, nothing kept"
    ));
    let counter = Counter::start(OTHER_PORT)?;
    let nic = Nic::open()?;
    let gen = nic.generate(
        "rest",
        &format!("profile=flows wait=1 src=10.0.3.10 flows=16 count=800 rate=2000 size=80 dport={OTHER_PORT}"),
    )?;
    let sent = gen.wait(SOON)?;
    want_eq("received by the socket", counter.settle(sent), sent)
}

/// A card that ixgbe leaves alone while it is reloaded: probing it takes as long as all the rest.
struct Aside(Option<String>);

impl Aside {
    fn card(interface: &str) -> Result<Aside> {
        let Ok(device) = fs::read_link(format!("/sys/class/net/{interface}/device")) else {
            return Ok(Aside(None));
        };
        let address = device.file_name().context("no PCI address")?;
        let address = address.to_string_lossy().into_owned();
        let at = format!("/sys/bus/pci/devices/{address}");
        fs::write(format!("{at}/driver_override"), "nobody")?;
        fs::write(format!("{at}/driver/unbind"), &address)?;
        Ok(Aside(Some(address)))
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if let Some(address) = &self.0 {
            let file = format!("/sys/bus/pci/devices/{address}/driver_override");
            let back = fs::write(file, "\n")
                .and_then(|()| fs::write("/sys/bus/pci/drivers_probe", address));
            if let Err(e) = back {
                eprintln!("card {address}: {e}");
            }
        }
    }
}
