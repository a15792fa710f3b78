// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bridge two ports, or a port and its host rings, without copying: buffers of one
//! memory change places.

use anyhow::{bail, Result};
use clap::Parser;
use netmap::{wait, Interest, Port, RingId};
use nm_examples::{end, human, seconds, Meter, Stop};
use std::process::ExitCode;
use std::time::Duration;

/// Bridge two ports: what one receives, the other sends.
#[derive(Debug, Parser)]
#[command(
    name = "nm_bridge",
    version,
    after_help = "\
EXAMPLES
  nm_bridge eth3 eth4            a wire between two ports
  nm_bridge eth3 eth3^           between the NIC and the kernel, as without netmap
  nm_bridge eth3-0 eth4-0        one ring pair of each"
)]
struct Args {
    /// First port
    a: String,
    /// Second port
    b: String,
    /// One way only, from the first to the second
    #[arg(short, long)]
    one_way: bool,
    /// Seconds between lines
    #[arg(short, long, default_value = "1", value_parser = seconds)]
    interval: Duration,
    /// End after so many seconds
    #[arg(short, long, value_parser = seconds)]
    duration: Option<Duration>,
    /// Say nothing but the summary
    #[arg(short, long)]
    quiet: bool,
}

/// One direction.
struct Way<'p> {
    from: &'p Port,
    to: &'p Port,
    rx: Vec<RingId>,
    tx: Vec<RingId>,
    meter: Meter,
    /// There are packets, but no room for them.
    stuck: bool,
}

impl<'p> Way<'p> {
    fn new(from: &'p Port, to: &'p Port, interval: Duration) -> Result<Self> {
        let way = Self {
            from,
            to,
            rx: from.rx_ids().collect(),
            tx: to.tx_ids().collect(),
            meter: Meter::new(interval),
            stuck: false,
        };
        if way.rx.is_empty() || way.tx.is_empty() {
            bail!(
                "{} binds {} RX rings, {} {} TX rings: see --one-way",
                from.ifname(),
                way.rx.len(),
                to.ifname(),
                way.tx.len()
            );
        }
        Ok(way)
    }

    /// Move all there is, RX ring n to TX ring n (around), as far as there is room.
    /// What does not fit stays where it is.
    fn forward(&mut self) -> Result<()> {
        self.stuck = false;
        for (n, id) in self.rx.iter().enumerate() {
            let mut ring = self.from.rx(*id)?;
            let mut batch = ring.acquire();
            if batch.is_empty() {
                continue;
            }
            let mut tx = self.to.tx(self.tx[n % self.tx.len()])?;
            let moved = tx.forward_where(&mut batch.slots(), |_, _| true);
            self.meter.add(moved.packets, moved.bytes);
            self.stuck |= !batch.is_empty();
        }
        Ok(())
    }
}

/// What to wait for at the port that is `from` of one way and `to` of the other.
fn interest(out: &Way<'_>, into: Option<&Way<'_>>) -> Interest {
    match (!out.stuck, into.is_some_and(|w| w.stuck)) {
        (true, true) => Interest::Both,
        (true, false) => Interest::Readable,
        (false, true) => Interest::Writable,
        (false, false) => Interest::Push,
    }
}

fn run(args: &Args) -> Result<()> {
    let a = Port::open(&args.a)?;
    let b = Port::builder(&args.b).share(&a).open()?;
    let mut there = Way::new(&a, &b, args.interval)?;
    let mut back = match args.one_way {
        true => None,
        false => Some(Way::new(&b, &a, args.interval)?),
    };
    if !args.quiet {
        println!("[+] {} <-> {}, memory {}", args.a, args.b, a.mem_id());
    }
    let stop = Stop::after(args.duration);
    while !stop.now() {
        let at_a = interest(&there, back.as_ref());
        let at_b = match &back {
            Some(back) => interest(back, Some(&there)),
            None if there.stuck => Interest::Writable,
            None => Interest::Push,
        };
        wait([(&a, at_a), (&b, at_b)], Some(there.meter.due()))?;
        there.forward()?;
        let mut rates = vec![there.meter.report()];
        if let Some(back) = &mut back {
            back.forward()?;
            rates.push(back.meter.report());
        }
        if let ([Some(there), rest @ ..], false) = (&rates[..], args.quiet) {
            let back = rest.first().copied().flatten().unwrap_or(0.0);
            println!("[+] there {}pps, back {}pps", human(*there), human(back));
        }
    }
    // What is queued goes out.
    a.txsync()?;
    b.txsync()?;
    println!("{}", there.meter.summary("there:"));
    if let Some(back) = &back {
        println!("{}", back.meter.summary("back:"));
    }
    Ok(())
}

fn main() -> ExitCode {
    end("nm_bridge", run(&Args::parse()))
}
