// SPDX-License-Identifier: GPL-2.0
//! `lab run`: a host under a DNS flood, played for a person to follow.
//!
//! Four acts on one guest with real services (knot, nginx, iperf3) on the kernel's stack:
//! normal service; the flood against the kernel's own path; the flood with queue 4 given to
//! `nm_offload`; the queue given back. Everything is asked from the peer's namespace, lost
//! packets are read from the card's counters. The closing table shows what was measured, and
//! each promise is judged: the exit status is 1 when one was not kept.

mod act;
mod dnsperf;
mod flood;
mod loads;
mod promises;
pub(crate) mod services;
mod stage;

use crate::vm::{Config, Vm};
use crate::{child, tests};
use act::Act;
use anyhow::{Context, Result};
use promises::Promises;
pub(crate) use stage::Stage;
use std::time::Duration;

/// The queue that is given away.
const QUEUE: u32 = 4;
/// What the flood looks like and good queries do not: strangers' addresses, or the
/// 16-letter random labels (the first label's length is the byte after the DNS header).
const DROP: &str = "udp dst port 53 and (not src net 10.0.0.0/8 or udp[20] = 16)";

/// Arguments of `lab run`.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// Flood, in packets per second (default: four times what the kernel's path serves, or more)
    #[arg(long)]
    rate: Option<u32>,
    /// Good DNS queries per second
    #[arg(long, default_value_t = 100)]
    queries: u32,
    /// Seconds each act lasts
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// Stay in the guest with a shell at the end
    #[arg(long)]
    shell: bool,
}

/// Play the session; 0 when every promise was kept.
///
/// # Errors
/// When a part is missing or a step of the session itself fails.
pub fn run(args: &RunArgs, config: &Config) -> Result<i32> {
    // What is shown is the guest's capacity, not that of a machine busy with other things.
    child::before_other_work();
    let mut vm = Vm::boot(config)?;
    let played = play(args, &vm);
    let trouble = vm.console.new_trouble();
    let status = match played {
        Ok(mut promises) => {
            promises.judge(
                "the guest's kernel never complained",
                trouble.is_empty(),
                trouble.first().map_or("", String::as_str),
            );
            i32::from(!promises.print())
        }
        Err(e) => {
            for line in &trouble {
                eprintln!("guest kernel: {line}");
            }
            return Err(e.context(format!(
                "the session stopped; last console lines:\n{}",
                vm.last_console(15)
            )));
        }
    };
    if args.shell {
        println!("\nThe guest is yours; leave the shell to end it.");
        vm.ssh().interactive(None)?;
    }
    Ok(status)
}

fn play(args: &RunArgs, vm: &Vm) -> Result<Promises> {
    let stage = Stage::new(vm);
    stage.heading("A host with a 10 GbE port: the modules are loaded, services start");
    stage.guest("cd /opt/netmap/modules; insmod netmap.ko; insmod ixgbe.ko")?;
    stage
        .guest("ip addr add 10.0.3.1/24 dev eth3; ethtool -G eth3 rx 4096; ip link set eth3 up")?;
    vm.address_ports()?;
    stage.guest("ethtool -K eth3 ntuple on")?;
    services::start(&stage)?;

    stage.heading("1. Normal service: DNS, HTTP, iperf3 and ping from the peer");
    let normal = Act::new("normal", &stage, args).play(Act::watch)?;

    stage.heading("2. A flood of random subdomains from spoofed sources, on the kernel's own path");
    let rate = flood::start(&stage, args)?;
    let flooded = Act::new("flood, kernel", &stage, args).play(Act::watch)?;

    stage.heading("3. UDP port 53 is steered to queue 4, and queue 4 given to nm_offload");
    stage.guest("ethtool -X eth3 weight 1 1 1 1 0 1 1 1 1 1")?;
    stage.guest(&format!(
        "ethtool -N eth3 flow-type udp4 dst-port 53 action {QUEUE}"
    ))?;
    let offload = stage.start_guest(&format!("nm_offload eth3 {QUEUE} --drop '{DROP}'"))?;
    offload
        .wait_for("[+] starting", Duration::from_secs(60))
        .context("nm_offload did not take the queue")?;
    stage.guest("nmq queue show eth3")?;
    let offloaded = unhindered(&stage, args, &offload)?;
    let summary = offload.interrupt(Duration::from_secs(60))?;

    stage.heading("4. nm_offload has ended: the queue is the kernel's again");
    stage.card("gen stop flood")?;
    let owner = stage.guest("nmq queue show eth3")?;
    let after = Act::new("after", &stage, args).play(Act::watch)?;
    stage.guest("ethtool -n eth3")?;

    tests::line(&format!("\nThe flood was {rate} packets/s."));
    act::print_table(&[&normal, &flooded, &offloaded, &after]);
    Ok(promises::judge(
        &normal, &flooded, &offloaded, &after, &owner, summary,
    ))
}

/// The act with the queue given away. Its ring bridges 80 ms at 50,000 packets/s; where this
/// machine stops the emulated guest for longer, the card runs out of descriptors and good
/// queries are lost with the others. That says nothing about the guest, so the act is then
/// played again, up to three times in all, and each time is shown.
fn unhindered(stage: &Stage, args: &RunArgs, offload: &stage::Running) -> Result<act::Played> {
    let mut attempt = 1;
    loop {
        let played = Act::new("flood, offload", stage, args).play(|act| act.watch_with(offload))?;
        let answers = played.measured.dns;
        if answers.good == answers.sent || played.queue_drops == 0 || attempt == 3 {
            return Ok(played);
        }
        tests::line(&format!(
            "       {} packets found no descriptor: this machine did not run the guest for a while. Once more.",
            played.queue_drops
        ));
        attempt += 1;
    }
}
