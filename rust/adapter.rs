// SPDX-License-Identifier: GPL-2.0

//! Adapters: what all fds of one interface share.
//!
//! An adapter is there while an fd is registered with its interface, or a ring of it that did not stop
//! is waited for. It knows which rings are bound, by whom, and which of them the driver has lent. A ring is taken from the driver for the first fd
//! that binds it and given back with the last; fds share one only if they share its memory and none
//! wants it alone.
//!
//! Lock order: fd, rtnl, the list of adapters, `dev`, `table`, ring, region.

pub(crate) mod bind;
mod ring;
mod table;

use kernel::bindings;
use kernel::error::Result;
use kernel::prelude::*;
use kernel::sync::{new_mutex, Arc, Mutex};

use crate::kring::host::divert::Divert;
use crate::kring::Status;
use crate::os::divert::Diverted;
use crate::os::netdev::NetDev;
use crate::os::nic::Nic;
use crate::os::wait::Waiters;
use crate::os::Rtnl;
use crate::port::Port;
use crate::uapi::ext::state;
pub(crate) use ring::{Lent, Ring, Which};
use table::Bound;
pub(crate) use table::{Owner, Row, Table};

/// What the fds of an interface share.
#[pin_data]
pub(crate) struct Adapter {
    /// Interface index when it was made.
    pub(crate) ifindex: u32,
    /// The driver.
    pub(crate) nic: Arc<Nic>,
    /// Those who wait for rings they share.
    pub(crate) waiters: Arc<Waiters>,
    /// Host TX rings; chosen by the first fd.
    pub(crate) host_tx: u32,
    /// Host RX rings; chosen by the first fd.
    pub(crate) host_rx: u32,
    /// Where what the kernel sends goes, while it is diverted.
    divert: Arc<Divert>,
    #[pin]
    dev: Mutex<Option<NetDev>>,
    #[pin]
    table: Mutex<Table>,
    #[pin]
    diversion: Mutex<Diversion>,
}

/// The fds that have all TX rings, and with them what the kernel sends.
#[derive(Default)]
struct Diversion {
    fds: u32,
    guard: Option<Diverted<Divert>>,
}

kernel::sync::global_lock! {
    // SAFETY: Initialised by `init`, before the device can be opened.
    unsafe(uninit) static ADAPTERS: Mutex<KVec<Arc<Adapter>>> = KVec::new();
}

/// Makes the list of adapters usable.
///
/// # Safety
///
/// Once, at the module's start.
#[expect(unsafe_code, reason = "a global lock has no safe initialiser")]
pub(crate) unsafe fn init() {
    // SAFETY: Once by the caller's promise.
    unsafe { ADAPTERS.init() };
}

/// The adapter in the list whose interface is the one that `is` says.
fn find(adapters: &[Arc<Adapter>], is: impl Fn(&NetDev) -> bool) -> Option<Arc<Adapter>> {
    let mut adapters = adapters.iter();
    let found = adapters.find(|a| a.with_dev(|dev| dev.is_some_and(&is)));
    found.cloned()
}

/// The adapter of an interface, if a program uses it.
pub(crate) fn of(dev: &NetDev) -> Option<Arc<Adapter>> {
    find(&ADAPTERS.lock(), |d| d.same(dev))
}

/// Host TX and RX rings that the fds of an interface have; `None`: the next fd says how many.
pub(crate) fn hosts(dev: &NetDev) -> Option<(u32, u32)> {
    let adapter = of(dev).filter(|a| a.has_fds())?;
    Some((adapter.host_tx, adapter.host_rx))
}

/// Forgets the adapters that nobody needs.
fn prune(adapters: &mut KVec<Arc<Adapter>>) {
    adapters.retain(|a| a.table.lock().in_use());
    if adapters.is_empty() {
        // A static is not dropped with the module: leave it nothing to leak.
        *adapters = KVec::new();
    }
}

/// All adapters now.
pub(crate) fn all() -> Result<KVec<Arc<Adapter>>> {
    let adapters = ADAPTERS.lock();
    let mut list = KVec::with_capacity(adapters.len(), GFP_KERNEL)?;
    for adapter in adapters.iter() {
        list.push(adapter.clone(), GFP_KERNEL)?;
    }
    Ok(list)
}

