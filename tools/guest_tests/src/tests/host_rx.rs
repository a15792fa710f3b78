// SPDX-License-Identifier: GPL-2.0
//! The host RX ring (netmap-abi 2.1, 2.4.4, 3.3): what the kernel itself sends goes there while
//! a program has the port's TX rings, and onto the wire again when it has not.

use super::abi_register::rx;
use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::frame::{parse_udp, pattern, wrong_on_wire, CARD_MAC, PEER_MAC};
use crate::mem::Ring;
use crate::nic::Nic;
use crate::peer::{self, PEER};
use crate::port::{host_rx_info, Port, Q};
use crate::setup::eventually;
use crate::steer::{ifname, run, sysfs, Mtu};
use crate::txlog::TxLog;
use anyhow::{Context, Result};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

tests! { "host":
    kernels_frames_stay_off_the_wire_in_all_nic,
    kernels_frames_go_to_the_host_rx_ring_in_nic_sw,
    kernels_frames_go_to_the_wire_in_every_other_mode,
    datagrams_of_every_size_arrive_whole_with_checksums,
    frame_longer_than_a_buffer_comes_in_several_slots @ 90 | flaps,
    fragmented_datagram_arrives_as_its_fragments,
    vlan_interfaces_frames_carry_their_tag,
    kernels_frame_wakes_the_poller,
    released_slots_keep_distinct_buffers,
}

pub(super) const SOON: Duration = Duration::from_secs(10);

/// Datagrams of these sizes to the peer's echo port, from one socket.
pub(super) fn send(sizes: &[usize]) -> Result<UdpSocket> {
    let socket = peer::udp(PEER)?;
    for (seq, size) in sizes.iter().enumerate() {
        socket.send(&pattern(seq as u32, *size))?;
    }
    Ok(socket)
}

/// Is it a datagram to the echo port?
pub(super) fn to_echo(f: &[u8]) -> bool {
    parse_udp(f).is_some_and(|u| u.dport == 7)
}

/// Frames to the echo port from a host RX ring: `n` of them.
pub(super) fn collect(port: &Port, ring: &Ring, n: usize) -> Result<Vec<Vec<u8>>> {
    let mut got = Vec::new();
    eventually(&format!("{n} frames in the host RX ring"), SOON, || {
        want_ok("RXSYNC", port.fd.rxsync())?;
        got.extend(ring.take().into_iter().filter(|f| to_echo(f)));
        Ok(got.len() >= n)
    })?;
    want_eq("frames", got.len(), n)?;
    Ok(got)
}

pub(super) fn nic_sw() -> Result<Port> {
    want_ok("NIC_SW", Port::open(&ifname(), rx(NIC_SW, 0, 0)))
}

/// 3.3: the rings are netmap's whether or not anybody opened the host ring.
fn kernels_frames_stay_off_the_wire_in_all_nic() -> Result<()> {
    let nic = Nic::open()?;
    let log = TxLog::start(&nic)?;
    let port = want_ok("ALL_NIC", Port::open(&ifname(), rx(ALL_NIC, 0, 0)))?;
    let dropped: u64 = sysfs("statistics/tx_dropped")?.parse()?;
    send(&[100; 20])?;
    std::thread::sleep(Duration::from_millis(200));
    want_eq("frames on the wire", log.all(to_echo)?.len(), 0)?;
    let now: u64 = sysfs("statistics/tx_dropped")?.parse()?;
    want(
        &format!("drops are counted: {dropped} -> {now}"),
        now >= dropped + 20,
    )?;
    drop(port);
    send(&[100; 20])?;
    log.wait(20, to_echo).map(drop)
}

