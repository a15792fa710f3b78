// SPDX-License-Identifier: GPL-2.0

//! A hooked driver, as `c_shim/netmap_nic.h` wants it: queues that are lent and given back.
//!
//! Every rule of the contract that the driver can see broken is checked here.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering::SeqCst};
use std::sync::Mutex;

use kernel::bindings::{device, module, net_device};
use kernel::ffi::{c_int, c_void};

use super::card::{Lent, Queue};
use super::locked;
use super::net::{assert_rtnl, Dev};
use crate::ffi::{nm_nic_client, nm_nic_ops, nm_nic_port, nm_nic_xmit, NM_NIC_ABI};

/// The driver's side of an interface.
pub(crate) struct Port {
    pub rx: Vec<Queue>,
    pub tx: Vec<Queue>,
    pub slots: AtomicU32,
    xmit: Mutex<Option<(usize, usize)>>,
    /// The next queue that is given back does not stop.
    pub sticks: AtomicBool,
    /// Some queue did not.
    pub stuck: AtomicBool,
}

static MODULE_REFS: AtomicI64 = AtomicI64::new(0);

struct Table(nm_nic_ops);
// SAFETY: Constant.
unsafe impl Sync for Table {}

static OPS: Table = Table(nm_nic_ops {
    abi: NM_NIC_ABI,
    size: size_of::<nm_nic_ops>() as u32,
    owner: core::ptr::null_mut::<module>(),
    match_: None,
    info: Some(info),
    take_rx: Some(take_rx),
    give_rx: Some(give_rx),
    take_tx: Some(take_tx),
    give_tx: Some(give_tx),
    divert: Some(divert),
    account_rx: Some(account),
    account_tx: Some(account),
    rx_stamp: Some(stamp),
});

/// References to the driver's module.
pub fn module_refs() -> i64 {
    MODULE_REFS.load(SeqCst)
}

/// Forgets those of a queue that did not stop.
pub fn forget() {
    MODULE_REFS.store(0, SeqCst);
}

impl Port {
    pub fn new(rx: u32, tx: u32, slots: u32) -> Self {
        Port {
            rx: (0..rx).map(|_| Queue::new(false)).collect(),
            tx: (0..tx).map(|_| Queue::new(true)).collect(),
            slots: AtomicU32::new(slots),
            xmit: Mutex::new(None),
            sticks: AtomicBool::new(false),
            stuck: AtomicBool::new(false),
        }
    }

    pub fn queues(&self) -> impl Iterator<Item = &Queue> {
        self.rx.iter().chain(&self.tx)
    }

    /// The driver rebuilds its rings, or the interface goes down: all are stopped.
    pub fn all_stop(&self) {
        assert_rtnl();
        self.queues().for_each(Queue::stop);
    }

    /// They are enabled again.
    pub fn all_start(&self, dev: &Dev) {
        assert_rtnl();
        for queue in self.queues() {
            let _ = queue.start(dev, self.slots.load(SeqCst));
        }
    }

    /// A reset stops the queues that did not stop when they were given back.
    pub fn all_release(&self) {
        assert_rtnl();
        self.queues().for_each(Queue::release);
        self.stuck.store(false, SeqCst);
    }

    /// The device goes: the client of each queue that is still out is told, and forgotten.
    pub fn all_gone(&self) {
        assert_rtnl();
        self.queues().for_each(Queue::gone);
        *locked(&self.xmit) = None;
    }

    /// The stack sends a packet: to the program, if it is diverted.
    pub(crate) fn transmit(&self, skb: *mut crate::ffi::sk_buff, queue: u32) {
        let client = *locked(&self.xmit);
        match client {
            Some((xmit, private)) => {
                // SAFETY: The table's and its client's, as long as it is diverted.
                let xmit = unsafe { &*(xmit as *const nm_nic_xmit) }.xmit;
                // SAFETY: As above.
                unsafe { xmit.expect("a function")(private as *mut c_void, skb, queue) };
            }
            None => super::skb::free(skb),
        }
    }

    pub fn diverted(&self) -> bool {
        locked(&self.xmit).is_some()
    }
}

