// SPDX-License-Identifier: GPL-2.0
//! Rows: others who want queues, or want to give them another meaning.

use super::play::{answer, Event};
use super::{rows, Case, Column, Outcome::*};
use crate::bpf::{attach_xdp, Xsk};
use crate::check::*;
use crate::port::{Port, Q};
use crate::setup;
use crate::steer::{ifname, run, wait_carrier};
use anyhow::{bail, Result};
use std::cell::RefCell;
use std::rc::Rc;

const BUSY: super::Outcome = Refused(libc::EBUSY);

rows! {
    xdp_attach = "an XDP program is attached to the driver, then detached" by xdp_attach, Quick =>
        [Reset, BUSY, BUSY, BUSY, BUSY];
    xdp_detach = "an XDP program that was there before is detached" by xdp_detach, Thorough =>
        [Reset, Rearmed, Rearmed, Rearmed, Rearmed],
        "The driver closes and opens the port for it, and drops its ntuple rules.";
    xdp_generic = "a generic XDP program is attached, then detached" by xdp_generic, Thorough =>
        [WorksOn, WorksOn, WorksOn, WorksOn, WorksOn],
        "It sees what the kernel gets, not what programs get.";
    af_xdp_bind = "AF_XDP zero-copy bind to a queue that is out" by af_xdp_bind, Quick =>
        [WorksOn, BUSY, BUSY, BUSY, BUSY],
        "With no queue out: to the same queue.";
    af_xdp_bind_other = "AF_XDP zero-copy bind to another queue, then closed" by af_xdp_bind_other, Thorough =>
        [NoCase, WorksOn, WorksOn, NoCase, NoCase];
    sriov = "SR-IOV is switched on (`sriov_numvfs`)" by sriov, Quick =>
        [Reset, BUSY, BUSY, BUSY, BUSY],
        "While it is on no queue can be taken (EOPNOTSUPP).";
    mqprio = "an mqprio qdisc with traffic classes in hardware" by mqprio, Thorough =>
        [Reset, BUSY, BUSY, BUSY, BUSY];
}

/// Something held from the event to its reverse.
fn held<T: 'static>(take: impl FnOnce() -> Sys<T> + 'static) -> Event {
    let hold = Rc::new(RefCell::new(None));
    let held = hold.clone();
    Event::new(move |_| {
        Ok(take().map(|v| {
            hold.borrow_mut().replace(v);
        }))
    })
    .undo(move |_| {
        held.borrow_mut().take();
        wait_carrier()
    })
}

fn xdp_attach(case: Case) -> Result<()> {
    case.play(held(|| attach_xdp(true)))
}

fn xdp_detach(case: Case) -> Result<()> {
    let xdp = want_ok("XDP in driver mode", attach_xdp(true))?;
    wait_carrier()?;
    let event = Event::new(move |_| {
        drop(xdp);
        Ok(Ok(()))
    });
    case.play(event.loses_rules())
}

fn xdp_generic(case: Case) -> Result<()> {
    case.play(held(|| attach_xdp(false)))
}

fn af_xdp_bind(case: Case) -> Result<()> {
    case.play(held(|| Xsk::bind(Q)))
}

fn af_xdp_bind_other(case: Case) -> Result<()> {
    let other = match case.column {
        Column::Several => Q + 3,
        _ => Q + 1,
    };
    case.play(held(move || Xsk::bind(other)))
}

/// What writing `num` to sriov_numvfs does. The lab's card has no virtual functions, and hence no
/// such file: a module of the tests asks the driver in its place.
fn ask_sriov(num: u32) -> Result<Sys<()>> {
    let file = format!("{}/nm_sriov.ko", setup::MODULES);
    let (dev, num) = (format!("dev={}", ifname()), format!("num={num}"));
    match run("insmod", &[&file, &dev, &num]) {
        Ok(_) => bail!("nm_sriov.ko stayed"),
        // the driver said yes
        Err(e) if format!("{e:#}").contains("Operation canceled") => Ok(Ok(())),
        // it did all it does, and then found no virtual functions
        Err(e) if format!("{e:#}").contains("Function not implemented") => Ok(Ok(())),
        Err(e) => answer::<()>(Err(e)),
    }
}

fn sriov(case: Case) -> Result<()> {
    let event = Event::new(|_| {
        let said = ask_sriov(2)?;
        if said.is_ok() {
            // the kernel keeps but a few queues in this mode
            let taken = Port::rx(0).map(drop);
            want_errno("REGISTER with SR-IOV on", taken, libc::EOPNOTSUPP)?;
        }
        Ok(said)
    });
    let event = event.undo(|_| {
        want_ok("SR-IOV off", ask_sriov(0)?)?;
        wait_carrier()
    });
    case.play(event.away())
}

fn mqprio(case: Case) -> Result<()> {
    let event = Event::new(|_| {
        let dev = ifname();
        let mut args = vec!["qdisc", "add", "dev", &dev];
        args.extend(["root", "handle", "100:", "mqprio", "num_tc", "4"]);
        args.extend(["map", "0", "1", "2", "3", "hw", "1"]);
        answer(run("tc", &args))
    });
    case.play(event.undo(|_| {
        run("tc", &["qdisc", "del", "dev", &ifname(), "root"])?;
        wait_carrier()
    }))
}
