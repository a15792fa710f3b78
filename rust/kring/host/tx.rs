// SPDX-License-Identifier: GPL-2.0

//! Host TX rings: the way back into the kernel's stack.
//!
//! Each frame is copied into an skb, so its buffer may be any that was given out, also one that a
//! NIC ring is armed with: the program swaps a received buffer into a slot here and has its own
//! slot's buffer received into next. Frames with a slot that cannot be are dropped whole.

use kernel::error::Result;
use kernel::prelude::*;
use kernel::sync::{new_mutex, Arc, Mutex};

use super::gather::Source;
use super::{fill, free, status};
use crate::kring::{Offsets, Shm, Status, Sync};
use crate::mem::layout::ring_bytes;
use crate::mem::region::Region;
use crate::os::netdev::NetDev;
use crate::os::skb::Batch;
use crate::os::trace::{self, RingName};
use crate::ring::{self, prev, Pointers};
use crate::uapi::ext::{counter, kind};
use crate::uapi::{MAX_FRAGS, NS_BUF_CHANGED, NS_MOREFRAG, NS_REPORT};

/// A ring into the stack. Several fds may have it.
#[pin_data(PinnedDrop)]
pub(crate) struct HostTx {
    /// Queue that the stack is told frames came from, where the port has it.
    queue: u32,
    name: RingName,
    shm: Shm,
    region: Arc<Region>,
    /// Where frames begin in their buffers.
    offsets: Option<Offsets>,
    #[pin]
    state: Mutex<State>,
}

/// What sync changes.
struct State {
    /// First slot not yet sent.
    hwcur: u32,
    /// What `tail` was last set to.
    hwtail: u32,
    batch: KBox<Batch>,
    counters: [u64; counter::MAX],
}

impl HostTx {
    /// A ring of `slots` slots, number `ringid` of its port, with a buffer behind each slot.
    ///
    /// # Errors
    ///
    /// ENOMEM; nothing is kept then.
    pub(crate) fn new(
        region: Arc<Region>,
        slots: u32,
        ringid: u16,
        queue: u32,
        offsets: Option<Offsets>,
    ) -> Result<Arc<Self>> {
        let batch = KBox::new(Batch::new(), GFP_KERNEL)?;
        let name = RingName::new(kind::HOST_TX, u32::from(ringid));
        let (object, mem) = region.lock().alloc_ring(ring_bytes(slots, false))?;
        let shm = Shm::new(region.layout(), object, mem, slots, ringid, 1);
        let undo = region.clone();
        let ring = Arc::pin_init(
            pin_init!(HostTx {
                queue,
                name,
                shm,
                region,
                offsets,
                state <- new_mutex!(State {
                    hwcur: 0,
                    hwtail: prev(0, slots),
                    batch,
                    counters: [0; counter::MAX],
                }, "netmap::HostTx::state"),
            }),
            GFP_KERNEL,
        )
        .inspect_err(|_| undo.lock().free_ring(object))?;
        // From here on `drop` undoes.
        ring.shm.header().tail.set(prev(0, slots));
        fill(&ring.region, &ring.shm, offsets, |_| Ok(()))?;
        Ok(ring)
    }

    /// What tracepoints call it.
    pub(crate) fn name(&self) -> &RingName {
        &self.name
    }

    /// Where frames begin in their buffers, if elsewhere than at the start.
    pub(crate) fn offsets(&self) -> Option<Offsets> {
        self.offsets
    }

    /// Where its memory is.
    pub(crate) fn region(&self) -> &Arc<Region> {
        &self.region
    }

    /// Offset of the ring object in the region.
    pub(crate) fn offset(&self) -> usize {
        self.shm.offset()
    }

    /// What the listing shows.
    pub(crate) fn status(&self) -> Status {
        status(&self.shm, self.state.lock().counters)
    }

    /// Is there a slot to fill?
    pub(crate) fn writable(&self) -> bool {
        self.shm.ready()
    }

