// SPDX-License-Identifier: GPL-2.0
//! The mapped region and the structures in it, seen from user space.
//!
//! The kernel and (in the hostile tests) other threads write this memory at any
//! time, so it never becomes a Rust reference: every access is a bounds-checked
//! volatile read or write of one integer, or a bulk copy.

use crate::abi::{shm, NS_MOREFRAG};
use std::sync::Arc;

/// A mapping of /dev/netmap; unmapped when the last user drops it.
pub struct Mem {
    base: *mut u8,
    len: usize,
}

// SAFETY: the mapping is shared memory; all access is volatile or a byte copy
// through raw pointers, from whatever thread.
unsafe impl Send for Mem {}
// SAFETY: as above; no method hands out a reference into the mapping.
unsafe impl Sync for Mem {}

/// Integers that may be read from shared memory: every bit pattern is a value.
pub trait Plain: Copy {}
impl Plain for u8 {}
impl Plain for u16 {}
impl Plain for u32 {}
impl Plain for u64 {}
impl Plain for i64 {}

impl Mem {
    /// Takes over a mapping made by mmap().
    ///
    /// # Safety
    /// `base..base+len` is a mapping nobody else unmaps.
    pub unsafe fn new(base: *mut u8, len: usize) -> Self {
        Mem { base, len }
    }

    /// Where it is.
    pub fn base(&self) -> *mut u8 {
        self.base
    }

    fn at<T: Plain>(&self, off: usize) -> *mut T {
        let size = std::mem::size_of::<T>();
        assert!(
            off % size == 0 && off.checked_add(size).is_some_and(|e| e <= self.len),
            "offset {off:#x} is outside the region of {:#x} bytes or not aligned to {size}",
            self.len
        );
        self.base.wrapping_add(off).cast()
    }

    pub fn get<T: Plain>(&self, off: usize) -> T {
        // SAFETY: `at` checked range and alignment; any bit pattern is a T.
        unsafe { self.at::<T>(off).read_volatile() }
    }

    pub fn set<T: Plain>(&self, off: usize, value: T) {
        // SAFETY: `at` checked range and alignment; the mapping is writable.
        unsafe { self.at::<T>(off).write_volatile(value) }
    }

    fn span(&self, off: usize, len: usize) -> *mut u8 {
        assert!(
            off.checked_add(len).is_some_and(|e| e <= self.len),
            "{len} bytes at {off:#x} leave the region of {:#x} bytes",
            self.len
        );
        self.base.wrapping_add(off)
    }

    pub fn copy_out(&self, off: usize, to: &mut [u8]) {
        // SAFETY: `span` checked the range; `to` is private memory.
        unsafe {
            std::ptr::copy_nonoverlapping(self.span(off, to.len()), to.as_mut_ptr(), to.len())
        }
    }

    pub fn copy_in(&self, off: usize, from: &[u8]) {
        // SAFETY: `span` checked the range; `from` is private memory.
        unsafe {
            std::ptr::copy_nonoverlapping(from.as_ptr(), self.span(off, from.len()), from.len())
        }
    }
}

impl Mem {
    /// Calls `f` with the place and the bytes of every page that can be read. Pages that do not
    /// exist are skipped, as they would be a SIGBUS to touch; objects and buffers get theirs in
    /// order, so that nothing comes behind a long gap.
    pub fn each_page(&self, mut f: impl FnMut(usize, &[u8])) {
        const PAGE: usize = 4096;
        const LONG: usize = 16_384;
        let mut page = [0u8; PAGE];
        let mut gap = 0;
        for off in (0..self.len).step_by(PAGE) {
            let local = libc::iovec {
                iov_base: page.as_mut_ptr().cast(),
                iov_len: PAGE,
            };
            let remote = libc::iovec {
                iov_base: self.base.wrapping_add(off).cast(),
                iov_len: PAGE,
            };
            // SAFETY: reads this process's own memory into a buffer of the length given.
            let n = unsafe { libc::process_vm_readv(libc::getpid(), &local, 1, &remote, 1, 0) };
            if n == PAGE as isize {
                f(off, &page);
                gap = 0;
            } else {
                gap += 1;
                if gap > LONG {
                    break;
                }
            }
        }
    }

