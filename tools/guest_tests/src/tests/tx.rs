// SPDX-License-Identifier: GPL-2.0
//! NIC TX rings (netmap-abi 1.11, 4.2): what they look like, and that what is put into them
//! leaves the card, byte for byte and in order, seen in the card's own log of the wire.

use super::putback::put_copy;
use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::Fd;
use crate::frame::{outgoing, outgoing_seq};
use crate::mem::{Ring, Slot};
use crate::nic::Nic;
use crate::port::{tx_info, Port, Q};
use crate::setup::eventually;
use crate::steer::{ifname, num_queues};
use crate::txlog::TxLog;
use anyhow::Result;
use std::collections::BTreeSet;
use std::time::Duration;

tests! { "tx":
    new_ring_is_empty_with_a_buffer_in_every_slot,
    frames_of_every_size_leave_byte_exact,
    full_ring_leaves_in_one_sync_and_has_room_again,
    ring_wraps_many_times_in_order @ 90,
    report_flag_is_cleared_and_the_slot_completes,
    swapped_buffer_is_sent_and_the_old_one_is_the_programs,
    only_slots_before_head_are_sent,
    every_ring_of_the_port_sends_its_own_frames,
    sent_frames_are_counted_by_ring_and_card,
    buffer_may_be_written_again_after_completion,
}

pub(super) const SOON: Duration = Duration::from_secs(10);

/// Puts frames into a TX ring, as many per TXSYNC as there is room for.
pub(super) fn send(port: &Port, ring: &Ring, frames: &[Vec<u8>]) -> Result<()> {
    for f in frames {
        let slots = f.len().div_ceil(ring.buf_size as usize) as u32;
        eventually("room in the TX ring", SOON, || {
            if ring.space() < slots {
                want_ok("TXSYNC", port.fd.txsync())?;
            }
            Ok(ring.space() >= slots)
        })?;
        put_copy(ring, f)?;
    }
    want_ok("TXSYNC", port.fd.txsync()).map(drop)
}

/// All that was put in has completed: every slot but one is the program's.
pub(super) fn drained(port: &Port, ring: &Ring) -> Result<()> {
    eventually("all slots are the program's again", SOON, || {
        want_ok("TXSYNC", port.fd.txsync())?;
        Ok(ring.space() == ring.n - 1)
    })
}

/// Sends through a fresh port; the same frames are on the wire, in order, and no others.
pub(super) fn leaves(nic: &Nic, port: &Port, queue: u32, frames: &[Vec<u8>]) -> Result<()> {
    let log = TxLog::start(nic)?;
    let ring = port.tx_ring(queue)?;
    send(port, &ring, frames)?;
    drained(port, &ring)?;
    want_eq(
        "frames on the wire",
        log.outgoing(frames.len())?,
        frames.to_vec(),
    )
}

/// 1.11 initial state: head = cur = 0, tail = n-1; len = buffer size; flags 0. 1.3: dir 1.
fn new_ring_is_empty_with_a_buffer_in_every_slot() -> Result<()> {
    let port = Port::tx(Q)?;
    let ring = port.tx_ring(Q)?;
    want_eq("slots", ring.n, port.reg.tx_slots)?;
    want_eq("head, cur, tail", ring.pointers(), (0, 0, ring.n - 1))?;
    let (id, dir) = (
        port.mem.get::<u16>(ring.off + shm::RING_ID),
        port.mem.get::<u16>(ring.off + shm::RING_DIR),
    );
    want_eq("ringid, dir", (u32::from(id), dir), (Q, 1))?;
    let total = port.fd.pools_info(&ifname())?.buf_total;
    let mut seen = BTreeSet::new();
    for i in 0..ring.n {
        let s = ring.slot(i);
        want_eq(
            &format!("slot {i}: len, flags"),
            (u32::from(s.len), s.flags),
            (ring.buf_size, 0),
        )?;
        want(
            &format!("slot {i}: buffer {} is in the pool, once", s.idx),
            (2..total).contains(&s.idx) && seen.insert(s.idx),
        )?;
    }
    Ok(())
}

fn frames_of_every_size_leave_byte_exact() -> Result<()> {
    let nic = Nic::open()?;
    let port = Port::tx(Q)?;
    let sizes = [
        60, 61, 63, 64, 65, 127, 128, 129, 255, 256, 511, 1000, 1513, 1514, 1518, 2047, 2048,
    ];
    let frames: Vec<_> = sizes.iter().map(|s| outgoing(*s as u32, *s)).collect();
    leaves(&nic, &port, Q, &frames)?;
    // shorter ones are padded with zeros to what a wire carries
    let log = TxLog::start(&nic)?;
    let short = outgoing(1, 30);
    let ring = port.tx_ring(Q)?;
    send(&port, &ring, std::slice::from_ref(&short))?;
    let got = log.outgoing(1)?.remove(0);
    want_eq("a frame of 30 bytes", &got[..30], &short[..])?;
    want_eq("its padding", &got[30..], &[0; 30])
}

