// SPDX-License-Identifier: GPL-2.0

//! What is C in the kernel, as far as the module calls it: a small machine that keeps accounts.
//!
//! Each file here is one thing the kernel has: memory that a card can reach ([`mem`]), interfaces and
//! the driver's contract ([`net`], [`driver`]), the card itself ([`card`]), packets of the stack
//! ([`skb`]), who calls and who sleeps ([`tasks`]), files ([`files`]). They panic where the kernel
//! would be harmed: memory freed that a card can still reach, a descriptor that points elsewhere, a
//! reference given back twice, a lock held on the way out. [`accounts`] says what is left at the end.

pub(crate) mod accounts;
pub(crate) mod card;
pub(crate) mod driver;
pub(crate) mod files;
pub(crate) mod mem;
pub(crate) mod net;
pub(crate) mod skb;
pub(crate) mod tasks;

use std::sync::{Mutex, MutexGuard};

/// Locks a part of the machine; never held while the module is called.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

/// May the caller have memory? As errno.
pub(crate) fn no_memory() -> Option<i32> {
    kernel::alloc::may().err().map(|_| -12)
}
