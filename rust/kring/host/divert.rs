// SPDX-License-Identifier: GPL-2.0

//! What the stack sends through a port, spread over the port's host RX rings.
//!
//! There is a [`Lane`] for each host RX ring that the port can have, whether a program has bound it
//! or not. What comes for a ring that nobody has is dropped, and so is what finds its lane full:
//! the stack is never told to wait (NETDEV_TX_BUSY), because a program that does not read must not
//! hold up the kernel's queueing disciplines, nor through them the sockets behind. Dropped frames
//! are in the interface's `tx_dropped`, those of a bound ring in the ring's drops too.

use kernel::error::Result;
use kernel::prelude::*;
use kernel::sync::Arc;

use super::rx::HostRx;
use crate::os::divert::XmitClient;
use crate::os::irqlock::IrqLock;
use crate::os::sent::Frames;
use crate::os::wait::Wakers;
use crate::uapi::MAX_FRAGS;

/// The lanes of a port.
pub(crate) struct Divert {
    lanes: KVec<Arc<Lane>>,
}

/// Frames on their way to one host RX ring.
#[pin_data]
pub(crate) struct Lane {
    #[pin]
    state: IrqLock<State>,
}

struct State {
    /// The ring at its end.
    bound: Option<Bound>,
    frames: Frames,
    /// Slots they will fill.
    pieces: u32,
    drops: u64,
    wakeups: u64,
}

/// What a lane knows of its ring.
struct Bound {
    wakers: Arc<Wakers>,
    /// Slots that may wait here.
    limit: u32,
    /// Bytes that go into a slot.
    room: u32,
}

impl Divert {
    /// For a port of `rings` host RX rings, at least one.
    ///
    /// # Errors
    ///
    /// ENOMEM.
    pub(crate) fn new(rings: u32) -> Result<Arc<Self>> {
        let mut lanes = KVec::with_capacity(rings as usize, GFP_KERNEL)?;
        for _ in 0..rings {
            lanes.push(Lane::new()?, GFP_KERNEL)?;
        }
        Ok(Arc::new(Divert { lanes }, GFP_KERNEL)?)
    }

    /// Lets host RX ring number `index` have what comes for it, until the ring is dropped.
    ///
    /// # Errors
    ///
    /// EINVAL: the port has no such ring.
    pub(crate) fn bind(&self, index: u32, ring: &HostRx) -> Result {
        let lane = self.lanes.get(index as usize).ok_or(EINVAL)?;
        ring.connect(lane.clone());
        Ok(())
    }
}

impl XmitClient for Divert {
    fn xmit(&self, frames: Frames, queue: u32) -> u32 {
        // The card may have more TX queues than the port host rings.
        let lane = (queue as usize)
            .checked_rem(self.lanes.len())
            .and_then(|i| self.lanes.get(i));
        match lane {
            Some(lane) => lane.push(frames),
            None => 0,
        }
    }
}

impl Lane {
    fn new() -> Result<Arc<Self>> {
        let state = State {
            bound: None,
            frames: Frames::new(),
            pieces: 0,
            drops: 0,
            wakeups: 0,
        };
        Arc::pin_init(
            pin_init!(Lane {
                state <- IrqLock::new(state),
            }),
            GFP_KERNEL,
        )
    }

    /// Ends at the ring with these wakers: at most `limit` slots' worth waits, `room` bytes each.
    pub(super) fn bind(&self, wakers: Arc<Wakers>, limit: u32, room: u32) {
        let bound = Bound {
            wakers,
            limit,
            room: room.max(1),
        };
        // What was there is dropped after the lock has been released.
        let _before = self.state.lock().bind(Some(bound));
    }

    /// Forgets the ring with these wakers, unless another has come; what waits for it is dropped.
    pub(super) fn unbind(&self, wakers: &Arc<Wakers>) {
        let _before = {
            let mut state = self.state.lock();
            let ours = |b: &Bound| Arc::ptr_eq(&b.wakers, wakers);
            if !state.bound.as_ref().is_some_and(ours) {
                return;
            }
            state.bind(None)
        };
    }

    /// Adds frames; returns how many were dropped.
    fn push(&self, mut frames: Frames) -> u32 {
        let mut refused = Frames::new();
        let mut count = 0;
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let was_empty = state.frames.is_empty();
        while let Some(frame) = frames.pop() {
            let pieces = state.bound.as_ref().and_then(|b| b.pieces(frame.len()));
            match pieces {
                Some(pieces) if state.fits(pieces) => {
                    state.pieces += pieces;
                    state.frames.push(frame);
                }
                _ => {
                    count += 1;
                    refused.push(frame);
                }
            }
        }
        state.drops += u64::from(count);
        if was_empty && !state.frames.is_empty() {
            state.wakeups += 1;
            if let Some(bound) = &state.bound {
                // Under the lock: the ring cannot go meanwhile.
                bound.wakers.wake();
            }
        }
        drop(guard);
        count
    }

    /// Slots that what waits here will fill.
    pub(super) fn pieces(&self) -> u32 {
        self.state.lock().pieces
    }

    /// Takes frames that fill at most `slots` slots.
    pub(super) fn take(&self, slots: u32) -> Frames {
        let mut taken = Frames::new();
        let mut left = slots;
        let mut guard = self.state.lock();
        let state = &mut *guard;
        while let (Some(len), Some(bound)) = (state.frames.first_len(), &state.bound) {
            let pieces = bound.pieces(len).unwrap_or(u32::MAX);
            if pieces > left {
                break;
            }
            let Some(frame) = state.frames.pop() else {
                break;
            };
            state.pieces -= pieces;
            left -= pieces;
            taken.push(frame);
        }
        taken
    }

    /// Frames dropped and wake-ups since the ring was bound.
    pub(super) fn counts(&self) -> (u64, u64) {
        let state = self.state.lock();
        (state.drops, state.wakeups)
    }
}

impl State {
    fn bind(&mut self, bound: Option<Bound>) -> (Option<Bound>, Frames) {
        self.pieces = 0;
        self.drops = 0;
        self.wakeups = 0;
        (
            core::mem::replace(&mut self.bound, bound),
            core::mem::replace(&mut self.frames, Frames::new()),
        )
    }

    fn fits(&self, pieces: u32) -> bool {
        let limit = self.bound.as_ref().map_or(0, |b| b.limit);
        pieces <= limit.saturating_sub(self.pieces)
    }
}

impl Bound {
    /// Slots a frame of `len` bytes fills; `None`: more than a frame may, or it is none.
    fn pieces(&self, len: u32) -> Option<u32> {
        let pieces = len.div_ceil(self.room);
        (1..=MAX_FRAGS as u32).contains(&pieces).then_some(pieces)
    }
}
