// SPDX-License-Identifier: GPL-2.0
//! The command line.

use crate::steer::spec::Spec;
use crate::verdict::Verdict;
use anyhow::{bail, Result};
use clap::{Parser, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

const EXAMPLES: &str = "\
HOW IT WORKS
  The QUEUEs of IFACE are taken from the kernel; all other queues and all transmission stay with it,
  and the link does not notice. Each packet that arrives on them is judged:
    1. a --pass expression matches: it goes back into the kernel's stack
    2. else a --drop expression matches: it is dropped
    3. else --default decides; without it the packet goes back into the kernel
  Expressions are tcpdump's (pcap-filter(7)). The queues are the kernel's again when the program ends,
  however it ends. What --steer changed is undone on exit and on signals, and after SIGKILL at the
  next start.

EXAMPLES
  Drop a flood of DNS queries from everywhere but our own network, steering included:
    nm_offload eth3 4 --steer 'udp4 dst-port 53' --drop 'udp dst port 53 and not src net 10.0.0.0/8'
  The same with the steering done by hand:
    ethtool -K eth3 ntuple on
    ethtool -X eth3 weight 1 1 1 1 0 1 1 1 1 1
    ethtool -N eth3 flow-type udp4 dst-port 53 action 4
    nm_offload eth3 4 --drop 'udp dst port 53 and not src net 10.0.0.0/8'
  Let only what is known to be good through:
    nm_offload eth3 4 --pass 'src host 192.0.2.7 or icmp' --default drop
  Count and drop everything on two queues, JSON lines on standard output:
    nm_offload eth3 16 17 --count-only --json
  As a service: options in /etc/netmap/offload/eth3-4.conf, a line each ('drop = EXPR'), then
    systemctl enable --now nm-offload@eth3-4.service

  Queues join and leave while it runs: 'nmq queue add eth3 5', 'nmq queue del eth3 5'.

EXIT STATUS
  0  ended by a signal or --duration
  1  an error at run time
  2  wrong usage
  3  a queue is taken by another program
  4  no such interface or queue, no netmap.ko, no patched driver, or the port is in a mode that
     cannot be mixed with this
  5  not permitted

FILES
  /run/nm_offload/IFACE-PID.json  what was changed, for undoing it
  /run/nm_offload/IFACE-PID.sock  where nmq reaches the program

SEE ALSO
  nmq(8), netmap(4), ethtool(8), pcap-filter(7)";

/// Take RX queues from the kernel, drop what is unwanted, put the rest back.
#[derive(Debug, Parser)]
#[command(name = "nm_offload", version, after_help = EXAMPLES, args_override_self = true)]
pub struct Args {
    /// Interface; IFACE-QUEUE if no QUEUE follows
    #[arg(value_name = "IFACE")]
    pub ifname: String,

    /// RX queues to take
    #[arg(value_name = "QUEUE")]
    pub queues: Vec<u16>,

    /// More RX queues to take, as FILE of --config names them
    #[arg(long, value_name = "QUEUE", hide = true)]
    pub queue: Vec<u16>,

    /// Options from a file, a line each: 'drop = EXPR'. Later ones count, of those
    /// that can be given once
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Put packets back into the kernel that match this expression
    #[arg(long, value_name = "EXPR")]
    pub pass: Vec<String>,

    /// Drop packets that match this expression (and no --pass one)
    #[arg(long, value_name = "EXPR")]
    pub drop: Vec<String>,

    /// What happens to packets no expression matches [default: pass]
    #[arg(long, value_name = "WHAT")]
    pub default: Option<Default>,

    /// Count and drop everything; no packet is looked at
    #[arg(long, conflicts_with_all = ["pass", "drop", "default"])]
    pub count_only: bool,

    /// Steer a flow to the first QUEUE ('action N' for another), in ethtool's
    /// words: udp4|tcp4|ip4 [src-ip A [m M]] [dst-ip A [m M]] [src-port P [m M]]
    /// [dst-port P [m M]] [vlan T [m M]] [action N]
    #[arg(long, value_name = "FLOW")]
    pub steer: Vec<Spec>,

    /// Switch filter rules on if they are off (resets the port once)
    #[arg(long, requires = "steer")]
    pub enable_ntuple: bool,

    /// Print a JSON object per interval instead of the lines, or to FILE besides
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true,
          default_missing_value = "-")]
    pub json: Option<String>,

    /// Seconds between the lines
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub interval: Duration,

    /// End after this time
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub duration: Option<Duration>,

    /// Threads the queues are spread over [default: one per queue, at most one
    /// per CPU]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,

    /// Poll without sleeping: least delay, a whole CPU per thread
    #[arg(long)]
    pub busy: bool,
}

/// Value of --default.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Default {
    /// Back into the kernel.
    Pass,
    /// Gone.
    Drop,
}

