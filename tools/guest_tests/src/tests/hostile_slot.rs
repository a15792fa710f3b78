// SPDX-License-Identifier: GPL-2.0
//! Slots with buffers and lengths that are not the program's to use.  One
//! buffer never stands in two descriptors, none outside the pool is used.

use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::Fd;
use crate::frame::udp_sized;
use crate::mem::{Ring, Slot};
use crate::nic::Nic;
use crate::port::{Lane, Port, DPORT, DPORT2, Q, Q2};
use crate::steer::{ifname, Rule};
use anyhow::Result;
use std::collections::BTreeSet;
use std::time::Duration;

tests! { "hostile":
    buffer_index_0_and_1_are_refused_and_counted,
    buffer_index_beyond_the_pool_is_refused_and_counted,
    buffer_twice_in_one_ring_never_gets_two_frames,
    buffer_of_another_fds_ring_is_not_taken_from_it,
    buffer_of_another_ring_of_this_fd_is_not_in_both,
    every_slot_with_the_same_buffer_is_survived,
    slot_lengths_and_flags_written_by_the_program_do_not_matter,
    buf_changed_flag_without_a_change_does_no_harm,
    host_ring_with_the_buffer_of_an_rx_slot_takes_no_ownership,
}

const SOON: Duration = Duration::from_secs(10);

/// `n` frames are in the ring and seen.
fn wait_for(port: &Port, ring: &Ring, n: u32) -> Result<()> {
    crate::setup::eventually(&format!("{n} slots filled"), SOON, || {
        port.fd.rxsync()?;
        Ok(ring.space() >= n)
    })
}

/// All of a ring's buffers: valid, and none twice.
fn sane(port: &Port, ring: &Ring) -> Result<BTreeSet<u32>> {
    let total = port.fd.pools_info(&ifname())?.buf_total;
    let mut all = BTreeSet::new();
    for i in 0..ring.n {
        let idx = ring.slot(i).idx;
        want(
            &format!("slot {i}: 2 <= {idx} < {total}"),
            (2..total).contains(&idx),
        )?;
        want(
            &format!("slot {i}: buffer {idx} is nowhere else"),
            all.insert(idx),
        )?;
    }
    Ok(all)
}

/// The ring goes around twice with the right bytes.
fn works(nic: &Nic, port: &Port, queue: u32, dport: u16) -> Result<()> {
    let ring = port.ring(queue)?;
    port.fd.rxsync()?;
    nic.wait_room(queue, ring.n, ring.n / 2)?;
    for first in (0..2 * ring.n).step_by(32) {
        for seq in first..first + 32 {
            nic.send(&udp_sized(dport, seq, 90))?;
        }
        let all: Vec<_> = (first..first + 32)
            .map(|s| udp_sized(dport, s, 90))
            .collect();
        let got = port.recv(queue, dport, 32, SOON)?;
        if got != all {
            println!(
                "in the batch from {first}: {:?}",
                nic.counts()?.rx.get(&queue)
            );
        }
        want_eq("frames", got, all)?;
    }
    Ok(())
}

/// Gives back slot after slot of a filled ring, each with this buffer index.
fn give_back_with(indices: &[u32]) -> Result<()> {
    let lane = Lane::open()?;
    let (port, ring) = (&lane.port, lane.ring()?);
    let nic = Nic::open()?;
    let n = indices.len() as u32;
    nic.send_n(&udp_sized(DPORT, 1, 60), n)?;
    wait_for(port, &ring, n)?;
    let before = port.info(Q)?.counter[counter::BAD_SLOTS];
    for idx in indices {
        let i = ring.head();
        let s = ring.slot(i);
        ring.set_slot(
            i,
            Slot {
                idx: *idx,
                flags: NS_BUF_CHANGED,
                ..s
            },
        );
        ring.set_cur(ring.next(i));
        ring.set_head(ring.next(i));
        want_ok(&format!("RXSYNC with buffer {idx:#x}"), port.fd.rxsync())?;
    }
    let counted = port.info(Q)?.counter[counter::BAD_SLOTS] - before;
    want_eq("bad slots counted", counted, n.into())?;
    works(&nic, port, Q, DPORT)?;
    sane(port, &ring).map(drop)
}

fn buffer_index_0_and_1_are_refused_and_counted() -> Result<()> {
    give_back_with(&[0, 1, 0, 1])
}

