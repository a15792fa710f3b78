// SPDX-License-Identifier: GPL-2.0
//! The guest's memory, as the card's bus-master engine sees it.
//!
//! The client names windows of guest-physical memory, each backed by a file descriptor, and takes
//! them away again at any time. All access goes through this file by copying, because the guest
//! writes the same bytes at the same time: guest memory never becomes a Rust reference.
//! The table is part of the card and so under the card's lock: once an unmap has returned, no
//! thread can touch the window any more.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::{fence, Ordering};

/// One window of guest memory, mapped into this process.
struct Window {
    gpa: u64,
    len: u64,
    ptr: *mut u8,
    writable: bool,
}

// SAFETY: the pointer is to a shared mapping that this struct owns; nothing about it is tied to a
// thread.
unsafe impl Send for Window {}

impl Drop for Window {
    fn drop(&mut self) {
        // SAFETY: `ptr` and `len` are what mmap returned and was given; nobody keeps a pointer
        // into the mapping beyond one call of this file.
        unsafe { libc::munmap(self.ptr.cast(), self.len as usize) };
    }
}

/// All windows, sorted by guest-physical address.
#[derive(Default)]
pub struct Dma {
    windows: Vec<Window>,
    last: Cell<usize>,
    /// Accesses that hit no window (a guest's wrong address, or a window that went away).
    pub faults: Cell<u64>,
    /// Bus mastering is off (PCI command register): nothing is reached.
    pub off: bool,
    /// Accesses that were not made for that.
    pub refused: Cell<u64>,
}

