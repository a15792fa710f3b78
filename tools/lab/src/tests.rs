// SPDX-License-Identifier: GPL-2.0
//! `lab test`: every test of the project in one run, fast ones first.
//!
//! Host part: the crates' own tests (`cargo test`), and whatever executable
//! `*/test/run` a part keeps; the Debian packages, and booted systems that have them. Guest part:
//! `nm_test` in a booted guest. One line per test; the run ends in the single line `N passed, N failed`. The other
//! kernels of tools/root/kernel.lock repeat a small set of the guest part, kernels with run-time
//! checks (tools/root/debug-kernel) all of it or a slice, each under its own name.

mod choice;
mod guest;
mod host;
mod installed;
mod secure_boot;
mod tally;

use crate::say::progress;
use crate::vm::Config;
use anyhow::Result;
use choice::{Choice, Slice};
use guest::Part;
pub use tally::line;
use tally::Tally;

/// KCSAN looks at one access in 4000, for 80 us. Of this kernel only netmap.ko is looked at, and
/// more virtual processors than the host has take their time to meet. Other kernels ignore it.
const WATCH_MORE: &str = "kcsan.skip_watch=100 kcsan.udelay_task=200";

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
    /// Repeat a small set of the guest's part on this kernel; in a thorough run all of it with
    /// small counts, with --filter the same tests as on the main one (may be repeated)
    #[arg(long, value_name = "RELEASE")]
    also: Vec<String>,
    /// Repeat the guest's part on this kernel, one with run-time checks (may be repeated)
    #[arg(long, value_name = "RELEASE")]
    checked: Vec<String>,
    /// Of the guest's part on such kernels only every Nth test, from the Kth
    #[arg(long, value_name = "K/N", value_parser = Slice::parse)]
    slice: Option<Slice>,
    /// Only the Debian packages: tools/installed/test, and the systems it leaves, booted
    #[arg(long, conflicts_with_all = ["host_only", "guest_only", "checked_only"])]
    packages_only: bool,
    /// A thorough run: the long tests too, and large counts
    #[arg(long)]
    deep: bool,
    /// Print the diagnostics of passing tests too
    #[arg(long, short)]
    verbose: bool,
}

impl TestArgs {
    /// Whether `name` was asked for.
    fn wants(&self, name: &str) -> bool {
        self.filter.is_empty() || self.filter.iter().any(|f| name.contains(f.as_str()))
    }

    /// Whether the Debian packages' tests were asked for: they take minutes whatever is chosen of them.
    fn wants_packages(&self) -> bool {
        self.filter.is_empty()
            || (self.filter.iter()).any(|f| f.contains("packages") || f.contains("installed"))
    }

    /// Whether only booted systems were asked for: the images of the last run will do.
    fn wants_only_booted(&self) -> bool {
        !self.filter.is_empty() && self.filter.iter().all(|f| f.starts_with("installed."))
    }
}

/// The guest's part on the kernel of `config`.
fn repeat(args: &TestArgs, config: &Config, part: &Part<'_>, tally: &mut Tally) {
    if let Err(e) = guest::run(args, config, part, tally) {
        tally.failed(part.name, "run", &format!("{e:#}"));
    }
}

/// The Debian packages: on a system they are installed on, which is then booted.
fn packages(args: &TestArgs, config: &Config, tally: &mut Tally) -> Result<()> {
    if !args.wants_only_booted() {
        progress("the Debian packages");
        host::script("tools/installed/test", args, tally)?;
    }
    if !args.host_only {
        installed::run(args, config, tally);
    }
    Ok(())
}

/// Run the tests; 0 when all of them passed.
///
/// # Errors
/// When not even a result line can be given (no build, no image).
pub fn run(args: &TestArgs, config: &Config) -> Result<i32> {
    let mut tally = Tally::default();
    if args.packages_only {
        packages(args, config, &mut tally)?;
        return Ok(tally.finish());
    }
    if !args.guest_only && !args.checked_only {
        progress("host tests");
        host::run(args, &mut tally)?;
        if args.wants_packages() {
            packages(args, config, &mut tally)?;
        }
    }
    if !args.host_only && !args.checked_only {
        progress("guest tests");
        let part = Part {
            name: "guest",
            choice: Choice::All,
            deep: args.deep,
        };
        repeat(args, config, &part, &mut tally);
        for release in &args.also {
            let part = Part {
                name: release.split(['+', '-']).next().unwrap_or(release),
                choice: if args.deep || !args.filter.is_empty() {
                    Choice::All
                } else {
                    Choice::Small
                },
                deep: false,
            };
            progress(&format!("guest tests on {release}"));
            let config = Config {
                release: Some(release.clone()),
                ..config.clone()
            };
            repeat(args, &config, &part, &mut tally);
        }
    }
    if !args.host_only {
        for release in &args.checked {
            let part = Part {
                name: release.rsplit('-').next().unwrap_or(release),
                choice: args.slice.map_or(Choice::All, Choice::Slice),
                deep: args.deep,
            };
            progress(&match args.slice {
                Some(s) => format!("guest tests on {release}: slice {} of {}", s.first, s.of),
                None => format!("guest tests on {release}"),
            });
            let config = Config {
                release: Some(release.clone()),
                // Shadow memory, and freed objects kept back, take their share.
                memory: config.memory * 2,
                patience: config.patience * 3,
                append: format!("{} {WATCH_MORE}", config.append),
                ..config.clone()
            };
            repeat(args, &config, &part, &mut tally);
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
