// SPDX-License-Identifier: MIT OR Apache-2.0
//! A UDP packet over IPv4 in an Ethernet frame.

use clap::Args;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// A MAC address on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mac(pub [u8; 6]);

impl FromStr for Mac {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let bytes: Result<Vec<u8>, _> =
            text.split(':').map(|b| u8::from_str_radix(b, 16)).collect();
        let bytes = bytes.ok().and_then(|b| <[u8; 6]>::try_from(b).ok());
        bytes.map(Mac).ok_or(format!("'{text}' is no MAC address"))
    }
}

/// What stands in the headers; options of a command line.
#[derive(Args, Clone, Copy, Debug)]
pub struct Udp {
    /// Destination MAC
    #[arg(long, default_value = "ff:ff:ff:ff:ff:ff")]
    pub dmac: Mac,
    /// Source MAC
    #[arg(long, default_value = "02:00:00:00:00:01")]
    pub smac: Mac,
    /// Source address
    #[arg(long, default_value = "10.0.3.1")]
    pub src: Ipv4Addr,
    /// Destination address
    #[arg(long, default_value = "10.0.3.2")]
    pub dst: Ipv4Addr,
    /// Source port
    #[arg(long, default_value = "9000")]
    pub sport: u16,
    /// Destination port
    #[arg(long, default_value = "9")]
    pub dport: u16,
}

/// Bytes of the headers.
pub const HEADERS: usize = 42;

impl Udp {
    /// A frame of `size` bytes (without the CRC, at least [`HEADERS`]); no UDP
    /// checksum.
    pub fn frame(&self, size: usize) -> Vec<u8> {
        let size = size.max(HEADERS);
        let mut f = vec![0; size];
        f[..6].copy_from_slice(&self.dmac.0);
        f[6..12].copy_from_slice(&self.smac.0);
        f[12..14].copy_from_slice(&[8, 0]);
        f[14] = 0x45;
        f[16..18].copy_from_slice(&((size - 14) as u16).to_be_bytes());
        f[22..24].copy_from_slice(&[64, 17]);
        f[26..30].copy_from_slice(&self.src.octets());
        f[30..34].copy_from_slice(&self.dst.octets());
        let sum = checksum(&f[14..34]);
        f[24..26].copy_from_slice(&sum.to_be_bytes());
        f[34..36].copy_from_slice(&self.sport.to_be_bytes());
        f[36..38].copy_from_slice(&self.dport.to_be_bytes());
        f[38..40].copy_from_slice(&((size - 34) as u16).to_be_bytes());
        for (i, b) in f[HEADERS..].iter_mut().enumerate() {
            *b = i as u8;
        }
        f
    }
}

/// The Internet checksum (RFC 1071) of an even number of bytes.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes
        .chunks_exact(2)
        .map(|w| (u32::from(w[0]) << 8) | u32::from(w[1]));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_its_lengths_and_a_right_checksum() {
        let udp = Udp {
            dmac: Mac([2; 6]),
            smac: "02:00:00:00:00:0a".parse().expect("mac"),
            src: Ipv4Addr::new(10, 0, 3, 2),
            dst: Ipv4Addr::new(10, 0, 3, 1),
            sport: 1000,
            dport: 9,
        };
        let f = udp.frame(60);
        assert_eq!((f.len(), f[11]), (60, 10));
        assert_eq!(f[16..18], 46u16.to_be_bytes());
        assert_eq!(f[38..40], 26u16.to_be_bytes());
        assert_eq!(checksum(&f[14..34]), 0);
        assert_eq!(udp.frame(0).len(), HEADERS);
    }

    #[test]
    fn a_wrong_mac_is_refused() {
        for bad in ["", "02:00", "02:00:00:00:00:0g", "02:00:00:00:00:00:00"] {
            assert!(bad.parse::<Mac>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_checksum_is_that_of_the_rfc() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(checksum(&bytes), !0xddf2);
    }
}
