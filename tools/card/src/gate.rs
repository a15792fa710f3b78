// SPDX-License-Identifier: GPL-2.0
//! The one lock around the card, with a right of way.
//!
//! Two threads work on the card: the register thread (a vCPU of the guest is waiting for it, and
//! with it QEMU's big lock) and the data path, which holds the card for small batches of frames,
//! again and again. A plain mutex would let the data path win every race. So the register thread
//! announces itself, and the data path asks [`Gate::wanted`] between batches and steps aside.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// A mutex with an urgent and a polite way in.
pub struct Gate<T> {
    inner: Mutex<T>,
    waiting: AtomicU32,
}

impl<T> Gate<T> {
    pub fn new(value: T) -> Self {
        Self {
            inner: Mutex::new(value),
            waiting: AtomicU32::new(0),
        }
    }

    /// For the side that somebody waits for.
    pub fn urgent(&self) -> MutexGuard<'_, T> {
        match self.inner.try_lock() {
            Ok(guard) => return guard,
            Err(TryLockError::Poisoned(e)) => return e.into_inner(),
            Err(TryLockError::WouldBlock) => {}
        }
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let guard = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        guard
    }

    /// For the data path: lets anybody urgent go first, within reason.
    pub fn polite(&self) -> MutexGuard<'_, T> {
        for _ in 0..64 {
            if !self.wanted() {
                break;
            }
            std::thread::yield_now();
        }
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Is somebody urgent waiting?
    pub fn wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn the_urgent_side_gets_in_between_batches() {
        let gate = Arc::new(Gate::new(0u32));
        let held = gate.polite();
        let other = gate.clone();
        let t = std::thread::spawn(move || *other.urgent() += 1);
        while !gate.wanted() {
            std::thread::yield_now();
        }
        drop(held);
        t.join().unwrap();
        assert!(!gate.wanted());
        assert_eq!(*gate.polite(), 1);
    }
}
