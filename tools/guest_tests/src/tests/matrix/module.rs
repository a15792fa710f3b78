// SPDX-License-Identifier: GPL-2.0
//! Rows: modules leave.

use super::play::Event;
use super::{rows, Case, Outcome::*};
use crate::check::*;
use crate::setup::{self, insmod, loaded};
use anyhow::Result;
use std::ffi::CString;

const IN_USE: super::Outcome = Refused(libc::EAGAIN);

rows! {
    rmmod_ixgbe = "`rmmod ixgbe`, then `insmod`" by rmmod_ixgbe, Quick =>
        [Reset, IN_USE, IN_USE, IN_USE, IN_USE],
        "EAGAIN is what delete_module(2) says; rmmod says \"Module ixgbe is in use\".";
    rmmod_netmap = "`rmmod netmap`, then `insmod`" by rmmod_netmap, Quick =>
        [WorksOn, IN_USE, IN_USE, IN_USE, IN_USE],
        "An open /dev/netmap is enough for the refusal, also without a port.";
}

/// delete_module(2), as rmmod calls it once it has looked for itself whether the module is in use.
fn unload(module: &str) -> Result<Sys<()>> {
    let name = CString::new(module)?;
    // SAFETY: a string that lives across the call.
    let gone = unsafe { libc::syscall(libc::SYS_delete_module, name.as_ptr(), libc::O_NONBLOCK) };
    let answer = match gone {
        0 => Ok(()),
        _ => Err(Errno::last()),
    };
    want_eq(
        &format!("{module} is loaded"),
        loaded(module),
        answer.is_err(),
    )?;
    Ok(answer)
}

fn rmmod_ixgbe(case: Case) -> Result<()> {
    let event = Event::new(|_| unload("ixgbe"));
    let event = event.undo(|_| {
        insmod("ixgbe")?;
        setup::ensure()
    });
    case.play(event.away().loses_rules())
}

fn rmmod_netmap(case: Case) -> Result<()> {
    let event = Event::new(|_| unload("netmap"));
    case.play(event.undo(|_| insmod("netmap")))
}
