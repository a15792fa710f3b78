// SPDX-License-Identifier: GPL-2.0
//! What generators send: templates that are patched frame by frame, without allocation.

use std::net::Ipv4Addr;

use super::frame::{lay_out, set_ip_csum, set_udp_csum, IP, PAYLOAD, UDP};
use super::generator::Source;
use crate::rx::{MAX_FRAME, MIN_FRAME};

/// Marks the payload of numbered flows: this, flow (u32), sequence number (u64), pattern.
pub const MARK: &[u8; 4] = b"NMSQ";
const NUMBERED: usize = 16;
const DNS_HEADER: usize = 12;
const LABEL: usize = 16;
const PEER: [u8; 6] = [0x02, 0x00, 0x00, 0x00, 0x03, 0x02];

/// What all profiles can be told.
struct Options {
    dmac: [u8; 6],
    smac: [u8; 6],
    src: Ipv4Addr,
    dst: Ipv4Addr,
    sport: u16,
    dport: u16,
    size: usize,
    flows: u32,
    zone: String,
    seed: u64,
}

impl Options {
    fn parse(own: [u8; 6], profile: &str, options: &[(&str, &str)]) -> Result<Self, String> {
        let mut o = Self {
            dmac: own,
            smac: PEER,
            src: Ipv4Addr::new(10, 0, 3, 2),
            dst: Ipv4Addr::new(10, 0, 3, 1),
            sport: 4000,
            dport: if profile == "dnsflood" { 53 } else { 4001 },
            size: MIN_FRAME,
            flows: 16,
            zone: "example.test".into(),
            seed: 1,
        };
        if profile == "flows" {
            o.src = Ipv4Addr::new(10, 1, 0, 1);
        }
        for &(key, value) in options {
            let bad = |what: &str| format!("{key}={value}: {what}");
            macro_rules! number {
                () => {
                    value
                        .parse()
                        .map_err(|_| bad("a number in range is needed"))?
                };
            }
            macro_rules! address {
                () => {
                    value
                        .parse()
                        .map_err(|_| bad("an IPv4 address is needed"))?
                };
            }
            match key {
                "dmac" => o.dmac = mac(value).ok_or_else(|| bad("a MAC address is needed"))?,
                "smac" => o.smac = mac(value).ok_or_else(|| bad("a MAC address is needed"))?,
                "src" => o.src = address!(),
                "dst" => o.dst = address!(),
                "sport" => o.sport = number!(),
                "dport" => o.dport = number!(),
                "size" => o.size = number!(),
                "flows" => o.flows = number!(),
                "zone" => o.zone = value.into(),
                "seed" => o.seed = number!(),
                _ => return Err(format!("{key}: no such option")),
            }
        }
        if o.size < MIN_FRAME || o.size > MAX_FRAME {
            return Err(format!("size={}: {MIN_FRAME} to {MAX_FRAME} bytes", o.size));
        }
        if o.flows == 0 || o.flows > 65536 {
            return Err(format!("flows={}: 1 to 65536", o.flows));
        }
        Ok(o)
    }
}

/// Parses a MAC address.
pub fn mac(s: &str) -> Option<[u8; 6]> {
    let mut m = [0; 6];
    let mut parts = s.split(':');
    for b in &mut m {
        *b = u8::from_str_radix(parts.next()?, 16).ok()?;
    }
    parts.next().is_none().then_some(m)
}

/// Makes the source of a profile; `own` is the card's address.
pub fn source(
    profile: &str,
    own: [u8; 6],
    options: &[(&str, &str)],
) -> Result<Box<dyn Source>, String> {
    let o = Options::parse(own, profile, options)?;
    match profile {
        "udp" => Ok(Box::new(Numbered::new(&o, 1))),
        "flows" => Ok(Box::new(Numbered::new(&o, o.flows))),
        "dnsflood" => Ok(Box::new(DnsFlood::new(&o)?)),
        _ => Err(format!("{profile}: no such profile (udp, flows, dnsflood)")),
    }
}