impl Args {
    /// Checks clap cannot do; rules get their queue.
    pub fn check(&mut self) -> Result<()> {
        if self.queues.is_empty() {
            // A service has one name for both.
            if let Some((name, queue)) = instance(&self.ifname) {
                (self.ifname, self.queues) = (name, vec![queue]);
            }
        }
        self.queues.append(&mut self.queue);
        if self.queues.is_empty() {
            bail!(
                "which queue of {0}? For example 'nm_offload {0} 4'",
                self.ifname
            );
        }
        for (i, q) in self.queues.iter().enumerate() {
            if self.queues[..i].contains(q) {
                bail!("queue {q} is named twice");
            }
        }
        for rule in &mut self.steer {
            match rule.action {
                None => rule.action = self.queues.first().copied(),
                Some(q) if !self.queues.contains(&q) => {
                    bail!("--steer '{rule}': queue {q} is not one of those to take")
                }
                Some(_) => {}
            }
        }
        netmap::PortName::parse(&format!("netmap:{}~", self.ifname))?;
        Ok(())
    }

    /// The verdict for packets no expression matches.
    pub fn verdict(&self) -> Verdict {
        match self.default {
            _ if self.count_only => Verdict::Drop,
            Some(Default::Drop) => Verdict::Drop,
            Some(Default::Pass) | None => Verdict::Pass,
        }
    }

    /// The queues, spread over the threads.
    pub fn shares(&self) -> Vec<Vec<u16>> {
        let cpus = std::thread::available_parallelism().map_or(1, |n| n.get());
        let n = self
            .threads
            .map_or(cpus, usize::from)
            .clamp(1, self.queues.len().max(1));
        let mut shares = vec![Vec::new(); n];
        for (i, q) in self.queues.iter().enumerate() {
            shares[i % n].push(*q);
        }
        shares
    }
}

/// `eth3-4` is queue 4 of eth3; the name may have hyphens of its own.
fn instance(text: &str) -> Option<(String, u16)> {
    let (name, queue) = text.rsplit_once('-')?;
    let digits = queue.bytes().all(|b| b.is_ascii_digit());
    let queue = queue.parse().ok().filter(|_| digits)?;
    (!name.is_empty()).then(|| (name.to_string(), queue))
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(s) if (0.01..=1e9).contains(&s) => Ok(Duration::from_secs_f64(s)),
        _ => Err("not a number of seconds from 0.01 on".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args> {
        let mut args = Args::try_parse_from(line.split('|'))?;
        args.check()?;
        Ok(args)
    }

    #[test]
    fn nothing_said_means_put_back() {
        let a = parse("nm_offload|eth3|4").expect("parses");
        assert_eq!(a.verdict(), Verdict::Pass);
        assert_eq!(a.interval, Duration::from_secs(1));
        let a = parse("nm_offload|eth3|4|--count-only").expect("parses");
        assert_eq!(a.verdict(), Verdict::Drop);
        assert!(parse("nm_offload|eth3|4|--count-only|--drop|udp").is_err());
    }

    #[test]
    fn rules_go_to_the_first_queue_or_a_named_one() {
        let a = parse("nm_offload|eth3|4|5|--steer|udp4 dst-port 53|--steer|tcp4 action 5");
        let a = a.expect("parses");
        assert_eq!(a.steer[0].action, Some(4));
        assert_eq!(a.steer[1].action, Some(5));
        let e = parse("nm_offload|eth3|4|--steer|udp4 action 6").expect_err("not taken");
        assert!(e.to_string().contains("queue 6"), "{e}");
    }

    #[test]
    fn queues_spread_over_threads() {
        let a = parse("nm_offload|eth3|4|5|6|--threads|2").expect("parses");
        assert_eq!(a.shares(), [vec![4, 6], vec![5]]);
        let a = parse("nm_offload|eth3|4|--threads|8").expect("parses");
        assert_eq!(a.shares(), [vec![4]]);
    }

    #[test]
    fn the_name_of_a_service_is_interface_and_queue() {
        let a = parse("nm_offload|eth3-4|--queue|5|--steer|udp4").expect("parses");
        assert_eq!((a.ifname.as_str(), &a.queues[..]), ("eth3", &[4, 5][..]));
        assert_eq!(a.steer[0].action, Some(4));
        assert_eq!(instance("wan-a-12"), Some(("wan-a".into(), 12)));
        for bad in ["eth3-", "-4", "eth3-x", "eth3-+4", "eth3-65536"] {
            assert_eq!(instance(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_last_one_counts() {
        let a = parse("nm_offload|eth3|4|--interval|60|--drop|a|--interval|5|--drop|b");
        let a = a.expect("parses");
        assert_eq!(a.interval, Duration::from_secs(5));
        assert_eq!(a.drop, ["a", "b"]);
    }

    #[test]
    fn wrong_usage_is_refused() {
        for line in [
            "nm_offload|eth3",
            "nm_offload|eth3-4|--queue|4",
            "nm_offload|eth3|x",
            "nm_offload|eth3|4|4",
            "nm_offload|eth3~1|4",
            "nm_offload|eth3|4|--interval|0",
            "nm_offload|eth3|4|--enable-ntuple",
            "nm_offload|eth3|4|--steer|udp9",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        assert_eq!(
            parse("nm_offload|eth3|4|--json")
                .expect("parses")
                .json
                .as_deref(),
            Some("-")
        );
        assert_eq!(
            parse("nm_offload|eth3|4|--json=x")
                .expect("parses")
                .json
                .as_deref(),
            Some("x")
        );
    }
}
