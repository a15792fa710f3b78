// SPDX-License-Identifier: GPL-2.0
//! Header parsing and checksum verdicts: what the receive path must know about a frame before it
//! chooses a queue and what it tells the driver afterwards.

use crate::csum;

/// Packet types of the descriptor (bits 15:4 of its first word).
mod ptype {
    pub const IPV4: u32 = 0x0010;
    pub const IPV4_EX: u32 = 0x0020;
    pub const IPV6: u32 = 0x0040;
    pub const IPV6_EX: u32 = 0x0080;
    pub const TCP: u32 = 0x0100;
    pub const UDP: u32 = 0x0200;
    pub const SCTP: u32 = 0x0400;
}

/// Descriptor status and error bits that come from parsing.
pub mod status {
    pub const DD: u32 = 0x1;
    pub const EOP: u32 = 0x2;
    pub const FLM: u32 = 0x4;
    pub const VP: u32 = 0x8;
    pub const UDPCS: u32 = 0x10;
    pub const L4CS: u32 = 0x20;
    pub const IPCS: u32 = 0x40;
    pub const TS: u32 = 1 << 16;
    pub const L4E: u32 = 1 << 30;
    pub const IPE: u32 = 1 << 31;
}

/// Network layer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum L3 {
    Other,
    V4,
    V6,
}

/// Transport layer, numbered as flow director does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum L4 {
    Other = 0,
    Udp = 1,
    Tcp = 2,
    Sctp = 3,
}

/// What was found in a frame.
#[derive(Clone, Copy, Debug)]
pub struct Parsed {
    /// The outer 802.1Q tag.
    pub vlan: Option<u16>,
    pub l3: L3,
    pub l3_at: usize,
    pub l4: L4,
    pub l4_at: usize,
    pub ptype: u32,
    /// Status and error bits of the descriptor.
    pub status: u32,
}

impl Parsed {
    /// Parses a frame of at least 60 bytes; `vlan_type` is the tag's EtherType.
    pub fn of(f: &[u8], vlan_type: u16) -> Self {
        let mut p = Self {
            vlan: None,
            l3: L3::Other,
            l3_at: 14,
            l4: L4::Other,
            l4_at: 0,
            ptype: 0,
            status: 0,
        };
        let mut kind = be16(f, 12);
        if kind == vlan_type {
            p.vlan = Some(be16(f, 14));
            p.l3_at = 18;
            kind = be16(f, 16);
        }
        match kind {
            0x0800 => p.ipv4(f),
            0x86dd => p.ipv6(f),
            _ => {}
        }
        p
    }

    fn ipv4(&mut self, f: &[u8]) {
        let ip = &f[self.l3_at..];
        let ihl = usize::from(ip[0] & 0xf) * 4;
        if ip[0] >> 4 != 4 || ihl < 20 || ip.len() < ihl {
            return;
        }
        self.l3 = L3::V4;
        self.ptype |= if ihl > 20 {
            ptype::IPV4_EX
        } else {
            ptype::IPV4
        };
        self.status |= status::IPCS;
        if csum::fold(csum::add(0, &ip[..ihl])) != 0xffff {
            self.status |= status::IPE;
        }
        let fragment = be16(ip, 6) & 0x3fff != 0;
        let total = usize::from(be16(ip, 2));
        if !fragment && total >= ihl && total <= ip.len() {
            let sum = csum::pseudo4(ip, ip[9], total - ihl);
            self.transport(&ip[ihl..total], ihl, ip[9], sum);
        }
    }

    fn ipv6(&mut self, f: &[u8]) {
        let ip = &f[self.l3_at..];
        if ip.len() < 40 || ip[0] >> 4 != 6 {
            return;
        }
        self.l3 = L3::V6;
        let len = usize::from(be16(ip, 4));
        if let 0 | 43 | 44 | 60 = ip[6] {
            self.ptype |= ptype::IPV6_EX;
        } else {
            self.ptype |= ptype::IPV6;
            if 40 + len <= ip.len() {
                let sum = csum::pseudo6(ip, ip[6], len);
                self.transport(&ip[40..40 + len], 40, ip[6], sum);
            }
        }
    }

    fn transport(&mut self, seg: &[u8], ip_len: usize, proto: u8, pseudo: u64) {
        let (l4, bit, least) = match proto {
            6 => (L4::Tcp, ptype::TCP, 20),
            17 => (L4::Udp, ptype::UDP, 8),
            132 => (L4::Sctp, ptype::SCTP, 12),
            _ => return,
        };
        if seg.len() < least {
            return;
        }
        self.l4 = l4;
        self.l4_at = self.l3_at + ip_len;
        self.ptype |= bit;
        // SCTP has a CRC, which is not checked here; a UDP checksum may be absent.
        if l4 == L4::Sctp || l4 == L4::Udp && seg[6..8] == [0, 0] {
            return;
        }
        self.status |= status::L4CS;
        if l4 == L4::Udp {
            self.status |= status::UDPCS;
        }
        if csum::fold(csum::add(pseudo, seg)) != 0xffff {
            self.status |= status::L4E;
        }
    }

    /// Source and destination port, 0 where there are none.
    pub fn ports(&self, f: &[u8]) -> (u16, u16) {
        match self.l4 {
            L4::Other => (0, 0),
            _ => (be16(f, self.l4_at), be16(f, self.l4_at + 2)),
        }
    }
}

/// Reads a 16-bit field.
pub fn be16(b: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([b[at], b[at + 1]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::udp4;

    fn frame() -> Vec<u8> {
        udp4([10, 0, 3, 2], [10, 0, 3, 1], 1234, 53, &[9; 33])
    }

    #[test]
    fn a_good_udp_frame() {
        let f = frame();
        let p = Parsed::of(&f, 0x8100);
        assert_eq!((p.l3, p.l4, p.ports(&f)), (L3::V4, L4::Udp, (1234, 53)));
        assert_eq!(p.status, status::IPCS | status::L4CS | status::UDPCS);
        assert_eq!(p.ptype, 0x210);
    }

    #[test]
    fn broken_checksums_are_reported() {
        let mut f = frame();
        let last = f.len() - 1;
        f[last] ^= 1;
        assert_ne!(Parsed::of(&f, 0x8100).status & status::L4E, 0);
        f[last] ^= 1;
        f[22] ^= 1; // TTL
        assert_ne!(Parsed::of(&f, 0x8100).status & status::IPE, 0);
    }

    #[test]
    fn an_absent_udp_checksum_is_not_checked() {
        let mut f = frame();
        f[40..42].fill(0);
        assert_eq!(Parsed::of(&f, 0x8100).status, status::IPCS);
    }

    #[test]
    fn a_fragment_has_no_transport() {
        let mut f = frame();
        f[20] = 0x20;
        let p = Parsed::of(&f, 0x8100);
        assert_eq!((p.l3, p.l4), (L3::V4, L4::Other));
    }

    #[test]
    fn a_tag_is_found_and_nothing_is_out_of_bounds() {
        let mut f = frame();
        f.splice(12..12, [0x81, 0x00, 0x20, 0x07]);
        let p = Parsed::of(&f, 0x8100);
        assert_eq!((p.vlan, p.l4), (Some(0x2007), L4::Udp));
        for n in 0..=255u8 {
            let mut g = vec![n; 60];
            for kind in [0x0800u16, 0x86dd, 0x8100] {
                g[12..14].copy_from_slice(&kind.to_be_bytes());
                g[16..18].copy_from_slice(&[0x08, 0x00]);
                Parsed::of(&g, 0x8100);
            }
        }
    }
}
