// SPDX-License-Identifier: GPL-2.0
//! What the card does to a packet on its way out: checksums, segmentation, VLAN tag, padding.

use crate::csum;

const CMD_DEXT: u32 = 1 << 29;
const CMD_VLE: u32 = 1 << 30;
const CMD_TSE: u32 = 1 << 31;
const OPT_IXSM: u32 = 1 << 8;
const OPT_TXSM: u32 = 1 << 9;

const MIN_FRAME: usize = 60;
const TCP_FIN_PSH: u8 = 0x09;

/// Transport, as the context descriptor names it.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
enum L4 {
    #[default]
    Udp,
    Tcp,
    Sctp,
}

impl L4 {
    /// Where the checksum is in the transport header.
    fn csum_at(self) -> usize {
        match self {
            L4::Udp => 6,
            L4::Tcp => 16,
            L4::Sctp => 8,
        }
    }
}

/// The parameters a context descriptor leaves for the packets after it.
#[derive(Clone, Copy, Default, Debug)]
pub struct Context {
    mac_len: usize,
    ip_len: usize,
    l4_len: usize,
    mss: usize,
    vlan: u16,
    l4: L4,
}

impl Context {
    pub fn of(addr: u64, cmd: u32, opt: u32) -> Self {
        let w = addr as u32;
        Self {
            ip_len: (w & 0x1ff) as usize,
            mac_len: ((w >> 9) & 0x7f) as usize,
            vlan: (w >> 16) as u16,
            l4: match (cmd >> 11) & 3 {
                0 => L4::Udp,
                1 => L4::Tcp,
                _ => L4::Sctp,
            },
            l4_len: ((opt >> 8) & 0xff) as usize,
            mss: (opt >> 16) as usize,
        }
    }
}

/// Scratch space for outgoing frames.
#[derive(Default)]
pub struct Offload {
    out: Vec<u8>,
}

impl Offload {
    /// Sends one packet as one or several frames; false if its descriptors make no sense.
    pub fn send(
        &mut self,
        packet: &[u8],
        cmd: u32,
        opt: u32,
        ctx: &Context,
        mut wire: impl FnMut(&[u8]),
    ) -> bool {
        if packet.len() < 14 {
            return false;
        }
        let vlan = (cmd & CMD_VLE != 0 && cmd & CMD_DEXT != 0).then_some(ctx.vlan);
        if cmd & CMD_DEXT != 0 && cmd & CMD_TSE != 0 {
            return self.segment(packet, opt, ctx, vlan, &mut wire);
        }
        self.out.clear();
        self.out.extend_from_slice(packet);
        if cmd & CMD_DEXT != 0 {
            if opt & OPT_IXSM != 0 && !ip_csum(&mut self.out, ctx) {
                return false;
            }
            if opt & OPT_TXSM != 0 && !l4_csum(&mut self.out, ctx, 0) {
                return false;
            }
        }
        self.finish(vlan, &mut wire);
        true
    }

    fn finish(&mut self, vlan: Option<u16>, wire: &mut impl FnMut(&[u8])) {
        if let Some(tag) = vlan {
            let [hi, lo] = tag.to_be_bytes();
            self.out.splice(12..12, [0x81, 0x00, hi, lo]);
        }
        if self.out.len() < MIN_FRAME {
            self.out.resize(MIN_FRAME, 0);
        }
        wire(&self.out);
    }

