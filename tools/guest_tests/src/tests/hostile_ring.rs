// SPDX-License-Identifier: GPL-2.0
//! A program that writes nonsense into the shared memory: ring headers, the
//! netmap_if, everything at once from a second thread.  The kernel goes on,
//! and so does the ring once the nonsense stops.

use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::one_rx;
use crate::frame::udp_sized;
use crate::mem::{Mem, Ring};
use crate::nic::Nic;
use crate::port::{Lane, Port, DPORT, DPORT2, Q, Q2};
use crate::steer::{ifname, Rule};
use anyhow::{bail, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

tests! { "hostile":
    every_head_and_cur_out_of_range_is_survived,
    random_pointers_never_move_the_ring_out_of_its_bounds,
    scribbled_constants_of_the_ring_are_not_trusted,
    scribbled_netmap_if_is_not_trusted,
    all_ones_over_the_whole_ring_is_survived,
    all_zero_over_rings_and_netmap_if_is_survived,
    scribbling_thread_against_rxsync_with_traffic @ 90,
    scribbling_thread_against_poll_with_traffic @ 90,
    scribbling_thread_against_txsync_of_the_host_ring @ 90,
    scribbling_one_fd_does_not_hurt_the_other @ 90,
    close_while_scribbling_returns_the_queue,
    two_threads_syncing_one_ring_lose_nothing @ 90,
}

const SOON: Duration = Duration::from_secs(10);

/// A small generator of numbers that look random; seeded, so that a failure
/// can be had again.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Values at the edges more often than others.
    fn nasty(&mut self, n: u32) -> u32 {
        let r = self.next();
        match r % 8 {
            0 => n,
            1 => n - 1,
            2 => 0,
            3 => u32::MAX,
            4 => 0x8000_0000,
            5 => (r >> 32) as u32 % n,
            6 => n.wrapping_add((r >> 32) as u32 % 16),
            _ => (r >> 32) as u32,
        }
    }
}

/// The ring receives as it should once the nonsense has stopped: bad pointers
/// are reset at the next sync, and each frame's slot names its buffer again.
fn works_again(nic: &Nic, lane: &Lane, ring: &Ring) -> Result<()> {
    for _ in 0..3 {
        lane.port.fd.rxsync()?;
        lane.port.fd.txsync()?;
        let (head, _, tail) = ring.pointers();
        want(
            &format!("pointers in the ring: {:?}", ring.pointers()),
            head < ring.n && tail < ring.n,
        )?;
        ring.set_cur(tail);
        ring.set_head(tail);
    }
    want_ok("RXSYNC", lane.port.fd.rxsync())?;
    nic.wait_room(Q, ring.n, ring.n / 2)?;
    for first in (0..2 * ring.n).step_by(32) {
        let all: Vec<_> = (first..first + 32)
            .map(|s| udp_sized(DPORT, s, 80))
            .collect();
        for frame in &all {
            nic.send(frame)?;
        }
        let got = lane.port.recv_from(ring, DPORT, 32, SOON)?;
        want_eq("frames after the nonsense", got, all)?;
    }
    Ok(())
}

fn every_head_and_cur_out_of_range_is_survived() -> Result<()> {
    let lane = Lane::open()?;
    let ring = lane.ring()?;
    let n = ring.n;
    for bad in [
        n,
        n + 1,
        2 * n,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_fffe,
        0xffff_ffff,
    ] {
        for (head, cur) in [(bad, 0), (0, bad), (bad, bad)] {
            ring.set_head(head);
            ring.set_cur(cur);
            want_ok("RXSYNC", lane.port.fd.rxsync())?;
            want_eq(
                &format!("pointers after head {head}, cur {cur}"),
                ring.pointers(),
                (0, 0, 0),
            )?;
        }
    }
    works_again(&Nic::open()?, &lane, &ring)
}

