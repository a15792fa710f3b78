// SPDX-License-Identifier: GPL-2.0
//! Frames in several slots of a NIC TX ring (netmap-abi 1.4 NS_MOREFRAG, 4.2 step 2): one
//! packet on the wire, never a part of one, and no chain that stops the ring.

use super::putback::put_copy;
use super::tests;
use super::tx::{drained, send, SOON};
use crate::abi::*;
use crate::check::*;
use crate::frame::outgoing;
use crate::mem::{Ring, Slot};
use crate::nic::Nic;
use crate::port::{tx_info, Port, Q};
use crate::setup::eventually;
use crate::txlog::TxLog;
use anyhow::Result;
use std::time::Duration;

tests! { "tx":
    frame_in_several_slots_leaves_as_one,
    longest_chain_of_slots_leaves_as_one,
    unfinished_chain_waits_for_its_last_slot,
    chain_longer_than_a_frame_may_be_does_not_stop_the_ring,
}

/// Cuts a frame over slots of `piece` bytes, NS_MOREFRAG on all but the last.
fn put_pieces(ring: &Ring, frame: &[u8], piece: usize) {
    let n = frame.len().div_ceil(piece);
    let mut i = ring.head();
    for (k, part) in frame.chunks(piece).enumerate() {
        let s = ring.slot(i);
        ring.mem.copy_in(ring.buf_off(s.idx), part);
        let flags = if k + 1 < n { NS_MOREFRAG } else { 0 };
        let len = part.len() as u16;
        ring.set_slot(i, Slot { len, flags, ..s });
        i = ring.next(i);
    }
    ring.set_cur(i);
    ring.set_head(i);
}

/// 4.2: NS_MOREFRAG chains into a packet of several descriptors.
fn frame_in_several_slots_leaves_as_one() -> Result<()> {
    let nic = Nic::open()?;
    let port = Port::tx(Q)?;
    let ring = port.tx_ring(Q)?;
    let log = TxLog::start(&nic)?;
    let mut frames = Vec::new();
    for (seq, (size, piece)) in [
        (1514, 800),
        (1514, 64),
        (60, 30),
        (4096, 2048),
        (9014, 2048),
        (9014, 1000),
        (300, 299),
    ]
    .into_iter()
    .enumerate()
    {
        let f = outgoing(seq as u32, size);
        put_pieces(&ring, &f, piece);
        frames.push(f);
        // a whole frame right behind it
        let f = outgoing(100 + seq as u32, 80);
        put_copy(&ring, &f)?;
        frames.push(f);
    }
    want_ok("TXSYNC", port.fd.txsync())?;
    want_eq("on the wire", log.outgoing(frames.len())?, frames)?;
    drained(&port, &ring)?;
    // 4.2: the flag is the kernel's to clear when the slot has been taken
    for i in 0..ring.n {
        want_eq(
            &format!("slot {i}: flags"),
            ring.slot(i).flags & NS_MOREFRAG,
            0,
        )?;
    }
    Ok(())
}

/// As many pieces as a card takes for one frame (40, data sheet 7.2.1.1), around the end
/// of the ring as well.
fn longest_chain_of_slots_leaves_as_one() -> Result<()> {
    let nic = Nic::open()?;
    let port = Port::tx(Q)?;
    let ring = port.tx_ring(Q)?;
    let log = TxLog::start(&nic)?;
    let rounds = 2 * ring.n / 38 + 1;
    for seq in 0..rounds {
        eventually("room", SOON, || {
            want_ok("TXSYNC", port.fd.txsync())?;
            Ok(ring.space() >= 38)
        })?;
        put_pieces(&ring, &outgoing(seq, 38 * 30), 30);
        want_ok("TXSYNC", port.fd.txsync())?;
    }
    let want: Vec<_> = (0..rounds).map(|s| outgoing(s, 38 * 30)).collect();
    want_eq("on the wire", log.outgoing(want.len())?, want)?;
    drained(&port, &ring)
}

/// 4.2: an incomplete chain at head is left over until its last slot comes.
fn unfinished_chain_waits_for_its_last_slot() -> Result<()> {
    let nic = Nic::open()?;
    let port = Port::tx(Q)?;
    let ring = port.tx_ring(Q)?;
    let log = TxLog::start(&nic)?;
    let frame = outgoing(7, 900);
    for (k, part) in frame.chunks(300).enumerate() {
        let i = ring.head();
        let s = ring.slot(i);
        ring.mem.copy_in(ring.buf_off(s.idx), part);
        let flags = if k < 2 { NS_MOREFRAG } else { 0 };
        ring.set_slot(
            i,
            Slot {
                len: 300,
                flags,
                ..s
            },
        );
        ring.set_cur(ring.next(i));
        ring.set_head(ring.next(i));
        want_ok("TXSYNC", port.fd.txsync())?;
        if k < 2 {
            want_ok("TXSYNC again", port.fd.txsync())?;
            std::thread::sleep(Duration::from_millis(50));
            want_eq(
                "frames that left unfinished",
                log.all(|f| f[12..14] == crate::frame::EXPERIMENT)?.len(),
                0,
            )?;
        }
    }
    want_eq("on the wire", log.outgoing(1)?, vec![frame])?;
    drained(&port, &ring)
}

/// A chain that no frame can be: refused and counted, and the ring goes on.
fn chain_longer_than_a_frame_may_be_does_not_stop_the_ring() -> Result<()> {
    let nic = Nic::open()?;
    let port = Port::tx(Q)?;
    let ring = port.tx_ring(Q)?;
    let before = tx_info(&port.fd, Q)?.counter[counter::BAD_SLOTS];
    // too many bytes; too many pieces; the whole ring and no end
    for (pieces, len, end) in [(60, 2048, true), (100, 64, true), (ring.n - 1, 64, false)] {
        eventually("room for the chain", SOON, || {
            want_ok("TXSYNC", port.fd.txsync())?;
            Ok(ring.space() >= pieces)
        })?;
        let log = TxLog::start(&nic)?;
        let mut i = ring.head();
        for k in 0..pieces {
            let s = ring.slot(i);
            let last = k + 1 == pieces && end;
            let flags = if last { 0 } else { NS_MOREFRAG };
            ring.set_slot(i, Slot { len, flags, ..s });
            i = ring.next(i);
        }
        ring.set_cur(i);
        ring.set_head(i);
        want_ok("TXSYNC", port.fd.txsync())?;
        // what follows leaves, once there is room for it
        eventually("room after the chain", SOON, || {
            want_ok("TXSYNC", port.fd.txsync())?;
            Ok(ring.space() > 3)
        })?;
        let good: Vec<_> = (0..3).map(|s| outgoing(s, 70)).collect();
        if !end {
            // ends the chain, which stays one that cannot be sent
            put_copy(&ring, &outgoing(99, 60))?;
        }
        send(&port, &ring, &good)?;
        let seen: Vec<_> = log
            .outgoing(3)?
            .into_iter()
            .filter(|f| f.len() == 70)
            .collect();
        want_eq(
            &format!("frames after {pieces} pieces of {len}"),
            seen,
            good,
        )?;
        drained(&port, &ring)?;
    }
    let bad = tx_info(&port.fd, Q)?.counter[counter::BAD_SLOTS] - before;
    want(&format!("bad slots were counted: {bad}"), bad >= 3)
}
