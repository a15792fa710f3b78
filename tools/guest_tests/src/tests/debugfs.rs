// SPDX-License-Identifier: GPL-2.0
//! What is bound to whom, in words (`Documentation/internals.md`, "What can be seen"): debugfs.

use super::tests;
use crate::check::*;
use crate::frame::udp_sized;
use crate::nic::Nic;
use crate::port::{Lane, DPORT, Q};
use crate::steer::ifname;
use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

tests! { "counters":
    debugfs_names_rings_owners_and_counters,
    debugfs_counts_what_a_region_has_in_use,
    debugfs_is_for_root_alone,
}

const DIR: &str = "/sys/kernel/debug/netmap";

fn read(file: &str) -> Result<String> {
    fs::read_to_string(format!("{DIR}/{file}")).with_context(|| format!("{DIR}/{file}"))
}

/// The line of `file` with all of `words`, and what it says of `name`.
fn number(file: &str, words: &[&str], name: &str) -> Result<u64> {
    let text = read(file)?;
    let line = text
        .lines()
        .find(|l| words.iter().all(|w| l.contains(w)))
        .with_context(|| format!("no line with {words:?} in\n{text}"))?;
    let value = line
        .split_whitespace()
        .find_map(|w| w.strip_prefix(name)?.strip_prefix('='))
        .with_context(|| format!("no {name} in {line}"))?;
    let whole = value.split('/').next().unwrap_or(value);
    whole.parse().with_context(|| format!("{name} in {line}"))
}

fn debugfs_names_rings_owners_and_counters() -> Result<()> {
    let lane = Lane::open()?;
    let nic = Nic::open()?;
    for seq in 0..7 {
        nic.send(&udp_sized(DPORT, seq, 100))?;
    }
    want_eq("frames", lane.recv(7, Duration::from_secs(10))?.len(), 7)?;
    let (ring, pid) = (
        format!("{} RX queue {Q}: netmap", ifname()),
        format!("pid={} ", std::process::id()),
    );
    let words = [&ring[..], &pid, "uid=0", "fds=1", "starts=1"];
    let seen = |name| number("rings", &words, name);
    want_eq("slots", seen("slots")?, u64::from(lane.ring()?.n))?;
    let info = lane.port.info(Q)?;
    want("packets", seen("packets")? >= 7)?;
    want_eq("reg_idx", seen("reg_idx")?, u64::from(info.reg_idx))?;
    drop(lane);
    let after = read("rings")?;
    want(
        &format!("gone after close:\n{after}"),
        !after.contains(&ring),
    )
}

fn debugfs_counts_what_a_region_has_in_use() -> Result<()> {
    let lane = Lane::putback()?;
    let id = format!("mem_id={} ", lane.port.reg.mem_id);
    let words = [&id[..], "kind=default", "uid=0"];
    let seen = |name| number("regions", &words, name);
    let counts = (seen("fds")?, seen("ifs")?, seen("rings")?, seen("devices")?);
    want_eq("fds, ifs, rings, devices", counts, (1, 1, 2, 1))?;
    want_eq("memsize", seen("memsize")?, lane.port.reg.memsize)?;
    let held = u64::from(lane.ring()?.n + lane.port.host()?.n);
    want_eq("buffers out", seen("bufs")? - seen("free")?, held)?;
    drop(lane);
    want_eq("regions after close", read("regions")?, String::new())
}

fn debugfs_is_for_root_alone() -> Result<()> {
    for file in ["rings", "regions"] {
        let mode = fs::metadata(format!("{DIR}/{file}"))?.permissions().mode();
        want_eq(file, mode & 0o777, 0o400)?;
    }
    Ok(())
}
