// SPDX-License-Identifier: GPL-2.0
//! The port in the state a column says: queues with programs that read, everything else the
//! kernel's, and traffic on both from generators in the card.

use super::program::{programs, Program, STEERED};
use super::Column;
use crate::abi::*;
use crate::check::*;
use crate::fd::Fd;
use crate::frame::outgoing;
use crate::nic::Nic;
use crate::peer;
use crate::port::{rx_info, tx_info, Port, OTHER_PORT, Q};
use crate::setup::eventually;
use crate::sock::Counter;
use crate::steer::{carrier_changes, ethtool, ifname, num_queues, sysfs, Rss, Rule};
use crate::tests::putback::put_copy;
use anyhow::{bail, Context, Result};
use std::time::{Duration, Instant};

/// What must happen soon, happens within this.
pub const SOON: Duration = Duration::from_secs(10);
/// As many that each queue gets some of them, whatever the hash key; the hash is linear, so of few
/// flows that are numbered all may go to every other queue.
const FLOWS: u64 = 2048;

/// The port, set up; see the module.
pub struct Stage {
    pub nic: &'static Nic,
    pub column: Column,
    pub programs: Vec<Program>,
    /// RX queues of the port.
    pub queues: u32,
    rules: Vec<Rule>,
    rss: Option<Rss>,
    kernel: Counter,
    streams: Vec<String>,
}

/// What is compared before and after an event.
pub struct Snapshot {
    starts: Vec<u64>,
    errors: Vec<[u64; 3]>,
    carrier: u64,
    resets: u64,
}

impl Stage {
    /// Takes the queues, starts the traffic, waits until all of it arrives.
    pub fn set(column: Column) -> Result<Stage> {
        let mut stage = Stage::bare(column)?;
        stage.programs = programs(column, stage.queues)?;
        stage.begin()?;
        stage.flows()?;
        Ok(stage)
    }

    /// The same, but somebody else takes the queues, then calls [`Stage::begin`].
    pub fn bare(column: Column) -> Result<Stage> {
        // one process plays one cell, so nobody misses it
        let nic: &'static Nic = Box::leak(Box::new(Nic::open()?));
        let queues = num_queues("rx-")?;
        let rss = match column {
            Column::One | Column::Several => Some(Rss::without(column.steered())?),
            _ => None,
        };
        Ok(Stage {
            nic,
            column,
            programs: Vec::new(),
            queues,
            rules: Vec::new(),
            rss,
            kernel: Counter::start(OTHER_PORT)?,
            streams: Vec::new(),
        })
    }

    /// Steers, and starts the traffic.
    pub fn begin(&mut self) -> Result<()> {
        self.steer()?;
        for q in self.column.steered() {
            let dport = STEERED + *q as u16;
            // to all stations, so that it arrives also while the port has another address
            self.stream(&format!("profile=udp rate=300 size=200 dport={dport}"))?;
        }
        self.stream(&format!(
            "profile=flows flows={FLOWS} rate=1000 size=100 dport={OTHER_PORT}"
        ))
    }

    fn stream(&mut self, spec: &str) -> Result<()> {
        let name = format!("m{}", self.streams.len());
        // wait: a guest that is starved of the processor for seconds must not count as loss
        let command = format!("gen start {name} {spec} wait=1 dmac=ff:ff:ff:ff:ff:ff");
        self.nic.cmd(&command)?;
        self.streams.push(name);
        Ok(())
    }

    /// The queues that are out.
    pub fn taken(&self) -> Vec<u32> {
        match self.column {
            Column::All | Column::AllNic => (0..self.queues).collect(),
            column => column.steered().to_vec(),
        }
    }

    /// Does the kernel have an RX queue?
    pub fn kernel_receives(&self) -> bool {
        (self.taken().len() as u32) < self.queues
    }

    /// Makes the rules that steer to taken queues.
    pub fn steer(&mut self) -> Result<()> {
        let of_one_each = self.taken().len() <= 3;
        for q in self.taken() {
            if of_one_each || q == Q {
                self.rules.push(Rule::udp(STEERED + q as u16, q)?);
            }
        }
        Ok(())
    }

    /// The driver has dropped the rules, as the document says: makes them again.
    pub fn steer_again(&mut self) -> Result<()> {
        let left = rules()?;
        want_eq("rules that are left", left, 0)?;
        // their guards would complain
        self.rules.drain(..).for_each(std::mem::forget);
        self.steer()
    }

    /// RSS over the kernel's queues, as it was set up.
    pub fn spread(&self) -> Result<()> {
        match self.column {
            Column::One | Column::Several => Rss::without(&self.taken()).map(std::mem::forget),
            _ => ethtool("-X", &["default"]).map(drop),
        }
    }

