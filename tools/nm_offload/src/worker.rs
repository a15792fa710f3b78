// SPDX-License-Identifier: GPL-2.0
//! A worker: one thread, one open port, the queues it was given.
//!
//! It waits in `poll`, which also pushes what was put back before and returns
//! released slots to the NIC: one system call per round over all its queues.

use crate::filter::Filter;
use crate::stats::{Counts, QueueStats, Stats};
use crate::verdict::{Rules, Verdict};
use anyhow::{anyhow, Context, Result};
use netmap::{Port, Slots, Tally, TxRing};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a quiet worker sleeps before it looks for orders.
const NAP: Duration = Duration::from_millis(200);
/// How long it waits while the interface is down.
const DOWN: Duration = Duration::from_millis(100);
/// Rounds without a sleep to empty the rings at the end.
const LAST_ROUNDS: usize = 64;

/// Orders of the main thread; the answer comes through the sender.
enum Order {
    Add(u16, Sender<Answer>),
    Remove(u16, Sender<Answer>),
    Stop,
}

/// How it went, and the queues the worker has now: one that the hardware did not
/// give back is not among them, though giving it back has failed.
type Answer = (Result<()>, Vec<u16>);

/// The main thread's handle of a worker.
pub struct Worker {
    orders: Sender<Order>,
    waiting: Arc<AtomicBool>,
    came_up: Arc<AtomicBool>,
    thread: JoinHandle<Result<()>>,
    /// Queues it has.
    pub queues: Vec<u16>,
}

impl Worker {
    /// Open `ifname`, take `queues` and start. The queues are taken when this
    /// returns; on an error none is.
    pub fn start(
        ifname: &str,
        queues: &[u16],
        rules: Arc<Rules>,
        stats: &Stats,
        busy: bool,
    ) -> Result<Self> {
        // What is put back is said to come from the queue in the name.
        let name = match queues.first() {
            Some(q) => format!("netmap:{ifname}~{q}"),
            None => format!("netmap:{ifname}~"),
        };
        let mut port = Port::open(&name)?;
        for q in queues.iter().skip(1) {
            port.add_queue(*q)?;
        }
        let served = queues.iter().map(|q| (*q, stats.queue(*q))).collect();
        let (orders, inbox) = mpsc::channel();
        let waiting = Arc::new(AtomicBool::new(false));
        let came_up = Arc::new(AtomicBool::new(false));
        let run = Run {
            port,
            queues: served,
            rules,
            stats: stats.clone(),
            inbox,
            waiting: waiting.clone(),
            came_up: came_up.clone(),
            busy,
            down: false,
        };
        let thread = std::thread::Builder::new()
            .name(format!("{ifname}~"))
            .spawn(|| run.run())
            .context("starting a thread")?;
        Ok(Self {
            orders,
            waiting,
            came_up,
            thread,
            queues: queues.to_vec(),
        })
    }

    /// Has it ended, which it does by itself only with an error?
    pub fn ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Was the interface down, and is it up again since the last call?
    pub fn came_up(&self) -> bool {
        self.came_up.swap(false, Ordering::Relaxed)
    }

    /// Take one more queue.
    pub fn add(&mut self, queue: u16) -> Result<()> {
        self.order(|answer| Order::Add(queue, answer))
    }

    /// Give a queue back.
    pub fn remove(&mut self, queue: u16) -> Result<()> {
        self.order(|answer| Order::Remove(queue, answer))
    }

    fn order(&mut self, make: impl FnOnce(Sender<Answer>) -> Order) -> Result<()> {
        let (answer, wait) = mpsc::channel();
        self.send(make(answer));
        let (done, queues) = wait.recv().map_err(|_| anyhow!("the worker has ended"))?;
        self.queues = queues;
        done
    }

    fn send(&self, order: Order) {
        // A worker that has ended drops the channel; order() notices.
        let _ = self.orders.send(order);
        self.waiting.store(true, Ordering::Release);
    }

    /// Empty the rings, give the queues back, end.
    pub fn stop(self) -> Result<()> {
        self.send(Order::Stop);
        self.thread
            .join()
            .map_err(|_| anyhow!("a worker panicked"))?
    }
}

/// The worker's own side.
struct Run {
    port: Port,
    queues: Vec<(u16, Arc<QueueStats>)>,
    rules: Arc<Rules>,
    stats: Stats,
    inbox: Receiver<Order>,
    waiting: Arc<AtomicBool>,
    came_up: Arc<AtomicBool>,
    busy: bool,
    down: bool,
}

impl Run {
    fn run(mut self) -> Result<()> {
        while !self.waiting.swap(false, Ordering::Acquire) || self.orders() {
            self.round(NAP)?;
        }
        for _ in 0..LAST_ROUNDS {
            match self.round(Duration::ZERO) {
                Ok(0) => break,
                Ok(_) => {}
                // Down or gone: nothing comes from there any more.
                Err(_) => break,
            }
        }
        Ok(())
    }

