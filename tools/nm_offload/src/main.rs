// SPDX-License-Identifier: GPL-2.0
//! Take RX queues from the kernel, filter them, put the rest back.
//!
//! `session` is the story of a run; `worker` the packets' way; `verdict` and
//! `filter` what happens to each; `steer` leads flows to the queues and undoes it.

mod cli;
mod config;
mod filter;
mod notify;
mod report;
mod session;
mod signals;
mod stats;
mod steer;
#[cfg(test)]
mod testing;
mod verdict;
mod worker;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let line = match config::expand(std::env::args_os()) {
        Ok(line) => line,
        Err(e) => return wrong(&e),
    };
    let mut args = cli::Args::parse_from(line);
    let rules = args
        .check()
        .and_then(|()| verdict::Rules::new(&args.pass, &args.drop, args.verdict()));
    let rules = match rules {
        Ok(rules) => rules,
        Err(e) => return wrong(&e),
    };
    match session::run(&args, rules) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("nm_offload: {e:#}");
            ExitCode::from(status(&e))
        }
    }
}

/// Wrong usage.
fn wrong(e: &anyhow::Error) -> ExitCode {
    eprintln!("nm_offload: {e:#}\nnm_offload: see 'nm_offload --help'");
    ExitCode::from(2)
}

/// The exit status of an error, as --help says.
fn status(e: &anyhow::Error) -> u8 {
    let io = e.downcast_ref::<std::io::Error>().map(|e| e.kind());
    if io == Some(std::io::ErrorKind::PermissionDenied) {
        return 5;
    }
    // No such queue, or a driver without hooks.
    let missing = |e: &netmap::Error| matches!(e.errno(), Some(libc::EINVAL | libc::EOPNOTSUPP));
    if e.downcast_ref::<netmap::Error>().is_some_and(missing) {
        return 4;
    }
    let refused = e.downcast_ref::<steer::ethtool::Refused>().map(|e| e.errno);
    let errno = e.downcast_ref::<netmap::Error>().and_then(|e| e.errno());
    match errno.or(refused) {
        Some(libc::EBUSY) => 3,
        Some(libc::ENXIO | libc::ENODEV | libc::ENOENT) => 4,
        Some(libc::EPERM | libc::EACCES) => 5,
        _ => 1,
    }
}
