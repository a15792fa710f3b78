// SPDX-License-Identifier: GPL-2.0
//! What init has to do before anything can be measured.

use crate::report::Log;
use crate::sys::{insmod, mount};
use anyhow::{Context, Result};
use std::fs;

/// One line of the plan: `CASE BURST BURSTS SLOTS`.
pub struct Step {
    /// Which receiver.
    pub case: String,
    /// Frames in a burst.
    pub burst: u32,
    /// How many bursts are counted.
    pub bursts: u32,
    /// Length of the receive ring.
    pub slots: u32,
}

/// Mount the kernel's file systems and open the port for the report.
pub fn prepare() -> Result<Log> {
    mount("proc", "/proc")?;
    mount("sysfs", "/sys")?;
    mount("devtmpfs", "/dev")?;
    mount("tmpfs", "/run")?;
    Log::open()
}

/// Read `/plan`.
pub fn plan() -> Result<Vec<Step>> {
    let text = fs::read_to_string("/plan").context("read /plan")?;
    text.lines().map(step).collect()
}

fn step(line: &str) -> Result<Step> {
    let mut words = line.split_whitespace();
    let mut next = || words.next().with_context(|| format!("plan: '{line}'"));
    Ok(Step {
        case: next()?.to_owned(),
        burst: next()?.parse()?,
        bursts: next()?.parse()?,
        slots: next()?.parse()?,
    })
}

/// Load what `/modules/order` lists, in that order.
pub fn load_modules() -> Result<()> {
    let order = fs::read_to_string("/modules/order").context("read /modules/order")?;
    for name in order.lines() {
        insmod(&format!("/modules/{name}"))?;
    }
    Ok(())
}

/// The virtio port with this name.
pub fn virtio_port(name: &str) -> Result<String> {
    for entry in fs::read_dir("/sys/class/virtio-ports").context("no virtio port")? {
        let path = entry?.path();
        if fs::read_to_string(path.join("name")).is_ok_and(|n| n.trim() == name) {
            let device = path.file_name().context("port name")?.to_string_lossy();
            return Ok(format!("/dev/{device}"));
        }
    }
    anyhow::bail!("no virtio port named {name}")
}