/// An interface goes away or changes its namespace; rtnl is held by the notifier's caller.
pub(crate) fn interface_gone(dev: *const bindings::net_device) {
    // Not under the list's lock, which is taken after rtnl, but never while the driver works.
    let found = find(&ADAPTERS.lock(), |d| d.is(dev));
    if let Some(adapter) = found {
        adapter.withdraw(&Rtnl::held_by_notifier());
    }
}

/// A ring that did not stop has stopped after all: its entries go, and its memory with them. rtnl is
/// held by the driver.
pub(crate) fn forget_released() {
    let mut adapters = ADAPTERS.lock();
    for adapter in adapters.iter() {
        adapter.table.lock().forget_released();
    }
    prune(&mut adapters);
}

impl Adapter {
    /// Enters a port into the adapter of `dev`, which is made if this is the first; `hosts`: host TX
    /// and RX rings it has then.
    ///
    /// # Errors
    ///
    /// ENXIO: the interface is going away. ENOMEM.
    pub(crate) fn enter(
        dev: NetDev,
        nic: Nic,
        hosts: (u32, u32),
        port: impl FnOnce(Arc<Adapter>) -> Result<Arc<Port>>,
    ) -> Result<Arc<Port>> {
        let rtnl = Rtnl::lock();
        // Once in the list it hears of the interface's going; until then that must not happen.
        if !dev.registered(&rtnl) || !dev.in_netns_of_caller(&rtnl) {
            return Err(ENXIO);
        }
        let mut adapters = ADAPTERS.lock();
        let found = find(&adapters, |d| d.same(&dev));
        let (adapter, first) = match &found {
            Some(adapter) if adapter.has_fds() => (adapter.clone(), false),
            _ => (Self::new(dev, nic, hosts)?, true),
        };
        let port = port(adapter.clone())?;
        adapter.table.lock().ports.reserve(1, GFP_KERNEL)?;
        if first {
            // The list's own memory last: nobody frees it but `prune`.
            adapters.push(adapter.clone(), GFP_KERNEL)?;
            if let Some(before) = found {
                // It stayed for rings that did not stop.
                let stuck = core::mem::take(&mut before.table.lock().stuck);
                adapter.table.lock().stuck = stuck;
                adapters.retain(|a| !Arc::ptr_eq(a, &before));
            }
        }
        // There is room.
        adapter.table.lock().ports.push(port.clone(), GFP_KERNEL)?;
        Ok(port)
    }

    fn new(dev: NetDev, nic: Nic, hosts: (u32, u32)) -> Result<Arc<Self>> {
        let waiters = Arc::pin_init(Waiters::new(), GFP_KERNEL)?;
        let nic = Arc::new(nic, GFP_KERNEL)?;
        let divert = Divert::new(hosts.1)?;
        Arc::pin_init(
            pin_init!(Adapter {
                ifindex: dev.ifindex(),
                nic,
                waiters,
                host_tx: hosts.0,
                host_rx: hosts.1,
                divert,
                dev <- new_mutex!(Some(dev), "netmap::Adapter::dev"),
                table <- new_mutex!(Table::default(), "netmap::Adapter::table"),
                diversion <- new_mutex!(Diversion::default(), "netmap::Adapter::diversion"),
            }),
            GFP_KERNEL,
        )
    }

    /// A port leaves; with the last, the adapter leaves the list.
    pub(crate) fn leave(&self, port: &Port) {
        let mut adapters = ADAPTERS.lock();
        let left = |p: &mut Arc<Port>| !core::ptr::eq(&**p, port);
        self.table.lock().ports.retain(left);
        prune(&mut adapters);
    }

    /// Is an fd registered with it?
    fn has_fds(&self) -> bool {
        !self.table.lock().ports.is_empty()
    }

    /// Calls `f` with the interface, `None` if it has gone.
    pub(crate) fn with_dev<R>(&self, f: impl FnOnce(Option<&NetDev>) -> R) -> R {
        f(self.dev.lock().as_ref())
    }

