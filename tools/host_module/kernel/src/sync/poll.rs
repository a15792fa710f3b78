// SPDX-License-Identifier: GPL-2.0

//! Wait queues of files, and those who poll them.

use core::marker::PhantomData;
use std::sync::Arc;

use super::raw::{Condvar, Mutex};
use crate::bindings::poll_table_struct;
use crate::fs::File;

/// A thread in poll().
#[derive(Default)]
pub struct Waiter {
    woken: Mutex<bool>,
    change: Condvar,
}

impl Waiter {
    /// Wakes it.
    pub fn wake(&self) {
        *self.woken.lock().unwrap_or_else(|e| e.into_inner()) = true;
        self.change.notify_all();
    }

    /// Sleeps until it is woken, if it was not since the last time.
    pub fn wait(&self) {
        let mut woken = self.woken.lock().unwrap_or_else(|e| e.into_inner());
        while !*woken {
            woken = self.change.wait(woken).unwrap_or_else(|e| e.into_inner());
        }
        *woken = false;
    }

    /// Was it woken since the last time?
    pub fn take(&self) -> bool {
        let mut woken = self.woken.lock().unwrap_or_else(|e| e.into_inner());
        core::mem::take(&mut woken)
    }
}

/// Who waits.
#[derive(Default)]
struct Queue(Mutex<Vec<Arc<Waiter>>>);

/// All queues: they go with the machine, because the module never drops one.
type Queues = std::sync::Mutex<Vec<Arc<Queue>>>;

#[cfg(not(loom))]
static QUEUES: Queues = Queues::new(Vec::new());

#[cfg(loom)]
loom::lazy_static! {
    static ref QUEUES: Queues = Queues::new(Vec::new());
}

/// The machine begins anew: nobody waits, and no queue is there.
pub fn forget() {
    QUEUES.lock().unwrap_or_else(|e| e.into_inner()).clear();
}

/// A wait queue.
pub struct PollCondVar(*const Queue);

// SAFETY: What it points to is shared.
unsafe impl Send for PollCondVar {}
// SAFETY: The same.
unsafe impl Sync for PollCondVar {}

impl Default for PollCondVar {
    fn default() -> Self {
        let queue = Arc::new(Queue::default());
        let at = Arc::as_ptr(&queue);
        let mut all = QUEUES.lock().unwrap_or_else(|e| e.into_inner());
        all.push(queue);
        PollCondVar(at)
    }
}

impl PollCondVar {
    fn queue(&self) -> &Queue {
        // SAFETY: It is among all queues until the machine begins anew, which no file outlives.
        unsafe { &*self.0 }
    }

    /// Wakes all.
    pub fn notify_all(&self) {
        let waiters = self.queue().0.lock().unwrap_or_else(|e| e.into_inner());
        waiters.iter().for_each(|w| w.wake());
    }

    /// Wakes this one too.
    pub fn add(&self, waiter: &Arc<Waiter>) {
        let mut waiters = self.queue().0.lock().unwrap_or_else(|e| e.into_inner());
        // Those whose poll() has ended.
        waiters.retain(|w| Arc::strong_count(w) > 1);
        if !waiters.iter().any(|w| Arc::ptr_eq(w, waiter)) {
            waiters.push(waiter.clone());
        }
    }
}

/// A wait queue with a class.
#[macro_export]
macro_rules! new_poll_condvar {
    ($name:expr) => {
        $crate::init::by(|| {
            Ok::<_, ::core::convert::Infallible>($crate::sync::poll::PollCondVar::default())
        })
    };
}

/// Whom the files that are polled will wake.
pub struct PollTable<'a>(*mut poll_table_struct, PhantomData<&'a ()>);

impl PollTable<'_> {
    /// The one behind a C pointer, which may be null.
    ///
    /// # Safety
    ///
    /// Null or valid as long as this.
    pub unsafe fn from_raw<'a>(table: *mut poll_table_struct) -> PollTable<'a> {
        PollTable(table, PhantomData)
    }

    /// The caller will be woken with `queue`.
    pub fn register_wait(&self, _file: &File, queue: &PollCondVar) {
        // SAFETY: Null or valid, as promised in `from_raw`.
        if let Some(waiter) = unsafe { self.0.as_ref() }.and_then(|t| t.waiter.as_ref()) {
            queue.add(waiter);
        }
    }
}

/// The two eventfds of a model: one way and the other.
#[cfg(loom)]
#[derive(Default)]
pub struct Kicks {
    /// The program signals it.
    pub to_kernel: PollCondVar,
    /// The kernel does.
    pub from_kernel: PollCondVar,
}

#[cfg(loom)]
loom::lazy_static! {
    /// They are there in each run of a model.
    pub static ref KICKS: Kicks = Kicks::default();
}

/// Wakes `waiter` when the program signals its eventfd.
#[cfg(loom)]
pub fn to_kernel(waiter: &Arc<Waiter>) {
    KICKS.to_kernel.add(waiter);
}
