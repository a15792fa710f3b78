// SPDX-License-Identifier: GPL-2.0
//! One run: take the queues in the lossless order, report, take orders from nmq,
//! and give everything back.

use crate::cli::Args;
use crate::notify;
use crate::report::Report;
use crate::signals::{self, Signals};
use crate::stats::Stats;
use crate::steer::ethtool::Nic;
use crate::steer::state::Store;
use crate::steer::{recover, Steering};
use crate::verdict::Rules;
use crate::worker::Worker;
use anyhow::{anyhow, bail, Context, Result};
use netmap::control::{self, Request, Server};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is on the wire or in the card when a rule goes, has arrived after this.
const SETTLE: Duration = Duration::from_millis(20);

/// How long it takes at most until rules are back on an interface that is up again.
const LOOK: Duration = Duration::from_millis(200);

/// The queues and what goes with them.
struct Session {
    ifname: String,
    workers: Vec<Worker>,
    steering: Option<Steering<Nic>>,
}

/// Run until a signal comes or the time is over.
pub fn run(args: &Args, rules: Rules) -> Result<()> {
    let rules = Arc::new(rules);
    let signals = Signals::block()?;
    let store = match tidy() {
        Ok(store) => Some(store),
        // Somebody who may only use the device: nothing of ours is to be undone.
        Err(e) if args.steer.is_empty() && forbidden(&e) => None,
        Err(e) => return Err(e),
    };
    let mut report = Report::new(&args.ifname, args.json.as_deref())?;
    let stats = Stats::default();
    let mut session = Session {
        ifname: args.ifname.clone(),
        workers: Vec::new(),
        steering: match store {
            Some(store) if !args.steer.is_empty() => Some(Steering::new(
                Nic::new(&args.ifname)?,
                store,
                &args.ifname,
                args.steer.clone(),
                args.enable_ntuple,
            )?),
            _ => None,
        },
    };
    if let Err(e) = session.begin(args, &rules, &stats, &mut report) {
        if let Err(e) = session.end() {
            eprintln!("[!] {e:#}");
        }
        return Err(e);
    }
    let server = Server::bind(&control::path(&args.ifname, std::process::id()))
        .inspect_err(|e| eprintln!("[!] no control socket, nmq cannot add queues: {e}"))
        .ok();
    notify::ready(&format!("{} {}", args.ifname, rules.describe()));
    let done = session.serve(args, &signals, server.as_ref(), &stats, &mut report);
    notify::stopping();
    let ended = session.end();
    // A reader that went away is no reason to fail once all is given back.
    let said = report.summary(&stats.snapshot()).or_else(broken_pipe);
    done.and(ended).and(said.map_err(Into::into))
}

/// Undo what killed runs left behind.
fn tidy() -> Result<Store> {
    let store = Store::new(Path::new(control::DIRECTORY))?;
    for line in recover(&store, Nic::new)? {
        eprintln!("[!] {line}");
    }
    control::remove_stale().with_context(|| control::DIRECTORY.to_string())?;
    Ok(store)
}

fn forbidden(e: &anyhow::Error) -> bool {
    e.downcast_ref::<io::Error>()
        .is_some_and(|e| e.kind() == io::ErrorKind::PermissionDenied)
}

fn broken_pipe(e: io::Error) -> io::Result<()> {
    match e.kind() {
        io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(e),
    }
}

impl Session {
    /// Hash, queues, rules: in this order nothing is lost.
    fn begin(
        &mut self,
        args: &Args,
        rules: &Arc<Rules>,
        stats: &Stats,
        report: &mut Report,
    ) -> Result<()> {
        if let Some(s) = &mut self.steering {
            s.exclude(&args.queues)?;
        }
        for share in args.shares() {
            let worker = Worker::start(&args.ifname, &share, rules.clone(), stats, args.busy)?;
            self.workers.push(worker);
        }
        for q in &args.queues {
            report.say(&format!(
                "[+] starting on interface {} ring {q}",
                args.ifname
            ))?;
        }
        if let Some(s) = &mut self.steering {
            s.insert(&args.queues)?;
            for rule in s.rules_in() {
                report.say(&format!("[+] steering {} (rule {})", rule.flow, rule.place))?;
            }
        }
        report.say(&format!("[+] {}", rules.describe()))?;
        report.start();
        Ok(())
    }

