// SPDX-License-Identifier: GPL-2.0
//! `lab test`: every test of the project in one run, fast ones first.
//!
//! Host part: the crates' own tests (`cargo test`), and whatever executable
//! `*/test/run` a part keeps. Guest part: `nm_test` in a booted guest. One line per
//! test; the run ends in the single line `N passed, N failed`. Kernels with run-time
//! checks (tools/root/debug-kernel) repeat the guest part, or a slice of it, each under its own name.

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
    /// Only the parts on kernels with run-time checks
    #[arg(long, conflicts_with_all = ["host_only", "guest_only"])]
    checked_only: bool,
    /// Repeat the guest's part on this kernel, one with run-time checks (may be repeated)
    #[arg(long, value_name = "RELEASE")]
    checked: Vec<String>,
    /// Of the guest's part on such kernels only every Nth test, from the Kth
    #[arg(long, value_name = "K/N", value_parser = Slice::parse)]
    slice: Option<Slice>,
    /// A thorough run: the long tests too, and large counts
    #[arg(long)]
    deep: bool,
    /// Print the diagnostics of passing tests too
    #[arg(long, short)]
    verbose: bool,
}

/// Every `of`th test, from the `first`; any number may stand for `first`, so that it can
/// be taken from something that changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slice {
    first: usize,
    of: usize,
}

impl Slice {
    fn parse(text: &str) -> Result<Self, String> {
        let parsed = text
            .split_once('/')
            .and_then(|(first, of)| Some((first.parse::<usize>().ok()?, of.parse().ok()?)));
        match parsed {
            Some((first, of)) if of > 0 => Ok(Self {
                first: first % of,
                of,
            }),
            _ => Err(format!("'{text}' is no slice: K/N, N at least 1")),
        }
    }

    /// Whether the test at `index` of the list belongs to it.
    fn has(self, index: usize) -> bool {
        index % self.of == self.first
    }
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
    if !args.guest_only && !args.checked_only {
        progress("host tests");
        host::run(args, &mut tally)?;
    }
    if !args.host_only && !args.checked_only {
        progress("guest tests");
        if let Err(e) = guest::run(args, config, "guest", None, &mut tally) {
            tally.failed("guest", "run", &format!("{e:#}"));
        }
    }
    if !args.host_only {
        for release in &args.checked {
            let part = release.rsplit('-').next().unwrap_or(release);
            progress(&match args.slice {
                Some(s) => format!("guest tests on {release}: slice {} of {}", s.first, s.of),
                None => format!("guest tests on {release}"),
            });
            let config = Config {
                release: Some(release.clone()),
                // Shadow memory, and freed objects kept back, take their share.
                memory: config.memory * 2,
                patience: config.patience * 3,
                ..config.clone()
            };
            if let Err(e) = guest::run(args, &config, part, args.slice, &mut tally) {
                tally.failed(part, "run", &format!("{e:#}"));
            }
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

#[cfg(test)]
mod slice_tests {
    use super::*;

    #[test]
    fn slices_share_out_every_test_once() {
        let slices: Vec<Slice> = (5..9)
            .map(|k| Slice::parse(&format!("{k}/4")).unwrap())
            .collect();
        for index in 0..20 {
            assert_eq!(slices.iter().filter(|s| s.has(index)).count(), 1);
        }
        assert!(Slice::parse("1/0").is_err());
        assert!(Slice::parse("3").is_err());
    }
}
