// SPDX-License-Identifier: GPL-2.0
//! One act of the session: counters before, loads, a line a second, counters after.

use super::loads::{Loads, Measured};
use super::stage::{Running, Stage};
use super::{RunArgs, QUEUE};
use crate::card::Counts;
use crate::tests::line;
use anyhow::Result;
use std::time::{Duration, Instant};

/// An act that is being played.
#[derive(Debug)]
pub struct Act<'a> {
    name: String,
    stage: &'a Stage<'a>,
    args: &'a RunArgs,
    loads: Option<Loads>,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Played {
    /// Its name in the table.
    pub name: String,
    /// What the peer measured.
    pub measured: Measured,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Packets that arrived from the wire.
    pub arrived: u64,
    /// Packets the card put into the ring of the queue given away.
    pub queue_packets: u64,
    /// Packets it had to drop there.
    pub queue_drops: u64,
    /// Packets it had to drop on all the other queues, or in its packet buffer.
    pub other_drops: u64,
    /// Datagrams the kernel received and could not queue to the service's socket.
    pub socket_drops: u64,
    /// Resets of the card in this act.
    pub resets: u64,
    /// Changes of the link the card saw in this act.
    pub link_changes: u64,
    /// The kernel's count of carrier changes, before and after.
    pub carrier: (u64, u64),
}

impl<'a> Act<'a> {
    /// An act called `name`.
    pub fn new(name: &str, stage: &'a Stage<'a>, args: &'a RunArgs) -> Self {
        Self {
            name: name.to_string(),
            stage,
            args,
            loads: None,
        }
    }

    /// Start the loads, `watch` them to their end, and sum up.
    pub fn play(mut self, watch: impl FnOnce(&mut Self) -> Result<()>) -> Result<Played> {
        let vm = self.stage.vm;
        let carrier_before = carrier_changes(self.stage)?;
        let sockets_before = udp_counter(self.stage, "RcvbufErrors")?;
        let before = vm.card()?.counts()?;
        let start = Instant::now();
        self.loads = Some(Loads::start(self.stage, &self.name, self.args)?);
        watch(&mut self)?;
        let seconds = start.elapsed().as_secs_f64();
        let after = vm.card()?.counts()?;
        let measured = match self.loads.take() {
            Some(loads) => loads.finish()?,
            None => Measured::default(),
        };
        let carrier_after = carrier_changes(self.stage)?;
        let port = |key: &str| after.port(key).saturating_sub(before.port(key));
        let played = Played {
            name: self.name,
            seconds,
            arrived: port("rx_packets") + port("rx_missed") + drops(&after) - drops(&before),
            queue_packets: after
                .rxq(QUEUE, "packets")
                .saturating_sub(before.rxq(QUEUE, "packets")),
            queue_drops: queue_drops(&after, QUEUE) - queue_drops(&before, QUEUE),
            other_drops: drops(&after)
                - drops(&before)
                - (queue_drops(&after, QUEUE) - queue_drops(&before, QUEUE))
                + port("rx_missed"),
            socket_drops: udp_counter(self.stage, "RcvbufErrors")?.saturating_sub(sockets_before),
            resets: port("resets"),
            link_changes: port("link_changes"),
            carrier: (carrier_before, carrier_after),
            measured,
        };
        played.print();
        Ok(played)
    }

    /// One line a second from the card until the loads have ended.
    pub fn watch(&mut self) -> Result<()> {
        let card = self.stage.vm.card()?;
        let mut last = card.counts()?;
        let mut at = Instant::now();
        while self.tick()? {
            let now = card.counts()?;
            let dt = at.elapsed().as_secs_f64();
            at = Instant::now();
            let rate = |a: u64, b: u64| (a.saturating_sub(b) as f64 / dt).round() as u64;
            line(&format!(
                "       rx {:>7} pps   dropped for want of descriptors {:>7} pps",
                rate(now.port("rx_packets"), last.port("rx_packets")),
                rate(
                    drops(&now) + now.port("rx_missed"),
                    drops(&last) + last.port("rx_missed")
                )
            ));
            last = now;
        }
        Ok(())
    }

