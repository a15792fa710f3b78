// SPDX-License-Identifier: GPL-2.0

//! Hooked NIC drivers: the Rust face of `c_shim/netmap_nic.h`.

mod ring;

use core::marker::PhantomData;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ptr::NonNull;

use kernel::error::{to_result, Result};
use kernel::ffi::{c_int, c_void};
use kernel::prelude::*;
use kernel::sync::Arc;

use super::dma::DmaDevice;
use super::netdev::NetDev;
use super::{trace, Rtnl};
use crate::ffi;
use crate::os::eopnotsupp;
use crate::shm::RxDesc;
use crate::uapi::ext::kind;
pub(crate) use ring::{HeadCell, NextCell, NicRing};

/// A driver that hands out RX queues; holds the driver's module.
///
/// # Invariants
///
/// The table is the driver's constant one and stays while this object holds its module.
pub(crate) struct Nic(NonNull<ffi::nm_nic_ops>);

// SAFETY: The table is constant, and module references belong to no thread.
unsafe impl Send for Nic {}
// SAFETY: As above.
unsafe impl Sync for Nic {}

/// What a port looks like now.
pub(crate) struct PortInfo {
    /// The device that does the DMA.
    pub(crate) dev: DmaDevice,
    /// RX queues.
    pub(crate) num_rx: u32,
    /// TX queues.
    pub(crate) num_tx: u32,
    /// Descriptors of an RX ring.
    pub(crate) rx_slots: u32,
    /// Descriptors of a TX ring.
    pub(crate) tx_slots: u32,
}

/// A driver's errno, as programs expect it of netmap.
fn as_netmap_says(e: Error) -> Error {
    if e == ENODEV {
        ENXIO
    } else if e == ENOENT {
        EINVAL
    } else {
        e
    }
}

/// What a driver calls for a ring that is out.
pub(crate) trait NicClient: Send + Sync + 'static {
    /// Is it a TX ring?
    const TX: bool;

    /// The ring is enabled and empty. RX: fill it and write its tail.
    fn start(&self, ring: NicRing) -> Result;
    /// Nothing may touch the ring after this returns.
    fn stop(&self);
    /// The ring's vector fired; softirq context. `seen`, of a ring that is started: what
    /// [`NicRing::head`] says on TX, the status that [`NextCell`] looks at on RX.
    fn irq(&self, seen: Option<u32>);
    /// TX: where the head is seen from interrupts.
    fn head_cell(&self) -> Option<&HeadCell> {
        None
    }
    /// RX: where the next descriptor is seen from interrupts.
    fn next_cell(&self) -> Option<&NextCell> {
        None
    }
    /// The device has gone; no further call follows.
    fn gone(&self);
    /// Has [`NicClient::gone`] been called?
    fn is_gone(&self) -> bool;
    /// The hardware has stopped the ring at last, after [`Taken::give`] had failed.
    fn released(&self);
}

impl Nic {
    /// The driver of `dev`, if it is a hooked one.
    pub(crate) fn of(dev: &NetDev) -> Option<Self> {
        // SAFETY: `dev` is valid; process context. INVARIANT: The module reference comes with it.
        NonNull::new(unsafe { ffi::nm_nic_get(dev.as_ptr()) }.cast_mut()).map(Nic)
    }

    pub(super) fn ops(&self) -> &ffi::nm_nic_ops {
        // SAFETY: Valid by the type invariant.
        unsafe { self.0.as_ref() }
    }

    /// The port's numbers.
    ///
    /// # Errors
    ///
    /// EOPNOTSUPP from a driver without them, or its own.
    pub(crate) fn info(&self, dev: &NetDev, _rtnl: &Rtnl) -> Result<PortInfo> {
        let info = self.ops().info.ok_or_else(eopnotsupp)?;
        let mut port = MaybeUninit::<ffi::nm_nic_port>::zeroed();
        // SAFETY: `dev` is of this driver, rtnl is held, `port` is valid for writing.
        to_result(unsafe { info(dev.as_ptr(), port.as_mut_ptr()) }).map_err(as_netmap_says)?;
        // SAFETY: Zeroed, then filled by the driver; all its fields are integers and a pointer.
        let port = unsafe { port.assume_init() };
        Ok(PortInfo {
            // SAFETY: The driver named a device that is there while rtnl is held.
            dev: unsafe { DmaDevice::new(port.dev) },
            num_rx: port.num_rx,
            num_tx: port.num_tx,
            rx_slots: port.rx_slots,
            tx_slots: port.tx_slots,
        })
    }

