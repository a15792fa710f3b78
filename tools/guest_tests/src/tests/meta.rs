// SPDX-License-Identifier: GPL-2.0
//! Metadata of received frames (our option 0x4e4d01, `Documentation/netmap-api.md`): what the
//! card says of a frame is beside its slot, for those who ask for it and for nobody else.

use super::abi_register::rx;
use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::{header, one_rx, Fd};
use crate::frame::{tagged, udp, udp_from, udp_sized, UDP_HEADERS};
use crate::mem::Ring;
use crate::nic::Nic;
use crate::port::{Port, DPORT, OTHER_PORT, Q};
use crate::setup::eventually;
use crate::steer::{ethtool, ifname, num_queues, Feature, Mtu, Rss, Rule};
use anyhow::{Context, Result};
use std::time::Duration;

tests! { "meta":
    option_tells_where_the_entries_are,
    entries_are_beside_the_slots_and_overlap_nothing,
    hash_names_the_ring_the_card_chose,
    checksum_verdicts_of_good_and_damaged_frames,
    vlan_tag_is_reported_and_stays_in_the_frame,
    steered_frames_are_marked_as_such,
    frame_in_several_slots_has_its_entry_at_the_last @ 90 | flaps,
    entries_follow_the_ring_around,
    ring_without_the_option_has_no_entries_and_can_not_be_joined_for_them,
    option_on_rings_already_bound_without_it_gives_an_error_and_rolls_back,
}

const SOON: Duration = Duration::from_secs(10);

fn option() -> OptRxMeta {
    OptRxMeta {
        opt: Opt {
            reqtype: OPT_RX_META,
            status: 0x5a5a,
            size: 40,
            ..Default::default()
        },
        ..Default::default()
    }
}

/// REGISTER with the option.
fn register(mut reg: Register, opt: &mut OptRxMeta) -> Sys<Port> {
    let fd = Fd::open()?;
    let mut hdr = header(&ifname(), REQ_REGISTER);
    hdr.body = &raw mut reg as u64;
    hdr.options = &raw mut *opt as u64;
    fd.ctrl(&mut hdr)?;
    Port::mapped(fd, reg)
}

pub(super) fn open(reg: Register) -> Result<(Port, OptRxMeta)> {
    let mut opt = option();
    let port = want_ok("REGISTER with RX_META", register(reg, &mut opt))?;
    want_eq("nro_status", opt.opt.status, 0)?;
    Ok((port, opt))
}

/// The entry of slot `i`.
fn entry(ring: &Ring, opt: &OptRxMeta, i: u32) -> RxMeta {
    let at = ring.off + opt.ofs as usize + (i * opt.size) as usize;
    let m = &ring.mem;
    RxMeta {
        tstamp_ns: m.get(at),
        hash: m.get(at + 8),
        vlan: m.get(at + 12),
        ptype: m.get(at + 14),
        flags: m.get(at + 16),
        spare: [m.get(at + 20), m.get(at + 24), m.get(at + 28)],
    }
}

/// Queue `Q` with the option and nothing but what is steered to it.
struct Lane {
    _rule: Rule,
    port: Port,
    opt: OptRxMeta,
    _rss: Rss,
}

fn lane() -> Result<Lane> {
    let rss = Rss::without(&[Q])?;
    let (port, opt) = open(one_rx(Q))?;
    Ok(Lane {
        _rule: Rule::udp(DPORT, Q)?,
        port,
        opt,
        _rss: rss,
    })
}

impl Lane {
    /// One frame arrives; its entry, and the frame as the ring has it.
    fn take(&self, nic: &Nic, frame: &[u8]) -> Result<(RxMeta, Vec<u8>)> {
        let ring = self.port.ring(Q)?;
        nic.send(frame)?;
        eventually("the frame is in the ring", SOON, || {
            want_ok("RXSYNC", self.port.fd.rxsync())?;
            Ok(ring.space() > 0)
        })?;
        let last = (ring.tail() + ring.n - 1) % ring.n;
        let m = entry(&ring, &self.opt, last);
        let f = ring.take().pop().context("no frame")?;
        want(&format!("valid: {m:x?}"), m.flags & meta::VALID != 0)?;
        want_eq("spare", m.spare, [0; 3])?;
        Ok((m, f))
    }
}

fn option_tells_where_the_entries_are() -> Result<()> {
    let (port, opt) = open(one_rx(Q))?;
    let ring = port.ring(Q)?;
    let slots = (256 + 16 * ring.n).next_multiple_of(64);
    want_eq("offset, size", (opt.ofs, opt.size), (slots, 32))?;
    let small = |size| {
        let mut opt = option();
        opt.opt.size = size;
        opt
    };
    println!(
        "nro_size 24: {:?}",
        register(one_rx(Q + 1), &mut small(24)).map(drop)
    );
    Ok(())
}

