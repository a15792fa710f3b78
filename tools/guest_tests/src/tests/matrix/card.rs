// SPDX-License-Identifier: GPL-2.0
//! Rows: what cable and hardware do by themselves.

use super::play::Event;
use super::{rows, Case, Outcome::*};
use crate::setup::eventually;
use crate::steer::sysfs;
use anyhow::Result;

rows! {
    link_flap = "the link goes down, and comes up" by link_flap, Quick =>
        [Carrier, Carrier, Carrier, Carrier, Carrier],
        "TX rings keep what they have until there is a link again.";
}

fn link_flap(case: Case) -> Result<()> {
    let event = Event::new(|stage| {
        stage.nic.link(false)?;
        eventually("carrier is lost", super::stage::SOON, || {
            Ok(sysfs("carrier")? == "0")
        })?;
        Ok(Ok(()))
    });
    case.play(event.undo(|stage| stage.nic.link(true)))
}
