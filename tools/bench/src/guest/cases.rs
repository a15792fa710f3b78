// SPDX-License-Identifier: GPL-2.0
//! The cases by name.

use crate::card::{udp_frame, Card};
use crate::init::Step;
use crate::marks;
use crate::nic::Nic;
use crate::receive::{self, Receiver};
use crate::report::Log;
use crate::udp::Udp;
use crate::xdp::Xdp;
use anyhow::{bail, Result};

/// Count a loop whose number of instructions is known: a check of the plugin.
pub fn calibrate(step: &Step, log: &mut Log) -> Result<()> {
    log.maps(&step.case, std::process::id())?;
    marks::run_begin();
    marks::burst_begin();
    marks::six_million();
    marks::burst_end();
    marks::run_end();
    log.line(&format!("run {} 1 1 1000000", step.case));
    Ok(())
}

/// Do one step of the plan and report it.
pub fn run(nic: &Nic, card: &mut Card, step: &Step, log: &mut Log) -> Result<()> {
    nic.set_rx_slots(step.slots)?;
    card.template(&udp_frame(nic.mac()?))?;
    log.maps(&step.case, std::process::id())?;
    match step.case.as_str() {
        "udp" => {
            let mut socket = Udp::open()?;
            socket.drain();
            measure(nic, &mut socket, step, log)
        }
        "xdp" => {
            let mut socket = Xdp::open(nic)?;
            measure(nic, &mut socket, step, log)?;
            log.bpf_symbols()?;
            match socket.dropped()? {
                0 => Ok(()),
                n => bail!("the AF_XDP socket dropped {n} packets"),
            }
        }
        other => bail!("no such case: {other}"),
    }
}

fn measure(nic: &Nic, receiver: &mut impl Receiver, step: &Step, log: &mut Log) -> Result<()> {
    let packets = receive::run(nic, receiver, step.burst, step.bursts)?;
    log.line(&format!(
        "run {} {} {} {packets}",
        step.case, step.burst, step.bursts
    ));
    Ok(())
}
