// SPDX-License-Identifier: GPL-2.0
//! NIC TX rings in hostile hands (netmap-abi 1.11, 4.2, lessons 7 and 8): impossible pointers
//! are reset, impossible slots never reach the card, and the ring goes on.

use super::putback::put_copy;
use super::tests;
use super::tx::{drained, leaves, send, SOON};
use crate::abi::*;
use crate::check::*;
use crate::fd::Fd;
use crate::frame::outgoing;
use crate::mem::{Ring, Slot};
use crate::nic::Nic;
use crate::port::{tx_info, Lane, Port, DPORT, Q};
use crate::setup::eventually;
use crate::steer::ifname;
use crate::txlog::TxLog;
use anyhow::{Context, Result};
use std::time::{Duration, Instant};

tests! { "tx":
    impossible_pointers_are_reset_and_send_nothing,
    scribbled_tail_is_restored,
    slots_with_bad_lengths_never_reach_the_card,
    slots_with_bad_buffers_never_reach_the_card,
    same_buffer_in_many_slots_is_only_sent,
    buffer_armed_for_reception_can_be_sent_and_stays_the_rx_rings,
    scribbling_on_the_ring_while_it_sends_is_survived @ 90,
    fields_meant_to_be_constant_may_be_overwritten,
}

/// DMA the card could not do: addresses outside the guest's memory.
fn dma_faults(nic: &Nic) -> Result<u64> {
    let info = nic.cmd("info")?.join(" ");
    let word = info
        .split_whitespace()
        .find_map(|w| w.strip_prefix("dma_faults="));
    Ok(word
        .context("the card's info shows no dma_faults")?
        .parse()?)
}

/// 1.11: a failing prologue: 0 is returned, no sync, head and cur are what they were; here
/// also for values within the ring.
fn impossible_pointers_are_reset_and_send_nothing() -> Result<()> {
    let nic = Nic::open()?;
    let port = Port::tx(Q)?;
    let ring = port.tx_ring(Q)?;
    let (n, log) = (ring.n, TxLog::start(&nic)?);
    let some: Vec<_> = (0..5).map(|s| outgoing(s, 60)).collect();
    send(&port, &ring, &some)?;
    drained(&port, &ring)?;
    want_eq("head, cur, tail", ring.pointers(), (5, 5, 4))?;
    for (what, head, cur) in [
        ("head = n", n, n),
        ("head = 2^32-1", u32::MAX, u32::MAX),
        ("cur = n", 5, n),
        ("cur before head", 8, 6),
        ("cur far before head", 5 + n / 2, 6),
    ] {
        let resets = tx_info(&port.fd, Q)?.counter[counter::RESETS];
        ring.set_head(head);
        ring.set_cur(cur);
        want_ok(what, port.fd.txsync())?;
        want_eq(
            &format!("{what}: head, cur, tail"),
            ring.pointers(),
            (5, 5, 4),
        )?;
        want_eq(
            &format!("{what}: resets"),
            tx_info(&port.fd, Q)?.counter[counter::RESETS],
            resets + 1,
        )?;
    }
    std::thread::sleep(Duration::from_millis(50));
    want_eq("on the wire", log.outgoing(5)?, some.clone())?;
    drop(log);
    leaves(&nic, &port, Q, &some)
}

/// 1.11: a user-modified tail is silently restored.
fn scribbled_tail_is_restored() -> Result<()> {
    let nic = Nic::open()?;
    let port = Port::tx(Q)?;
    let ring = port.tx_ring(Q)?;
    for bad in [ring.n, u32::MAX, 0, 17] {
        ring.set_tail(bad);
        want_ok("TXSYNC", port.fd.txsync())?;
        want_eq(&format!("tail {bad} became"), ring.space(), ring.n - 1)?;
    }
    leaves(&nic, &port, Q, &[outgoing(1, 60)])
}

/// Makes a good slot a bad one.
type Spoil<'a> = &'a dyn Fn(&Ring, Slot) -> Slot;

