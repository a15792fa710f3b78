// SPDX-License-Identifier: GPL-2.0
//! Memory regions (netmap-abi 1.13, 5 "Allocator", lessons 21 and 22): who shares one, who must
//! not, and how much of it a program can have.

use super::abi_register::{rx, try_register};
use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::{one_rx, one_tx, Fd};
use crate::frame::{hex, udp};
use crate::helper::Helper;
use crate::nic::Nic;
use crate::port::{Lane, Port, DPORT, Q, Q2};
use crate::setup::{ensure_second, eventually, SECOND};
use crate::steer::ifname;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::time::Duration;

tests! { "regions":
    processes_of_one_user_share_the_default_region,
    users_have_regions_of_their_own,
    one_user_never_sees_anothers_packets @ 90,
    namespaces_have_regions_of_their_own,
    private_region_is_of_the_fd_alone,
    private_region_can_be_joined_by_its_id_by_the_same_user_only,
    region_ends_with_its_last_fd,
    null_port_maps_a_region_without_hardware,
    extra_buffers_are_bounded_chained_and_come_back,
    extra_buffers_of_one_fd_leave_enough_for_others,
    all_rings_of_two_ports_fit_one_region,
    memory_is_allocated_as_rings_need_it,
    pools_info_of_a_private_region_tells_its_own_id,
}

const SOON: Duration = Duration::from_secs(10);

fn private(reg: Register) -> Register {
    Register {
        flags: reg.flags | PRIVATE_MEM,
        ..reg
    }
}

/// Another process of `uid` that holds queue `queue` and searches its mapping on demand.
fn searcher(uid: u32, queue: u32) -> Result<(Helper, u16)> {
    let other = Helper::start(&["search-as", &uid.to_string(), &queue.to_string()])?;
    let said = other.line_with("mem_id")?;
    let id = said.split_whitespace().last().context("no id")?.parse()?;
    Ok((other, id))
}

/// (pages it could read, times it found `what`)
fn search(other: &mut Helper, what: &[u8]) -> Result<(u64, u64)> {
    other.tell(&hex(what))?;
    let said = other.line_with("pages")?;
    let mut words = said.split_whitespace().filter_map(|w| w.parse().ok());
    Ok((
        words.next().context("no pages")?,
        words.next().context("no hits")?,
    ))
}

fn processes_of_one_user_share_the_default_region() -> Result<()> {
    let a = Port::rx(Q)?;
    let (_other, id) = searcher(0, Q2)?;
    want_eq("mem_id of the other process", id, a.reg.mem_id)
}

fn users_have_regions_of_their_own() -> Result<()> {
    let a = Port::rx(Q)?;
    let (_one, first) = searcher(1000, Q2)?;
    let (_two, second) = searcher(1001, Q2 + 1)?;
    let ids: BTreeSet<_> = [a.reg.mem_id, first, second].into();
    want_eq("different regions", ids.len(), 3)
}

/// Lesson 22: packets of one user are looked for in all memory another one can map, while both
/// run and after the first has gone; and the other way round.
fn one_user_never_sees_anothers_packets() -> Result<()> {
    let secret = b"a secret between root and its peer, 7f3a";
    let lane = Lane::open()?;
    let (mut other, _) = searcher(1000, Q2)?;
    let (mut same, _) = searcher(0, Q2 + 1)?;
    let nic = Nic::open()?;
    let frame = udp(40001, DPORT, secret);
    nic.send_n(&frame, 20)?;
    want_eq("received", lane.recv(20, SOON)?, vec![frame; 20])?;
    let (pages, hits) = search(&mut same, secret)?;
    want(
        &format!("a process of the same user finds it: {hits} in {pages} pages"),
        hits >= 20,
    )?;
    let (pages, hits) = search(&mut other, secret)?;
    println!("the other user searched {pages} pages");
    want("the other user has memory to search", pages > 100)?;
    want_eq("found by the other user", hits, 0)?;
    drop((lane, same));
    // whoever comes now gets pages that were given back
    let (mut late, _) = searcher(1001, Q)?;
    for other in [&mut other, &mut late] {
        want_eq("found afterwards", search(other, secret)?.1, 0)?;
    }
    Ok(())
}

/// The second port goes to another namespace for a while.
fn namespaces_have_regions_of_their_own() -> Result<()> {
    ensure_second()?;
    let a = Port::rx(Q)?;
    let mut other = Helper::start(&["in-namespace", SECOND])?;
    other.ready()?;
    let pid = other.pid().to_string();
    crate::steer::run("ip", &["link", "set", "dev", SECOND, "netns", &pid])?;
    other.tell("go")?;
    let said = other.line(2 * SOON)?;
    other.end()?;
    eventually("the port is back", SOON, || Ok(ensure_second().is_ok()))?;
    let id = said.strip_prefix("mem_id ").context(said.clone())?;
    want(
        &format!("region {id} there is not region {} here", a.reg.mem_id),
        id.parse::<u16>()? != a.reg.mem_id,
    )
}

