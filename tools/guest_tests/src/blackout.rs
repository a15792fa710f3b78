// SPDX-License-Identifier: GPL-2.0
//! What a switch costs the flow of the queue that is switched: the frames that nobody got, by
//! their sequence numbers, and who had them last. A part ([`crate::parts`]) that the bench runs,
//! and what the tests of loss at a switch are made of.
//!
//! Each queue gets one flow, which goes to a socket while the kernel has the queue and to the ring
//! while the program has it. A frame that neither got was dropped by the card, which says so, or
//! was in netmap's ring when the queue was given back.

use crate::abi::*;
use crate::fd::one_rx;
use crate::frame::{mark, parse_udp};
use crate::mem::Ring;
use crate::nic::{CardCounts, Nic};
use crate::port::Port;
use crate::sock;
use crate::steer::{ifname, Rss, Rule};
use anyhow::{bail, ensure, Context, Result};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// UDP port of the first queue's flow.
const FIRST_PORT: u16 = 7200;
/// How long each side has the queues between two switches.
const REST: Duration = Duration::from_millis(60);

/// Who got a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum By {
    Kernel,
    Program,
}

/// One switch of one queue.
#[derive(Clone, Copy, Debug)]
pub struct Switch {
    pub attach: bool,
    pub queue: u32,
    /// Frames that nobody got.
    pub lost: u64,
    /// How long the system call took, in microseconds.
    pub took: u64,
}

/// All switches of a run, and what the card dropped on the queues in all attaches, and in all
/// detaches.
pub struct Outcome {
    pub switches: Vec<Switch>,
    pub dropped_attaching: u64,
    pub dropped_detaching: u64,
}

/// Frames a flow's socket got, until it is told to stop.
struct Socket {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Vec<u64>>>,
}

impl Socket {
    fn open(dport: u16) -> Result<Socket> {
        let socket = sock::bind(dport)?;
        let stop = Arc::new(AtomicBool::new(false));
        let until = stop.clone();
        let thread = std::thread::spawn(move || {
            let (mut seen, mut buf) = (Vec::new(), [0; 2048]);
            loop {
                match socket.recv(&mut buf) {
                    Ok(n) => seen.push(mark(&buf[..n]).context("no mark")?.seq),
                    Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                        if until.load(Ordering::Relaxed) {
                            return Ok(seen);
                        }
                    }
                    Err(e) => return Err(e.into()),
                }
            }
        });
        Ok(Socket { stop, thread })
    }

    /// All it got, once no more comes.
    fn close(self) -> Result<Vec<u64>> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(seen) => seen,
            Err(_) => bail!("a receiving thread died"),
        }
    }
}

/// Attaches and detaches `queues` one after the other, `rounds` times, with `rate` frames per
/// second on each.
pub fn measure(nic: &Nic, queues: &[u32], rate: u32, rounds: u32) -> Result<Outcome> {
    let _rss = Rss::without(queues)?;
    let port = |q: u32| FIRST_PORT + q as u16;
    let mut rules = Vec::new();
    let mut sockets = Vec::new();
    for q in queues {
        rules.push(Rule::udp(port(*q), *q)?);
        sockets.push(Socket::open(port(*q))?);
    }
    let mut flows = Vec::new();
    for q in queues {
        flows.push(nic.generate(
            &format!("switch{q}"),
            &format!(
                "profile=udp rate={rate} burst=64 size=60 dport={}",
                port(*q)
            ),
        )?);
    }
    std::thread::sleep(REST);
    let mut run = Run::new(nic, queues)?;
    for _ in 0..rounds {
        run.attach_all()?;
        run.receive_for(REST)?;
        run.detach_all()?;
        std::thread::sleep(REST);
    }
    for flow in &flows {
        flow.stop()?;
    }
    drop(run.port);
    let mut outcome = Outcome {
        switches: Vec::new(),
        dropped_attaching: run.dropped[0],
        dropped_detaching: run.dropped[1],
    };
    for ((q, socket), in_ring) in queues.iter().zip(sockets).zip(run.seen) {
        let lost = losses(&socket.close()?, &in_ring).with_context(|| format!("queue {q}"))?;
        ensure!(
            lost.len() == 2 * rounds as usize,
            "queue {q}: {} changes of hands seen, there were {}",
            lost.len(),
            2 * rounds
        );
        let times = run.took.iter().filter(|t| t.0 == *q);
        for ((attach, lost), time) in lost.into_iter().zip(times) {
            outcome.switches.push(Switch {
                attach,
                queue: *q,
                lost,
                took: time.1,
            });
        }
    }
    Ok(outcome)
}

