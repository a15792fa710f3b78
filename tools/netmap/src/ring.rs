// SPDX-License-Identifier: MIT OR Apache-2.0
//! One ring in shared memory: its shape, checked once when it is bound, and the
//! few raw accesses everything else is built from.
//!
//! Who may touch what: slots and buffers from `head` up to `tail` are the
//! program's, the others the kernel's. The kernel changes `tail` and its own slots
//! only inside a sync call, and only ever hands a buffer to one slot. Control
//! words are accessed as atomics, slots volatile; a Rust reference is made to
//! payload only, and only while its slot is the program's ([`crate::rx`]).
//!
//! The region may be mapped by other processes of the same user. A process that
//! writes into buffers it does not own breaks its peers' view of the data, as
//! with any shared memory; what is read from slots is therefore bounded on use.

use crate::abi::{ext::nm_rx_meta, netmap_ring, netmap_slot};
use crate::sys::Mapping;
use std::mem::{align_of, offset_of, size_of};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};

/// Where a ring and its buffers are. Every pointer is inside the mapping.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    words: Words,
    slots: NonNull<netmap_slot>,
    bufs: NonNull<u8>,
    num_bufs: u32,
    /// Number of slots, at least 2.
    pub(crate) num_slots: u32,
    /// Bytes of a buffer.
    pub(crate) buf_size: u32,
    /// Bits of a slot's `ptr` that hold the packet's offset in its buffer, or 0.
    pub(crate) offset_mask: u64,
    /// Memory id of the region the buffers come from.
    pub(crate) mem_id: u16,
    meta: Option<NonNull<u8>>,
    meta_size: u32,
}

/// Where the control words are: in the ring's header, or in a communication block
/// ([`crate::csb`]).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words {
    pub(crate) head: NonNull<u32>,
    pub(crate) cur: NonNull<u32>,
    pub(crate) tail: NonNull<u32>,
}

/// Where the entries of metadata are, from each ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MetaAt {
    pub(crate) ofs: u32,
    pub(crate) size: u32,
}

// SAFETY: the pointers go into a mapping, which belongs to the process; the Port
// that owns both hands the ring to one user at a time.
unsafe impl Send for Geometry {}

impl Geometry {
    /// The ring at byte `at` of `map`; an error says what is wrong with it.
    pub(crate) fn new(map: &Mapping, at: usize, mem_id: u16) -> Result<Self, String> {
        let fits =
            |from: usize, len: usize| from.checked_add(len).is_some_and(|end| end <= map.len());
        if at % 64 != 0 || !fits(at, size_of::<netmap_ring>()) {
            return Err(format!("ring at {at:#x} is outside the memory"));
        }
        // SAFETY: `at` is inside the mapping and aligned; the mapping is
        // page-aligned.
        let ring = unsafe { map.base().add(at) }.cast::<netmap_ring>();
        let r = ring.as_ptr();
        // SAFETY: the whole header is inside the mapping; volatile because
        // the memory is shared.
        let (buf_ofs, num_slots, buf_size, offset_mask) = unsafe {
            (
                ptr::read_volatile(&raw const (*r).buf_ofs),
                ptr::read_volatile(&raw const (*r).num_slots),
                ptr::read_volatile(&raw const (*r).nr_buf_size),
                ptr::read_volatile(&raw const (*r).offset_mask),
            )
        };
        let slots_at = at + size_of::<netmap_ring>();
        let bytes = (num_slots as usize).saturating_mul(size_of::<netmap_slot>());
        if num_slots < 2 || !fits(slots_at, bytes) {
            return Err(format!("ring at {at:#x} with {num_slots} slots"));
        }
        let bufs_at = (at as i64)
            .checked_add(buf_ofs)
            .and_then(|b| usize::try_from(b).ok())
            .filter(|b| fits(*b, buf_size as usize) && buf_size >= 64)
            .ok_or_else(|| format!("buffers of {buf_size} bytes at {buf_ofs:#x}"))?;
        let num_bufs = (map.len() - bufs_at) / buf_size as usize;
        // SAFETY: both offsets were checked to be inside the mapping.
        let (slots, bufs) = unsafe { (map.base().add(slots_at), map.base().add(bufs_at)) };
        let word = |offset: usize| {
            // SAFETY: inside the header, which is inside the mapping.
            unsafe { map.base().add(at + offset) }.cast::<u32>()
        };
        Ok(Self {
            words: Words {
                head: word(offset_of!(netmap_ring, head)),
                cur: word(offset_of!(netmap_ring, cur)),
                tail: word(offset_of!(netmap_ring, tail)),
            },
            slots: slots.cast(),
            bufs,
            num_bufs: num_bufs.min(u32::MAX as usize) as u32,
            num_slots,
            buf_size,
            offset_mask,
            mem_id,
            meta: None,
            meta_size: 0,
        })
    }

