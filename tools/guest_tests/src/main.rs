// SPDX-License-Identifier: GPL-2.0
//! Tests of netmap.ko and ixgbe.ko on the running guest kernel.
//!
//! `nm_test` runs inside the lab's guest as root and prints KTAP.  Each test
//! runs in a process of its own; traffic comes from the emulated card, which
//! is commanded over a virtio-serial port.

#![allow(missing_docs)] // a program: nobody links against it

mod abi;
mod actor;
mod blackout;
mod bpf;
mod broken;
mod check;
mod churn;
mod csb;
mod deep;
#[cfg(test)]
mod docs;
mod failnth;
mod fd;
mod frame;
mod helper;
mod kmsg;
mod known;
mod leak;
mod machine;
mod mem;
mod nic;
mod parts;
mod passing;
mod peer;
mod port;
mod runner;
mod setup;
mod sock;
mod state;
mod steer;
mod tests;
mod through;
mod txlog;

use anyhow::{bail, Result};
use clap::Parser;
use std::process::exit;

/// Tests of netmap.ko and the patched ixgbe.ko; run as root in the lab's guest.
#[derive(Parser)]
#[command(
    name = "nm_test",
    version,
    after_help = "The interface under test is eth3; NM_TEST_IF names another one."
)]
struct Args {
    /// Print the names of the tests and what each shows
    #[arg(long)]
    list: bool,
    /// Print the life-cycle matrix as Documentation/life-cycle.md has it
    #[arg(long)]
    matrix: bool,
    /// Only tests of this group (may be given several times)
    #[arg(long, value_name = "GROUP")]
    group: Vec<String>,
    /// Run the chosen tests this many times
    #[arg(long, value_name = "N", default_value_t = 1)]
    repeat: usize,
    /// A thorough run: the long tests too, and all of them with their large counts
    #[arg(long)]
    deep: bool,
    /// Bring the guest to the state tests start from, and stop
    #[arg(long)]
    setup: bool,
    /// Run one test in this process
    #[arg(long, hide = true, value_name = "NAME")]
    child: Option<String>,
    /// Play a part in a test
    #[arg(long, hide = true, num_args = 1.., allow_hyphen_values = true, value_name = "PART ARG")]
    helper: Vec<String>,
    /// Tests to run: "group.name", "name", or the beginning of one
    tests: Vec<String>,
}

fn main() {
    let args = Args::parse();
    if !args.helper.is_empty() {
        if let Err(e) = parts::play(&args.helper) {
            eprintln!("helper {}: {e:#}", args.helper[0]);
            exit(1);
        }
        return;
    }
    if args.matrix {
        print!("{}", tests::matrix::markdown());
        return;
    }
    if let Some(name) = &args.child {
        exit(child(name));
    }
    match chosen(&args) {
        Ok(true) => {}
        Ok(false) => exit(1),
        Err(e) => {
            eprintln!("error: {e:#}");
            exit(2);
        }
    }
}

/// Runs one test here; the exit code tells the runner.
fn child(name: &str) -> i32 {
    let Some(test) = tests::all().into_iter().find(|t| t.full_name() == name) else {
        eprintln!("{}no test {name}", runner::REASON);
        return 1;
    };
    std::panic::set_hook(Box::new(|info| {
        println!("{}{}", runner::REASON, info.to_string().replace('\n', " "));
    }));
    match (test.run)() {
        Ok(()) => 0,
        Err(e) => {
            println!("{}{e:#}", runner::REASON);
            if e.is::<tests::Skip>() {
                runner::SKIPPED
            } else {
                1
            }
        }
    }
}

/// Does what the command line asks; true if all is well.
fn chosen(args: &Args) -> Result<bool> {
    if args.deep {
        std::env::set_var(deep::VARIABLE, "1");
    }
    let all = tests::all();
    let groups: Vec<&str> = all.iter().map(|t| t.group).collect();
    if let Some(g) = args.group.iter().find(|g| !groups.contains(&g.as_str())) {
        let mut known = groups.clone();
        known.dedup();
        bail!("no group '{g}'; there are {}", known.join(", "));
    }
    let hit = |t: &tests::Test, want: &str| {
        t.full_name() == want || t.name == want || t.full_name().starts_with(want)
    };
    for want in &args.tests {
        if !all.iter().any(|t| hit(t, want)) {
            bail!("no test '{want}'; --list prints the names");
        }
    }
    let picked: Vec<&tests::Test> = all
        .iter()
        .filter(|t| args.group.is_empty() || args.group.iter().any(|g| g == t.group))
        .filter(|t| args.tests.is_empty() || args.tests.iter().any(|w| hit(t, w)))
        .filter(|t| !t.deep || args.deep || args.tests.contains(&t.full_name()))
        .copied()
        .collect();
    if args.list {
        for t in picked {
            println!("{}", t.full_name());
        }
        return Ok(true);
    }
    // SAFETY: no memory involved.
    if unsafe { libc::geteuid() } != 0 {
        bail!(
            "run as root: the tests load modules and set up {}",
            steer::ifname()
        );
    }
    if args.setup {
        setup::ensure()?;
        return Ok(true);
    }
    let (once, rounds): (Vec<_>, Vec<_>) = picked.into_iter().partition(|t| t.last);
    let mut picked = rounds.repeat(args.repeat);
    picked.extend(once);
    runner::run(&picked)
}
