// SPDX-License-Identifier: GPL-2.0
//! PCI configuration space: an 82599ES (8086:10FB) with power management, MSI-X and PCI Express
//! capabilities where drivers expect them, some by fixed offset.

use crate::irq::VECTORS;

/// Size of configuration space.
pub const SIZE: usize = 4096;
/// BAR0: registers.
pub const BAR0_SIZE: u64 = 512 << 10;
/// BAR2: I/O ports (there, but unused).
pub const BAR2_SIZE: u64 = 32;
/// BAR4: the MSI-X table and pending bits.
pub const BAR4_SIZE: u64 = 16 << 10;

const CAP_PM: usize = 0x40;
const CAP_MSIX: usize = 0x70;
const CAP_EXP: usize = 0xa0;
const EXT_DSN: usize = 0x100;
const DEVCTL: usize = CAP_EXP + 8;
const DEVCTL_FLR: u16 = 1 << 15;

/// Configuration space: bytes and the mask of bits software may write.
pub struct Pci {
    bytes: [u8; SIZE],
    writable: [u8; SIZE],
}

impl Pci {
    pub fn new(mac: [u8; 6]) -> Self {
        let mut p = Self {
            bytes: [0; SIZE],
            writable: [0; SIZE],
        };
        p.header();
        p.power();
        p.msix();
        p.express();
        p.serial(mac);
        p
    }

    fn put(&mut self, at: usize, v: &[u8]) {
        self.bytes[at..at + v.len()].copy_from_slice(v);
    }

    fn put16(&mut self, at: usize, v: u16) {
        self.put(at, &v.to_le_bytes());
    }

    fn put32(&mut self, at: usize, v: u32) {
        self.put(at, &v.to_le_bytes());
    }

    fn allow(&mut self, at: usize, mask: &[u8]) {
        self.writable[at..at + mask.len()].copy_from_slice(mask);
    }

    fn header(&mut self) {
        self.put16(0x00, 0x8086);
        self.put16(0x02, 0x10fb);
        self.put16(0x06, 0x0010); // a capability list
        self.put(0x08, &[0x01, 0x00, 0x00, 0x02]); // revision 1, Ethernet
        self.put32(0x10, 0x0c); // BAR0: 64-bit, prefetchable
        self.put32(0x18, 0x01); // BAR2: I/O
        self.put32(0x20, 0x0c); // BAR4: 64-bit, prefetchable
        self.put16(0x2c, 0x8086);
        self.put16(0x2e, 0x0003);
        self.put(0x34, &[CAP_PM as u8]);
        self.put(0x3d, &[0x01]); // INTA
        self.allow(0x04, &[0x47, 0x05]);
        self.allow(0x0c, &[0xff]);
        self.allow(0x10, &(!(BAR0_SIZE - 1) as u32).to_le_bytes());
        self.allow(0x14, &[0xff; 4]);
        self.allow(0x18, &(!(BAR2_SIZE - 1) as u32).to_le_bytes());
        self.allow(0x20, &(!(BAR4_SIZE - 1) as u32).to_le_bytes());
        self.allow(0x24, &[0xff; 4]);
        self.allow(0x3c, &[0xff]);
    }

    fn power(&mut self) {
        self.put(CAP_PM, &[0x01, CAP_MSIX as u8]);
        self.put16(CAP_PM + 2, 0x4823);
        self.put16(CAP_PM + 4, 0x0008); // no soft reset
        self.allow(CAP_PM + 4, &[0x03, 0x01]);
    }

    fn msix(&mut self) {
        self.put(CAP_MSIX, &[0x11, CAP_EXP as u8]);
        self.put16(CAP_MSIX + 2, VECTORS as u16 - 1);
        self.put32(CAP_MSIX + 4, 4); // table: BAR4 + 0
        self.put32(CAP_MSIX + 8, 0x2000 | 4); // pending bits: BAR4 + 0x2000
        self.allow(CAP_MSIX + 2, &[0x00, 0xc0]);
    }

