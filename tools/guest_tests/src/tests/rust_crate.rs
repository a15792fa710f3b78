// SPDX-License-Identifier: GPL-2.0
//! The Rust crate on the running guest: what it offers beyond the programs built on
//! it (memories, offsets, kernel loops, extra buffers, several threads).

use super::tests;
use crate::check::*;
use crate::frame::{parse_udp, udp_sized, UDP_HEADERS};
use crate::nic::Nic;
use crate::port::{DPORT, DPORT2, Q, Q2};
use crate::setup::eventually;
use crate::steer::{ifname, Rss, Rule};
use anyhow::{Context, Result};
use netmap::{KernelLoop, LoopMode, Offsets, Pools, Port, PortInfo, RingId};
use std::time::{Duration, Instant};

tests! { "crate":
    a_kernel_loop_that_polls_brings_frames,
    a_kernel_loop_with_events_brings_frames_and_sends_them,
    private_memory_is_shared_on_request_only,
    memory_without_a_port_outlives_the_port,
    frames_arrive_in_memory_of_the_program,
    offsets_leave_room_before_frames_of_both_directions,
    metadata_names_kind_and_checksum_of_a_frame,
    extra_buffers_are_sent_without_a_copy,
    threads_have_a_queue_each,
    ports_with_one_ring_take_turns,
    what_a_port_looks_like_is_told_without_opening_it,
}

const SOON: Duration = Duration::from_secs(10);
const MOMENT: Duration = Duration::from_millis(100);

/// `DPORT` steered to `Q`, which RSS leaves alone.
struct Steered {
    nic: Nic,
    _rss: Rss,
    _rule: Rule,
}

fn steered() -> Result<Steered> {
    Ok(Steered {
        nic: Nic::open()?,
        _rss: Rss::without(&[Q, Q2])?,
        _rule: Rule::udp(DPORT, Q)?,
    })
}

fn rx_name() -> String {
    format!("{}-{Q}/R", ifname())
}

/// Payloads of `n` frames for `DPORT` on queue `Q`, fetched by `fetch`.
fn receive(port: &Port, n: usize, mut fetch: impl FnMut() -> Result<()>) -> Result<Vec<Vec<u8>>> {
    let (mut got, end) = (Vec::new(), Instant::now() + SOON);
    while got.len() < n && Instant::now() < end {
        fetch()?;
        for slot in port.rx_ring(Q as u16)?.acquire().slots() {
            if parse_udp(slot.payload()).is_some_and(|u| u.dport == DPORT) {
                got.push(slot.payload().to_vec());
            }
        }
    }
    want_eq("frames received", got.len(), n)?;
    Ok(got)
}

fn send(nic: &Nic, n: u32) -> Result<Vec<Vec<u8>>> {
    let frames: Vec<_> = (0..n)
        .map(|seq| udp_sized(DPORT, seq, 60 + seq as usize))
        .collect();
    frames.iter().try_for_each(|f| nic.send(f))?;
    Ok(frames)
}

fn waited(port: &Port) -> impl FnMut() -> Result<()> + '_ {
    || {
        port.wait(Some(MOMENT))?;
        Ok(())
    }
}

fn a_kernel_loop_that_polls_brings_frames() -> Result<()> {
    let on = steered()?;
    let port = Port::builder(&rx_name()).csb().open()?;
    for round in 0..2 {
        let kernel = KernelLoop::start(&port, LoopMode::Poll(Duration::from_micros(500)))?;
        let frames = send(&on.nic, 100)?;
        let got = receive(&port, 100, || {
            std::thread::sleep(Duration::from_millis(5));
            Ok(())
        })?;
        want_eq(
            &format!("round {round}: what arrived is what was sent"),
            got == frames,
            true,
        )?;
        want("it runs", kernel.is_running())?;
        kernel.stop()?;
    }
    want_errno(
        "a sync meanwhile",
        port.rxsync().map_err(|e| Errno(e.errno().unwrap_or(0))),
        libc::EBUSY,
    )
}

