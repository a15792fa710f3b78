// SPDX-License-Identifier: GPL-2.0

//! Ports: a registered fd's hold on an interface and its queues.
//!
//! A port ends in one of two ways: its fd is released, or its interface goes away under it. Both
//! give all queues back under rtnl; after the second the fd stays, and everything says ENXIO.
//!
//! Lock order: fd, rtnl, the list of ports, `dev`, `queues`, ring, region.

pub(crate) mod name;

use kernel::bindings;
use kernel::error::Result;
use kernel::prelude::*;
use kernel::sync::{new_mutex, Arc, Mutex};

use crate::kring::host::tx::HostTx;
use crate::kring::rx::RxRing;
use crate::kring::{Parts, RingOptions};
use crate::mem::layout::MAX_SLOTS;
use crate::mem::region::Region;
use crate::os::eopnotsupp;
use crate::os::netdev::NetDev;
use crate::os::nic::{Nic, NicClient, PortInfo, Taken};
use crate::os::wait::{Waiters, Wakers};
use crate::os::{Caller, Rtnl};
use crate::uapi::ext::state;

/// A registered fd's hold on an interface.
#[pin_data]
pub(crate) struct Port {
    /// Interface index at registration.
    pub(crate) ifindex: u32,
    /// Who registered.
    pub(crate) owner: Caller,
    /// Its memory region.
    pub(crate) mem_id: u16,
    nic: Arc<Nic>,
    waiters: Arc<Waiters>,
    #[pin]
    dev: Mutex<Option<NetDev>>,
    #[pin]
    queues: Mutex<KVec<Queue>>,
    /// Queues that did not stop when they were given back.
    #[pin]
    stuck: Mutex<KVec<Arc<RxRing>>>,
    /// The ring into the stack, where the fd has one.
    #[pin]
    pub(crate) host_tx: Mutex<Option<Arc<HostTx>>>,
}

/// A queue that is out.
struct Queue {
    ring: Arc<RxRing>,
    taken: Taken<RxRing>,
}

kernel::sync::global_lock! {
    // SAFETY: Initialised by `init`, before the device can be opened.
    unsafe(uninit) static PORTS: Mutex<KVec<Arc<Port>>> = KVec::new();
}

/// Makes the list of ports usable.
///
/// # Safety
///
/// Once, at the module's start.
#[expect(unsafe_code, reason = "a global lock has no safe initialiser")]
pub(crate) unsafe fn init() {
    // SAFETY: Once by the caller's promise.
    unsafe { PORTS.init() };
}

/// All ports now.
pub(crate) fn all() -> Result<KVec<Arc<Port>>> {
    let ports = PORTS.lock();
    let mut list = KVec::with_capacity(ports.len(), GFP_KERNEL)?;
    for port in ports.iter() {
        list.push(port.clone(), GFP_KERNEL)?;
    }
    Ok(list)
}

/// An interface goes away or changes its namespace; rtnl is held by the notifier's caller.
pub(crate) fn interface_gone(dev: *const bindings::net_device) {
    // One at a time, so that nothing is allocated here and the list's lock is not held meanwhile.
    while let Some(port) = {
        let ports = PORTS.lock();
        let found = ports.iter().find(|p| p.has(dev)).cloned();
        found
    } {
        port.withdraw(&Rtnl::held_by_notifier());
    }
}

/// Finds an interface and its hooked driver.
///
/// # Errors
///
/// ENXIO: no such interface. EOPNOTSUPP: its driver has no hooks.
pub(crate) fn find(ifname: &[u8]) -> Result<(NetDev, Nic)> {
    let dev = NetDev::by_name(ifname)?;
    let nic = Nic::of(&dev).ok_or_else(eopnotsupp)?;
    Ok((dev, nic))
}

/// The port's numbers, as they are now.
///
/// # Errors
///
/// ENXIO: the interface is going away.
pub(crate) fn info(dev: &NetDev, nic: &Nic) -> Result<PortInfo> {
    let rtnl = Rtnl::lock();
    if !dev.registered(&rtnl) {
        return Err(ENXIO);
    }
    nic.info(dev, &rtnl)
}

impl Port {
    /// A port without queues, in the list of ports.
    ///
    /// # Errors
    ///
    /// ENXIO: the interface has gone meanwhile. ENOMEM.
    pub(crate) fn open(
        dev: NetDev,
        nic: Nic,
        owner: Caller,
        mem_id: u16,
        waiters: Arc<Waiters>,
    ) -> Result<Arc<Self>> {
        let nic = Arc::new(nic, GFP_KERNEL)?;
        let ifindex = dev.ifindex();
        let port = Arc::pin_init(
            pin_init!(Port {
                ifindex,
                owner,
                mem_id,
                nic,
                waiters,
                dev <- new_mutex!(Some(dev), "netmap::Port::dev"),
                queues <- new_mutex!(KVec::new(), "netmap::Port::queues"),
                stuck <- new_mutex!(KVec::new(), "netmap::Port::stuck"),
                host_tx <- new_mutex!(None, "netmap::Port::host_tx"),
            }),
            GFP_KERNEL,
        )?;
        // Once in the list it hears of the interface's going; until then that must not happen.
        let rtnl = Rtnl::lock();
        let there = |d: &NetDev| d.registered(&rtnl) && d.in_netns_of_caller(&rtnl);
        if !port.with_dev(|d| d.is_some_and(there)) {
            return Err(ENXIO);
        }
        PORTS.lock().push(port.clone(), GFP_KERNEL)?;
        Ok(port)
    }

