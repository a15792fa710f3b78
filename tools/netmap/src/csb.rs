// SPDX-License-Identifier: MIT OR Apache-2.0
//! The communication block: memory of the program's own in which it and a kernel
//! loop exchange ring pointers, an entry of 64 bytes per ring and direction.

use crate::abi::{nm_csb_atok, nm_csb_ktoa, nmreq_opt_csb};
use crate::ring::Words;
use crate::sys::Mapping;
use std::io;
use std::mem::size_of;
use std::ptr::NonNull;
use std::sync::atomic::{fence, AtomicU32, Ordering};

/// Both arrays. Whoever lets the kernel use them keeps a reference.
#[derive(Debug)]
pub(crate) struct Csb {
    map: Mapping,
    rings: usize,
}

impl Csb {
    /// For this many rings.
    pub(crate) fn new(rings: usize) -> io::Result<Self> {
        let entry = size_of::<nm_csb_atok>() + size_of::<nm_csb_ktoa>();
        let map = Mapping::anonymous((rings.max(1) * entry).next_multiple_of(4096))?;
        Ok(Self { map, rings })
    }

    fn atok(&self, ring: usize) -> NonNull<nm_csb_atok> {
        assert!(ring < self.rings);
        // SAFETY: new() made room for `rings` entries in each array; page-aligned.
        unsafe { self.map.base().cast::<nm_csb_atok>().add(ring) }
    }

    fn ktoa(&self, ring: usize) -> NonNull<nm_csb_ktoa> {
        assert!(ring < self.rings);
        // SAFETY: as above; this array follows the other.
        unsafe {
            let first = self.map.base().cast::<nm_csb_atok>().add(self.rings);
            first.cast::<nm_csb_ktoa>().add(ring)
        }
    }

    /// The option that tells the kernel.
    pub(crate) fn option(&self) -> nmreq_opt_csb {
        let base = self.map.base().as_ptr() as u64;
        nmreq_opt_csb {
            csb_atok: base,
            csb_ktoa: base + (self.rings * size_of::<nm_csb_atok>()) as u64,
            ..Default::default()
        }
    }

    /// Where the control words of ring number `ring` are.
    pub(crate) fn words(&self, ring: usize) -> Words {
        let (a, k) = (self.atok(ring).cast::<u32>(), self.ktoa(ring).cast::<u32>());
        // SAFETY: head and cur are the first words of an entry, hwtail the second of
        // the other array's; abi::layout asserts it.
        unsafe {
            Words {
                head: a,
                cur: a.add(1),
                tail: k.add(1),
            }
        }
    }

    fn flag(&self, at: NonNull<u32>) -> &AtomicU32 {
        // SAFETY: the third word of an entry of either array, which lives as long as
        // self; both sides access it with single loads and stores.
        unsafe { AtomicU32::from_ptr(at.as_ptr().add(2)) }
    }

    /// Does the kernel want to be kicked for this ring? To be asked after head was
    /// published.
    pub(crate) fn kernel_needs_kick(&self, ring: usize) -> bool {
        fence(Ordering::SeqCst);
        self.flag(self.ktoa(ring).cast()).load(Ordering::Relaxed) != 0
    }

    /// Does the program want an event for this ring? To be said before it looks at
    /// tail for the last time.
    pub(crate) fn want_event(&self, ring: usize, want: bool) {
        self.flag(self.atok(ring).cast())
            .store(want.into(), Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// `tail` of this ring now.
    pub(crate) fn tail(&self, ring: usize) -> u32 {
        // SAFETY: a word of an entry, as in flag().
        unsafe { AtomicU32::from_ptr(self.words(ring).tail.as_ptr()) }.load(Ordering::Acquire)
    }

    /// Begin with the pointers the ring has now.
    pub(crate) fn start(&self, ring: usize, head: u32, tail: u32) {
        let w = self.words(ring);
        for (at, value) in [
            (w.cur, head),
            (w.head, head),
            (self.ktoa(ring).cast(), head),
            (w.tail, tail),
        ] {
            // SAFETY: words of an entry, as above.
            unsafe { AtomicU32::from_ptr(at.as_ptr()) }.store(value, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_64_bytes_apart_and_the_arrays_do_not_overlap() {
        let csb = Csb::new(3).expect("memory");
        let option = csb.option();
        assert_eq!(option.csb_atok % 4096, 0);
        assert_eq!(option.csb_ktoa - option.csb_atok, 192);
        let at = |p: NonNull<u32>| p.as_ptr() as u64;
        for ring in 0..3 {
            let (w, n) = (csb.words(ring), 64 * ring as u64);
            assert_eq!(at(w.head), option.csb_atok + n);
            assert_eq!(at(w.cur), option.csb_atok + n + 4);
            assert_eq!(at(w.tail), option.csb_ktoa + n + 4);
        }
        csb.start(2, 5, 9);
        csb.want_event(2, true);
        assert!(!csb.kernel_needs_kick(2));
        csb.flag(csb.ktoa(2).cast()).store(1, Ordering::Relaxed);
        assert!(csb.kernel_needs_kick(2) && !csb.kernel_needs_kick(1));
    }
}