/// One TXSYNC for n-1 frames.
fn full_ring_leaves_in_one_sync_and_has_room_again() -> Result<()> {
    let nic = Nic::open()?;
    let port = Port::tx(Q)?;
    let ring = port.tx_ring(Q)?;
    for round in 0..3 {
        let log = TxLog::start(&nic)?;
        let frames: Vec<_> = (0..ring.n - 1)
            .map(|s| outgoing(round * 10_000 + s, 60))
            .collect();
        for f in &frames {
            put_copy(&ring, f)?;
        }
        want_eq("room", ring.space(), 0)?;
        want_ok("TXSYNC", port.fd.txsync())?;
        want_eq("on the wire", log.outgoing(frames.len())?, frames)?;
        drained(&port, &ring)?;
    }
    Ok(())
}

fn ring_wraps_many_times_in_order() -> Result<()> {
    let nic = Nic::open()?;
    let port = Port::tx(Q)?;
    let ring = port.tx_ring(Q)?;
    let log = TxLog::start(&nic)?;
    let count = 7 * ring.n + 5;
    let frames: Vec<_> = (0..count)
        .map(|s| outgoing(s, 60 + s as usize % 40))
        .collect();
    // batches that never fit the ring evenly
    for batch in frames.chunks(37) {
        send(&port, &ring, batch)?;
    }
    let got: Vec<_> = log
        .outgoing(count as usize)?
        .iter()
        .map(|f| outgoing_seq(f))
        .collect();
    want_eq(
        "sequence numbers on the wire",
        got,
        (0..count).map(Some).collect(),
    )?;
    drained(&port, &ring)
}

/// 4.2: NS_REPORT asks for a completion; the kernel clears it.
fn report_flag_is_cleared_and_the_slot_completes() -> Result<()> {
    let nic = Nic::open()?;
    let port = Port::tx(Q)?;
    let ring = port.tx_ring(Q)?;
    let log = TxLog::start(&nic)?;
    let frames: Vec<_> = (0..10).map(|s| outgoing(s, 60)).collect();
    for f in &frames {
        let i = ring.head();
        put_copy(&ring, f)?;
        let s = ring.slot(i);
        ring.set_slot(
            i,
            Slot {
                flags: NS_REPORT,
                ..s
            },
        );
    }
    want_ok("TXSYNC", port.fd.txsync())?;
    drained(&port, &ring)?;
    for i in 0..10 {
        want_eq(&format!("slot {i}: flags"), ring.slot(i).flags, 0)?;
    }
    want_eq("on the wire", log.outgoing(10)?, frames)
}

/// 1.4: NS_BUF_CHANGED: an extra buffer goes into a slot, the slot's goes to the program.
fn swapped_buffer_is_sent_and_the_old_one_is_the_programs() -> Result<()> {
    let nic = Nic::open()?;
    let mut reg = crate::fd::one_tx(Q);
    reg.extra_bufs = 4;
    let port = Port::open(&ifname(), reg)?;
    want_eq("extra buffers", port.reg.extra_bufs, 4)?;
    let ring = port.tx_ring(Q)?;
    let log = TxLog::start(&nic)?;
    let mut spare = port.nif.bufs_head();
    let rest: u32 = port.mem.get(ring.buf_off(spare));
    let count = 3 * ring.n;
    for seq in 0..count {
        ring.mem.copy_in(ring.buf_off(spare), &outgoing(seq, 200));
        if ring.space() == 0 {
            drained(&port, &ring)?;
        }
        let i = ring.head();
        let old = ring.slot(i).idx;
        ring.set_slot(
            i,
            Slot {
                idx: spare,
                len: 200,
                flags: NS_BUF_CHANGED,
            },
        );
        spare = old;
        ring.set_cur(ring.next(i));
        ring.set_head(ring.next(i));
        if seq % 29 == 0 {
            want_ok("TXSYNC", port.fd.txsync())?;
        }
    }
    drained(&port, &ring)?;
    let want: Vec<_> = (0..count).map(|s| outgoing(s, 200)).collect();
    want_eq("on the wire", log.outgoing(want.len())?, want)?;
    // the chain of extra buffers stays a chain, for close()
    port.mem.set(ring.buf_off(spare), rest);
    port.nif.set_bufs_head(spare);
    Ok(())
}