/// Neither slots nor buffers nor another ring is where the entries are.
fn entries_are_beside_the_slots_and_overlap_nothing() -> Result<()> {
    let (port, opt) = open(rx(ALL_NIC, 0, RX_ONLY))?;
    let pools = port.fd.pools_info(&ifname())?;
    let mut spans = Vec::new();
    for q in 0..num_queues("rx-")? {
        let ring = port.ring(q)?;
        let end = ring.off + (opt.ofs + opt.size * ring.n) as usize;
        want("inside the ring pool", end as u64 <= pools.buf_offset)?;
        spans.push((ring.off, end));
        // all of it can be read
        for i in 0..ring.n {
            want_eq("flags of an unused slot", entry(&ring, &opt, i).flags, 0)?;
        }
    }
    spans.sort_unstable();
    want(
        "rings do not overlap",
        spans.windows(2).all(|w| w[0].1 <= w[1].0),
    )
}

/// The RSS table as ethtool shows it: the ring of each hash.
fn table() -> Result<Vec<u32>> {
    let text = ethtool("-x", &[])?;
    let lines = text.lines().filter_map(|l| l.trim().split_once(": "));
    let rows = lines.filter(|(k, _)| k.parse::<u32>().is_ok());
    let all: Vec<u32> = rows
        .flat_map(|(_, v)| v.split_whitespace().filter_map(|w| w.parse().ok()))
        .collect();
    want(&format!("a table of 128: {}", all.len()), all.len() == 128)?;
    Ok(all)
}

/// Frames of many addresses: the hash, looked up in the port's table, is the ring each came by.
fn hash_names_the_ring_the_card_chose() -> Result<()> {
    let (port, opt) = open(rx(ALL_NIC, 0, RX_ONLY))?;
    let (nic, table) = (Nic::open()?, table()?);
    let count = 100;
    for k in 0..count {
        nic.send(&udp_from([10, 0, 3, 10 + k], 4000, OTHER_PORT, b"hashed"))?;
    }
    let mut seen = std::collections::BTreeMap::new();
    let mut got = 0;
    eventually("all frames are there", SOON, || {
        want_ok("RXSYNC", port.fd.rxsync())?;
        for q in 0..num_queues("rx-")? {
            let ring = port.ring(q)?;
            let mut i = ring.head();
            while i != ring.tail() {
                let (m, f) = (entry(&ring, &opt, i), ring.bytes(i));
                if crate::frame::parse_udp(&f).is_some_and(|u| u.dport == OTHER_PORT) {
                    want(&format!("it has a hash: {m:x?}"), m.flags & meta::HASH != 0)?;
                    want_eq("kind: IPv4", (m.flags >> meta::HASH_TYPE) & 15, 2)?;
                    want_eq(
                        &format!("ring of hash {:#x}", m.hash),
                        table[m.hash as usize % 128],
                        q,
                    )?;
                    seen.insert(m.hash, q);
                    got += 1;
                }
                i = ring.next(i);
            }
            ring.take();
        }
        Ok(got >= count)
    })?;
    let rings: std::collections::BTreeSet<_> = seen.values().collect();
    want(
        &format!("{} hashes, {} rings", seen.len(), rings.len()),
        seen.len() > 90 && rings.len() > 4,
    )
}

/// Damaged copies of one frame; each part's verdict.
fn checksum_verdicts_of_good_and_damaged_frames() -> Result<()> {
    use meta::{IPV4, L3_BAD, L3_OK, L4_BAD, L4_OK, UDP};
    const ALL: u32 = L3_OK | L3_BAD | L4_OK | L4_BAD | IPV4 | UDP;
    let lane = lane()?;
    let nic = Nic::open()?;
    let good = udp(4000, DPORT, b"a payload with a checksum");
    let mut bad_udp = good.clone();
    bad_udp[UDP_HEADERS + 2] ^= 0x40;
    for (what, frame, flags) in [
        ("good", &good, L3_OK | L4_OK | IPV4 | UDP),
        ("damaged payload", &bad_udp, L3_OK | L4_BAD | IPV4 | UDP),
    ] {
        let (m, f) = lane.take(&nic, frame)?;
        want_eq(&format!("{what}: flags"), m.flags & ALL, flags)?;
        want_eq(what, &f, frame)?;
    }
    // a damaged IP header: which ring it comes by is the card's business
    drop(lane);
    let (port, opt) = open(rx(ALL_NIC, 0, RX_ONLY))?;
    let mut bad_ip = good;
    bad_ip[24] ^= 0x40;
    nic.send(&bad_ip)?;
    let mut found = None;
    eventually("the frame with a bad IP header is there", SOON, || {
        want_ok("RXSYNC", port.fd.rxsync())?;
        for q in 0..num_queues("rx-")? {
            let ring = port.ring(q)?;
            let mut i = ring.head();
            while i != ring.tail() {
                if ring.bytes(i) == bad_ip {
                    found = Some(entry(&ring, &opt, i));
                }
                i = ring.next(i);
            }
            ring.take();
        }
        Ok(found.is_some())
    })?;
    let m = found.context("no frame")?;
    want_eq(
        "verdict on the IP header",
        m.flags & (L3_OK | L3_BAD),
        L3_BAD,
    )
}

