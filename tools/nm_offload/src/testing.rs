// SPDX-License-Identifier: GPL-2.0
//! Frames for tests.

/// An Ethernet/IPv4/UDP frame (checksums zero) to 10.0.3.1.
pub fn udp_frame(src: [u8; 4], sport: u16, dport: u16, payload: &[u8]) -> Vec<u8> {
    let mut f = vec![0xa0, 0x36, 0x9f, 0x82, 0x59, 0x90];
    f.extend([0x02, 0, 0, 0, 3, 2, 0x08, 0x00]);
    let total = (28 + payload.len()) as u16;
    f.extend([0x45, 0]);
    f.extend(total.to_be_bytes());
    f.extend([0, 0, 0x40, 0, 64, 17, 0, 0]);
    f.extend(src);
    f.extend([10, 0, 3, 1]);
    f.extend(sport.to_be_bytes());
    f.extend(dport.to_be_bytes());
    f.extend((total - 20).to_be_bytes());
    f.extend([0, 0]);
    f.extend(payload);
    f
}
