// SPDX-License-Identifier: GPL-2.0

//! User memory: an array, with nothing before and behind it.
//!
//! Every access counts, and one of them may be told to change the memory first, as another thread of
//! the program could: what the module reads twice it may read differently.

use std::sync::Mutex;

use crate::error::{code::EFAULT, Result};
use crate::sync::lockdep;
use crate::transmute::{AsBytes, FromBytes};

/// Address of the first byte.
pub const BASE: usize = 0x1_0000;

struct Memory {
    bytes: Vec<u8>,
    /// Reads until the change, its place and its value.
    change: Option<(u32, usize, u64)>,
}

static MEMORY: Mutex<Memory> = Mutex::new(Memory {
    bytes: Vec::new(),
    change: None,
});

type Look = Box<dyn Fn() + Send>;

/// What is looked at before each write of the kernel's.
static LOOK: Mutex<Option<Look>> = Mutex::new(None);

fn memory() -> std::sync::MutexGuard<'static, Memory> {
    crate::sync::point();
    MEMORY.lock().unwrap_or_else(|e| e.into_inner())
}

/// Begins anew with `len` zeroes.
pub fn map(len: usize) {
    *memory() = Memory {
        bytes: vec![0; len],
        change: None,
    };
}

/// The program writes; what is outside is left out.
pub fn poke(addr: usize, bytes: &[u8]) {
    if let Some(place) = memory().range(addr, bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// The program reads; zeroes outside.
pub fn peek(addr: usize, len: usize) -> Vec<u8> {
    memory()
        .range(addr, len)
        .map_or_else(|| vec![0; len], |bytes| bytes.to_vec())
}

/// After `reads` more reads of the kernel's, the 8 bytes at `addr` become `value`.
pub fn change_after(reads: u32, addr: usize, value: u64) {
    memory().change = Some((reads, addr, value));
}

/// Looks at the kernel before it writes, as a program can whose page is long in coming; until the
/// next call.
pub fn before_writes(look: Option<Look>) {
    *LOOK.lock().unwrap_or_else(|e| e.into_inner()) = look;
}

impl Memory {
    fn range(&mut self, addr: usize, len: usize) -> Option<&mut [u8]> {
        let from = addr.checked_sub(BASE)?;
        self.bytes.get_mut(from..from.checked_add(len)?)
    }

    fn read(&mut self, addr: usize, to: &mut [u8]) -> Result {
        match self.change {
            Some((0, at, value)) => {
                self.change = None;
                if let Some(place) = self.range(at, 8) {
                    place.copy_from_slice(&value.to_le_bytes());
                }
            }
            Some((n, at, value)) => self.change = Some((n - 1, at, value)),
            None => (),
        }
        to.copy_from_slice(self.range(addr, to.len()).ok_or(EFAULT)?);
        Ok(())
    }
}

/// The kernel touches user memory: it may have to wait for the program, with the lock of an open file.
pub fn touched() {
    lockdep::may_fault("netmap::File::state");
}

/// The kernel reads.
///
/// # Errors
///
/// EFAULT.
pub fn copy_in(addr: usize, to: &mut [u8]) -> Result {
    touched();
    memory().read(addr, to)
}

/// The kernel writes.
///
/// # Errors
///
/// EFAULT.
pub fn copy_out(addr: usize, from: &[u8]) -> Result {
    touched();
    if let Some(look) = &*LOOK.lock().unwrap_or_else(|e| e.into_inner()) {
        look();
    }
    let mut memory = memory();
    memory
        .range(addr, from.len())
        .ok_or(EFAULT)?
        .copy_from_slice(from);
    Ok(())
}

/// A user address.
#[derive(Clone, Copy)]
pub struct UserPtr(usize);

impl UserPtr {
    /// This one.
    pub fn from_addr(addr: usize) -> Self {
        UserPtr(addr)
    }
}

/// Bytes of the program.
pub struct UserSlice {
    at: usize,
    len: usize,
}

impl UserSlice {
    /// `len` of them.
    pub fn new(ptr: UserPtr, len: usize) -> Self {
        UserSlice { at: ptr.0, len }
    }

    /// To read.
    pub fn reader(self) -> Self {
        self
    }

    /// To write.
    pub fn writer(self) -> Self {
        self
    }

    /// How many are left.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Is none left?
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The next bytes.
    ///
    /// # Errors
    ///
    /// EFAULT.
    pub fn read_slice(&mut self, to: &mut [u8]) -> Result {
        let next = self.len.checked_sub(to.len()).ok_or(EFAULT)?;
        copy_in(self.at, to)?;
        self.at = self.at.wrapping_add(to.len());
        self.len = next;
        Ok(())
    }

    /// The next value.
    ///
    /// # Errors
    ///
    /// EFAULT.
    pub fn read<T: FromBytes>(&mut self) -> Result<T> {
        let mut value = core::mem::MaybeUninit::<T>::zeroed();
        // SAFETY: All bytes of it, zeroed above.
        let bytes = unsafe {
            core::slice::from_raw_parts_mut(value.as_mut_ptr().cast::<u8>(), size_of::<T>())
        };
        self.read_slice(bytes)?;
        // SAFETY: Any bytes are a value.
        Ok(unsafe { value.assume_init() })
    }

    /// Writes a value.
    ///
    /// # Errors
    ///
    /// EFAULT.
    pub fn write<T: AsBytes>(&mut self, value: &T) -> Result {
        let len = size_of::<T>();
        let next = self.len.checked_sub(len).ok_or(EFAULT)?;
        // SAFETY: `AsBytes` says that all are initialised.
        let bytes = unsafe { core::slice::from_raw_parts((&raw const *value).cast::<u8>(), len) };
        copy_out(self.at, bytes)?;
        self.at = self.at.wrapping_add(len);
        self.len = next;
        Ok(())
    }
}
