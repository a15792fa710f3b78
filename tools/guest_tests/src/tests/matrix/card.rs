// SPDX-License-Identifier: GPL-2.0
//! Rows: what cable and hardware do by themselves.

use super::play::Event;
use super::stage::{Stage, SOON};
use super::{rows, Case, Outcome::*};
use crate::check::want;
use crate::kmsg::Kmsg;
use crate::peer;
use crate::setup::eventually;
use crate::steer::sysfs;
use anyhow::Result;
use std::net::UdpSocket;

rows! {
    link_flap = "the link goes down, and comes up" by link_flap, Quick =>
        [Carrier, Carrier, Carrier, Carrier, Carrier],
        "TX rings keep what they have until there is a link again.";
    tx_hang = "a TX queue of the kernel's hangs" by tx_hang, Quick,
        logs ["Detected Tx Unit Hang", "NETDEV WATCHDOG"] =>
        [Reset, Rearmed, Rearmed, Rearmed, NoCase],
        "The driver notices after some seconds and resets the port. With all rings out the kernel sends nothing; a spare queue of a program that hangs is the program's to notice, its ring fills up.";
}

fn link_flap(case: Case) -> Result<()> {
    let event = Event::new(|stage| {
        stage.nic.link(false)?;
        eventually("carrier is lost", SOON, || Ok(sysfs("carrier")? == "0"))?;
        Ok(Ok(()))
    });
    case.play(event.undo(|stage| stage.nic.link(true)))
}

/// What the driver, or else the stack, says of a hang.
const TX_HANG: [&str; 2] = ["Detected Tx Unit Hang", "NETDEV WATCHDOG"];

/// All TX queues of the kernel's stop fetching descriptors, until the driver has noticed.
fn tx_hang(case: Case) -> Result<()> {
    let hang = |stage: &Stage, how: &str| -> Result<()> {
        (0..stage.queues).try_for_each(|q| {
            stage
                .nic
                .cmd(&format!("fault txq {q} hang {how}"))
                .map(drop)
        })
    };
    let event = Event::new(move |stage| {
        let before = stage.resets()?;
        let mut log = Kmsg::from_now();
        hang(stage, "on")?;
        let sends = (|| {
            let socket: UdpSocket = peer::udp(peer::PEER)?;
            eventually("the driver resets the port", SOON * 4, || {
                socket.send(b"nobody hears this")?;
                Ok(stage.resets()? > before)
            })
        })();
        hang(stage, "off")?;
        sends?;
        // The stock driver's report goes by what happens to lie behind the net device: mostly there is none.
        let said = log.new_lines();
        let told = |l: &String| TX_HANG.iter().any(|sign| l.contains(sign));
        want("the log tells where it hangs", said.iter().any(told))?;
        Ok(Ok(()))
    });
    case.play(event)
}
