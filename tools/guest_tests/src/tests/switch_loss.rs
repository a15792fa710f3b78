// SPDX-License-Identifier: GPL-2.0
//! What a switch of a queue costs the queue's own flow: what the card drops while the queue is
//! off, and nothing that was received.

use super::queues_traffic::undisturbed;
use super::tests;
use crate::blackout::measure;
use crate::check::*;
use crate::deep::{count, figure};
use crate::port::{Q, Q2};
use anyhow::Result;

tests! { "switch":
    attaching_loses_what_the_card_drops_and_nothing_it_received @ 120,
}

/// At attach, what the card had written for the kernel reaches the kernel. At detach, the program's
/// last look and the stop are some microseconds apart: what comes between is lost with the ring.
fn attaching_loses_what_the_card_drops_and_nothing_it_received() -> Result<()> {
    undisturbed(500, &[Q, Q2], |nic| {
        let got = measure(nic, &[Q, Q2], 400, count(5, 100) as u32)?;
        let lost = |attach: bool| -> u64 {
            let these = got.switches.iter().filter(|s| s.attach == attach);
            these.map(|s| s.lost).sum()
        };
        figure(format_args!(
            "lost {} at attach (card: {}), {} at detach (card: {})",
            lost(true),
            got.dropped_attaching,
            lost(false),
            got.dropped_detaching
        ));
        want_eq("lost at attach", lost(true), got.dropped_attaching)?;
        want(
            "at detach no less than the card dropped",
            lost(false) >= got.dropped_detaching,
        )
    })
}