    /// Has the program filled slots that were not yet sent?
    pub(crate) fn pending(&self) -> bool {
        self.shm.header().head.get() != self.state.lock().hwcur
    }

    /// Hands what the program filled to the stack.
    ///
    /// `dev`: the port's interface, unless it has gone.
    pub(crate) fn sync(&self, dev: Option<&NetDev>) -> Sync {
        let mut state = self.state.lock();
        let outcome = self.exchange(&mut state, dev, self.shm.pointers());
        match outcome {
            Sync::Done => self.shm.header().tail.set(state.hwtail),
            Sync::Reset => self.shm.reset(state.hwcur, state.hwtail),
            Sync::Starved | Sync::Parked | Sync::Gone => {}
        }
        outcome
    }

    /// The same for a program whose pointers are elsewhere than in the ring, which is left alone.
    /// Returns what to publish there too: hwcur and hwtail.
    pub(crate) fn sync_at(&self, dev: Option<&NetDev>, p: Pointers) -> (Sync, u32, u32) {
        let mut state = self.state.lock();
        let outcome = self.exchange(&mut state, dev, p);
        (outcome, state.hwcur, state.hwtail)
    }

    /// hwcur and hwtail as they are.
    pub(crate) fn indices(&self) -> (u32, u32) {
        let state = self.state.lock();
        (state.hwcur, state.hwtail)
    }

    fn exchange(&self, state: &mut State, dev: Option<&NetDev>, p: Pointers) -> Sync {
        let n = self.shm.n;
        state.counters[counter::SYNCS] += 1;
        let before = state.counters[counter::PACKETS];
        let Ok(Pointers { head, .. }) = ring::check(p, state.hwcur, state.hwtail, n) else {
            state.counters[counter::RESETS] += 1;
            trace::reinit(&self.name, p, state.hwcur, state.hwtail);
            return Sync::Reset;
        };
        let Some(dev) = dev else {
            return Sync::Gone;
        };
        if head != state.hwcur {
            if !dev.running() {
                return Sync::Parked;
            }
            self.send(state, dev, head);
            state.hwcur = head;
            state.hwtail = prev(head, n);
        }
        let taken = state.counters[counter::PACKETS].wrapping_sub(before) as u32;
        trace::sync(&self.name, p, state.hwtail, taken);
        Sync::Done
    }

    /// Sends the frames in slots up to `head`, batch by batch.
    fn send(&self, state: &mut State, dev: &NetDev, head: u32) {
        let State {
            hwcur,
            batch,
            counters,
            ..
        } = state;
        let mut at = *hwcur;
        while at != head {
            let mut frames = 0u32;
            {
                let mem = self.region.lock();
                let source = Source {
                    shm: &self.shm,
                    mem: &mem,
                    offsets: self.offsets.as_ref(),
                    clear: NS_BUF_CHANGED | NS_REPORT | NS_MOREFRAG,
                    end: head,
                };
                while at != head && batch.room() >= MAX_FRAGS {
                    let frame = source.frame(batch, at);
                    at = frame.next;
                    if frame.good {
                        frames += 1;
                        counters[counter::BYTES] += u64::from(frame.bytes);
                        counters[counter::FRAGS] += u64::from(frame.pieces) - 1;
                    } else {
                        counters[counter::BAD_SLOTS] += 1;
                        counters[counter::DROPS] += 1;
                    }
                }
            }
            let taken = batch.receive(dev, self.queue);
            counters[counter::PACKETS] += u64::from(taken);
            let refused = u64::from(frames.saturating_sub(taken));
            counters[counter::DROPS] += refused;
            counters[counter::DROP_STACK] += refused;
        }
    }
}

#[expect(unsafe_code, reason = "the attribute makes it an unsafe impl")]
#[pinned_drop]
impl PinnedDrop for HostTx {
    fn drop(self: Pin<&mut Self>) {
        free(&self.region, &self.shm);
    }
}
