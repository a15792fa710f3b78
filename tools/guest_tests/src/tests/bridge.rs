// SPDX-License-Identifier: GPL-2.0
//! Zero-copy bridging between the ports of two cards (netmap-abi 1.13: two ports of one
//! allocator share one mapping): buffers change hands, bytes are never copied.

use super::abi_register::rx;
use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::frame::{outgoing, outgoing_seq, parse_udp, to_mac, udp_sized, CARD2_MAC, EXPERIMENT};
use crate::mem::Ring;
use crate::nic::Nic;
use crate::peer::{self, PEER2};
use crate::port::{Port, DPORT, Q};
use crate::setup::{ensure_second, eventually, SECOND};
use crate::steer::{ifname, Rss, Rule};
use crate::through::{any, forward, Through};
use crate::txlog::TxLog;
use anyhow::Result;
use std::collections::BTreeSet;
use std::time::Duration;

tests! { "bridge":
    two_ports_of_one_user_share_one_region,
    buffer_moves_from_port_to_port_and_its_bytes_stay,
    ten_thousand_frames_cross_in_each_direction @ 120,
    buffers_are_all_there_after_a_bridge @ 90,
    closing_one_port_leaves_the_other_its_buffers,
    mappings_of_both_fds_show_the_same_bytes,
    second_port_keeps_serving_the_kernel_while_the_first_is_out,
}

const SOON: Duration = Duration::from_secs(10);

/// Both ports whole, or one ring pair of each.
fn both(mode: u32, ringid: u16) -> Result<(Port, Port)> {
    ensure_second()?;
    let a = want_ok("the first port", Port::open(&ifname(), rx(mode, ringid, 0)))?;
    let b = want_ok("the second port", Port::open(SECOND, rx(mode, ringid, 0)))?;
    Ok((a, b))
}

/// 1.13: two ports of the same allocator share one mapping.
fn two_ports_of_one_user_share_one_region() -> Result<()> {
    let (a, b) = both(ONE_NIC, Q as u16)?;
    want_eq("mem_id", b.reg.mem_id, a.reg.mem_id)?;
    want_eq("memsize", b.reg.memsize, a.reg.memsize)?;
    want("netmap_if of each", a.reg.offset != b.reg.offset)?;
    let rings = [a.ring(Q)?, a.tx_ring(Q)?, b.ring(Q)?, b.tx_ring(Q)?];
    let base: BTreeSet<_> = rings.iter().map(|r| r.buf_off(0)).collect();
    want_eq("buffer 0 of all rings", base.len(), 1)?;
    let mut seen = BTreeSet::new();
    for (k, ring) in rings.iter().enumerate() {
        for i in 0..ring.n {
            want(
                &format!("ring {k} slot {i}: its buffer is in no other slot"),
                seen.insert(ring.slot(i).idx),
            )?;
        }
    }
    Ok(())
}

/// The very buffer the first card wrote is what the second reads; the index moves, and the
/// bytes are where they were.
fn buffer_moves_from_port_to_port_and_its_bytes_stay() -> Result<()> {
    let _rss = Rss::without(&[Q])?;
    let (a, b) = both(ONE_NIC, Q as u16)?;
    let _rule = Rule::udp(DPORT, Q)?;
    let (nic, nic2) = (Nic::open()?, Nic::second()?);
    let log = TxLog::start(&nic2)?;
    let (from, to) = (a.ring(Q)?, b.tx_ring(Q)?);
    let all: Vec<_> = (0..40).map(|s| udp_sized(DPORT, s, 600)).collect();
    for f in &all {
        nic.send(f)?;
        eventually("the frame is in the ring", SOON, || {
            a.fd.rxsync()?;
            Ok(from.space() > 0)
        })?;
        let idx = from.slot(from.head()).idx;
        let (i, j) = (from.head(), to.head());
        want_eq("buffer that moved", forward(&from, &to), idx)?;
        want_eq("its index in the TX slot", to.slot(j).idx, idx)?;
        want("the RX slot has another", from.slot(i).idx != idx)?;
        let mut bytes = vec![0; f.len()];
        to.mem.copy_out(to.buf_off(idx), &mut bytes);
        want_eq("bytes, not copied", &bytes, f)?;
        want_ok("TXSYNC", b.fd.txsync())?;
        want_ok("RXSYNC", a.fd.rxsync())?;
    }
    let pick = |f: &[u8]| parse_udp(f).is_some_and(|u| u.dport == DPORT);
    want_eq("on the second wire", log.wait(40, pick)?, all)
}

