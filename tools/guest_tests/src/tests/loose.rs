// SPDX-License-Identifier: GPL-2.0
//! Buffers that programs lose: in the end they are the pool's again, also if the region stays.

use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::one_rx;
use crate::frame::udp_sized;
use crate::mem::Slot;
use crate::nic::Nic;
use crate::port::{Port, DPORT, Q, Q2};
use crate::steer::{ifname, Rss, Rule};
use anyhow::{Context, Result};
use std::time::Duration;

tests! { "loose":
    buffers_lost_by_short_programs_return_to_a_region_that_stays,
    buffers_of_a_program_that_lives_stay_its_own,
}

const SOON: Duration = Duration::from_secs(10);
const EXTRA: u32 = 64;

/// Buffers that are with programs, in the region of that id.
fn given_out(mem_id: u16) -> Result<u64> {
    let text = std::fs::read_to_string("/sys/kernel/debug/netmap/regions")?;
    let mine = format!("mem_id={mem_id} ");
    let line = text.lines().find(|l| l.starts_with(&mine));
    let line = line.with_context(|| format!("no region {mem_id}"))?;
    let number = |key: &str| -> Result<u64> {
        let word = line.split_whitespace().find_map(|w| w.strip_prefix(key));
        let word = word.with_context(|| format!("no {key} in '{line}'"))?;
        Ok(word.split('/').next().unwrap_or(word).parse()?)
    };
    Ok(number("bufs=")? - number("free=")?)
}

/// A port with a ring (or none) and extra buffers.
fn open(mut reg: Register, extra: u32) -> Sys<Port> {
    reg.extra_bufs = extra;
    Port::open(&ifname(), reg)
}

fn no_rings() -> Register {
    Register {
        flags: RX_ONLY | NO_RINGS,
        ..one_rx(0)
    }
}

/// The program forgets its chain of extra buffers, and the buffers of half of its slots, which
/// name the buffer of their neighbour.
fn lose_buffers(port: &Port) -> Result<()> {
    let ring = port.ring(Q)?;
    port.nif.set_bufs_head(0);
    for i in (0..ring.n).step_by(2) {
        let next = ring.slot(i + 1).idx;
        ring.set_slot(
            i,
            Slot {
                idx: next,
                ..ring.slot(i)
            },
        );
    }
    Ok(())
}

fn buffers_lost_by_short_programs_return_to_a_region_that_stays() -> Result<()> {
    let stays = open(no_rings(), 0)?;
    let id = stays.reg.mem_id;
    want_eq("given out at first", given_out(id)?, 0)?;
    for round in 0..20 {
        let port = open(one_rx(Q), EXTRA)?;
        want_eq("the same region", port.reg.mem_id, id)?;
        want_eq(
            "given out to it",
            given_out(id)?,
            u64::from(EXTRA) + u64::from(port.ring(Q)?.n),
        )?;
        lose_buffers(&port)?;
        drop(port);
        want_eq(&format!("given out after round {round}"), given_out(id)?, 0)?;
    }
    // One that has a chain keeps what is loose until it goes.
    let chain = open(no_rings(), 1)?;
    let port = open(one_rx(Q), EXTRA)?;
    lose_buffers(&port)?;
    drop(port);
    want_eq(
        "given out while another program has extra buffers",
        given_out(id)?,
        u64::from(EXTRA) + 1,
    )?;
    drop(chain);
    want_eq("given out after it", given_out(id)?, 0)
}

/// What a program has taken out of its ring is its own while others come and go.
fn buffers_of_a_program_that_lives_stay_its_own() -> Result<()> {
    let _rss = Rss::without(&[Q, Q2])?;
    let nic = Nic::open()?;
    let port = open(one_rx(Q), 1)?;
    let _rule = Rule::udp(DPORT, Q)?;
    let ring = port.ring(Q)?;
    let extra = port.nif.bufs_head();
    for seq in 0..10 {
        // Its extra buffer in hand, or the one that was exchanged for it before.
        drop(want_ok("another program's ring", Port::rx(Q2))?);
        drop(want_ok("another fd without rings", open(no_rings(), 8))?);
        let frame = udp_sized(DPORT, seq, 100);
        nic.send(&frame)?;
        let end = port.fd.poll(libc::POLLIN, SOON)?;
        want_eq("poll", end, libc::POLLIN)?;
        let at = ring.head();
        want_eq("frame", ring.bytes(at), frame)?;
        let hand = if seq == 0 {
            extra
        } else {
            port.nif.bufs_head()
        };
        let taken = ring.slot(at).idx;
        ring.set_slot(
            at,
            Slot {
                idx: hand,
                flags: NS_BUF_CHANGED,
                ..ring.slot(at)
            },
        );
        port.nif.set_bufs_head(taken);
        ring.set_cur(ring.next(at));
        ring.set_head(ring.next(at));
        want_ok("RXSYNC", port.fd.rxsync())?;
    }
    let counters = port.info(Q)?.counter;
    want_eq(
        "slots that named a wrong buffer",
        counters[counter::BAD_SLOTS],
        0,
    )?;
    want_eq("exchanged buffers", counters[counter::SWAPS], 10)
}
