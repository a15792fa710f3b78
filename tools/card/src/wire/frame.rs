// SPDX-License-Identifier: GPL-2.0
//! Building frames: Ethernet, IPv4 and UDP with valid checksums.

use crate::csum;

/// Where the parts of an untagged UDP/IPv4 frame start.
pub const IP: usize = 14;
pub const UDP: usize = 34;
pub const PAYLOAD: usize = 42;

/// Lays out a frame around a payload area of `len` bytes; checksums are still to be set.
pub fn lay_out(
    dmac: [u8; 6],
    smac: [u8; 6],
    src: [u8; 4],
    dst: [u8; 4],
    sport: u16,
    dport: u16,
    len: usize,
) -> Vec<u8> {
    let mut f = vec![0u8; PAYLOAD + len];
    f[..6].copy_from_slice(&dmac);
    f[6..12].copy_from_slice(&smac);
    f[12..14].copy_from_slice(&[0x08, 0x00]);
    f[IP] = 0x45;
    f[IP + 2..IP + 4].copy_from_slice(&((28 + len) as u16).to_be_bytes());
    f[IP + 6] = 0x40; // don't fragment
    f[IP + 8] = 64;
    f[IP + 9] = 17;
    f[IP + 12..IP + 16].copy_from_slice(&src);
    f[IP + 16..IP + 20].copy_from_slice(&dst);
    f[UDP..UDP + 2].copy_from_slice(&sport.to_be_bytes());
    f[UDP + 2..UDP + 4].copy_from_slice(&dport.to_be_bytes());
    f[UDP + 4..UDP + 6].copy_from_slice(&((8 + len) as u16).to_be_bytes());
    f
}

/// Sets the IPv4 header's checksum.
pub fn set_ip_csum(f: &mut [u8]) {
    f[IP + 10..IP + 12].fill(0);
    let c = csum::of(&f[IP..UDP]);
    f[IP + 10..IP + 12].copy_from_slice(&c.to_be_bytes());
}

/// Sets the UDP checksum; the datagram reaches to the end of the frame.
pub fn set_udp_csum(f: &mut [u8]) {
    f[UDP + 6..UDP + 8].fill(0);
    let pseudo = csum::pseudo4(&f[IP..UDP], 17, f.len() - UDP);
    let c = match !csum::fold(csum::add(pseudo, &f[UDP..])) {
        0 => 0xffff,
        c => c,
    };
    f[UDP + 6..UDP + 8].copy_from_slice(&c.to_be_bytes());
}

/// A complete frame between two arbitrary stations, for tests.
#[cfg(test)]
pub fn udp4(src: [u8; 4], dst: [u8; 4], sport: u16, dport: u16, payload: &[u8]) -> Vec<u8> {
    let macs = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let mut f = lay_out(macs.0, macs.1, src, dst, sport, dport, payload.len());
    f[PAYLOAD..].copy_from_slice(payload);
    set_ip_csum(&mut f);
    set_udp_csum(&mut f);
    f
}