/// Sends good frames with bad slots between them: the good ones are on the wire and nothing
/// else is, all bad ones are counted, and the card has not tried to read what is not there.
fn good_between(bad: &[Spoil<'_>]) -> Result<()> {
    let nic = Nic::open()?;
    let port = Port::tx(Q)?;
    let ring = port.tx_ring(Q)?;
    let log = TxLog::start(&nic)?;
    let (counted, faults, card) = (
        tx_info(&port.fd, Q)?.counter[counter::BAD_SLOTS],
        dma_faults(&nic)?,
        nic.counts()?,
    );
    let mut good = Vec::new();
    for round in 0..2 {
        for (k, spoil) in bad.iter().enumerate() {
            put_copy(&ring, &outgoing(9000, 77))?;
            let i = (ring.head() + ring.n - 1) % ring.n;
            ring.set_slot(i, spoil(&ring, ring.slot(i)));
            let f = outgoing(100 * round + k as u32, 90);
            put_copy(&ring, &f)?;
            good.push(f);
        }
        want_ok("TXSYNC", port.fd.txsync())?;
        drained(&port, &ring)?;
    }
    want_eq("on the wire", log.outgoing(good.len())?, good.clone())?;
    want_eq(
        "bad slots counted",
        tx_info(&port.fd, Q)?.counter[counter::BAD_SLOTS] - counted,
        good.len() as u64,
    )?;
    let now = nic.counts()?;
    want_eq("DMA faults of the card", dma_faults(&nic)?, faults)?;
    want_eq(
        "bad packets by the card",
        now.port.get("tx_bad")?,
        card.port.get("tx_bad")?,
    )?;
    // the ring has buffers of its own in all slots again
    let total = port.fd.pools_info(&ifname())?.buf_total;
    for i in 0..ring.n {
        let s = ring.slot(i);
        want(
            &format!("slot {i}: buffer {} is in the pool", s.idx),
            (2..total).contains(&s.idx),
        )?;
    }
    drop(log);
    let around: Vec<_> = (0..ring.n + 10).map(|s| outgoing(s, 64)).collect();
    leaves(&nic, &port, Q, &around)
}

/// No frame is empty, shorter than its header, or longer than its buffer.
fn slots_with_bad_lengths_never_reach_the_card() -> Result<()> {
    good_between(&[
        &|_, s| Slot { len: 0, ..s },
        &|_, s| Slot { len: 1, ..s },
        &|_, s| Slot { len: 13, ..s },
        &|r, s| Slot {
            len: r.buf_size as u16 + 1,
            ..s
        },
        &|_, s| Slot { len: 0x7fff, ..s },
        &|_, s| Slot { len: 0xffff, ..s },
    ])
}

/// 4.2: index out of range; lesson 16: buffers 0 and 1 are reserved.
fn slots_with_bad_buffers_never_reach_the_card() -> Result<()> {
    let total = Fd::open()?.pools_info(&ifname())?.buf_total;
    let spoil = |idx| move |_: &Ring, s: Slot| Slot { idx, ..s };
    let flagged = |idx| {
        move |_: &Ring, s: Slot| Slot {
            idx,
            flags: NS_BUF_CHANGED,
            ..s
        }
    };
    good_between(&[
        &spoil(0),
        &spoil(1),
        &spoil(total),
        &spoil(u32::MAX),
        &flagged(0),
        &flagged(total + 7),
        &flagged(0x8000_0000),
        // in the pool, but nobody's: never handed out
        &spoil(total - 1),
    ])
}

/// A frame that is sent many times needs one buffer only; that frees it once.
fn same_buffer_in_many_slots_is_only_sent() -> Result<()> {
    let nic = Nic::open()?;
    for _ in 0..3 {
        let port = Port::tx(Q)?;
        let ring = port.tx_ring(Q)?;
        let log = TxLog::start(&nic)?;
        let frame = outgoing(5, 120);
        let idx = ring.slot(0).idx;
        ring.mem.copy_in(ring.buf_off(idx), &frame);
        for i in 0..200 {
            let flags = NS_BUF_CHANGED;
            ring.set_slot(
                i,
                Slot {
                    idx,
                    len: 120,
                    flags,
                },
            );
        }
        ring.set_cur(200);
        ring.set_head(200);
        want_ok("TXSYNC", port.fd.txsync())?;
        want_eq("on the wire", log.outgoing(200)?, vec![frame; 200])?;
        drained(&port, &ring)?;
    }
    Ok(())
}

/// The card reads what it may be writing: the program's own affair. The RX ring keeps it.
fn buffer_armed_for_reception_can_be_sent_and_stays_the_rx_rings() -> Result<()> {
    let lane = Lane::with(Register {
        mode: ONE_NIC,
        ringid: Q as u16,
        ..Default::default()
    })?;
    let (rx, tx) = (lane.ring()?, lane.port.tx_ring(Q)?);
    for i in 0..20 {
        let idx = rx.slot(100 + i).idx;
        let (len, flags) = (60, NS_BUF_CHANGED);
        tx.set_slot(i, Slot { idx, len, flags });
    }
    tx.set_cur(20);
    tx.set_head(20);
    want_ok("TXSYNC", lane.port.fd.txsync())?;
    drained(&lane.port, &tx)?;
    // twice around the RX ring: each frame in a buffer of its own
    let nic = Nic::open()?;
    for first in (0..2 * rx.n).step_by(64) {
        let all: Vec<_> = (first..first + 64)
            .map(|s| crate::frame::udp_sized(DPORT, s, 100))
            .collect();
        for f in &all {
            nic.send(f)?;
        }
        want_eq("received", lane.recv(64, SOON)?, all)?;
    }
    Ok(())
}

/// A thread writes random numbers all over slots and pointers while another syncs. The kernel
/// log, the card's DMA and a good batch afterwards tell.
fn scribbling_on_the_ring_while_it_sends_is_survived() -> Result<()> {
    let nic = Nic::open()?;
    let port = Port::tx(Q)?;
    let ring = port.tx_ring(Q)?;
    let faults = dma_faults(&nic)?;
    let stop = std::sync::atomic::AtomicBool::new(false);
    let end = Instant::now() + Duration::from_secs(4);
    std::thread::scope(|s| {
        s.spawn(|| {
            let mut x = 0x2545_f491_4f6c_dd1du64;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                let (a, b) = (x as u32, (x >> 32) as u32);
                match x % 5 {
                    0 => ring.set_head(a % (ring.n + 1)),
                    1 => ring.set_cur(a % (ring.n + 1)),
                    2 => ring.set_tail(a),
                    _ => ring.set_slot(
                        a % ring.n,
                        Slot {
                            idx: b % 5000,
                            len: (b >> 8) as u16,
                            flags: a as u16,
                        },
                    ),
                }
            }
        });
        while Instant::now() < end {
            let _ = port.fd.txsync();
            let _ = port.fd.poll(libc::POLLOUT, Duration::ZERO);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    want_eq("DMA faults of the card", dma_faults(&nic)?, faults)?;
    // with its mapping, which would keep the ring and what is in its slots now
    drop((ring, port));
    let port = Port::tx(Q)?;
    let frames: Vec<_> = (0..600).map(|s| outgoing(s, 64)).collect();
    leaves(&nic, &port, Q, &frames)
}

/// 1.3: buf_ofs, num_slots, nr_buf_size, ringid, dir are meant to be constant for user space.
fn fields_meant_to_be_constant_may_be_overwritten() -> Result<()> {
    let nic = Nic::open()?;
    let port = Port::tx(Q)?;
    let ring = port.tx_ring(Q)?;
    port.mem.set(ring.off + shm::RING_NUM_SLOTS, u32::MAX);
    port.mem.set(ring.off + shm::RING_BUF_SIZE, u32::MAX);
    port.mem.set(ring.off + shm::RING_BUF_OFS, u64::MAX);
    port.mem.set(ring.off + shm::RING_ID, u16::MAX);
    port.mem.set(ring.off + shm::RING_DIR, 0u16);
    let log = TxLog::start(&nic)?;
    let frames: Vec<_> = (0..ring.n).map(|s| outgoing(s, 64)).collect();
    send(&port, &ring, &frames)?;
    want_eq("on the wire", log.outgoing(frames.len())?, frames)?;
    eventually("completed", SOON, || {
        want_ok("TXSYNC", port.fd.txsync())?;
        Ok(ring.space() == ring.n - 1)
    })
}