    /// Counts packets a program received where `ethtool -S` shows them.
    #[inline]
    pub(crate) fn account(&self, ring: &NicRing, packets: u32, bytes: u32) {
        if let Some(account) = self.ops().account_rx {
            // SAFETY: The cookie is the ring's own, and the ring is started as it exists.
            unsafe { account(ring.cookie, packets, bytes) };
        }
    }

    /// The same for packets a program sent.
    #[inline]
    pub(crate) fn account_tx(&self, ring: &NicRing, packets: u32, bytes: u32) {
        if let Some(account) = self.ops().account_tx {
            // SAFETY: As in `account`.
            unsafe { account(ring.cookie, packets, bytes) };
        }
    }

    /// The timestamp the card holds for a packet whose descriptor says that there is one, in
    /// nanoseconds; frees the card's place for the next.
    #[cold]
    pub(crate) fn rx_stamp(&self, ring: &NicRing) -> Option<u64> {
        let stamp = self.ops().rx_stamp?;
        let mut ns = 0;
        // SAFETY: As in `account`; `ns` is valid for writing.
        unsafe { stamp(ring.cookie, &mut ns) }.then_some(ns)
    }
}

impl Drop for Nic {
    fn drop(&mut self) {
        // SAFETY: The module reference is this object's.
        unsafe { ffi::nm_nic_put(self.0.as_ptr()) };
    }
}

/// A ring that is out; to be given back by [`Taken::give`].
///
/// # Invariants
///
/// The driver has the client's address, for which this object keeps one reference.
pub(crate) struct Taken<T: NicClient> {
    queue: u32,
    client: ManuallyDrop<Arc<T>>,
}

impl<T: NicClient> Taken<T> {
    const KIND: u32 = if T::TX { kind::TX } else { kind::RX };

    /// Takes `queue` of `dev` from the kernel; RX: frames come in pieces of `buf_len` bytes.
    ///
    /// # Errors
    ///
    /// As `take_rx` and `take_tx` in `c_shim/netmap_nic.h`; the port is then as it was.
    pub(crate) fn take(
        nic: &Nic,
        dev: &NetDev,
        queue: u32,
        buf_len: u32,
        client: Arc<T>,
        _rtnl: &Rtnl,
    ) -> Result<Self> {
        let ops = nic.ops();
        let rx = ops.take_rx.ok_or_else(eopnotsupp)?;
        // INVARIANT: The reference stays until `give`.
        let taken = Taken {
            queue,
            client: ManuallyDrop::new(client),
        };
        let private = Arc::as_ptr(&taken.client).cast_mut().cast::<c_void>();
        let (at, calls) = (dev.as_ptr(), &Calls::<T>::TABLE);
        let result = match ops.take_tx {
            // SAFETY: `dev` is of this driver and rtnl is held; `private` stays valid until the
            // driver has given it up, by the type invariant.
            _ if !T::TX => to_result(unsafe { rx(at, queue, buf_len, calls, private) }),
            // SAFETY: As above.
            Some(tx) => to_result(unsafe { tx(at, queue, calls, private) }),
            None => Err(eopnotsupp()),
        };
        if let Err(e) = result {
            taken.forgotten();
            return Err(as_netmap_says(e));
        }
        trace::attach(dev, Self::KIND, queue);
        Ok(taken)
    }

    /// Gives the ring back; nothing is left to do if its device has gone.
    ///
    /// # Errors
    ///
    /// EIO: the hardware did not stop the queue, so its memory is kept, by the reference that the
    /// driver's `released` finds, until that comes.
    pub(crate) fn give(self, nic: &Nic, dev: &NetDev, _rtnl: &Rtnl) -> Result {
        if !self.client.is_gone() {
            let ops = nic.ops();
            let give = if T::TX { ops.give_tx } else { ops.give_rx };
            let give = give.ok_or_else(eopnotsupp)?;
            // SAFETY: The queue was taken, was not given back and its device has not gone; rtnl is
            // held, which the driver calls `gone` under.
            let result = to_result(unsafe { give(dev.as_ptr(), self.queue) });
            trace::detach(
                dev,
                Self::KIND,
                self.queue,
                result.as_ref().map_or_else(|e| e.to_errno(), |()| 0),
            );
            result?;
        }
        self.forgotten();
        Ok(())
    }

