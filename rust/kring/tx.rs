// SPDX-License-Identifier: GPL-2.0

//! One TX ring of the NIC in a program's hands.
//!
//! It is served by a spare hardware queue, so the kernel's own transmission does not notice. Its
//! life is that of an RX ring ([`super::rx`]) without the two states in which the kernel's queue
//! comes and goes: *netmap's* between the driver's start() and stop(), *parked* after a stop().
//!
//! What the program sends is any buffer that was given to programs of its region. None changes hands
//! for it: those in TX slots stay *loose* ([`crate::mem::owner`]), so an RX ring may take one over
//! while it is still being sent, which harms nothing but the frame of the program that did so.

mod client;
pub(crate) mod indices;
mod others;
pub(crate) mod packet;
mod reclaimed;
mod sync;

use kernel::error::Result;
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};
use kernel::sync::{new_mutex, Arc, Mutex};

use indices::Indices;
use packet::Walk;
use reclaimed::Reclaimed;

use super::{Parts, RingOptions, Shm, Status};
use crate::mem::layout::ring_bytes;
use crate::mem::owner::Owner;
use crate::mem::region::Region;
use crate::nic::rx82599::Armed;
use crate::os::dma::DmaDevice;
use crate::os::nic::{HeadCell, Nic, NicRing};
use crate::os::trace::RingName;
use crate::os::wait::Wakers;
use crate::ring::prev;
use crate::uapi::ext::{counter, kind, state};

/// A NIC TX ring bound to an fd.
#[pin_data(PinnedDrop)]
pub(crate) struct TxRing {
    /// Ring index on the port; not the hardware's register index.
    pub(crate) queue: u32,
    shm: Shm,
    region: Arc<Region>,
    dev: DmaDevice,
    nic: Arc<Nic>,
    wakers: Wakers,
    options: RingOptions,
    name: RingName,
    state: Atomic<u32>,
    wakeups: Atomic<u64>,
    /// Where interrupts see how far the NIC is.
    head: HeadCell,
    /// How far it was when slots were last given back to the program.
    reclaimed: Reclaimed,
    /// Descriptors the NIC was done with, in all, when an interrupt last woke the pollers.
    told: Atomic<u32>,
    #[pin]
    hw: Mutex<Hw>,
}

/// What sync, start and stop change.
struct Hw {
    /// The hardware ring, while the driver lends it.
    nic: Option<NicRing>,
    kring: Kring,
    gone: bool,
    /// The region's buffers are mapped for the device on this ring's behalf.
    mapped: bool,
    reg_idx: u32,
}

/// What the kernel believes of the slots and of the descriptors.
struct Kring {
    /// How far it is.
    at: Indices,
    /// The buffer each slot named last, and where it is.
    known: KVVec<Armed>,
    /// See [`indices`].
    skipped: KVVec<u16>,
    /// The slots to come, up to an end of packet, belong to a packet that was dropped.
    dropping: bool,
    /// Bounce buffers or incoherent DMA: sync each buffer by hand.
    needs_sync: bool,
    /// Placed as [`counter`] says.
    counters: [u64; counter::MAX],
}

/// The parts of [`Kring`] beside a [`Walk`].
struct Aside<'a> {
    needs_sync: &'a mut bool,
    counters: &'a mut [u64; counter::MAX],
}

impl Hw {
    /// A ring of `n` slots without buffers, not connected.
    fn new(n: u32) -> Self {
        Hw {
            nic: None,
            kring: Kring {
                at: Indices::new(n),
                known: KVVec::new(),
                skipped: KVVec::new(),
                dropping: false,
                needs_sync: false,
                counters: [0; counter::MAX],
            },
            gone: false,
            mapped: true,
            reg_idx: 0,
        }
    }
}

impl TxRing {
    /// A ring with a buffer in each slot, not yet connected to the NIC.
    ///
    /// # Errors
    ///
    /// ENOMEM: no ring object, buffers or memory left; nothing is kept then.
    pub(crate) fn new(parts: Parts) -> Result<Arc<Self>> {
        let Parts {
            queue,
            slots,
            region,
            dev,
            nic,
            wakers,
            options,
        } = parts;
        let name = RingName::new(kind::TX, queue);
        let (object, mem) = region.lock().alloc_ring(ring_bytes(slots, false))?;
        let shm = Shm::new(region.layout(), object, mem, slots, queue as u16, 1);
        // A statement of its own, which ends with the lock: what undoes it takes the lock again.
        let attached = region.lock().attach_device(&dev);
        attached.inspect_err(|_| region.lock().free_ring(object))?;
        let (undo_region, undo_dev) = (region.clone(), dev.clone());
        let ring = Arc::pin_init(
            pin_init!(TxRing {
                queue,
                shm,
                region,
                dev,
                nic,
                wakers,
                options,
                name,
                state: Atomic::new(state::LEAVING),
                wakeups: Atomic::new(0),
                head: HeadCell::new(),
                reclaimed: Reclaimed::new(),
                told: Atomic::new(0),
                hw <- new_mutex!(Hw::new(slots), "netmap::TxRing::hw"),
            }),
            GFP_KERNEL,
        )
        .inspect_err(|_| {
            let mut mem = undo_region.lock();
            mem.detach_device(&undo_dev);
            mem.free_ring(object);
        })?;
        // From here on `drop` undoes.
        ring.give_buffers()?;
        if let Some(offsets) = &ring.options.offsets {
            ring.shm.set_offsets(offsets);
        }
        ring.shm.header().tail.set(prev(0, slots));
        Ok(ring)
    }

