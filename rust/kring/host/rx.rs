// SPDX-License-Identifier: GPL-2.0

//! Host RX rings: what the kernel's stack sends through a port, for programs.
//!
//! Frames wait in the ring's [`Lane`] until a sync copies them into the slots the program has
//! released. A slot may name another buffer by then, because the program has passed the one it had
//! on to another ring; frames are written into it if no NIC ring can hold it, else into one of the
//! slot's own.

mod places;

use kernel::error::Result;
use kernel::prelude::*;
use kernel::sync::{new_mutex, Arc, Mutex};

use super::divert::Lane;
use super::{fill, free, status};
use crate::kring::{Offsets, Shm, Status, Sync};
use crate::mem::layout::ring_bytes;
use crate::mem::region::Region;
use crate::os::chunk::RawBytes;
use crate::os::sent::Frame;
use crate::os::trace::{self, RingName};
use crate::os::wait::Wakers;
use crate::ring::{self, advance, distance, Pointers};
use crate::uapi::ext::{counter, kind};
use crate::uapi::{MAX_FRAGS, NS_MOREFRAG};

/// Slots filled at once; a frame is never parted.
const BATCH: usize = 2 * MAX_FRAGS;

/// A ring out of the stack. Several fds may have it.
#[pin_data(PinnedDrop)]
pub(crate) struct HostRx {
    name: RingName,
    shm: Shm,
    region: Arc<Region>,
    wakers: Arc<Wakers>,
    /// Where frames begin in their buffers.
    offsets: Option<Offsets>,
    #[pin]
    state: Mutex<State>,
}