/// Whatever head, cur and tail are: after a sync they make sense again.
fn random_pointers_never_move_the_ring_out_of_its_bounds() -> Result<()> {
    let lane = Lane::open()?;
    let ring = lane.ring()?;
    let nic = Nic::open()?;
    let gen = nic.generate("g", &format!("profile=udp rate=1000 size=60 dport={DPORT}"))?;
    let mut rng = Rng(0x9e37_79b9_7f4a_7c15);
    for turn in 0..20_000 {
        ring.set_head(rng.nasty(ring.n));
        ring.set_cur(rng.nasty(ring.n));
        ring.set_tail(rng.nasty(ring.n));
        want_ok("RXSYNC", lane.port.fd.rxsync())?;
        let (head, cur, tail) = ring.pointers();
        let inside = head < ring.n && cur < ring.n && tail < ring.n;
        let ordered = ring.distance(head, cur) <= ring.distance(head, tail);
        want(
            &format!("turn {turn}: {head} {cur} {tail} make sense"),
            inside && ordered,
        )?;
    }
    drop(gen);
    works_again(&nic, &lane, &ring)
}

fn scribbled_constants_of_the_ring_are_not_trusted() -> Result<()> {
    let lane = Lane::open()?;
    let ring = lane.ring()?;
    let (mem, off) = (&ring.mem, ring.off);
    let saved = (
        mem.get::<u32>(off + shm::RING_NUM_SLOTS),
        mem.get::<i64>(off + shm::RING_BUF_OFS),
        mem.get::<u32>(off + shm::RING_BUF_SIZE),
    );
    for bad in [0u32, 1, 0x10_0000, u32::MAX] {
        mem.set(off + shm::RING_NUM_SLOTS, bad);
        mem.set(off + shm::RING_BUF_SIZE, bad);
        mem.set(off + shm::RING_BUF_OFS, i64::from(bad) << 20);
        mem.set(off + shm::RING_ID, bad as u16);
        mem.set(off + shm::RING_DIR, bad as u16);
        mem.set(off + shm::RING_FLAGS, bad);
        for seq in 0..3 {
            Nic::open()?.send(&udp_sized(DPORT, seq, 80))?;
        }
        want_ok("RXSYNC", lane.port.fd.rxsync())?;
        want_eq(
            &format!("frames with constants {bad:#x}"),
            ring.take().len(),
            3,
        )?;
        want_ok("RXSYNC", lane.port.fd.rxsync())?;
    }
    mem.set(off + shm::RING_NUM_SLOTS, saved.0);
    mem.set(off + shm::RING_BUF_OFS, saved.1);
    mem.set(off + shm::RING_BUF_SIZE, saved.2);
    mem.set(off + shm::RING_FLAGS, 0u32);
    works_again(&Nic::open()?, &lane, &ring)
}

/// Old nm_open programs write through a ring offset of 0 onto the netmap_if.
fn scribbled_netmap_if_is_not_trusted() -> Result<()> {
    let lane = Lane::with(Register {
        extra_bufs: 4,
        ..one_rx(Q)
    })?;
    let ring = lane.ring()?;
    let rings = lane.port.nif.tx_rings() + lane.port.nif.rx_rings() + 2;
    let (mem, off) = (&lane.port.mem, lane.port.nif.off);
    for at in 0..(shm::IF_RING_OFS + 8 * rings) / 8 {
        mem.set(off + 8 * at, u64::MAX);
    }
    want_ok("RXSYNC", lane.port.fd.rxsync())?;
    want_ok("NIOCQADD", lane.port.fd.qadd(Q2))?;
    want_ok("NIOCQDEL", lane.port.fd.qdel(Q2))?;
    works_again(&Nic::open()?, &lane, &ring)
}

fn all_ones_over_the_whole_ring_is_survived() -> Result<()> {
    let lane = Lane::open()?;
    let ring = lane.ring()?;
    fill(&ring, 0xff);
    for _ in 0..3 {
        want_ok("RXSYNC", lane.port.fd.rxsync())?;
    }
    works_again(&Nic::open()?, &lane, &ring)
}