    fn express(&mut self) {
        self.put(CAP_EXP, &[0x10, 0x00]);
        self.put16(CAP_EXP + 2, 0x0002); // version 2, endpoint
        self.put32(CAP_EXP + 4, 0x1000_8cc2); // FLR, 512-byte payload
        self.put16(DEVCTL, 0x2810);
        self.put32(CAP_EXP + 0x0c, 0x0000_3c82); // x8, 5 GT/s
        self.put16(CAP_EXP + 0x12, 0x1082); // running at x8, 5 GT/s
        self.put32(CAP_EXP + 0x24, 0x0000_001f); // completion timeout ranges
        self.allow(DEVCTL, &[0xff, 0x7f]);
        self.allow(CAP_EXP + 0x10, &[0xfb, 0x0f]);
        self.allow(CAP_EXP + 0x28, &[0x1f, 0x00]);
    }

    fn serial(&mut self, mac: [u8; 6]) {
        self.put32(EXT_DSN, 0x0001_0003);
        let m = mac;
        self.put(
            EXT_DSN + 4,
            &[m[5], m[4], m[3], 0xff, 0xff, m[2], m[1], m[0]],
        );
    }

    /// May the function access memory (bus master enable)?
    pub fn master(&self) -> bool {
        self.bytes[0x04] & 0x04 != 0
    }

    pub fn read(&self, at: usize, buf: &mut [u8]) {
        for (i, b) in buf.iter_mut().enumerate() {
            *b = self.bytes.get(at + i).copied().unwrap_or(0xff);
        }
    }

    /// Writes; true if it asks for a function-level reset.
    pub fn write(&mut self, at: usize, buf: &[u8]) -> bool {
        let mut flr = false;
        for (i, &b) in buf.iter().enumerate() {
            let Some(mask) = self.writable.get(at + i).copied() else {
                break;
            };
            let old = self.bytes[at + i];
            self.bytes[at + i] = (old & !mask) | (b & mask);
            flr |= at + i == DEVCTL + 1 && b & (DEVCTL_FLR >> 8) as u8 != 0;
        }
        flr
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read32(p: &Pci, at: usize) -> u32 {
        let mut b = [0; 4];
        p.read(at, &mut b);
        u32::from_le_bytes(b)
    }

    #[test]
    fn capabilities_are_where_drivers_look() {
        let p = Pci::new([0; 6]);
        assert_eq!(read32(&p, 0), 0x10fb_8086);
        assert_eq!(read32(&p, 0x70) & 0xff, 0x11);
        assert_eq!(read32(&p, 0x70) >> 16, 63);
        assert_eq!(read32(&p, 0xa0) & 0xff, 0x10);
        assert_eq!(read32(&p, 0xb0) >> 16, 0x1082);
        let (mut at, mut seen) = (usize::from(p.bytes[0x34]), vec![]);
        while at != 0 {
            seen.push(p.bytes[at]);
            at = usize::from(p.bytes[at + 1]);
        }
        assert_eq!(seen, [0x01, 0x11, 0x10]);
    }

    #[test]
    fn a_bar_sizes_and_ids_are_read_only() {
        let mut p = Pci::new([0; 6]);
        p.write(0, &[0; 4]);
        assert_eq!(read32(&p, 0), 0x10fb_8086);
        p.write(0x10, &[0xff; 4]);
        assert_eq!(read32(&p, 0x10), !(BAR0_SIZE as u32 - 1) | 0x0c);
    }

    #[test]
    fn flr_is_seen_and_never_reads_back() {
        let mut p = Pci::new([0; 6]);
        assert!(!p.write(DEVCTL, &0x2810u16.to_le_bytes()));
        assert!(p.write(DEVCTL, &0xa810u16.to_le_bytes()));
        assert_eq!(read32(&p, DEVCTL) & 0x8000, 0);
    }
}