/// UDP flows whose packets carry flow and sequence number and a pattern made from it.
struct Numbered {
    frame: Vec<u8>,
    src: u32,
    sport: u16,
    seq: Vec<u64>,
    flow: usize,
    /// Byte i is `i as u8`: the pattern of every sequence number is a piece of it.
    pattern: Vec<u8>,
}

impl Numbered {
    fn new(o: &Options, flows: u32) -> Self {
        let len = o.size - PAYLOAD;
        let mut frame = lay_out(
            o.dmac,
            o.smac,
            o.src.octets(),
            o.dst.octets(),
            o.sport,
            o.dport,
            len,
        );
        frame[PAYLOAD..PAYLOAD + 4].copy_from_slice(MARK);
        set_ip_csum(&mut frame);
        Self {
            frame,
            src: o.src.into(),
            sport: o.sport,
            seq: vec![0; flows as usize],
            flow: 0,
            pattern: (0..256 + len).map(|i| i as u8).collect(),
        }
    }
}

impl Source for Numbered {
    fn next(&mut self) -> Option<&[u8]> {
        let flow = self.flow;
        let seq = self.seq[flow];
        self.seq[flow] += 1;
        if self.seq.len() > 1 {
            self.flow = (flow + 1) % self.seq.len();
            let src = self.src.wrapping_add(flow as u32);
            let sport = self.sport.wrapping_add(flow as u16);
            self.frame[IP + 12..IP + 16].copy_from_slice(&src.to_be_bytes());
            self.frame[UDP..UDP + 2].copy_from_slice(&sport.to_be_bytes());
            set_ip_csum(&mut self.frame);
        }
        let data = &mut self.frame[PAYLOAD..];
        data[4..8].copy_from_slice(&(flow as u32).to_le_bytes());
        data[8..16].copy_from_slice(&seq.to_le_bytes());
        let n = data.len() - NUMBERED;
        let from = (seq & 0xff) as usize;
        data[NUMBERED..].copy_from_slice(&self.pattern[from..from + n]);
        set_udp_csum(&mut self.frame);
        Some(&self.frame)
    }
}

/// DNS queries for random names in a zone from spoofed addresses.
struct DnsFlood {
    frame: Vec<u8>,
    rng: u64,
}

impl DnsFlood {
    fn new(o: &Options) -> Result<Self, String> {
        let mut query = vec![0u8; DNS_HEADER];
        query[2] = 0x01; // recursion desired
        query[5] = 1; // one question
        query.push(LABEL as u8);
        query.resize(query.len() + LABEL, b'a');
        for label in o.zone.trim_end_matches('.').split('.') {
            if label.is_empty() || label.len() > 63 {
                return Err(format!("zone={}: not a domain name", o.zone));
            }
            query.push(label.len() as u8);
            query.extend_from_slice(label.as_bytes());
        }
        if query.len() > DNS_HEADER + 254 {
            return Err(format!("zone={}: too long", o.zone));
        }
        query.extend_from_slice(&[0, 0, 1, 0, 1]); // root, A, IN
        let mut frame = lay_out(
            o.dmac,
            o.smac,
            [0; 4],
            o.dst.octets(),
            0,
            o.dport,
            query.len(),
        );
        frame[PAYLOAD..].copy_from_slice(&query);
        Ok(Self {
            frame,
            rng: o.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        })
    }

