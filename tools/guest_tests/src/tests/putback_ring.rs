// SPDX-License-Identifier: GPL-2.0
//! The host TX ring as a ring: bad slots, wrapping, filling up, counters, and
//! what it shares the port with.

use super::putback::{payload, put, put_copy, receives};
use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::one_rx;
use crate::frame::{udp, udp_sized};
use crate::mem::Slot;
use crate::nic::Nic;
use crate::port::{host_info, Lane, Port, DPORT, OTHER_PORT, Q};
use crate::sock::{bind, recv, Counter};
use crate::steer::{ifname, sysfs};
use anyhow::Result;
use std::time::Duration;

tests! { "putback":
    bad_slot_lengths_are_refused_and_counted,
    bad_slots_do_not_stop_the_good_ones_around_them,
    host_ring_wraps_many_times @ 90,
    full_host_ring_has_room_again_after_txsync,
    buffer_may_be_reused_at_once,
    counters_of_the_host_ring_count,
    host_ring_survives_adding_and_removing_queues,
    interface_rx_is_unchanged_for_other_queues_while_putting_back,
}

const SOON: Duration = Duration::from_secs(10);

/// Lengths no Ethernet frame has, or beyond the buffer: counted, never sent.
fn bad_slot_lengths_are_refused_and_counted() -> Result<()> {
    let socket = bind(OTHER_PORT)?;
    let port = Port::rx_putback(Q)?;
    let ring = port.host()?;
    let lengths = [0u16, 1, 13, ring.buf_size as u16 + 1, 0x7fff, 0xffff];
    let before = host_info(&port.fd)?.counter[counter::BAD_SLOTS];
    for len in lengths {
        let i = ring.head();
        let s = ring.slot(i);
        ring.mem
            .copy_in(ring.buf_off(s.idx), &udp(40001, OTHER_PORT, b"never"));
        ring.set_slot(i, Slot { len, flags: 0, ..s });
        ring.set_cur(ring.next(i));
        ring.set_head(ring.next(i));
        want_ok(&format!("TXSYNC with len {len}"), port.fd.txsync())?;
        want(
            "pointers are in the ring",
            ring.head() < ring.n && ring.tail() < ring.n,
        )?;
    }
    let counted = host_info(&port.fd)?.counter[counter::BAD_SLOTS] - before;
    want_eq("bad slots counted", counted, lengths.len() as u64)?;
    want_eq(
        "datagrams",
        recv(&socket, Duration::from_millis(200))?,
        None,
    )?;
    let good = udp(40001, OTHER_PORT, b"good");
    put_copy(&ring, &good)?;
    want_ok("TXSYNC", port.fd.txsync())?;
    receives(&socket, &[good])
}

fn bad_slots_do_not_stop_the_good_ones_around_them() -> Result<()> {
    let socket = bind(OTHER_PORT)?;
    let port = Port::rx_putback(Q)?;
    let ring = port.host()?;
    let frames: Vec<_> = (0..9).map(|s| udp_sized(OTHER_PORT, s, 100)).collect();
    let mut good = Vec::new();
    for (k, f) in frames.iter().enumerate() {
        let i = ring.head();
        put_copy(&ring, f)?;
        let s = ring.slot(i);
        match k {
            2 => ring.set_slot(i, Slot { idx: u32::MAX, ..s }),
            4 => ring.set_slot(i, Slot { len: 5, ..s }),
            6 => ring.set_slot(i, Slot { idx: 0, ..s }),
            _ => good.push(f.clone()),
        }
    }
    want_ok("TXSYNC", port.fd.txsync())?;
    receives(&socket, &good)
}

fn host_ring_wraps_many_times() -> Result<()> {
    let socket = bind(OTHER_PORT)?;
    let port = Port::rx_putback(Q)?;
    let ring = port.host()?;
    let count = ring.n * 8 + 3;
    for first in (0..count).step_by(100) {
        let frames: Vec<_> = (first..count.min(first + 100))
            .map(|s| udp_sized(OTHER_PORT, s, 80))
            .collect();
        put(&port, &frames)?;
        for f in &frames {
            want_eq("datagram", recv(&socket, SOON)?, Some(payload(f)))?;
        }
    }
    want_eq("one more", recv(&socket, Duration::from_millis(100))?, None)
}

