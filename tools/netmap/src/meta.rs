// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the card knows about a received packet, in entries beside the slots.

use crate::abi::ext::{self, nm_rx_meta};
use std::time::Duration;

/// The card's verdict on a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// It did not look: no such header, a fragment, or switched off.
    Unknown,
    /// It is right.
    Good,
    /// It is wrong.
    Bad,
}

/// What the card knows about a packet; got by [`crate::RxSlot::meta`].
#[derive(Clone, Copy, Debug)]
pub struct RxMeta(nm_rx_meta);

impl From<nm_rx_meta> for RxMeta {
    fn from(raw: nm_rx_meta) -> Self {
        Self(raw)
    }
}

impl RxMeta {
    fn has(&self, flag: u32) -> bool {
        self.0.flags & flag != 0
    }

    fn verdict(&self, good: u32, bad: u32) -> Checksum {
        match (self.has(good), self.has(bad)) {
            (_, true) => Checksum::Bad,
            (true, false) => Checksum::Good,
            (false, false) => Checksum::Unknown,
        }
    }

    /// Does the entry say anything? Of a packet in several slots only the last one's.
    pub fn is_valid(&self) -> bool {
        self.has(ext::NM_META_VALID)
    }

    /// RSS hash.
    pub fn hash(&self) -> Option<u32> {
        self.has(ext::NM_META_HASH).then_some(self.0.hash)
    }

    /// What the hash was computed over, in the card's own numbers.
    pub fn hash_type(&self) -> u8 {
        ((self.0.flags >> ext::NM_META_HASH_TYPE_SHIFT) & 0xf) as u8
    }

    /// VLAN tag: priority in the upper bits, id in the lower 12.
    pub fn vlan(&self) -> Option<u16> {
        self.has(ext::NM_META_VLAN).then_some(self.0.vlan)
    }

    /// When the packet arrived, by the card's clock.
    pub fn timestamp(&self) -> Option<Duration> {
        self.has(ext::NM_META_TSTAMP)
            .then(|| Duration::from_nanos(self.0.tstamp_ns))
    }

    /// IPv4 header checksum.
    pub fn ip_checksum(&self) -> Checksum {
        self.verdict(ext::NM_META_L3_OK, ext::NM_META_L3_BAD)
    }

    /// TCP, UDP or SCTP checksum.
    pub fn l4_checksum(&self) -> Checksum {
        self.verdict(ext::NM_META_L4_OK, ext::NM_META_L4_BAD)
    }

    /// Is it IPv4?
    pub fn is_ipv4(&self) -> bool {
        self.has(ext::NM_META_IPV4)
    }

    /// Is it IPv6?
    pub fn is_ipv6(&self) -> bool {
        self.has(ext::NM_META_IPV6)
    }

    /// Is it TCP?
    pub fn is_tcp(&self) -> bool {
        self.has(ext::NM_META_TCP)
    }

    /// Is it UDP?
    pub fn is_udp(&self) -> bool {
        self.has(ext::NM_META_UDP)
    }

    /// Did a flow director filter (`ethtool -N`) choose the queue?
    pub fn is_steered(&self) -> bool {
        self.has(ext::NM_META_FLOW)
    }

    /// The entry as it is.
    pub fn raw(&self) -> &nm_rx_meta {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_flags_vouch_for_is_told() {
        let mut raw = nm_rx_meta {
            tstamp_ns: 1_500_000_000,
            hash: 7,
            vlan: 0x2005,
            ..Default::default()
        };
        let m = RxMeta::from(raw);
        assert!(!m.is_valid() && m.hash().is_none() && m.vlan().is_none());
        assert!(m.timestamp().is_none());
        raw.flags = 0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x80 | 0x100 | 0x1000 | 0x0500_0000;
        let m = RxMeta::from(raw);
        assert_eq!(
            (m.hash(), m.vlan(), m.hash_type()),
            (Some(7), Some(0x2005), 5)
        );
        assert_eq!(m.timestamp(), Some(Duration::from_millis(1500)));
        assert_eq!(m.ip_checksum(), Checksum::Good);
        assert_eq!(m.l4_checksum(), Checksum::Bad);
        assert!(m.is_ipv4() && m.is_udp() && !m.is_tcp() && !m.is_ipv6());
    }
}