    /// xorshift64*: fast, and good enough to be unpredictable for a hash.
    fn random(&mut self) -> u64 {
        self.rng ^= self.rng >> 12;
        self.rng ^= self.rng << 25;
        self.rng ^= self.rng >> 27;
        self.rng.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

/// A unicast address outside 10/8, 127/8 and 0/8.
fn spoofed(r: u32) -> [u8; 4] {
    let [a, b, c, d] = r.to_be_bytes();
    let a = match a % 224 {
        0 | 10 | 127 => 100,
        a => a,
    };
    [a, b, c, d]
}

impl Source for DnsFlood {
    fn next(&mut self) -> Option<&[u8]> {
        const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        let (a, b, c) = (self.random(), self.random(), self.random());
        let f = &mut self.frame;
        f[IP + 12..IP + 16].copy_from_slice(&spoofed(a as u32));
        let sport = 1024 + ((a >> 32) as u16 % (u16::MAX - 1023));
        f[UDP..UDP + 2].copy_from_slice(&sport.to_be_bytes());
        f[PAYLOAD..PAYLOAD + 2].copy_from_slice(&((a >> 48) as u16).to_be_bytes());
        let label = &mut f[PAYLOAD + DNS_HEADER + 1..][..LABEL];
        let (front, back) = label.split_at_mut(LABEL / 2);
        for (part, mut bits) in [(front, b), (back, c)] {
            for byte in part {
                *byte = LETTERS[(bits & 31) as usize];
                bits >>= 5;
            }
        }
        set_ip_csum(f);
        set_udp_csum(f);
        Some(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rx::parse::{status, Parsed, L4};

    const OWN: [u8; 6] = [0xa0, 0x36, 0x9f, 1, 2, 3];

    fn good(f: &[u8]) -> Parsed {
        let p = Parsed::of(f, 0x8100);
        assert_eq!(p.l4, L4::Udp);
        assert_eq!(p.status, status::IPCS | status::L4CS | status::UDPCS);
        p
    }

    #[test]
    fn numbered_packets_can_be_checked() {
        for size in ["60", "61", "1514"] {
            let mut s = source("udp", OWN, &[("size", size), ("dport", "7")]).unwrap();
            for seq in 0..600u64 {
                let f = s.next().unwrap();
                assert_eq!(good(f).ports(f), (4000, 7));
                assert_eq!((f.len().to_string().as_str(), &f[..6]), (size, &OWN[..]));
                let d = &f[PAYLOAD..];
                assert_eq!(&d[..4], MARK);
                assert_eq!(d[8..16], seq.to_le_bytes());
                assert!(d[16..]
                    .iter()
                    .enumerate()
                    .all(|(i, &b)| b == (seq as usize + i) as u8));
            }
        }
    }

    #[test]
    fn flows_differ_and_count_alone() {
        let mut s = source("flows", OWN, &[("flows", "3")]).unwrap();
        let mut seen = Vec::new();
        for _ in 0..6 {
            let f = s.next().unwrap();
            let p = good(f);
            seen.push((p.ports(f).0, f[PAYLOAD + 4], f[PAYLOAD + 8], f[IP + 15]));
        }
        assert_eq!(seen[0], (4000, 0, 0, 1));
        assert_eq!(seen[2], (4002, 2, 0, 3));
        assert_eq!(seen[5], (4002, 2, 1, 3));
    }

    #[test]
    fn flood_queries_are_valid_and_differ() {
        let mut s = source("dnsflood", OWN, &[("zone", "example.org")]).unwrap();
        let mut names = std::collections::HashSet::new();
        for _ in 0..500 {
            let f = s.next().unwrap();
            assert_eq!(good(f).ports(f).1, 53);
            assert!(good(f).ports(f).0 >= 1024);
            assert!(!matches!(f[IP + 12], 0 | 10 | 127 | 224..));
            let q = &f[PAYLOAD + DNS_HEADER..];
            assert_eq!(q[0], 16);
            assert_eq!(&q[17..], b"\x07example\x03org\x00\x00\x01\x00\x01");
            names.insert(q[1..17].to_vec());
        }
        assert_eq!(names.len(), 500);
    }

    #[test]
    fn wrong_options_are_named() {
        for (opt, text) in [
            (("size", "59"), "size=59"),
            (("size", "20000"), "size=20000"),
            (("dst", "x"), "dst=x"),
            (("dmac", "1:2:3"), "dmac=1:2:3"),
            (("flows", "0"), "flows=0"),
            (("colour", "red"), "colour"),
            (("sport", "70000"), "sport=70000"),
        ] {
            let e = source("udp", OWN, &[opt]).err().unwrap();
            assert!(e.contains(text), "{e}");
        }
        assert!(source("x", OWN, &[]).is_err());
        assert!(source("dnsflood", OWN, &[("zone", "a..b")]).is_err());
    }
}