    fn segment(
        &mut self,
        packet: &[u8],
        opt: u32,
        ctx: &Context,
        vlan: Option<u16>,
        wire: &mut impl FnMut(&[u8]),
    ) -> bool {
        let (ip, l4) = (ctx.mac_len, ctx.mac_len + ctx.ip_len);
        let head = l4 + ctx.l4_len;
        let least = match ctx.l4 {
            L4::Tcp => 20,
            L4::Udp => 8,
            L4::Sctp => return false,
        };
        if ctx.mss == 0 || ctx.l4_len < least || ctx.ip_len < 20 || head > packet.len() {
            return false;
        }
        let v4 = packet[ip] >> 4 == 4;
        let payload = &packet[head..];
        let count = payload.len().div_ceil(ctx.mss).max(1);
        for i in 0..count {
            let from = i * ctx.mss;
            let piece = &payload[from..payload.len().min(from + ctx.mss)];
            self.out.clear();
            self.out.extend_from_slice(&packet[..head]);
            self.out.extend_from_slice(piece);
            let out = &mut self.out;
            if v4 {
                let total = (ctx.ip_len + ctx.l4_len + piece.len()) as u16;
                put16(out, ip + 2, total);
                let id = get16(out, ip + 4).wrapping_add(i as u16);
                put16(out, ip + 4, id);
                if opt & OPT_IXSM != 0 {
                    ip_csum(out, ctx);
                }
            } else {
                let total = (ctx.ip_len - 40.min(ctx.ip_len) + ctx.l4_len + piece.len()) as u16;
                put16(out, ip + 4, total);
            }
            if ctx.l4 == L4::Tcp {
                let s = [out[l4 + 4], out[l4 + 5], out[l4 + 6], out[l4 + 7]];
                let seq = u32::from_be_bytes(s).wrapping_add(from as u32);
                out[l4 + 4..l4 + 8].copy_from_slice(&seq.to_be_bytes());
                if i + 1 < count {
                    out[l4 + 13] &= !TCP_FIN_PSH;
                }
            } else {
                put16(out, l4 + 4, (ctx.l4_len + piece.len()) as u16);
            }
            if opt & OPT_TXSM != 0 {
                // The field holds the pseudo-header's sum without the length.
                l4_csum(out, ctx, (ctx.l4_len + piece.len()) as u16);
            }
            self.finish(vlan, wire);
        }
        true
    }
}

fn get16(f: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([f[at], f[at + 1]])
}

fn put16(f: &mut [u8], at: usize, v: u16) {
    f[at..at + 2].copy_from_slice(&v.to_be_bytes());
}

/// Inserts the IPv4 header checksum.
fn ip_csum(f: &mut [u8], ctx: &Context) -> bool {
    let (at, end) = (ctx.mac_len, ctx.mac_len + ctx.ip_len);
    if ctx.ip_len < 20 || end > f.len() {
        return false;
    }
    put16(f, at + 10, 0);
    let c = csum::of(&f[at..end]);
    put16(f, at + 10, c);
    true
}

/// Inserts the transport checksum; the field already holds the pseudo-header's sum, `extra` is
/// what is missing in it.
fn l4_csum(f: &mut [u8], ctx: &Context, extra: u16) -> bool {
    let l4 = ctx.mac_len + ctx.ip_len;
    let at = l4 + ctx.l4.csum_at();
    if ctx.l4 == L4::Sctp {
        if at + 4 > f.len() {
            return false;
        }
        f[at..at + 4].fill(0);
        let c = crc32c(&f[l4..]);
        f[at..at + 4].copy_from_slice(&c.to_le_bytes());
        return true;
    }
    if at + 2 > f.len() {
        return false;
    }
    let c = match !csum::fold(csum::add16(csum::add(0, &f[l4..]), extra)) {
        0 if ctx.l4 == L4::Udp => 0xffff,
        c => c,
    };
    put16(f, at, c);
    true
}

