// SPDX-License-Identifier: GPL-2.0

//! Safe faces of kernel services.
//!
//! C pointers stop here: the rest of the crate sees owned types that undo on drop what they did.
//! Errors become errnos here or come from C as such. With [`crate::shm`] this is the only module
//! that may be `unsafe`.

#![allow(unsafe_code)]

pub(crate) mod chardev;
pub(crate) mod chunk;
pub(crate) mod debugfs;
pub(crate) mod divert;
pub(crate) mod dma;
pub(crate) mod entry;
pub(crate) mod eventfd;
pub(crate) mod irqlock;
pub(crate) mod netdev;
pub(crate) mod nic;
pub(crate) mod pin;
pub(crate) mod sent;
pub(crate) mod skb;
pub(crate) mod trace;
pub(crate) mod user;
pub(crate) mod wait;

use core::marker::PhantomData;
use core::ptr::NonNull;

use kernel::bindings;

use crate::ffi;

/// Makes the module's global locks usable.
pub(crate) fn init_statics() {
    // SAFETY: Called once, by the module's initialisation, before anything can use them.
    unsafe {
        crate::mem::registry::init();
        crate::adapter::init();
    }
}

/// What netmap says of a feature that is not there: a constant of the kernel crate in 7.3 and later,
/// but not before.
#[cold]
pub(crate) fn eopnotsupp() -> kernel::error::Error {
    kernel::error::Error::from_errno(-(kernel::bindings::EOPNOTSUPP as i32))
}

/// Orders all stores before it against all stores after it, as other processors see them.
pub(crate) fn write_barrier() {
    // SAFETY: A barrier.
    unsafe { ffi::nm_write_barrier() };
}

/// Orders all loads before it against all loads after it.
pub(crate) fn read_barrier() {
    // SAFETY: A barrier.
    unsafe { ffi::nm_read_barrier() };
}

/// Orders everything before it against everything after it.
pub(crate) fn full_barrier() {
    // SAFETY: A barrier.
    unsafe { ffi::nm_full_barrier() };
}

/// A process that is, or was: its id, whatever number a pid namespace has for it.
///
/// # Invariants
///
/// The pointer is a `struct pid` this object holds a reference to.
pub(crate) struct Pid(NonNull<bindings::pid>);

// SAFETY: References belong to no thread.
unsafe impl Send for Pid {}
// SAFETY: What can be read is constant.
unsafe impl Sync for Pid {}

impl Pid {
    /// The current process's.
    pub(crate) fn current() -> Option<Self> {
        // SAFETY: The current task is valid. INVARIANT: The reference comes with it.
        NonNull::new(unsafe { ffi::nm_current_tgid() }).map(Pid)
    }

    /// Its number in the current process's namespace; 0 where it has none.
    pub(crate) fn seen(&self) -> u32 {
        // SAFETY: Valid by the type invariant; process context.
        unsafe { ffi::nm_pid_seen(self.0.as_ptr()) }
    }
}

impl Drop for Pid {
    fn drop(&mut self) {
        // SAFETY: The reference is this object's.
        unsafe { ffi::nm_pid_put(self.0.as_ptr()) };
    }
}

/// A user's number in the current process's namespace; the overflow uid where there is none.
pub(crate) fn uid_seen(uid: u32) -> u32 {
    // SAFETY: Process context; any number will do.
    unsafe { ffi::nm_uid_seen(uid) }
}

/// Who is calling.
#[derive(Clone, Copy, Default)]
pub(crate) struct Caller {
    /// Effective user id, in the initial user namespace.
    pub(crate) uid: u32,
    /// Process name, NUL-padded.
    pub(crate) comm: [u8; 16],
    /// Cookie of its network namespace.
    pub(crate) netns: u64,
}

impl Caller {
    /// The current process.
    pub(crate) fn current() -> Self {
        let mut comm = [0u8; 16];
        // SAFETY: `comm` has the TASK_COMM_LEN bytes the function writes; the others read fields
        // of the current task, which is valid in the process context all callers are in.
        unsafe {
            ffi::nm_current_comm(comm.as_mut_ptr().cast());
            Caller {
                uid: ffi::nm_current_uid(),
                comm,
                netns: ffi::nm_netns_cookie(),
            }
        }
    }
}

/// Wall-clock time: seconds, microseconds.
pub(crate) fn now() -> (i64, i64) {
    let (mut sec, mut usec) = (0, 0);
    // SAFETY: Both are valid for writing.
    unsafe { ffi::nm_now(&mut sec, &mut usec) };
    (sec, usec)
}

/// rtnl, the lock of all network configuration. Taken after an fd's lock, before a ring's.
pub(crate) struct Rtnl {
    ours: bool,
    /// Whoever took it releases it.
    _this_thread: PhantomData<*mut ()>,
}

impl Rtnl {
    /// Waits for the lock; released on drop.
    pub(crate) fn lock() -> Self {
        // SAFETY: May sleep; all callers are in process context.
        unsafe { ffi::nm_rtnl_lock() };
        Rtnl {
            ours: true,
            _this_thread: PhantomData,
        }
    }

    /// The kernel holds it around notifier calls; not released on drop.
    pub(crate) fn held_by_notifier() -> Self {
        Rtnl {
            ours: false,
            _this_thread: PhantomData,
        }
    }
}

impl Drop for Rtnl {
    fn drop(&mut self) {
        if self.ours {
            // SAFETY: Taken in `lock` by this very thread, which the object cannot leave.
            unsafe { ffi::nm_rtnl_unlock() };
        }
    }
}
