// SPDX-License-Identifier: GPL-2.0
//! Transparent mode: a ring with NR_FORWARD gives the kernel the frames that the
//! program marks with NS_FORWARD when it releases them (netmap-abi 1.4).

use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::frame::{parse_udp, udp_sized};
use crate::mem::{Ring, Slot};
use crate::nic::Nic;
use crate::port::{Lane, DPORT, Q};
use crate::setup::eventually;
use crate::sock::{bind, recv, Counter};
use crate::steer::Mtu;
use anyhow::Result;
use std::time::{Duration, Instant};

tests! { "forward":
    marked_frames_reach_the_kernel_in_order_and_no_others,
    mark_without_the_rings_flag_does_nothing,
    frame_in_chained_slots_is_forwarded_whole_by_its_first_mark | flaps,
    marked_slot_with_an_impossible_buffer_is_counted_and_the_next_goes_on,
    every_frame_of_a_long_run_is_forwarded_once @ 90,
}

const SOON: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(300);
const NR_FORWARD: u32 = 4;
const NS_FORWARD: u16 = 4;

fn transparent(lane: &Lane) -> Result<Ring> {
    let ring = lane.ring()?;
    ring.mem.set(ring.off + shm::RING_FLAGS, NR_FORWARD);
    Ok(ring)
}

/// Waits until `slots` are the program's.
fn arrived(lane: &Lane, ring: &Ring, slots: u32) -> Result<()> {
    eventually(&format!("{slots} slots are filled"), SOON, || {
        want_ok("RXSYNC", lane.port.fd.rxsync())?;
        Ok(ring.space() >= slots)
    })
}

fn mark(ring: &Ring, at: u32) {
    let slot = ring.slot(at);
    let flags = slot.flags | NS_FORWARD;
    ring.set_slot(at, Slot { flags, ..slot });
}

/// Releases everything and syncs.
fn release(lane: &Lane, ring: &Ring) -> Result<()> {
    ring.set_cur(ring.tail());
    ring.set_head(ring.tail());
    want_ok("RXSYNC", lane.port.fd.rxsync())
}

fn payload(frame: &[u8]) -> Vec<u8> {
    parse_udp(frame).map_or(vec![], |u| u.payload.to_vec())
}

fn marked_frames_reach_the_kernel_in_order_and_no_others() -> Result<()> {
    let socket = bind(DPORT)?;
    let lane = Lane::open()?;
    let ring = transparent(&lane)?;
    let nic = Nic::open()?;
    let frames: Vec<_> = (0..20).map(|seq| udp_sized(DPORT, seq, 100)).collect();
    frames.iter().try_for_each(|f| nic.send(f))?;
    arrived(&lane, &ring, 20)?;
    let mut wanted = Vec::new();
    for i in 0..20 {
        if i % 3 == 0 {
            mark(&ring, i);
            wanted.push(payload(&frames[i as usize]));
        }
    }
    release(&lane, &ring)?;
    for want in wanted {
        want_eq("datagram", recv(&socket, SOON)?, Some(want))?;
    }
    want_eq("one more", recv(&socket, SHORT)?, None)?;
    for i in 0..20 {
        want_eq("mark", ring.slot(i).flags & NS_FORWARD, 0)?;
    }
    want_ok("RXSYNC", lane.port.fd.rxsync())?;
    want_eq("sent twice", recv(&socket, SHORT)?, None)
}

fn mark_without_the_rings_flag_does_nothing() -> Result<()> {
    let socket = bind(DPORT)?;
    let lane = Lane::open()?;
    let ring = lane.ring()?;
    let nic = Nic::open()?;
    nic.send(&udp_sized(DPORT, 1, 100))?;
    arrived(&lane, &ring, 1)?;
    mark(&ring, ring.head());
    release(&lane, &ring)?;
    want_eq("datagram", recv(&socket, SHORT)?, None)
}

fn frame_in_chained_slots_is_forwarded_whole_by_its_first_mark() -> Result<()> {
    let _mtu = Mtu::set(9000)?;
    let socket = bind(DPORT)?;
    let lane = Lane::open()?;
    let ring = transparent(&lane)?;
    let nic = Nic::open()?;
    let frames = [udp_sized(DPORT, 1, 9000), udp_sized(DPORT, 2, 9000)];
    frames.iter().try_for_each(|f| nic.send(f))?;
    let slots = 9000u32.div_ceil(ring.buf_size);
    arrived(&lane, &ring, 2 * slots)?;
    // The first by its first slot; of the second only a later one, which says nothing.
    mark(&ring, ring.head());
    mark(&ring, ring.head() + slots + 1);
    release(&lane, &ring)?;
    want_eq("datagram", recv(&socket, SOON)?, Some(payload(&frames[0])))?;
    want_eq("another", recv(&socket, SHORT)?, None)
}

fn marked_slot_with_an_impossible_buffer_is_counted_and_the_next_goes_on() -> Result<()> {
    let socket = bind(DPORT)?;
    let lane = Lane::open()?;
    let ring = transparent(&lane)?;
    let nic = Nic::open()?;
    let before = lane.port.info(Q)?.counter[counter::BAD_SLOTS];
    for (round, idx) in [0, 1, u32::MAX].into_iter().enumerate() {
        let good = udp_sized(DPORT, round as u32, 100);
        nic.send(&udp_sized(DPORT, 100, 100))?;
        nic.send(&good)?;
        arrived(&lane, &ring, 2)?;
        let at = ring.head();
        mark(&ring, at);
        let slot = ring.slot(at);
        ring.set_slot(at, Slot { idx, ..slot });
        mark(&ring, ring.next(at));
        release(&lane, &ring)?;
        want_eq("datagram", recv(&socket, SOON)?, Some(payload(&good)))?;
    }
    want_eq("another", recv(&socket, SHORT)?, None)?;
    let counted = lane.port.info(Q)?.counter[counter::BAD_SLOTS] - before;
    want(&format!("{counted} bad slots counted"), counted >= 3)
}

/// The program marks everything: the kernel gets what it would get without it.
fn every_frame_of_a_long_run_is_forwarded_once() -> Result<()> {
    let lane = Lane::open()?;
    let ring = transparent(&lane)?;
    let nic = Nic::open()?;
    let sockets = Counter::start(DPORT)?;
    let count = 3 * u64::from(ring.n);
    let spec = format!("profile=udp wait=1 rate=4000 count={count} size=100 dport={DPORT}");
    let gen = nic.generate("forward", &spec)?;
    let (end, mut seen) = (Instant::now() + Duration::from_secs(60), 0);
    while seen < count {
        want(&format!("in time: {seen} of {count}"), Instant::now() < end)?;
        lane.port
            .fd
            .poll(libc::POLLIN, Duration::from_millis(200))?;
        let mut i = ring.head();
        while i != ring.tail() {
            mark(&ring, i);
            i = ring.next(i);
            seen += 1;
        }
        ring.set_cur(i);
        ring.set_head(i);
    }
    want_ok("RXSYNC", lane.port.fd.rxsync())?;
    want_eq("sent by the card", gen.wait(SOON)?, count)?;
    want_eq("received by the socket", sockets.settle(count), count)?;
    for (id, flow) in sockets.finish()? {
        let wrong = (flow.skipped, flow.late);
        want_eq(&format!("flow {id}: skipped, late"), wrong, (0, 0))?;
    }
    Ok(())
}
