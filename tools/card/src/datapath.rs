// SPDX-License-Identifier: GPL-2.0
//! The data path: the one thread that moves frames. It takes frames from the tap and from
//! generators to the rings, frames from the transmit rings to the tap, and interrupts that waited
//! for their throttle. With nothing to do it sleeps.

use std::os::fd::RawFd;
use std::sync::{Arc, PoisonError};

use crate::rx::{MAX_FRAME, MIN_FRAME};
use crate::shared::{Running, Shared};
use crate::wire::tap::Tap;
use crate::wire::Outbox;

/// Frames per turn of the lock.
const BATCH: u64 = 32;
/// Frames read from the tap per round.
const INBOX: usize = 64;
/// Transmit packets per round.
const TX_BUDGET: usize = 64;
/// How long to stay away from a tap that only reports errors.
const TAP_REST: u64 = 100_000_000;

/// Frames from the tap that wait for the card's lock.
struct Inbox {
    bytes: Vec<u8>,
    lens: Vec<usize>,
}

impl Inbox {
    fn fill(&mut self, tap: &Tap) {
        self.lens.clear();
        while self.lens.len() < INBOX {
            let at = self.lens.len() * MAX_FRAME;
            let slot = &mut self.bytes[at..at + MAX_FRAME];
            let Some(n) = tap.read(slot) else { break };
            // A real wire carries no shorter frames.
            if n < MIN_FRAME {
                slot[n..MIN_FRAME].fill(0);
            }
            self.lens.push(n.max(MIN_FRAME));
        }
    }

    fn frames(&self) -> impl Iterator<Item = &[u8]> {
        self.lens
            .iter()
            .enumerate()
            .map(|(i, &n)| &self.bytes[i * MAX_FRAME..i * MAX_FRAME + n])
    }
}

/// The thread's state.
pub struct DataPath {
    shared: Arc<Shared>,
    inbox: Inbox,
    out: Outbox,
    tap_rest: u64,
}

impl DataPath {
    pub fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            inbox: Inbox {
                bytes: vec![0; INBOX * MAX_FRAME],
                lens: Vec::with_capacity(INBOX),
            },
            out: Outbox::default(),
            tap_rest: 0,
        }
    }

    /// Runs for ever.
    pub fn run(mut self) -> ! {
        loop {
            let gen_wake = self.generate();
            let full = self.wire_in();
            let more = self.card_round();
            self.wire_out();
            if !full && !more {
                self.sleep(gen_wake);
            }
        }
    }

    /// Lets every generator send what is due; returns when the next one is.
    fn generate(&mut self) -> Option<u64> {
        let shared = &self.shared;
        let mut gens = shared.gens.polite();
        let mut wake: Option<u64> = None;
        for run in gens.iter_mut() {
            let mut due = run.gen.due(shared.now());
            while due > 0 && run.gen.running {
                let n = due.min(BATCH);
                burst(shared, run, n);
                due -= n;
                if run.gen.blocked() {
                    break;
                }
            }
            if let Some(t) = run.gen.next_wake(shared.now()) {
                wake = Some(wake.map_or(t, |w| w.min(t)));
            }
        }
        wake
    }

    /// Reads the tap; true if there may be more.
    fn wire_in(&mut self) -> bool {
        let Some(tap) = &self.shared.tap else {
            return false;
        };
        self.inbox.fill(tap);
        self.inbox.lens.len() == INBOX
    }

    /// One turn with the card; true if there is more to do at once.
    fn card_round(&mut self) -> bool {
        let mut card = self.shared.card.polite();
        let now = self.shared.now();
        card.tick(now);
        card.pulse(now);
        card.drain(TX_BUDGET, now);
        for f in self.inbox.frames() {
            card.receive(f);
        }
        self.inbox.lens.clear();
        card.after_rx(now);
        card.transmit(TX_BUDGET, &mut self.out, now);
        card.has_work()
    }

    fn wire_out(&mut self) {
        if self.out.is_empty() {
            return;
        }
        let mut log = self
            .shared
            .txlog
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for f in self.out.frames() {
            log.note(f);
            if let Some(tap) = &self.shared.tap {
                tap.write(f);
            }
        }
        drop(log);
        self.out.clear();
    }

    fn sleep(&mut self, gen_wake: Option<u64>) {
        let bell = &self.shared.bell;
        bell.lie_down();
        let card = self.shared.card.polite();
        let mut until = gen_wake.unwrap_or(u64::MAX);
        for t in [card.irq_due, card.pulse_due].into_iter().flatten() {
            until = until.min(t);
        }
        if card.has_work() {
            until = 0;
        }
        bell.plan(until);
        drop(card);
        let now = self.shared.now();
        let tap = match &self.shared.tap {
            Some(tap) if now >= self.tap_rest => tap.fd(),
            Some(_) => {
                until = until.min(self.tap_rest);
                -1
            }
            None => -1,
        };
        if until > now && poll(bell.fd(), tap, until - now) {
            self.tap_rest = now + TAP_REST;
        }
        bell.get_up();
    }
}

/// One batch of a generator, under one turn of the lock.
fn burst(shared: &Shared, run: &mut Running, n: u64) {
    let mut card = shared.card.polite();
    card.tick(shared.now());
    if run.gen.wait {
        run.gen
            .send(n, &mut run.again, |f| card.receive_if_ready(f));
    } else {
        run.gen.send(n, &mut run.again, |f| {
            card.receive(f);
            true
        });
    }
    card.after_rx(shared.now());
}

/// Waits for the bell, the tap or the time; true if the tap only reports an error.
fn poll(bell: RawFd, tap: RawFd, ns: u64) -> bool {
    let want = |fd| libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    };
    let mut fds = [want(bell), want(tap)];
    let ts = libc::timespec {
        tv_sec: (ns / 1_000_000_000) as libc::time_t,
        tv_nsec: (ns % 1_000_000_000) as libc::c_long,
    };
    let ts = if ns > 1 << 50 {
        std::ptr::null()
    } else {
        &ts as *const _
    };
    // SAFETY: two valid pollfds; the timeout is null or outlives the call; no signal mask.
    unsafe { libc::ppoll(fds.as_mut_ptr(), 2, ts, std::ptr::null()) };
    let got = fds[1].revents;
    got & (libc::POLLERR | libc::POLLHUP | libc::POLLNVAL) != 0 && got & libc::POLLIN == 0
}

/// Makes the calling thread quick to wake, as hardware is: a fine timer and, where allowed, a
/// high priority.
pub fn quicken() {
    // SAFETY: plain system calls on the calling thread without pointers; failure is harmless.
    unsafe {
        libc::prctl(libc::PR_SET_TIMERSLACK, 1000, 0, 0, 0);
        let tid = libc::syscall(libc::SYS_gettid) as libc::id_t;
        libc::setpriority(libc::PRIO_PROCESS, tid, -10);
    }
}
