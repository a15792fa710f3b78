// SPDX-License-Identifier: GPL-2.0

//! One RX queue in a program's hands.
//!
//! Its life: the kernel's → *leaving* (the driver stops it) → *netmap's*, from the driver's start()
//! → *parked* whenever the driver rebuilds its rings (reset, ifdown), and netmap's again after →
//! *returning* → the kernel's. start() and stop() run under rtnl or the driver's reset bit, sync in
//! the program's context; the ring's lock orders them. irq() takes no lock.

mod client;
mod swap;

use kernel::error::Result;
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};
use kernel::sync::{new_mutex, Arc, Mutex};

use super::{Parts, Shm, Sync};
use crate::mem::layout::BUF_SIZE;
use crate::mem::owner::Owner;
use crate::mem::region::Region;
use crate::nic::rx82599::{self, Armed, Import};
use crate::os::dma::DmaDevice;
use crate::os::nic::{Nic, NicRing};
use crate::os::wait::Wakers;
use crate::ring::{self, advance, distance, prev};
use crate::uapi::ext::{counter, state};

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
    state: Atomic<u32>,
    wakeups: Atomic<u64>,
    #[pin]
    hw: Mutex<Hw>,
}

/// What sync, start and stop change.
struct Hw {
    /// The hardware ring, while the driver lends it.
    nic: Option<NicRing>,
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
    gone: bool,
    /// The region's buffers are mapped for the device on this ring's behalf.
    mapped: bool,
    reg_idx: u32,
    counters: [u64; counter::MAX],
}

impl Hw {
    /// A ring without buffers, not connected.
    fn new() -> Self {
        Hw {
            nic: None,
            hwcur: 0,
            hwtail: 0,
            next_clean: 0,
            next_use: 0,
            armed: KVVec::new(),
            needs_sync: false,
            gone: false,
            mapped: true,
            reg_idx: 0,
            counters: [0; counter::MAX],
        }
    }
}

/// What the listing shows of a ring.
pub(crate) struct RxStatus {
    /// One of [`state`].
    pub(crate) state: u32,
    /// Slots.
    pub(crate) slots: u32,
    /// Hardware register index.
    pub(crate) reg_idx: u32,
    /// Placed as [`counter`] says.
    pub(crate) counters: [u64; counter::MAX],
}

