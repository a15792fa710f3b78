// SPDX-License-Identifier: GPL-2.0

//! Values of C.

use core::cell::UnsafeCell;
use core::convert::Infallible;
use core::mem::MaybeUninit;

use crate::error::{Error, Result};
use crate::init::{by, PinInit};

/// A C value, made and used by C.
#[repr(transparent)]
pub struct Opaque<T>(UnsafeCell<MaybeUninit<T>>);

impl<T> Opaque<T> {
    /// Where it is.
    pub const fn get(&self) -> *mut T {
        self.0.get().cast()
    }

    /// Made by `f`. C's own are made where they stay; these may still move.
    pub fn ffi_init(f: impl FnOnce(*mut T)) -> impl PinInit<Self> {
        by(move || {
            let value = Opaque(UnsafeCell::new(MaybeUninit::zeroed()));
            f(value.get());
            Ok::<_, Infallible>(value)
        })
    }

    /// The same, which may fail.
    pub fn try_ffi_init(f: impl FnOnce(*mut T) -> Result) -> impl PinInit<Self, Error> {
        by(move || {
            let value = Opaque(UnsafeCell::new(MaybeUninit::zeroed()));
            f(value.get())?;
            Ok(value)
        })
    }
}

/// A pointer that C keeps.
pub trait ForeignOwnable: Sized {
    /// What is seen of it meanwhile.
    type Borrowed<'a>;

    /// Hands it to C.
    fn into_foreign(self) -> *mut core::ffi::c_void;

    /// Takes it back.
    ///
    /// # Safety
    ///
    /// `at` must come from [`ForeignOwnable::into_foreign`], and is used up.
    unsafe fn from_foreign(at: *mut core::ffi::c_void) -> Self;

    /// Looks at it.
    ///
    /// # Safety
    ///
    /// `at` must come from [`ForeignOwnable::into_foreign`] and not be taken back during `'a`.
    unsafe fn borrow<'a>(at: *mut core::ffi::c_void) -> Self::Borrowed<'a>;
}