fn full_host_ring_has_room_again_after_txsync() -> Result<()> {
    let socket = bind(OTHER_PORT)?;
    let port = Port::rx_putback(Q)?;
    let ring = port.host()?;
    let frames: Vec<_> = (0..ring.n - 1)
        .map(|s| udp_sized(OTHER_PORT, s, 70))
        .collect();
    for f in &frames {
        put_copy(&ring, f)?;
    }
    want_eq("room", ring.space(), 0)?;
    want_ok("TXSYNC", port.fd.txsync())?;
    want_eq("room after TXSYNC", ring.space(), ring.n - 1)?;
    receives(&socket, &frames)
}

/// The kernel has copied: overwriting the buffer after TXSYNC changes nothing.
fn buffer_may_be_reused_at_once() -> Result<()> {
    let socket = bind(OTHER_PORT)?;
    let port = Port::rx_putback(Q)?;
    let ring = port.host()?;
    let frames: Vec<_> = (0..50).map(|s| udp_sized(OTHER_PORT, s, 700)).collect();
    for f in &frames {
        let idx = ring.slot(ring.head()).idx;
        put_copy(&ring, f)?;
        want_ok("TXSYNC", port.fd.txsync())?;
        ring.mem.copy_in(ring.buf_off(idx), &[0xee; 700]);
    }
    receives(&socket, &frames)
}

fn counters_of_the_host_ring_count() -> Result<()> {
    let _socket = bind(OTHER_PORT)?;
    let port = Port::rx_putback(Q)?;
    let before = host_info(&port.fd)?;
    want_eq("owner", before.pid, std::process::id())?;
    put(
        &port,
        &[udp_sized(OTHER_PORT, 1, 100), udp_sized(OTHER_PORT, 2, 200)],
    )?;
    let after = host_info(&port.fd)?;
    let moved = |c: usize| after.counter[c] - before.counter[c];
    want_eq(
        "packets, bytes",
        (moved(counter::PACKETS), moved(counter::BYTES)),
        (2, 300),
    )?;
    want("syncs", moved(counter::SYNCS) >= 1)
}

fn host_ring_survives_adding_and_removing_queues() -> Result<()> {
    let socket = bind(OTHER_PORT)?;
    let port = Port::open(
        &ifname(),
        Register {
            flags: RX_ONLY | PUTBACK | NO_RINGS,
            ..one_rx(0)
        },
    )?;
    let mut frames = Vec::new();
    for (seq, q) in (Q..Q + 3).enumerate() {
        want_ok("NIOCQADD", port.fd.qadd(q))?;
        let frame = udp_sized(OTHER_PORT, seq as u32, 90);
        put(&port, std::slice::from_ref(&frame))?;
        frames.push(frame);
    }
    for (seq, q) in (Q..Q + 3).enumerate() {
        want_ok("NIOCQDEL", port.fd.qdel(q))?;
        let frame = udp_sized(OTHER_PORT, 10 + seq as u32, 90);
        put(&port, std::slice::from_ref(&frame))?;
        frames.push(frame);
    }
    receives(&socket, &frames)
}

/// Putting back does not disturb what the other queues receive.
fn interface_rx_is_unchanged_for_other_queues_while_putting_back() -> Result<()> {
    let lane = Lane::putback()?;
    let _sink = bind(DPORT)?;
    let counter = Counter::start(OTHER_PORT)?;
    let nic = Nic::open()?;
    let before = nic.counts()?;
    let count = 4000;
    let gen = nic.generate(
        "rest",
        &format!("profile=flows src=10.0.3.10 flows=16 rate=1500 count={count} size=80 dport={OTHER_PORT}"),
    )?;
    let mut sent_back = 0u32;
    while gen.status()?.1 {
        let frames: Vec<_> = (0..64).map(|s| udp_sized(DPORT, s, 80)).collect();
        put(&lane.port, &frames)?;
        sent_back += 64;
    }
    want("frames were put back meanwhile", sent_back > 64)?;
    want_eq("received by the socket", counter.settle(count), count)?;
    let after = nic.counts()?;
    for q in after.rx.keys().filter(|q| **q != Q) {
        want_eq(
            &format!("dropped on queue {q}"),
            after.rxq(*q, "drop_nodesc")? - before.rxq(*q, "drop_nodesc")?,
            0,
        )?;
    }
    want_eq("carrier", sysfs("carrier")?, "1".to_string())?;
    counter.finish().map(drop)
}
