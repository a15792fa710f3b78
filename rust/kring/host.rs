// SPDX-License-Identifier: GPL-2.0

//! Host rings: the way back into the kernel's stack.
//!
//! What a program sends on the host TX ring the stack receives as if it came from the port. The
//! host RX ring holds what the stack sends through TX rings that are in netmap's hands; as long as
//! none can be, it is empty.

use kernel::error::Result;
use kernel::prelude::*;
use kernel::sync::Arc;

use super::{Shm, Sync};
use crate::mem::layout::{self, BUF_SIZE};
use crate::mem::owner::Owner;
use crate::mem::region::{Inner, Region};
use crate::os::netdev::NetDev;
use crate::os::skb::Batch;
use crate::ring::{self, advance, prev};
use crate::uapi::{ext::counter, MAX_FRAGS, NS_BUF_CHANGED, NS_MOREFRAG, NS_REPORT};

/// A frame that ends within it is none.
const ETHERNET_HEADER: u64 = 14;

/// A host ring bound to an fd; used under the fd's lock.
pub(crate) struct HostRing {
    shm: Shm,
    region: Arc<Region>,
    tx: bool,
    hwcur: u32,
    hwtail: u32,
    /// Queue that the stack is told frames came from.
    queue: u32,
    batch: KBox<Batch>,
    /// Placed as [`counter`] says.
    pub(crate) counters: [u64; counter::MAX],
}

impl HostRing {
    /// A ring of `n` slots with a buffer behind each. `tx`: into the stack.
    ///
    /// # Errors
    ///
    /// ENOMEM; nothing is kept then.
    pub(crate) fn new(
        region: Arc<Region>,
        n: u32,
        tx: bool,
        ringid: u16,
        queue: u32,
    ) -> Result<Self> {
        let batch = KBox::new(Batch::new(), GFP_KERNEL)?;
        let (object, mem) = region.lock().alloc_ring()?;
        let shm = Shm::new(object, mem, n, ringid, u16::from(tx));
        let ring = HostRing {
            shm,
            region,
            tx,
            hwcur: 0,
            hwtail: if tx { prev(0, n) } else { 0 },
            queue,
            batch,
            counters: [0; counter::MAX],
        };
        ring.shm.header().tail.set(ring.hwtail);
        {
            let mut mem = ring.region.lock();
            for slot in ring.shm.slots() {
                // On failure `drop` frees what is there already.
                slot.buf_idx.set(mem.alloc_buf(Owner::Loose)?);
                slot.set_len_and_flags(BUF_SIZE as u16, 0);
            }
        }
        Ok(ring)
    }

    /// Offset of the ring object in the region.
    pub(crate) fn offset(&self) -> usize {
        layout::ring_offset(self.shm.object)
    }

    /// Slots.
    pub(crate) fn slots(&self) -> u32 {
        self.shm.n
    }

    /// Is there a slot to fill (TX) or to read (RX)?
    pub(crate) fn ready(&self) -> bool {
        let ring = self.shm.header();
        ring.cur.get() != ring.tail.get()
    }

    /// Has the program filled slots that were not yet sent?
    pub(crate) fn pending(&self) -> bool {
        self.tx && self.shm.header().head.get() != self.hwcur
    }

    /// TX: hands what the program filled to the stack. RX: checks the pointers.
    ///
    /// `dev`: the port's interface, unless it has gone.
    pub(crate) fn sync(&mut self, dev: Option<&NetDev>) -> Sync {
        let n = self.shm.n;
        self.counters[counter::SYNCS] += 1;
        let head = match ring::check(self.shm.pointers(), self.hwcur, self.hwtail, n) {
            Ok(p) => p.head,
            Err(ring::Impossible) => {
                self.counters[counter::RESETS] += 1;
                self.shm.reset(self.hwcur, self.hwtail);
                return Sync::Reset;
            }
        };
        let Some(dev) = dev else {
            return Sync::Gone;
        };
        if self.tx && head != self.hwcur {
            if !dev.running() {
                return Sync::Parked;
            }
            self.send(dev, head);
            self.hwtail = prev(head, n);
        }
        self.hwcur = head;
        self.shm.header().tail.set(self.hwtail);
        Sync::Done
    }

    /// Sends the frames in slots up to `head`, batch by batch.
    fn send(&mut self, dev: &NetDev, head: u32) {
        let mut at = self.hwcur;
        while at != head {
            let mut frames = 0;
            {
                let mem = self.region.lock();
                while at != head && self.batch.room() >= MAX_FRAGS {
                    let (next, good) = Self::gather(
                        &self.shm,
                        &mem,
                        &mut self.batch,
                        &mut self.counters,
                        at,
                        head,
                    );
                    at = next;
                    frames += u32::from(good);
                }
            }
            let taken = self.batch.receive(dev, self.queue);
            self.counters[counter::PACKETS] += u64::from(taken);
            self.counters[counter::DROPS] += u64::from(frames.saturating_sub(taken));
        }
    }

    /// Adds the frame that begins at slot `at` to the batch; one with a bad slot is dropped whole.
    /// Returns where the next begins, and whether this one was good.
    fn gather(
        shm: &Shm,
        mem: &Inner,
        batch: &mut Batch,
        counters: &mut [u64; counter::MAX],
        mut at: u32,
        head: u32,
    ) -> (u32, bool) {
        let begin = batch.len();
        let mut good = true;
        let mut pieces = 0u64;
        let mut bytes = 0u64;
        while let Some(slot) = shm.slots().get(at as usize) {
            let (buf, (len, flags)) = (slot.buf_idx.get(), slot.len_and_flags());
            slot.set_len_and_flags(len, flags & !(NS_BUF_CHANGED | NS_REPORT | NS_MOREFRAG));
            at = advance(at, 1, shm.n);
            // The program may not have filled the rest of a frame: it is cut there.
            let more = flags & NS_MOREFRAG != 0 && at != head;
            pieces += 1;
            bytes += u64::from(len);
            let fits = len != 0 && usize::from(len) <= BUF_SIZE && pieces <= MAX_FRAGS as u64;
            match fits.then(|| mem.bytes(buf, usize::from(len))).flatten() {
                Some(piece) if good => batch.push(piece, more),
                _ => good = false,
            }
            if !more {
                break;
            }
        }
        good &= bytes >= ETHERNET_HEADER;
        if good {
            counters[counter::BYTES] += bytes;
            counters[counter::FRAGS] += pieces - 1;
        } else {
            batch.truncate(begin);
            counters[counter::BAD_SLOTS] += 1;
            counters[counter::DROPS] += 1;
        }
        (at, good)
    }
}

impl Drop for HostRing {
    fn drop(&mut self) {
        let mut mem = self.region.lock();
        for slot in self.shm.slots() {
            mem.free_loose(slot.buf_idx.get());
        }
        mem.free_ring(self.shm.object);
    }
}
