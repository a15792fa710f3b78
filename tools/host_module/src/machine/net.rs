// SPDX-License-Identifier: GPL-2.0

//! Interfaces, rtnl, and the module's wish to hear of interfaces that go.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering::SeqCst};
use std::sync::Mutex;

use kernel::bindings::net_device;
use kernel::ffi::{c_char, c_int};
use kernel::sync::lockdep::{self, Class};

use super::driver::Port;
use super::{locked, tasks};
use crate::ffi;

/// An interface; freed with the machine, because the accounts are looked at after it has gone.
pub struct Dev {
    pub name: [u8; 16],
    pub ifindex: u32,
    pub netns: u64,
    pub registered: AtomicBool,
    pub running: AtomicBool,
    pub carrier: AtomicBool,
    pub refs: AtomicI64,
    pub tx_dropped: AtomicU32,
    /// Frames the stack has received from it.
    pub received: AtomicU32,
    /// The hooked driver behind it, if it has one.
    pub port: Option<Port>,
}

static DEVS: Mutex<Vec<&'static Dev>> = Mutex::new(Vec::new());
static HEARS: AtomicBool = AtomicBool::new(false);

impl Dev {
    /// Adds an interface.
    pub fn add(name: &str, netns: u64, port: Option<Port>) -> &'static Dev {
        let mut devs = locked(&DEVS);
        let mut name16 = [0; 16];
        name16[..name.len()].copy_from_slice(name.as_bytes());
        let dev: &'static Dev = Box::leak(Box::new(Dev {
            name: name16,
            ifindex: devs.len() as u32 + 1,
            netns,
            registered: AtomicBool::new(true),
            running: AtomicBool::new(true),
            carrier: AtomicBool::new(true),
            refs: AtomicI64::new(0),
            tx_dropped: AtomicU32::new(0),
            received: AtomicU32::new(0),
            port,
        }));
        devs.push(dev);
        dev
    }

    pub fn as_ptr(&self) -> *mut net_device {
        core::ptr::from_ref(self).cast_mut().cast()
    }

    /// The interface behind a C pointer.
    ///
    /// # Safety
    ///
    /// It must be one of [`Dev::add`].
    pub unsafe fn of<'a>(dev: *const net_device) -> &'a Dev {
        // SAFETY: By the caller's promise.
        unsafe { &*dev.cast() }
    }

    /// It is unregistered, or leaves for another namespace: the module hears of it and lets go.
    pub fn go(&self, for_good: bool) {
        self.tell(for_good);
        assert_eq!(
            self.refs.load(SeqCst),
            0,
            "an interface that goes is still held"
        );
    }

    fn tell(&self, for_good: bool) {
        nm_rtnl_lock();
        if for_good {
            self.running.store(false, SeqCst);
            if let Some(port) = &self.port {
                port.all_stop();
            }
            self.registered.store(false, SeqCst);
        }
        if HEARS.load(SeqCst) {
            // SAFETY: Valid, and rtnl is held.
            unsafe { ffi::nm_rs_netdev_gone(self.as_ptr()) };
        }
        if let Some(port) = self.port.as_ref().filter(|_| for_good) {
            port.all_gone();
        }
        nm_rtnl_unlock();
    }

    /// The same while other threads are in calls: it goes when they have let go, as the kernel waits.
    #[cfg(loom)]
    pub fn go_when_free(&self, for_good: bool) {
        self.tell(for_good);
        while self.refs.load(SeqCst) != 0 {
            kernel::sync::point();
            kernel::sync::yield_now();
        }
    }
}

/// Forgets all interfaces; nobody may look at one any more. Of those with a queue that did not stop,
/// memory is kept for ever, which is in a table so that no leak is seen in it.
pub fn reset() {
    static KEPT: Mutex<Vec<&Dev>> = Mutex::new(Vec::new());
    for dev in locked(&DEVS).drain(..) {
        if dev.port.as_ref().is_some_and(|p| p.stuck.load(SeqCst)) {
            locked(&KEPT).push(dev);
        } else {
            // SAFETY: Leaked in `add`, and now in no list.
            drop(unsafe { Box::from_raw(core::ptr::from_ref(dev).cast_mut()) });
        }
    }
}

/// Forgets them without a look.
pub fn forget() {
    locked(&DEVS).clear();
}

