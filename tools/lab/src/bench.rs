// SPDX-License-Identifier: GPL-2.0
//! `lab bench`: the door to the measurements, a program of its own (crate `bench`).

use crate::child::Child;
use crate::vm::Config;
use anyhow::{Context, Result};
use std::process::Command;

/// Run the bench with its arguments.  It boots a guest of its own: one vCPU, and
/// nothing in it but what is measured.
///
/// # Errors
/// When it is not built or can't be started.
pub fn run(args: &[String], _config: &Config) -> Result<i32> {
    let own = std::env::current_exe().context("path of this program")?;
    let program = own.with_file_name("bench");
    if !program.exists() {
        anyhow::bail!("{} is not built; run 'make tools'", program.display());
    }
    Child::start("bench", Command::new(program).args(args))?.wait()
}
