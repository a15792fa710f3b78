// SPDX-License-Identifier: GPL-2.0
//! 32-bit programs (API 14: 1.2, no compat_ioctl: they are not supported): each
//! call says so, and the log says why and which program it was.

use super::tests;
use crate::check::*;
use crate::kmsg::Kmsg;
use crate::port::{rx_info, Port, Q};
use anyhow::{bail, Context, Result};
use std::os::unix::process::CommandExt;
use std::process::Command;

tests! { "abi":
    program_of_32_bits_is_refused_by_every_call_and_named_in_the_log,
}

fn program_of_32_bits_is_refused_by_every_call_and_named_in_the_log() -> Result<()> {
    let port = Port::rx(Q)?;
    let fd = port.fd.raw();
    let mut log = Kmsg::from_now();
    let mut program = Command::new("nm_i386");
    // SAFETY: dup2() may be called between fork and exec.
    unsafe {
        program.pre_exec(move || match libc::dup2(fd, 9) {
            9 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        })
    };
    let out = program.output().context("start nm_i386")?;
    if !out.status.success() {
        bail!("nm_i386: {}", out.status);
    }
    let said = String::from_utf8(out.stdout)?;
    let refused = format!("-{}", libc::EOPNOTSUPP);
    let mut calls = 0;
    for line in said.lines() {
        let (what, value) = line.split_once(' ').context("a line of two words")?;
        match what {
            "open" => want_eq("open", value, "0")?,
            // the registered file, nothing to read
            "poll" => want_eq("poll", value, "0")?,
            _ => {
                want_eq(what, value, &refused)?;
                calls += 1;
            }
        }
    }
    want_eq("calls that were refused", calls, 16)?;
    let lines = log.new_lines();
    let told =
        |l: &&String| l.contains("nm_i386") && l.contains("32-bit programs are not supported");
    want("the log names it", lines.iter().any(|l| told(&l)))?;
    want_ok("the 64-bit program goes on", port.fd.rxsync())?;
    want_eq("state", rx_info(&port.fd, Q)?.state, crate::abi::Q_NETMAP)
}
