// SPDX-License-Identifier: GPL-2.0
//! The cases by name.

use crate::card::{udp_frame, Card};
use crate::init::Step;
use crate::marks;
use crate::nic::Nic;
use crate::nm::{self, Netmap, Poll, Style, Sync, Touch};
use crate::nm_send::{self, NetmapSender};
use crate::offload::Offload;
use crate::receive::{self, Received, Receiver};
use crate::report::Log;
use crate::transmit;
use crate::udp::Udp;
use crate::xdp::Xdp;
use crate::xdp_send::XdpSender;
use anyhow::{bail, Result};

/// Count a loop whose number of instructions is known: a check of the plugin.
pub fn calibrate(step: &Step, log: &mut Log) -> Result<()> {
    log.maps(&step.case, std::process::id())?;
    marks::run_begin();
    marks::burst_begin();
    marks::six_million();
    marks::burst_end();
    marks::run_end();
    log.line(&format!("run {} 1 1 1000000 0", step.case));
    Ok(())
}

/// Do one step of the plan and report it.
pub fn run(nic: &Nic, card: &mut Card, step: &Step, log: &mut Log) -> Result<()> {
    if nic.set_slots(step.slots)? {
        nic.settle()?;
    }
    let own = nic.mac()?;
    // A frame for another host: the kernel drops it first of all.
    let foreign = [0x02, 0, 0, 0, 0x03, 0x99];
    let frame = udp_frame(if step.case == "offload-back" {
        foreign
    } else {
        own
    });
    card.template(&frame)?;
    log.maps(&step.case, std::process::id())?;
    match step.case.as_str() {
        "udp" | "udp-asleep" | "udp-stock" => measure(nic, &mut Udp::open()?, step, log),
        "xdp" | "xdp-asleep" | "xdp-stock" => {
            let mut socket = Xdp::open(nic)?;
            measure(nic, &mut socket, step, log)?;
            log.bpf_symbols()?;
            let dropped = socket.dropped()?;
            drop(socket);
            nic.settle()?;
            match dropped {
                0 => Ok(()),
                n => bail!("the AF_XDP socket dropped {n} packets"),
            }
        }
        "nm-poll" | "nm-asleep" => netmap::<Poll>(nic, step, log),
        "nm-sync" => netmap::<Sync>(nic, step, log),
        "tx-sync" => netmap_sends(nic, card, nm_send::Style::Sync, step, log),
        "tx-poll" => netmap_sends(nic, card, nm_send::Style::Poll, step, log),
        "tx-swap" => netmap_sends(nic, card, nm_send::Style::Swap, step, log),
        "tx-xdp" => {
            let mut sender = XdpSender::open(nic)?;
            let sent = transmit::run(nic, card, &mut sender, step.burst, step.bursts)?;
            report(step, sent, log);
            log.bpf_symbols()?;
            drop(sender);
            nic.settle()
        }
        "nm-touch" => netmap::<Touch>(nic, step, log),
        "offload-count" => offload(nic, &["--count-only"], false, step, log),
        "offload-drop" => {
            let filter = format!("udp dst port {}", crate::udp::PORT);
            offload(nic, &["--drop", &filter], false, step, log)
        }
        "offload-back" => offload(nic, &[], true, step, log),
        "offload-udp" => {
            let mut socket = Udp::open()?;
            offload(nic, &[], true, step, log)?;
            let expected = u64::from(step.burst) * u64::from(step.bursts);
            match socket.drain() {
                n if n >= expected => Ok(()),
                n => bail!("the socket got {n} packets, at least {expected} were put back"),
            }
        }
        other => bail!("no such case: {other}"),
    }
}

/// Netmap in one of its styles.
fn netmap<S: Style>(nic: &Nic, step: &Step, log: &mut Log) -> Result<()> {
    let changes = nic.carrier_changes()?;
    let port = nm::open(nic)?;
    let mut receiver = Netmap::<S>::new(&port)?;
    measure(nic, &mut receiver, step, log)?;
    if receiver.sum == 0 {
        bail!("the packets had no bytes");
    }
    drop(receiver);
    drop(port);
    no_flap(nic, changes)
}

/// A queue changes hands without touching the link.
fn no_flap(nic: &Nic, changes: u64) -> Result<()> {
    match nic.carrier_changes()? - changes {
        0 => Ok(()),
        n => bail!("the link changed {n} times while the queue changed hands"),
    }
}

/// Netmap sends in one of its styles.
fn netmap_sends(
    nic: &Nic,
    card: &mut Card,
    style: nm_send::Style,
    step: &Step,
    log: &mut Log,
) -> Result<()> {
    let changes = nic.carrier_changes()?;
    let port = nm_send::open(nic, style)?;
    let mut sender = NetmapSender::new(&port, style)?;
    let sent = transmit::run(nic, card, &mut sender, step.burst, step.bursts)?;
    report(step, sent, log);
    drop(sender);
    drop(port);
    no_flap(nic, changes)
}

/// nm_offload with these options.
fn offload(nic: &Nic, options: &[&str], back: bool, step: &Step, log: &mut Log) -> Result<()> {
    let changes = nic.carrier_changes()?;
    let offload = Offload::start(nic, options, back)?;
    log.maps(&step.case, offload.pid())?;
    let received = offload.run(nic, step.burst, step.bursts)?;
    report(step, received, log);
    drop(offload);
    no_flap(nic, changes)
}

fn measure(nic: &Nic, receiver: &mut impl Receiver, step: &Step, log: &mut Log) -> Result<()> {
    let received = if step.case.ends_with("-asleep") {
        receive::asleep(nic, receiver, step.burst, step.bursts)?
    } else {
        receive::awake(nic, receiver, step.burst, step.bursts)?
    };
    report(step, received, log);
    Ok(())
}

/// The line that belongs to the record the plugin has just written.
fn report(step: &Step, received: Received, log: &mut Log) {
    let Step {
        case,
        burst,
        bursts,
        ..
    } = step;
    let Received {
        packets,
        interrupts,
    } = received;
    log.line(&format!(
        "run {case} {burst} {bursts} {packets} {interrupts}"
    ));
}
