// SPDX-License-Identifier: GPL-2.0
//! The measured loop of senders.
//!
//! The sender fills and pushes a burst, then waits, uncounted, until the card has sent it and
//! its interrupts are through; what they cost is counted.  The rings hold two bursts, so
//! what one leaves behind is tidied up with the next.

use crate::card::Card;
use crate::marks;
use crate::nic::Nic;
use crate::receive::{turns_in, wait, Received, INTERRUPT, WARM_UP};
use anyhow::{bail, Context, Result};

/// One way to send packets.
pub trait Sender {
    /// Send `size` packets; false: there is no room for so many yet.
    fn send(&mut self, size: u32) -> Result<bool>;
    /// Packets that are not known to be sent.
    fn in_flight(&mut self) -> Result<u32>;
}

/// How often the sender looks again for what was sent before it gives up.
const LATE: u32 = 1000;

/// Send `bursts` bursts of `size` frames; returns what the card has sent.
pub fn run(
    nic: &Nic,
    card: &mut Card,
    sender: &mut impl Sender,
    size: u32,
    bursts: u32,
) -> Result<Received> {
    let turns = turns_in(INTERRUPT);
    for _ in 0..WARM_UP {
        burst(sender, size, turns)?;
    }
    drain(sender, turns)?;
    let before = (sent(card)?, nic.interrupts()?);
    marks::run_begin();
    for _ in 0..bursts {
        marks::burst_begin();
        let result = burst(sender, size, turns);
        marks::burst_end();
        result?;
    }
    marks::run_end();
    let interrupts = nic.interrupts()? - before.1;
    drain(sender, turns)?;
    let packets = u64::from(size) * u64::from(bursts);
    // The kernel may have sent one or the other itself.
    match sent(card)? - before.0 {
        n if n >= packets => Ok(Received {
            packets,
            interrupts,
        }),
        n => bail!("the card sent {n} packets of {packets}"),
    }
}

#[inline(always)]
fn burst(sender: &mut impl Sender, size: u32, turns: u64) -> Result<()> {
    let mut late = 0;
    while !sender.send(size)? {
        late += 1;
        if late > LATE {
            bail!(
                "the card does not send: {} packets wait",
                sender.in_flight()?
            );
        }
        wait(turns);
    }
    wait(turns);
    Ok(())
}

fn drain(sender: &mut impl Sender, turns: u64) -> Result<()> {
    for _ in 0..LATE {
        if sender.in_flight()? == 0 {
            return Ok(());
        }
        wait(turns);
    }
    bail!("{} packets are not sent", sender.in_flight()?)
}

/// Packets the card has sent in its life.
fn sent(card: &mut Card) -> Result<u64> {
    let lines = card.ask("counts")?;
    let mut words = lines.iter().flat_map(|line| line.split_whitespace());
    let count = words.find_map(|word| word.strip_prefix("tx_packets="));
    Ok(count
        .context("no tx_packets in the card's counts")?
        .parse()?)
}