    /// The same, the lines being those of a program in the guest.
    pub fn watch_with(&mut self, program: &Running) -> Result<()> {
        while self.tick()? {
            program.show_new();
        }
        Ok(())
    }

    /// Wait a second; whether the loads still run.
    fn tick(&mut self) -> Result<bool> {
        std::thread::sleep(Duration::from_secs(1));
        match &mut self.loads {
            Some(loads) => loads.running(),
            None => Ok(false),
        }
    }
}

fn carrier_changes(stage: &Stage) -> Result<u64> {
    Ok(stage
        .vm
        .must("cat /sys/class/net/eth3/carrier_changes")?
        .trim()
        .parse()?)
}

/// A UDP counter of the guest's kernel, as /proc/net/snmp names it.
pub fn udp_counter(stage: &Stage, wanted: &str) -> Result<u64> {
    let text = stage.vm.must("grep ^Udp: /proc/net/snmp")?;
    let mut rows = text.lines().map(str::split_whitespace);
    let (Some(names), Some(values)) = (rows.next(), rows.next()) else {
        return Ok(0);
    };
    let found = names.zip(values).find(|(name, _)| *name == wanted);
    Ok(found.and_then(|(_, v)| v.parse().ok()).unwrap_or(0))
}

fn queue_drops(counts: &Counts, queue: u32) -> u64 {
    counts.rxq(queue, "drop_nodesc") + counts.rxq(queue, "drop_disabled")
}

fn drops(counts: &Counts) -> u64 {
    counts
        .rx_queues()
        .into_iter()
        .map(|q| queue_drops(counts, q))
        .sum()
}

impl Played {
    fn print(&self) {
        let m = &self.measured;
        line(&format!(
            "       DNS: {} asked, {} answered ({:.1} %) · ping {}/{} · HTTP {}/{} · iperf3 {}",
            m.dns.sent,
            m.dns.good,
            m.dns.share() * 100.0,
            m.ping.1,
            m.ping.0,
            m.http.1,
            m.http.0,
            m.iperf
                .map_or("no connection".to_string(), |v| format!("{v:.1} Mbit/s"))
        ));
    }
}

/// The closing table, one column per act.
pub fn print_table(acts: &[&Played]) {
    let row = |label: &str, cell: &dyn Fn(&Played) -> String| {
        let cells: String = acts
            .iter()
            .map(|a| format!(" {:>16}", cell(a)))
            .collect::<Vec<_>>()
            .concat();
        line(&format!("{label:<34}{cells}"));
    };
    line("\n== What was measured");
    row("", &|a| a.name.clone());
    row("good DNS queries asked", &|a| {
        a.measured.dns.sent.to_string()
    });
    row("  answered", &|a| a.measured.dns.good.to_string());
    row("  answered, %", &|a| {
        format!("{:.1}", a.measured.dns.share() * 100.0)
    });
    row("arriving from the wire, pps", &|a| {
        format!("{:.0}", a.arrived as f64 / a.seconds)
    });
    row("queue 4: into the ring, pps", &|a| {
        format!("{:.0}", a.queue_packets as f64 / a.seconds)
    });
    row("queue 4: lost in the card", &|a| a.queue_drops.to_string());
    row("other queues: lost in the card", &|a| {
        a.other_drops.to_string()
    });
    row("lost before the DNS server, pps", &|a| {
        format!("{:.0}", a.socket_drops as f64 / a.seconds)
    });
    row("ping answered", &|a| {
        format!("{}/{}", a.measured.ping.1, a.measured.ping.0)
    });
    row("  mean round trip, ms", &|a| {
        a.measured.rtt.map_or("-".into(), |v| format!("{v:.2}"))
    });
    row("HTTP pages", &|a| {
        format!("{}/{}", a.measured.http.1, a.measured.http.0)
    });
    row("iperf3 (asked for 10), Mbit/s", &|a| {
        a.measured.iperf.map_or("-".into(), |v| format!("{v:.1}"))
    });
    row("carrier_changes", &|a| {
        format!("{} -> {}", a.carrier.0, a.carrier.1)
    });
    row("card resets", &|a| a.resets.to_string());
}
