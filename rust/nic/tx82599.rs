// SPDX-License-Identifier: GPL-2.0

//! The per-packet path of an 82599 TX ring: filled slots into descriptors.
//!
//! As on RX ([`super::rx82599`]) the hot loop walks a run of descriptors and the run of slots beside
//! it, neither of which wraps. It takes the packets that need no thought: one slot, no flag, the
//! buffer the slot had last time. All others are a [`Packet`], gathered piece by piece. What a
//! program may ask for and the hardware cannot do never reaches a descriptor the NIC is told of.
//! Only `core` is used.

use super::rx82599::{by_steps, Armed};
use crate::shm::{Slot, TxDesc};
use crate::uapi::{MAX_FRAGS, NS_BUF_CHANGED, NS_MOREFRAG, NS_REPORT};

/// Data descriptor of the advanced kind (DTYP, DEXT); the NIC adds the checksum (IFCS).
const DATA: u64 = (3 << 20) | (1 << 29) | (1 << 25);
/// End of packet.
const EOP: u64 = 1 << 24;
/// Report status: write the head back and interrupt when it is done.
const RS: u64 = 1 << 27;
/// Where the length of the whole packet is.
const PAYLEN_SHIFT: u32 = 46;

/// A frame that ends within its Ethernet header is none.
const MIN_FRAME: u32 = 14;
/// The least the hardware may be given (data sheet 7.2.1.1); a frame below is made as long with what
/// follows it in its buffer, and then, as all short ones, 60 bytes by the hardware.
const MIN_SENT: u32 = 17;
/// The longest frame the hardware sends: 15.5 KiB with its checksum.
pub(crate) const MAX_FRAME: u32 = 15872 - 4;
/// Most descriptors of a packet: 40 - WTHRESH - 2 (data sheet 7.2.1.1), where head write-back wants a
/// WTHRESH of 0. netmap's own limit is higher.
pub(crate) const MAX_PIECES: u32 = 38;

const _: () = assert!(MAX_PIECES as usize <= MAX_FRAGS);

/// Flags that say something about one sending only; cleared when it is done.
pub(crate) const TRANSIENT: u16 = NS_BUF_CHANGED | NS_REPORT | NS_MOREFRAG;

/// Running totals of what was put into descriptors.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(crate) struct Export {
    /// Packets.
    pub(crate) packets: u32,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Slots beyond one for each packet.
    pub(crate) frags: u32,
}

/// The hot part: writes descriptors for packets of one slot without flags, whose buffer is the one
/// known for the slot, until another kind comes; returns how many were. `offset` says where in its
/// buffer a slot's packet begins, below `buf_size`, or that it may not be there. All three slices are
/// equally long.
#[inline(always)]
pub(crate) fn export(
    descs: &[TxDesc],
    slots: &[Slot],
    known: &[Armed],
    buf_size: u32,
    total: &mut Export,
    offset: impl Fn(&Slot) -> Option<u32>,
) -> usize {
    let mut done = 0;
    let mut bytes = 0u64;
    by_steps(descs, slots, known, |desc, slot, known| {
        let Some(offset) = offset(slot) else {
            return false;
        };
        // Any flag is above any length, so this one comparison tells both.
        let room = buf_size.wrapping_sub(offset).min(MAX_FRAME);
        let len = slot.len_flags.get();
        if len.wrapping_sub(MIN_SENT) > room.saturating_sub(MIN_SENT)
            || !known.is(slot.buf_idx.get())
        {
            return false;
        }
        fill(desc, known, offset, len);
        bytes = bytes.wrapping_add(u64::from(len));
        done += 1;
        true
    });
    total.packets = total.packets.wrapping_add(done as u32);
    total.bytes = total.bytes.wrapping_add(bytes);
    done
}

