// SPDX-License-Identifier: MIT OR Apache-2.0
//! Count packets per ring of a port; all packets are dropped.

use anyhow::Result;
use clap::Parser;
use netmap::{Checksum, Port, RxMeta};
use nm_examples::{end, human, seconds, Meter, Stop};
use std::process::ExitCode;
use std::time::Duration;

/// Count the packets of a port's RX rings, and drop them.
#[derive(Debug, Parser)]
#[command(
    name = "nm_count",
    version,
    after_help = "\
EXAMPLES
  nm_count eth3~4            RX queue 4; all other queues stay the kernel's
  nm_count eth3/R -m         all RX queues, with what the card knows of packets
  nm_count eth3^             what the kernel sends while the port's TX rings are taken"
)]
struct Args {
    /// Port: eth3~4, eth3-4/R, eth3/R, eth3^ …
    name: String,
    /// Seconds between lines
    #[arg(short, long, default_value = "1", value_parser = seconds)]
    interval: Duration,
    /// End after so many seconds
    #[arg(short, long, value_parser = seconds)]
    duration: Option<Duration>,
    /// End after so many packets
    #[arg(short, long)]
    count: Option<u64>,
    /// Sum up the card's metadata: hashes, VLAN tags, checksums, timestamps
    #[arg(short, long)]
    metadata: bool,
}

/// What the card knew of packets.
#[derive(Debug, Default)]
struct Known {
    packets: u64,
    hashed: u64,
    tagged: u64,
    stamped: u64,
    good: u64,
    bad: u64,
}

impl Known {
    fn add(&mut self, m: RxMeta) {
        let sums = [m.ip_checksum(), m.l4_checksum()];
        self.packets += u64::from(m.is_valid());
        self.hashed += u64::from(m.hash().is_some());
        self.tagged += u64::from(m.vlan().is_some());
        self.stamped += u64::from(m.timestamp().is_some());
        self.good += u64::from(sums.contains(&Checksum::Good) && !sums.contains(&Checksum::Bad));
        self.bad += u64::from(sums.contains(&Checksum::Bad));
    }
}

fn run(args: &Args) -> Result<()> {
    let mut builder = Port::builder(&args.name);
    if args.metadata {
        builder = builder.rx_metadata();
    }
    let port = builder.open()?;
    let rings: Vec<_> = port.rx_ids().collect();
    let mut meters: Vec<Meter> = rings.iter().map(|_| Meter::new(args.interval)).collect();
    let mut all = Meter::new(args.interval);
    let mut known = Known::default();
    let stop = Stop::after(args.duration);
    while !stop.now() && args.count.is_none_or(|n| all.packets < n) {
        port.wait(Some(all.due()))?;
        for (id, meter) in rings.iter().zip(&mut meters) {
            let mut ring = port.rx(*id)?;
            let mut batch = ring.acquire();
            if args.metadata {
                for slot in batch.slots() {
                    if let Some(m) = slot.meta() {
                        known.add(m);
                    }
                    let last = u64::from(!slot.more_frags());
                    meter.add(last, slot.len().into());
                    all.add(last, slot.len().into());
                }
            } else {
                let (packets, bytes) = batch.slots().count();
                meter.add(packets, bytes);
                all.add(packets, bytes);
            }
        }
        let Some(rate) = all.report() else { continue };
        println!("[+] {} {}pps", port.ifname(), human(rate));
        for (id, meter) in rings.iter().zip(&mut meters) {
            match meter.report() {
                Some(rate) if rate > 0.0 && rings.len() > 1 => {
                    println!("    {id}: {}pps", human(rate));
                }
                _ => {}
            }
        }
    }
    for (id, meter) in rings.iter().zip(&meters).filter(|(_, m)| m.packets > 0) {
        println!("{id}: {} packets, {} bytes", meter.packets, meter.bytes);
    }
    if args.metadata {
        println!(
            "known of {} packets: {} hashes, {} VLAN tags, {} timestamps, checksums {} good {} bad",
            known.packets, known.hashed, known.tagged, known.stamped, known.good, known.bad
        );
    }
    println!("{}", all.summary("counted"));
    Ok(())
}

fn main() -> ExitCode {
    end("nm_count", run(&Args::parse()))
}
