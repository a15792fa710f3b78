// SPDX-License-Identifier: GPL-2.0
//! Receive-side scaling: the Toeplitz hash and the redirection table.

use super::parse::{Parsed, L3, L4};

/// The longest input: two IPv6 addresses and two ports.
const INPUT: usize = 36;

/// Which packet kinds are hashed (upper half of MRQC).
mod field {
    pub const V4_TCP: u32 = 1 << 16;
    pub const V4: u32 = 1 << 17;
    pub const V6: u32 = 1 << 20;
    pub const V6_TCP: u32 = 1 << 21;
    pub const V4_UDP: u32 = 1 << 22;
    pub const V6_UDP: u32 = 1 << 23;
}

/// Key, table and switch. The hash of one input byte at one place is looked up.
pub struct Rss {
    key: [u8; 40],
    reta: [u8; 128],
    mrqc: u32,
    table: Box<[[u32; 256]; INPUT]>,
    stale: bool,
}

impl Rss {
    pub fn new() -> Self {
        Self {
            key: [0; 40],
            reta: [0; 128],
            mrqc: 0,
            table: Box::new([[0; 256]; INPUT]),
            stale: false,
        }
    }

    pub fn set_key(&mut self, i: usize, v: u32) {
        self.key[4 * i..4 * i + 4].copy_from_slice(&v.to_le_bytes());
        self.stale = true;
    }

    pub fn set_reta(&mut self, i: usize, v: u32) {
        for (k, b) in v.to_le_bytes().into_iter().enumerate() {
            self.reta[4 * i + k] = b & 0xf;
        }
    }

    pub fn set_mrqc(&mut self, v: u32) {
        self.mrqc = v;
    }

    fn enabled(&self) -> bool {
        // 1: RSS; 2 to 5: with traffic classes, where a single class behaves the same.
        matches!(self.mrqc & 0xf, 1 | 4 | 5)
    }

    fn build(&mut self) {
        for (pos, row) in self.table.iter_mut().enumerate() {
            let window = u64::from_be_bytes(std::array::from_fn(|i| {
                self.key.get(pos + i).copied().unwrap_or(0)
            }));
            for (byte, slot) in row.iter_mut().enumerate() {
                *slot = (0..8)
                    .filter(|bit| byte & (0x80 >> bit) != 0)
                    .fold(0, |h, bit| h ^ (window << bit >> 32) as u32);
            }
        }
        self.stale = false;
    }

    /// The Toeplitz hash of two pieces of input.
    pub fn toeplitz(&mut self, a: &[u8], b: &[u8]) -> u32 {
        if self.stale {
            self.build();
        }
        a.iter()
            .chain(b)
            .zip(self.table.iter())
            .fold(0, |h, (&byte, row)| h ^ row[usize::from(byte)])
    }

    /// The RSS type for the descriptor, the hash, and the queue.
    pub fn choose(&mut self, f: &[u8], p: &Parsed) -> (u32, u32, u8) {
        if !self.enabled() {
            return (0, 0, 0);
        }
        let on = |bit| self.mrqc & bit != 0;
        let (kind, ports) = match (p.l3, p.l4) {
            (L3::V4, L4::Tcp) if on(field::V4_TCP) => (1, true),
            (L3::V4, L4::Udp) if on(field::V4_UDP) => (7, true),
            (L3::V4, _) if on(field::V4) => (2, false),
            (L3::V6, L4::Tcp) if on(field::V6_TCP) => (3, true),
            (L3::V6, L4::Udp) if on(field::V6_UDP) => (8, true),
            (L3::V6, _) if on(field::V6) => (5, false),
            _ => return (0, 0, 0),
        };
        let addresses = match p.l3 {
            L3::V4 => &f[p.l3_at + 12..p.l3_at + 20],
            _ => &f[p.l3_at + 8..p.l3_at + 40],
        };
        let ports = match ports {
            true => &f[p.l4_at..p.l4_at + 4],
            false => &[],
        };
        let hash = self.toeplitz(addresses, ports);
        (kind, hash, self.reta[(hash & 0x7f) as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::udp4;

    /// The key of Microsoft's verification suite.
    const KEY: [u8; 40] = [
        0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f,
        0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
        0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
    ];

    fn unit() -> Rss {
        let mut r = Rss::new();
        for (i, k) in KEY.chunks_exact(4).enumerate() {
            r.set_key(i, u32::from_le_bytes(k.try_into().unwrap()));
        }
        for i in 0..32 {
            r.set_reta(i, 0x0302_0100);
        }
        r
    }

    #[test]
    fn the_published_ipv4_vectors() {
        let mut r = unit();
        let cases = [
            (
                [66, 9, 149, 187],
                2794,
                [161, 142, 100, 80],
                1766,
                0x323e_8fc2,
                0x51cc_c178,
            ),
            (
                [199, 92, 111, 2],
                14230,
                [65, 69, 140, 83],
                4739,
                0xd718_262a,
                0xc626_b0ea,
            ),
            (
                [24, 19, 198, 95],
                12898,
                [12, 22, 207, 184],
                38024,
                0xd2d0_a5de,
                0x5c2b_394a,
            ),
        ];
        for (src, sport, dst, dport, ip, full) in cases {
            let (sport, dport): (u16, u16) = (sport, dport);
            let a = [src, dst].concat();
            let b = [sport.to_be_bytes(), dport.to_be_bytes()].concat();
            assert_eq!(r.toeplitz(&a, &[]), ip);
            assert_eq!(r.toeplitz(&a, &b), full);
        }
    }

    #[test]
    fn a_published_ipv6_vector() {
        let mut r = unit();
        let src: std::net::Ipv6Addr = "3ffe:2501:200:1fff::7".parse().unwrap();
        let dst: std::net::Ipv6Addr = "3ffe:2501:200:3::1".parse().unwrap();
        let a = [src.octets(), dst.octets()].concat();
        let b = [2794u16.to_be_bytes(), 1766u16.to_be_bytes()].concat();
        assert_eq!(r.toeplitz(&a, &[]), 0x2cc1_8cd5);
        assert_eq!(r.toeplitz(&a, &b), 0x4020_7d3d);
    }

    #[test]
    fn kinds_follow_the_field_bits() {
        let mut r = unit();
        let f = udp4([66, 9, 149, 187], [161, 142, 100, 80], 2794, 1766, &[0; 20]);
        let p = Parsed::of(&f, 0x8100);
        assert_eq!(r.choose(&f, &p), (0, 0, 0));
        r.set_mrqc(1 | field::V4);
        assert_eq!(r.choose(&f, &p), (2, 0x323e_8fc2, 2));
        r.set_mrqc(1 | field::V4 | field::V4_UDP);
        assert_eq!(r.choose(&f, &p), (7, 0x51cc_c178, 0));
        r.set_mrqc(1 | field::V6);
        assert_eq!(r.choose(&f, &p), (0, 0, 0));
    }
}