/// 1.3: NI_PRIV_MEM in ni_flags; its memory is in no other fd's mapping.
fn private_region_is_of_the_fd_alone() -> Result<()> {
    let shared = Port::rx(Q)?;
    let own = want_ok("private", Port::open(&ifname(), private(one_rx(Q2))))?;
    let third = want_ok(
        "another private",
        Port::open(&ifname(), private(one_rx(Q2 + 1))),
    )?;
    let ids: BTreeSet<_> = [&shared, &own, &third].map(|p| p.reg.mem_id).into();
    want_eq("different regions", ids.len(), 3)?;
    want_eq("flags come back", own.reg.flags, RX_ONLY | PRIVATE_MEM)?;
    want_eq(
        "ni_flags",
        (shared.nif.flags(), own.nif.flags(), third.nif.flags()),
        (0, NI_PRIV_MEM, NI_PRIV_MEM),
    )?;
    let ring = own.ring(Q2)?;
    let mark = b"only in the private region, 51c2";
    let at = ring.buf_off(ring.slot(3).idx);
    ring.mem.copy_in(at, mark);
    want("the search finds it here", own.mem.search(mark).1 >= 1)?;
    want_eq("in the default region", shared.mem.search(mark).1, 0)?;
    want_eq("in the other private one", third.mem.search(mark).1, 0)
}

/// 1.7: mem_id; unknown (and that is: not this user's) gives EINVAL.
fn private_region_can_be_joined_by_its_id_by_the_same_user_only() -> Result<()> {
    let own = Port::open(&ifname(), private(one_rx(Q)))?;
    let join = Register {
        mem_id: own.reg.mem_id,
        ..one_tx(Q)
    };
    let second = want_ok("by its id", Port::open(&ifname(), join))?;
    want_eq("mem_id", second.reg.mem_id, own.reg.mem_id)?;
    want(
        "the same buffers",
        second.tx_ring(Q)?.buf_off(0) == own.ring(Q)?.buf_off(0),
    )?;
    // a ring in that region is joined too
    let third = Register {
        mem_id: own.reg.mem_id,
        ..one_rx(Q)
    };
    want_ok("its ring", Port::open(&ifname(), third))?;
    let id = own.reg.mem_id.to_string();
    let other = Helper::start(&["join-as", "1000", &Q2.to_string(), &id])?;
    want_eq("another user", other.line(SOON)?, "EINVAL".to_string())
}

fn region_ends_with_its_last_fd() -> Result<()> {
    let _default = Port::rx(0)?;
    let own = Port::open(&ifname(), private(one_rx(Q)))?;
    let id = own.reg.mem_id;
    let join = Register {
        mem_id: id,
        ..one_rx(Q2)
    };
    let second = Port::open(&ifname(), join)?;
    drop(own);
    want_ok(
        "while the second is there",
        try_register(&ifname(), Register { ringid: 6, ..join }),
    )?;
    drop(second);
    want_errno(
        "after the last",
        try_register(&ifname(), join),
        libc::EINVAL,
    )
}

/// 2.1 NULL: fake port without hardware, just memory (mem_id mandatory).
fn null_port_maps_a_region_without_hardware() -> Result<()> {
    let port = Port::rx(Q)?;
    let null = Register {
        mode: MODE_NULL,
        mem_id: port.reg.mem_id,
        extra_bufs: 3,
        ..Default::default()
    };
    let memory = want_ok("mode NULL", Port::open("", null))?;
    want_eq(
        "mode, mem_id, extra buffers",
        (memory.reg.mode, memory.reg.mem_id, memory.reg.extra_bufs),
        (MODE_NULL, port.reg.mem_id, 3),
    )?;
    want_eq("size of the mapping", memory.reg.memsize, port.reg.memsize)?;
    let ring = port.ring(Q)?;
    let at = ring.buf_off(ring.slot(0).idx);
    ring.mem.copy_in(at, b"seen through the null port");
    let mut got = [0; 26];
    memory.mem.copy_out(at, &mut got);
    want_eq("bytes", &got, b"seen through the null port")?;
    want_eq("RX rings bound", memory.nif.rx(Q).is_some(), false)?;
    want_errno(
        "without mem_id",
        try_register("", rx(MODE_NULL, 0, 0)),
        libc::EINVAL,
    )
}

