// SPDX-License-Identifier: GPL-2.0
//! A filter rule as the ethtool ioctl wants it (`struct ethtool_rx_flow_spec`).

use super::spec::{Field, Proto, Spec};
use std::mem::{offset_of, size_of};

const TCP_V4_FLOW: u32 = 0x01;
const UDP_V4_FLOW: u32 = 0x02;
const IP_USER_FLOW: u32 = 0x0d;
const FLOW_EXT: u32 = 0x8000_0000;
const ETH_RX_NFC_IP4: u8 = 1;

/// A flow, its mask, its queue and its place.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct FlowSpec {
    flow_type: u32,
    h_u: [u8; 52],
    h_ext: [u8; 20],
    m_u: [u8; 52],
    m_ext: [u8; 20],
    ring_cookie: u64,
    /// Place in the table.
    pub location: u32,
}

const _: () = {
    assert!(size_of::<FlowSpec>() == 168 && offset_of!(FlowSpec, ring_cookie) == 152);
};

impl FlowSpec {
    /// Matches nothing yet.
    pub fn empty() -> Self {
        Self {
            flow_type: 0,
            h_u: [0; 52],
            h_ext: [0; 20],
            m_u: [0; 52],
            m_ext: [0; 20],
            ring_cookie: 0,
            location: 0,
        }
    }

    /// Both header layouts have addresses at 0 and 4; ports are at 8 and 10, the
    /// VLAN tag at 10 of the extension. All in network byte order.
    pub fn new(spec: &Spec, place: u32) -> Self {
        let mut fs = Self::empty();
        fs.flow_type = match spec.proto {
            Proto::Udp4 => UDP_V4_FLOW,
            Proto::Tcp4 => TCP_V4_FLOW,
            Proto::Ip4 => IP_USER_FLOW,
        };
        if spec.proto == Proto::Ip4 {
            fs.h_u[13] = ETH_RX_NFC_IP4;
        }
        for (at, field) in [(0, spec.src_ip), (4, spec.dst_ip)] {
            if let Some(f) = field {
                fs.h_u[at..at + 4].copy_from_slice(&f.value.to_be_bytes());
                fs.m_u[at..at + 4].copy_from_slice(&f.mask.to_be_bytes());
            }
        }
        for (at, field) in [(8, spec.src_port), (10, spec.dst_port)] {
            if let Some(f) = field {
                fs.h_u[at..at + 2].copy_from_slice(&f.value.to_be_bytes());
                fs.m_u[at..at + 2].copy_from_slice(&f.mask.to_be_bytes());
            }
        }
        if let Some(f) = spec.vlan {
            fs.flow_type |= FLOW_EXT;
            fs.h_ext[10..12].copy_from_slice(&f.value.to_be_bytes());
            fs.m_ext[10..12].copy_from_slice(&f.mask.to_be_bytes());
        }
        fs.ring_cookie = spec.action.unwrap_or(0).into();
        fs.location = place;
        fs
    }

    /// What it matches; None for kinds of rules we never make.
    pub fn spec(&self) -> Option<Spec> {
        let proto = match self.flow_type & !FLOW_EXT {
            UDP_V4_FLOW => Proto::Udp4,
            TCP_V4_FLOW => Proto::Tcp4,
            IP_USER_FLOW => Proto::Ip4,
            _ => return None,
        };
        let ip = |at: usize| {
            let mask = u32::from_be_bytes(self.m_u[at..at + 4].try_into().ok()?);
            let value = u32::from_be_bytes(self.h_u[at..at + 4].try_into().ok()?) & mask;
            (mask != 0).then_some(Field { value, mask })
        };
        let short = |h: &[u8], m: &[u8], at: usize| {
            let mask = u16::from_be_bytes([m[at], m[at + 1]]);
            let value = u16::from_be_bytes([h[at], h[at + 1]]) & mask;
            (mask != 0).then_some(Field { value, mask })
        };
        Some(Spec {
            proto,
            src_ip: ip(0),
            dst_ip: ip(4),
            src_port: short(&self.h_u, &self.m_u, 8),
            dst_port: short(&self.h_u, &self.m_u, 10),
            vlan: short(&self.h_ext, &self.m_ext, 10),
            action: u16::try_from(self.ring_cookie).ok(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_survive_the_kernel_layout() {
        for text in [
            "udp4 dst-port 53 action 4",
            "tcp4 src-ip 192.0.2.0 m 0.0.0.255 dst-ip 10.0.3.1 src-port 7 action 0",
            "ip4 dst-ip 10.0.3.1 vlan 7 m 0xf000 action 9",
        ] {
            let spec: Spec = text.parse().expect(text);
            let fs = FlowSpec::new(&spec, 2045);
            assert_eq!(fs.location, 2045);
            assert_eq!(fs.spec(), Some(spec));
        }
    }

    #[test]
    fn ports_are_in_network_byte_order() {
        let spec: Spec = "udp4 dst-port 53 action 4".parse().expect("parses");
        let fs = FlowSpec::new(&spec, 0);
        assert_eq!(&fs.h_u[8..12], &[0, 0, 0, 53]);
        assert_eq!(&fs.m_u[8..12], &[0, 0, 0xff, 0xff]);
    }
}