/// 1.11: cur is the wake-up point; slots from head on stay with the program.
fn only_slots_before_head_are_sent() -> Result<()> {
    let nic = Nic::open()?;
    let port = Port::tx(Q)?;
    let ring = port.tx_ring(Q)?;
    let log = TxLog::start(&nic)?;
    let frames: Vec<_> = (0..10).map(|s| outgoing(s, 60)).collect();
    for f in &frames {
        put_copy(&ring, f)?;
    }
    ring.set_head(4);
    want_ok("TXSYNC", port.fd.txsync())?;
    want_eq("before head", log.outgoing(4)?, frames[..4].to_vec())?;
    eventually("four slots are back", SOON, || {
        want_ok("TXSYNC", port.fd.txsync())?;
        Ok(ring.tail() == 3)
    })?;
    want_eq("head, cur", (ring.head(), ring.cur()), (4, 10))?;
    ring.set_head(10);
    want_ok("TXSYNC", port.fd.txsync())?;
    want_eq("all", log.outgoing(10)?, frames)
}

/// ALL_NIC: every ring has a hardware queue of its own.
fn every_ring_of_the_port_sends_its_own_frames() -> Result<()> {
    let nic = Nic::open()?;
    let n = num_queues("tx-")?;
    let all = Register {
        mode: ALL_NIC,
        flags: TX_ONLY,
        ..Default::default()
    };
    let port = Port::open(&ifname(), all)?;
    let log = TxLog::start(&nic)?;
    let before = nic.counts()?;
    for q in 0..n {
        let ring = port.tx_ring(q)?;
        for k in 0..50 {
            put_copy(&ring, &outgoing(1000 * q + k, 64))?;
        }
    }
    want_ok("TXSYNC", port.fd.txsync())?;
    let got = log.outgoing(50 * n as usize)?;
    for q in 0..n {
        let seqs: Vec<_> = got
            .iter()
            .filter_map(|f| outgoing_seq(f))
            .filter(|s| s / 1000 == q)
            .collect();
        let want = (1000 * q..1000 * q + 50).collect();
        want_eq(&format!("ring {q}, in order"), seqs, want)?;
        drained(&port, &port.tx_ring(q)?)?;
    }
    let after = nic.counts()?;
    let mut hardware = BTreeSet::new();
    for q in 0..n {
        let info = tx_info(&port.fd, q)?;
        want_eq("packets counted", info.counter[counter::PACKETS], 50)?;
        let reg = info.reg_idx;
        want(
            &format!("ring {q}: hardware queue {reg} is its own, and none of the kernel's"),
            reg >= n && hardware.insert(reg),
        )?;
        let sent = after.txq(reg, "packets")? - before.txq(reg, "packets")?;
        want_eq(&format!("sent by hardware queue {reg}"), sent, 50)?;
    }
    Ok(())
}

fn sent_frames_are_counted_by_ring_and_card() -> Result<()> {
    let nic = Nic::open()?;
    let port = Port::tx(Q)?;
    let ring = port.tx_ring(Q)?;
    let (before, card) = (tx_info(&port.fd, Q)?, nic.counts()?);
    let frames: Vec<_> = (0..77).map(|s| outgoing(s, 100)).collect();
    send(&port, &ring, &frames)?;
    drained(&port, &ring)?;
    let (after, sent) = (tx_info(&Fd::open()?, Q)?, nic.counts()?);
    let moved = |k: usize| after.counter[k] - before.counter[k];
    want_eq(
        "packets, bytes, bad slots",
        (
            moved(counter::PACKETS),
            moved(counter::BYTES),
            moved(counter::BAD_SLOTS),
        ),
        (77, 7700, 0),
    )?;
    want("syncs were counted", moved(counter::SYNCS) >= 1)?;
    let q = after.reg_idx;
    want_eq(
        "by the card",
        sent.txq(q, "packets")? - card.txq(q, "packets")?,
        77,
    )?;
    want_eq(
        "bad ones by the card",
        sent.port.get("tx_bad")?,
        card.port.get("tx_bad")?,
    )
}

/// A slot that has come back is done with: what is written there then goes nowhere.
fn buffer_may_be_written_again_after_completion() -> Result<()> {
    let nic = Nic::open()?;
    let port = Port::tx(Q)?;
    let ring = port.tx_ring(Q)?;
    let log = TxLog::start(&nic)?;
    let frames: Vec<_> = (0..300).map(|s| outgoing(s, 500)).collect();
    for f in &frames {
        let idx = ring.slot(ring.head()).idx;
        send(&port, &ring, std::slice::from_ref(f))?;
        drained(&port, &ring)?;
        ring.mem.copy_in(ring.buf_off(idx), &[0xee; 500]);
    }
    want_eq("on the wire", log.outgoing(frames.len())?, frames)
}