/// 2.1: NIC_SW binds the host rings as well.
fn kernels_frames_go_to_the_host_rx_ring_in_nic_sw() -> Result<()> {
    let nic = Nic::open()?;
    let log = TxLog::start(&nic)?;
    let port = nic_sw()?;
    let ring = port.host_rx(0)?;
    want_eq("head, cur, tail", ring.pointers(), (0, 0, 0))?;
    let before = host_rx_info(&port.fd, 0)?;
    send(&[100; 20])?;
    for (seq, f) in collect(&port, &ring, 20)?.iter().enumerate() {
        want_eq("addresses", &f[..12], &[PEER_MAC, CARD_MAC].concat()[..])?;
        let udp = parse_udp(f).context("not UDP")?;
        want_eq("payload", udp.payload, &pattern(seq as u32, 100)[..])?;
    }
    want_eq("frames on the wire", log.all(to_echo)?.len(), 0)?;
    let after = host_rx_info(&port.fd, 0)?;
    want(
        "the ring's counters tell",
        after.counter[counter::PACKETS] - before.counter[counter::PACKETS] >= 20,
    )
}

/// 2.4.4 and lesson 2: where the program has no TX ring, or one only, the kernel keeps the wire.
fn kernels_frames_go_to_the_wire_in_every_other_mode() -> Result<()> {
    let nic = Nic::open()?;
    for (what, reg) in [
        ("SW", rx(SW, 0, 0)),
        ("ALL_NIC, RX only", rx(ALL_NIC, 0, RX_ONLY)),
        ("NIC_SW, RX only", rx(NIC_SW, 0, RX_ONLY)),
        ("ONE_NIC", rx(ONE_NIC, Q as u16, 0)),
        ("ONE_NIC, TX only", rx(ONE_NIC, Q as u16, TX_ONLY)),
        ("ONE_SW", rx(ONE_SW, 0, 0)),
    ] {
        let log = TxLog::start(&nic)?;
        let _port = want_ok(what, Port::open(&ifname(), reg))?;
        send(&[100; 10])?;
        log.wait(10, to_echo).with_context(|| what.to_string())?;
    }
    Ok(())
}

/// 2.4.4: what upstream drops: checksums left to the card are finished.
fn datagrams_of_every_size_arrive_whole_with_checksums() -> Result<()> {
    let port = nic_sw()?;
    let ring = port.host_rx(0)?;
    let sizes = [
        1, 2, 17, 18, 19, 63, 64, 100, 511, 512, 1000, 1400, 1471, 1472,
    ];
    send(&sizes)?;
    let got = collect(&port, &ring, sizes.len())?;
    for ((seq, size), f) in sizes.iter().enumerate().zip(&got) {
        let udp = parse_udp(f).context("not UDP")?;
        want_eq(
            &format!("payload of {size}"),
            udp.payload,
            &pattern(seq as u32, *size)[..],
        )?;
        want_eq(&format!("wrong with {size}"), wrong_on_wire(f, 1500), None)?;
    }
    Ok(())
}

/// NS_MOREFRAG on all slots but the last.
fn frame_longer_than_a_buffer_comes_in_several_slots() -> Result<()> {
    let _mtu = Mtu::set(9000)?;
    let port = nic_sw()?;
    let ring = port.host_rx(0)?;
    let sizes = [2000, 2006, 2007, 4000, 8972, 100];
    send(&sizes)?;
    let got = collect(&port, &ring, sizes.len())?;
    for ((seq, size), f) in sizes.iter().enumerate().zip(&got) {
        want_eq("length", f.len(), size + 42)?;
        let udp = parse_udp(f).context("not UDP")?;
        want_eq("payload", udp.payload, &pattern(seq as u32, *size)[..])?;
        want_eq("wrong", wrong_on_wire(f, 9000), None)?;
    }
    Ok(())
}

fn fragmented_datagram_arrives_as_its_fragments() -> Result<()> {
    let port = nic_sw()?;
    let ring = port.host_rx(0)?;
    let socket = send(&[])?;
    let sent = pattern(1, 5000);
    // a connected socket sets "don't fragment"
    let off: libc::c_int = libc::IP_PMTUDISC_DONT;
    // SAFETY: an int option of an open socket.
    let set = unsafe {
        libc::setsockopt(
            std::os::fd::AsRawFd::as_raw_fd(&socket),
            libc::IPPROTO_IP,
            libc::IP_MTU_DISCOVER,
            (&raw const off).cast(),
            4,
        )
    };
    want_eq("setsockopt", set, 0)?;
    socket.send(&sent)?;
    let mut got = Vec::new();
    eventually("the fragments are there", SOON, || {
        want_ok("RXSYNC", port.fd.rxsync())?;
        for f in ring.take() {
            if f.len() > 34 && f[23] == 17 && f[30..34] == PEER {
                let total = usize::from(u16::from_be_bytes([f[16], f[17]]));
                got.extend(f[34..14 + total].to_vec());
            }
        }
        Ok(got.len() >= 5008)
    })?;
    want_eq("payload", &got[8..], &sent[..])
}

