// SPDX-License-Identifier: GPL-2.0

//! Who calls, what time it is, and who sleeps until when.

use std::cell::Cell;
use std::sync::atomic::{fence, AtomicI64, AtomicU32, Ordering::SeqCst};
use std::sync::Arc;

use kernel::bindings::{eventfd_ctx, module, pid, poll_table_struct, spinlock_t};
use kernel::ffi::{c_char, c_int, c_longlong, c_ulong, c_void};
use kernel::sync::lock::signal;
use kernel::sync::lockdep::{self, Class};
use kernel::sync::poll::Waiter;
use kernel::uaccess;

use super::no_memory;

/// A process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    pub pid: u32,
    pub uid: u32,
    pub netns: u64,
    /// It has CAP_NET_ADMIN.
    pub admin: bool,
}

/// The first there is.
pub const INIT: Process = Process {
    pid: 1,
    uid: 0,
    netns: 1,
    admin: true,
};

thread_local! {
    static CALLER: Cell<Process> = const { Cell::new(INIT) };
    /// Sleeps this thread has left before a signal comes; negative: none comes.
    static SLEEPS: Cell<i64> = const { Cell::new(-1) };
}

/// From now on this thread is one of this process.
pub fn become_(process: Process) {
    CALLER.set(process);
}

pub fn caller() -> Process {
    CALLER.get()
}

/// A signal comes after so many sleeps or yields of this thread.
pub fn signal_after(sleeps: i64) {
    SLEEPS.set(sleeps);
}

fn slept() -> bool {
    let left = SLEEPS.get();
    if left > 0 {
        SLEEPS.set(left - 1);
    }
    left == 0 || signal()
}

static EVENTFDS: AtomicI64 = AtomicI64::new(0);
static SLEEPERS: AtomicI64 = AtomicI64::new(0);

/// References to eventfds, sleepers, and references to processes.
pub fn counts() -> (i64, i64, i64) {
    (
        EVENTFDS.load(SeqCst),
        SLEEPERS.load(SeqCst),
        PIDS.load(SeqCst),
    )
}

/// Forgets those of a queue that did not stop.
pub fn forget() {
    PIDS.store(0, SeqCst);
}

/// Descriptors of eventfds; others are none.
pub const FDS: core::ops::Range<c_int> = 100..110;

/// Signals of each.
pub static SIGNALS: AtomicU32 = AtomicU32::new(0);

#[no_mangle]
static mut __this_module: module = module::new();

#[no_mangle]
extern "C" fn nm_write_barrier() {
    kernel::sync::point();
    fence(SeqCst);
}

#[no_mangle]
extern "C" fn nm_read_barrier() {
    fence(SeqCst);
}

#[no_mangle]
extern "C" fn nm_full_barrier() {
    kernel::sync::point();
    fence(SeqCst);
}

/// # Safety
///
/// Both must be valid for writing.
#[no_mangle]
unsafe extern "C" fn nm_now(sec: *mut c_longlong, usec: *mut c_longlong) {
    // SAFETY: By the caller's promise.
    unsafe {
        sec.write(1_700_000_000);
        usec.write(5);
    }
}

static PIDS: AtomicI64 = AtomicI64::new(0);

#[no_mangle]
extern "C" fn nm_current_tgid() -> *mut pid {
    PIDS.fetch_add(1, SeqCst);
    caller().pid as usize as *mut pid
}

#[no_mangle]
extern "C" fn nm_pid_put(_pid: *mut pid) {
    assert!(
        PIDS.fetch_sub(1, SeqCst) > 0,
        "a process is put more often than got"
    );
}

#[no_mangle]
extern "C" fn nm_pid_seen(pid: *mut pid) -> u32 {
    pid as usize as u32
}

#[no_mangle]
extern "C" fn nm_uid_seen(uid: u32) -> u32 {
    uid
}

#[no_mangle]
extern "C" fn nm_current_uid() -> u32 {
    caller().uid
}

#[no_mangle]
extern "C" fn nm_netns_cookie() -> u64 {
    caller().netns
}

/// # Safety
///
/// 16 bytes must be there.
#[no_mangle]
unsafe extern "C" fn nm_current_comm(comm16: *mut c_char) {
    // SAFETY: By the caller's promise.
    unsafe { comm16.copy_from((*b"a program\0\0\0\0\0\0\0").as_ptr(), 16) };
}

#[no_mangle]
extern "C" fn nm_in_compat() -> bool {
    false
}

#[no_mangle]
extern "C" fn nm_warn_compat() {}

#[no_mangle]
extern "C" fn nm_trace_attach(_: *const kernel::bindings::net_device, _: u32, _: u32) {}

#[no_mangle]
extern "C" fn nm_trace_detach(_: *const kernel::bindings::net_device, _: u32, _: u32, _: c_int) {}

#[no_mangle]
extern "C" fn nm_trace_sync(_: u32, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32) {}

#[no_mangle]
extern "C" fn nm_trace_reinit(_: u32, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32) {}

#[no_mangle]
extern "C" fn nm_debugfs_add() {}

#[no_mangle]
extern "C" fn nm_debugfs_remove() {}

/// # Safety
///
/// `lock` must be valid for writing.
#[no_mangle]
unsafe extern "C" fn nm_lock_init(lock: *mut c_void) {
    // SAFETY: By the caller's promise.
    unsafe { lock.cast::<spinlock_t>().write(spinlock_t::default()) };
}

