// SPDX-License-Identifier: GPL-2.0

//! Waiting for a ring.

use core::mem::ManuallyDrop;

use kernel::fs;
use kernel::new_poll_condvar;
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};
use kernel::sync::poll::{PollCondVar, PollTable};
use kernel::sync::{Arc, SetOnce};

/// Those who poll an fd, or the fds of a port. Rings wake them from softirq.
#[pin_data]
pub(crate) struct Waiters {
    /// Not dropped: that would wait for an RCU grace period, for each fd of a program that ends, and
    /// the queues of its next fd would be the kernel's only then.
    #[pin]
    queue: ManuallyDrop<PollCondVar>,
}

impl Waiters {
    /// Nobody waits yet.
    pub(crate) fn new() -> impl PinInit<Self> {
        let queue = new_poll_condvar!("netmap::Waiters::queue");
        pin_init!(Self {
            // SAFETY: `ManuallyDrop` is laid out as what is in it. That is pinned and not dropped
            // before its memory goes, which is sound as no sleeper is left on it by then: only
            // `Polled` adds sleepers, and keeps the queue for as long as they may be there.
            queue <- unsafe { pin_init::cast_pin_init(queue) },
        })
    }

    /// Wakes all; any context.
    pub(crate) fn wake(&self) {
        self.queue.notify_all();
    }
}

/// The wait queues of those who poll one file; lives in what the file has of ours until its release.
///
/// poll(), epoll and io_uring take their sleepers off a file's queues before its last reference
/// goes, and so does a kernel loop, which runs in an ioctl. So no sleeper is left when this goes.
pub(crate) struct Polled {
    own: Arc<Waiters>,
    port: SetOnce<Arc<Waiters>>,
}

impl Polled {
    /// For a new file.
    ///
    /// # Errors
    ///
    /// ENOMEM.
    pub(crate) fn new() -> Result<Self> {
        Ok(Polled {
            own: Arc::pin_init(Waiters::new(), GFP_KERNEL)?,
            port: SetOnce::new(),
        })
    }

    /// The file's own queue.
    pub(crate) fn own(&self) -> &Arc<Waiters> {
        &self.own
    }

    /// Makes the poller of `file`, which is this one's, wait for what happens to it.
    pub(crate) fn wait(&self, file: &fs::File, table: &PollTable<'_>) {
        table.register_wait(file, &self.own.queue);
    }

    /// Makes it wait for what happens to rings that other fds of the port have too. `port` is the same
    /// in all calls.
    pub(crate) fn wait_for_port(
        &self,
        file: &fs::File,
        table: &PollTable<'_>,
        port: &Arc<Waiters>,
    ) {
        if self.port.as_ref().is_none() {
            self.port.populate(port.clone());
        }
        if let Some(kept) = self.port.as_ref() {
            table.register_wait(file, &kept.queue);
        }
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
