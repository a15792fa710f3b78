// SPDX-License-Identifier: GPL-2.0

//! Atomics with the ordering as an argument's type.

use super::raw::atomic as std_atomic;
use std_atomic::Ordering;

/// An ordering.
pub trait Order {
    /// Of loads.
    const LOAD: Ordering;
    /// Of stores.
    const STORE: Ordering;
}

macro_rules! orders {
    ($($(#[$doc:meta])* $name:ident: $load:ident, $store:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name;
        impl Order for $name {
            const LOAD: Ordering = Ordering::$load;
            const STORE: Ordering = Ordering::$store;
        }
    )+};
}
orders! {
    /// None.
    Relaxed: Relaxed, Relaxed;
    /// What follows the load stays behind it.
    Acquire: Acquire, Relaxed;
    /// What precedes the store stays before it.
    Release: Relaxed, Release;
}

/// A type there are atomics of.
pub trait Word: Copy {
    /// Its atomic.
    type Cell;
    /// A cell.
    fn cell(value: Self) -> Self::Cell;
    /// Reads it.
    fn load(cell: &Self::Cell, order: Ordering) -> Self;
    /// Writes it.
    fn store(cell: &Self::Cell, value: Self, order: Ordering);
    /// Adds to it.
    fn add(cell: &Self::Cell, value: Self, order: Ordering);
}

macro_rules! words {
    ($($t:ty: $cell:ident),+) => {$(
        impl Word for $t {
            type Cell = std_atomic::$cell;
            fn cell(value: Self) -> Self::Cell {
                std_atomic::$cell::new(value)
            }
            fn load(cell: &Self::Cell, order: Ordering) -> Self {
                cell.load(order)
            }
            fn store(cell: &Self::Cell, value: Self, order: Ordering) {
                cell.store(value, order);
            }
            fn add(cell: &Self::Cell, value: Self, order: Ordering) {
                cell.fetch_add(value, order);
            }
        }
    )+};
}
words!(u32: AtomicU32, u64: AtomicU64, usize: AtomicUsize);

/// An atomic.
pub struct Atomic<T: Word>(T::Cell);

impl<T: Word> Atomic<T> {
    /// With this value.
    pub fn new(value: T) -> Self {
        Atomic(T::cell(value))
    }

    /// Reads it.
    pub fn load<O: Order>(&self, _: O) -> T {
        T::load(&self.0, O::LOAD)
    }

    /// Writes it.
    pub fn store<O: Order>(&self, value: T, _: O) {
        T::store(&self.0, value, O::STORE);
    }

    /// Adds to it.
    pub fn add<O: Order>(&self, value: T, _: O) {
        T::add(&self.0, value, Ordering::Relaxed);
    }
}
