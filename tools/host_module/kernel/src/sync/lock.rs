// SPDX-License-Identifier: GPL-2.0

//! Mutexes that know their class, and condition variables.

use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use std::cell::Cell;

use super::lockdep::{self, Class};
use super::raw;

/// The kernel's mutex.
pub mod mutex {
    /// Names it.
    pub struct MutexBackend;
}
use mutex::MutexBackend;

/// A sleeping lock.
pub struct Mutex<T> {
    class: Class,
    inner: raw::Mutex<T>,
}

impl<T> Mutex<T> {
    /// Of this class.
    pub fn named(value: T, name: &'static str) -> Self {
        Mutex {
            class: Class::of(name),
            inner: raw::Mutex::new(value),
        }
    }

    fn id(&self) -> usize {
        core::ptr::from_ref(self).cast::<u8>() as usize
    }

    /// Waits for it.
    pub fn lock(&self) -> Guard<'_, T, MutexBackend> {
        lockdep::before(self.id(), self.class);
        let inner = self.inner.lock().unwrap_or_else(|e| e.into_inner());
        self.guard(inner)
    }

    /// Takes it if nobody has it.
    pub fn try_lock(&self) -> Option<Guard<'_, T, MutexBackend>> {
        if lockdep::holds(self.id()) {
            return None;
        }
        Some(self.guard(self.inner.try_lock().ok()?))
    }

    fn guard<'a>(&'a self, inner: raw::MutexGuard<'a, T>) -> Guard<'a, T, MutexBackend> {
        lockdep::taken(self.id(), self.class);
        Guard {
            lock: self,
            inner: Some(inner),
            _backend: PhantomData,
        }
    }
}

/// A lock that is held.
pub struct Guard<'a, T, B> {
    lock: &'a Mutex<T>,
    inner: Option<raw::MutexGuard<'a, T>>,
    _backend: PhantomData<B>,
}

impl<T, B> Deref for Guard<'_, T, B> {
    type Target = T;

    fn deref(&self) -> &T {
        self.inner.as_ref().expect("held")
    }
}

impl<T, B> DerefMut for Guard<'_, T, B> {
    fn deref_mut(&mut self) -> &mut T {
        self.inner.as_mut().expect("held")
    }
}

impl<T, B> Drop for Guard<'_, T, B> {
    fn drop(&mut self) {
        self.inner = None;
        lockdep::released(self.lock.id());
    }
}

/// A mutex with a class.
#[macro_export]
macro_rules! new_mutex {
    ($value:expr, $name:expr) => {
        $crate::init::by(move || {
            Ok::<_, ::core::convert::Infallible>($crate::sync::Mutex::named($value, $name))
        })
    };
}

/// A condition variable.
#[macro_export]
macro_rules! new_condvar {
    ($name:expr) => {
        $crate::init::by(|| Ok::<_, ::core::convert::Infallible>($crate::sync::CondVar::new()))
    };
}

thread_local! {
    static SIGNAL: Cell<bool> = const { Cell::new(false) };
}

/// Has this thread a signal pending from now on? Then it does not sleep.
pub fn set_signal(pending: bool) {
    SIGNAL.set(pending);
}

/// Has it?
pub fn signal() -> bool {
    SIGNAL.get()
}

/// Where threads wait for a change.
pub struct CondVar(raw::Condvar);

impl CondVar {
    /// Nobody waits.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        CondVar(raw::Condvar::new())
    }

    /// Lets the lock go, waits for a notification, takes the lock. True: a signal came instead.
    pub fn wait_interruptible<T, B>(&self, guard: &mut Guard<'_, T, B>) -> bool {
        if signal() {
            return true;
        }
        #[cfg(not(loom))]
        assert_eq!(lockdep::held(), 1, "sleeps with another lock held");
        let inner = guard.inner.take().expect("held");
        guard.inner = Some(self.0.wait(inner).unwrap_or_else(|e| e.into_inner()));
        signal()
    }

    /// Wakes all.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// A static mutex.
#[derive(Debug)]
pub struct GlobalMutex<T> {
    inner: std::sync::Mutex<T>,
    class: std::sync::OnceLock<Class>,
    name: &'static str,
}

impl<T> GlobalMutex<T> {
    /// Of this class.
    pub const fn named(value: T, name: &'static str) -> Self {
        GlobalMutex {
            inner: std::sync::Mutex::new(value),
            class: std::sync::OnceLock::new(),
            name,
        }
    }

    /// Makes it usable.
    ///
    /// # Safety
    ///
    /// Once, in the kernel.
    pub unsafe fn init(&self) {}

    /// Waits for it.
    pub fn lock(&self) -> GlobalGuard<'_, T> {
        let class = *self.class.get_or_init(|| Class::of(self.name));
        let id = core::ptr::from_ref(self).cast::<u8>() as usize;
        lockdep::before(id, class);
        #[cfg(not(loom))]
        let inner = self.inner.lock().unwrap_or_else(|e| e.into_inner());
        // A static cannot be loom's; its threads take turns.
        #[cfg(loom)]
        let inner = loop {
            super::point();
            match self.inner.try_lock() {
                Ok(inner) => break inner,
                Err(_) => loom::thread::yield_now(),
            }
        };
        lockdep::taken(id, class);
        GlobalGuard {
            id,
            inner: Some(inner),
        }
    }
}

/// It is held.
#[derive(Debug)]
pub struct GlobalGuard<'a, T> {
    id: usize,
    inner: Option<std::sync::MutexGuard<'a, T>>,
}

impl<T> Deref for GlobalGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.inner.as_ref().expect("held")
    }
}

impl<T> DerefMut for GlobalGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.inner.as_mut().expect("held")
    }
}

impl<T> Drop for GlobalGuard<'_, T> {
    fn drop(&mut self) {
        self.inner = None;
        super::point();
        lockdep::released(self.id);
    }
}

/// A static mutex.
#[macro_export]
macro_rules! global_lock {
    ($(#[$meta:meta])* unsafe(uninit) static $name:ident: Mutex<$t:ty> = $value:expr;) => {
        $(#[$meta])*
        static $name: $crate::sync::GlobalMutex<$t> =
            $crate::sync::GlobalMutex::named($value, stringify!($name));
    };
}
