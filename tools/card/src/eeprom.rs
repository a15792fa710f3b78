// SPDX-License-Identifier: GPL-2.0
//! The EEPROM: its image (words, with the checksum drivers verify) and the EERD read register.

/// Size field of EEC: 64 words << 6.
const SIZE_FIELD: u32 = 6;
const WORDS: usize = 64 << SIZE_FIELD;

const EEC_REQ: u32 = 1 << 6;
const EEC_GNT: u32 = 1 << 7;
const EEC_PRES: u32 = 1 << 8;
const EEC_ARD: u32 = 1 << 9;
/// The bits of EEC software drives (the SPI lines, which lead nowhere here, and the request).
const EEC_RW: u32 = 0x3f | EEC_REQ;

/// Addresses inside the image.
const FIRMWARE: usize = 0x60;
const FIRMWARE_VERSION: usize = 0x70;
const SFP_LIST: usize = 0x80;
const SFP_DATA: usize = 0xa0;
const PBA: usize = 0xc0;
const PBA_TEXT: &[u8; 10] = b"NM8259-001";

/// The EEPROM and its two registers.
pub struct Eeprom {
    words: Vec<u16>,
    eec: u32,
    eerd: u32,
}

impl Eeprom {
    pub fn new(mac: [u8; 6]) -> Self {
        Self {
            words: image(mac),
            eec: 0,
            eerd: 0,
        }
    }

    pub fn read_eec(&self) -> u32 {
        let grant = if self.eec & EEC_REQ != 0 { EEC_GNT } else { 0 };
        (self.eec & EEC_RW) | grant | EEC_PRES | EEC_ARD | (SIZE_FIELD << 11)
    }

    pub fn write_eec(&mut self, v: u32) {
        self.eec = v;
    }

    pub fn read_eerd(&self) -> u32 {
        self.eerd
    }

    /// Address in bits 15:2, START in bit 0; the answer is there at once, with DONE in bit 1.
    pub fn write_eerd(&mut self, v: u32) {
        let addr = v & 0xfffc;
        let word = self.words.get((addr >> 2) as usize).copied();
        self.eerd = (u32::from(word.unwrap_or(0xffff)) << 16) | addr | 2;
    }
}

/// A valid image of an SFP+ board whose modules need no extra set-up sequence.
fn image(mac: [u8; 6]) -> Vec<u16> {
    let mut w = vec![0xffffu16; WORDS];
    w[..0x40].fill(0);
    // The sections drivers add to the checksum: none.
    w[0x03..=0x0e].fill(0xffff);
    w[0x0f] = FIRMWARE as u16;
    w[FIRMWARE + 4] = FIRMWARE_VERSION as u16;
    w[FIRMWARE_VERSION + 7] = 6;
    w[0x15] = 0xfafa;
    w[0x16] = PBA as u16;
    w[PBA] = 6;
    for (i, c) in PBA_TEXT.chunks_exact(2).enumerate() {
        w[PBA + 1 + i] = u16::from_be_bytes([c[0], c[1]]);
    }
    for p in [0x17, 0x1b, 0x26, 0x27, 0x28] {
        w[p] = 0xffff;
    }
    // Module set-up list: direct attach and SR/LR, for either port; no words to write.
    w[0x2b] = SFP_LIST as u16;
    for (i, kind) in [3u16, 4, 5, 6].into_iter().enumerate() {
        w[SFP_LIST + 1 + 2 * i] = kind;
        w[SFP_LIST + 2 + 2 * i] = SFP_DATA as u16;
    }
    w[SFP_DATA] = 0;
    // Any module allowed, no FCoE, no crosstalk workaround.
    w[0x2c] = 0x0083;
    w[0x2d] = 0x0001;
    w[0x2e] = 0x8000;
    for (i, c) in mac.chunks_exact(2).enumerate() {
        w[0x30 + i] = u16::from_le_bytes([c[0], c[1]]);
    }
    let sum = w[..0x3f].iter().fold(0u16, |s, &x| s.wrapping_add(x));
    w[0x3f] = 0xbabau16.wrapping_sub(sum);
    w
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(e: &mut Eeprom, addr: u32) -> u16 {
        e.write_eerd((addr << 2) | 1);
        let v = e.read_eerd();
        assert_eq!(v & 3, 2, "DONE, not START");
        (v >> 16) as u16
    }

    #[test]
    fn the_checksum_is_the_one_drivers_expect() {
        let mut e = Eeprom::new([0xa0, 0x36, 0x9f, 1, 2, 3]);
        let sum = (0..=0x3f).fold(0u16, |s, a| s.wrapping_add(word(&mut e, a)));
        assert_eq!(sum, 0xbaba);
    }

    #[test]
    fn the_firmware_version_is_found_through_its_pointers() {
        let mut e = Eeprom::new([0; 6]);
        let p = u32::from(word(&mut e, 0x0f));
        let q = u32::from(word(&mut e, p + 4));
        assert!(word(&mut e, q + 7) > 5);
    }

    #[test]
    fn the_module_list_ends_and_names_sr() {
        let mut e = Eeprom::new([0; 6]);
        let list = u32::from(word(&mut e, 0x2b)) + 1;
        let kinds: Vec<u16> = (0..8)
            .map(|i| word(&mut e, list + 2 * i))
            .take_while(|&k| k != 0xffff)
            .collect();
        assert_eq!(kinds, [3, 4, 5, 6]);
        let data = u32::from(word(&mut e, list + 5));
        assert_eq!(word(&mut e, data + 1), 0xffff);
    }

    #[test]
    fn present_with_a_size_and_a_grant() {
        let mut e = Eeprom::new([0; 6]);
        assert_ne!(e.read_eec() & EEC_PRES, 0);
        assert_eq!(e.read_eec() & EEC_GNT, 0);
        e.write_eec(EEC_REQ);
        assert_ne!(e.read_eec() & EEC_GNT, 0);
        assert_eq!(word(&mut e, WORDS as u32), 0xffff);
    }
}
