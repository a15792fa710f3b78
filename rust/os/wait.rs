// SPDX-License-Identifier: GPL-2.0

//! Waiting for a ring.

use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};
use kernel::sync::poll::PollCondVar;
use kernel::sync::Arc;
use kernel::{new_poll_condvar, sync::poll::PollTable};

/// Those who poll an fd. Rings of the fd wake them from softirq.
///
/// Dropping it waits for an RCU grace period, so its last reference must go in process context.
#[pin_data]
pub(crate) struct Waiters {
    #[pin]
    queue: PollCondVar,
}

impl Waiters {
    /// Nobody waits yet.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            queue <- new_poll_condvar!("netmap::Waiters::queue"),
        })
    }

    /// Makes the poller wait here too.
    pub(crate) fn register(&self, file: &kernel::fs::File, table: &PollTable<'_>) {
        table.register_wait(file, &self.queue);
    }

    /// Wakes all; any context.
    pub(crate) fn wake(&self) {
        self.queue.notify_all();
    }
}

/// Whom a ring wakes: the fd that bound it first, and all fds of its port once another fd has bound
/// it too.
pub(crate) struct Wakers {
    own: Arc<Waiters>,
    port: Arc<Waiters>,
    shared: Atomic<u32>,
}

impl Wakers {
    /// `own`: the fd's; `port`: those of all fds that share rings of the port.
    pub(crate) fn new(own: Arc<Waiters>, port: Arc<Waiters>) -> Self {
        Wakers {
            own,
            port,
            shared: Atomic::new(0),
        }
    }

    /// Another fd has bound the ring.
    pub(crate) fn share(&self) {
        self.shared.store(1, Relaxed);
    }

    /// Wakes them if there are several fds: one of them has changed the ring, and no interrupt will
    /// tell the others.
    #[inline]
    pub(crate) fn wake_others(&self) {
        if self.shared.load(Relaxed) != 0 {
            self.wake();
        }
    }

    /// Wakes them; any context.
    #[inline]
    pub(crate) fn wake(&self) {
        self.own.wake();
        if self.shared.load(Relaxed) != 0 {
            self.port.wake();
        }
    }
}