    /// Looks for bytes in every page that can be read; (pages read, times found).
    pub fn search(&self, what: &[u8]) -> (u64, u64) {
        let (mut pages, mut hits) = (0, 0);
        self.each_page(|_, page| {
            pages += 1;
            let starts = page.iter().enumerate().filter(|(_, b)| **b == what[0]);
            hits += starts.filter(|(i, _)| page[*i..].starts_with(what)).count() as u64;
        });
        (pages, hits)
    }
}

impl Drop for Mem {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours (see `new`) and nothing points into it.
        unsafe { libc::munmap(self.base.cast(), self.len) };
    }
}

/// A `struct netmap_if`.
#[derive(Clone)]
pub struct Nif {
    pub mem: Arc<Mem>,
    pub off: usize,
}

impl Nif {
    pub fn new(mem: Arc<Mem>, off: usize) -> Self {
        Nif { mem, off }
    }

    pub fn tx_rings(&self) -> usize {
        self.mem.get::<u32>(self.off + shm::IF_TX_RINGS) as usize
    }

    pub fn rx_rings(&self) -> usize {
        self.mem.get::<u32>(self.off + shm::IF_RX_RINGS) as usize
    }

    pub fn host_tx(&self) -> usize {
        self.mem.get::<u32>(self.off + shm::IF_HOST_TX) as usize
    }

    pub fn host_rx(&self) -> usize {
        self.mem.get::<u32>(self.off + shm::IF_HOST_RX) as usize
    }

    pub fn bufs_head(&self) -> u32 {
        self.mem.get(self.off + shm::IF_BUFS_HEAD)
    }

    pub fn set_bufs_head(&self, idx: u32) {
        self.mem.set(self.off + shm::IF_BUFS_HEAD, idx);
    }

    /// `ring_ofs[k]`: 0 where the ring is not bound to this fd.
    pub fn ring_ofs(&self, k: usize) -> i64 {
        self.mem.get(self.off + shm::IF_RING_OFS + 8 * k)
    }

    /// Place of RX ring `q` in `ring_ofs`.
    pub fn rx_place(&self, q: u32) -> usize {
        self.tx_rings() + self.host_tx() + q as usize
    }

    /// RX ring `q`, if bound.
    pub fn rx(&self, q: u32) -> Option<Ring> {
        self.any_ring(self.rx_place(q))
    }

    /// NIC TX ring `q`, if bound.
    pub fn tx(&self, q: u32) -> Option<Ring> {
        self.any_ring(q as usize)
    }

    /// The host TX ring, if bound: what is sent there enters the kernel.
    pub fn host_tx_ring(&self) -> Option<Ring> {
        self.host_tx_at(0)
    }

    /// Host TX ring `k`, if bound.
    pub fn host_tx_at(&self, k: usize) -> Option<Ring> {
        self.any_ring(self.tx_rings() + k)
    }

    /// Host RX ring `k`, if bound: what the kernel sends arrives there.
    pub fn host_rx_at(&self, k: usize) -> Option<Ring> {
        self.any_ring(self.tx_rings() + self.host_tx() + self.rx_rings() + k)
    }

    pub fn flags(&self) -> u32 {
        self.mem.get(self.off + shm::IF_FLAGS)
    }

    /// The ring at place `k` of `ring_ofs`, if bound.
    pub fn any_ring(&self, k: usize) -> Option<Ring> {
        match self.ring_ofs(k) {
            0 => None,
            ofs => Some(Ring::new(
                self.mem.clone(),
                self.off.wrapping_add_signed(ofs as isize),
            )),
        }
    }
}

/// What a slot says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    pub idx: u32,
    pub len: u16,
    pub flags: u16,
}

/// A `struct netmap_ring`.  What is constant by contract is read once, here,
/// so that the view stays good when a test scribbles over the ring.
#[derive(Clone)]
pub struct Ring {
    pub mem: Arc<Mem>,
    pub off: usize,
    pub n: u32,
    pub buf_size: u32,
    pub buf_ofs: i64,
}