fn buffer_index_beyond_the_pool_is_refused_and_counted() -> Result<()> {
    let total = Fd::open()?.pools_info(&ifname())?.buf_total;
    give_back_with(&[total, total + 1, 0x7fff_ffff, 0x8000_0000, u32::MAX])
}

/// Two slots of the ring name the same buffer: one of them must not get it.
fn buffer_twice_in_one_ring_never_gets_two_frames() -> Result<()> {
    let lane = Lane::open()?;
    let (port, ring) = (&lane.port, lane.ring()?);
    let nic = Nic::open()?;
    nic.send_n(&udp_sized(DPORT, 1, 60), 8)?;
    wait_for(port, &ring, 8)?;
    let first = ring.slot(0).idx;
    for i in 0..8 {
        let s = ring.slot(i);
        ring.set_slot(
            i,
            Slot {
                idx: first,
                flags: NS_BUF_CHANGED,
                ..s
            },
        );
    }
    ring.take_up_to(8);
    for _ in 0..3 {
        want_ok("RXSYNC", port.fd.rxsync())?;
    }
    want(
        "bad slots were counted",
        port.info(Q)?.counter[counter::BAD_SLOTS] >= 7,
    )?;
    // a whole ring of frames, each different, none taken: no buffer may hold two
    nic.wait_room(Q, ring.n, ring.n - 1)?;
    for seq in 0..ring.n - 1 {
        nic.send(&udp_sized(DPORT, 5000 + seq, 90))?;
    }
    wait_for(port, &ring, ring.n - 1)?;
    let (mut i, mut seq) = (ring.head(), 0);
    while i != ring.tail() {
        want_eq(
            &format!("frame {seq}"),
            ring.bytes(i),
            udp_sized(DPORT, 5000 + seq, 90),
        )?;
        i = ring.next(i);
        seq += 1;
    }
    ring.take();
    works(&nic, port, Q, DPORT)?;
    sane(port, &ring).map(drop)
}

/// The other fd's ring holds frames; naming its buffers must not let the card
/// write into them.
fn buffer_of_another_fds_ring_is_not_taken_from_it() -> Result<()> {
    let lane = Lane::open()?;
    let victim = Port::rx(Q2)?;
    let _rule = Rule::udp(DPORT2, Q2)?;
    steal(&lane, &victim)
}

fn buffer_of_another_ring_of_this_fd_is_not_in_both() -> Result<()> {
    let lane = Lane::open()?;
    want_ok("NIOCQADD", lane.port.fd.qadd(Q2))?;
    let _rule = Rule::udp(DPORT2, Q2)?;
    steal(&lane, &lane.port)
}

/// Gives back the lane's slots with buffers that ring `Q2` has in use.
fn steal(lane: &Lane, victim: &Port) -> Result<()> {
    let (ring, theirs) = (lane.ring()?, victim.ring(Q2)?);
    let nic = Nic::open()?;
    // the other queue is in RSS: begin with an empty ring
    victim.fd.rxsync()?;
    theirs.take();
    victim.fd.rxsync()?;
    for seq in 0..16 {
        nic.send(&udp_sized(DPORT2, seq, 400))?;
        nic.send(&udp_sized(DPORT, seq, 60))?;
    }
    wait_for(victim, &theirs, 16)?;
    wait_for(&lane.port, &ring, 16)?;
    let at = theirs.head();
    // half of them hold frames, which the program may move, half are in the
    // card's descriptors
    let mut j = (at + 8) % theirs.n;
    for i in 0..16 {
        let s = ring.slot((ring.head() + i) % ring.n);
        ring.set_slot(
            (ring.head() + i) % ring.n,
            Slot {
                idx: theirs.slot(j).idx,
                flags: NS_BUF_CHANGED,
                ..s
            },
        );
        j = theirs.next(j);
    }
    ring.take_up_to(16);
    want_ok("RXSYNC", lane.port.fd.rxsync())?;
    // fill the thief's ring: nothing of it may land in the victim's buffers
    for seq in 0..ring.n + 8 {
        nic.send(&udp_sized(DPORT, 9000 + seq, 400))?;
    }
    lane.port.fd.rxsync()?;
    // the eight it held and named twice may hold new frames, the eight before not
    for seq in 0..8 {
        let i = (at + seq) % theirs.n;
        want_eq(
            &format!("the victim's frame {seq}"),
            theirs.bytes(i),
            udp_sized(DPORT2, seq, 400),
        )?;
    }
    ring.take();
    theirs.take();
    lane.port.fd.rxsync()?;
    victim.fd.rxsync()?;
    works(&nic, victim, Q2, DPORT2)?;
    works(&nic, &lane.port, Q, DPORT)?;
    let mine = sane(&lane.port, &ring)?;
    let other = sane(victim, &theirs)?;
    want("no buffer is in both rings", mine.is_disjoint(&other))
}