fn vlan_tag_is_reported_and_stays_in_the_frame() -> Result<()> {
    let _unfiltered = Feature::off("rx-vlan-filter")?;
    let lane = lane()?;
    let nic = Nic::open()?;
    let plain = udp(4000, DPORT, b"without tag");
    let (m, _) = lane.take(&nic, &plain)?;
    want_eq("flag without a tag", m.flags & meta::VLAN, 0)?;
    for tci in [0x6005, 0x0001, 0xefff] {
        let frame = tagged(&plain, tci);
        let (m, f) = lane.take(&nic, &frame)?;
        want_eq(
            "flag, tag",
            (m.flags & meta::VLAN, m.vlan),
            (meta::VLAN, tci),
        )?;
        want_eq("frame", f, frame)?;
    }
    Ok(())
}

/// NM_META_FLOW: an ntuple rule brought it.
fn steered_frames_are_marked_as_such() -> Result<()> {
    let lane = lane()?;
    let nic = Nic::open()?;
    let (m, _) = lane.take(&nic, &udp(4000, DPORT, b"steered"))?;
    want_eq("steered", m.flags & meta::FLOW, meta::FLOW)?;
    drop(lane);
    let (port, opt) = open(rx(ALL_NIC, 0, RX_ONLY))?;
    nic.send(&udp(4000, OTHER_PORT, b"spread"))?;
    let mut marked = None;
    eventually("the frame is there", SOON, || {
        want_ok("RXSYNC", port.fd.rxsync())?;
        for q in 0..num_queues("rx-")? {
            let ring = port.ring(q)?;
            if ring.space() > 0 {
                let m = entry(&ring, &opt, ring.head());
                let f = ring.take().remove(0);
                if crate::frame::parse_udp(&f).is_some_and(|u| u.dport == OTHER_PORT) {
                    marked = Some(m.flags & meta::FLOW);
                }
            }
        }
        Ok(marked.is_some())
    })?;
    want_eq("spread by RSS", marked, Some(0))
}

fn frame_in_several_slots_has_its_entry_at_the_last() -> Result<()> {
    let _mtu = Mtu::set(9000)?;
    let lane = lane()?;
    let nic = Nic::open()?;
    let ring = lane.port.ring(Q)?;
    let frame = udp_sized(DPORT, 3, 5000);
    let first = ring.tail();
    let (m, f) = lane.take(&nic, &frame)?;
    want_eq("frame", &f, &frame)?;
    want(
        "its checksums were verified",
        m.flags & (meta::L3_OK | meta::L4_OK) == meta::L3_OK | meta::L4_OK,
    )?;
    let early = entry(&ring, &lane.opt, first);
    want_eq("valid in its first slot", early.flags & meta::VALID, 0)
}

/// Three times around: each slot's entry is that of the frame in it now.
fn entries_follow_the_ring_around() -> Result<()> {
    let _unfiltered = Feature::off("rx-vlan-filter")?;
    let lane = lane()?;
    let nic = Nic::open()?;
    let ring = lane.port.ring(Q)?;
    let plain = udp(4000, DPORT, b"n");
    for k in 0..3 * ring.n {
        let tci = (k % 4094 + 1) as u16;
        let tag = k % 3 != 0;
        let frame = if tag {
            tagged(&plain, tci)
        } else {
            plain.clone()
        };
        let (m, _) = lane.take(&nic, &frame)?;
        let want_vlan = if tag { (meta::VLAN, tci) } else { (0, m.vlan) };
        want_eq(
            &format!("frame {k}: flag, tag"),
            (m.flags & meta::VLAN, m.vlan),
            want_vlan,
        )?;
    }
    Ok(())
}

/// Nobody pays who does not ask: the ring object ends behind its slots.
fn ring_without_the_option_has_no_entries_and_can_not_be_joined_for_them() -> Result<()> {
    let plain = Port::rx(Q)?;
    let mut opt = option();
    let got = register(one_rx(Q), &mut opt).map(drop);
    println!(
        "joining a ring without entries: {got:?}, status {}",
        opt.opt.status
    );
    want("refused", got.is_err())?;
    want_ok("the first goes on", plain.fd.rxsync())
}

fn option_on_rings_already_bound_without_it_gives_an_error_and_rolls_back() -> Result<()> {
    let last = num_queues("rx-")? - 1;
    let plain = Port::rx(last)?;
    let mut opt = option();
    let got = register(rx(ALL_NIC, 0, RX_ONLY), &mut opt).map(drop);
    want("refused", got.is_err())?;
    for q in 0..last {
        want_eq("state", plain.info(q)?.state, Q_KERNEL)?;
    }
    drop(plain);
    open(rx(ALL_NIC, 0, RX_ONLY)).map(drop)
}
