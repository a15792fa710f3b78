// SPDX-License-Identifier: GPL-2.0
//! Threads that sync: as a program would that has lost its mind.
//!
//! Between two syncs pointers are mostly moved as they should be, so that slots full of nonsense
//! are released again and again, and now and then to where they must not be.

use super::open::{Place, Target};
use super::scene::Scene;
use crate::counts::{Count, Counts};
use crate::csb::{self, eventfds, EventFd};
use crate::fd::Fd;
use crate::mem::Ring;
use crate::rng::Rng;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Syncs until the time has come.
pub fn until(
    end: Instant,
    scene: &Scene,
    place: &Place<'_>,
    targets: &[Target],
    rng: &mut Rng,
    counts: &Counts,
) {
    loop {
        let mut syncs = 0;
        for _ in 0..16 {
            let t = &targets[rng.below(targets.len())];
            if scene.joins && rng.one_in(8) {
                let queue = place.queue + rng.below(3) as u32;
                let _ = match rng.below(2) {
                    0 => t.fd.qadd(queue),
                    _ => t.fd.qdel(queue),
                };
            }
            match rng.below(4) {
                0 => drop(t.fd.txsync()),
                1 => drop(t.fd.poll(libc::POLLIN | libc::POLLOUT, Duration::ZERO)),
                _ => drop(t.fd.rxsync()),
            }
            syncs += 1;
            for ring in &t.rings {
                step(ring, rng);
            }
            if scene.swaps {
                swap(targets, rng);
            }
        }
        counts.add(Count::Syncs, syncs);
        if Instant::now() >= end {
            return;
        }
    }
}

/// Moves a ring's pointers.
fn step(ring: &Ring, rng: &mut Rng) {
    let tail = ring.tail();
    let to = match rng.below(16) {
        0..=6 => tail,
        7..=12 => {
            let head = ring.head().min(ring.n - 1);
            let room = (tail.wrapping_add(ring.n).wrapping_sub(head)) % ring.n;
            (head + rng.below(room as usize + 1) as u32) % ring.n
        }
        13 | 14 => return,
        _ => rng.nasty32(ring.n),
    };
    ring.set_cur(to);
    ring.set_head(to);
}

/// Passes a buffer on from a slot of one ring to one of another, as a bridge does.
fn swap(targets: &[Target], rng: &mut Rng) {
    let ring = |rng: &mut Rng| {
        let t = &targets[rng.below(targets.len())];
        t.rings.get(rng.below(t.rings.len().max(1)))
    };
    let (Some(a), Some(b)) = (ring(rng), ring(rng)) else {
        return;
    };
    let slot = |r: &Ring, rng: &mut Rng| match rng.below(2) {
        0 => r.head().min(r.n - 1),
        _ => rng.below(r.n as usize) as u32,
    };
    let (i, j) = (slot(a, rng), slot(b, rng));
    let (mut x, mut y) = (a.slot(i), b.slot(j));
    std::mem::swap(&mut x.idx, &mut y.idx);
    (x.flags, y.flags) = (x.flags | 1, y.flags | 1);
    y.len = 60 + rng.below(1400) as u16;
    a.set_slot(i, x);
    b.set_slot(j, y);
}

/// What the thread in kernel loops tells the other.
#[derive(Default)]
pub struct Loops {
    inside: AtomicBool,
    over: AtomicBool,
}

/// Loops in the kernel, again and again; says when it is out for good.
pub fn in_loop(end: Instant, scene: &Scene, t: &Target, loops: &Loops, rng: &mut Rng) {
    let fds: Vec<EventFd> = (0..2 * t.rings.len())
        .filter_map(|_| EventFd::new().ok())
        .collect();
    for turn in 0.. {
        // a few in any case, however late this thread comes to run
        if turn > 2 && Instant::now() >= end {
            break;
        }
        let mut first = 0;
        let mut pairs: Vec<(i32, i32)> = Vec::new();
        if scene.eventfds {
            pairs.extend(fds.chunks_exact(2).map(|p| (p[0].raw(), p[1].raw())));
            if turn % 4 == 3 {
                // one too few, or one that is no eventfd: refused
                pairs.pop();
            }
        }
        let mut words = eventfds(&pairs);
        if scene.eventfds {
            first = words.as_mut_ptr() as u64;
        }
        std::thread::scope(|s| {
            if scene.eventfds {
                let fds = &fds;
                let seed = rng.next();
                s.spawn(move || kick(fds, &mut Rng::new(seed)));
            }
            let sleep_us = [0, 0, 1, 50, 1000, 1_000_001][turn % 6];
            loops.inside.store(true, Ordering::Relaxed);
            let _ = csb::start(&t.fd, sleep_us, first);
            loops.inside.store(false, Ordering::Relaxed);
        });
    }
    loops.over.store(true, Ordering::Relaxed);
}

/// Signals eventfds for a while.
fn kick(fds: &[EventFd], rng: &mut Rng) {
    for _ in 0..20 {
        if let Some(fd) = fds.get(rng.below(fds.len().max(1))) {
            fd.signal();
            fd.take();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Moves on by the CSB, and stops the loop now and then, until there is none to come.
pub fn beside_loop(t: &Target, loops: &Loops, rng: &mut Rng) {
    let Some(csb) = &t.csb else { return };
    while !loops.over.load(Ordering::Relaxed) {
        for _ in 0..rng.below(400) {
            let i = rng.below(t.rings.len());
            let (_, tail) = csb.indices(i);
            let to = match rng.below(8) {
                0 => rng.nasty32(t.rings[i].n),
                _ => tail,
            };
            csb.advance(i, to);
            std::thread::yield_now();
        }
        refused(&t.fd);
        // A stop that finds no loop ends the next at once: not each of them.
        if loops.inside.load(Ordering::Relaxed) || rng.one_in(16) {
            let _ = csb::stop(&t.fd);
        }
        std::thread::sleep(Duration::from_millis(rng.below(20) as u64));
    }
}

/// What a file with a CSB refuses.
fn refused(fd: &Fd) {
    let _ = (fd.rxsync(), fd.txsync(), fd.qadd(5), fd.qdel(5));
    let _ = fd.poll(libc::POLLIN, Duration::ZERO);
}

/// The kernel sends through the second port, whose transmissions the scene has.
pub fn kernel_sends(end: Instant) {
    let Ok(socket) = UdpSocket::bind("10.0.4.1:0") else {
        return;
    };
    let _ = socket.set_nonblocking(true);
    let bytes = [0x5a; 1400];
    let mut len = 1;
    while Instant::now() < end {
        len = (len * 7 + 3) % bytes.len();
        let _ = socket.send_to(&bytes[..len], "10.0.4.2:9");
        std::thread::sleep(Duration::from_micros(300));
    }
}