/// Writes one byte value over header and slots.
fn fill(ring: &Ring, byte: u8) {
    let size = shm::RING_SLOTS + shm::SLOT_SIZE * ring.n as usize;
    ring.mem.copy_in(ring.off, &vec![byte; size]);
}

fn all_zero_over_rings_and_netmap_if_is_survived() -> Result<()> {
    let lane = Lane::putback()?;
    let (ring, host) = (lane.ring()?, lane.port.host()?);
    fill(&ring, 0);
    fill(&host, 0);
    let rings = lane.port.nif.tx_rings() + lane.port.nif.rx_rings() + 2;
    let netmap_if = vec![0; shm::IF_RING_OFS + 8 * rings];
    lane.port.mem.copy_in(lane.port.nif.off, &netmap_if);
    want_ok("RXSYNC", lane.port.fd.rxsync())?;
    want_ok("TXSYNC", lane.port.fd.txsync())?;
    works_again(&Nic::open()?, &lane, &ring)
}

/// A thread that writes nasty values over rings and netmap_if until told.
struct Scribbler {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<u64>>,
}

impl Scribbler {
    fn start(mem: &Arc<Mem>, nif: usize, rings: Vec<Ring>, seed: u64) -> Scribbler {
        let stop = Arc::new(AtomicBool::new(false));
        let (mem, told) = (mem.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let (mut rng, mut writes) = (Rng(seed), 0);
            while !told.load(Ordering::Relaxed) {
                for _ in 0..64 {
                    let r = rng.next();
                    let ring = &rings[r as usize % rings.len()];
                    let value = rng.nasty(ring.n);
                    match r % 5 {
                        0 => ring.set_head(value),
                        1 => ring.set_cur(value),
                        2 => mem.set(ring.off + (r >> 8) as usize % 64 / 4 * 4, value),
                        3 => {
                            let slots = shm::SLOT_SIZE * ring.n as usize / 4;
                            mem.set(
                                ring.off + shm::RING_SLOTS + (r >> 8) as usize % slots * 4,
                                value,
                            );
                        }
                        _ => mem.set(nif + (r >> 8) as usize % 128 / 4 * 4, value),
                    }
                    writes += 1;
                }
            }
            writes
        });
        Scribbler {
            stop,
            thread: Some(thread),
        }
    }

    fn stop(mut self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.take().map(|t| t.join()) {
            Some(Ok(writes)) => Ok(writes),
            _ => bail!("the scribbling thread died"),
        }
    }
}

/// Scribbles for a second while `sync` is called over and over, with traffic.
fn scribble(lane: &Lane, rings: Vec<Ring>, sync: impl Fn(&Lane)) -> Result<()> {
    let nic = Nic::open()?;
    let gen = nic.generate("g", &format!("profile=udp rate=3000 size=60 dport={DPORT}"))?;
    let scribbler = Scribbler::start(
        &lane.port.mem,
        lane.port.nif.off,
        rings,
        0x1234_5678_9abc_def1,
    );
    let (end, mut syncs) = (Instant::now() + Duration::from_secs(1), 0u64);
    while Instant::now() < end {
        sync(lane);
        syncs += 1;
    }
    println!("{syncs} syncs against {} writes", scribbler.stop()?);
    drop(gen);
    Ok(())
}

fn scribbling_thread_against_rxsync_with_traffic() -> Result<()> {
    let lane = Lane::open()?;
    let ring = lane.ring()?;
    scribble(&lane, vec![ring.clone()], |l| {
        let _ = l.port.fd.rxsync();
    })?;
    works_again(&Nic::open()?, &lane, &ring)?;
    // the view of the ring keeps the mapping, and that the registration
    drop((ring, lane));
    let fresh = Lane::open()?;
    let ring = fresh.ring()?;
    works_again(&Nic::open()?, &fresh, &ring)
}

fn scribbling_thread_against_poll_with_traffic() -> Result<()> {
    let lane = Lane::putback()?;
    let (ring, host) = (lane.ring()?, lane.port.host()?);
    scribble(&lane, vec![ring.clone(), host], |l| {
        let _ = l
            .port
            .fd
            .poll(libc::POLLIN | libc::POLLOUT, Duration::from_millis(1));
    })?;
    works_again(&Nic::open()?, &lane, &ring)
}

