// SPDX-License-Identifier: GPL-2.0
//! What the threads share: the card, the generators, the log of sent frames, and the bell that
//! wakes the data path.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Mutex;
use std::time::Instant;

use crate::card::Card;
use crate::gate::Gate;
use crate::wire::generator::Generator;
use crate::wire::tap::Tap;

/// How many sent frames are kept.
const TXLOG: usize = 10_000;

/// Wakes the data path when it sleeps; costs nothing when it does not.
pub struct Bell {
    fd: File,
    asleep: AtomicBool,
    planned: AtomicU64,
}

impl Bell {
    fn new() -> io::Result<Self> {
        // SAFETY: eventfd takes no pointers; the result is checked.
        let fd = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            // SAFETY: a descriptor we just made and own.
            fd: unsafe { File::from_raw_fd(fd) },
            asleep: AtomicBool::new(false),
            planned: AtomicU64::new(0),
        })
    }

    pub fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// The data path is about to sleep: from now on, ring. Then look for work once more.
    pub fn lie_down(&self) {
        self.asleep.store(true, Ordering::SeqCst);
    }

    /// Notes until when; under the card's lock, so that nobody decides on an old value.
    pub fn plan(&self, until: u64) {
        self.planned.store(until, Ordering::SeqCst);
    }

    pub fn get_up(&self) {
        self.asleep.store(false, Ordering::SeqCst);
        let mut n = [0; 8];
        let _ = io::Read::read(&mut &self.fd, &mut n);
    }

    pub fn ring(&self) {
        if self.asleep.swap(false, Ordering::SeqCst) {
            let _ = (&self.fd).write(&1u64.to_ne_bytes());
        }
    }

    /// Does this card need the data path before it would wake?
    pub fn needed(&self, card: &Card) -> bool {
        card.has_work()
            || [card.irq_due, card.pulse_due]
                .into_iter()
                .flatten()
                .any(|t| t < self.planned.load(Ordering::SeqCst))
    }
}

/// Frames the guest sent, kept while somebody is interested.
#[derive(Default)]
pub struct TxLog {
    pub on: bool,
    pub frames: VecDeque<Vec<u8>>,
}

impl TxLog {
    pub fn note(&mut self, f: &[u8]) {
        if self.on && self.frames.len() < TXLOG {
            self.frames.push_back(f.to_vec());
        }
    }
}

/// A generator and the frame it was refused last.
pub struct Running {
    pub gen: Generator,
    pub again: Vec<u8>,
}

/// Everything the threads share.
pub struct Shared {
    pub name: String,
    pub card: Gate<Card>,
    pub gens: Gate<Vec<Running>>,
    pub txlog: Mutex<TxLog>,
    pub tap: Option<Tap>,
    pub bell: Bell,
    start: Instant,
}

impl Shared {
    pub fn new(name: &str, card: Card, tap: Option<Tap>) -> io::Result<Self> {
        Ok(Self {
            name: name.into(),
            card: Gate::new(card),
            gens: Gate::new(Vec::new()),
            txlog: Mutex::new(TxLog::default()),
            tap,
            bell: Bell::new()?,
            start: Instant::now(),
        })
    }

    /// Nanoseconds since the card was made.
    pub fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    /// Does something to the card for somebody who waits, then wakes the data path if need be.
    pub fn with<R>(&self, f: impl FnOnce(&mut Card, u64) -> R) -> R {
        let mut card = self.card.urgent();
        let now = self.now();
        card.tick(now);
        let r = f(&mut card, now);
        let needed = self.bell.needed(&card);
        drop(card);
        if needed {
            self.bell.ring();
        }
        r
    }
}