impl Ring {
    fn new(mem: Arc<Mem>, off: usize) -> Self {
        let n = mem.get(off + shm::RING_NUM_SLOTS);
        let buf_size = mem.get(off + shm::RING_BUF_SIZE);
        let buf_ofs = mem.get(off + shm::RING_BUF_OFS);
        Ring {
            mem,
            off,
            n,
            buf_size,
            buf_ofs,
        }
    }

    pub fn head(&self) -> u32 {
        self.mem.get(self.off + shm::RING_HEAD)
    }
    pub fn cur(&self) -> u32 {
        self.mem.get(self.off + shm::RING_CUR)
    }
    pub fn tail(&self) -> u32 {
        self.mem.get(self.off + shm::RING_TAIL)
    }
    pub fn set_head(&self, v: u32) {
        self.mem.set(self.off + shm::RING_HEAD, v);
    }
    pub fn set_cur(&self, v: u32) {
        self.mem.set(self.off + shm::RING_CUR, v);
    }
    pub fn set_tail(&self, v: u32) {
        self.mem.set(self.off + shm::RING_TAIL, v);
    }

    /// head, cur and tail, for comparing.
    pub fn pointers(&self) -> (u32, u32, u32) {
        (self.head(), self.cur(), self.tail())
    }

    /// `ts` as (seconds, microseconds).
    pub fn ts(&self) -> (u64, u64) {
        (
            self.mem.get(self.off + shm::RING_TS),
            self.mem.get(self.off + shm::RING_TS + 8),
        )
    }

    pub fn next(&self, i: u32) -> u32 {
        if i + 1 >= self.n {
            0
        } else {
            i + 1
        }
    }

    /// Slots from `from` up to `to`, around the end.
    pub fn distance(&self, from: u32, to: u32) -> u32 {
        (to + self.n - from) % self.n
    }

    /// Slots user space owns.
    pub fn space(&self) -> u32 {
        self.distance(self.head(), self.tail())
    }

    pub fn slot_off(&self, i: u32) -> usize {
        assert!(i < self.n, "slot {i} of {}", self.n);
        self.off + shm::RING_SLOTS + shm::SLOT_SIZE * i as usize
    }

    pub fn slot(&self, i: u32) -> Slot {
        let o = self.slot_off(i);
        Slot {
            idx: self.mem.get(o),
            len: self.mem.get(o + shm::SLOT_LEN),
            flags: self.mem.get(o + shm::SLOT_FLAGS),
        }
    }

    pub fn set_slot(&self, i: u32, s: Slot) {
        let o = self.slot_off(i);
        self.mem.set(o, s.idx);
        self.mem.set(o + shm::SLOT_LEN, s.len);
        self.mem.set(o + shm::SLOT_FLAGS, s.flags);
    }

    /// Where buffer `idx` is in the region.
    pub fn buf_off(&self, idx: u32) -> usize {
        self.off.wrapping_add_signed(self.buf_ofs as isize) + idx as usize * self.buf_size as usize
    }

    /// The bytes slot `i` points at.
    pub fn bytes(&self, i: u32) -> Vec<u8> {
        let s = self.slot(i);
        let mut bytes = vec![0; s.len as usize];
        self.mem.copy_out(self.buf_off(s.idx), &mut bytes);
        bytes
    }

    /// Takes every complete frame up to tail and gives its slots back
    /// (head = cur = tail; the kernel sees it at the next sync).
    pub fn take(&self) -> Vec<Vec<u8>> {
        self.take_up_to(usize::MAX)
    }

    /// As [`Ring::take`], but at most `max` frames.
    pub fn take_up_to(&self, max: usize) -> Vec<Vec<u8>> {
        let (mut i, tail) = (self.head(), self.tail());
        let mut frames = Vec::new();
        let mut frame = Vec::new();
        while i != tail && frames.len() < max {
            frame.extend(self.bytes(i));
            if self.slot(i).flags & NS_MOREFRAG == 0 {
                frames.push(std::mem::take(&mut frame));
            }
            i = self.next(i);
        }
        self.set_cur(i);
        self.set_head(i);
        frames
    }
}