    /// The same ring with entries of metadata, if they are inside the mapping.
    pub(crate) fn with_meta(
        mut self,
        map: &Mapping,
        at: usize,
        meta: MetaAt,
    ) -> Result<Self, String> {
        let size = meta.size as usize;
        let first = at.saturating_add(meta.ofs as usize);
        let end = first.saturating_add(self.num_slots as usize * size);
        if first % align_of::<nm_rx_meta>() != 0
            || size % align_of::<nm_rx_meta>() != 0
            || size < size_of::<nm_rx_meta>()
            || end > map.len()
        {
            return Err(format!("metadata at {:#x} of {size} bytes", meta.ofs));
        }
        // SAFETY: all entries are inside the mapping.
        self.meta = Some(unsafe { map.base().add(first) });
        self.meta_size = meta.size;
        Ok(self)
    }

    /// The same ring with its control words elsewhere.
    ///
    /// # Safety
    /// They are aligned and live as long as the ring is used, and both sides
    /// access them with single loads and stores.
    pub(crate) unsafe fn with_words(mut self, words: Words) -> Self {
        self.words = words;
        self
    }

    /// The slot's entry of metadata, if the ring has them.
    #[inline]
    pub(crate) fn meta(&self, slot: SlotPtr) -> Option<nm_rx_meta> {
        let base = self.meta?;
        // SAFETY: a SlotPtr of this ring points into its slots.
        let i = unsafe { slot.0.as_ptr().offset_from(self.slots.as_ptr()) } as usize;
        // SAFETY: with_meta() checked that there are as many entries as slots;
        // volatile because the memory is shared.
        Some(unsafe { ptr::read_volatile(base.as_ptr().add(i * self.meta_size as usize).cast()) })
    }

    /// The slot after `i`.
    #[inline(always)]
    pub(crate) fn next(&self, i: u32) -> u32 {
        if i + 1 == self.num_slots {
            0
        } else {
            i + 1
        }
    }

    /// `head` and `tail`, or an empty range if they are not slot numbers.
    #[inline]
    pub(crate) fn range(&self) -> (u32, u32) {
        let head = word(self.words.head).load(Ordering::Relaxed);
        let tail = word(self.words.tail).load(Ordering::Acquire);
        if head < self.num_slots && tail < self.num_slots {
            (head, tail)
        } else {
            (0, 0)
        }
    }

    /// Give everything before `to` to the kernel.
    #[inline]
    pub(crate) fn advance(&self, to: u32) {
        debug_assert!(to < self.num_slots);
        // A kernel loop may look at any time: it reads head first, so that goes last,
        // after the slots.
        word(self.words.cur).store(to, Ordering::Release);
        word(self.words.head).store(to, Ordering::Release);
    }

    /// Slots the kernel has, of a TX ring: queued or not reclaimed yet.
    pub(crate) fn in_flight(&self) -> u32 {
        let (head, tail) = self.range();
        let free = if tail >= head {
            tail - head
        } else {
            tail + self.num_slots - head
        };
        self.num_slots - 1 - free
    }

    /// Slot number `i`.
    #[inline(always)]
    pub(crate) fn slot(&self, i: u32) -> SlotPtr {
        debug_assert!(i < self.num_slots);
        // SAFETY: i < num_slots (it comes from range() and next() only), and that
        // many slots are inside the mapping.
        SlotPtr(unsafe { self.slots.add(i as usize) })
    }

    /// First byte of buffer `idx`, if there is such a buffer.
    #[inline]
    pub(crate) fn buffer(&self, idx: u32) -> Option<NonNull<u8>> {
        if idx >= self.num_bufs {
            return None;
        }
        // SAFETY: buffers up to num_bufs are inside the mapping.
        Some(unsafe { self.bufs.add(idx as usize * self.buf_size as usize) })
    }

