// SPDX-License-Identifier: GPL-2.0
//! Ethernet frames made and read by the tests: UDP, ICMP echo, a VLAN tag.

/// Card's address in the lab.
pub const CARD_MAC: [u8; 6] = [0xa0, 0x36, 0x9f, 0x82, 0x59, 0x90];
/// The second card's.
pub const CARD2_MAC: [u8; 6] = [0xa0, 0x36, 0x9f, 0x82, 0x59, 0xa0];
/// Nobody's: frames to it end at the wire.
pub const NOBODY_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x99];
/// The lab's other end of the wire.
pub const PEER_MAC: [u8; 6] = [0x02, 0, 0, 0, 0x03, 0x02];
pub const CARD_IP: [u8; 4] = [10, 0, 3, 1];
pub const PEER_IP: [u8; 4] = [10, 0, 3, 2];

/// EtherType for local experiments (IEEE 802, 88b5): nothing answers it.
pub const EXPERIMENT: [u8; 2] = [0x88, 0xb5];

/// Ethernet, IPv4 and UDP headers together.
pub const UDP_HEADERS: usize = 14 + 20 + 8;

/// Ones' complement sum of 16-bit words, not yet folded.
fn sum16(bytes: &[u8]) -> u32 {
    bytes
        .chunks(2)
        .map(|c| u32::from(u16::from_be_bytes([c[0], *c.get(1).unwrap_or(&0)])))
        .sum()
}

fn fold(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn ethernet(ethertype: u16) -> Vec<u8> {
    let mut f = Vec::new();
    f.extend(CARD_MAC);
    f.extend(PEER_MAC);
    f.extend(ethertype.to_be_bytes());
    f
}

fn ipv4(protocol: u8, src: [u8; 4], dst: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut h = vec![0x45, 0];
    h.extend((20 + payload.len() as u16).to_be_bytes());
    h.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
    h.extend(src);
    h.extend(dst);
    let sum = fold(sum16(&h));
    h[10..12].copy_from_slice(&sum.to_be_bytes());
    h.extend(payload);
    h
}

/// A UDP frame from the peer to the card, padded to 60 bytes.
pub fn udp(sport: u16, dport: u16, payload: &[u8]) -> Vec<u8> {
    udp_from(PEER_IP, sport, dport, payload)
}

/// As [`udp`], from any address.
pub fn udp_from(src: [u8; 4], sport: u16, dport: u16, payload: &[u8]) -> Vec<u8> {
    let len = 8 + payload.len() as u16;
    let mut u = Vec::new();
    u.extend(sport.to_be_bytes());
    u.extend(dport.to_be_bytes());
    u.extend(len.to_be_bytes());
    u.extend([0, 0]);
    u.extend(payload);
    let pseudo = sum16(&src) + sum16(&CARD_IP) + 17 + u32::from(len);
    let sum = match fold(pseudo + sum16(&u)) {
        0 => 0xffff,
        s => s,
    };
    u[6..8].copy_from_slice(&sum.to_be_bytes());
    let mut f = ethernet(0x0800);
    f.extend(ipv4(17, src, CARD_IP, &u));
    pad(f)
}

/// A UDP frame of exactly `size` bytes whose payload is [`pattern`] of `seq`.
pub fn udp_sized(dport: u16, seq: u32, size: usize) -> Vec<u8> {
    udp(40000, dport, &pattern(seq, size - UDP_HEADERS))
}

/// A frame of exactly `size` bytes for a program to send: from the card to nobody, with
/// [`pattern`] of `seq` behind the experimental EtherType.
pub fn outgoing(seq: u32, size: usize) -> Vec<u8> {
    let mut f = NOBODY_MAC.to_vec();
    f.extend(CARD_MAC);
    f.extend(EXPERIMENT);
    f.extend(pattern(seq, size - 14));
    f
}

/// The sequence number of a frame that [`outgoing`] made, if it is one and intact. The
/// card pads to 60 bytes.
pub fn outgoing_seq(f: &[u8]) -> Option<u32> {
    let seq = u32::from_be_bytes(f.get(14..18)?.try_into().ok()?);
    (f[12..14] == EXPERIMENT && f == outgoing(seq, f.len())).then_some(seq)
}

/// The same frame to another address.
pub fn to_mac(frame: &[u8], mac: [u8; 6]) -> Vec<u8> {
    let mut f = mac.to_vec();
    f.extend(&frame[6..]);
    f
}

/// An ICMP echo request from `src` to the card.
pub fn ping(src: [u8; 4], id: u16, seq: u16, payload: &[u8]) -> Vec<u8> {
    let mut m = vec![8, 0, 0, 0];
    m.extend(id.to_be_bytes());
    m.extend(seq.to_be_bytes());
    m.extend(payload);
    let sum = fold(sum16(&m));
    m[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut f = ethernet(0x0800);
    f.extend(ipv4(1, src, CARD_IP, &m));
    pad(f)
}

/// Puts an 802.1Q tag into a frame.
pub fn tagged(frame: &[u8], tci: u16) -> Vec<u8> {
    let mut f = frame[..12].to_vec();
    f.extend([0x81, 0x00]);
    f.extend(tci.to_be_bytes());
    f.extend(&frame[12..]);
    f
}

fn pad(mut f: Vec<u8>) -> Vec<u8> {
    if f.len() < 60 {
        f.resize(60, 0);
    }
    f
}

/// Bytes that depend on the sequence number and on the place: a shifted,
/// repeated or foreign frame does not compare equal.
pub fn pattern(seq: u32, len: usize) -> Vec<u8> {
    let mut p = seq.to_be_bytes().to_vec();
    p.extend((4..len.max(4)).map(|i| (seq.wrapping_mul(31) as usize + i * 7 + i / 251) as u8));
    p.truncate(len);
    p
}

/// A UDP datagram found in a frame.
#[derive(Debug)]
pub struct Udp<'a> {
    pub dport: u16,
    pub payload: &'a [u8],
}

/// The UDP datagram in an untagged IPv4 frame, if there is one.
pub fn parse_udp(f: &[u8]) -> Option<Udp<'_>> {
    if f.len() < UDP_HEADERS || f[12..14] != [0x08, 0x00] || f[14] != 0x45 || f[23] != 17 {
        return None;
    }
    let len = usize::from(u16::from_be_bytes([f[38], f[39]]));
    Some(Udp {
        dport: u16::from_be_bytes([f[36], f[37]]),
        payload: f.get(42..34 + len)?,
    })
}