/// What sync changes.
struct State {
    /// First slot the program has not released.
    hwcur: u32,
    /// First slot the kernel keeps; what `tail` was last set to.
    hwtail: u32,
    /// Where frames come from.
    lane: Option<Arc<Lane>>,
    /// The last look has left some there for want of room, of which nobody is told again.
    left: bool,
    /// The buffer last written to behind each slot.
    own: KVVec<u32>,
    /// Where the next slots' bytes go.
    places: KVec<RawBytes>,
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
        offsets: Option<Offsets>,
    ) -> Result<Arc<Self>> {
        let wakers = Arc::new(wakers, GFP_KERNEL)?;
        let state = State {
            hwcur: 0,
            hwtail: 0,
            lane: None,
            left: false,
            own: KVVec::with_capacity(slots as usize, GFP_KERNEL)?,
            places: KVec::with_capacity(BATCH, GFP_KERNEL)?,
            counters: [0; counter::MAX],
        };
        let name = RingName::new(kind::HOST_RX, u32::from(ringid));
        let (object, mem) = region.lock().alloc_ring(ring_bytes(slots, false))?;
        let shm = Shm::new(region.layout(), object, mem, slots, ringid, 0);
        let undo = region.clone();
        let ring = Arc::pin_init(
            pin_init!(HostRx {
                name,
                shm,
                region,
                wakers,
                offsets,
                state <- new_mutex!(state, "netmap::HostRx::state"),
            }),
            GFP_KERNEL,
        )
        .inspect_err(|_| undo.lock().free_ring(object))?;
        // From here on `drop` undoes.
        let mut state = ring.state.lock();
        fill(&ring.region, &ring.shm, offsets, |buf| {
            Ok(state.own.push(buf, GFP_KERNEL)?)
        })?;
        drop(state);
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

    /// Whom it wakes.
    pub(crate) fn wakers(&self) -> &Wakers {
        &self.wakers
    }

    /// The interface has gone.
    pub(crate) fn gone(&self) {
        self.wakers.wake();
    }

    /// Offset of the ring object in the region.
    pub(crate) fn offset(&self) -> usize {
        self.shm.offset()
    }

    /// What the listing shows.
    pub(crate) fn status(&self) -> Status {
        let state = self.state.lock();
        let mut counters = state.counters;
        if let Some(lane) = &state.lane {
            (counters[counter::DROPS], counters[counter::WAKEUPS]) = lane.counts();
            counters[counter::DROP_FULL] = counters[counter::DROPS];
        }
        status(&self.shm, counters)
    }

    /// Is there anything between the program's `cur` and the tail it was told?
    pub(crate) fn readable(&self) -> bool {
        self.shm.ready()
    }

    /// From now on frames come from this lane.
    pub(super) fn connect(&self, lane: Arc<Lane>) {
        let mut state = self.state.lock();
        // As many as fill the ring: a program that reads slowly finds what it had room for.
        lane.bind(self.wakers.clone(), self.shm.n - 1, self.room());
        state.lane = Some(lane);
    }

    /// Takes back the slots the program released, and hands it what the stack has sent.
    pub(crate) fn sync(&self) -> Sync {
        let mut state = self.state.lock();
        let outcome = self.exchange(&mut state, self.shm.pointers());
        if outcome == Sync::Reset {
            self.shm.reset(state.hwcur, state.hwtail);
        }
        self.shm.stamp();
        // As for a NIC ring: slots and bytes before the tail.
        crate::os::write_barrier();
        self.shm.header().tail.set(state.hwtail);
        outcome
    }

    /// The same for a program whose pointers are elsewhere than in the ring, which is left alone.
    /// Returns what to publish there too: hwcur and hwtail.
    pub(crate) fn sync_at(&self, p: Pointers) -> (Sync, u32, u32) {
        let mut state = self.state.lock();
        let outcome = self.exchange(&mut state, p);
        (outcome, state.hwcur, state.hwtail)
    }

    /// hwcur and hwtail as they are.
    pub(crate) fn indices(&self) -> (u32, u32) {
        let state = self.state.lock();
        (state.hwcur, state.hwtail)
    }

    fn exchange(&self, state: &mut State, p: Pointers) -> Sync {
        state.counters[counter::SYNCS] += 1;
        let before = state.counters[counter::PACKETS];
        let outcome = match ring::check(p, state.hwcur, state.hwtail, self.shm.n) {
            Ok(Pointers { head, .. }) => {
                self.take_back(state, head);
                Sync::Done
            }
            Err(ring::Impossible) => {
                state.counters[counter::RESETS] += 1;
                trace::reinit(&self.name, p, state.hwcur, state.hwtail);
                Sync::Reset
            }
        };
        let starved = self.fetch(state);
        let fetched = state.counters[counter::PACKETS].wrapping_sub(before) as u32;
        trace::sync(&self.name, p, state.hwtail, fetched);
        match outcome {
            Sync::Done if starved => Sync::Starved,
            outcome => outcome,
        }
    }

    /// Copies what waits into the free slots, batch by batch. True: it ended at a slot that has no
    /// buffer, and there is none.
    fn fetch(&self, state: &mut State) -> bool {
        let n = self.shm.n;
        let Some(lane) = state.lane.clone() else {
            return false;
        };
        loop {
            let held = distance(state.hwcur, state.hwtail, n);
            let room = n.wrapping_sub(1).wrapping_sub(held);
            let waiting = lane.pieces();
            let wanted = room.min(BATCH as u32).min(waiting);
            if wanted == 0 {
                state.left = waiting != 0;
                return false;
            }
            // Places first, so that no frame is taken that would have to be dropped.
            let (ready, starved) = self.find_places(state, wanted);
            let mut frames = lane.take(ready);
            if frames.is_empty() {
                if ready < wanted && !starved {
                    // A buffer's ring is busy; nothing else may come that wakes those who poll, so
                    // they must look again.
                    self.wakers.wake();
                }
                state.left = true;
                return starved;
            }
            if core::mem::take(&mut state.left) {
                // Another thread has made room than those who have seen that there was none.
                self.wakers.wake();
            }
            let mut at = 0;
            while let Some(frame) = frames.pop() {
                at += self.store(state, at, &frame);
                frame.consume();
            }
            state.hwtail = advance(state.hwtail, at as u32, n);
        }
    }

    /// Writes a frame to the places from `at` on; returns how many it took.
    fn store(&self, state: &mut State, at: usize, frame: &Frame) -> usize {
        let len = frame.len();
        let (mut done, mut pieces) = (0, 0);
        while done < len {
            let slot = advance(state.hwtail, (at + pieces) as u32, self.shm.n) as usize;
            let (Some(place), Some(slot)) =
                (state.places.get(at + pieces), self.shm.slots().get(slot))
            else {
                break;
            };
            let copied = frame.copy(done, *place);
            done += copied;
            pieces += 1;
            let more = if done < len { NS_MOREFRAG } else { 0 };
            slot.set_len_and_flags(copied as u16, more);
        }
        state.counters[counter::PACKETS] += 1;
        state.counters[counter::BYTES] += u64::from(len);
        state.counters[counter::FRAGS] += (pieces as u64).saturating_sub(1);
        pieces
    }

    /// Bytes of a frame that go into a slot: what is left behind the highest offset.
    fn room(&self) -> u32 {
        let max = self.offsets.map_or(0, |offsets| offsets.max);
        (self.shm.buf_size() as u32).saturating_sub(max).max(1)
    }
}

#[expect(unsafe_code, reason = "the attribute makes it an unsafe impl")]
#[pinned_drop]
impl PinnedDrop for HostRx {
    fn drop(self: Pin<&mut Self>) {
        if let Some(lane) = self.state.lock().lane.take() {
            lane.unbind(&self.wakers);
        }
        free(&self.region, &self.shm);
    }
}
