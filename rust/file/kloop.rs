// SPDX-License-Identifier: GPL-2.0

//! Kernel loops: a thread that stays in an ioctl and syncs an fd's rings, so that the program's
//! other threads need no system call.
//!
//! The rings' pointers are in a CSB ([`super::csb`]). Between two rounds the loop sleeps as long as
//! it was told, or, with eventfds, until the program or a ring has news. No lock is held while it
//! loops; what it needs of the fd cannot change as long as the ioctl lasts.
//!
//! Netmap can also sync in the context of whoever signals an eventfd (the *direct* modes). That
//! saves a wake-up but allows only what may be done with interrupts off. Here the loop does the
//! sync, which the program cannot tell apart.

use kernel::error::Result;
use kernel::fs;
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};
use kernel::sync::{new_condvar, new_mutex, CondVar, Mutex};

use super::csb::{Csb, Entry};
use super::options::Options;
use super::File;
use crate::kring::Sync;
use crate::os::eventfd::{yield_now, EventFd, Sleeper};
use crate::os::full_barrier;
use crate::port::Port;
use crate::uapi::ctrl::KloopStart;
use crate::uapi::opt::{self, KloopMode};

/// Longest time between two rounds that a program can ask for.
const MAX_SLEEP_US: u32 = 1_000_000;
/// A stop is seen after this at the latest.
const STOP_US: u64 = 10_000;
/// Eventfds: a round at least so often, whoever may have forgotten to kick.
const IDLE_US: u64 = 1_000_000;

/// Whether an fd has a kernel loop.
#[pin_data]
pub(super) struct Kloop {
    #[pin]
    now: Mutex<Now>,
    #[pin]
    ended: CondVar,
    /// It is to end; if there is none, the next ends at once, because a program cannot know
    /// whether the thread it has started is in the loop yet.
    stopping: Atomic<u32>,
}

/// What a stop waits for.
struct Now {
    running: bool,
    /// Loops that have ended so far: the next may begin before who waits for this one has seen
    /// that there was none.
    ended: u64,
}

/// A loop that runs; ends on drop.
struct Running<'a>(&'a Kloop);

impl Kloop {
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Kloop {
            now <- new_mutex!(Now { running: false, ended: 0 }, "netmap::Kloop::now"),
            ended <- new_condvar!("netmap::Kloop::ended"),
            stopping: Atomic::new(0),
        })
    }

    fn begin(&self) -> Result<Running<'_>> {
        let mut now = self.now.lock();
        if now.running {
            return Err(EBUSY);
        }
        now.running = true;
        Ok(Running(self))
    }

    /// Is there a loop?
    pub(super) fn is_running(&self) -> bool {
        self.now.lock().running
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut now = self.0.now.lock();
        now.running = false;
        now.ended = now.ended.wrapping_add(1);
        self.0.stopping.store(0, Relaxed);
        self.0.ended.notify_all();
    }
}

/// A ring in the loop.
struct Lane<'a> {
    entry: &'a Entry,
    /// Signalled when the program has been told something.
    irq: Option<EventFd>,
    /// The program's `head` in the last round.
    seen: u32,
    /// What the program was told last.
    told: (u32, u32),
}

impl<'a> Lane<'a> {
    fn all(csb: &'a Csb) -> Result<KVec<Self>> {
        let mut lanes = KVec::with_capacity(csb.entries.len(), GFP_KERNEL)?;
        for entry in &csb.entries {
            let told = entry.indices();
            let lane = Lane {
                entry,
                irq: None,
                seen: told.0,
                told,
            };
            lanes.push(lane, GFP_KERNEL)?;
        }
        Ok(lanes)
    }

    /// Syncs the ring. True: something has moved.
    fn round(&mut self, port: &Port) -> Result<bool> {
        let p = self.entry.pointers()?;
        let (outcome, hwcur, hwtail) = self.entry.sync(port, p);
        if outcome == Sync::Gone {
            return Err(ENXIO);
        }
        self.seen = p.head;
        if (hwcur, hwtail) == self.told {
            return Ok(false);
        }
        let news = hwtail != self.told.1;
        self.told = (hwcur, hwtail);
        self.entry.tell(hwcur, hwtail)?;
        match &self.irq {
            Some(irq) if news && self.entry.wants_kick()? => irq.signal(),
            _ => (),
        }
        Ok(true)
    }