    /// Puts a buffer in each slot.
    fn give_buffers(&self) -> Result {
        let n = self.shm.n as usize;
        let mut hw = self.hw.lock();
        let kring = &mut hw.kring;
        kring.known.reserve(n, GFP_KERNEL)?;
        kring.skipped = KVVec::from_elem(0, n, GFP_KERNEL)?;
        let mut mem = self.region.lock();
        for slot in self.shm.slots() {
            let buf = mem.alloc_buf(Owner::Loose)?;
            slot.buf_idx.set(buf);
            slot.set_len_and_flags(self.shm.buf_size() as u16, 0);
            let (bus, sync) = mem.bus(&self.dev, buf).ok_or(ENOMEM)?;
            kring.needs_sync |= sync;
            let _ = kring.known.push_within_capacity(Armed::new(buf, bus));
        }
        Ok(())
    }

    /// The ring for those who fill descriptors, and what else they change.
    #[inline(always)]
    fn walk<'a>(&'a self, nic: &'a NicRing, kring: &'a mut Kring) -> (Walk<'a>, Aside<'a>) {
        let walk = Walk {
            slots: self.shm.slots(),
            descs: nic.tx_descs(),
            known: &mut kring.known,
            at: &mut kring.at,
            skipped: &mut kring.skipped,
            dropping: &mut kring.dropping,
            buf_size: self.shm.buf_size() as u32,
            offsets: self.options.offsets.as_ref(),
        };
        let aside = Aside {
            needs_sync: &mut kring.needs_sync,
            counters: &mut kring.counters,
        };
        (walk, aside)
    }

    fn sync_for_device(&self, bus: u64) {
        self.dev.sync_for_device(bus, self.shm.buf_size());
    }

    /// Ends the ring's DMA, which must not outlive the driver's hold on the device. The queue must
    /// be back.
    pub(crate) fn retire(&self) {
        if core::mem::take(&mut self.hw.lock().mapped) {
            self.region.lock().detach_device(&self.dev);
        }
    }

    /// What tracepoints call it.
    pub(crate) fn name(&self) -> &RingName {
        &self.name
    }

    /// Where its memory is.
    pub(crate) fn region(&self) -> &Arc<Region> {
        &self.region
    }

    /// What it was made with.
    pub(crate) fn options(&self) -> &RingOptions {
        &self.options
    }

    /// Whom it wakes.
    pub(crate) fn wakers(&self) -> &Wakers {
        &self.wakers
    }

    /// Offset of the ring object in the region.
    pub(crate) fn offset(&self) -> usize {
        self.shm.offset()
    }

    /// Changes what the listing shows.
    pub(crate) fn set_state(&self, state: u32) {
        self.state.store(state, Relaxed);
    }

    /// What the listing shows.
    pub(crate) fn status(&self) -> Status {
        let hw = self.hw.lock();
        let mut counters = hw.kring.counters;
        counters[counter::WAKEUPS] = self.wakeups.load(Relaxed);
        Status {
            state: self.state.load(Relaxed),
            slots: self.shm.n,
            reg_idx: hw.reg_idx,
            counters,
        }
    }

    /// hwcur and hwtail as they are.
    pub(crate) fn indices(&self) -> (u32, u32) {
        let hw = self.hw.lock();
        (hw.kring.at.hwcur, hw.kring.at.hwtail)
    }

    /// Is the ring without a queue, because the interface is down or has gone?
    pub(crate) fn disconnected(&self) -> bool {
        self.state.load(Relaxed) != state::NETMAP
    }

    /// Is there a slot to fill between the program's `cur` and the tail it was told?
    pub(crate) fn writable(&self) -> bool {
        self.shm.ready()
    }

    /// Has the program filled slots that were not yet sent?
    pub(crate) fn pending(&self) -> bool {
        self.shm.header().head.get() != self.hw.lock().kring.at.hwcur
    }
}

#[expect(unsafe_code, reason = "the attribute makes it an unsafe impl")]
#[pinned_drop]
impl PinnedDrop for TxRing {
    fn drop(self: Pin<&mut Self>) {
        let mapped = self.hw.lock().mapped;
        let mut mem = self.region.lock();
        for slot in self.shm.slots() {
            mem.free_loose(slot.buf_idx.get());
        }
        if mapped {
            mem.detach_device(&self.dev);
        }
        mem.free_ring(self.shm.object);
    }
}
