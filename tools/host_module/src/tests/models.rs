// SPDX-License-Identifier: GPL-2.0

//! Threads against each other: loom runs each model in every order that can make a difference, up to so
//! many preemptions. What sleeps for ever, it reports.
//!
//! [`waking`], [`faster`], [`kloop`] and [`moving`] run the module as it is, on the machine. The
//! machine's own memory is no loom cell, so it says where it is touched (`kernel::sync::point`), and all
//! of it is seen in one order; what weaker orders do is in [`orders`], where each step names the function
//! it mirrors. Each kind has a model of a protocol that is broken on purpose, which must fail.

mod faster;
mod kloop;
mod moving;
mod orders;
mod waking;

use kernel::bindings::poll_table_struct;
use kernel::sync::poll::Waiter;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{mpsc, Arc};
use std::time::Duration;

use super::rig::open;
use crate::machine::driver::Port;
use crate::machine::files::File;
use crate::machine::net::{nm_rtnl_lock, nm_rtnl_unlock, Dev};

/// No order takes so long, however busy the machine is.
const STUCK: Duration = Duration::from_secs(60);

/// Everything that can happen with at most NM_LOOM_BOUND (2) preemptions.
pub(super) fn explore(model: impl Fn() + Sync + Send + 'static) {
    let number = |name, or| {
        let text: Option<String> = std::env::var(name).ok();
        text.and_then(|t| t.parse().ok()).unwrap_or(or)
    };
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(number("NM_LOOM_BOUND", 2));
    builder.max_branches = 1_000_000;
    // A model that is not through by then has still seen that many orders.
    builder.checkpoint_interval = 50;
    let seconds = number("NM_LOOM_SECONDS", 2);
    builder.max_duration = Some(Duration::from_secs(seconds as u64));
    let runs = Arc::new(AtomicUsize::new(0));
    let count = runs.clone();
    let through = watch(runs.clone());
    builder.check(move || {
        count.fetch_add(1, Relaxed);
        model();
    });
    drop(through);
    println!("{} orders", runs.load(Relaxed));
}

/// An order takes milliseconds. One that does not end is told of, until what is returned is dropped.
fn watch(runs: Arc<AtomicUsize>) -> mpsc::Sender<()> {
    let (through, wait) = mpsc::channel();
    std::thread::spawn(move || {
        let mut before = 0;
        while wait.recv_timeout(STUCK) == Err(mpsc::RecvTimeoutError::Timeout) {
            let now = runs.load(Relaxed);
            if now == before {
                // Not by eprintln, which the test keeps for an end of its own.
                let _ = writeln!(
                    std::io::stderr(),
                    "order {now} does not end: a thread goes round for ever, or the model is not the \
                     same each time, as if it read memory that is freed"
                );
                std::process::abort();
            }
            before = now;
        }
    });
    through
}

pub(super) const IN: u32 = kernel::bindings::POLLIN;
pub(super) const OUT: u32 = kernel::bindings::POLLOUT;

/// poll() until one of `events` is there, as the kernel does it: what is registered wakes.
pub(super) fn wait_for(file: &File, events: u32) {
    let waiter = Arc::new(Waiter::default());
    loop {
        let mut table = poll_table_struct {
            _key: events,
            waiter: Some(waiter.clone()),
        };
        if file.poll(&mut table) & events != 0 {
            return;
        }
        waiter.wait();
    }
}

/// An epoll set with one file. It is registered once; then whoever wakes makes it look.
pub(super) struct Epoll(Arc<Waiter>);

impl Epoll {
    /// EPOLL_CTL_ADD.
    pub(super) fn add(file: &File) -> Self {
        let waiter = Arc::new(Waiter::default());
        let mut table = poll_table_struct {
            _key: IN | OUT,
            waiter: Some(waiter.clone()),
        };
        file.poll(&mut table);
        Epoll(waiter)
    }

    /// epoll_wait(), edge-triggered: it looks when it is woken, not before.
    pub(super) fn wait_for(&self, file: &File, events: u32) {
        let mut table = poll_table_struct {
            _key: events,
            waiter: None,
        };
        loop {
            self.0.wait();
            if file.poll(&mut table) & events != 0 {
                return;
            }
        }
    }
}

/// The driver rebuilds its rings.
pub(super) fn reset(dev: &Dev, port: &Port) {
    nm_rtnl_lock();
    port.all_stop();
    port.all_start(dev);
    nm_rtnl_unlock();
}
