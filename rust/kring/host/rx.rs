// SPDX-License-Identifier: GPL-2.0

//! Host RX rings: what the kernel's stack sends through a port, for programs.
//!
//! As long as a port's transmissions are the kernel's own, nothing arrives here.

use kernel::error::Result;
use kernel::prelude::*;
use kernel::sync::{new_mutex, Arc, Mutex};

use super::{fill, free, status};
use crate::kring::{Shm, Status, Sync};
use crate::mem::layout::ring_bytes;
use crate::mem::region::Region;
use crate::os::wait::Wakers;
use crate::ring::{self, Pointers};
use crate::uapi::ext::counter;

/// A ring out of the stack. Several fds may have it.
#[pin_data(PinnedDrop)]
pub(crate) struct HostRx {
    shm: Shm,
    region: Arc<Region>,
    wakers: Wakers,
    #[pin]
    state: Mutex<State>,
}

/// What sync changes.
struct State {
    /// First slot the program has not released.
    hwcur: u32,
    /// First slot the kernel keeps; what `tail` was last set to.
    hwtail: u32,
    counters: [u64; counter::MAX],
}

impl HostRx {
    /// A ring of `slots` slots, number `ringid` of its port, with a buffer behind each slot.
    ///
    /// # Errors
    ///
    /// ENOMEM; nothing is kept then.
    pub(crate) fn new(
        region: Arc<Region>,
        slots: u32,
        ringid: u16,
        wakers: Wakers,
    ) -> Result<Arc<Self>> {
        let (object, mem) = region.lock().alloc_ring(ring_bytes(slots, false))?;
        let shm = Shm::new(region.layout(), object, mem, slots, ringid, 0);
        let undo = region.clone();
        let ring = Arc::pin_init(
            pin_init!(HostRx {
                shm,
                region,
                wakers,
                state <- new_mutex!(State {
                    hwcur: 0,
                    hwtail: 0,
                    counters: [0; counter::MAX],
                }, "netmap::HostRx::state"),
            }),
            GFP_KERNEL,
        )
        .inspect_err(|_| undo.lock().free_ring(object))?;
        // From here on `drop` undoes.
        fill(&ring.region, &ring.shm)?;
        Ok(ring)
    }

    /// Offset of the ring object in the region.
    pub(crate) fn offset(&self) -> usize {
        self.shm.offset()
    }

    /// What the listing shows.
    pub(crate) fn status(&self) -> Status {
        status(&self.shm, self.state.lock().counters)
    }

    /// Is there anything between the program's `cur` and the tail it was told?
    pub(crate) fn readable(&self) -> bool {
        let ring = self.shm.header();
        ring.cur.get() != ring.tail.get()
    }

    /// Takes back the slots the program released, and hands it what the stack has sent.
    pub(crate) fn sync(&self) -> Sync {
        let mut state = self.state.lock();
        let outcome = self.exchange(&mut state, self.shm.pointers());
        match outcome {
            Sync::Reset => self.shm.reset(state.hwcur, state.hwtail),
            _ => self.shm.header().tail.set(state.hwtail),
        }
        outcome
    }

    fn exchange(&self, state: &mut State, p: Pointers) -> Sync {
        state.counters[counter::SYNCS] += 1;
        let Ok(Pointers { head, .. }) = ring::check(p, state.hwcur, state.hwtail, self.shm.n)
        else {
            state.counters[counter::RESETS] += 1;
            return Sync::Reset;
        };
        state.hwcur = head;
        Sync::Done
    }
}

#[expect(unsafe_code, reason = "the attribute makes it an unsafe impl")]
#[pinned_drop]
impl PinnedDrop for HostRx {
    fn drop(self: Pin<&mut Self>) {
        free(&self.region, &self.shm);
    }
}
