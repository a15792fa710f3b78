// SPDX-License-Identifier: GPL-2.0

//! Kernel-private state of rings.
//!
//! What a program sees of a ring is in shared memory ([`crate::shm`]); what the kernel believes of
//! it is here. [`rx`] is a NIC's RX queue, [`tx`] a TX ring of it, [`host`] are the rings to and from
//! the kernel's stack.

pub(crate) mod host;
pub(crate) mod options;
pub(crate) mod rx;
pub(crate) mod tx;

use kernel::sync::Arc;

use crate::mem::layout::{meta_offset, Layout};
use crate::mem::region::Region;
use crate::os::chunk::Chunk;
use crate::os::dma::DmaDevice;
use crate::os::nic::Nic;
use crate::os::wait::Wakers;
use crate::ring::Pointers;
use crate::shm::{RingHeader, RxMeta, Slot};
use crate::uapi::ext::counter;

pub(crate) use options::{Offsets, RingOptions};

/// How a sync went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sync {
    /// As it should.
    Done,
    /// The program's pointers were impossible and have been reset.
    Reset,
    /// A slot without a buffer could not be given one: what is behind it waits for the next sync.
    Starved,
    /// The interface is down: the ring is not connected now.
    Parked,
    /// The interface has gone.
    Gone,
}

/// What a ring of the NIC is made of.
pub(crate) struct Parts {
    /// Queue index on the port; not the hardware's register index.
    pub(crate) queue: u32,
    /// Slots, as many as the hardware ring has descriptors.
    pub(crate) slots: u32,
    /// Where its memory is.
    pub(crate) region: Arc<Region>,
    /// Who does the DMA.
    pub(crate) dev: DmaDevice,
    /// The driver.
    pub(crate) nic: Arc<Nic>,
    /// Whom it wakes.
    pub(crate) wakers: Wakers,
    /// What its program has asked for beyond the plain ring.
    pub(crate) options: RingOptions,
}

/// What the listing shows of a ring.
pub(crate) struct Status {
    /// One of [`crate::uapi::ext::state`].
    pub(crate) state: u32,
    /// Slots.
    pub(crate) slots: u32,
    /// Hardware register index.
    pub(crate) reg_idx: u32,
    /// Placed as [`counter`] says.
    pub(crate) counters: [u64; counter::MAX],
}

/// A ring's shared memory.
pub(crate) struct Shm {
    /// Object in the region's ring pool.
    pub(crate) object: usize,
    layout: Layout,
    mem: Arc<Chunk>,
    /// Slots.
    pub(crate) n: u32,
}

impl Shm {
    /// Lays out a fresh ring object of a region as netmap does: `dir` 1 for TX, 0 for RX.
    pub(crate) fn new(
        layout: &Layout,
        object: usize,
        mem: Arc<Chunk>,
        n: u32,
        ringid: u16,
        dir: u16,
    ) -> Self {
        let ring = mem.ring_header();
        ring.buf_ofs
            .set(layout.buf_pool() as i64 - layout.ring_offset(object) as i64);
        ring.num_slots.set(n);
        ring.nr_buf_size.set(layout.buf_size() as u32);
        ring.ringid.set(ringid);
        ring.dir.set(dir);
        Shm {
            object,
            layout: *layout,
            mem,
            n,
        }
    }

    /// Where the ring is in the region.
    pub(crate) fn offset(&self) -> usize {
        self.layout.ring_offset(self.object)
    }

    /// Bytes of a buffer.
    #[inline(always)]
    pub(crate) fn buf_size(&self) -> usize {
        self.layout.buf_size()
    }

    /// The header.
    #[inline(always)]
    pub(crate) fn header(&self) -> &RingHeader {
        self.mem.ring_header()
    }

    /// The slots.
    #[inline(always)]
    pub(crate) fn slots(&self) -> &[Slot] {
        self.mem.slots(self.n)
    }

    /// The metadata beside the slots; empty if the ring object has no room for it.
    #[inline(always)]
    pub(crate) fn rx_meta(&self) -> &[RxMeta] {
        self.mem.rx_meta(meta_offset(self.n), self.n)
    }

    /// Lets all frames begin where the agreement says, and tells the program so.
    pub(crate) fn set_offsets(&self, offsets: &Offsets) {
        self.header().offset_mask.set(offsets.mask);
        for slot in self.slots() {
            slot.ptr.set(offsets.reset(slot.ptr.get()));
        }
    }

    /// Reads the program's pointers, once.
    #[inline(always)]
    pub(crate) fn pointers(&self) -> Pointers {
        let ring = self.header();
        Pointers {
            head: ring.head.get(),
            cur: ring.cur.get(),
        }
    }

    /// Is there a slot between the program's `cur` and the tail it was told?
    #[inline(always)]
    pub(crate) fn ready(&self) -> bool {
        let ring = self.header();
        ring.cur.get() != ring.tail.get()
    }

    /// Puts the pointers back to what the kernel knows, and repairs slots that no buffer or length
    /// could have.
    pub(crate) fn reset(&self, head: u32, tail: u32) {
        let ring = self.header();
        ring.head.set(head);
        ring.cur.set(head);
        ring.tail.set(tail);
        for slot in self.slots() {
            let (len, flags) = slot.len_and_flags();
            if self.layout.buffer(slot.buf_idx.get()).is_none() {
                slot.buf_idx.set(0);
                slot.set_len_and_flags(0, flags);
            } else if usize::from(len) > self.buf_size() {
                slot.set_len_and_flags(0, flags);
            }
        }
    }

    /// Stamps the time of a sync.
    pub(crate) fn stamp(&self) {
        let (sec, usec) = crate::os::now();
        let ring = self.header();
        ring.ts[0].set(sec);
        ring.ts[1].set(usec);
    }
}