/// # Safety
///
/// `lock` must be initialised.
#[no_mangle]
unsafe extern "C" fn nm_lock(lock: *mut c_void) -> c_ulong {
    lockdep::before(lock as usize, Class::spinning("netmap::IrqLock"));
    // SAFETY: By the caller's promise.
    let at = unsafe { &*lock.cast::<spinlock_t>() };
    while at
        .held
        .compare_exchange(0, 1, kernel::sync::SEQ_CST, kernel::sync::SEQ_CST)
        .is_err()
    {
        kernel::sync::yield_now();
    }
    lockdep::taken(lock as usize, Class::spinning("netmap::IrqLock"));
    7
}

/// # Safety
///
/// `lock` must be held by the caller.
#[no_mangle]
unsafe extern "C" fn nm_unlock(lock: *mut c_void, flags: c_ulong) {
    assert_eq!(flags, 7, "another lock's flags");
    lockdep::released(lock as usize);
    // SAFETY: By the caller's promise.
    unsafe { &*lock.cast::<spinlock_t>() }
        .held
        .store(0, kernel::sync::SEQ_CST);
}

/// A sleeping thread: its poll table, first because it is looked at from outside.
#[repr(C)]
struct Sleeper {
    table: poll_table_struct,
    waiter: Arc<Waiter>,
}

#[no_mangle]
extern "C" fn nm_sleeper_new() -> *mut c_void {
    if no_memory().is_some() {
        return core::ptr::null_mut();
    }
    SLEEPERS.fetch_add(1, SeqCst);
    let waiter = Arc::new(Waiter::default());
    let table = poll_table_struct {
        _key: u32::MAX,
        waiter: Some(waiter.clone()),
    };
    Box::into_raw(Box::new(Sleeper { table, waiter })).cast()
}

macro_rules! of_sleeper {
    ($($name:ident($s:ident: $p:ty $(, $arg:ident: $t:ty)*) $(-> $ret:ty)? $body:block)+) => {$(
        /// # Safety
        ///
        /// The sleeper must be the caller's.
        #[no_mangle]
        unsafe extern "C" fn $name($s: $p $(, $arg: $t)*) $(-> $ret)? $body
    )+};
}
of_sleeper! {
    nm_sleeper_free(s: *mut c_void) {
        SLEEPERS.fetch_sub(1, SeqCst);
        // SAFETY: By the caller's promise; used up.
        drop(unsafe { Box::from_raw(s.cast::<Sleeper>()) });
    }
    nm_sleeper_table(s: *mut c_void) -> *mut poll_table_struct {
        // SAFETY: By the caller's promise.
        unsafe { &raw mut (*s.cast::<Sleeper>()).table }
    }
    nm_sleeper_error(_s: *const c_void) -> c_int {
        no_memory().unwrap_or(0)
    }
    nm_sleeper_eventfd(s: *mut c_void, fd: c_int) -> c_int {
        #[cfg(loom)]
        // SAFETY: By the caller's promise.
        kernel::sync::poll::to_kernel(&unsafe { &*s.cast::<Sleeper>() }.waiter);
        let _ = s;
        match FDS.contains(&fd) {
            true => no_memory().unwrap_or(0),
            false => -9,
        }
    }
    nm_sleeper_sleep(s: *mut c_void, _usec: u64) -> bool {
        lockdep::may_sleep();
        // SAFETY: By the caller's promise.
        let sleeper = unsafe { &*s.cast::<Sleeper>() };
        // Time flies: a sleep that nothing ends is over at once. In a model it must be ended.
        #[cfg(not(loom))]
        sleeper.waiter.take();
        #[cfg(loom)]
        sleeper.waiter.wait();
        slept()
    }
}

#[no_mangle]
extern "C" fn nm_yield() -> bool {
    lockdep::may_sleep();
    slept()
}

/// # Safety
///
/// `ctx` must be valid for writing.
#[no_mangle]
unsafe extern "C" fn nm_eventfd_get(fd: c_int, ctx: *mut *mut eventfd_ctx) -> c_int {
    if !FDS.contains(&fd) {
        return -9;
    }
    EVENTFDS.fetch_add(1, SeqCst);
    // SAFETY: By the caller's promise.
    unsafe { ctx.write(fd as usize as *mut eventfd_ctx) };
    0
}

#[no_mangle]
extern "C" fn nm_eventfd_put(_ctx: *mut eventfd_ctx) {
    EVENTFDS.fetch_sub(1, SeqCst);
}

#[no_mangle]
extern "C" fn nm_eventfd_signal(_ctx: *mut eventfd_ctx) {
    #[cfg(loom)]
    kernel::sync::poll::KICKS.from_kernel.notify_all();
    SIGNALS.fetch_add(1, SeqCst);
}

/// # Safety
///
/// `word` must be valid for writing.
#[no_mangle]
unsafe extern "C" fn nm_user_get(addr: c_ulong, word: *mut u32) -> c_int {
    let mut bytes = [0; 4];
    match uaccess::copy_in(addr, &mut bytes) {
        Ok(()) => {
            // SAFETY: By the caller's promise.
            unsafe { word.write(u32::from_le_bytes(bytes)) };
            0
        }
        Err(e) => e.to_errno(),
    }
}

#[no_mangle]
extern "C" fn nm_user_put(addr: c_ulong, word: u32) -> c_int {
    uaccess::copy_out(addr, &word.to_le_bytes()).map_or_else(|e| e.to_errno(), |()| 0)
}