fn a_kernel_loop_with_events_brings_frames_and_sends_them() -> Result<()> {
    let on = steered()?;
    let port = Port::builder(&format!("{}-{Q}", ifname())).csb().open()?;
    let kernel = KernelLoop::start(&port, LoopMode::Events)?;
    let frames = send(&on.nic, 100)?;
    let got = receive(&port, 100, || {
        kernel.kick()?;
        kernel.wait(Some(MOMENT))?;
        Ok(())
    })?;
    want_eq("what arrived is what was sent", got == frames, true)?;
    let ((), out) = on.nic.sent_during(|| {
        let mut tx = port.tx_ring(Q as u16)?;
        frames.iter().try_for_each(|f| tx.push(f)).context("room")?;
        tx.publish();
        kernel.kick()?;
        eventually("all is sent", SOON, || Ok(tx.in_flight() == 0))
    })?;
    let ours: Vec<_> = out
        .into_iter()
        .filter(|f| parse_udp(f).is_some_and(|u| u.dport == DPORT))
        .collect();
    want_eq("the card has seen what was sent", ours == frames, true)?;
    Ok(kernel.stop()?)
}

fn private_memory_is_shared_on_request_only() -> Result<()> {
    let queue = |q: u32| format!("{}-{q}/R", ifname());
    let usual = Port::open(&queue(Q))?;
    let private = Port::builder(&queue(Q2)).private_memory().open()?;
    want("an id of its own", private.mem_id() != usual.mem_id())?;
    let host = format!("{}^", ifname());
    let shared = Port::builder(&host).share(&private).open()?;
    want_eq("the same id", shared.mem_id(), private.mem_id())?;
    drop(shared);
    want_eq("the usual one", Port::open(&host)?.mem_id(), usual.mem_id())
}

fn memory_without_a_port_outlives_the_port() -> Result<()> {
    let private = Port::builder(&rx_name()).private_memory().open()?;
    let id = private.mem_id();
    let memory = Port::memory(id).open()?;
    drop(private);
    want_eq(
        "still the same memory",
        Port::builder(&rx_name()).mem_id(id).open()?.mem_id(),
        id,
    )?;
    drop(memory);
    let gone = Port::builder(&rx_name()).mem_id(id).open();
    want_errno(
        "an id of the past",
        gone.map_err(|e| Errno(e.errno().unwrap_or(0))),
        libc::EINVAL,
    )
}

fn frames_arrive_in_memory_of_the_program() -> Result<()> {
    let on = steered()?;
    let port = Port::builder(&rx_name()).own_memory(16 << 20).open()?;
    let frames = send(&on.nic, 100)?;
    let got = receive(&port, 100, waited(&port))?;
    want_eq("what arrived is what was sent", got == frames, true)
}

fn offsets_leave_room_before_frames_of_both_directions() -> Result<()> {
    let on = steered()?;
    let offsets = Offsets {
        max: 128,
        initial: 64,
        min_gap: 0,
    };
    let port = Port::builder(&format!("{}-{Q}", ifname()))
        .offsets(offsets)
        .open()?;
    let frames = send(&on.nic, 50)?;
    let (_, out) = on.nic.sent_during(|| {
        let got = receive(&port, 50, waited(&port))?;
        want_eq("what arrived is what was sent", got == frames, true)?;
        let mut tx = port.tx_ring(Q as u16)?;
        frames.iter().try_for_each(|f| tx.push(f)).context("room")?;
        drop(tx);
        eventually("all is sent", SOON, || {
            port.txsync()?;
            Ok(port.tx_ring(Q as u16)?.in_flight() == 0)
        })
    })?;
    let ours = out
        .iter()
        .filter(|f| parse_udp(f).is_some_and(|u| u.dport == DPORT));
    want_eq(
        "the card has seen what was sent",
        ours.eq(frames.iter()),
        true,
    )
}

fn metadata_names_kind_and_checksum_of_a_frame() -> Result<()> {
    let on = steered()?;
    let port = Port::builder(&rx_name()).rx_metadata().open()?;
    let mut bad = udp_sized(DPORT, 7, 100);
    bad[UDP_HEADERS] ^= 0x55;
    on.nic.send(&udp_sized(DPORT, 6, 100))?;
    on.nic.send(&bad)?;
    let mut seen = Vec::new();
    eventually("both arrive", SOON, || {
        port.wait(Some(MOMENT))?;
        for slot in port.rx_ring(Q as u16)?.acquire().slots() {
            let m = slot.meta().context("metadata")?;
            seen.push((
                m.is_valid(),
                m.is_ipv4(),
                m.is_udp(),
                m.is_steered(),
                m.l4_checksum(),
            ));
        }
        Ok(seen.len() == 2)
    })?;
    let entry = |sum| (true, true, true, true, sum);
    use netmap::Checksum::{Bad, Good};
    want_eq("entries", seen, vec![entry(Good), entry(Bad)])
}

