// SPDX-License-Identifier: GPL-2.0
//! List netmap ports, rings, owners and counters; add and remove queues.
//!
//! Speaks as iproute2 does: nouns then verbs, `-j` for JSON, one line per object,
//! words may be shortened (`nmq q s eth3`).

mod ask;
mod metrics;
mod show;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

const EXAMPLES: &str = "\
STATES
  kernel     the queue is the kernel's
  netmap     it is a program's; owner and pid are shown
  parked     it is a program's, but the interface is down
  leaving    on its way to a program
  returning  on its way back to the kernel
  stuck      the hardware did not stop it; its memory is kept, see dmesg

COUNTERS (-s)
  packets, bytes     rx: received by the program; tx: sent by it; host-tx: put back
                     into the kernel; host-rx: sent by the kernel, to the program
  syncs, wakeups     sync calls (poll included), times the owner was woken
  drops              of these: drop_stack the stack did not take it (host-tx), drop_full
                     the ring was full (host-rx), drop_lost in flight at a reset (tx)
  ring_resets        impossible head or cur, reset to the last good place
  bad_slots          impossible buffer index or length
  swaps, fragments   slots with a changed buffer, slots of longer packets
  starts             times the ring was started (again after ifdown/ifup)

EXAMPLES
  nmq port                      all ports that have hooks
  nmq queue show eth3 -s        the queues of eth3 with counters
  nmq -j queue show | jq '.[] | select(.state == \"netmap\")'
  nmq queue add eth3 5          the program that has queues of eth3 takes 5 too
  nmq queue del eth3 5          it gives 5 back
  nmq queue add eth3 5 pid 812  when several programs have queues of eth3
  nmq metrics                   all counters, as Prometheus reads them

EXIT STATUS
  0 done   1 failed   2 wrong usage   3 the queue is taken
  4 no such interface, queue or program, or netmap.ko is not loaded   5 not permitted

SEE ALSO
  nm_offload(8), netmap(4)";

/// List netmap ports, rings, owners and counters; add and remove queues.
#[derive(Debug, Parser)]
#[command(name = "nmq", version, after_help = EXAMPLES, infer_subcommands = true)]
struct Cli {
    /// Print JSON
    #[arg(short, long, global = true)]
    json: bool,

    /// Indent JSON
    #[arg(short, long, global = true)]
    pretty: bool,

    #[command(subcommand)]
    noun: Noun,
}

#[derive(Debug, Subcommand)]
enum Noun {
    /// Ports: interfaces whose driver has hooks
    #[command(infer_subcommands = true, args_conflicts_with_subcommands = true)]
    Port {
        #[command(subcommand)]
        verb: Option<PortVerb>,
    },
    /// Queues: RX rings of ports, bound TX rings and bound host rings
    #[command(infer_subcommands = true, args_conflicts_with_subcommands = true)]
    Queue {
        #[command(subcommand)]
        verb: Option<QueueVerb>,
    },
    /// Everything as metrics in Prometheus' text format
    Metrics {
        /// Replace this file in one piece, for node_exporter's textfile collector
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
enum PortVerb {
    /// List ports
    #[command(visible_alias = "list")]
    Show {
        /// Only this interface
        ifname: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
enum QueueVerb {
    /// List queues
    #[command(visible_alias = "list")]
    Show {
        /// Only this interface
        ifname: Option<String>,
        /// With counters
        #[arg(short, long)]
        stats: bool,
    },
    /// Have a running program take a queue
    Add(Target),
    /// Have a running program give a queue back
    #[command(visible_alias = "delete")]
    Del(Target),
}

/// A queue, and the program if there are several.
#[derive(Debug, Args)]
struct Target {
    /// Interface
    ifname: String,
    /// Queue
    queue: u16,
    /// pid N: the program to ask
    #[arg(value_name = "pid N", num_args = 0..=2)]
    program: Vec<String>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if (cli.json || cli.pretty) && matches!(cli.noun, Noun::Metrics { .. }) {
        eprintln!(
            "nmq: metrics have a format of their own; 'nmq -j queue show -s' has the same as JSON"
        );
        return ExitCode::from(2);
    }
    let format = show::Format {
        json: cli.json || cli.pretty,
        pretty: cli.pretty,
    };
    let done = match cli.noun {
        Noun::Port { verb } => {
            let PortVerb::Show { ifname } = verb.unwrap_or(PortVerb::Show { ifname: None });
            show::ports(ifname.as_deref(), format).and_then(print)
        }
        Noun::Queue { verb } => match verb.unwrap_or(QueueVerb::Show {
            ifname: None,
            stats: false,
        }) {
            QueueVerb::Show { ifname, stats } => {
                show::queues(ifname.as_deref(), stats, format).and_then(print)
            }
            QueueVerb::Add(t) => ask::add(&t.ifname, t.queue, &t.program),
            QueueVerb::Del(t) => ask::del(&t.ifname, t.queue, &t.program),
        },
        Noun::Metrics { output } => show::metrics().and_then(|text| match output {
            Some(path) => metrics::replace(&path, &text),
            None => print(text),
        }),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("nmq: {e:#}");
            ExitCode::from(status(&e))
        }
    }
}

/// All at once; a reader that has gone away is no error.
fn print(text: String) -> Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(e.into()),
        _ => Ok(()),
    }
}

/// The exit status of an error, as --help says.
fn status(e: &anyhow::Error) -> u8 {
    if let Some(e) = e.downcast_ref::<ask::Problem>() {
        return e.status();
    }
    const EPERM: i32 = 1;
    const ENOENT: i32 = 2;
    const ENXIO: i32 = 6;
    const EACCES: i32 = 13;
    const EBUSY: i32 = 16;
    const ENODEV: i32 = 19;
    match e.downcast_ref::<netmap::Error>().and_then(|e| e.errno()) {
        Some(EBUSY) => 3,
        Some(ENOENT | ENXIO | ENODEV) => 4,
        Some(EPERM | EACCES) => 5,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn words_may_be_left_out_or_shortened() {
        for line in [
            "nmq port",
            "nmq port show",
            "nmq port show eth3",
            "nmq p s eth3",
            "nmq queue",
            "nmq -j queue show -s",
            "nmq q sh eth3 -s -j",
            "nmq queue add eth3 5",
            "nmq queue add eth3 5 pid 99",
            "nmq queue del eth3 5",
            "nmq q d eth3 5",
            "nmq metrics",
            "nmq m -o /run/x.prom",
        ] {
            let parsed = Cli::try_parse_from(line.split(' '));
            assert!(parsed.is_ok(), "{line}: {:?}", parsed.err());
        }
        for line in [
            "nmq",
            "nmq ring",
            "nmq queue add eth3",
            "nmq queue add eth3 x",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
