// SPDX-License-Identifier: GPL-2.0
//! `lab test`: every test of the project in one run, fast ones first.
//!
//! Host part: the crates' own tests (`cargo test`), and whatever executable
//! `*/test/run` a part keeps. Guest part: `nm_test` in a booted guest. One line per
//! test; the run ends in the single line `N passed, N failed`.

mod guest;
mod host;
mod tally;

use crate::say::progress;
use crate::vm::Config;
use anyhow::Result;
pub use tally::line;
use tally::Tally;

/// Arguments of `lab test`.
#[derive(Debug, clap::Args)]
pub struct TestArgs {
    /// Only tests whose name contains this (may be repeated); guest tests are named group.name
    #[arg(long, short)]
    filter: Vec<String>,
    /// Only the host's part
    #[arg(long)]
    host_only: bool,
    /// Only the guest's part
    #[arg(long)]
    guest_only: bool,
    /// Print the diagnostics of passing tests too
    #[arg(long, short)]
    verbose: bool,
}

impl TestArgs {
    /// Whether `name` was asked for.
    fn wants(&self, name: &str) -> bool {
        self.filter.is_empty() || self.filter.iter().any(|f| name.contains(f.as_str()))
    }
}

/// Run the tests; 0 when all of them passed.
///
/// # Errors
/// When not even a result line can be given (no build, no image).
pub fn run(args: &TestArgs, config: &Config) -> Result<i32> {
    let mut tally = Tally::default();
    if !args.guest_only {
        progress("host tests");
        host::run(args, &mut tally)?;
    }
    if !args.host_only {
        progress("guest tests");
        if let Err(e) = guest::run(args, config, &mut tally) {
            tally.failed("guest", "run", &format!("{e:#}"));
        }
    }
    if tally.count() == 0 {
        tally.failed(
            "lab",
            "selection",
            "no test was chosen; see 'nm_test --list'",
        );
    }
    Ok(tally.finish())
}