    /// The driver has given up the client's address.
    fn forgotten(mut self) {
        // SAFETY: Once, as `self` is consumed.
        unsafe { ManuallyDrop::drop(&mut self.client) };
    }
}

/// The table of C entry points of a client type.
struct Calls<T>(PhantomData<T>);

impl<T: NicClient> Calls<T> {
    const TABLE: ffi::nm_nic_client = ffi::nm_nic_client {
        start: Some(Self::start),
        stop: Some(Self::stop),
        irq: Some(Self::irq),
        gone: Some(Self::gone),
        released: Some(Self::released),
        owner: (&raw const ffi::__this_module).cast_mut(),
    };

    /// # Safety
    ///
    /// `private` must be a client passed to `take_rx` and not yet given back.
    unsafe fn client<'a>(private: *mut c_void) -> &'a T {
        // SAFETY: By the caller's promise, `Taken` still keeps it.
        unsafe { &*private.cast::<T>() }
    }

    /// Interrupts may look at `ring` from now on.
    fn show_ring(client: &T, ring: &NicRing) {
        if let Some(cell) = client.head_cell() {
            cell.show(ring);
        }
        if let Some(cell) = client.next_cell() {
            cell.show(ring);
        }
    }

    /// The ring is not started any more.
    fn hide_ring(client: &T) {
        if let Some(cell) = client.head_cell() {
            cell.hide();
        }
        if let Some(cell) = client.next_cell() {
            cell.hide();
        }
    }

    /// # Safety
    ///
    /// See `struct nm_nic_client`.
    unsafe extern "C" fn start(private: *mut c_void, ring: *const ffi::nm_nic_ring) -> c_int {
        // SAFETY: The driver passes a valid ring.
        let ring = unsafe { &*ring };
        let Some(desc) = NonNull::new(ring.desc.cast::<RxDesc>()) else {
            return EINVAL.to_errno();
        };
        // INVARIANT: As the driver promises.
        let nic_ring = NicRing {
            desc,
            count: ring.count,
            tail: ring.tail,
            head: ring.head,
            netdev: ring.dev,
            cookie: ring.cookie,
            reg_idx: ring.reg_idx,
        };
        // SAFETY: As the driver promises.
        let client = unsafe { Self::client(private) };
        Self::show_ring(client, &nic_ring);
        match client.start(nic_ring) {
            Ok(()) => 0,
            Err(e) => {
                Self::hide_ring(client);
                e.to_errno()
            }
        }
    }

    /// # Safety
    ///
    /// See `struct nm_nic_client`.
    unsafe extern "C" fn stop(private: *mut c_void) {
        // SAFETY: As the driver promises.
        let client = unsafe { Self::client(private) };
        client.stop();
        Self::hide_ring(client);
    }

    /// # Safety
    ///
    /// See `struct nm_nic_client`.
    unsafe extern "C" fn irq(private: *mut c_void) {
        // SAFETY: As the driver promises.
        let client = unsafe { Self::client(private) };
        // SAFETY: This is `irq`.
        let head = client.head_cell().and_then(|cell| unsafe { cell.head() });
        // SAFETY: This is `irq`.
        let status = || client.next_cell().and_then(|cell| unsafe { cell.status() });
        client.irq(head.or_else(status));
    }

    /// # Safety
    ///
    /// See `struct nm_nic_client`.
    unsafe extern "C" fn gone(private: *mut c_void) {
        // SAFETY: As the driver promises.
        unsafe { Self::client(private) }.gone();
    }

    /// # Safety
    ///
    /// See `struct nm_nic_client`.
    unsafe extern "C" fn released(private: *mut c_void) {
        // SAFETY: `Taken::give` has left its reference, as it was told EIO; the driver calls once.
        let client = unsafe { Arc::from_raw(private.cast_const().cast::<T>()) };
        client.released();
        drop(client);
        crate::adapter::forget_released();
    }
}
