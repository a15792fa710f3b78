// SPDX-License-Identifier: MIT OR Apache-2.0
//! A traffic source and sink: UDP packets as fast as possible, or at a rate.

use anyhow::{bail, Result};
use clap::{Args, Parser, Subcommand};
use netmap::{Port, PushError, RingId};
use nm_examples::frame::{Udp, HEADERS};
use nm_examples::{end, seconds, Meter, Stop};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Send or receive UDP packets by way of a port's own rings.
#[derive(Debug, Parser)]
#[command(
    name = "nm_pktgen",
    version,
    after_help = "\
EXAMPLES
  nm_pktgen tx eth3-0/T -r 100000 -c 1000000     from TX ring 0, 100,000 a second
  nm_pktgen tx eth3/T -s 1500 -d 10              as fast as possible, all TX rings
  nm_pktgen rx eth3-4/R -c 1000                  until 1000 packets have come"
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Send
    Tx(Tx),
    /// Receive
    Rx(Common),
}

#[derive(Args, Debug)]
struct Common {
    /// Port: eth3-0/T to send on ring 0, eth3-4/R to receive on ring 4 …
    name: String,
    /// End after so many packets
    #[arg(short, long)]
    count: Option<u64>,
    /// Most packets between two looks at the clock
    #[arg(short, long, default_value = "512")]
    burst: usize,
    /// End after so many seconds
    #[arg(short, long, value_parser = seconds)]
    duration: Option<Duration>,
    /// Seconds between lines
    #[arg(short, long, default_value = "1", value_parser = seconds)]
    interval: Duration,
}

#[derive(Args, Debug)]
struct Tx {
    #[command(flatten)]
    common: Common,
    /// Packets a second; 0: as fast as possible
    #[arg(short, long, default_value = "0")]
    rate: f64,
    /// Bytes of a frame, without the CRC
    #[arg(short, long, default_value = "60")]
    size: usize,
    #[command(flatten)]
    headers: Udp,
}

fn send(args: &Tx) -> Result<()> {
    let c = &args.common;
    if !(HEADERS..=65_535).contains(&args.size) {
        bail!("--size is from {HEADERS} to 65535");
    }
    let frame = args.headers.frame(args.size);
    let port = Port::open(&c.name)?;
    let rings: Vec<RingId> = port.tx_ids().collect();
    if rings.is_empty() {
        bail!("{} binds no TX ring", c.name);
    }
    let (mut m, stop) = (Meter::new(c.interval), Stop::after(c.duration));
    let count = c.count.unwrap_or(u64::MAX);
    while !stop.now() && m.packets < count {
        let mut due = count - m.packets;
        if args.rate > 0.0 {
            let by_now = (m.elapsed().as_secs_f64() * args.rate) as u64;
            due = due.min(by_now.saturating_sub(m.packets));
        }
        let mut queued = 0;
        for id in &rings {
            let mut tx = port.tx(*id)?;
            let end = queued + (due - queued).min(c.burst as u64);
            while queued < end {
                match tx.push(&frame) {
                    Ok(()) => queued += 1,
                    Err(PushError::Full) => break,
                    Err(e) => bail!("{}: {e}", c.name),
                }
            }
            tx.report();
        }
        m.add(queued, queued * args.size as u64);
        match (queued, due) {
            (0, 0) => std::thread::sleep(Duration::from_micros(100)),
            (0, _) => drop(port.wait_writable(Some(m.due()))?),
            _ => port.txsync()?,
        }
        m.say(port.ifname());
    }
    let patience = Instant::now() + Duration::from_secs(1);
    let flying = |id: &RingId| Ok(port.tx(*id)?.in_flight());
    loop {
        port.txsync()?;
        let left: usize = rings.iter().map(flying).sum::<Result<usize>>()?;
        if left == 0 || Instant::now() > patience {
            let all = if left > 0 { "queued" } else { "sent" };
            println!("{}", m.summary(all));
            return Ok(());
        }
    }
}

fn receive(c: &Common) -> Result<()> {
    let port = Port::open(&c.name)?;
    let rings: Vec<RingId> = port.rx_ids().collect();
    let (mut m, stop) = (Meter::new(c.interval), Stop::after(c.duration));
    let count = c.count.unwrap_or(u64::MAX);
    while !stop.now() && m.packets < count {
        port.wait(Some(m.due()))?;
        for id in &rings {
            let (packets, bytes) = port.rx(*id)?.acquire().slots().count();
            m.add(packets, bytes);
        }
        m.say(port.ifname());
    }
    println!("{}", m.summary("received"));
    Ok(())
}

fn main() -> ExitCode {
    end(
        "nm_pktgen",
        match Cli::parse().verb {
            Verb::Tx(args) => send(&args),
            Verb::Rx(args) => receive(&args),
        },
    )
}