/// CRC-32C, as SCTP uses it.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |mut crc, &b| {
        crc ^= u32::from(b);
        for _ in 0..8 {
            crc = (crc >> 1) ^ if crc & 1 != 0 { 0x82f6_3b78 } else { 0 };
        }
        crc
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rx::parse::{status, Parsed, L4 as Found};
    use crate::wire::frame::{udp4, IP, UDP};

    const EXT: u32 = CMD_DEXT;

    fn context(l4: u32, l4_len: u32, mss: u32) -> Context {
        Context::of(
            u64::from(20u32 | (14 << 9) | (7 << 16)),
            l4 << 11,
            (l4_len << 8) | (mss << 16),
        )
    }

    fn send(p: &[u8], cmd: u32, opt: u32, ctx: &Context) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        let mut off = Offload::default();
        assert!(off.send(p, cmd, opt, ctx, |f| out.push(f.to_vec())));
        out
    }

    fn good(f: &[u8]) -> bool {
        let st = Parsed::of(f, 0x8100).status;
        st & status::L4CS != 0 && st & (status::L4E | status::IPE) == 0
    }

    /// A TCP segment of `n` bytes as a driver hands it over: the checksum field holds the
    /// pseudo-header's sum, with the length or without.
    fn tcp(n: usize, with_len: bool) -> Vec<u8> {
        let payload: Vec<u8> = (0..n + 12).map(|i| i as u8).collect();
        let mut f = udp4([10, 0, 3, 1], [10, 0, 3, 2], 80, 90, &payload);
        f[IP + 9] = 6;
        f[UDP + 4..UDP + 20].fill(0);
        f[UDP + 4..UDP + 8].copy_from_slice(&0xffff_ff00u32.to_be_bytes());
        f[UDP + 12] = 0x50;
        f[UDP + 13] = 0x19; // ACK PSH FIN
        let len = if with_len { f.len() - UDP } else { 0 };
        let pseudo = csum::fold(csum::pseudo4(&f[IP..UDP], 6, len));
        put16(&mut f, UDP + 16, pseudo);
        put16(&mut f, IP + 10, 0);
        f
    }

    #[test]
    fn checksums_are_inserted() {
        let f = tcp(100, true);
        assert!(!good(&f));
        let out = send(&f, EXT, OPT_TXSM | OPT_IXSM, &context(1, 20, 0));
        assert!(good(&out[0]));
    }

    #[test]
    fn tcp_segmentation() {
        let f = tcp(2500, false);
        let out = send(
            &f,
            EXT | CMD_TSE,
            OPT_TXSM | OPT_IXSM,
            &context(1, 20, 1000),
        );
        let sizes: Vec<usize> = out.iter().map(|s| s.len() - 54).collect();
        assert_eq!(sizes, [1000, 1000, 500]);
        let mut data = Vec::new();
        for (i, s) in out.iter().enumerate() {
            assert!(good(s), "segment {i}");
            assert_eq!(Parsed::of(s, 0x8100).l4, Found::Tcp);
            let seq = u32::from_be_bytes(s[UDP + 4..UDP + 8].try_into().unwrap());
            assert_eq!(seq, 0xffff_ff00u32.wrapping_add(1000 * i as u32));
            assert_eq!(get16(s, IP + 4), i as u16);
            assert_eq!(s[UDP + 13], if i == 2 { 0x19 } else { 0x10 });
            data.extend_from_slice(&s[54..]);
        }
        assert_eq!(data, f[54..]);
    }

    #[test]
    fn udp_segmentation() {
        let mut f = udp4([10, 0, 3, 1], [10, 0, 3, 2], 80, 90, &[7; 250]);
        let pseudo = csum::fold(csum::pseudo4(&f[IP..UDP], 17, 0));
        put16(&mut f, UDP + 6, pseudo);
        let out = send(&f, EXT | CMD_TSE, OPT_TXSM | OPT_IXSM, &context(0, 8, 100));
        assert_eq!(out.len(), 3);
        assert!(out.iter().all(|s| good(s)));
        assert_eq!(get16(&out[2], UDP + 4), 58);
    }

    #[test]
    fn a_tag_is_inserted() {
        let f = udp4([10, 0, 3, 1], [10, 0, 3, 2], 80, 90, &[7; 50]);
        let out = send(&f, EXT | CMD_VLE, 0, &context(0, 8, 0));
        assert_eq!(out[0][12..16], [0x81, 0, 0, 7]);
        assert_eq!(Parsed::of(&out[0], 0x8100).vlan, Some(7));
        assert!(good(&out[0]));
    }

    #[test]
    fn nonsense_is_refused() {
        let f = tcp(100, false);
        let mut off = Offload::default();
        for ctx in [context(1, 20, 0), context(1, 8, 100), context(2, 20, 100)] {
            assert!(!off.send(&f, EXT | CMD_TSE, OPT_TXSM, &ctx, |_| ()));
        }
        assert!(!off.send(&f[..40], EXT, OPT_TXSM, &context(1, 20, 0), |_| ()));
        assert!(!off.send(&f[..10], EXT, 0, &context(1, 20, 0), |_| ()));
    }

    #[test]
    fn sctp_has_a_crc() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }
}