fn extra_buffers_are_sent_without_a_copy() -> Result<()> {
    let nic = Nic::open()?;
    let frames: Vec<_> = (0..8).map(|seq| udp_sized(DPORT, seq, 200)).collect();
    let (_, out) = nic.sent_during(|| {
        let port = Port::builder(&format!("{}-0/T", ifname()))
            .extra_buffers(4)
            .open()?;
        want_eq("buffers granted", port.extra_buffers(), 4)?;
        let mut bufs: Vec<_> = std::iter::from_fn(|| port.take_extra()).collect();
        want_eq("buffers taken", bufs.len(), 4)?;
        for chunk in frames.chunks(4) {
            let mut tx = port.tx_ring(0)?;
            for (buf, frame) in bufs.iter_mut().zip(chunk) {
                buf.copy_from(frame);
                tx.send(buf).context("room")?;
            }
            drop(tx);
            eventually("all is sent", SOON, || {
                port.txsync()?;
                Ok(port.tx_ring(0)?.in_flight() == 0)
            })?;
        }
        Ok(())
    })?;
    let ours = out
        .iter()
        .filter(|f| parse_udp(f).is_some_and(|u| u.dport == DPORT));
    want_eq(
        "the card has seen what was sent",
        ours.eq(frames.iter()),
        true,
    )
}

fn threads_have_a_queue_each() -> Result<()> {
    let on = steered()?;
    let _rule = Rule::udp(DPORT2, Q2)?;
    let open = |q: u32| Port::open(&format!("{}-{q}/R", ifname()));
    let ports = [open(Q)?, open(Q2)?];
    let threads = ports.map(|port| {
        std::thread::spawn(move || -> netmap::Result<u64> {
            let (mut n, end) = (0, Instant::now() + SOON);
            let ids: Vec<RingId> = port.rx_ids().collect();
            while n < 100 && Instant::now() < end {
                port.wait(Some(MOMENT))?;
                for id in &ids {
                    n += port.rx(*id)?.acquire().slots().count().0;
                }
            }
            Ok(n)
        })
    });
    for seq in 0..100 {
        on.nic.send(&udp_sized(DPORT, seq, 80))?;
        on.nic.send(&udp_sized(DPORT2, seq, 80))?;
    }
    for thread in threads {
        let n = thread
            .join()
            .map_err(|_| anyhow::anyhow!("a thread panicked"))??;
        want_eq("frames of a queue", n, 100)?;
    }
    Ok(())
}

/// Two handles of one ring would hand out the same buffers.
fn ports_with_one_ring_take_turns() -> Result<()> {
    let on = steered()?;
    let (a, b) = (Port::open(&rx_name())?, Port::open(&rx_name())?);
    let frames = send(&on.nic, 60)?;
    let mut got = Vec::new();
    eventually("all frames, half by either port", SOON, || {
        for port in [&a, &b] {
            port.wait(Some(MOMENT))?;
            let mut ring = port.rx_ring(Q as u16)?;
            let busy = [&a, &b].map(|p| p.rx_ring(Q as u16).err().map(|e| e.to_string()));
            for e in busy {
                want(
                    "the other port is told",
                    e.is_some_and(|e| e.contains("in use")),
                )?;
            }
            got.extend(ring.acquire().slots().take(5).map(|s| s.payload().to_vec()));
        }
        Ok(got.len() == frames.len())
    })?;
    want_eq("what arrived is what was sent", got == frames, true)
}

fn what_a_port_looks_like_is_told_without_opening_it() -> Result<()> {
    let port = Port::open(&rx_name())?;
    let info = PortInfo::of(&ifname())?;
    want_eq("RX rings", info.rx_rings, port.num_rx_rings())?;
    want_eq("TX rings", info.tx_rings, port.num_tx_rings())?;
    want(
        "host rings",
        info.host_tx_rings >= 1 && info.host_rx_rings >= 1,
    )?;
    let pools = Pools::of(&ifname())?;
    want_eq(
        "memory",
        (pools.mem_id, pools.mem_size),
        (info.mem_id, info.mem_size),
    )?;
    want_eq(
        "buffers",
        pools.buffers.size as usize,
        port.rx_ring(Q as u16)?.buf_size(),
    )?;
    want_eq("header", netmap::header_len(&ifname())?, 0)
}
