// SPDX-License-Identifier: GPL-2.0

//! Host rings: a port's two ways between programs and the kernel's own stack.
//!
//! [`tx`] is the way in: what a program sends there the stack receives as if it came from the port.
//! [`rx`] is the way out: what the stack sends through the port while its transmissions are
//! netmap's. Both copy every frame, because a program can write to its buffers at any time.

pub(crate) mod divert;
pub(super) mod gather;
pub(crate) mod rx;
pub(crate) mod tx;

use kernel::error::Result;

use super::{Offsets, Shm, Status};
use crate::mem::owner::Owner;
use crate::mem::region::Region;
use crate::uapi::ext::{counter, state};

/// What the listing shows of a host ring: it is netmap's as long as it is there.
fn status(shm: &Shm, counters: [u64; counter::MAX]) -> Status {
    Status {
        state: state::NETMAP,
        slots: shm.n,
        reg_idx: 0,
        counters,
    }
}

/// Puts a buffer behind each slot and tells `each`; what is there after a failure is freed by
/// [`free`]. Then lets frames begin in them where `offsets` says.
fn fill(
    region: &Region,
    shm: &Shm,
    offsets: Option<Offsets>,
    mut each: impl FnMut(u32) -> Result,
) -> Result {
    let mut mem = region.lock();
    for slot in shm.slots() {
        let buf = mem.alloc_buf(Owner::Loose)?;
        slot.buf_idx.set(buf);
        slot.set_len_and_flags(shm.buf_size() as u16, 0);
        each(buf)?;
    }
    if let Some(offsets) = &offsets {
        shm.set_offsets(offsets);
    }
    Ok(())
}

/// Frees what the slots name, unless a descriptor may hold it, and the ring object.
fn free(region: &Region, shm: &Shm) {
    let mut mem = region.lock();
    for slot in shm.slots() {
        mem.free_loose(slot.buf_idx.get());
    }
    mem.free_ring(shm.object);
}