    /// Is the interface here, and up?
    pub fn is_up(&self) -> bool {
        sysfs("carrier").is_ok()
    }

    pub fn snapshot(&self) -> Result<Snapshot> {
        Ok(Snapshot {
            starts: self.starts()?,
            errors: self.programs.iter().map(|p| p.watch.errors()).collect(),
            carrier: carrier_changes()?,
            resets: self.resets()?,
        })
    }

    /// Times the card was reset.
    pub fn resets(&self) -> Result<u64> {
        self.nic.counts()?.port.get("resets")
    }

    /// How often each ring was started, RX rings first.
    fn starts(&self) -> Result<Vec<u64>> {
        let fd = Fd::open()?;
        let mut all = Vec::new();
        for q in self.taken() {
            all.push(rx_info(&fd, q)?.counter[counter::STARTS]);
            if self.column == Column::AllNic {
                all.push(tx_info(&fd, q)?.counter[counter::STARTS]);
            }
        }
        Ok(all)
    }

    /// Waits until each ring was started anew.
    pub fn restarted(&self, before: &Snapshot) -> Result<()> {
        eventually("the port is reset", SOON, || {
            Ok(self.resets()? > before.resets)
        })?;
        eventually("each ring starts again", SOON, || {
            let now = self.starts()?;
            Ok(now.iter().zip(&before.starts).all(|(n, b)| n > b))
        })
    }

    /// Nothing was reset, stopped or told an error.
    pub fn untouched(&self, before: &Snapshot) -> Result<()> {
        want_eq("resets of the card", self.resets()?, before.resets)?;
        want_eq("starts of the rings", self.starts()?, before.starts.clone())?;
        for (p, errors) in self.programs.iter().zip(&before.errors) {
            p.watch.undisturbed(*errors)?;
        }
        Ok(())
    }

    /// The link did not flap.
    pub fn link_kept(&self, before: &Snapshot) -> Result<()> {
        want_eq("carrier changes", carrier_changes()?, before.carrier)
    }

    /// Everyone who waits is woken, and told an error.
    pub fn all_woken(&self, before: &Snapshot) -> Result<()> {
        for (p, errors) in self.programs.iter().zip(&before.errors) {
            p.watch.woken(*errors, SOON)?;
        }
        Ok(())
    }

    /// What sync answers, of every program.
    pub fn syncs(&self, errno: i32) -> Result<()> {
        for p in &self.programs {
            want_errno("RXSYNC", p.port.fd.rxsync(), errno)?;
            if self.column == Column::AllNic {
                want_errno("TXSYNC", p.port.fd.txsync(), errno)?;
            }
        }
        Ok(())
    }

    /// State of each ring in the listing.
    pub fn states(&self, state: u32) -> Result<()> {
        let fd = Fd::open()?;
        for q in self.taken() {
            want_eq(&format!("state of {q}"), rx_info(&fd, q)?.state, state)?;
        }
        Ok(())
    }

    /// The queues are the kernel's. At once, but for a process that has just started threads: its
    /// memory, and so its mappings, may outlive it by some RCU grace periods (futex hash).
    pub fn returned(&self) -> Result<()> {
        let begin = Instant::now();
        let fd = Fd::open()?;
        eventually("the queues are the kernel's", SOON, || {
            let states = self.taken().into_iter().map(|q| Ok(rx_info(&fd, q)?.state));
            let states: Result<Vec<_>> = states.collect();
            Ok(states?.iter().all(|s| *s == Q_KERNEL))
        })?;
        println!("the queues were back after {:?}", begin.elapsed());
        Ok(())
    }

    /// Waits until frames arrive at each taken ring and at the kernel.
    pub fn flows(&self) -> Result<()> {
        let count = |p: &Program, q| {
            p.watch.frames(Some(q), STEERED + q as u16) + p.watch.frames(Some(q), OTHER_PORT)
        };
        let rings = || -> Vec<u64> {
            let each = self.programs.iter();
            each.flat_map(|p| p.queues.iter().map(move |q| count(p, *q)))
                .collect()
        };
        let (before, kernel) = (rings(), self.kernel.total());
        let grown = |now: &[u64]| now.iter().zip(&before).all(|(n, b)| *n >= b + 4);
        let arrives = eventually("frames arrive everywhere", SOON, || {
            let kernel_has = !self.kernel_receives() || self.kernel.total() >= kernel + 40;
            Ok(kernel_has && grown(&rings()))
        });
        arrives.with_context(|| {
            let kernel = (kernel, self.kernel.total());
            format!("rings {before:?} -> {:?}, kernel {kernel:?}", rings())
        })?;
        match self.column {
            Column::AllNic if !self.programs.is_empty() => self.transmits(),
            _ => Ok(()),
        }
    }