fn visible(dev: &Dev) -> bool {
    dev.registered.load(SeqCst) && dev.netns == tasks::caller().netns
}

/// # Safety
///
/// `name` must be NUL-terminated.
#[no_mangle]
unsafe extern "C" fn nm_netdev_get(name: *const c_char) -> *mut net_device {
    // SAFETY: By the caller's promise.
    let name = unsafe { core::ffi::CStr::from_ptr(name.cast()) }.to_bytes();
    let devs = locked(&DEVS);
    let is = |d: &&&Dev| visible(d) && d.name.starts_with(name) && d.name[name.len()] == 0;
    let found = devs.iter().find(is);
    found.map_or(core::ptr::null_mut(), |dev| held(dev))
}

fn held(dev: &Dev) -> *mut net_device {
    dev.refs.fetch_add(1, SeqCst);
    dev.as_ptr()
}

#[no_mangle]
extern "C" fn nm_netdev_next(after: u32) -> *mut net_device {
    let devs = locked(&DEVS);
    let found = devs.iter().find(|d| visible(d) && d.ifindex > after);
    found.map_or(core::ptr::null_mut(), |dev| held(dev))
}

macro_rules! of_dev {
    ($($name:ident($dev:ident $(, $arg:ident: $t:ty)*) $(-> $ret:ty)? $body:block)+) => {$(
        /// # Safety
        ///
        /// The interface must be valid.
        #[no_mangle]
        unsafe extern "C" fn $name($dev: *const net_device $(, $arg: $t)*) $(-> $ret)? {
            // SAFETY: By the caller's promise.
            let $dev = unsafe { Dev::of($dev) };
            $body
        }
    )+};
}
of_dev! {
    nm_netdev_hold(dev) {
        dev.refs.fetch_add(1, SeqCst);
    }
    nm_netdev_put(dev) {
        assert!(dev.refs.fetch_sub(1, SeqCst) > 0, "an interface is put more often than held");
    }
    nm_netdev_ifindex(dev) -> u32 { dev.ifindex }
    nm_netdev_registered(dev) -> bool { dev.registered.load(SeqCst) }
    nm_netdev_running(dev) -> bool { dev.running.load(SeqCst) }
    nm_netdev_carrier(dev) -> bool { dev.carrier.load(SeqCst) }
    nm_netdev_in_caller_netns(dev) -> bool {
        assert_rtnl();
        dev.netns == tasks::caller().netns
    }
    nm_netdev_may_admin(_dev) -> bool {
        // else its network namespace may go while it is looked at
        assert_rtnl();
        tasks::caller().admin
    }
    nm_netdev_tx_dropped(dev, frames: u32) {
        dev.tx_dropped.fetch_add(frames, SeqCst);
    }
    nm_netdev_name(dev, to: *mut c_char) {
        // SAFETY: 16 bytes by the caller's promise.
        unsafe { to.copy_from(dev.name.as_ptr(), 16) };
    }
}

#[no_mangle]
extern "C" fn nm_notifier_register() -> c_int {
    HEARS.store(true, SeqCst);
    0
}

#[no_mangle]
extern "C" fn nm_notifier_unregister() {
    HEARS.store(false, SeqCst);
}

const RTNL_ID: usize = 1;

#[cfg(not(loom))]
static RTNL: AtomicBool = AtomicBool::new(false);
#[cfg(loom)]
loom::lazy_static! {
    static ref RTNL: loom::sync::atomic::AtomicBool = loom::sync::atomic::AtomicBool::new(false);
}

#[no_mangle]
pub(crate) extern "C" fn nm_rtnl_lock() {
    use kernel::sync::SEQ_CST;
    let class = Class::of("rtnl");
    lockdep::before(RTNL_ID, class);
    while RTNL
        .compare_exchange(false, true, SEQ_CST, SEQ_CST)
        .is_err()
    {
        kernel::sync::yield_now();
    }
    lockdep::taken(RTNL_ID, class);
}

#[no_mangle]
pub(crate) extern "C" fn nm_rtnl_unlock() {
    lockdep::released(RTNL_ID);
    RTNL.store(false, kernel::sync::SEQ_CST);
}

/// The driver's calls want it.
pub fn assert_rtnl() {
    assert!(cfg!(loom) || lockdep::holds(RTNL_ID), "rtnl is not held");
}
