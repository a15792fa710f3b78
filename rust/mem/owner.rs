// SPDX-License-Identifier: GPL-2.0

//! Who holds a buffer.
//!
//! Kernel-private, because the slots that name buffers are the program's to write: a buffer enters
//! a descriptor only if this table says that no other descriptor can hold it.

/// The state of one buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Owner {
    /// In the pool.
    #[default]
    Free,
    /// Given to programs, but in no descriptor: an extra buffer, a host ring's, or one that was
    /// swapped out of its ring.
    Loose,
    /// Armed in a slot of a NIC ring of the region.
    Armed {
        /// Ring object.
        ring: u16,
        /// Slot.
        slot: u16,
    },
}

/// What must happen before a released slot that names another buffer can be armed with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It is in no descriptor.
    Now,
    /// This ring armed it in this slot before: take it from there, if that slot is the program's.
    From {
        /// Ring object.
        ring: u16,
        /// Slot.
        slot: u16,
    },
    /// It was never given out.
    Refused,
}

impl Owner {
    /// May a program's slot be armed with this buffer?
    pub(crate) fn claim(self) -> Claim {
        match self {
            Owner::Free => Claim::Refused,
            Owner::Loose => Claim::Now,
            Owner::Armed { ring, slot } => Claim::From { ring, slot },
        }
    }
}