    /// A frame leaves by each TX ring.
    fn transmits(&self) -> Result<()> {
        let port = &self.programs.first().context("no program")?.port;
        let sent = || -> Result<u64> {
            let counts = self.nic.counts()?;
            let spares = (0..self.queues).map(|q| counts.txq(63 - q, "packets"));
            spares.sum()
        };
        let before = sent()?;
        for q in 0..self.queues {
            put_copy(&port.tx_ring(q)?, &outgoing(q, 100))?;
        }
        eventually("a frame leaves by each TX ring", SOON, || {
            want_ok("TXSYNC", port.fd.txsync())?;
            Ok(sent()? >= before + u64::from(self.queues))
        })
    }

    /// Ends the traffic; frames sent of each stream, the one by the hash last.
    fn silence(&mut self) -> Result<Vec<u64>> {
        let mut sent = Vec::new();
        for name in self.streams.drain(..) {
            self.nic.cmd(&format!("gen stop {name}"))?;
            let list = self.nic.cmd("gen list")?;
            let line = list.iter().find(|l| l.contains(&format!("gen {name} ")));
            let line = line.context("the generator is not listed")?;
            let n = line
                .split_whitespace()
                .find_map(|w| w.strip_prefix("sent=")?.parse::<u64>().ok());
            sent.push(n.with_context(|| format!("no count in '{line}'"))?);
        }
        Ok(sent)
    }

    /// Ends the traffic; if the kernel has all of what goes by the hash, not one of these frames
    /// may be lost.
    pub fn hush_kernel(&mut self) -> Result<()> {
        let hashed = self.silence()?.pop().context("no stream")?;
        if !matches!(self.column, Column::One | Column::Several) {
            return Ok(());
        }
        let all = eventually("the kernel gets every frame by the hash", SOON / 2, || {
            Ok(self.kernel.total() == hashed)
        });
        all.with_context(|| format!("sent {hashed}, arrived {}", self.kernel.total()))
    }

    /// Ends the traffic; with `whole`, not one frame may be lost or come twice.
    pub fn hush(&mut self, whole: bool) -> Result<()> {
        let mut sent = self.silence()?;
        if !whole {
            return Ok(());
        }
        // the last stream is the one by the hash, the others are the steered ones
        let hashed = sent.pop().context("no stream")?;
        let steered: u64 = sent.iter().sum();
        let rings = |dport| -> u64 {
            let each = self.programs.iter();
            each.map(|p| p.watch.frames(None, dport)).sum()
        };
        let got = || {
            let hashed = self.kernel.total() + rings(OTHER_PORT);
            let ports = (0..self.queues as u16).map(|q| STEERED + q);
            (hashed, ports.map(rings).sum::<u64>())
        };
        let all = eventually("every frame arrives", SOON, || {
            Ok(got() == (hashed, steered))
        });
        all.with_context(|| format!("sent {:?}, arrived {:?}", (hashed, steered), got()))
    }

    /// The programs end; the kernel receives on each queue again, and each can be taken again.
    pub fn end(mut self) -> Result<()> {
        self.rules.clear();
        for p in self.programs.drain(..) {
            p.end()?;
        }
        drop(self.rss.take());
        for i in Fd::open()?.queues(Some(&ifname()))? {
            if i.kind != KIND_PORT && (i.state != Q_KERNEL || i.pid != 0) {
                bail!(
                    "queue {} of kind {} is in state {} of process {} after the end",
                    i.queue,
                    i.kind,
                    i.state,
                    i.pid
                );
            }
        }
        // another port, as what was under way before may still arrive
        let kernel = Counter::start(OTHER_PORT + 1)?;
        let before = self.nic.counts()?;
        let gen = self.nic.generate(
            "all",
            &format!(
                "profile=flows flows={FLOWS} count={FLOWS} rate=8000 size=100 dport={} wait=1",
                OTHER_PORT + 1
            ),
        )?;
        gen.wait(SOON)?;
        let all = eventually("all of them reach the kernel", SOON, || {
            Ok(kernel.total() >= FLOWS)
        });
        all.with_context(|| format!("{} of {FLOWS}", kernel.total()))?;
        let after = self.nic.counts()?;
        for q in 0..self.queues {
            let got = after.rxq(q, "packets")? - before.rxq(q, "packets")?;
            want(&format!("queue {q} is the kernel's and receives"), got > 0)?;
        }
        want_eq("frames the kernel got", kernel.total(), FLOWS)?;
        if self.column == Column::AllNic {
            want("the kernel transmits again", peer::pings(1)? > 0)?;
        }
        drop(Port::rx(Q).context("register again")?);
        Ok(())
    }
}

/// Number of ntuple rules on the port.
pub fn rules() -> Result<usize> {
    let text = ethtool("-n", &[])?;
    Ok(text.lines().filter(|l| l.starts_with("Filter: ")).count())
}
