// SPDX-License-Identifier: GPL-2.0
//! REGISTER with two mistakes: which is told follows from the order of checks
//! (API 14: 1.7).  Options of the rings come before anything is taken, so that a
//! refused request does not touch the hardware.

use super::abi_register::rx;
use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::{header, one_rx, Fd};
use crate::port::{rx_info, Port, Q};
use crate::steer::ifname;
use anyhow::Result;

tests! { "abi":
    register_checks_come_in_the_order_of_the_table,
    register_options_are_refused_before_a_queue_is_touched,
}

const NO_MEM: u16 = 0x7abc;

fn try_with(fd: &Fd, name: &str, mut reg: Register, first: u64) -> Sys<()> {
    let mut hdr = header(name, REQ_REGISTER);
    hdr.body = &raw mut reg as u64;
    hdr.options = first;
    fd.ctrl(&mut hdr)
}

/// Each row breaks one rule more than the next, and is told of the first it breaks.
fn register_checks_come_in_the_order_of_the_table() -> Result<()> {
    let name = ifname();
    let with_mem = |mode, mem_id| Register {
        mem_id,
        ..rx(mode, 0, RX_ONLY)
    };
    // the body of EXTMEM: a pointer to nowhere, and a layout of zeros
    let mut unknown = [0u64, 77, 0];
    let unknown = unknown.as_mut_ptr() as u64;
    let mut extmem = [unknown, u64::from(OPT_EXTMEM), 0, 8, 0, 0, 0, 0, 0, 0, 0, 0];
    let extmem = extmem.as_mut_ptr() as u64;
    let none = "nosuchif0";

    let port = Port::rx(Q)?;
    let got = try_with(&port.fd, none, with_mem(9, NO_MEM), extmem);
    want_errno("registered already, and all else", got, libc::EBUSY)?;
    drop(port);

    let fd = Fd::open()?;
    let got = try_with(&fd, none, with_mem(9, NO_MEM), extmem);
    want_some_errno("bad EXTMEM, and all else but that", got)?;
    for (what, name, reg, errno) in [
        (
            "memory, name, mode, option",
            none,
            with_mem(9, NO_MEM),
            libc::EINVAL,
        ),
        (
            "pipe, name, option",
            none,
            with_mem(PIPE_MASTER, 0),
            libc::EINVAL,
        ),
        (
            "null without memory, name, option",
            none,
            with_mem(MODE_NULL, 0),
            libc::EINVAL,
        ),
        ("name, mode, option", none, with_mem(9, 0), libc::ENXIO),
        (
            "driver, mode, option",
            "lo",
            with_mem(9, 0),
            libc::EOPNOTSUPP,
        ),
        ("mode, option", &*name, with_mem(9, 0), libc::EINVAL),
        (
            "ring, option",
            &*name,
            rx(ONE_NIC, 0xfff, RX_ONLY),
            libc::EINVAL,
        ),
        ("option", &*name, one_rx(Q), libc::EOPNOTSUPP),
    ] {
        want_errno(what, try_with(&fd, name, reg, unknown), errno)?;
    }
    want_ok("nothing", try_with(&fd, &name, one_rx(Q), 0))
}

/// The queue's count of starts tells that it was never taken.
fn register_options_are_refused_before_a_queue_is_touched() -> Result<()> {
    let holder = Port::rx(Q)?;
    let starts = || -> Result<u64> { Ok(rx_info(&holder.fd, Q)?.counter[counter::STARTS]) };
    let before = starts()?;
    let mut unknown = [0u64, 77, 0];
    let unknown = unknown.as_mut_ptr() as u64;
    for reg in [one_rx(Q), rx(ALL_NIC, 0, RX_ONLY)] {
        let got = try_with(&Fd::open()?, &ifname(), reg, unknown);
        want_errno("an option nobody knows", got, libc::EOPNOTSUPP)?;
    }
    want_eq("starts", starts()?, before)?;
    want_ok("its owner goes on", holder.fd.rxsync())
}