/// Every ring of both ports; frames of a generator with sequence numbers.
fn ten_thousand_frames_cross_in_each_direction() -> Result<()> {
    const COUNT: usize = 10_000;
    let (a, b) = both(ALL_NIC, 0)?;
    let (nic, nic2) = (Nic::open()?, Nic::second()?);
    let (before, before2) = (nic.counts()?, nic2.counts()?);
    let bridge = Through::bridge(a, b, any)?;
    let spec =
        format!("profile=flows flows=64 wait=1 rate=5000 count={COUNT} size=200 dport={DPORT}");
    let mac2 = CARD2_MAC.map(|b| format!("{b:02x}")).join(":");
    let out = nic.generate("out", &spec)?;
    let back = nic2.generate("back", &format!("{spec} dmac={mac2}"))?;
    want_eq("sent to the first", out.wait(6 * SOON)?, COUNT as u64)?;
    want_eq("sent to the second", back.wait(6 * SOON)?, COUNT as u64)?;
    let left = |nic: &Nic, b: &crate::nic::CardCounts| -> Result<u64> {
        Ok(nic.counts()?.port.get("tx_packets")? - b.port.get("tx_packets")?)
    };
    eventually("all have left by the other card", SOON, || {
        Ok(left(&nic2, &before2)? >= COUNT as u64 && left(&nic, &before)? >= COUNT as u64)
    })?;
    let moved = bridge.end()?;
    want(
        &format!("slots moved: {moved:?}"),
        moved.out >= COUNT as u64 && moved.back >= COUNT as u64,
    )?;
    for (what, now, was) in [
        ("first", nic.counts()?, before),
        ("second", nic2.counts()?, before2),
    ] {
        for key in ["rx_missed", "tx_bad"] {
            want_eq(
                &format!("{what} card: {key}"),
                now.port.get(key)?,
                was.port.get(key)?,
            )?;
        }
    }
    Ok(())
}

fn indices(rings: &[&Ring]) -> Vec<u32> {
    let all = rings.iter().flat_map(|r| (0..r.n).map(|i| r.slot(i).idx));
    let mut all: Vec<_> = all.collect();
    all.sort_unstable();
    all
}

/// No buffer is lost, none doubled; and after close the pool is as full as it was.
fn buffers_are_all_there_after_a_bridge() -> Result<()> {
    let _rss = Rss::without(&[Q])?;
    let _rule = Rule::udp(DPORT, Q)?;
    let (nic, nic2) = (Nic::open()?, Nic::second()?);
    for round in 0..3 {
        let (a, b) = both(ONE_NIC, Q as u16)?;
        let (from, to) = (a.ring(Q)?, b.tx_ring(Q)?);
        let rings = [&from, &to];
        let before = indices(&rings);
        let log = TxLog::start(&nic2)?;
        let count = 2 * from.n;
        let mut moved = 0;
        for first in (0..count).step_by(64) {
            for s in first..first + 64 {
                nic.send(&udp_sized(DPORT, s, 90))?;
            }
            eventually("the batch has crossed", SOON, || {
                a.fd.rxsync()?;
                while from.space() > 0 && to.space() > 0 {
                    forward(&from, &to);
                    moved += 1;
                }
                b.fd.txsync()?;
                Ok(moved >= first + 64)
            })?;
        }
        let pick = |f: &[u8]| parse_udp(f).is_some_and(|u| u.dport == DPORT);
        let want: Vec<_> = (0..count).map(|s| udp_sized(DPORT, s, 90)).collect();
        want_eq("on the second wire", log.wait(want.len(), pick)?, want)?;
        want_ok("RXSYNC", a.fd.rxsync())?;
        want_eq(
            &format!("round {round}: buffers of both rings"),
            indices(&rings),
            before,
        )?;
    }
    Ok(())
}