    /// Lines, orders, signals.
    fn serve(
        &mut self,
        args: &Args,
        signals: &Signals,
        server: Option<&Server>,
        stats: &Stats,
        report: &mut Report,
    ) -> Result<()> {
        let end = args.duration.map(|d| Instant::now() + d);
        let mut next = Instant::now() + args.interval;
        loop {
            let until = end.map_or(next, |e| e.min(next));
            let left = until.saturating_duration_since(Instant::now()).min(LOOK);
            let socket = server.map(AsFd::as_fd);
            let [ended, asked] = signals::wait(signals.as_fd(), socket, left)?;
            if ended {
                return Ok(());
            }
            if let (true, Some(server)) = (asked, server) {
                let served = server.handle(|r| self.order(r).map_err(|e| format!("{e:#}")));
                if let Err(e) = served {
                    eprintln!("[!] control socket: {e}");
                }
            }
            self.renew(report)?;
            let now = Instant::now();
            if now >= next {
                // After a stop (SIGSTOP, a suspended VM) do not catch up.
                next = (next + args.interval).max(now);
                match report.interval(&stats.snapshot()) {
                    Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                    r => r.context("output")?,
                }
                if let Some(i) = self.workers.iter().position(Worker::ended) {
                    self.workers.swap_remove(i).stop()?;
                    bail!("{}: a worker has ended", self.ifname);
                }
            }
            if end.is_some_and(|e| now >= e) {
                return Ok(());
            }
        }
    }

    /// Drivers forget their rules while the interface is down.
    fn renew(&mut self, report: &Report) -> Result<()> {
        // Every worker is asked, or the next round would begin again.
        let came_up = self.workers.iter().filter(|w| w.came_up()).count() != 0;
        let Some(s) = self.steering.as_mut().filter(|_| came_up) else {
            return Ok(());
        };
        let name = &self.ifname;
        match s.renew() {
            Ok(places) => {
                for place in places {
                    let text = format!("[+] {name}: rule {place} set again");
                    report.say(&text).or_else(broken_pipe)?;
                }
            }
            Err(e) => eprintln!("[!] {name} is steered no longer: {e:#}"),
        }
        Ok(())
    }

    /// An order of nmq.
    fn order(&mut self, request: Request) -> Result<()> {
        match request {
            Request::Add(q) => {
                if self.workers.iter().any(|w| w.queues.contains(&q)) {
                    bail!("{} queue {q} is taken by this program already", self.ifname);
                }
                if let Some(s) = &mut self.steering {
                    s.exclude(&[q])?;
                }
                let worker = self.workers.iter_mut().min_by_key(|w| w.queues.len());
                let added = worker
                    .ok_or_else(|| anyhow!("no worker is left"))
                    .and_then(|w| w.add(q));
                match (&mut self.steering, &added) {
                    (Some(s), Ok(())) => s.insert(&[q])?,
                    (Some(s), Err(_)) => s.include(&[q])?,
                    (None, _) => {}
                }
                added
            }
            Request::Remove(q) => {
                let worker = self
                    .workers
                    .iter_mut()
                    .find(|w| w.queues.contains(&q))
                    .ok_or_else(|| anyhow!("{} queue {q} is not this program's", self.ifname))?;
                if let Some(s) = &mut self.steering {
                    s.withdraw(&[q])?;
                    std::thread::sleep(SETTLE);
                }
                worker.remove(q)?;
                match &mut self.steering {
                    Some(s) => s.include(&[q]),
                    None => Ok(()),
                }
            }
        }
    }

    /// Rules, queues, hash: everything back, also after an error. The first error
    /// is returned, the others are printed.
    fn end(mut self) -> Result<()> {
        let mut first = Ok(());
        let mut note = |r: Result<()>| match (r, &first) {
            (Err(e), Ok(())) => first = Err(e),
            (Err(e), Err(_)) => eprintln!("[!] {e:#}"),
            (Ok(()), _) => {}
        };
        if let Some(s) = &mut self.steering {
            let queues: Vec<u16> = self.workers.iter().flat_map(|w| w.queues.clone()).collect();
            if s.rules_in().next().is_some() {
                note(s.withdraw(&queues));
                std::thread::sleep(SETTLE);
            }
        }
        for worker in self.workers.drain(..) {
            note(worker.stop());
        }
        if let Some(s) = &mut self.steering {
            note(s.finish().map(|stuck| {
                for q in stuck {
                    let name = &self.ifname;
                    eprintln!(
                        "[!] {name} queue {q} did not stop: RSS leaves it out until the port is \
                         reset ('ip link set {name} down', then up)"
                    );
                }
            }));
        }
        first
    }
}