/// The program's side.
struct Run<'a> {
    nic: &'a Nic,
    port: Port,
    queues: &'a [u32],
    /// Sequence numbers each ring has brought.
    seen: Vec<Vec<u64>>,
    /// How long each switch took, in order.
    took: Vec<(u32, u64)>,
    /// By the card on these queues: while attaching, while detaching.
    dropped: [u64; 2],
}

impl<'a> Run<'a> {
    fn new(nic: &'a Nic, queues: &'a [u32]) -> Result<Self> {
        let none = Register {
            flags: RX_ONLY | NO_RINGS,
            ..one_rx(0)
        };
        Ok(Run {
            nic,
            port: Port::open(&ifname(), none)?,
            queues,
            seen: vec![Vec::new(); queues.len()],
            took: Vec::new(),
            dropped: [0; 2],
        })
    }

    fn drops(&self, counts: &CardCounts) -> Result<u64> {
        let mut sum = 0;
        for q in self.queues {
            sum += counts.rxq(*q, "drop_disabled")? + counts.rxq(*q, "drop_nodesc")?;
        }
        Ok(sum)
    }

    fn attach_all(&mut self) -> Result<()> {
        let before = self.drops(&self.nic.counts()?)?;
        for q in self.queues {
            let start = Instant::now();
            self.port.fd.qadd(*q).context("QADD")?;
            self.took.push((*q, start.elapsed().as_micros() as u64));
            self.take()?;
        }
        self.dropped[0] += self.drops(&self.nic.counts()?)? - before;
        Ok(())
    }

    fn detach_all(&mut self) -> Result<()> {
        let before = self.drops(&self.nic.counts()?)?;
        for q in self.queues {
            self.take()?;
            let start = Instant::now();
            self.port.fd.qdel(*q).context("QDEL")?;
            self.took.push((*q, start.elapsed().as_micros() as u64));
        }
        self.dropped[1] += self.drops(&self.nic.counts()?)? - before;
        Ok(())
    }

    fn receive_for(&mut self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.port.fd.poll(libc::POLLIN, Duration::from_millis(5))?;
            self.take()?;
        }
        Ok(())
    }

    /// Takes what all rings hold.
    fn take(&mut self) -> Result<()> {
        self.port.fd.rxsync().context("RXSYNC")?;
        for (q, seen) in self.queues.iter().zip(&mut self.seen) {
            // Queues that are not attached (yet, or any more) have no ring.
            let ring: Option<Ring> = self.port.nif.rx(*q);
            for frame in ring.map(|r| r.take()).unwrap_or_default() {
                if let Some(m) = parse_udp(&frame).and_then(|u| mark(u.payload)) {
                    seen.push(m.seq);
                }
            }
        }
        Ok(())
    }
}

/// What was lost at each change of hands, in order; true: the program's from then on. No frame may
/// be missing elsewhere, or come twice.
fn losses(kernel: &[u64], program: &[u64]) -> Result<Vec<(bool, u64)>> {
    let mut got = BTreeMap::new();
    let all = [(kernel, By::Kernel), (program, By::Program)];
    for (seqs, by) in all {
        for seq in seqs {
            if let Some(other) = got.insert(*seq, by) {
                bail!("frame {seq} came twice: to the {by:?} and the {other:?}");
            }
        }
    }
    let mut list = Vec::new();
    for ((a, had), (b, has)) in got.iter().zip(got.iter().skip(1)) {
        let missing = b - a - 1;
        if had != has {
            list.push((*has == By::Program, missing));
        } else if missing > 0 {
            bail!("{missing} frames after {a} are missing, though the {has:?} had the queue");
        }
    }
    Ok(list)
}

/// The part: prints a line per switch, then the sums.
pub fn print(first: u32, queues: u32, rate: u32, rounds: u32) -> Result<()> {
    let nic = Nic::open()?;
    let queues: Vec<u32> = (first..first + queues).collect();
    let outcome = measure(&nic, &queues, rate, rounds)?;
    for s in &outcome.switches {
        let what = if s.attach { "attach" } else { "detach" };
        println!("{what} queue={} lost={} took={}", s.queue, s.lost, s.took);
    }
    println!(
        "dropped attaching={} detaching={}",
        outcome.dropped_attaching, outcome.dropped_detaching
    );
    Ok(())
}