/// Every slot of the ring, owned or not, names one buffer.
fn every_slot_with_the_same_buffer_is_survived() -> Result<()> {
    let lane = Lane::open()?;
    let (port, ring) = (&lane.port, lane.ring()?);
    let nic = Nic::open()?;
    let one = ring.slot(7).idx;
    for turn in 0..3 {
        for i in 0..ring.n {
            let s = ring.slot(i);
            ring.set_slot(
                i,
                Slot {
                    idx: one,
                    flags: NS_BUF_CHANGED,
                    ..s
                },
            );
        }
        nic.send_n(&udp_sized(DPORT, turn, 60), ring.n)?;
        for _ in 0..3 {
            want_ok("RXSYNC", port.fd.rxsync())?;
            let tail = ring.tail();
            want("tail is in the ring", tail < ring.n)?;
            ring.set_cur(tail);
            ring.set_head(tail);
        }
        want_ok("RXSYNC", port.fd.rxsync())?;
    }
    while !ring.take().is_empty() {
        port.fd.rxsync()?;
    }
    works(&nic, port, Q, DPORT)?;
    sane(port, &ring).map(drop)
}

fn slot_lengths_and_flags_written_by_the_program_do_not_matter() -> Result<()> {
    let lane = Lane::open()?;
    let (port, ring) = (&lane.port, lane.ring()?);
    let nic = Nic::open()?;
    for (len, flags) in [
        (0u16, 0u16),
        (0xffff, 0xfffe),
        (2049, NS_MOREFRAG),
        (1, 0xff00),
    ] {
        nic.send_n(&udp_sized(DPORT, 1, 60), 4)?;
        wait_for(port, &ring, 4)?;
        for k in 0..ring.n {
            let s = ring.slot(k);
            ring.set_slot(k, Slot { len, flags, ..s });
        }
        let tail = ring.tail();
        ring.set_cur(tail);
        ring.set_head(tail);
        want_ok("RXSYNC", port.fd.rxsync())?;
        works(&nic, port, Q, DPORT)?;
    }
    sane(port, &ring).map(drop)
}

fn buf_changed_flag_without_a_change_does_no_harm() -> Result<()> {
    let lane = Lane::open()?;
    let (port, ring) = (&lane.port, lane.ring()?);
    let nic = Nic::open()?;
    let before = port.info(Q)?.counter[counter::BAD_SLOTS];
    nic.send_n(&udp_sized(DPORT, 1, 60), 16)?;
    wait_for(port, &ring, 16)?;
    for i in 0..16 {
        let s = ring.slot(i);
        ring.set_slot(
            i,
            Slot {
                flags: NS_BUF_CHANGED,
                ..s
            },
        );
    }
    ring.set_cur(16);
    ring.set_head(16);
    want_ok("RXSYNC", port.fd.rxsync())?;
    want_eq(
        "bad slots",
        port.info(Q)?.counter[counter::BAD_SLOTS],
        before,
    )?;
    works(&nic, port, Q, DPORT)
}

/// A buffer the card still writes to is named in the host ring: it may be
/// read, it may not come out of the descriptor.
fn host_ring_with_the_buffer_of_an_rx_slot_takes_no_ownership() -> Result<()> {
    let lane = Lane::putback()?;
    let (port, ring, host) = (&lane.port, lane.ring()?, lane.port.host()?);
    let nic = Nic::open()?;
    for i in 0..8 {
        let s = host.slot(host.head());
        let theirs = ring.slot((ring.tail() + 5 + i) % ring.n).idx;
        host.set_slot(
            host.head(),
            Slot {
                idx: theirs,
                len: 60,
                flags: NS_BUF_CHANGED,
            },
        );
        host.set_cur(host.next(host.head()));
        host.set_head(host.next(host.head()));
        want_ok("TXSYNC", port.fd.txsync())?;
        want("the slot's own buffer was another one", s.idx != theirs)?;
    }
    works(&nic, port, Q, DPORT)?;
    sane(port, &ring).map(drop)
}