/// What is wrong with an IPv4 frame as the wire must see it: too long for `mtu`, or a checksum
/// that is not right. Other protocols than UDP, TCP and ICMP are taken as they are.
pub fn wrong_on_wire(f: &[u8], mtu: usize) -> Option<String> {
    if f.len() > mtu + 18 {
        return Some(format!("{} bytes with MTU {mtu}", f.len()));
    }
    let at = if f.get(12..14) == Some(&[0x81, 0x00]) {
        18
    } else {
        14
    };
    if f.get(at - 2..at) != Some(&[0x08, 0x00]) {
        return None;
    }
    let (h, total) = match (f.get(at), f.get(at + 2..at + 4)) {
        (Some(v), Some(t)) => (
            usize::from(v & 15) * 4,
            usize::from(u16::from_be_bytes([t[0], t[1]])),
        ),
        _ => return Some("cut short".into()),
    };
    let Some(ip) = f.get(at..at + total).filter(|ip| ip.len() >= h && h >= 20) else {
        return Some(format!("IP length {total} in a frame of {}", f.len()));
    };
    if fold(sum16(&ip[..h])) != 0 {
        return Some("wrong IP header checksum".into());
    }
    let body = &ip[h..];
    let fragment = u16::from_be_bytes([ip[6], ip[7]]) & 0x3fff != 0;
    let pseudo = match ip[9] {
        _ if fragment => return None,
        17 if body.get(6..8) == Some(&[0, 0]) => return Some("UDP without checksum".into()),
        6 | 17 => sum16(&ip[12..20]) + u32::from(ip[9]) + body.len() as u32,
        1 => 0,
        _ => return None,
    };
    (fold(pseudo + sum16(body)) != 0).then(|| format!("wrong checksum, protocol {}", ip[9]))
}

/// Is this an ICMP echo reply with this identifier?
pub fn is_echo_reply(f: &[u8], id: u16) -> bool {
    f.len() >= 42
        && f[12..14] == [0x08, 0x00]
        && f[23] == 1
        && f[34] == 0
        && f[38..40] == id.to_be_bytes()
}

/// What the card's generators put first into the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub flow: u32,
    pub seq: u64,
}

/// Flow and sequence number of a generated payload.
pub fn mark(payload: &[u8]) -> Option<Mark> {
    if payload.len() < 16 || &payload[..4] != b"NMSQ" {
        return None;
    }
    Some(Mark {
        flow: u32::from_le_bytes(payload[4..8].try_into().ok()?),
        seq: u64::from_le_bytes(payload[8..16].try_into().ok()?),
    })
}

/// Lower-case hex, as the card's control channel takes it.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |d: u8| char::from(b"0123456789abcdef"[usize::from(d)]);
    let digits = bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]);
    digits.collect()
}

/// The bytes of a hex string.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    if text.len() % 2 != 0 || !text.is_ascii() {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).ok())
        .collect()
}
