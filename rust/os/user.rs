// SPDX-License-Identifier: GPL-2.0

//! Copies from and to the calling program.

use kernel::error::{to_result, Result};
use kernel::prelude::*;
use kernel::transmute::{AsBytes, FromBytes};
use kernel::uaccess::{UserPtr, UserSlice};

use crate::ffi;
use crate::uapi::{ctrl, ext, legacy, opt};

/// A structure of the ABI, as it lies in user memory.
///
/// # Safety
///
/// Any bit pattern must be valid for `T`, and it must have no padding.
unsafe trait Plain: Copy {}

/// Copied as one.
#[repr(transparent)]
struct Wire<T>(T);

// SAFETY: `Plain` says so.
unsafe impl<T: Plain> FromBytes for Wire<T> {}
// SAFETY: `Plain` says so.
unsafe impl<T: Plain> AsBytes for Wire<T> {}

macro_rules! plain {
    ($($t:ty),+ $(,)?) => {$(
        // SAFETY: Integers and arrays of them, padding named as fields; the layouts are asserted
        // where the types are defined.
        unsafe impl Plain for $t {}
    )+};
}
plain!(
    legacy::NmReq,
    ctrl::Header,
    ctrl::Register,
    ctrl::PortInfo,
    ctrl::PoolsInfo,
    ctrl::PortHdr,
    ctrl::KloopStart,
    opt::Header,
    opt::Extmem,
    opt::EventFds,
    opt::Csb,
    opt::KloopMode,
    opt::Offsets,
    opt::RxMeta,
    ext::QueueReq,
    ext::QueueInfo,
);

/// An address in the calling program; 0 is none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Addr(pub usize);

impl Addr {
    /// Is it the null pointer?
    pub(crate) fn is_null(self) -> bool {
        self.0 == 0
    }

    /// The address `bytes` behind it.
    ///
    /// # Errors
    ///
    /// EFAULT: there is none.
    pub(crate) fn offset(self, bytes: usize) -> Result<Self> {
        self.0.checked_add(bytes).map(Addr).ok_or(EFAULT)
    }
}

#[expect(private_bounds, reason = "only structures of the ABI are copied")]
impl Addr {
    /// Copies a structure in.
    ///
    /// # Errors
    ///
    /// EFAULT.
    pub(crate) fn read<T: Plain>(self) -> Result<T> {
        let size = core::mem::size_of::<T>();
        let wire: Wire<T> = UserSlice::new(UserPtr::from_addr(self.0), size)
            .reader()
            .read()?;
        Ok(wire.0)
    }

    /// Copies a structure out.
    ///
    /// # Errors
    ///
    /// EFAULT.
    pub(crate) fn write<T: Plain>(self, value: T) -> Result {
        let size = core::mem::size_of::<T>();
        UserSlice::new(UserPtr::from_addr(self.0), size)
            .writer()
            .write(&Wire(value))
    }

    /// Copies in and throws away, to see that it is readable.
    ///
    /// # Errors
    ///
    /// EFAULT.
    pub(crate) fn probe(self, len: usize) -> Result {
        let mut reader = UserSlice::new(UserPtr::from_addr(self.0), len).reader();
        let mut buf = [0u8; 64];
        while !reader.is_empty() {
            let n = reader.len().min(buf.len());
            reader.read_slice(&mut buf[..n])?;
        }
        Ok(())
    }

    /// Reads a word, in one access.
    ///
    /// # Errors
    ///
    /// EFAULT.
    pub(crate) fn get(self) -> Result<u32> {
        let mut word = 0;
        // SAFETY: `word` is valid for writing; the address is checked.
        to_result(unsafe { ffi::nm_user_get(self.0, &mut word) })?;
        Ok(word)
    }

    /// Writes a word, in one access.
    ///
    /// # Errors
    ///
    /// EFAULT.
    pub(crate) fn put(self, word: u32) -> Result {
        // SAFETY: The address is checked.
        to_result(unsafe { ffi::nm_user_put(self.0, word) })
    }
}
