// SPDX-License-Identifier: GPL-2.0

//! One RX queue in a program's hands.
//!
//! Its life: the kernel's → *leaving* (the driver stops it) → *netmap's*, from the driver's start()
//! → *parked* whenever the driver rebuilds its rings (reset, ifdown), and netmap's again after →
//! *returning* → the kernel's. start() and stop() run under rtnl, sync in the program's context;
//! the ring's lock orders them. irq() takes no lock.

mod client;
mod forward;
mod meta;
mod swap;
mod sync;

use kernel::error::Result;
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};
use kernel::sync::{new_mutex, Arc, Mutex};

use super::{Parts, RingOptions, Shm, Status};
use crate::mem::layout::ring_bytes;
use crate::mem::owner::Owner;
use crate::mem::region::Region;
use crate::nic::rx82599::Armed;
use crate::os::dma::DmaDevice;
use crate::os::nic::{NextCell, Nic, NicRing};
use crate::os::skb::Batch;
use crate::os::trace::RingName;
use crate::os::wait::Wakers;
use crate::uapi::ext::{counter, kind, state};

/// A NIC RX ring bound to an fd.
#[pin_data(PinnedDrop)]
pub(crate) struct RxRing {
    /// Queue index on the port; not the hardware's register index.
    pub(crate) queue: u32,
    shm: Shm,
    region: Arc<Region>,
    dev: DmaDevice,
    nic: Arc<Nic>,
    wakers: Wakers,
    options: RingOptions,
    name: RingName,
    /// Bytes of a buffer that the NIC may write.
    buf_len: u32,
    state: Atomic<u32>,
    wakeups: Atomic<u64>,
    /// Where interrupts see whether something has come.
    next: NextCell,
    /// What that had taken when an interrupt last woke the pollers.
    told: Atomic<u32>,
    /// For [`RxRing::forward`], which is too late to find that there is no memory. Its lock comes
    /// before that of `hw`.
    #[pin]
    batch: Mutex<KBox<Batch>>,
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

/// What the kernel believes of the slots, and of the descriptors beside them.
struct Kring {
    /// First slot the program has not released; the kernel's belief of `head`.
    hwcur: u32,
    /// First slot the kernel keeps; what `tail` was last set to.
    hwtail: u32,
    /// Descriptor beside slot `hwtail`.
    next_clean: u32,
    /// Descriptor beside slot `hwcur`.
    next_use: u32,
    /// The buffer behind each slot.
    armed: KVVec<Armed>,
    /// Bounce buffers or incoherent DMA: sync each buffer by hand.
    needs_sync: bool,
    /// The last slot that [`RxRing::rearm`] could not arm has no buffer, and there was none to be had.
    starved: bool,
    /// Placed as [`counter`] says.
    counters: [u64; counter::MAX],
}

impl Hw {
    /// A ring without buffers, not connected.
    fn new() -> Self {
        Hw {
            nic: None,
            kring: Kring {
                hwcur: 0,
                hwtail: 0,
                next_clean: 0,
                next_use: 0,
                armed: KVVec::new(),
                needs_sync: false,
                starved: false,
                counters: [0; counter::MAX],
            },
            gone: false,
            mapped: true,
            reg_idx: 0,
        }
    }
}

impl RxRing {
    /// A ring for a queue, with a buffer behind each slot; the queue is still the kernel's.
    ///
    /// # Errors
    ///
    /// ENOMEM: no ring object, buffers or memory left. EINVAL: offsets leave nothing of a buffer.
    /// Nothing is kept then.
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
        let name = RingName::new(kind::RX, queue);
        let buf_size = region.layout().buf_size() as u32;
        let buf_len = options.buf_len(buf_size).ok_or(EINVAL)?;
        let batch = KBox::new(Batch::new(), GFP_KERNEL)?;
        let bytes = ring_bytes(slots, options.rx_meta);
        let (object, mem) = region.lock().alloc_ring(bytes)?;
        let shm = Shm::new(region.layout(), object, mem, slots, queue as u16, 0);
        // A statement of its own, which ends with the lock: what undoes it takes the lock again.
        let attached = region.lock().attach_device(&dev);
        attached.inspect_err(|_| region.lock().free_ring(object))?;
        let (undo_region, undo_dev) = (region.clone(), dev.clone());
        let ring = Arc::pin_init(
            pin_init!(RxRing {
                queue,
                shm,
                region,
                dev,
                nic,
                wakers,
                options,
                name,
                buf_len,
                state: Atomic::new(state::LEAVING),
                wakeups: Atomic::new(0),
                next: NextCell::new(),
                told: Atomic::new(0),
                batch <- new_mutex!(batch, "netmap::RxRing::batch"),
                hw <- new_mutex!(Hw::new(), "netmap::RxRing::hw"),
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
        if ring.options.rx_meta && ring.shm.rx_meta().len() != slots as usize {
            return Err(ENOMEM);
        }
        ring.region.lock().set_ring(object, Some(ring.clone()));
        Ok(ring)
    }

    /// Puts a buffer behind each slot.
    fn give_buffers(&self) -> Result {
        let mut hw = self.hw.lock();
        let kring = &mut hw.kring;
        kring.armed.reserve(self.shm.n as usize, GFP_KERNEL)?;
        let mut mem = self.region.lock();
        for (i, slot) in self.shm.slots().iter().enumerate() {
            let buf = mem.alloc_buf(self.owner(i))?;
            let (bus, sync) = mem.bus(&self.dev, buf).ok_or(ENOMEM)?;
            kring.needs_sync |= sync;
            let _ = kring.armed.push_within_capacity(Armed::new(buf, bus));
            slot.buf_idx.set(buf);
            slot.set_len_and_flags(self.shm.buf_size() as u16, 0);
        }
        Ok(())
    }

    fn sync_for_device(&self, bus: u64) {
        self.dev.sync_for_device(bus, self.shm.buf_size());
    }

    fn owner(&self, slot: usize) -> Owner {
        Owner::Armed {
            ring: self.shm.object as u16,
            slot: slot as u16,
        }
    }

    /// Breaks the tie between ring and region, so that the ring can go, and ends its DMA, which
    /// must not outlive the driver's hold on the device. The queue must be back.
    pub(crate) fn retire(&self) {
        let mapped = core::mem::take(&mut self.hw.lock().mapped);
        let mut mem = self.region.lock();
        mem.set_ring(self.shm.object, None);
        if mapped {
            mem.detach_device(&self.dev);
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

    /// Bytes of a buffer that the NIC may write: what the driver is to be told.
    pub(crate) fn buf_len(&self) -> u32 {
        self.buf_len
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

    /// Is the ring without a queue, because the interface is down or has gone?
    pub(crate) fn disconnected(&self) -> bool {
        self.state.load(Relaxed) != state::NETMAP
    }

    /// Is there anything between the program's `cur` and the tail it was told?
    pub(crate) fn readable(&self) -> bool {
        self.shm.ready()
    }
}

#[expect(unsafe_code, reason = "the attribute makes it an unsafe impl")]
#[pinned_drop]
impl PinnedDrop for RxRing {
    fn drop(self: Pin<&mut Self>) {
        let hw = self.hw.lock();
        let mut mem = self.region.lock();
        for (i, (slot, armed)) in self
            .shm
            .slots()
            .iter()
            .zip(hw.kring.armed.iter())
            .enumerate()
        {
            let named = slot.buf_idx.get();
            if let Some(buf) = armed.buf() {
                if mem.owner(buf) == Some(self.owner(i)) {
                    mem.free_buf(buf);
                }
            }
            if Some(named) != armed.buf() {
                mem.free_loose(named);
            }
        }
        if hw.mapped {
            mem.detach_device(&self.dev);
        }
        mem.free_ring(self.shm.object);
    }
}
