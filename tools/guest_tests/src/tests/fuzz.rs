// SPDX-License-Identifier: GPL-2.0
//! `nm_fuzz` (tools/nm_fuzz): hostile programs, while the rest of the host goes on as if they were
//! not there.
//!
//! What is shown in each run: the kernel reports nothing (the runner reads its log), nobody hangs
//! (nm_fuzz and the runner watch that), every queue comes back, no region is left, the kernel
//! receives on both ports, and on the first port, of which three queues are lent, nothing is lost
//! on the others and the link stays. The figures nm_fuzz prints are those of its own definition.

use super::queues_traffic::undisturbed;
use super::tests;
use crate::check::*;
use crate::deep::{count, figure, large};
use crate::frame::CARD2_MAC;
use crate::nic::Nic;
use crate::port::{Lane, DPORT, DPORT2};
use crate::setup::{ensure_second, eventually, SECOND};
use crate::sock::Counter;
use crate::steer::{run, Rss, Rule};
use anyhow::{Context, Result};
use std::time::Duration;

tests! { "fuzz":
    hostile_ring_writes_against_syncs_harm_nobody_else @ 240,
    hostile_ioctls_on_lent_queues_lose_no_packet_of_the_others @ 180,
    hostile_ioctls_of_several_users_while_an_administrator_works @ 240,
    a_hundred_million_hostile_ring_operations @ 7200 | deep,
    a_million_hostile_ioctls @ 7200 | deep,
}

/// Queues of the first port that are lent; the first of them is nm_fuzz's default.
const LENT: [u32; 3] = [4, 5, 6];
/// ioctls of a short run at least, however busy the machine is.
const ENOUGH: &str = "300";
const SOON: Duration = Duration::from_secs(10);

/// Another seed for each boot in a thorough run, the same in all short ones; nm_fuzz prints it.
fn seed() -> Result<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let long = u64::from_str_radix(&boot[..8], 16)?;
    let seed = if large() { long } else { 20 };
    Ok(seed.to_string())
}

/// Runs nm_fuzz; the number behind `what` in what it prints.
fn fuzz(args: &[&str], what: &str) -> Result<u64> {
    let seed = seed()?;
    let mut all = args.to_vec();
    all.extend(["--seed", &seed, "--second", SECOND]);
    let said = run("nm_fuzz", &all)?;
    said.lines().for_each(|l| println!("{l}"));
    let number = said.lines().find_map(|l| {
        let rest = l.strip_prefix(what)?.trim_start_matches(": ");
        rest.split(' ').next()?.parse().ok()
    });
    number.with_context(|| format!("no line '{what}'"))
}

/// Runs `work` with the lent queues out of RSS and traffic of their own, while the rest of the
/// first port has traffic of which nothing may be lost.
fn on_lent_queues(work: impl FnOnce() -> Result<u64>) -> Result<u64> {
    ensure_second()?;
    let _rss = Rss::without(&LENT)?;
    let _rules = [Rule::udp(DPORT, LENT[0])?, Rule::udp(DPORT2, LENT[1])?];
    let mut number = 0;
    // The lent queues' traffic waits for descriptors: while they are the kernel's, a flood that a
    // busy guest cannot keep up with would block the card's packet buffer for all.
    undisturbed(500, &LENT, |nic| {
        let _one = nic.generate(
            "a",
            &format!("profile=udp wait=1 rate=1500 size=200 dport={DPORT}"),
        )?;
        let _two = nic.generate(
            "b",
            &format!("profile=udp wait=1 rate=500 size=1200 dport={DPORT2}"),
        )?;
        let nic2 = Nic::second()?;
        let mac = CARD2_MAC.map(|b| format!("{b:02x}")).join(":");
        let spec = format!("profile=flows flows=16 rate=1000 size=90 dport={DPORT} dmac={mac}");
        let _three = nic2.generate("c", &spec)?;
        number = work()?;
        Ok(())
    })?;
    all_well()?;
    Ok(number)
}

