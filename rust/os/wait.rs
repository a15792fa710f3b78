// SPDX-License-Identifier: GPL-2.0

//! Waiting for a ring.

use kernel::prelude::*;
use kernel::sync::poll::PollCondVar;
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