/// The chain of extra buffers: indices in order; panics on nothing, ends after `limit`.
fn chain(port: &Port, limit: u32) -> Result<Vec<u32>> {
    let pools = port.fd.pools_info(&ifname())?;
    let mut all = Vec::new();
    let mut at = port.nif.bufs_head();
    while at != 0 && all.len() <= limit as usize {
        want(
            &format!("buffer {at} is in the pool"),
            (2..pools.buf_total).contains(&at),
        )?;
        all.push(at);
        let place = pools.buf_offset as usize + at as usize * pools.buf_size as usize;
        at = port.mem.get(place);
    }
    Ok(all)
}

/// 1.7: granted count is written back, chained by the first 4 bytes, ended by 0.
fn extra_buffers_are_bounded_chained_and_come_back() -> Result<()> {
    let mut most = None;
    for asked in [1, 100, 5000, u32::MAX, u32::MAX, u32::MAX] {
        let reg = Register {
            extra_bufs: asked,
            ..one_rx(Q)
        };
        let port = want_ok(
            &format!("{asked} extra buffers"),
            Port::open(&ifname(), reg),
        )?;
        let granted = port.reg.extra_bufs;
        if asked == u32::MAX {
            want(&format!("bounded: {granted}"), granted <= 1 << 16)?;
            // all came back from the one before
            want_eq(
                "as many as the first time",
                granted,
                *most.get_or_insert(granted),
            )?;
        } else {
            want_eq("granted", granted, asked)?;
        }
        let all = chain(&port, granted)?;
        want_eq("length of the chain", all.len(), granted as usize)?;
        let ring = port.ring(Q)?;
        let mut seen: BTreeSet<u32> = (0..ring.n).map(|i| ring.slot(i).idx).collect();
        want(
            "each is once there, and in no slot",
            all.iter().all(|i| seen.insert(*i)),
        )?;
    }
    Ok(())
}

/// Upstream lets one fd drain the pool.
fn extra_buffers_of_one_fd_leave_enough_for_others() -> Result<()> {
    let greedy = |ringid| Register {
        extra_bufs: u32::MAX,
        ..one_rx(ringid)
    };
    let hogs = [0, 1, 2].map(|q| Port::open(&ifname(), greedy(q)));
    let hogs: Vec<_> = hogs.into_iter().collect::<Sys<_>>()?;
    let rest = want_ok(
        "all TX rings beside them",
        Port::open(&ifname(), rx(ALL_NIC, 0, TX_ONLY)),
    )?;
    want_eq(
        "the ring's slots have buffers",
        rest.tx_ring(0)?.slot(0).idx > 1,
        true,
    )?;
    drop(hogs);
    Ok(())
}

/// Lesson 21: sizes chosen from the ports in use.
fn all_rings_of_two_ports_fit_one_region() -> Result<()> {
    ensure_second()?;
    let extra = |mut reg: Register| {
        reg.extra_bufs = 1000;
        reg
    };
    let a = want_ok("first", Port::open(&ifname(), extra(rx(NIC_SW, 0, 0))))?;
    let b = want_ok("second", Port::open(SECOND, extra(rx(NIC_SW, 0, 0))))?;
    want_eq("mem_id", a.reg.mem_id, b.reg.mem_id)?;
    want_eq("extra", (a.reg.extra_bufs, b.reg.extra_bufs), (1000, 1000))?;
    want("4 GiB hold it", a.reg.memsize < 1 << 32)
}

/// Kernel memory free now, in bytes.
fn free_memory() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|l| l.split_whitespace().next());
    Ok(1024 * kib.context("no MemAvailable")?.parse::<u64>()?)
}

/// Lesson 21: 328 MB preallocated surprise nobody here.
fn memory_is_allocated_as_rings_need_it() -> Result<()> {
    let before = free_memory()?;
    let port = Port::rx(Q)?;
    let used = before.saturating_sub(free_memory()?);
    println!("one ring: {used} bytes of {}", port.reg.memsize);
    want(
        &format!("one ring of {} slots used {used} bytes", port.reg.rx_slots),
        used < 32 << 20,
    )
}

/// 1.8: POOLS_INFO_GET of what the fd has.
fn pools_info_of_a_private_region_tells_its_own_id() -> Result<()> {
    let shared = Port::rx(Q2)?;
    let own = Port::open(&ifname(), private(one_rx(Q)))?;
    let info = want_ok("POOLS_INFO_GET", own.fd.pools_info(&ifname()))?;
    println!(
        "asked through the private fd: {}, its id {}, the default's {}",
        info.mem_id, own.reg.mem_id, shared.reg.mem_id
    );
    want(
        "a region of this user",
        [own.reg.mem_id, shared.reg.mem_id].contains(&info.mem_id),
    )?;
    want_eq("size", info.memsize, own.reg.memsize)?;
    let other = Fd::open()?.pools_info(&ifname())?;
    want_eq("asked through a fresh fd", other.mem_id, shared.reg.mem_id)
}