impl RxRing {
    /// A ring for a queue, with a buffer behind each slot; the queue is still the kernel's.
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
        } = parts;
        let (object, mem) = region.lock().alloc_ring()?;
        let shm = Shm::new(object, mem, slots, queue as u16, 0);
        if let Err(e) = region.lock().attach_device(&dev) {
            region.lock().free_ring(object);
            return Err(e);
        }
        let (undo_region, undo_dev) = (region.clone(), dev.clone());
        let ring = Arc::pin_init(
            pin_init!(RxRing {
                queue,
                shm,
                region,
                dev,
                nic,
                wakers,
                state: Atomic::new(state::LEAVING),
                wakeups: Atomic::new(0),
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
        ring.region.lock().set_ring(object, Some(ring.clone()));
        Ok(ring)
    }

    /// Puts a buffer behind each slot.
    fn give_buffers(&self) -> Result {
        let mut hw = self.hw.lock();
        hw.armed.reserve(self.shm.n as usize, GFP_KERNEL)?;
        let mut mem = self.region.lock();
        for (i, slot) in self.shm.slots().iter().enumerate() {
            let buf = mem.alloc_buf(self.owner(i))?;
            let (bus, sync) = mem.bus(&self.dev, buf).ok_or(ENOMEM)?;
            hw.needs_sync |= sync;
            let _ = hw.armed.push_within_capacity(Armed::new(buf, bus));
            slot.buf_idx.set(buf);
            slot.set_len_and_flags(BUF_SIZE as u16, 0);
        }
        Ok(())
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

    /// Offset of the ring object in the region.
    pub(crate) fn offset(&self) -> usize {
        crate::mem::layout::ring_offset(self.shm.object)
    }

    /// Changes what the listing shows.
    pub(crate) fn set_state(&self, state: u32) {
        self.state.store(state, Relaxed);
    }

    /// What the listing shows.
    pub(crate) fn status(&self) -> RxStatus {
        let hw = self.hw.lock();
        let mut counters = hw.counters;
        counters[counter::WAKEUPS] = self.wakeups.load(Relaxed);
        RxStatus {
            state: self.state.load(Relaxed),
            slots: self.shm.n,
            reg_idx: hw.reg_idx,
            counters,
        }
    }

    /// Is there anything between the program's `cur` and the tail it was told?
    pub(crate) fn readable(&self) -> bool {
        let ring = self.shm.header();
        ring.cur.get() != ring.tail.get()
    }

    /// Takes back the slots the program released, and hands it what has arrived.
    ///
    /// `stamp`: set the ring's time.
    pub(crate) fn sync(&self, stamp: bool) -> Sync {
        let mut guard = self.hw.lock();
        let hw = &mut *guard;
        if hw.gone {
            return Sync::Gone;
        }
        let Some(nic) = hw.nic.as_mut() else {
            return Sync::Parked;
        };
        let n = self.shm.n;
        let mut outcome = Sync::Done;
        hw.counters[counter::SYNCS] += 1;

        let head = match ring::check(self.shm.pointers(), hw.hwcur, hw.hwtail, n) {
            Ok(p) => p.head,
            Err(ring::Impossible) => {
                hw.counters[counter::RESETS] += 1;
                self.shm.reset(hw.hwcur, hw.hwtail);
                outcome = Sync::Reset;
                hw.hwcur
            }
        };

        // The slots released, back to the NIC. One descriptor always stays behind the tail.
        let released = distance(hw.hwcur, head, n);
        if released != 0 {
            let done = self.release(
                hw.hwtail,
                hw.next_use,
                hw.hwcur,
                released,
                nic,
                &mut hw.armed,
                &mut hw.needs_sync,
                &mut hw.counters,
            );
            hw.hwcur = advance(hw.hwcur, done, n);
            hw.next_use = advance(hw.next_use, done, n);
            if done != 0 {
                nic.set_tail(prev(hw.next_use, n));
            }
            if done < released {
                // A buffer's ring is busy, or there is no memory. What was not taken stays
                // released; nothing may ever interrupt for this ring, so the poller must look again.
                self.wakers.wake();
            }
        }

        // What has arrived, to the program; only complete frames are published.
        let held = distance(hw.hwcur, hw.hwtail, n);
        let room = n.wrapping_sub(1).wrapping_sub(held);
        let slots = self.shm.slots();
        let descs = nic.descs();
        let mut got = Import::default();
        ring::runs(hw.next_clean, hw.hwtail, n, room, |d, s, len| {
            let to = s + len;
            match (descs.get(d..d + len), slots.get(s..to), hw.armed.get(s..to)) {
                (Some(d), Some(s), Some(a)) => rx82599::import(d, s, a, BUF_SIZE as u32, &mut got),
                _ => 0,
            }
        });
        if got.complete != 0 {
            if hw.needs_sync {
                for i in 0..got.complete {
                    let at = advance(hw.hwtail, i, n) as usize;
                    if let Some(armed) = hw.armed.get(at) {
                        self.dev.sync_for_cpu(armed.bus);
                    }
                }
            }
            hw.next_clean = advance(hw.next_clean, got.complete, n);
            hw.hwtail = advance(hw.hwtail, got.complete, n);
            hw.counters[counter::PACKETS] += u64::from(got.packets);
            hw.counters[counter::BYTES] += got.bytes;
            hw.counters[counter::FRAGS] += u64::from(got.complete - got.packets);
            self.nic.account(nic, got.packets, got.bytes as u32);
        }
        let header = self.shm.header();
        if stamp || header.flags.get() & crate::uapi::NR_TIMESTAMP != 0 {
            self.shm.stamp();
        }
        // The program reads slots and buffers after it has seen the tail: x86 keeps stores in
        // order and the volatile accesses keep the compiler from reordering them.
        crate::os::write_barrier();
        header.tail.set(hw.hwtail);
        outcome
    }

    /// Arms descriptors for the `count` slots from `hwcur`; returns how many were.
    #[inline(always)]
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of `Hw` beside the lent ring"
    )]
    fn release(
        &self,
        hwtail: u32,
        next_use: u32,
        hwcur: u32,
        count: u32,
        nic: &NicRing,
        armed: &mut KVVec<Armed>,
        needs_sync: &mut bool,
        counters: &mut [u64; counter::MAX],
    ) -> u32 {
        let n = self.shm.n;
        let slots = self.shm.slots();
        let descs = nic.descs();
        ring::runs(next_use, hwcur, n, count, |d, s, len| {
            let mut done = 0;
            while done < len {
                let (from, to) = (s + done, s + len);
                let (Some(ds), Some(ss), Some(aa)) = (
                    descs.get(d + done..d + len),
                    slots.get(from..to),
                    armed.get(from..to),
                ) else {
                    break;
                };
                if *needs_sync {
                    aa.iter().for_each(|a| self.dev.sync_for_device(a.bus));
                }
                done += rx82599::refill(ds, ss, aa);
                if done == len {
                    break;
                }
                // A slot with another buffer than it was armed with, and those like it behind it.
                let ds = descs.get(d + done..d + len).unwrap_or(&[]);
                match self.rearm(s + done, ds, hwtail, armed, needs_sync, counters) {
                    0 => break,
                    n => done += n,
                }
            }
            done
        })
    }
}

#[expect(unsafe_code, reason = "the attribute makes it an unsafe impl")]
#[pinned_drop]
impl PinnedDrop for RxRing {
    fn drop(self: Pin<&mut Self>) {
        let hw = self.hw.lock();
        let mut mem = self.region.lock();
        for (i, (slot, armed)) in self.shm.slots().iter().zip(hw.armed.iter()).enumerate() {
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