/// 1.13 and lesson 18: what the program holds stays good when a port goes.
fn closing_one_port_leaves_the_other_its_buffers() -> Result<()> {
    let _rss = Rss::without(&[Q])?;
    let _rule = Rule::udp(DPORT, Q)?;
    let (a, b) = both(ONE_NIC, Q as u16)?;
    let (nic, nic2) = (Nic::open()?, Nic::second()?);
    let (from, to) = (a.ring(Q)?, b.tx_ring(Q)?);
    for s in 0..30 {
        nic.send(&udp_sized(DPORT, s, 90))?;
    }
    eventually("the frames are in the ring", SOON, || {
        a.fd.rxsync()?;
        Ok(from.space() >= 30)
    })?;
    for _ in 0..30 {
        forward(&from, &to);
    }
    // tells the kernel which buffers are the first port's now
    want_ok("RXSYNC", a.fd.rxsync())?;
    drop(from);
    drop(a);
    // the first port has gone: its buffers that stand in the second's slots leave whole
    let log = TxLog::start(&nic2)?;
    want_ok("TXSYNC", b.fd.txsync())?;
    let pick = |f: &[u8]| parse_udp(f).is_some_and(|u| u.dport == DPORT);
    let all: Vec<_> = (0..30).map(|s| udp_sized(DPORT, s, 90)).collect();
    want_eq("on the second wire", log.wait(30, pick)?, all)?;
    // and so does what the second sends by itself, while the first is opened anew
    let again = Port::open(&ifname(), rx(ONE_NIC, Q as u16, 0))?;
    for s in 0..2 * to.n {
        let f = outgoing(s, 70);
        eventually("room", SOON, || {
            b.fd.txsync()?;
            Ok(to.space() > 0)
        })?;
        super::putback::put_copy(&to, &f)?;
    }
    want_ok("TXSYNC", b.fd.txsync())?;
    let got = log.wait(2 * to.n as usize, |f| f[12..14] == EXPERIMENT)?;
    let seqs: Vec<_> = got.iter().map(|f| outgoing_seq(f)).collect();
    want_eq("its own frames", seqs, (0..2 * to.n).map(Some).collect())?;
    let (mine, theirs) = (indices(&[&to, &b.ring(Q)?]), indices(&[&again.ring(Q)?]));
    want(
        "no buffer is in slots of both ports",
        !theirs.iter().any(|i| mine.binary_search(i).is_ok()),
    )
}

/// 1.13: the same memory, through either fd's mapping.
fn mappings_of_both_fds_show_the_same_bytes() -> Result<()> {
    let (a, b) = both(ONE_NIC, Q as u16)?;
    let tx = a.tx_ring(Q)?;
    let at = tx.buf_off(tx.slot(5).idx);
    tx.mem.copy_in(at, b"written by the first");
    let mut got = [0; 20];
    b.mem.copy_out(at, &mut got);
    want_eq("seen by the second", &got, b"written by the first")
}

/// Two cards, two drivers' instances: one port's rings are not the other's.
fn second_port_keeps_serving_the_kernel_while_the_first_is_out() -> Result<()> {
    ensure_second()?;
    let a = Port::open(&ifname(), rx(NIC_SW, 0, 0))?;
    let socket = peer::udp(PEER2)?;
    for seq in 0..50 {
        peer::udp_echo(&socket, seq, 100 + seq as usize)?;
    }
    let frame = to_mac(&udp_sized(DPORT, 1, 100), CARD2_MAC);
    let counter = crate::sock::bind(DPORT)?;
    // to the second card with the first's address: the stack takes it (weak host model)
    Nic::second()?.send(&frame)?;
    want(
        "a datagram by the second port",
        crate::sock::recv(&counter, SOON)?.is_some(),
    )?;
    drop(a);
    Ok(())
}
