// SPDX-License-Identifier: GPL-2.0
//! Rows: the machine sleeps.
//!
//! A stock kernel can rehearse (`/sys/power/pm_test`): processes are frozen and devices
//! suspended, then all of it is undone. That is all a driver sees of a sleep but for the card's
//! loss of power, which leaves it as a reset does.

use super::device::tell;
use super::play::Event;
use super::stage::Stage;
use super::{rows, Case, Outcome::*};
use crate::check::{Errno, Sys};
use crate::setup;
use anyhow::Result;
use std::fs;
use std::path::Path;

rows! {
    suspend_rehearsed = "suspend and resume, rehearsed (`pm_test`)" by suspend_rehearsed, Quick =>
        [Reset, Rearmed, Rearmed, Rearmed, Rearmed],
        "Nobody sees the rings stop: processes are frozen first and thawed last.";
}

/// Sleeps in the way `state` says, and is awake again when it returns.
fn sleep(stage: &Stage, state: &str) -> Result<Sys<()>> {
    let slept = fs::write("/sys/power/state", state);
    stage.nic.after_sleep()?;
    setup::ensure()?;
    Ok(slept.map_err(|e| Errno(e.raw_os_error().unwrap_or(0))))
}

fn suspend_rehearsed(case: Case) -> Result<()> {
    case.play(Event::new(|stage| {
        tell(
            Path::new("/sys/module/suspend/parameters/pm_test_delay"),
            "0",
        )?;
        tell(Path::new("/sys/power/pm_test"), "devices")?;
        let slept = sleep(stage, "freeze");
        tell(Path::new("/sys/power/pm_test"), "none")?;
        slept
    }))
}