fn scribbling_thread_against_txsync_of_the_host_ring() -> Result<()> {
    let lane = Lane::putback()?;
    let (ring, host) = (lane.ring()?, lane.port.host()?);
    scribble(&lane, vec![host], |l| {
        let _ = l.port.fd.txsync();
        let _ = l.port.fd.rxsync();
    })?;
    works_again(&Nic::open()?, &lane, &ring)
}

/// Rings of two fds in one region: nonsense in one is not the other's problem.
fn scribbling_one_fd_does_not_hurt_the_other() -> Result<()> {
    let lane = Lane::open()?;
    let other = Port::open(&ifname(), one_rx(Q2))?;
    let _rule = Rule::udp(DPORT2, Q2)?;
    let nic = Nic::open()?;
    other.fd.rxsync()?;
    other.ring(Q2)?.take();
    let ring = lane.ring()?;
    let scribbler = Scribbler::start(
        &lane.port.mem,
        lane.port.nif.off,
        vec![ring.clone()],
        0x0dd_ba11,
    );
    for first in (0..400).step_by(20) {
        for seq in first..first + 20 {
            nic.send(&udp_sized(DPORT2, seq, 100))?;
            let _ = lane.port.fd.rxsync();
        }
        let all: Vec<_> = (first..first + 20)
            .map(|s| udp_sized(DPORT2, s, 100))
            .collect();
        want_eq(
            "frames of the other fd",
            other.recv(Q2, DPORT2, 20, SOON)?,
            all,
        )?;
    }
    scribbler.stop()?;
    works_again(&nic, &lane, &ring)
}

fn close_while_scribbling_returns_the_queue() -> Result<()> {
    for seed in 1..6 {
        let port = Port::rx_putback(Q)?;
        let rings = vec![port.ring(Q)?, port.host()?];
        let scribbler = Scribbler::start(&port.mem, port.nif.off, rings, seed * 77);
        for _ in 0..200 {
            let _ = port.fd.rxsync();
            let _ = port.fd.txsync();
        }
        // the mapping lives on in the scribbling thread; only the fd goes here
        let Port { nif, mem, fd, .. } = port;
        drop((nif, fd));
        std::thread::sleep(Duration::from_millis(50));
        scribbler.stop()?;
        drop(mem);
        want_eq(
            "state",
            crate::port::rx_info(&crate::fd::Fd::open()?, Q)?.state,
            Q_KERNEL,
        )?;
    }
    Ok(())
}

/// Two threads sync the same ring all the time; a third reads it.
fn two_threads_syncing_one_ring_lose_nothing() -> Result<()> {
    let lane = Lane::open()?;
    let ring = lane.ring()?;
    let nic = Nic::open()?;
    let stop = Arc::new(AtomicBool::new(false));
    let fd = lane.port.fd.raw();
    let syncers: Vec<_> = (0..2)
        .map(|_| {
            let stop = stop.clone();
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    // SAFETY: takes no argument; the lane outlives this thread.
                    unsafe { libc::ioctl(fd, NIOCRXSYNC as libc::Ioctl, 0) };
                }
            })
        })
        .collect();
    let mut got = Vec::new();
    for first in (0..1000).step_by(50) {
        for seq in first..first + 50 {
            nic.send(&udp_sized(DPORT, seq, 64))?;
        }
        let end = Instant::now() + SOON;
        while got.len() < first as usize + 50 && Instant::now() < end {
            got.extend(ring.take());
            std::thread::yield_now();
        }
    }
    stop.store(true, Ordering::Relaxed);
    for s in syncers {
        let _ = s.join();
    }
    let all: Vec<_> = (0..1000).map(|s| udp_sized(DPORT, s, 64)).collect();
    want_eq("frames", got.len(), all.len())?;
    want("all in order with the right bytes", got == all)
}
