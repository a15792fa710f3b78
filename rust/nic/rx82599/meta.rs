// SPDX-License-Identifier: GPL-2.0

//! What a written-back descriptor says of its frame, in terms that belong to no card.
//!
//! A pass of its own over descriptors that [`super::import`] has taken, made only for rings whose
//! program has asked, so that others pay nothing. Only the last descriptor of a frame says
//! anything (data sheet 7.1.6.2); entries beside earlier ones are marked as saying nothing.

use super::EOP;
use crate::shm::{RxDesc, RxMeta};
use crate::uapi::ext::meta;

/// Second word: a flow director filter matched.
const FLM: u64 = 1 << 2;
/// The card has taken a VLAN tag out of the frame; it is in the descriptor.
const VP: u64 = 1 << 3;
/// The TCP or UDP checksum was verified.
const L4CS: u64 = 1 << 5;
/// The IPv4 header checksum was verified.
const IPCS: u64 = 1 << 6;
/// The card holds a timestamp for the frame.
const TS: u64 = 1 << 16;
/// The TCP or UDP checksum is wrong.
const L4E: u64 = 1 << 30;
/// The IPv4 header checksum is wrong.
const IPE: u64 = 1 << 31;
const VLAN_SHIFT: u32 = 48;

/// First word: kind of the hash.
const RSS_TYPE: u64 = 0xf;
const PTYPE_SHIFT: u32 = 4;
const PTYPE: u64 = 0x1fff;
const HASH_SHIFT: u32 = 32;

/// Packet type: its low bits number an EtherType filter instead of what is below.
const P_ETQF: u32 = 0x800;
const P_IPV4: u32 = 0x1;
const P_IPV4_EXT: u32 = 0x2;
const P_IPV6: u32 = 0x4;
const P_IPV6_EXT: u32 = 0x8;
const P_TCP: u32 = 0x10;
const P_UDP: u32 = 0x20;
const P_SCTP: u32 = 0x40;

/// What has to be asked elsewhere, for a frame whose descriptor does not say it.
pub(crate) trait Ask {
    /// The VLAN tag that stands in the frame which begins in slot `first`.
    fn vlan(&mut self, first: usize) -> Option<u16>;
    /// The hardware timestamp the card holds.
    fn timestamp(&mut self) -> Option<u64>;
}

/// `flag` if any of `bits` is set in `word`.
#[inline(always)]
fn flag_if(word: u32, bits: u32, flag: u32) -> u32 {
    if word & bits != 0 {
        flag
    } else {
        0
    }
}

/// What a packet type means.
#[inline(always)]
fn layers(ptype: u32) -> u32 {
    if ptype & P_ETQF != 0 {
        return meta::ETYPE;
    }
    flag_if(ptype, P_IPV4 | P_IPV4_EXT, meta::IPV4)
        | flag_if(ptype, P_IPV6 | P_IPV6_EXT, meta::IPV6)
        | flag_if(ptype, P_IPV4_EXT | P_IPV6_EXT, meta::IP_EXT)
        | flag_if(ptype, P_TCP, meta::TCP)
        | flag_if(ptype, P_UDP, meta::UDP)
        | flag_if(ptype, P_SCTP, meta::SCTP)
}

/// The verdict on a checksum: `ok` or `bad` if it was verified.
#[inline(always)]
fn verdict(hi: u64, verified: u64, wrong: u64, ok: u32, bad: u32) -> u32 {
    match (hi & verified != 0, hi & wrong != 0) {
        (false, _) => 0,
        (true, false) => ok,
        (true, true) => bad,
    }
}

/// Describes the frames in descriptors that are all done; `slot` is beside the first descriptor,
/// `begin` the slot in which the frame it belongs to began. Returns where the frame begins that
/// goes on behind the last descriptor. Both slices are equally long.
pub(crate) fn describe(
    descs: &[RxDesc],
    entries: &[RxMeta],
    begin: usize,
    slot: usize,
    ask: &mut impl Ask,
) -> usize {
    let mut first = begin;
    for (i, (desc, entry)) in descs.iter().zip(entries).enumerate() {
        let hi = desc.hi.get();
        if hi & EOP == 0 {
            entry.flags.set(0);
            continue;
        }
        let lo = desc.lo.get();
        let ptype = ((lo >> PTYPE_SHIFT) & PTYPE) as u32;
        let hash_type = (lo & RSS_TYPE) as u32;
        let mut flags = meta::VALID
            | layers(ptype)
            | flag_if(hash_type, !0, meta::HASH)
            | (hash_type << meta::HASH_TYPE_SHIFT)
            | flag_if((hi & FLM) as u32, !0, meta::FLOW)
            | verdict(hi, IPCS, IPE, meta::L3_OK, meta::L3_BAD)
            | verdict(hi, L4CS, L4E, meta::L4_OK, meta::L4_BAD);
        let tag = if hi & VP != 0 {
            Some((hi >> VLAN_SHIFT) as u16)
        } else {
            ask.vlan(first)
        };
        if tag.is_some() {
            flags |= meta::VLAN;
        }
        let stamp = if hi & TS != 0 { ask.timestamp() } else { None };
        if stamp.is_some() {
            flags |= meta::TSTAMP;
        }
        entry.tstamp_ns.set(stamp.unwrap_or(0));
        entry.hash.set((lo >> HASH_SHIFT) as u32);
        entry
            .vlan_ptype
            .set(u32::from(tag.unwrap_or(0)) | (ptype << 16));
        entry.flags.set(flags);
        first = slot + i + 1;
    }
    first
}