/// Nothing is left, and both ports serve kernel and programs as before.
fn all_well() -> Result<()> {
    let regions = std::fs::read_to_string("/sys/kernel/debug/netmap/regions");
    want_eq("regions left", regions.context("regions")?.as_str(), "")?;
    let rings = std::fs::read_to_string("/sys/kernel/debug/netmap/rings");
    want_eq("rings left", rings.context("rings")?.as_str(), "")?;
    ensure_second()?;
    let nic2 = Nic::second()?;
    let counter = Counter::start(DPORT2)?;
    let mac = CARD2_MAC.map(|b| format!("{b:02x}")).join(":");
    let gen = nic2.generate(
        "after",
        &format!("profile=flows src=10.0.4.10 dst=10.0.4.1 flows=16 wait=1 rate=2000 count=400 size=90 dport={DPORT2} dmac={mac}"),
    )?;
    want_eq("sent to the second port", gen.wait(3 * SOON)?, 400)?;
    want_eq("the kernel's there", counter.settle(400), 400)?;
    // a program gets a queue, and all that comes to it
    let lane = Lane::open()?;
    let nic = Nic::open()?;
    let gen = nic.generate(
        "lane",
        &format!("profile=udp wait=1 rate=2000 count=600 size=90 dport={DPORT}"),
    )?;
    want_eq("frames in a ring", lane.recv(600, 3 * SOON)?.len(), 600)?;
    drop(gen);
    Ok(())
}

fn hostile_ring_writes_against_syncs_harm_nobody_else() -> Result<()> {
    let done =
        on_lent_queues(|| fuzz(&["scribble", "--millis", "500"], "hostile ring operations"))?;
    want(&format!("ring operations: {done}"), done > 10_000)
}

fn hostile_ioctls_on_lent_queues_lose_no_packet_of_the_others() -> Result<()> {
    let args = [
        "ioctls",
        "--guarded",
        "--kill",
        "--millis",
        "4000",
        "--ioctls",
        ENOUGH,
    ];
    let done = on_lent_queues(|| fuzz(&args, "hostile ioctls"))?;
    want(&format!("ioctls: {done}"), done >= ENOUGH.parse()?)
}

fn hostile_ioctls_of_several_users_while_an_administrator_works() -> Result<()> {
    ensure_second()?;
    let args = [
        "ioctls", "--events", "--kill", "--procs", "6", "--millis", "6000", "--ioctls", ENOUGH,
    ];
    let done = fuzz(&args, "hostile ioctls")?;
    eventually("all well", 3 * SOON, || Ok(ensure_second().is_ok()))?;
    all_well()?;
    want(&format!("ioctls: {done}"), done >= ENOUGH.parse()?)
}

/// A hundredth of it where every access is checked.
fn a_hundred_million_hostile_ring_operations() -> Result<()> {
    let ops = count(3_000_000, 100_000_000);
    let args = ["scribble", "--millis", "3000", "--ops", &ops.to_string()];
    let done = on_lent_queues(|| fuzz(&args, "hostile ring operations"))?;
    figure(format_args!("{done} hostile ring operations"));
    want("as many as wanted", done >= ops)
}

/// Half of them on lent queues, half where anything goes.
fn a_million_hostile_ioctls() -> Result<()> {
    let all = count(30_000, 1_000_000);
    let half = (all / 2).to_string();
    let half = ["ioctls", "--kill", "--ioctls", &half];
    let guarded: Vec<&str> = half.into_iter().chain(["--guarded"]).collect();
    let first = on_lent_queues(|| fuzz(&guarded, "hostile ioctls"))?;
    let rest: Vec<&str> = half
        .into_iter()
        .chain(["--events", "--procs", "6"])
        .collect();
    let second = fuzz(&rest, "hostile ioctls")?;
    all_well()?;
    let sum = first + second;
    figure(format_args!("{sum} hostile ioctls"));
    want("as many as wanted", sum >= all)
}
