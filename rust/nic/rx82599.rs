// SPDX-License-Identifier: GPL-2.0

//! The per-packet path of an 82599 RX ring: received descriptors into slots, released slots back
//! into descriptors.
//!
//! Both walk a run of descriptors and the run of slots beside it, neither of which wraps (see
//! [`crate::ring::runs`]), so that a packet costs a handful of loads and stores: no call, no lock,
//! no division, no branch on what cannot change within a batch. Only `core` is used.

use crate::shm::{RxDesc, Slot};
use crate::uapi::NS_MOREFRAG;

/// Descriptor done: the NIC has written it back (data sheet 7.1.6.2).
const DD: u64 = 1 << 0;
/// End of packet.
const EOP: u64 = 1 << 1;
/// Where the length is in the second word of a write-back.
const LENGTH_SHIFT: u32 = 32;

/// What the kernel knows of the buffer behind a slot; private, so it can be trusted.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct Armed {
    /// Bus address of the buffer.
    pub(crate) bus: u64,
    /// Its index in the region; 0 when another ring has taken it over.
    pub(crate) buf: u32,
    /// Unused; keeps an entry at 16 bytes.
    pub(crate) spare: u32,
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
    /// Bytes in all slots written.
    pub(crate) bytes: u64,
}

/// Copies written-back descriptors into slots until one is not done; returns how many were.
///
/// Lengths are clamped to `buf_size`. Frames longer than a buffer span several descriptors, of
/// which only the last says EOP.
#[inline(always)]
pub(crate) fn import(descs: &[RxDesc], slots: &[Slot], buf_size: u32, total: &mut Import) -> usize {
    let mut done = 0;
    let mut sum = *total;
    for (desc, slot) in descs.iter().zip(slots) {
        // One load of status and length: they were written by one bus write.
        let hi = desc.hi.get();
        if hi & DD == 0 {
            break;
        }
        let len = ((hi >> LENGTH_SHIFT) as u32 & 0xffff).min(buf_size);
        done += 1;
        sum.slots = sum.slots.wrapping_add(1);
        sum.bytes = sum.bytes.wrapping_add(u64::from(len));
        if hi & EOP != 0 {
            slot.len_flags.set(len);
            sum.complete = sum.slots;
            sum.packets = sum.packets.wrapping_add(1);
        } else {
            slot.len_flags.set(len | (NS_MOREFRAG as u32) << 16);
        }
    }
    *total = sum;
    done
}

/// Rewrites descriptors for slots the program released, while each slot still holds the buffer it
/// was armed with; returns how many were. The slot it stops at holds another buffer: the caller
/// checks that one and arms it anew.
#[inline(always)]
pub(crate) fn refill(descs: &[RxDesc], slots: &[Slot], armed: &[Armed]) -> usize {
    let mut done = 0;
    for ((desc, slot), armed) in descs.iter().zip(slots).zip(armed) {
        if slot.buf_idx.get() != armed.buf {
            break;
        }
        desc.lo.set(armed.bus);
        // Clears the old status, so that it is not taken for a new one.
        desc.hi.set(0);
        done += 1;
    }
    done
}

/// Arms one descriptor with a buffer.
#[inline(always)]
pub(crate) fn arm(desc: &RxDesc, armed: &Armed) {
    desc.lo.set(armed.bus);
    desc.hi.set(0);
}