    /// Has the program moved on since the last round?
    fn waits(&self) -> Result<bool> {
        Ok(self.entry.pointers()?.head != self.seen)
    }
}

impl File {
    /// SYNC_KLOOP_START: returns when the loop has ended.
    ///
    /// # Errors
    ///
    /// EINVAL: too long a sleep, no CSB, an unknown mode, not as many eventfds as rings. ENXIO: the
    /// fd is not registered, or the interface goes away. EBUSY: there is a loop. EBADF: a
    /// descriptor that is not open. EFAULT: the CSB went away. EINTR: a signal came. ENOMEM.
    pub(super) fn kloop_start(
        &self,
        file: &fs::File,
        req: &KloopStart,
        options: &mut Options,
    ) -> Result {
        if req.sleep_us > MAX_SLEEP_US {
            return Err(EINVAL);
        }
        let csb = {
            let state = self.state.lock();
            let reg = state.as_ref().ok_or(ENXIO)?;
            reg.csb.clone().ok_or(EINVAL)?
        };
        let running = self.kloop.begin()?;
        options.honour(|mode: &mut KloopMode| match mode.mode & !KloopMode::ALL {
            0 => Ok(()),
            _ => Err(EINVAL),
        })?;
        let mut lanes = Lane::all(&csb)?;
        let mut sleeper = Sleeper::new()?;
        let eventfds = options.honour(|list: &mut KVec<opt::EventFds>| {
            if list.len() != lanes.len() {
                return Err(EINVAL);
            }
            for (lane, fds) in lanes.iter_mut().zip(list.iter()) {
                sleeper.join_eventfd(fds.ioeventfd)?;
                lane.irq = EventFd::get(fds.irqfd)?;
            }
            sleeper.join(file, &self.polled)
        })?;
        while running.0.stopping.load(Relaxed) == 0 {
            let mut busy = false;
            for lane in lanes.iter_mut() {
                busy |= lane.round(&csb.port)?;
            }
            if eventfds.is_none() {
                running.pause(&mut sleeper, u64::from(req.sleep_us))?;
            } else if busy {
                yield_now()?;
            } else {
                wait_for_kick(&lanes, &mut sleeper)?;
            }
        }
        Ok(())
    }

    /// SYNC_KLOOP_STOP: returns when the loop has ended.
    ///
    /// # Errors
    ///
    /// ENXIO: the fd is not registered. EINTR: a signal came first; the loop ends all the same.
    pub(super) fn kloop_stop(&self) -> Result {
        if self.state.lock().is_none() {
            return Err(ENXIO);
        }
        let mut now = self.kloop.now.lock();
        self.kloop.stopping.store(1, Relaxed);
        // If it sleeps for eventfds.
        self.polled.own().wake();
        let before = now.ended;
        while now.running && now.ended == before {
            if self.kloop.ended.wait_interruptible(&mut now) {
                return Err(EINTR);
            }
        }
        Ok(())
    }
}

impl Running<'_> {
    /// Sleeps, for long times bit by bit, because a stop does not interrupt it.
    fn pause(&self, sleeper: &mut Sleeper, mut usec: u64) -> Result {
        if usec == 0 {
            return yield_now();
        }
        while usec != 0 && self.0.stopping.load(Relaxed) == 0 {
            let bit = usec.min(STOP_US);
            sleeper.sleep(bit)?;
            usec -= bit;
        }
        Ok(())
    }
}

/// Sleeps until the program kicks, or a ring has news.
fn wait_for_kick(lanes: &[Lane<'_>], sleeper: &mut Sleeper) -> Result {
    for lane in lanes {
        lane.entry.ask_for_kicks(true)?;
    }
    // The program moves on and then looks whether to kick; here it is the other way round, so one
    // of us sees.
    full_barrier();
    let mut idle = true;
    for lane in lanes {
        idle &= !lane.waits()?;
    }
    if idle {
        sleeper.sleep(IDLE_US)?;
    }
    for lane in lanes {
        lane.entry.ask_for_kicks(false)?;
    }
    Ok(())
}
