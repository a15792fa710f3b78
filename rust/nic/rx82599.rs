// SPDX-License-Identifier: GPL-2.0

//! The per-packet path of an 82599 RX ring: received descriptors into slots, released slots back
//! into descriptors.
//!
//! Both walk a run of descriptors and the run of slots beside it, neither of which wraps (see
//! [`crate::ring::runs`]), four at a time, so that a packet costs a handful of loads and stores: no
//! call, no lock, no division, no bounds check, no branch on what cannot change within a batch.
//! Only `core` is used.

pub(crate) mod meta;

use crate::shm::{RxDesc, Slot};
use crate::uapi::NS_MOREFRAG;

/// Descriptor done: the NIC has written it back (data sheet 7.1.6.2).
const DD: u64 = 1 << 0;
/// End of packet.
const EOP: u64 = 1 << 1;
/// Where the length is in the second word of a write-back.
const LENGTH_SHIFT: u32 = 32;
/// Slots per step of the inner loops.
const STEP: usize = 4;

/// What the kernel knows of the buffer behind a slot; private, so it can be trusted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub(crate) struct Armed {
    /// Bus address of the buffer.
    pub(crate) bus: u64,
    /// Its index in the region, or more than any slot can name: another ring has taken it over.
    buf: u64,
}

impl Armed {
    /// No buffer.
    pub(crate) const NONE: Armed = Armed {
        bus: 0,
        buf: u64::MAX,
    };

    /// A buffer and its bus address.
    pub(crate) fn new(buf: u32, bus: u64) -> Self {
        Armed {
            bus,
            buf: u64::from(buf),
        }
    }

    /// Is it this buffer?
    #[inline(always)]
    pub(super) fn is(&self, buf: u32) -> bool {
        self.buf == u64::from(buf)
    }

    /// The buffer's index, if there is one.
    pub(crate) fn buf(&self) -> Option<u32> {
        u32::try_from(self.buf).ok()
    }
}

/// Running totals of one import.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(crate) struct Import {
    /// Slots written.
    pub(crate) slots: u32,
    /// Slots up to and including the last end of packet: what may be published.
    pub(crate) complete: u32,
    /// Complete packets.
    pub(crate) packets: u32,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Bytes of a frame whose end has not come: the next import meets them again.
    pub(crate) partial: u64,
}

/// Has the NIC written back a descriptor with this status?
pub(crate) fn is_done(status: u32) -> bool {
    u64::from(status) & DD != 0
}

#[inline(always)]
fn length(hi: u64, buf_size: u32) -> u32 {
    ((hi >> LENGTH_SHIFT) as u32 & 0xffff).min(buf_size)
}

/// Copies written-back descriptors into slots until one is not done; returns how many were. `armed`
/// says whose buffer the NIC has filled, whatever a program has written into the slot meanwhile.
///
/// Lengths are clamped to `buf_size`. Frames longer than a buffer span several descriptors, of
/// which only the last says EOP. All three slices are equally long.
#[inline(always)]
pub(crate) fn import(
    descs: &[RxDesc],
    slots: &[Slot],
    armed: &[Armed],
    buf_size: u32,
    total: &mut Import,
) -> usize {
    let mut done = 0;
    while let (Some(d), Some(s), Some(a)) =
        (descs.get(done..), slots.get(done..), armed.get(done..))
    {
        let (frames, bytes) = last_pieces(d, s, a, buf_size);
        if frames != 0 {
            done += frames;
            total.slots = total.slots.wrapping_add(frames as u32);
            total.packets = total.packets.wrapping_add(frames as u32);
            total.complete = total.slots;
            total.bytes = total.bytes.wrapping_add(total.partial).wrapping_add(bytes);
            total.partial = 0;
        }
        // The next one is not done, or its frame goes on.
        let (Some(desc), Some(slot), Some(armed)) =
            (descs.get(done), slots.get(done), armed.get(done))
        else {
            break;
        };
        let hi = desc.hi.get();
        if hi & (DD | EOP) == DD {
            let len = length(hi, buf_size);
            slot.buf_idx.set(armed.buf as u32);
            slot.len_flags.set(len | (u32::from(NS_MOREFRAG) << 16));
            total.slots = total.slots.wrapping_add(1);
            total.partial = total.partial.wrapping_add(u64::from(len));
            done += 1;
        } else if hi & DD == 0 {
            break;
        }
    }
    done
}

/// The hot part: descriptors that are done and end a packet, until another kind comes. Returns how
/// many there were, and their bytes.
#[inline(always)]
fn last_pieces(descs: &[RxDesc], slots: &[Slot], armed: &[Armed], buf_size: u32) -> (usize, u64) {
    let mut done = 0;
    let mut bytes = 0u64;
    by_steps(descs, slots, armed, |desc, slot, armed| {
        // One load of status and length: they were written by one bus write.
        let hi = desc.hi.get();
        if !hi & (DD | EOP) != 0 {
            return false;
        }
        let len = length(hi, buf_size);
        slot.buf_idx.set(armed.buf as u32);
        slot.len_flags.set(len);
        bytes = bytes.wrapping_add(u64::from(len));
        done += 1;
        true
    });
    (done, bytes)
}

/// Rewrites descriptors for slots the program released, while each slot still holds the buffer it
/// was armed with; returns how many were. The slot it stops at holds another buffer: the caller
/// checks that one and arms it anew. `offset` says where in its buffer a slot wants the frame. All
/// three slices are equally long.
#[inline(always)]
pub(crate) fn refill(
    descs: &[RxDesc],
    slots: &[Slot],
    armed: &[Armed],
    mut offset: impl FnMut(&Slot) -> u32,
) -> usize {
    let mut done = 0;
    by_steps(descs, slots, armed, |desc, slot, armed| {
        if u64::from(slot.buf_idx.get()) != armed.buf {
            return false;
        }
        arm(desc, armed, offset(slot));
        done += 1;
        true
    });
    done
}

/// Calls `one` for each triple until it says no: [`STEP`] at a time, so that the compiler needs no
/// index of its own, and then those that are left.
#[inline(always)]
pub(super) fn by_steps<D>(
    descs: &[D],
    slots: &[Slot],
    armed: &[Armed],
    mut one: impl FnMut(&D, &Slot, &Armed) -> bool,
) {
    let descs = descs.chunks_exact(STEP);
    let slots = slots.chunks_exact(STEP);
    let armed = armed.chunks_exact(STEP);
    let rest = (descs.remainder().iter())
        .zip(slots.remainder())
        .zip(armed.remainder());
    for ((descs, slots), armed) in descs.zip(slots).zip(armed) {
        for ((desc, slot), armed) in descs.iter().zip(slots).zip(armed) {
            if !one(desc, slot, armed) {
                return;
            }
        }
    }
    for ((desc, slot), armed) in rest {
        if !one(desc, slot, armed) {
            return;
        }
    }
}

/// Arms one descriptor with a buffer from byte `offset` on, and clears its old status, so that it
/// is not taken for a new one.
#[inline(always)]
pub(crate) fn arm(desc: &RxDesc, armed: &Armed, offset: u32) {
    desc.lo.set(armed.bus.wrapping_add(u64::from(offset)));
    desc.hi.set(0);
}
