// SPDX-License-Identifier: GPL-2.0

//! An open `/dev/netmap`.
//!
//! A file is fresh until a request registers it with a port, and registered until its last
//! reference goes, its mappings included. Its lock is the outermost; it is held during requests
//! and syncs, so those of one fd follow each other.

mod agree;
mod csb;
mod ctrl;
mod kloop;
mod legacy;
mod list;
mod memory;
mod nif;
mod options;
mod poll;
mod register;
mod registered;

use kernel::error::Result;
use kernel::prelude::*;
use kernel::sync::poll::PollTable;
use kernel::sync::{new_mutex, Arc, ArcBorrow, Mutex};

use crate::kring::Sync;
use crate::mem::region::Region;
use crate::os::chardev::{CharDevice, Mapped};
use crate::os::eopnotsupp;
use crate::os::user::Addr;
use crate::os::wait::Polled;
use crate::uapi::{self, ext};
use kloop::Kloop;
use registered::Registered;

/// An open file.
#[pin_data]
pub(crate) struct File {
    #[pin]
    state: Mutex<Option<Registered>>,
    /// The region of a registered file, for mmap(). It has a lock of its own because mmap() comes
    /// with the caller's mmap lock held, which others take under rtnl, which is taken under
    /// `state`.
    #[pin]
    region: Mutex<Option<Arc<Region>>>,
    polled: Polled,
    #[pin]
    kloop: Kloop,
}

/// The errno of a sync. Bad pointers are no error of the ioctl: the ring was reset, as the program
/// sees.
fn errno(outcome: Sync) -> Result {
    match outcome {
        Sync::Done | Sync::Reset => Ok(()),
        Sync::Starved => Err(ENOMEM),
        Sync::Parked => Err(EIO),
        Sync::Gone => Err(ENXIO),
    }
}

impl File {
    fn rxsync(&self) -> Result {
        let state = self.state.lock();
        let reg = state.as_ref().ok_or(ENXIO)?;
        if reg.csb.is_some() {
            return Err(EBUSY);
        }
        if reg.rx.is_empty() && reg.gone() {
            return Err(ENXIO);
        }
        // All rings, also after one that failed.
        let mut result = Ok(());
        for ring in &reg.rx {
            reg.forward(ring);
            result = errno(ring.sync()).and(result);
        }
        for ring in &reg.host_rx {
            result = errno(ring.sync()).and(result);
        }
        result
    }

    fn txsync(&self) -> Result {
        let state = self.state.lock();
        let reg = state.as_ref().ok_or(ENXIO)?;
        if reg.csb.is_some() {
            return Err(EBUSY);
        }
        if reg.tx.is_empty() && reg.gone() {
            return Err(ENXIO);
        }
        let mut result = Ok(());
        for ring in &reg.tx {
            result = errno(ring.sync()).and(result);
        }
        if let Some(port) = &reg.port {
            for ring in &reg.host_tx {
                result = errno(port.with_dev(|dev| ring.sync(dev))).and(result);
            }
        }
        result
    }

    fn queue_request(&self, arg: Addr, add: bool) -> Result {
        let req: ext::QueueReq = arg.read()?;
        if req.nq_version != ext::EXT_VERSION || req.nq_flags != 0 || req.nq_spare != 0 {
            return Err(EINVAL);
        }
        let mut state = self.state.lock();
        let reg = Option::as_mut(&mut state).ok_or(ENXIO)?;
        if add {
            reg.add_queue(req.nq_queue)
        } else {
            reg.remove_queue(req.nq_queue)
        }
    }
}

impl CharDevice for File {
    fn open() -> Result<Arc<Self>> {
        let polled = Polled::new()?;
        Arc::pin_init(
            pin_init!(File {
                state <- new_mutex!(None, "netmap::File::state"),
                region <- new_mutex!(None, "netmap::File::region"),
                polled,
                kloop <- Kloop::new(),
            }),
            GFP_KERNEL,
        )
    }

    fn release(this: Arc<Self>) {
        if let Some(registered) = this.state.lock().take() {
            registered.close();
        }
    }

    fn ioctl(
        this: ArcBorrow<'_, Self>,
        file: &kernel::fs::File,
        cmd: u32,
        arg: usize,
    ) -> Result<isize> {
        let arg = Addr(arg);
        match cmd {
            uapi::NIOCRXSYNC => this.rxsync(),
            uapi::NIOCTXSYNC => this.txsync(),
            uapi::NIOCREGIF => this.legacy_register(arg),
            uapi::NIOCGINFO => this.legacy_info(arg),
            uapi::NIOCCTRL => this.ctrl(file, arg),
            // Only VALE switches had a configuration.
            uapi::NIOCCONFIG => Err(EINVAL),
            ext::NIOCQADD => this.queue_request(arg, true),
            ext::NIOCQDEL => this.queue_request(arg, false),
            ext::NIOCQNEXT => list::next(arg),
            _ => Err(eopnotsupp()),
        }
        .map(|()| 0)
    }

    fn poll(
        this: ArcBorrow<'_, Self>,
        file: &kernel::fs::File,
        table: &PollTable<'_>,
        wanted: u32,
    ) -> u32 {
        this.poll_events(file, table, wanted)
    }

    fn mmap(this: ArcBorrow<'_, Self>) -> Result<Mapped> {
        let region = this.region.lock();
        let region = region.as_ref().ok_or(EINVAL)?;
        Ok(Mapped {
            // It stays until the file is released, which the mapping prevents.
            region: Arc::as_ptr(region),
            pages: region.pages().ok_or(EINVAL)?,
        })
    }
}
