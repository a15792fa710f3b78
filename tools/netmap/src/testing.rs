// SPDX-License-Identifier: MIT OR Apache-2.0
//! A region in a memory file with one ring, so that both ends of a ring can be
//! tested without a device.

use crate::abi::{ext::nm_rx_meta, netmap_ring, netmap_slot, NS_MOREFRAG};
use crate::ring::{Geometry, MetaAt};
use crate::sys::Mapping;
use std::fs::File;
use std::mem::size_of;
use std::os::fd::{AsFd, FromRawFd};
use std::sync::atomic::AtomicBool;

/// Bytes of a buffer.
pub(crate) const BUF: usize = 256;

/// The kernel's end of a ring.
pub(crate) struct FakeRing {
    _map: Mapping,
    pub(crate) geo: Geometry,
    pub(crate) taken: AtomicBool,
}

impl FakeRing {
    /// `slots` slots with buffers from index 2; memory id `mem_id`.
    pub(crate) fn new(slots: u32, mem_id: u16) -> Self {
        Self::make(slots, mem_id, 0)
    }

    /// The same with offsets in the low 16 bits of the slots' `ptr`.
    pub(crate) fn with_offsets(slots: u32, mem_id: u16) -> Self {
        Self::make(slots, mem_id, 0xffff)
    }

    /// The same with metadata.
    pub(crate) fn with_meta(slots: u32, mem_id: u16, entry: impl Fn(u32) -> nm_rx_meta) -> Self {
        let mut ring = Self::new(slots, mem_id);
        let (ofs, size) = (256 + slots * 16, 32);
        for i in 0..slots {
            // SAFETY: new() leaves room for it before the buffers, up to 85 slots.
            unsafe {
                let at = ring._map.base().add((ofs + i * size) as usize);
                at.cast::<nm_rx_meta>().write(entry(i));
            }
        }
        let meta = MetaAt { ofs, size };
        assert!(ring
            .geo
            .with_meta(&ring._map, 0, MetaAt { ofs, size: 8 })
            .is_err());
        assert!(ring
            .geo
            .with_meta(
                &ring._map,
                0,
                MetaAt {
                    ofs: u32::MAX - 7,
                    size
                }
            )
            .is_err());
        ring.geo = ring.geo.with_meta(&ring._map, 0, meta).expect("metadata");
        ring
    }

    fn make(slots: u32, mem_id: u16, offset_mask: u64) -> Self {
        let bufs_at = (size_of::<netmap_ring>() + slots as usize * 16).next_multiple_of(4096);
        let len = bufs_at + (slots as usize + 2) * BUF;
        // SAFETY: a valid name; the descriptor is new and ours.
        let file = unsafe {
            let fd = libc::memfd_create(c"ring".as_ptr(), 0);
            assert!(fd >= 0);
            File::from_raw_fd(fd)
        };
        file.set_len(len as u64).expect("memfd");
        let map = Mapping::new(file.as_fd(), len).expect("mmap");
        let ring = map.base().cast::<netmap_ring>().as_ptr();
        // SAFETY: the mapping was made large enough for ring and slots.
        unsafe {
            (*ring).buf_ofs = bufs_at as i64;
            (*ring).num_slots = slots;
            (*ring).nr_buf_size = BUF as u32;
            (*ring).offset_mask = offset_mask;
            let slot = ring.add(1).cast::<netmap_slot>();
            for i in 0..slots {
                (*slot.add(i as usize)).buf_idx = i + 2;
            }
        }
        let geo = Geometry::new(&map, 0, mem_id).expect("geometry");
        Self {
            _map: map,
            geo,
            taken: AtomicBool::new(false),
        }
    }

    /// Set all three pointers.
    pub(crate) fn place(&self, head: u32, tail: u32) {
        self.geo.advance(head);
        let ring = self._map.base().cast::<netmap_ring>().as_ptr();
        // SAFETY: inside the mapping.
        unsafe { std::ptr::write_volatile(&raw mut (*ring).tail, tail) };
    }

    /// `head` and `tail` now.
    pub(crate) fn pointers(&self) -> (u32, u32) {
        self.geo.range()
    }

    /// Put `bytes` into slot `i` as the NIC would.
    pub(crate) fn deliver(&self, i: u32, bytes: &[u8], more: bool) {
        let slot = self.geo.slot(i);
        let buf = self.geo.buffer(slot.buf_idx()).expect("buffer");
        // SAFETY: inside the buffer.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), buf.as_ptr(), bytes.len()) };
        slot.set_len(bytes.len() as u16);
        slot.set_flags(if more { NS_MOREFRAG } else { 0 });
    }

    /// What is in slot `i`.
    pub(crate) fn content(&self, i: u32) -> Vec<u8> {
        let slot = self.geo.slot(i);
        let buf = self.geo.buffer(slot.buf_idx()).expect("buffer");
        // SAFETY: inside the buffer, copied at once.
        unsafe { std::slice::from_raw_parts(buf.as_ptr(), slot.len().into()) }.to_vec()
    }
}