    /// Where the packet of a slot with this buffer is or goes, and how many bytes
    /// there are to the end of the buffer.
    #[inline]
    pub(crate) fn room(&self, slot: SlotPtr, idx: u32) -> Option<(NonNull<u8>, u32)> {
        let buf = self.buffer(idx)?;
        if self.offset_mask == 0 {
            return Some((buf, self.buf_size));
        }
        let offset = (slot.ptr() & self.offset_mask).min(self.buf_size.into()) as u32;
        // SAFETY: at most the end of the buffer.
        Some((unsafe { buf.add(offset as usize) }, self.buf_size - offset))
    }
}

/// A control word.
#[inline(always)]
fn word<'a>(at: NonNull<u32>) -> &'a AtomicU32 {
    // SAFETY: one of Words: inside the header, which is inside the mapping for as
    // long as its Geometry is used (the Port keeps both), or as with_words() asks;
    // aligned, and both sides access control words with single loads and stores.
    unsafe { AtomicU32::from_ptr(at.as_ptr()) }
}

/// A slot in shared memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlotPtr(NonNull<netmap_slot>);

macro_rules! slot_field {
    ($get:ident, $set:ident, $field:ident, $t:ty) => {
        #[inline(always)]
        pub(crate) fn $get(self) -> $t {
            // SAFETY: SlotPtr points to a slot inside a live mapping; volatile
            // because the memory is shared.
            unsafe { ptr::read_volatile(&raw const (*self.0.as_ptr()).$field) }
        }
        #[inline(always)]
        pub(crate) fn $set(self, value: $t) {
            // SAFETY: as above.
            unsafe { ptr::write_volatile(&raw mut (*self.0.as_ptr()).$field, value) }
        }
    };
}

impl SlotPtr {
    slot_field!(buf_idx, set_buf_idx, buf_idx, u32);
    slot_field!(len, set_len, len, u16);
    slot_field!(flags, set_flags, flags, u16);
    slot_field!(ptr, set_ptr, ptr, u64);

    /// The first half of the slot in one load.
    #[inline(always)]
    pub(crate) fn word(self) -> Word {
        // SAFETY: as above; a slot is aligned to 8 bytes.
        Word(unsafe { ptr::read_volatile(self.0.as_ptr().cast::<u64>()) })
    }

    /// Replace the first half of the slot in one store.
    #[inline(always)]
    pub(crate) fn set_word(self, word: Word) {
        // SAFETY: as above.
        unsafe { ptr::write_volatile(self.0.as_ptr().cast::<u64>(), word.0) }
    }
}

/// Buffer index, length and flags of a slot together: bits 0 to 31, 32 to 47 and 48
/// to 63 (x86_64 is little-endian).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word(u64);

const _: () = {
    assert!(offset_of!(netmap_slot, buf_idx) == 0);
    assert!(offset_of!(netmap_slot, len) == 4 && offset_of!(netmap_slot, flags) == 6);
    assert!(cfg!(target_endian = "little"));
};

impl Word {
    /// Bytes in the slot.
    #[inline(always)]
    pub(crate) fn len(self) -> u32 {
        (self.0 >> 32) as u32 & 0xffff
    }

    /// Index of its buffer.
    #[inline(always)]
    pub(crate) fn buf_idx(self) -> u32 {
        self.0 as u32
    }

    /// The `NS_*` flags.
    #[inline(always)]
    pub(crate) fn flags(self) -> u16 {
        (self.0 >> 48) as u16
    }

    /// Are these flags set?
    #[inline(always)]
    pub(crate) fn has(self, flags: u16) -> bool {
        self.0 & (u64::from(flags) << 48) != 0
    }

    /// The same length with the buffer of `other`, marked as changed; of the flags
    /// only those in `keep` stay.
    #[inline(always)]
    pub(crate) fn with_buffer_of(self, other: Self, keep: u16) -> Self {
        let mask = (u64::from(keep) << 48) | (0xffff << 32);
        let changed = u64::from(crate::abi::NS_BUF_CHANGED) << 48;
        Self((self.0 & mask) | changed | u64::from(other.buf_idx()))
    }
}
