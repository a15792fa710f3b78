// SPDX-License-Identifier: GPL-2.0

//! A port's own transmissions, handed over instead of being sent.

use core::marker::PhantomData;
use core::mem::ManuallyDrop;

use kernel::error::{to_result, Result};
use kernel::ffi::c_void;
use kernel::sync::Arc;

use super::netdev::NetDev;
use super::nic::Nic;
use super::sent::Frames;
use super::{eopnotsupp, Rtnl};
use crate::ffi;

/// Who gets them.
pub(crate) trait XmitClient: Send + Sync + 'static {
    /// Takes what the stack sends on TX queue `queue`; returns how many frames were dropped, for
    /// the interface's statistics. Any context, several CPUs at once.
    fn xmit(&self, frames: Frames, queue: u32) -> u32;
}

/// A port whose transmissions are diverted; to be ended by [`Diverted::end`].
///
/// # Invariants
///
/// The driver has the client's address, for which this object keeps one reference.
pub(crate) struct Diverted<T: XmitClient>(ManuallyDrop<Arc<T>>);

impl<T: XmitClient> Diverted<T> {
    /// From now on `client` gets what the kernel sends through `dev`.
    ///
    /// # Errors
    ///
    /// EBUSY: somebody gets it already. EOPNOTSUPP: a driver that cannot do that.
    pub(crate) fn begin(nic: &Nic, dev: &NetDev, client: Arc<T>, _rtnl: &Rtnl) -> Result<Self> {
        let divert = nic.ops().divert.ok_or_else(eopnotsupp)?;
        let private = Arc::as_ptr(&client).cast_mut().cast::<c_void>();
        // SAFETY: `dev` is of this driver and rtnl is held; `private` stays valid until the driver
        // has given it up, by the type invariant.
        to_result(unsafe { divert(dev.as_ptr(), &Calls::<T>::TABLE, private) })?;
        // INVARIANT: The reference stays until `end`.
        Ok(Diverted(ManuallyDrop::new(client)))
    }

    /// The kernel's transmissions are its own again; nothing calls the client any more.
    pub(crate) fn end(mut self, nic: &Nic, dev: &NetDev, _rtnl: &Rtnl) {
        if let Some(divert) = nic.ops().divert {
            // SAFETY: `dev` is of this driver and rtnl is held. Ending cannot fail.
            let _ = unsafe { divert(dev.as_ptr(), core::ptr::null(), core::ptr::null_mut()) };
        }
        // SAFETY: Once, as `self` is consumed; the driver has given up the address.
        unsafe { ManuallyDrop::drop(&mut self.0) };
    }
}

/// The table of C entry points of a client type.
struct Calls<T>(PhantomData<T>);

impl<T: XmitClient> Calls<T> {
    const TABLE: ffi::nm_nic_xmit = ffi::nm_nic_xmit {
        xmit: Some(Self::xmit),
    };

    /// # Safety
    ///
    /// See `struct nm_nic_xmit`.
    unsafe extern "C" fn xmit(private: *mut c_void, skb: *mut ffi::sk_buff, queue: u32) {
        // SAFETY: The skb is valid, and its interface there as long as the driver is in this call.
        let dev = unsafe { ffi::nm_skb_dev(skb) };
        // SAFETY: `Diverted` still keeps the client.
        let client = unsafe { &*private.cast::<T>() };
        // SAFETY: The skb is given up by the driver.
        let (frames, lost) = unsafe { Frames::of(skb) };
        let lost = lost + client.xmit(frames, queue);
        if lost != 0 {
            // SAFETY: As above.
            unsafe { ffi::nm_netdev_tx_dropped(dev, lost) };
        }
    }
}
