// SPDX-License-Identifier: GPL-2.0
//! The option list of a request: its four errors, the status of each option,
//! and that a refused REGISTER leaves nothing behind (API 14, contract steps
//! 5 to 8).

use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::{header, one_rx, Fd};
use crate::port::{Port, Q};
use crate::steer::ifname;
use anyhow::Result;

tests! { "abi":
    option_bad_pointer_gives_efault,
    option_second_bad_pointer_gives_efault,
    option_type_0_gives_einval_in_errno_and_status,
    option_unknown_type_makes_register_fail_eopnotsupp_with_status,
    option_unknown_type_rolls_the_registration_back,
    option_unknown_type_is_ignored_by_port_info_get,
    option_twice_gives_einval_in_both,
    option_cycle_gives_emsgsize,
    option_list_over_4096_bytes_gives_emsgsize,
    option_extmem_csb_offsets_are_refused_and_rolled_back,
    option_status_is_preset_before_dispatch,
}

const BAD: u64 = 8;

/// An option with its body behind it, as the largest known one needs.
#[repr(C, align(64))]
struct Full {
    opt: Opt,
    body: [u64; 24],
}

impl Full {
    fn new(reqtype: u32) -> Full {
        Full {
            opt: Opt {
                reqtype,
                status: 0x5a5a,
                ..Default::default()
            },
            body: [0; 24],
        }
    }

    fn at(&mut self) -> u64 {
        self as *mut Full as u64
    }
}

/// REGISTER of queue `Q` with this option list, on a fresh fd.
fn register(first: u64) -> (Fd, Sys<()>) {
    let fd = Fd::open().unwrap_or_else(|e| panic!("open: {e}"));
    let mut reg = one_rx(Q);
    let mut hdr = header(&ifname(), REQ_REGISTER);
    hdr.body = &raw mut reg as u64;
    hdr.options = first;
    let got = fd.ctrl(&mut hdr);
    (fd, got)
}

/// bad pointer -> EFAULT.
fn option_bad_pointer_gives_efault() -> Result<()> {
    want_errno("options = bad pointer", register(BAD).1, libc::EFAULT)
}

/// the walk follows nro_next.
fn option_second_bad_pointer_gives_efault() -> Result<()> {
    let mut a = Full::new(77);
    a.opt.next = BAD;
    want_errno("nro_next = bad pointer", register(a.at()).1, libc::EFAULT)
}

/// type 0 -> EINVAL, that option's status EINVAL.
fn option_type_0_gives_einval_in_errno_and_status() -> Result<()> {
    let mut a = Full::new(0);
    want_errno("option type 0", register(a.at()).1, libc::EINVAL)?;
    want_eq("nro_status", a.opt.status, libc::EINVAL as u32)
}

/// an unconsumed option fails a REGISTER.
fn option_unknown_type_makes_register_fail_eopnotsupp_with_status() -> Result<()> {
    for reqtype in [6, 77, u32::MAX] {
        let mut a = Full::new(reqtype);
        want_errno(
            &format!("option type {reqtype}"),
            register(a.at()).1,
            libc::EOPNOTSUPP,
        )?;
        want_eq("nro_status", a.opt.status, libc::EOPNOTSUPP as u32)?;
    }
    Ok(())
}

/// the registration is rolled back: same fd and another fd can have the queue.
fn option_unknown_type_rolls_the_registration_back() -> Result<()> {
    let mut a = Full::new(77);
    let (fd, got) = register(a.at());
    want_errno("option type 77", got, libc::EOPNOTSUPP)?;
    want_errno("RXSYNC: not registered", fd.rxsync(), libc::ENXIO)?;
    drop(want_ok("another fd takes the queue", Port::rx(Q))?);
    want_ok(
        "REGISTER on the same fd",
        fd.register(&ifname(), &mut one_rx(Q)),
    )
}

/// other request types ignore unconsumed options.
fn option_unknown_type_is_ignored_by_port_info_get() -> Result<()> {
    let fd = Fd::open()?;
    let mut a = Full::new(77);
    let mut info = PortInfo::default();
    let mut hdr = header(&ifname(), REQ_PORT_INFO_GET);
    hdr.body = &raw mut info as u64;
    hdr.options = a.at();
    want_ok("PORT_INFO_GET with option 77", fd.ctrl(&mut hdr))?;
    want("the body was filled in", info.rx_rings > 0)?;
    want_eq("nro_status", a.opt.status, libc::EOPNOTSUPP as u32)
}

/// two options of the same valid type -> EINVAL and both statuses 22.
fn option_twice_gives_einval_in_both() -> Result<()> {
    let mut b = Full::new(OPT_OFFSETS);
    let mut a = Full::new(OPT_OFFSETS);
    a.opt.next = b.at();
    want_errno("OFFSETS twice", register(a.at()).1, libc::EINVAL)?;
    want_eq("status of the first", a.opt.status, libc::EINVAL as u32)?;
    want_eq("status of the second", b.opt.status, libc::EINVAL as u32)
}

/// a cycle -> EMSGSIZE.
fn option_cycle_gives_emsgsize() -> Result<()> {
    let mut a = Full::new(77);
    a.opt.next = a.at();
    want_errno(
        "option that follows itself",
        register(a.at()).1,
        libc::EMSGSIZE,
    )?;
    let mut b = Full::new(78);
    b.opt.next = a.at();
    a.opt.next = b.at();
    want_errno(
        "two options in a circle",
        register(a.at()).1,
        libc::EMSGSIZE,
    )
}

/// sum of all copied bytes > 4096 -> EMSGSIZE; a list below it is walked.
fn option_list_over_4096_bytes_gives_emsgsize() -> Result<()> {
    let mut all: Vec<Full> = (0..200).map(|i| Full::new(100 + i)).collect();
    for i in 0..all.len() - 1 {
        all[i].opt.next = all[i + 1].at();
    }
    want_errno("200 options", register(all[0].at()).1, libc::EMSGSIZE)?;
    all[99].opt.next = 0;
    want_errno(
        "100 options: walked, none honoured",
        register(all[0].at()).1,
        libc::EOPNOTSUPP,
    )?;
    want_eq(
        "status of the hundredth",
        all[99].opt.status,
        libc::EOPNOTSUPP as u32,
    )
}

/// options this port does not offer fail REGISTER and undo it.
fn option_extmem_csb_offsets_are_refused_and_rolled_back() -> Result<()> {
    for reqtype in [OPT_EXTMEM, OPT_KLOOP_EVENTFDS, OPT_CSB, OPT_OFFSETS] {
        let mut a = Full::new(reqtype);
        let (fd, got) = register(a.at());
        want_some_errno(&format!("option type {reqtype}"), got)?;
        want(
            "the option's status is an error",
            a.opt.status != 0 && a.opt.status != 0x5a5a,
        )?;
        want_errno("RXSYNC: not registered", fd.rxsync(), libc::ENXIO)?;
        drop(want_ok("the queue can be taken", Port::rx(Q))?);
    }
    Ok(())
}

/// every status is preset, whatever the user wrote there.
fn option_status_is_preset_before_dispatch() -> Result<()> {
    let mut b = Full::new(79);
    let mut a = Full::new(78);
    a.opt.next = b.at();
    b.opt.status = 0;
    want_errno("two unknown options", register(a.at()).1, libc::EOPNOTSUPP)?;
    want_eq(
        "statuses",
        (a.opt.status, b.opt.status),
        (libc::EOPNOTSUPP as u32, libc::EOPNOTSUPP as u32),
    )?;
    want_eq("nro_next of the first is kept", a.opt.next, b.at())
}