/// The same for packets whose buffer may be another than the slot's last, which is then looked up by
/// `locate`, and known from then on; NS_BUF_CHANGED is heeded. Returns how many there were, and how
/// many of them in other buffers.
#[inline(always)]
pub(crate) fn export_swapped(
    descs: &[TxDesc],
    slots: &[Slot],
    known: &mut [Armed],
    buf_size: u32,
    total: &mut Export,
    offset: impl Fn(&Slot) -> Option<u32>,
    mut locate: impl FnMut(u32) -> Option<u64>,
) -> (usize, u32) {
    let (mut done, mut swaps) = (0, 0u32);
    let mut bytes = 0u64;
    for ((desc, slot), known) in descs.iter().zip(slots).zip(known) {
        let Some(offset) = offset(slot) else {
            break;
        };
        let room = buf_size.wrapping_sub(offset).min(MAX_FRAME);
        let word = slot.len_flags.get();
        let len = word & !(u32::from(NS_BUF_CHANGED) << 16);
        if len.wrapping_sub(MIN_SENT) > room.saturating_sub(MIN_SENT) {
            break;
        }
        let buf = slot.buf_idx.get();
        if !known.is(buf) {
            let Some(bus) = locate(buf) else {
                break;
            };
            *known = Armed::new(buf, bus);
            swaps = swaps.wrapping_add(1);
        }
        if word != len {
            slot.len_flags.set(len);
        }
        fill(desc, known, offset, len);
        bytes = bytes.wrapping_add(u64::from(len));
        done += 1;
    }
    total.packets = total.packets.wrapping_add(done as u32);
    total.bytes = total.bytes.wrapping_add(bytes);
    (done, swaps)
}

/// A descriptor for a whole packet.
#[inline(always)]
fn fill(desc: &TxDesc, known: &Armed, offset: u32, len: u32) {
    let len = u64::from(len);
    desc.addr.set(known.bus.wrapping_add(u64::from(offset)));
    desc.cmd.set(DATA | EOP | len | (len << PAYLEN_SHIFT));
}

/// Does the hot loop take this slot? Only a hint: it looks again.
#[inline]
pub(crate) fn plain(slot: &Slot, known: &Armed) -> bool {
    slot.len_flags.get() >> 16 == 0 && known.is(slot.buf_idx.get())
}

/// Where a piece of a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Bus address.
    pub(crate) bus: u64,
    /// Bytes from there to the end of its buffer.
    pub(crate) room: u32,
}

/// A packet on its way into descriptors, piece by piece.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pieces: u32,
    bytes: u32,
}

impl Packet {
    /// Adds a piece, for which `desc` is written. False: it makes the packet impossible, which goes
    /// no further. `place`: where the piece is, if it may be sent; `more`: other pieces follow; `n`:
    /// slots of the ring.
    pub(crate) fn add(
        &mut self,
        desc: &TxDesc,
        place: Option<Place>,
        len: u16,
        more: bool,
        n: u32,
    ) -> bool {
        let len = u32::from(len);
        self.pieces = self.pieces.saturating_add(1);
        self.bytes = self.bytes.saturating_add(len);
        let Some(Place { bus, room }) = place else {
            return false;
        };
        // The hardware knows no empty piece of a packet.
        if len == 0 || len > room || self.bytes > MAX_FRAME {
            return false;
        }
        let mut sent = len;
        let mut last = 0;
        if more {
            // No further piece could be the last: for the hardware, or as the ring is full.
            if self.pieces >= MAX_PIECES.min(n.saturating_sub(1)) {
                return false;
            }
        } else {
            let short = MIN_SENT.saturating_sub(self.bytes);
            if self.bytes < MIN_FRAME || len + short > room {
                return false;
            }
            sent += short;
            self.bytes += short;
            last = EOP;
        }
        desc.addr.set(bus);
        desc.cmd.set(DATA | last | u64::from(sent));
        true
    }

    /// Completes it by the length of the whole, which its first descriptor has.
    pub(crate) fn close(&self, first: &TxDesc, total: &mut Export) {
        let cmd = first.cmd.get();
        first.cmd.set(cmd | (u64::from(self.bytes) << PAYLEN_SHIFT));
        total.packets = total.packets.wrapping_add(1);
        total.bytes = total.bytes.wrapping_add(u64::from(self.bytes));
        total.frags = total.frags.wrapping_add(self.pieces.saturating_sub(1));
    }
}

/// Asks for a report when a packet is done. False: the descriptor is not the last of its packet,
/// which alone may ask.
pub(crate) fn report(desc: &TxDesc) -> bool {
    let cmd = desc.cmd.get();
    if cmd & EOP == 0 {
        return false;
    }
    desc.cmd.set(cmd | RS);
    true
}

/// Does a packet end here? For those who count what did not go out.
pub(crate) fn is_last(desc: &TxDesc) -> bool {
    desc.cmd.get() & EOP != 0
}
