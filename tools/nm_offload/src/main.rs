// SPDX-License-Identifier: GPL-2.0
//! Take RX queues from the kernel, filter them, put the rest back.
//!
//! `session` is the story of a run; `worker` the packets' way; `verdict` and
//! `filter` what happens to each; `steer` leads flows to the queues and undoes it.

mod cli;
mod filter;
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
    let mut args = cli::Args::parse();
    if let Err(e) = args.check() {
        eprintln!("nm_offload: {e:#}\nnm_offload: see 'nm_offload --help'");
        return ExitCode::from(2);
    }
    match session::run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("nm_offload: {e:#}");
            ExitCode::from(status(&e))
        }
    }
}

/// The exit status of an error, as --help says.
fn status(e: &anyhow::Error) -> u8 {
    let Some(e) = e.downcast_ref::<netmap::Error>() else {
        return 1;
    };
    match e.errno() {
        Some(libc::EBUSY) => 3,
        Some(libc::ENXIO | libc::ENODEV | libc::ENOENT) => 4,
        Some(libc::EPERM | libc::EACCES) => 5,
        _ => 1,
    }
}
