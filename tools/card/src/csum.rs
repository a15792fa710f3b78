// SPDX-License-Identifier: GPL-2.0
//! The Internet checksum (RFC 1071), which receive checks, transmit inserts and generators need.

/// Adds bytes to a running sum. The sum is of 16-bit words in memory order, so it can be kept in
/// native order until [`fold`]; pieces must start at even offsets.
pub fn add(mut sum: u64, bytes: &[u8]) -> u64 {
    let mut chunks = bytes.chunks_exact(4);
    for c in &mut chunks {
        sum += u64::from(u32::from_ne_bytes([c[0], c[1], c[2], c[3]]));
    }
    let rest = chunks.remainder();
    if rest.len() >= 2 {
        sum += u64::from(u16::from_ne_bytes([rest[0], rest[1]]));
    }
    if rest.len() % 2 == 1 {
        sum += u64::from(u16::from_ne_bytes([rest[rest.len() - 1], 0]));
    }
    sum
}

/// Adds one 16-bit word given in host order.
pub fn add16(sum: u64, word: u16) -> u64 {
    sum + u64::from(u16::from_ne_bytes(word.to_be_bytes()))
}

/// Folds to 16 bits, in host order (not complemented).
pub fn fold(mut sum: u64) -> u16 {
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::from_be_bytes((sum as u16).to_ne_bytes())
}

/// The checksum of these bytes.
pub fn of(bytes: &[u8]) -> u16 {
    !fold(add(0, bytes))
}

/// Starts the sum of an IPv4 pseudo-header from the packet's 20 bytes.
pub fn pseudo4(ip: &[u8], proto: u8, len: usize) -> u64 {
    add16(add16(add(0, &ip[12..20]), u16::from(proto)), len as u16)
}

/// Starts the sum of an IPv6 pseudo-header from the packet's 40 bytes.
pub fn pseudo6(ip: &[u8], proto: u8, len: usize) -> u64 {
    let sum = add16(add(0, &ip[8..40]), u16::from(proto));
    add16(add16(sum, (len >> 16) as u16), len as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rfc_example() {
        let b = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(fold(add(0, &b)), 0xddf2);
    }

    #[test]
    fn odd_length_and_words() {
        assert_eq!(of(&[0x12]), !0x1200);
        assert_eq!(fold(add16(add(0, &[0x12, 0x34, 0x56]), 1)), 0x6835);
    }

    #[test]
    fn a_correct_header_sums_to_all_ones() {
        let mut ip = [
            0x45, 0, 0, 40, 1, 2, 0, 0, 64, 6, 0, 0, 10, 0, 3, 1, 10, 0, 3, 2,
        ];
        let c = of(&ip);
        ip[10..12].copy_from_slice(&c.to_be_bytes());
        assert_eq!(fold(add(0, &ip)), 0xffff);
    }
}