/// The tag that the stack leaves to the card is in the frame.
fn vlan_interfaces_frames_carry_their_tag() -> Result<()> {
    let name = ifname();
    let vlan = format!("{name}.7");
    let mac = PEER_MAC.map(|b| format!("{b:02x}")).join(":");
    run(
        "ip",
        &[
            "link", "add", "link", &name, "name", &vlan, "type", "vlan", "id", "7",
        ],
    )?;
    let got = (|| {
        let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{vlan}/disable_ipv6"), "1");
        run("ip", &["addr", "add", "10.0.7.1/24", "dev", &vlan])?;
        run("ip", &["link", "set", "dev", &vlan, "up"])?;
        let to = ["10.0.7.2", "lladdr", &mac, "dev", &vlan];
        run("ip", &[&["neigh", "add"][..], &to[..]].concat())?;
        let port = nic_sw()?;
        let ring = port.host_rx(0)?;
        let socket = peer::udp([10, 0, 7, 2])?;
        let mut tagged = Vec::new();
        for seq in 0..5 {
            socket.send(&pattern(seq, 200))?;
        }
        eventually("tagged frames are there", SOON, || {
            want_ok("RXSYNC", port.fd.rxsync())?;
            tagged.extend(ring.take().into_iter().filter(|f| f.len() == 46 + 200));
            Ok(tagged.len() >= 5)
        })?;
        Ok::<_, anyhow::Error>(tagged)
    })();
    run("ip", &["link", "del", &vlan])?;
    for (seq, f) in got?.iter().enumerate() {
        want_eq("tag", &f[12..16], &[0x81, 0, 0, 7][..])?;
        want_eq("payload", &f[46..], &pattern(seq as u32, 200)[..])?;
        want_eq("wrong", wrong_on_wire(f, 1500), None)?;
    }
    Ok(())
}

/// Lesson 11.
fn kernels_frame_wakes_the_poller() -> Result<()> {
    let port = nic_sw()?;
    let ring = port.host_rx(0)?;
    for _ in 0..5 {
        port.fd.rxsync()?;
        ring.take();
        port.fd.rxsync()?;
        let sender = std::thread::spawn(|| {
            std::thread::sleep(Duration::from_millis(100));
            send(&[100]).map(drop)
        });
        let started = Instant::now();
        let got = port.fd.poll(libc::POLLIN, 2 * SOON)?;
        want_eq("revents", got, libc::POLLIN)?;
        want("woken, not timed out", started.elapsed() < SOON)?;
        sender.join().ok().context("the sender died")??;
        collect(&port, &ring, 1)?;
    }
    Ok(())
}

/// Around the ring several times: a buffer never stands in two slots.
fn released_slots_keep_distinct_buffers() -> Result<()> {
    let port = nic_sw()?;
    let ring = port.host_rx(0)?;
    let before = (0..ring.n).map(|i| ring.slot(i).idx);
    let before: std::collections::BTreeSet<_> = before.collect();
    want_eq("buffers", before.len(), ring.n as usize)?;
    for round in 0..3 * ring.n / 64 + 1 {
        let sizes: Vec<_> = (0..64).map(|k| 20 + (round + k) as usize % 300).collect();
        send(&sizes)?;
        for (f, size) in collect(&port, &ring, 64)?.iter().zip(&sizes) {
            want_eq("length", parse_udp(f).map(|u| u.payload.len()), Some(*size))?;
        }
    }
    let after: std::collections::BTreeSet<_> = (0..ring.n).map(|i| ring.slot(i).idx).collect();
    want_eq("buffers afterwards", after, before)
}
