// SPDX-License-Identifier: GPL-2.0

//! Fallible allocation, and a way to make it fail.
//!
//! Every allocation of the module passes [`may`], so a test can let the n-th of a request fail, each
//! in turn, and see that the request is refused and leaves nothing behind.

use core::ops::{Deref, DerefMut};
use std::cell::Cell;

/// No memory.
#[derive(Clone, Copy, Debug)]
pub struct AllocError;

/// How to allocate; here there is one way.
#[derive(Clone, Copy, Debug)]
pub struct Flags;

/// The one way.
pub const GFP_KERNEL: Flags = Flags;

thread_local! {
    static LEFT: Cell<Option<u64>> = const { Cell::new(None) };
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

/// Of this thread's allocations from now on, `left` succeed, the next fails, and all after it succeed.
/// `None`: none fails.
pub fn fail_after(left: Option<u64>) {
    LEFT.set(left);
}

/// Has the failure that [`fail_after`] asked for happened?
pub fn failed() -> bool {
    LEFT.get().is_none()
}

/// Allocations this thread has asked for.
pub fn asked() -> u64 {
    ASKED.get()
}

/// May the caller allocate?
///
/// # Errors
///
/// [`AllocError`], when it is told to fail.
pub fn may() -> Result<(), AllocError> {
    ASKED.set(ASKED.get().wrapping_add(1));
    match LEFT.get() {
        Some(0) => {
            LEFT.set(None);
            Err(AllocError)
        }
        Some(n) => {
            LEFT.set(Some(n - 1));
            Ok(())
        }
        None => Ok(()),
    }
}

/// A box.
pub struct KBox<T>(Box<T>);

impl<T> KBox<T> {
    /// With this in it.
    ///
    /// # Errors
    ///
    /// [`AllocError`].
    pub fn new(value: T, _flags: Flags) -> Result<Self, AllocError> {
        may()?;
        Ok(KBox(Box::new(value)))
    }
}

impl<T> Deref for KBox<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for KBox<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

/// An array that grows.
#[derive(Debug)]
pub struct KVec<T>(Vec<T>);

/// One that may be in many pages.
pub type KVVec<T> = KVec<T>;

impl<T> KVec<T> {
    /// Empty, without memory.
    pub const fn new() -> Self {
        KVec(Vec::new())
    }

    /// Empty, with room for `n`.
    ///
    /// # Errors
    ///
    /// [`AllocError`].
    pub fn with_capacity(n: usize, flags: Flags) -> Result<Self, AllocError> {
        let mut vec = Self::new();
        vec.reserve(n, flags)?;
        Ok(vec)
    }

    /// `n` times the same.
    ///
    /// # Errors
    ///
    /// [`AllocError`].
    pub fn from_elem(value: T, n: usize, flags: Flags) -> Result<Self, AllocError>
    where
        T: Clone,
    {
        let mut vec = Self::with_capacity(n, flags)?;
        vec.0.resize(n, value);
        Ok(vec)
    }

    /// Makes room for `more`.
    ///
    /// # Errors
    ///
    /// [`AllocError`].
    pub fn reserve(&mut self, more: usize, _flags: Flags) -> Result<(), AllocError> {
        if self.0.capacity() - self.0.len() < more {
            may()?;
            self.0.reserve_exact(more);
        }
        Ok(())
    }

    /// Adds one.
    ///
    /// # Errors
    ///
    /// [`AllocError`].
    pub fn push(&mut self, value: T, flags: Flags) -> Result<(), AllocError> {
        self.reserve(1, flags)?;
        self.0.push(value);
        Ok(())
    }

    /// Adds one where there is room.
    ///
    /// # Errors
    ///
    /// The value, if there is none.
    pub fn push_within_capacity(&mut self, value: T) -> Result<(), T> {
        if self.0.len() == self.0.capacity() {
            return Err(value);
        }
        self.0.push(value);
        Ok(())
    }

    /// Takes the last.
    pub fn pop(&mut self) -> Option<T> {
        self.0.pop()
    }

    /// Takes number `i`; those behind it move up.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn remove(&mut self, i: usize) -> Result<T, AllocError> {
        if i < self.0.len() {
            Ok(self.0.remove(i))
        } else {
            Err(AllocError)
        }
    }

    /// Forgets all but the first `n`.
    pub fn truncate(&mut self, n: usize) {
        self.0.truncate(n);
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Keeps those that `f` wants.
    pub fn retain(&mut self, f: impl FnMut(&mut T) -> bool) {
        self.0.retain_mut(f);
    }
}

impl<T> Default for KVec<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Deref for KVec<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> DerefMut for KVec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T> IntoIterator for KVec<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a KVec<T> {
    type Item = &'a T;
    type IntoIter = core::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}