impl Dma {
    /// Makes a window reachable. A window without a descriptor (ROM) stays unreachable.
    pub fn map(
        &mut self,
        gpa: u64,
        len: u64,
        file: Option<&File>,
        offset: u64,
        writable: bool,
    ) -> io::Result<()> {
        let Some(file) = file else { return Ok(()) };
        if len == 0 || gpa.checked_add(len).is_none() {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let prot = libc::PROT_READ | if writable { libc::PROT_WRITE } else { 0 };
        // SAFETY: a fresh shared mapping of a descriptor we hold; the kernel checks the rest.
        let ptr = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len as usize,
                prot,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                offset as libc::off_t,
            )
        };
        if ptr == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        self.unmap(gpa, len);
        let at = self.windows.partition_point(|w| w.gpa < gpa);
        self.windows.insert(
            at,
            Window {
                gpa,
                len,
                ptr: ptr.cast(),
                writable,
            },
        );
        Ok(())
    }

    /// Takes away every window that overlaps the range.
    pub fn unmap(&mut self, gpa: u64, len: u64) {
        let end = gpa.saturating_add(len);
        self.windows
            .retain(|w| w.gpa >= end || w.gpa + w.len <= gpa);
        self.last.set(0);
    }

    /// Takes away everything (the client is gone or asked for it).
    pub fn unmap_all(&mut self) {
        self.windows.clear();
        self.last.set(0);
    }

    /// The bytes from `gpa` to the end of its window.
    fn at(&self, gpa: u64) -> Option<(*mut u8, usize, bool)> {
        if self.off {
            self.refused.set(self.refused.get() + 1);
            return None;
        }
        let hit = |w: &Window| gpa >= w.gpa && gpa - w.gpa < w.len;
        let i = match self.windows.get(self.last.get()) {
            Some(w) if hit(w) => self.last.get(),
            _ => {
                let i = self.windows.partition_point(|w| w.gpa <= gpa);
                let i = i.checked_sub(1)?;
                if !hit(&self.windows[i]) {
                    return None;
                }
                self.last.set(i);
                i
            }
        };
        let w = &self.windows[i];
        let off = (gpa - w.gpa) as usize;
        // SAFETY: `off < len`, so the pointer stays inside the mapping.
        Some((unsafe { w.ptr.add(off) }, w.len as usize - off, w.writable))
    }

    fn fault(&self) -> bool {
        self.faults.set(self.faults.get() + 1);
        false
    }

    /// Copies out of guest memory; false if some of it is not there.
    #[must_use]
    pub fn read(&self, mut gpa: u64, mut buf: &mut [u8]) -> bool {
        while !buf.is_empty() {
            let Some((ptr, room, _)) = self.at(gpa) else {
                return self.fault();
            };
            let n = room.min(buf.len());
            // SAFETY: `room` bytes from `ptr` are mapped; `buf` is ours and holds `n` bytes.
            unsafe { std::ptr::copy_nonoverlapping(ptr, buf.as_mut_ptr(), n) };
            buf = &mut buf[n..];
            gpa = gpa.wrapping_add(n as u64);
        }
        true
    }

    /// Copies into guest memory; false if some of it is not there or is read-only.
    #[must_use]
    pub fn write(&self, mut gpa: u64, mut buf: &[u8]) -> bool {
        while !buf.is_empty() {
            let Some((ptr, room, true)) = self.at(gpa) else {
                return self.fault();
            };
            let n = room.min(buf.len());
            // SAFETY: `room` bytes from `ptr` are mapped writable; `buf` holds `n` bytes.
            unsafe { std::ptr::copy_nonoverlapping(buf.as_ptr(), ptr, n) };
            buf = &buf[n..];
            gpa = gpa.wrapping_add(n as u64);
        }
        true
    }

    fn pair(&self, gpa: u64, write: bool) -> Option<*mut u64> {
        match self.at(gpa) {
            Some((ptr, room, w)) if room >= 16 && gpa % 16 == 0 && (w || !write) => {
                Some(ptr.cast())
            }
            _ => {
                self.fault();
                None
            }
        }
    }

    /// Reads one 16-byte descriptor.
    pub fn read_desc(&self, gpa: u64) -> Option<[u64; 2]> {
        let p = self.pair(gpa, false)?;
        // SAFETY: 16 mapped bytes at a 16-byte-aligned address (windows are page-aligned);
        // volatile because the guest may write them at the same time.
        let v = unsafe { [p.read_volatile(), p.add(1).read_volatile()] };
        fence(Ordering::Acquire);
        Some([u64::from_le(v[0]), u64::from_le(v[1])])
    }

    /// Writes one descriptor back: its second half, which says "done", comes last.
    pub fn write_desc(&self, gpa: u64, v: [u64; 2]) -> bool {
        let Some(p) = self.pair(gpa, true) else {
            return false;
        };
        // SAFETY: as in `read_desc`, and the window is writable.
        unsafe {
            p.write_volatile(v[0].to_le());
            fence(Ordering::Release);
            p.add(1).write_volatile(v[1].to_le());
        }
        true
    }

    /// Writes the last four bytes of a descriptor (where a transmit descriptor keeps its status).
    pub fn write_desc_status(&self, gpa: u64, status: u32) -> bool {
        let Some(p) = self.pair(gpa, true) else {
            return false;
        };
        fence(Ordering::Release);
        // SAFETY: as in `write_desc`; offset 12 of 16 mapped, aligned bytes.
        unsafe { p.cast::<u32>().add(3).write_volatile(status.to_le()) };
        true
    }

    /// Writes four bytes at an address that is a multiple of four, at once.
    pub fn write_word(&self, gpa: u64, v: u32) -> bool {
        match self.at(gpa) {
            Some((ptr, room, true)) if room >= 4 && gpa % 4 == 0 => {
                fence(Ordering::Release);
                // SAFETY: 4 mapped, writable bytes at an aligned address (windows are
                // page-aligned); volatile because the guest reads them at the same time.
                unsafe { ptr.cast::<u32>().write_volatile(v.to_le()) };
                true
            }
            _ => self.fault(),
        }
    }

    /// Guest memory of `len` bytes at address 0, for tests.
    #[cfg(test)]
    pub fn of_size(len: u64) -> Self {
        use std::os::fd::FromRawFd;
        // SAFETY: memfd_create with a constant name; the result is checked.
        let fd = unsafe { libc::memfd_create(c"guest".as_ptr(), libc::MFD_CLOEXEC) };
        assert!(fd >= 0);
        // SAFETY: a descriptor we just made and own.
        let file = unsafe { File::from_raw_fd(fd) };
        file.set_len(len).unwrap();
        let mut dma = Self::default();
        dma.map(0, len, Some(&file), 0, true).unwrap();
        dma
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_was_written_and_faults_outside() {
        let dma = Dma::of_size(0x10000);
        assert!(dma.write(0xfff0, &[7; 16]));
        let mut buf = [0; 16];
        assert!(dma.read(0xfff0, &mut buf));
        assert_eq!(buf, [7; 16]);
        assert!(!dma.write(0xfff8, &[1; 16]));
        assert!(!dma.read(u64::MAX - 3, &mut buf));
        assert_eq!(dma.faults.get(), 2);
    }

    #[test]
    fn a_descriptor_must_be_aligned_and_inside() {
        let dma = Dma::of_size(0x1000);
        assert!(dma.write_desc(0xff0, [1, 2]));
        assert_eq!(dma.read_desc(0xff0), Some([1, 2]));
        assert!(dma.write_desc_status(0xff0, 9));
        assert_eq!(dma.read_desc(0xff0), Some([1, 2 | (9 << 32)]));
        assert_eq!(dma.read_desc(0xff8), None);
        assert_eq!(dma.read_desc(0x1000), None);
    }

    #[test]
    fn a_word_is_written_whole_or_not_at_all() {
        let dma = Dma::of_size(0x1000);
        assert!(dma.write_word(0xffc, 0x0403_0201));
        let mut buf = [0; 4];
        assert!(dma.read(0xffc, &mut buf));
        assert_eq!(buf, [1, 2, 3, 4]);
        assert!(!dma.write_word(0xffe, 0) && !dma.write_word(0x1000, 0));
    }

    #[test]
    fn an_unmapped_window_is_gone() {
        let mut dma = Dma::of_size(0x1000);
        dma.unmap(0x800, 1);
        assert!(dma.read_desc(0).is_none());
    }
}
