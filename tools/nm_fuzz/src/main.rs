// SPDX-License-Identifier: GPL-2.0
//! Hostile programs for netmap.ko, to be run in the lab's guest.
//!
//! `nm_fuzz scribble` writes over everything a program may write while other threads sync;
//! `nm_fuzz ioctls` fires sequences of requests from several processes and users. Both are
//! determined by a seed as far as threads and processes can be, print what they counted, and
//! fail if something hangs or the kernel does not get its queues back. Damage shows in the
//! kernel's log, which whoever runs this reads.

#![allow(missing_docs)] // a program: nobody links against it

// The interface as the guest tests have it, byte for byte: written down once for both.
#[allow(dead_code)]
#[path = "../../guest_tests/src/abi.rs"]
mod abi;
#[allow(dead_code)]
#[path = "../../guest_tests/src/check.rs"]
mod check;
#[allow(dead_code)]
#[path = "../../guest_tests/src/csb.rs"]
mod csb;
#[allow(dead_code)]
#[path = "../../guest_tests/src/fd.rs"]
mod fd;
#[allow(dead_code)]
#[path = "../../guest_tests/src/mem.rs"]
mod mem;

mod counts;
mod ioctls;
mod queues;
mod rng;
mod scribble;
mod watch;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(version, about)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write over everything a program may write, while other threads sync
    Scribble(scribble::Args),
    /// Random sequences of requests, from several processes and users
    Ioctls(ioctls::Args),
}

fn main() -> ExitCode {
    let result: Result<()> = match &Args::parse().command {
        Command::Scribble(args) => scribble::run(args),
        Command::Ioctls(args) => ioctls::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("nm_fuzz: {e:#}");
            ExitCode::FAILURE
        }
    }
}
