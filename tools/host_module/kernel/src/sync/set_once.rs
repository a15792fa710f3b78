// SPDX-License-Identifier: GPL-2.0

//! A place for a value that is there once and for all.

use std::sync::OnceLock;

/// Empty at first.
#[derive(Default)]
pub struct SetOnce<T>(OnceLock<T>);

impl<T> SetOnce<T> {
    /// Empty.
    pub const fn new() -> Self {
        SetOnce(OnceLock::new())
    }

    /// What is there.
    pub fn as_ref(&self) -> Option<&T> {
        self.0.get()
    }

    /// Puts it there; false if something is there.
    pub fn populate(&self, value: T) -> bool {
        self.0.set(value).is_ok()
    }
}
