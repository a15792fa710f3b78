// SPDX-License-Identifier: GPL-2.0
//! The port's filters: destination address, VLAN membership, length.

use crate::regs::{at, Regs};
use crate::stats::{cast, Cast};

const FCTRL_MPE: u32 = 1 << 8;
const FCTRL_UPE: u32 = 1 << 9;
const FCTRL_BAM: u32 = 1 << 10;
const MCSTCTRL_MFE: u32 = 1 << 2;
const VLNCTRL_VFE: u32 = 1 << 30;
const HLREG0_JUMBOEN: u32 = 1 << 2;
const RXCTRL_RXEN: u32 = 1;
const RXCSUM_PCSD: u32 = 1 << 13;
const RAH_AV: u32 = 1 << 31;

/// A digest of the port-wide receive set-up.
pub struct Filter {
    /// Reception is on.
    pub on: bool,
    /// The EtherType of VLAN tags.
    pub vlan_type: u16,
    /// The descriptor carries the RSS hash (else a packet checksum, which is not modelled).
    pub hash: bool,
    fctrl: u32,
    mcstctrl: u32,
    vlan_filter: bool,
    max: usize,
    mta: [u32; 128],
    vfta: [u32; 128],
    ra: [(u32, u32); 128],
    /// Addresses that are valid, as a number that compares fast.
    macs: Vec<u64>,
}

impl Filter {
    pub fn new() -> Self {
        Self {
            on: false,
            vlan_type: 0x8100,
            hash: false,
            fctrl: 0,
            mcstctrl: 0,
            vlan_filter: false,
            max: 1514,
            mta: [0; 128],
            vfta: [0; 128],
            ra: [(0, 0); 128],
            macs: Vec::new(),
        }
    }

    /// A port-wide register changed.
    pub fn reload(&mut self, regs: &Regs) {
        self.on = regs.get(at::RXCTRL) & RXCTRL_RXEN != 0;
        self.fctrl = regs.get(at::FCTRL);
        self.mcstctrl = regs.get(at::MCSTCTRL);
        let vln = regs.get(at::VLNCTRL);
        self.vlan_type = vln as u16;
        self.vlan_filter = vln & VLNCTRL_VFE != 0;
        self.hash = regs.get(at::RXCSUM) & RXCSUM_PCSD != 0;
        let jumbo = regs.get(at::HLREG0) & HLREG0_JUMBOEN != 0;
        let mfs = (regs.get(at::MHADD) >> 16) as usize;
        // The limits count the FCS, which frames here don't have.
        self.max = if jumbo { mfs.max(64) - 4 } else { 1514 };
    }

    pub fn set_mta(&mut self, i: usize, v: u32) {
        self.mta[i] = v;
    }

    pub fn set_vfta(&mut self, i: usize, v: u32) {
        self.vfta[i] = v;
    }

    pub fn ral(&self, i: usize) -> u32 {
        self.ra[i].0
    }

    pub fn rah(&self, i: usize) -> u32 {
        self.ra[i].1
    }

    pub fn set_ral(&mut self, i: usize, v: u32) {
        self.ra[i].0 = v;
        self.macs();
    }

    pub fn set_rah(&mut self, i: usize, v: u32) {
        self.ra[i].1 = v & (RAH_AV | 0xffff);
        self.macs();
    }

    fn macs(&mut self) {
        self.macs = self
            .ra
            .iter()
            .filter(|r| r.1 & RAH_AV != 0)
            .map(|&(lo, hi)| (u64::from(hi & 0xffff) << 32) | u64::from(lo))
            .collect();
    }

    /// Is a frame of this length (without its tag) too long?
    pub fn too_long(&self, len: usize, tagged: bool) -> bool {
        len > self.max + if tagged { 4 } else { 0 }
    }

    /// Is this frame for the port?
    pub fn accepts(&self, f: &[u8], vlan: Option<u16>) -> bool {
        if let Some(id) = vlan.filter(|_| self.vlan_filter) {
            let id = usize::from(id & 0xfff);
            if (self.vfta[id >> 5] >> (id & 31)) & 1 == 0 {
                return false;
            }
        }
        match cast(f) {
            Cast::Broadcast => self.fctrl & (FCTRL_BAM | FCTRL_MPE) != 0,
            Cast::Multicast => {
                self.fctrl & FCTRL_MPE != 0
                    || self.mcstctrl & MCSTCTRL_MFE != 0 && self.hashed(f)
                    || self.exact(f)
            }
            Cast::Unicast => self.fctrl & FCTRL_UPE != 0 || self.exact(f),
        }
    }

    fn exact(&self, f: &[u8]) -> bool {
        let mac = u64::from_le_bytes([f[0], f[1], f[2], f[3], f[4], f[5], 0, 0]);
        self.macs.contains(&mac)
    }

    /// Twelve bits of the address, chosen by MCSTCTRL.MO, index the table.
    fn hashed(&self, f: &[u8]) -> bool {
        let top = u32::from(f[4]) | (u32::from(f[5]) << 8);
        let h = match self.mcstctrl & 3 {
            0 => top >> 4,
            1 => top >> 3,
            2 => top >> 2,
            _ => top,
        } & 0xfff;
        (self.mta[(h >> 5) as usize] >> (h & 31)) & 1 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(mac: [u8; 6]) -> Vec<u8> {
        let mut f = vec![0; 60];
        f[..6].copy_from_slice(&mac);
        f
    }

    #[test]
    fn unicast_needs_an_address_or_promiscuity() {
        let (mut f, mut regs) = (Filter::new(), Regs::new());
        let mac = [0xa0, 0x36, 0x9f, 1, 2, 3];
        assert!(!f.accepts(&to(mac), None));
        f.set_ral(0, 0x019f_36a0);
        f.set_rah(0, 0x8000_0302);
        assert!(f.accepts(&to(mac), None));
        assert!(!f.accepts(&to([2, 0, 0, 0, 0, 1]), None));
        regs.set(at::FCTRL, FCTRL_UPE);
        f.reload(&regs);
        assert!(f.accepts(&to([2, 0, 0, 0, 0, 1]), None));
        assert!(!f.accepts(&to([0xff; 6]), None));
    }

    #[test]
    fn multicast_by_hash() {
        let (mut f, mut regs) = (Filter::new(), Regs::new());
        let mac = [1, 0, 0x5e, 0, 0x34, 0x12];
        regs.set(at::MCSTCTRL, MCSTCTRL_MFE);
        f.reload(&regs);
        assert!(!f.accepts(&to(mac), None));
        f.set_mta(0x123 >> 5, 1 << (0x123 & 31));
        assert!(f.accepts(&to(mac), None));
    }

    #[test]
    fn vlan_membership_and_length() {
        let (mut f, mut regs) = (Filter::new(), Regs::new());
        regs.set(at::FCTRL, FCTRL_BAM);
        regs.set(at::VLNCTRL, VLNCTRL_VFE | 0x8100);
        f.reload(&regs);
        let bc = to([0xff; 6]);
        assert!(f.accepts(&bc, None));
        assert!(!f.accepts(&bc, Some(0x2007)));
        f.set_vfta(0, 1 << 7);
        assert!(f.accepts(&bc, Some(0x2007)));
        assert!(f.too_long(1515, false) && !f.too_long(1518, true));
        regs.set(at::HLREG0, HLREG0_JUMBOEN);
        regs.set(at::MHADD, 9018 << 16);
        f.reload(&regs);
        assert!(f.too_long(9015, false) && !f.too_long(9014, false));
    }
}
