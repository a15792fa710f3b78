// SPDX-License-Identifier: GPL-2.0
//! The host TX ring: what a program sends there enters the kernel's stack as
//! if the port had received it.

use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::one_rx;
use crate::frame::{is_echo_reply, ping, tagged, udp, udp_sized, PEER_IP, UDP_HEADERS};
use crate::mem::{Ring, Slot};
use crate::nic::Nic;
use crate::port::{host_info, Lane, Port, DPORT, OTHER_PORT, Q};
use crate::setup::eventually;
use crate::sock::{bind, recv, Counter};
use crate::steer::{ifname, sysfs, Feature, Mtu, Rss, Rule};
use anyhow::{bail, Context, Result};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

tests! { "putback":
    frame_put_back_by_copy_reaches_a_socket,
    frame_put_back_by_buffer_swap_reaches_a_socket,
    frames_of_every_size_reach_the_socket_whole,
    jumbo_frame_in_chained_slots_reaches_the_socket_whole | flaps,
    steered_packets_put_back_are_all_received_in_order @ 90,
    ping_put_back_is_answered_on_the_wire,
    frame_with_vlan_tag_put_back_reaches_the_vlan_interface,
    frame_for_another_host_is_not_delivered_locally,
    frame_with_bad_udp_checksum_is_not_delivered,
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

/// Copies a frame into the next free slots of a TX ring; TXSYNC sends it.
pub fn put_copy(ring: &Ring, frame: &[u8]) -> Result<()> {
    let (mut i, room) = (ring.head(), ring.buf_size as usize);
    if (ring.space() as usize) < frame.len().div_ceil(room) {
        bail!("no room in the host ring: {:?}", ring.pointers());
    }
    let parts = frame.len().div_ceil(room);
    for (k, part) in frame.chunks(room).enumerate() {
        let s = ring.slot(i);
        ring.mem.copy_in(ring.buf_off(s.idx), part);
        let flags = if k + 1 < parts { NS_MOREFRAG } else { 0 };
        ring.set_slot(
            i,
            Slot {
                len: part.len() as u16,
                flags,
                ..s
            },
        );
        i = ring.next(i);
    }
    ring.set_cur(i);
    ring.set_head(i);
    Ok(())
}

/// Puts frames back by copy and syncs.
fn put(port: &Port, frames: &[Vec<u8>]) -> Result<()> {
    let ring = port.host()?;
    for f in frames {
        if ring.space() == 0 {
            want_ok("TXSYNC", port.fd.txsync())?;
        }
        put_copy(&ring, f)?;
    }
    want_ok("TXSYNC", port.fd.txsync())?;
    want_eq("all sent: slots free", ring.space(), ring.n - 1)
}

fn payload(frame: &[u8]) -> Vec<u8> {
    crate::frame::parse_udp(frame).map_or(vec![], |u| u.payload.to_vec())
}

/// The socket gets exactly these frames' payloads, in order, and nothing else.
fn receives(socket: &UdpSocket, frames: &[Vec<u8>]) -> Result<()> {
    for (i, f) in frames.iter().enumerate() {
        let got = recv(socket, SOON)?
            .with_context(|| format!("datagram {i} of {} did not come", frames.len()))?;
        want_eq(&format!("datagram {i}"), got, payload(f))?;
    }
    want_eq("one more", recv(socket, Duration::from_millis(100))?, None)
}

fn frame_put_back_by_copy_reaches_a_socket() -> Result<()> {
    let socket = bind(OTHER_PORT)?;
    let port = Port::rx_putback(Q)?;
    put(&port, &[udp(40001, OTHER_PORT, b"by copy")])?;
    let mut buf = [0; 100];
    socket.set_read_timeout(Some(SOON))?;
    let (n, from) = socket.recv_from(&mut buf)?;
    want_eq("payload", &buf[..n], b"by copy")?;
    want_eq("sender", from.to_string(), "10.0.3.2:40001".to_string())
}

fn frame_put_back_by_buffer_swap_reaches_a_socket() -> Result<()> {
    let lane = Lane::putback()?;
    let socket = bind(DPORT)?;
    let nic = Nic::open()?;
    let (rx, tx) = (lane.ring()?, lane.port.host()?);
    let frames: Vec<_> = (0..20).map(|s| udp_sized(DPORT, s, 500)).collect();
    for f in &frames {
        nic.send(f)?;
    }
    eventually("all are in the ring", SOON, || {
        lane.port.fd.rxsync()?;
        Ok(rx.space() == 20)
    })?;
    for _ in 0..20 {
        let (i, j) = (rx.head(), tx.head());
        let (a, b) = (rx.slot(i), tx.slot(j));
        tx.set_slot(
            j,
            Slot {
                idx: a.idx,
                len: a.len,
                flags: NS_BUF_CHANGED,
            },
        );
        rx.set_slot(
            i,
            Slot {
                idx: b.idx,
                len: 0,
                flags: NS_BUF_CHANGED,
            },
        );
        tx.set_cur(tx.next(j));
        tx.set_head(tx.next(j));
        rx.set_cur(rx.next(i));
        rx.set_head(rx.next(i));
    }
    want_ok("TXSYNC", lane.port.fd.txsync())?;
    want_ok("RXSYNC", lane.port.fd.rxsync())?;
    receives(&socket, &frames)?;
    nic.send(&udp_sized(DPORT, 99, 60))?;
    want_eq(
        "the RX ring goes on with the other's buffers",
        lane.recv(1, SOON)?,
        vec![udp_sized(DPORT, 99, 60)],
    )
}

fn frames_of_every_size_reach_the_socket_whole() -> Result<()> {
    let socket = bind(OTHER_PORT)?;
    let port = Port::rx_putback(Q)?;
    let sizes = [60, 61, 64, 127, 128, 256, 257, 1000, 1513, 1514];
    let frames: Vec<_> = sizes
        .iter()
        .map(|s| udp_sized(OTHER_PORT, *s as u32, *s))
        .collect();
    put(&port, &frames)?;
    receives(&socket, &frames)
}

fn jumbo_frame_in_chained_slots_reaches_the_socket_whole() -> Result<()> {
    let _mtu = Mtu::set(9000)?;
    let socket = bind(OTHER_PORT)?;
    let port = Port::rx_putback(Q)?;
    let frames: Vec<_> = [2048, 2049, 4096, 9014, 60]
        .iter()
        .map(|s| udp_sized(OTHER_PORT, *s as u32, *s))
        .collect();
    put(&port, &frames)?;
    receives(&socket, &frames)
}

/// Round trip: card, ring, program, host ring, socket; nothing missing.
fn steered_packets_put_back_are_all_received_in_order() -> Result<()> {
    let lane = Lane::putback()?;
    let counter = Counter::start(DPORT)?;
    let nic = Nic::open()?;
    let count = 5000;
    let gen = nic.generate(
        "rt",
        &format!("profile=udp rate=2000 count={count} size=100 dport={DPORT}"),
    )?;
    let (rx, tx) = (lane.ring()?, lane.port.host()?);
    let end = Instant::now() + Duration::from_secs(60);
    let mut moved = 0;
    while moved < count {
        want(
            &format!("in time: {moved} of {count}"),
            Instant::now() < end,
        )?;
        lane.port
            .fd
            .poll(libc::POLLIN, Duration::from_millis(200))?;
        for f in rx.take_up_to(tx.space() as usize) {
            put_copy(&tx, &f)?;
            moved += 1;
        }
        want_ok("TXSYNC", lane.port.fd.txsync())?;
    }
    want_eq("sent by the card", gen.wait(SOON)?, count)?;
    want_eq("received by the socket", counter.settle(count), count)?;
    for (id, flow) in counter.finish()? {
        want_eq(
            &format!("flow {id}: skipped, late"),
            (flow.skipped, flow.late),
            (0, 0),
        )?;
    }
    Ok(())
}

/// Everything of one address goes to the ring; its pings are put back, and the
/// kernel's answers are seen leaving the card.
fn ping_put_back_is_answered_on_the_wire() -> Result<()> {
    let _rss = Rss::without(&[Q])?;
    let port = Port::rx_putback(Q)?;
    let _rule = Rule::from_ip("10.0.3.2", Q)?;
    let nic = Nic::open()?;
    let (id, count) = (0x4e4d, 5);
    let asks: Vec<_> = (0..count)
        .map(|seq| ping(PEER_IP, id, seq, b"netmap put-back test"))
        .collect();
    let (_, sent) = nic.sent_during(|| {
        for a in &asks {
            nic.send(a)?;
        }
        let mut got = Vec::new();
        eventually("the pings are in the ring", SOON, || {
            port.fd.rxsync()?;
            got.extend(
                port.ring(Q)?
                    .take()
                    .into_iter()
                    .filter(|f| asks.contains(f)),
            );
            Ok(got.len() >= asks.len())
        })?;
        want_eq("pings in the ring", &got, &asks)?;
        std::thread::sleep(Duration::from_millis(200));
        let early = nic.cmd("txlog get")?;
        want_eq("answers before putting back", replies(&early, id), 0)?;
        put(&port, &got)?;
        std::thread::sleep(Duration::from_millis(500));
        Ok(())
    })?;
    want_eq(
        "echo replies on the wire",
        sent.iter().filter(|f| is_echo_reply(f, id)).count(),
        count.into(),
    )
}

/// Echo replies in the card's log of sent frames.
fn replies(log: &[String], id: u16) -> usize {
    log.iter()
        .filter_map(|l| crate::frame::unhex(l))
        .filter(|f| is_echo_reply(f, id))
        .count()
}

/// The tag is taken like one the card stripped.
fn frame_with_vlan_tag_put_back_reaches_the_vlan_interface() -> Result<()> {
    let _unfiltered = Feature::off("rx-vlan-filter")?;
    let socket = bind(OTHER_PORT)?;
    let port = Port::rx_putback(Q)?;
    // a priority tag (VLAN 0) belongs to the port itself
    let frame = udp(40001, OTHER_PORT, b"priority tagged");
    put(&port, &[tagged(&frame, 0x6000)])?;
    receives(&socket, &[frame])?;
    // VLAN 9 does not exist here: the stack drops it
    put(&port, &[tagged(&udp(40001, OTHER_PORT, b"vlan 9"), 9)])?;
    want_eq(
        "frame of a VLAN that is not configured",
        recv(&socket, Duration::from_millis(300))?,
        None,
    )
}

fn frame_for_another_host_is_not_delivered_locally() -> Result<()> {
    let socket = bind(OTHER_PORT)?;
    let port = Port::rx_putback(Q)?;
    let mut frame = udp(40001, OTHER_PORT, b"not for us");
    frame[..6].copy_from_slice(&[0x02, 0, 0, 0, 0, 0x77]);
    put(&port, &[frame])?;
    want_eq("datagram", recv(&socket, Duration::from_millis(300))?, None)
}

/// What is put back is not taken on trust: the stack checks the checksum.
fn frame_with_bad_udp_checksum_is_not_delivered() -> Result<()> {
    let socket = bind(OTHER_PORT)?;
    let port = Port::rx_putback(Q)?;
    let mut frame = udp(40001, OTHER_PORT, b"a payload that was damaged");
    frame[UDP_HEADERS + 3] ^= 0x40;
    put(&port, &[frame])?;
    want_eq("datagram", recv(&socket, Duration::from_millis(300))?, None)
}

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