/// # Safety
///
/// `dev` must be valid.
#[no_mangle]
unsafe extern "C" fn nm_nic_get(dev: *mut net_device) -> *const nm_nic_ops {
    // SAFETY: By the caller's promise.
    if unsafe { Dev::of(dev) }.port.is_none() {
        return core::ptr::null();
    }
    MODULE_REFS.fetch_add(1, SeqCst);
    &OPS.0
}

#[no_mangle]
extern "C" fn nm_nic_put(ops: *const nm_nic_ops) {
    assert!(core::ptr::eq(ops, &OPS.0), "another table");
    assert!(
        MODULE_REFS.fetch_sub(1, SeqCst) > 0,
        "a module is put more often than got"
    );
}

/// # Safety
///
/// `dev` must be of this driver.
unsafe fn port<'a>(dev: *const net_device) -> (&'a Dev, &'a Port) {
    assert_rtnl();
    // SAFETY: By the caller's promise.
    let dev = unsafe { Dev::of(dev) };
    (dev, dev.port.as_ref().expect("of this driver"))
}

unsafe extern "C" fn info(dev: *mut net_device, to: *mut nm_nic_port) -> c_int {
    // SAFETY: The module promises it.
    let (dev, port) = unsafe { port(dev) };
    let slots = port.slots.load(SeqCst);
    // SAFETY: Valid for writing.
    unsafe {
        to.write(nm_nic_port {
            dev: dev.as_ptr().cast::<device>(),
            num_rx: port.rx.len() as u32,
            num_tx: port.tx.len() as u32,
            rx_slots: slots,
            tx_slots: slots,
        });
    }
    0
}

fn take(dev: &Dev, port: &Port, queue: Option<&Queue>, lent: Lent) -> c_int {
    let Some(queue) = queue else {
        return -2;
    };
    if !dev.running.load(SeqCst) {
        return -100;
    }
    queue.take(dev, port.slots.load(SeqCst), lent)
}

unsafe extern "C" fn take_rx(
    dev: *mut net_device,
    q: u32,
    buf_len: u32,
    client: *const nm_nic_client,
    private: *mut c_void,
) -> c_int {
    // SAFETY: The module promises it.
    let (dev, port) = unsafe { port(dev) };
    if buf_len == 0 || buf_len > 16384 || buf_len % 1024 != 0 {
        return -22;
    }
    let lent = Lent::new(client, private, buf_len);
    take(dev, port, port.rx.get(q as usize), lent)
}

unsafe extern "C" fn take_tx(
    dev: *mut net_device,
    q: u32,
    client: *const nm_nic_client,
    private: *mut c_void,
) -> c_int {
    // SAFETY: The module promises it.
    let (dev, port) = unsafe { port(dev) };
    take(
        dev,
        port,
        port.tx.get(q as usize),
        Lent::new(client, private, 0),
    )
}

fn give(port: &Port, queue: &Queue) -> c_int {
    let sticks = port.sticks.swap(false, SeqCst);
    if sticks {
        port.stuck.store(true, SeqCst);
    }
    queue.give(sticks)
}

unsafe extern "C" fn give_rx(dev: *mut net_device, q: u32) -> c_int {
    // SAFETY: The module promises it.
    let (_, port) = unsafe { port(dev) };
    give(port, &port.rx[q as usize])
}

unsafe extern "C" fn give_tx(dev: *mut net_device, q: u32) -> c_int {
    // SAFETY: The module promises it.
    let (_, port) = unsafe { port(dev) };
    give(port, &port.tx[q as usize])
}

unsafe extern "C" fn divert(
    dev: *mut net_device,
    xmit: *const nm_nic_xmit,
    private: *mut c_void,
) -> c_int {
    // SAFETY: The module promises it.
    let (_, port) = unsafe { port(dev) };
    let mut at = locked(&port.xmit);
    if xmit.is_null() {
        *at = None;
    } else if at.is_some() {
        return -16;
    } else {
        *at = Some((xmit as usize, private as usize));
    }
    0
}

unsafe extern "C" fn account(cookie: *mut c_void, _packets: u32, _bytes: u32) {
    // SAFETY: The queue's, while it is started.
    unsafe { Queue::of(cookie) }.assert_started();
}

unsafe extern "C" fn stamp(cookie: *mut c_void, ns: *mut u64) -> bool {
    // SAFETY: As above.
    unsafe { Queue::of(cookie) }.assert_started();
    // SAFETY: Valid for writing.
    unsafe { ns.write(42) };
    true
}
