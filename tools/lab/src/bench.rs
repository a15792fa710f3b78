// SPDX-License-Identifier: GPL-2.0
//! `lab bench`: the door to the measurements.

use crate::vm::Config;
use anyhow::{bail, Result};

/// Run the bench with its arguments.
///
/// # Errors
/// When a part of it is missing.
pub fn run(_args: &[String], _config: &Config) -> Result<i32> {
    bail!("the bench is not part of this build")
}
