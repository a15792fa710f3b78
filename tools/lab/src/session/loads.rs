// SPDX-License-Identifier: GPL-2.0
//! What the peer asks of the guest during an act: DNS with dnsperf, and on other queues
//! ping, HTTP and iperf3, each at a moderate pace.

use super::dnsperf::Answers;
use super::services::query_file;
use super::stage::Stage;
use super::RunArgs;
use crate::child::Child;
use crate::tests::line;
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The peer's programs while they run.
#[derive(Debug)]
pub struct Loads {
    children: Vec<(Child, PathBuf)>,
    until: Instant,
}

/// What they measured.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// DNS.
    pub dns: Answers,
    /// Pings sent and answered.
    pub ping: (u64, u64),
    /// Mean round trip of a ping, in milliseconds.
    pub rtt: Option<f64>,
    /// Pages asked for and received whole.
    pub http: (u64, u64),
    /// iperf3: Mbit/s at the receiver; `None` when it could not even connect.
    pub iperf: Option<f64>,
}

const TARGET: &str = "10.0.3.1";

impl Loads {
    /// Start them all for `args.seconds` seconds.
    pub fn start(stage: &Stage, label: &str, args: &RunArgs) -> Result<Self> {
        let peer = &stage.vm.peer;
        let queries = stage.vm.scratch_file("queries");
        std::fs::write(&queries, query_file())?;
        let seconds = args.seconds;
        let dns = format!(
            "dnsperf -s {TARGET} -d {} -Q {} -l {seconds} -t 2 -q 1000",
            queries.display(),
            args.queries
        );
        let ping = format!("ping -q -i 0.2 -c {} -W 2 {TARGET}", seconds * 5);
        // One page after the other; each is a connection of its own, so that RSS spreads them.
        let http = format!(
            "end=$((SECONDS+{seconds})); n=0; ok=0; while [ $SECONDS -lt $end ]; do n=$((n+1)); \
             [ \"$(curl -s -m 2 http://{TARGET}/ | wc -c)\" = 3600 ] && ok=$((ok+1)); sleep 0.2; done; echo $n $ok"
        );
        let iperf = format!(
            "timeout {} iperf3 -c {TARGET} -b 10M -t {seconds} -f m --connect-timeout 3000",
            seconds + 15
        );
        line(&format!(
            "peer#  {}",
            dns.replace(&queries.display().to_string(), "queries")
        ));
        line(&format!("peer#  {ping} & iperf3 -c {TARGET} -b 10M & (curl http://{TARGET}/, 5 times a second) &"));
        let mut children = Vec::new();
        for (name, command) in [
            ("dnsperf", format!("exec {dns}")),
            ("ping", format!("exec {ping}")),
            ("curl", http),
            ("iperf3", format!("exec {iperf}")),
        ] {
            let log = stage
                .vm
                .scratch_file(&format!("{name}.{}.log", label.replace([' ', ','], "-")));
            children.push((peer.spawn(name, &command, &log)?, log));
        }
        Ok(Self {
            children,
            until: Instant::now() + Duration::from_secs(u64::from(seconds) + 20),
        })
    }

    /// Whether one of them still runs (until well after their time).
    pub fn running(&mut self) -> Result<bool> {
        if Instant::now() > self.until {
            return Ok(false);
        }
        for (child, _) in &mut self.children {
            if child.ended()?.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Stop what still runs and read what they measured.
    pub fn finish(mut self) -> Result<Measured> {
        for (child, _) in &mut self.children {
            child.stop(Duration::from_secs(3));
        }
        let text = |n: usize| -> Result<String> {
            Ok(String::from_utf8_lossy(&std::fs::read(&self.children[n].1)?).into_owned())
        };
        let dns = text(0)?;
        let dns =
            Answers::parse(&dns).with_context(|| format!("dnsperf did not end well:\n{dns}"))?;
        let (ping, rtt) = parse_ping(&text(1)?);
        let http = parse_pair(&text(2)?);
        Ok(Measured {
            dns,
            ping,
            rtt,
            http,
            iperf: parse_iperf(&text(3)?),
        })
    }
}

/// `50 packets transmitted, 50 received, …` and `rtt min/avg/max/mdev = 0.1/0.2/…`.
fn parse_ping(text: &str) -> ((u64, u64), Option<f64>) {
    let mut counts = (0, 0);
    let mut rtt = None;
    for l in text.lines() {
        if l.contains("packets transmitted") {
            let mut numbers = l
                .split(|c: char| !c.is_ascii_digit())
                .filter_map(|w| w.parse().ok());
            counts = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        } else if let Some((_, values)) = l.split_once("min/avg/max/mdev = ") {
            rtt = values.split('/').nth(1).and_then(|v| v.parse().ok());
        }
    }
    (counts, rtt)
}

fn parse_pair(text: &str) -> (u64, u64) {
    let mut numbers = text.split_whitespace().filter_map(|w| w.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// `[  5]   0.00-10.00  sec  11.9 MBytes  10.0 Mbits/sec    receiver`.
fn parse_iperf(text: &str) -> Option<f64> {
    let l = text.lines().find(|l| l.trim_end().ends_with("receiver"))?;
    let words: Vec<&str> = l.split_whitespace().collect();
    let at = words.iter().position(|w| *w == "Mbits/sec")?;
    words.get(at.checked_sub(1)?)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peers_programs_are_understood() {
        let ping = "50 packets transmitted, 48 received, 4% packet loss, time 9801ms\n\
                    rtt min/avg/max/mdev = 0.191/0.402/1.100/0.100 ms\n";
        assert_eq!(parse_ping(ping), ((50, 48), Some(0.402)));
        let iperf =
            "[  5]   0.00-10.04  sec  11.9 MBytes  9.93 Mbits/sec                  receiver\n";
        assert_eq!(parse_iperf(iperf), Some(9.93));
        assert_eq!(parse_iperf("iperf3: error - unable to connect"), None);
        assert_eq!(parse_pair("12 11\n"), (12, 11));
    }
}
