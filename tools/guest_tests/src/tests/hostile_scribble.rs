// SPDX-License-Identifier: GPL-2.0
//! A second thread that scribbles over rings and netmap_if while the first
//! one syncs, with traffic.

use super::hostile_ring::{works_again, Rng};
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
    scribbling_thread_against_rxsync_with_traffic @ 90,
    scribbling_thread_against_poll_with_traffic @ 90,
    scribbling_thread_against_txsync_of_the_host_ring @ 90,
    scribbling_one_fd_does_not_hurt_the_other @ 90,
    close_while_scribbling_returns_the_queue,
    two_threads_syncing_one_ring_lose_nothing @ 90,
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

const SOON: Duration = Duration::from_secs(10);

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
