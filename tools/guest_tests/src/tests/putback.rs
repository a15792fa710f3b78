// SPDX-License-Identifier: GPL-2.0
//! The host TX ring: what a program sends there enters the kernel's stack as
//! if the port had received it.

use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::frame::{is_echo_reply, ping, tagged, udp, udp_sized, PEER_IP, UDP_HEADERS};
use crate::mem::{Ring, Slot};
use crate::nic::Nic;
use crate::port::{Lane, Port, DPORT, OTHER_PORT, Q};
use crate::setup::eventually;
use crate::sock::{bind, recv, Counter};
use crate::steer::{Feature, Mtu, Rss, Rule};
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
pub(super) fn put(port: &Port, frames: &[Vec<u8>]) -> Result<()> {
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

pub(super) fn payload(frame: &[u8]) -> Vec<u8> {
    crate::frame::parse_udp(frame).map_or(vec![], |u| u.payload.to_vec())
}

/// The socket gets exactly these frames' payloads, in order, and nothing else.
pub(super) fn receives(socket: &UdpSocket, frames: &[Vec<u8>]) -> Result<()> {
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
        &format!("profile=udp wait=1 rate=2000 count={count} size=100 dport={DPORT}"),
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