    /// Those a ring of the port wakes.
    pub(crate) fn wakers(&self) -> Wakers {
        Wakers::new(self.waiters.clone(), self.waiters.clone())
    }

    fn has(&self, dev: *const bindings::net_device) -> bool {
        self.dev.lock().as_ref().is_some_and(|d| d.is(dev))
    }

    /// Calls `f` with the interface, `None` if it has gone.
    pub(crate) fn with_dev<R>(&self, f: impl FnOnce(Option<&NetDev>) -> R) -> R {
        f(self.dev.lock().as_ref())
    }

    /// Takes an RX queue from the kernel. Everything that can fail for want of memory comes before
    /// the hardware is touched.
    ///
    /// # Errors
    ///
    /// ENOMEM; ENXIO: the interface has gone; EINVAL: no such queue; EPERM: the caller has no
    /// CAP_NET_ADMIN; EBUSY, ENETDOWN, EOPNOTSUPP, EIO as the driver says. Nothing has changed then.
    pub(crate) fn take(&self, queue: u32, region: &Arc<Region>) -> Result<Arc<RxRing>> {
        // From the look at the port to the taking: neither its rings nor its driver may change.
        let rtnl = Rtnl::lock();
        let dev = self.dev.lock();
        let dev = dev.as_ref().filter(|d| d.registered(&rtnl)).ok_or(ENXIO)?;
        // Each time: the fd may have been passed on, or the right given up, since it was registered.
        if !dev.may_admin() {
            return Err(EPERM);
        }
        let info = self.nic.info(dev, &rtnl)?;
        if queue >= info.num_rx || !(2..=MAX_SLOTS).contains(&info.rx_slots) {
            return Err(EINVAL);
        }
        let mut queues = self.queues.lock();
        queues.reserve(1, GFP_KERNEL)?;
        let ring = RxRing::new(Parts {
            queue,
            slots: info.rx_slots,
            region: region.clone(),
            dev: info.dev,
            nic: self.nic.clone(),
            wakers: self.wakers(),
            options: RingOptions::default(),
        })?;
        let taken = Taken::take(&self.nic, dev, queue, ring.buf_len(), ring.clone(), &rtnl)
            .inspect_err(|_| ring.retire())?;
        queues.push(
            Queue {
                ring: ring.clone(),
                taken,
            },
            GFP_KERNEL,
        )?;
        Ok(ring)
    }

    /// Gives one queue back to the kernel; it is the kernel's when this returns.
    ///
    /// # Errors
    ///
    /// ENXIO: the interface has gone. ENOENT: the port does not have it. EIO: the hardware did not
    /// stop it.
    pub(crate) fn give(&self, queue: u32) -> Result {
        let rtnl = Rtnl::lock();
        let dev = self.dev.lock();
        let dev = dev.as_ref().ok_or(ENXIO)?;
        let taken = {
            let mut queues = self.queues.lock();
            let at = queues
                .iter()
                .position(|q| q.ring.queue == queue)
                .ok_or(ENOENT)?;
            queues.remove(at).map_err(|_| ENOENT)?
        };
        self.give_queue(taken, dev, &rtnl)
    }

    fn give_queue(&self, queue: Queue, dev: &NetDev, rtnl: &Rtnl) -> Result {
        let Queue { ring, taken } = queue;
        ring.set_state(state::RETURNING);
        if let Err(e) = taken.give(&self.nic, dev, rtnl) {
            ring.set_state(state::STUCK);
            pr_err!(
                "queue {} did not stop: its memory is kept until reboot; reset the card\n",
                ring.queue
            );
            // The driver still knows of the queue, so it must not be unloaded either.
            core::mem::forget(self.nic.clone());
            // For the listing; without memory for it the log has to do.
            let _ = self.stuck.lock().push(ring, GFP_KERNEL);
            return Err(e);
        }
        ring.retire();
        Ok(())
    }

    /// Gives all queues back and lets go of the interface; there are none without it. `then` is
    /// called with each ring.
    fn give_all(&self, rtnl: &Rtnl, then: impl Fn(&RxRing)) {
        let Some(dev) = self.dev.lock().take() else {
            return;
        };
        let queues = core::mem::take(&mut *self.queues.lock());
        for queue in queues {
            let ring = queue.ring.clone();
            let _ = self.give_queue(queue, &dev, rtnl);
            then(&ring);
        }
    }

    /// The interface goes away: its rings hear of it, and all who wait are woken.
    fn withdraw(&self, rtnl: &Rtnl) {
        self.give_all(rtnl, RxRing::gone);
        self.waiters.wake();
    }

    /// The fd is released: gives everything back. Complete when it returns.
    pub(crate) fn close(&self) {
        self.give_all(&Rtnl::lock(), |_| ());
        *self.host_tx.lock() = None;
        let mut ports = PORTS.lock();
        if let Some(at) = ports.iter().position(|p| core::ptr::eq(&**p, self)) {
            let _ = ports.remove(at);
        }
        if ports.is_empty() {
            // A static is not dropped with the module: leave it nothing to leak.
            *ports = KVec::new();
        }
    }

    /// The ring of a queue, if the port has it.
    pub(crate) fn ring(&self, queue: u32) -> Option<Arc<RxRing>> {
        let queues = self.queues.lock();
        let found = queues.iter().find(|q| q.ring.queue == queue);
        if let Some(found) = found {
            return Some(found.ring.clone());
        }
        let stuck = self.stuck.lock();
        stuck.iter().find(|r| r.queue == queue).cloned()
    }
}
