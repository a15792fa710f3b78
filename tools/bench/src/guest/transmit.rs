// SPDX-License-Identifier: GPL-2.0
//! Sender: netmap on TX ring 0, by NIOCTXSYNC or by poll().
//!
//! A burst is filled into the ring and synced; then the sender waits, uncounted, until the
//! card has sent it and its interrupts are through.  The ring holds two bursts, so the
//! slots of one come back with the sync of the next.

use crate::card::{udp_frame, Card};
use crate::marks;
use crate::nic::Nic;
use crate::receive::{turns_in, wait, Received, INTERRUPT, WARM_UP};
use anyhow::{bail, Context, Result};
use netmap::{ExtraBuf, Port, TxRing};
use std::time::{Duration, Instant};

/// How often the sender looks again for the last burst but one to be sent.
const LATE: u32 = 1000;

/// How bursts are made and pushed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// The frames lie in the ring's buffers; NIOCTXSYNC.
    Sync,
    /// The same with poll(POLLOUT).
    Poll,
    /// Each slot gets another buffer; NIOCTXSYNC.
    Swap,
}

/// Sends `bursts` bursts of `size` frames; returns what the card has sent.
pub fn run(nic: &Nic, card: &mut Card, style: Style, size: u32, bursts: u32) -> Result<Received> {
    let name = format!("netmap:{}-0", nic.name);
    let extra = if style == Style::Swap { 1 } else { 0 };
    let port = Port::builder(&name)
        .tx_only()
        .extra_buffers(extra)
        .open()
        .with_context(|| format!("open {name} for sending"))?;
    let frame = udp_frame([0x02, 0, 0, 0, 0x03, 0x99]);
    let mut ring = port.tx_ring(0)?;
    if (ring.num_slots() as u64) < 2 * u64::from(size) + 1 {
        bail!(
            "{} slots are too few for bursts of {size}",
            ring.num_slots()
        );
    }
    // Every buffer of the ring once, so that later only lengths are written.
    let whole = ring.space();
    ring.fill(whole, |buf| put(buf, &frame));
    push(&port, &mut ring, Style::Sync)?;
    drain(&port, &mut ring)?;
    let mut spare = port.take_extra();
    if let Some(buf) = &mut spare {
        buf.copy_from(&frame);
    }

    let turns = turns_in(INTERRUPT);
    let mut burst = || one(&port, &mut ring, &mut spare, &frame, style, size, turns);
    for _ in 0..WARM_UP {
        burst()?;
    }
    let before = (sent(card)?, nic.interrupts()?);
    marks::run_begin();
    for _ in 0..bursts {
        marks::burst_begin();
        let result = burst();
        marks::burst_end();
        result?;
    }
    marks::run_end();
    let interrupts = nic.interrupts()? - before.1;
    drain(&port, &mut ring)?;
    let packets = u64::from(size) * u64::from(bursts);
    match sent(card)? - before.0 {
        n if n >= packets => Ok(Received {
            packets,
            interrupts,
        }),
        n => bail!("the card sent {n} packets of {packets}"),
    }
}

#[inline(always)]
fn one(
    port: &Port,
    ring: &mut TxRing<'_>,
    spare: &mut Option<ExtraBuf<'_>>,
    frame: &[u8],
    style: Style,
    size: u32,
    turns: u64,
) -> Result<()> {
    let mut late = 0;
    while ring.space() < size as usize {
        late += 1;
        if late > LATE {
            bail!("the card does not send: {} packets wait", ring.in_flight());
        }
        wait(turns);
        push(port, ring, style)?;
    }
    match spare {
        None => {
            ring.fill(size as usize, |_| Some(frame.len()));
        }
        Some(buf) => {
            for _ in 0..size {
                ring.send(buf)?;
                buf.copy_from(frame);
            }
        }
    }
    push(port, ring, style)?;
    wait(turns);
    Ok(())
}

fn put(buf: &mut [u8], frame: &[u8]) -> Option<usize> {
    buf.get_mut(..frame.len())?.copy_from_slice(frame);
    Some(frame.len())
}

#[inline(always)]
fn push(port: &Port, ring: &mut TxRing<'_>, style: Style) -> Result<()> {
    ring.publish();
    if style == Style::Poll {
        port.wait_writable(None)?;
    } else {
        port.txsync()?;
    }
    ring.refresh();
    Ok(())
}

/// Waits until everything is sent.
fn drain(port: &Port, ring: &mut TxRing<'_>) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(5);
    while ring.in_flight() != 0 {
        if Instant::now() > end {
            bail!("{} packets are not sent after 5 s", ring.in_flight());
        }
        push(port, ring, Style::Sync)?;
    }
    Ok(())
}

/// Packets the card has sent in its life.
fn sent(card: &mut Card) -> Result<u64> {
    let lines = card.ask("counts")?;
    let words = lines.iter().flat_map(|line| line.split_whitespace());
    let count = words.filter_map(|w| w.strip_prefix("tx_packets=")).next();
    Ok(count
        .context("no tx_packets in the card's counts")?
        .parse()?)
}
