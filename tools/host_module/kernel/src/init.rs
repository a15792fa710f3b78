// SPDX-License-Identifier: GPL-2.0

//! Building structures field by field, as the pin-init crate does, but by value.

use core::convert::Infallible;
use core::marker::PhantomData;
use core::mem::MaybeUninit;

/// Something that makes a `T`, or fails.
pub trait PinInit<T, E = Infallible> {
    /// Makes it.
    ///
    /// # Errors
    ///
    /// Its own.
    fn build(self) -> Result<T, E>;
}

/// A function that does.
pub struct Init<T, E, F>(F, PhantomData<fn() -> Result<T, E>>);

impl<T, E, F: FnOnce() -> Result<T, E>> PinInit<T, E> for Init<T, E, F> {
    fn build(self) -> Result<T, E> {
        (self.0)()
    }
}

/// An initialiser of a function.
pub fn by<T, E, F: FnOnce() -> Result<T, E>>(f: F) -> Init<T, E, F> {
    Init(f, PhantomData)
}

/// The same for a type that is laid out alike.
///
/// # Safety
///
/// It must be, and what is valid of the one must be of the other.
pub unsafe fn cast_pin_init<T, U, E>(init: impl PinInit<T, E>) -> impl PinInit<U, E> {
    by(move || {
        let value = core::mem::ManuallyDrop::new(init.build()?);
        // SAFETY: By the caller's promise.
        Ok(unsafe { core::mem::transmute_copy(&value) })
    })
}

/// All bytes 0.
///
/// # Panics
///
/// Not at run time: only for the C structures of [`crate::bindings`], which allow it.
pub const fn zeroed<T: Zeroable>() -> T {
    // SAFETY: `Zeroable` says so.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

/// May be all zeroes.
///
/// # Safety
///
/// As it says.
pub unsafe trait Zeroable {}

/// C's view of a string.
pub trait CStrExt {
    /// Its first byte.
    fn as_char_ptr(&self) -> *const u8;
}

impl CStrExt for core::ffi::CStr {
    fn as_char_ptr(&self) -> *const u8 {
        self.as_ptr().cast()
    }
}

/// A structure whose fields cannot fail.
#[macro_export]
macro_rules! pin_init {
    ($t:ident { $($body:tt)* }) => {
        $crate::init::by(move || -> ::core::result::Result<_, ::core::convert::Infallible> {
            $crate::init_fields!($t { $($body)* })
        })
    };
}

/// One whose fields can.
#[macro_export]
macro_rules! try_pin_init {
    ($t:ident { $($body:tt)* }) => {
        $crate::init::by(move || -> ::core::result::Result<_, $crate::error::Error> {
            $crate::init_fields!($t { $($body)* })
        })
    };
}

/// Writes one field after the other; each sees those before it.
#[macro_export]
macro_rules! init_fields {
    ($t:ident { $($body:tt)* }) => {{
        let mut place = ::core::mem::MaybeUninit::uninit();
        if false {
            // Says the type, and that no field is missing.
            #[allow(unreachable_code, clippy::diverging_sub_expression)]
            place.write($crate::init_fields!(@all $t [] $($body)*));
        }
        let at = place.as_mut_ptr();
        $crate::init_fields!(@ at $($body)*);
        // SAFETY: All fields are written.
        Ok(unsafe { place.assume_init() })
    }};
    (@all $t:ident [$($field:ident)*]) => { $t { $($field: unreachable!()),* } };
    (@all $t:ident [$($f:ident)*] $field:ident <- $init:expr $(, $($rest:tt)*)?) => {
        $crate::init_fields!(@all $t [$($f)* $field] $($($rest)*)?)
    };
    (@all $t:ident [$($f:ident)*] $field:ident $(: $value:expr)? $(, $($rest:tt)*)?) => {
        $crate::init_fields!(@all $t [$($f)* $field] $($($rest)*)?)
    };
    (@ $at:ident) => {};
    (@ $at:ident $field:ident <- $init:expr, $($rest:tt)*) => {
        let value = $crate::init::PinInit::build($init)?;
        $crate::init_fields!(@one $at $field value);
        $crate::init_fields!(@ $at $($rest)*);
    };
    (@ $at:ident $field:ident <- $init:expr) => { $crate::init_fields!(@ $at $field <- $init,); };
    (@ $at:ident $field:ident : $value:expr, $($rest:tt)*) => {
        let value = $value;
        $crate::init_fields!(@one $at $field value);
        $crate::init_fields!(@ $at $($rest)*);
    };
    (@ $at:ident $field:ident : $value:expr) => { $crate::init_fields!(@ $at $field: $value,); };
    (@ $at:ident $field:ident, $($rest:tt)*) => {
        let value = $field;
        $crate::init_fields!(@one $at $field value);
        $crate::init_fields!(@ $at $($rest)*);
    };
    (@ $at:ident $field:ident) => { $crate::init_fields!(@ $at $field,); };
    (@one $at:ident $field:ident $value:ident) => {
        // SAFETY: The place is ours, and not yet initialised.
        unsafe { (&raw mut (*$at).$field).write($value) };
        // SAFETY: Just written.
        #[allow(unused_variables)]
        let $field = unsafe { &mut (*$at).$field };
    };
}