    /// Carry out what was ordered; false to stop.
    fn orders(&mut self) -> bool {
        while let Ok(order) = self.inbox.try_recv() {
            match order {
                Order::Add(q, answer) => {
                    let r = self.port.add_queue(q);
                    if r.is_ok() {
                        self.queues.push((q, self.stats.queue(q)));
                    }
                    let _ = answer.send((r.map_err(Into::into), self.bound()));
                }
                Order::Remove(q, answer) => {
                    // What is in the ring is still judged.
                    let _ = self.round(Duration::ZERO);
                    let r = self.port.remove_queue(q);
                    // Also after an error: its ring may be gone all the same.
                    let bound = self.bound();
                    self.queues.retain(|(x, _)| bound.contains(x));
                    let _ = answer.send((r.map_err(Into::into), bound));
                }
                Order::Stop => return false,
            }
        }
        true
    }

    fn bound(&self) -> Vec<u16> {
        self.port.queues().collect()
    }

    /// Wait for packets, then deal with all there are; how many that were.
    fn round(&mut self, timeout: Duration) -> Result<u64> {
        let synced = if self.busy {
            self.port.rxsync().and_then(|()| self.port.txsync())
        } else {
            self.port.wait(Some(timeout)).map(|_| ())
        };
        match synced {
            Ok(()) if self.down => {
                self.down = false;
                eprintln!("[+] {} is up again", self.port.ifname());
                self.came_up.store(true, Ordering::Relaxed);
            }
            Ok(()) => {}
            Err(e) if e.is_down() => {
                if !self.down {
                    self.down = true;
                    eprintln!("[!] {e}; waiting for it");
                }
                std::thread::sleep(DOWN.min(timeout));
                return Ok(0);
            }
            Err(e) => return Err(e.into()),
        }
        let mut n = 0;
        for (queue, stats) in &self.queues {
            let counts = match drain(&self.port, *queue, &self.rules) {
                // The next round waits for it.
                Err(e) if e.is_down() => break,
                r => r?,
            };
            if counts.packets != 0 {
                stats.add(counts);
                n += counts.packets;
            }
        }
        Ok(n)
    }
}

/// Judge everything that is in the ring of `queue`.
fn drain(port: &Port, queue: u16, rules: &Rules) -> netmap::Result<Counts> {
    let mut rx = port.rx_ring(queue)?;
    let mut counts = Counts::default();
    let mut batch = rx.acquire();
    if batch.is_empty() {
        return Ok(counts);
    }
    let constant = rules.constant();
    if constant == Some(Verdict::Drop) {
        (counts.packets, counts.bytes) = batch.slots().count();
        counts.dropped = counts.packets;
        return Ok(counts);
    }
    let mut host = port.host_tx_ring()?;
    loop {
        let mut slots = batch.slots();
        let tally = match (constant, rules.single()) {
            (Some(_), _) => forward_all(&mut host, &mut slots),
            (None, Some((filter, puts_back))) => {
                forward_single(&mut host, &mut slots, filter, puts_back)
            }
            (None, None) => forward_judged(&mut host, &mut slots, rules),
        };
        counts.packets += tally.packets;
        counts.bytes += tally.bytes;
        counts.passed += tally.forwarded;
        counts.dropped += tally.packets - tally.forwarded;
        let Some(waiting) = slots.peek_packet() else {
            return Ok(counts);
        };
        // The host ring has no room for the next packet: push what is there.
        host.publish();
        port.txsync()?;
        host.refresh();
        if host.space() < waiting.slots as usize {
            // The stack takes nothing: drop a packet rather than stall the ring.
            slots.by_ref().take(waiting.slots as usize).for_each(drop);
            counts.packets += 1;
            counts.bytes += u64::from(waiting.bytes);
            counts.lost += 1;
        }
    }
}

// The loops over packets, each a function of its own so that it has the registers to
// itself, and with nothing in it that is constant for a batch.

#[inline(never)]
fn forward_all(host: &mut TxRing<'_>, slots: &mut Slots<'_>) -> Tally {
    host.forward_where(slots, |_, _| true)
}

#[inline(never)]
fn forward_single(
    host: &mut TxRing<'_>,
    slots: &mut Slots<'_>,
    filter: &Filter,
    puts_back: bool,
) -> Tally {
    host.forward_where(slots, |slot, len| {
        filter.matches(slot.payload(), len) == puts_back
    })
}

#[inline(never)]
fn forward_judged(host: &mut TxRing<'_>, slots: &mut Slots<'_>, rules: &Rules) -> Tally {
    host.forward_where(slots, |slot, len| {
        rules.judge(slot.payload(), len) == Verdict::Pass
    })
}