    /// Another fd has all TX rings: what the kernel sends goes to the host RX rings.
    ///
    /// # Errors
    ///
    /// ENXIO: the interface has gone. Those of the driver.
    pub(crate) fn divert(&self) -> Result {
        let rtnl = Rtnl::lock();
        let mut diversion = self.diversion.lock();
        if diversion.guard.is_none() {
            let divert = self.divert.clone();
            diversion.guard =
                Some(self.with_dev(|dev| {
                    Diverted::begin(&self.nic, dev.ok_or(ENXIO)?, divert, &rtnl)
                })?);
        }
        diversion.fds += 1;
        Ok(())
    }

    /// Such an fd ends; after the last, the kernel transmits again.
    pub(crate) fn undivert(&self) {
        let rtnl = Rtnl::lock();
        let mut diversion = self.diversion.lock();
        diversion.fds -= 1;
        if diversion.fds == 0 {
            let guard = diversion.guard.take();
            self.with_dev(|dev| {
                // It ended when the interface went.
                if let (Some(guard), Some(dev)) = (guard, dev) {
                    guard.end(&self.nic, dev, &rtnl);
                }
            });
        }
    }

    /// Unbinds a ring from an fd; with the last fd it goes back to the kernel, and has done so when
    /// this returns.
    ///
    /// # Errors
    ///
    /// ENOENT: the fd does not have it. EIO: the hardware did not stop it.
    pub(crate) fn unbind(&self, which: Which, owner: &Arc<Owner>, rtnl: &Rtnl) -> Result {
        let dev = self.dev.lock();
        let bound = self.table.lock().unbind(which, owner)?;
        match bound {
            // Others still have it, or the interface has gone and took it along.
            None => Ok(()),
            Some(bound) => self.give(bound, dev.as_ref(), rtnl),
        }
    }

    /// What the listing shows of a ring, and who has it; host TX rings are numbered as they come.
    pub(crate) fn show(&self, which: Which) -> Option<(Status, Option<Arc<Owner>>)> {
        let table = self.table.lock();
        match which {
            Which::HostTx(at) => table.show_host_tx(at),
            which => table.show(which),
        }
    }

    /// Calls `f` with what is known of each ring.
    pub(crate) fn each(&self, f: impl FnMut(Row<'_>)) {
        self.table.lock().each(f);
    }

    /// Unbinds all rings of an fd.
    pub(crate) fn unbind_all(&self, owner: &Arc<Owner>, rtnl: &Rtnl) {
        while let Some(which) = {
            let first = self.table.lock().first_of(owner);
            first
        } {
            // What failed is in the log, and out of the table.
            let _ = self.unbind(which, owner, rtnl);
        }
    }

    /// Gives a ring back to the kernel.
    fn give(&self, mut bound: Bound, dev: Option<&NetDev>, rtnl: &Rtnl) -> Result {
        bound.ring.set_state(state::RETURNING);
        if let (Some(lent), Some(dev)) = (bound.lent.take(), dev) {
            if let Err(e) = lent.give(&self.nic, dev, rtnl) {
                bound.ring.set_state(state::STUCK);
                let (kind, number) = bound.which.words();
                pr_err!(
                    "{kind} {number} did not stop: its memory is kept until a reset of the port has stopped it\n"
                );
                // The ring holds the driver, too, and what is left of the loan holds the ring.
                self.table.lock().stuck(bound);
                return Err(e);
            }
        }
        bound.ring.retire();
        Ok(())
    }

    /// The interface goes away: its rings go back, the fds hear of it, and all who wait are woken.
    fn withdraw(&self, rtnl: &Rtnl) {
        let Some(dev) = self.dev.lock().take() else {
            return;
        };
        if let Some(guard) = self.diversion.lock().guard.take() {
            guard.end(&self.nic, &dev, rtnl);
        }
        let bound = self.table.lock().take_all();
        for bound in bound {
            let ring = bound.ring.clone();
            let given = self.give(bound, Some(&dev), rtnl);
            ring.gone();
            if given.is_err() {
                ring.set_state(state::STUCK);
            }
        }
        for port in &self.table.lock().ports {
            port.gone();
        }
        self.waiters.wake();
    }
}
