// SPDX-License-Identifier: GPL-2.0
//! What user space can see and must not: kernel pointers, bus addresses, what a closed file held,
//! memory nobody has written.

use super::abi_register::rx;
use super::extmem;
use super::meta;
use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::csb::{self, Csb};
use crate::deep::{count, debug_kernel, flood};
use crate::fd::{one_rx, Fd};
use crate::frame::{pattern, udp, udp_sized};
use crate::mem::{Mem, Ring};
use crate::nic::Nic;
use crate::port::{rx_info, Lane, Port, DPORT, Q, Q2};
use crate::setup::eventually;
use crate::steer::{ifname, Rss, Rule};
use anyhow::{bail, Context, Result};
use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

tests! { "secrets":
    no_kernel_pointer_or_bus_address_is_in_a_mapping @ 120,
    no_kernel_pointer_is_in_a_csb_or_in_memory_of_the_programs_own,
    answers_hold_no_pointer_and_nothing_that_was_left_over,
    listings_for_root_hold_no_address,
    what_a_closed_file_held_is_not_in_the_next_region @ 120,
    rings_made_again_within_a_region_are_empty,
    frames_of_a_queue_that_was_given_back_are_not_in_the_next_users_memory @ 120,
    closed_region_in_own_memory_is_written_no_more,
    bytes_behind_a_frame_are_zero_in_a_fresh_region,
    mapping_is_left_out_of_core_dumps_and_cannot_grow,
}

const SOON: Duration = Duration::from_secs(15);
const PAGE: usize = 4096;

/// Addresses as the kernel has them: the upper half, but for small negative numbers.
fn is_kernel_pointer(word: u64) -> bool {
    (0xffff_8000_0000_0000..0xffff_ffff_ff60_0000).contains(&word)
}

/// Looks for addresses in a mapping: pointers of the kernel, and what the card calls the pages.
struct Scan {
    bus: BTreeSet<u64>,
    /// Places whose contents are numbers of the interface's: offsets, times.
    known: BTreeSet<usize>,
}

impl Scan {
    /// Without an IOMMU bus addresses are physical ones, which root can learn of its own pages.
    fn of(port: &Port) -> Result<Scan> {
        let pagemap = File::open("/proc/self/pagemap")?;
        let mut bus = BTreeSet::new();
        let mut failed = None;
        port.mem.each_page(|off, _| {
            // each page is touched, so that it is in the table
            let _: u8 = port.mem.get(off);
            let mut entry = [0; 8];
            let at = (port.mem.base() as u64 + off as u64) / PAGE as u64 * 8;
            if let Err(e) = pagemap.read_exact_at(&mut entry, at) {
                failed = Some(e);
            }
            let frame = u64::from_le_bytes(entry) & ((1 << 55) - 1);
            if frame >= 0x100 {
                bus.insert(frame);
            }
        });
        if let Some(e) = failed {
            return Err(e).context("pagemap");
        }
        want("the pages have physical addresses", bus.len() > 100)?;
        let (nif, mut known) = (&port.nif, BTreeSet::new());
        let rings = nif.tx_rings() + nif.host_tx() + nif.rx_rings() + nif.host_rx();
        for k in 0..rings {
            known.insert(nif.off + shm::IF_RING_OFS + 8 * k);
            if let Some(ring) = nif.any_ring(k) {
                known.extend([0, shm::RING_TS, shm::RING_TS + 8].map(|at| ring.off + at));
            }
        }
        Ok(Scan { bus, known })
    }

    /// Places of the mapping that hold an address.
    fn hits(&self, mem: &Mem) -> Vec<(usize, u64)> {
        let mut hits = Vec::new();
        mem.each_page(|off, page| {
            for (i, word) in page.chunks_exact(8).enumerate() {
                let word = u64::from_le_bytes(word.try_into().expect("8 bytes"));
                let (at, frame) = (off + 8 * i, word / PAGE as u64);
                let bad = is_kernel_pointer(word) || self.bus.contains(&frame);
                if bad && !self.known.contains(&at) {
                    hits.push((at, word));
                }
            }
        });
        hits
    }

    fn nothing(&self, what: &str, mem: &Mem) -> Result<()> {
        let hits = self.hits(mem);
        match hits.first() {
            None => Ok(()),
            Some((at, word)) => bail!("{what}: {} addresses, {word:#x} at {at:#x}", hits.len()),
        }
    }
}

/// The address of a function of the kernel.
fn a_kernel_pointer() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/kallsyms")?;
    let line = text.lines().find(|l| l.ends_with("[netmap]"));
    let word = line.context("no symbol of netmap")?;
    let word = word.split_whitespace().next().context("empty")?;
    let pointer = u64::from_str_radix(word, 16)?;
    want("kallsyms shows pointers", is_kernel_pointer(pointer))?;
    Ok(pointer)
}

/// Traffic through the rings of a port, so that they hold what they ever will.
fn traffic(port: &Port, rings: &[Ring]) -> Result<()> {
    let nic = Nic::open()?;
    for seq in 0..200 {
        nic.send(&udp_sized(DPORT, seq, 60 + seq as usize * 7))?;
    }
    eventually("frames are in the rings", SOON, || {
        port.fd.rxsync()?;
        Ok(rings.iter().map(Ring::space).sum::<u32>() >= 200)
    })?;
    rings.iter().for_each(|r| drop(r.take()));
    port.fd.rxsync()?;
    Ok(())
}

fn no_kernel_pointer_or_bus_address_is_in_a_mapping() -> Result<()> {
    // every kind of ring, sent through and received from
    let mut reg = rx(NIC_SW, 0, 0);
    reg.extra_bufs = 500;
    let port = Port::open(&ifname(), reg)?;
    let queues = 0..port.nif.rx_rings() as u32;
    let rings: Vec<Ring> = queues.map(|q| port.ring(q)).collect::<Result<_>>()?;
    super::host_rx::send(&[100; 50])?;
    for k in 0..port.nif.tx_rings() as u32 {
        super::putback::put_copy(&port.tx_ring(k)?, &crate::frame::outgoing(k, 300))?;
    }
    want_ok("TXSYNC", port.fd.txsync())?;
    traffic(&port, &rings)?;
    let scan = Scan::of(&port)?;
    scan.nothing("all rings", &port.mem)?;
    // the search finds what is there
    let ring = &rings[3];
    let buffer = ring.buf_off(ring.slot(9).idx) + 512;
    let (was, page) = (
        port.mem.get::<u64>(buffer),
        *scan.bus.iter().next_back().context("none")?,
    );
    port.mem.set(buffer, a_kernel_pointer()?);
    port.mem.set(ring.slot_off(5) + 8, page * PAGE as u64 + 64);
    let places: Vec<_> = scan.hits(&port.mem).iter().map(|h| h.0).collect();
    let mut planted = vec![ring.slot_off(5) + 8, buffer];
    planted.sort();
    want_eq("found after they were planted", places, planted)?;
    port.mem.set(buffer, was);
    // a view of a ring keeps the mapping, and that the registration
    drop((rings, port));
    // metadata, in a region of its own
    let _rss = Rss::without(&[Q])?;
    let (port, _) = meta::open(Register {
        flags: RX_ONLY | PRIVATE_MEM,
        ..one_rx(Q)
    })?;
    let _rule = Rule::udp(DPORT, Q)?;
    traffic(&port, &[port.ring(Q)?])?;
    Scan::of(&port)?.nothing("a ring with metadata", &port.mem)
}

fn no_kernel_pointer_is_in_a_csb_or_in_memory_of_the_programs_own() -> Result<()> {
    let _rss = Rss::without(&[Q])?;
    let _rule = Rule::udp(DPORT, Q)?;
    let mut reg = one_rx(Q);
    reg.flags |= EXCLUSIVE;
    let port = Port::open(&ifname(), reg)?;
    let scan = Scan::of(&port)?;
    let csb = Csb::new()?;
    let mut opt = csb.option();
    want_ok("CSB", csb::enable(&port.fd, &raw mut opt as u64))?;
    let running = csb::Loop::start(&port.fd, 100, 0)?;
    let nic = Nic::open()?;
    (0..50).try_for_each(|seq| nic.send(&udp_sized(DPORT, seq, 200)))?;
    eventually("the loop tells of frames", SOON, || {
        Ok(csb.indices(0).1 >= 50)
    })?;
    scan.nothing("the CSB", &csb.mem)?;
    scan.nothing("its region", &port.mem)?;
    want_ok("the loop", running.stop()?)?;
    drop((nic, port));
    // the loop's thread has the file too
    let free = || Ok(rx_info(&Fd::open()?, Q)?.state == Q_KERNEL);
    eventually("the queue is the kernel's", SOON, free)?;
    let port = extmem::hold(Q)?;
    traffic(&port, &[port.ring(Q)?])?;
    Scan::of(&port)?.nothing("memory of its own", &port.mem)
}

/// Answers are made in the kernel; their spare fields are 0, not what its stack held.
fn answers_hold_no_pointer_and_nothing_that_was_left_over() -> Result<()> {
    let port = Port::rx_putback(Q)?;
    let clean = |what: &str, bytes: &[u8]| {
        for at in 0..bytes.len().saturating_sub(7) {
            let word = u64::from_le_bytes(bytes[at..at + 8].try_into()?);
            want(
                &format!("{what}: {word:#x} at {at}"),
                !is_kernel_pointer(word),
            )?;
        }
        Ok::<_, anyhow::Error>(())
    };
    for fill in [0u8, 0x5a] {
        let mut info = [fill; 32];
        // the memory id is a question
        info[24..26].fill(0);
        want_ok(
            "PORT_INFO_GET",
            port.fd.request(&ifname(), REQ_PORT_INFO_GET, &mut info),
        )?;
        want_eq("its padding", &info[26..], &[0; 6])?;
        clean("PORT_INFO_GET", &info)?;
        let mut pools = [fill; 64];
        pools[8..10].fill(0);
        want_ok(
            "POOLS_INFO_GET",
            port.fd.request(&ifname(), REQ_POOLS_INFO_GET, &mut pools),
        )?;
        want_eq("its padding", &pools[10..16], &[0; 6])?;
        clean("POOLS_INFO_GET", &pools)?;
        let mut entry = QueueInfo {
            version: 1,
            spare0: u32::from(fill),
            spare: [u64::from(fill); 6],
            counter: [u64::MAX / 3; 16],
            ..Default::default()
        };
        while port.fd.qnext(&mut entry).is_ok() {
            want_eq("spare fields", (entry.spare0, entry.spare), (0, [0; 6]))?;
            want_eq("counters nobody has", &entry.counter[13..], &[0; 3])?;
            // SAFETY: a structure of plain integers without padding.
            let bytes = unsafe { std::slice::from_raw_parts((&raw const entry).cast::<u8>(), 256) };
            clean("NIOCQNEXT", bytes)?;
            entry.name = [0; 16];
        }
        let mut req = crate::fd::nmreq(&ifname());
        req.spare2 = u32::from(fill);
        want_ok("NIOCGINFO", port.fd.ginfo(&mut req))?;
        want_eq("spare2 is the program's", req.spare2, u32::from(fill))?;
    }
    Ok(())
}

/// They are for root alone, and yet.
fn listings_for_root_hold_no_address() -> Result<()> {
    let _ports = (Port::rx_putback(Q)?, Port::tx(0)?);
    for file in ["rings", "regions"] {
        let text = std::fs::read_to_string(format!("/sys/kernel/debug/netmap/{file}"))?;
        want(&format!("{file} lists something"), text.contains("mem_id="))?;
        for word in text.split(|c: char| !c.is_ascii_alphanumeric()) {
            let number = word.parse::<u64>().unwrap_or(0);
            let hex = word.len() >= 9 && u64::from_str_radix(word, 16).is_ok();
            let letters = word.bytes().any(|b| b.is_ascii_alphabetic());
            want(
                &format!("{file}: {word}"),
                number < 1 << 44 && !(hex && letters),
            )?;
        }
    }
    let events = "/sys/kernel/tracing/events/netmap";
    for event in [
        "netmap_attach",
        "netmap_detach",
        "netmap_sync",
        "netmap_reinit",
    ] {
        let format = std::fs::read_to_string(format!("{events}/{event}/format"))?;
        let fields = format
            .lines()
            .filter(|l| l.contains("field:") && !l.contains("common_"));
        let wrong: Vec<_> = fields
            .filter(|l| l.contains('*') || l.contains("long"))
            .collect();
        want_eq(event, wrong, vec![])?;
        want(
            &format!("{event} prints no pointer"),
            !format.contains("%p"),
        )?;
    }
    Ok(())
}

/// This process as another user, with root's capabilities, until dropped.
struct AsUser;

impl AsUser {
    fn new(uid: u32) -> Result<AsUser> {
        const NO_SETUID_FIXUP: i32 = 1 << 2;
        // SAFETY: plain system calls about this process's credentials.
        let failed = unsafe {
            libc::prctl(libc::PR_SET_SECUREBITS, NO_SETUID_FIXUP) != 0 || libc::seteuid(uid) != 0
        };
        match failed {
            true => bail!("become user {uid}: {}", Errno::last()),
            false => Ok(AsUser),
        }
    }
}

impl Drop for AsUser {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { libc::seteuid(0) };
    }
}

const SECRET: &[u8; 32] = b"what the first one wrote, 6b1f03";

/// The secret in every byte of every page that can be written, structures included.
fn fill(mem: &Mem) -> usize {
    let text = SECRET.repeat(PAGE / SECRET.len());
    let mut pages = Vec::new();
    mem.each_page(|off, _| pages.push(off));
    pages.iter().for_each(|off| mem.copy_in(*off, &text));
    pages.len()
}

/// Pages come zeroed: whoever was there before, another user or the same one.
fn what_a_closed_file_held_is_not_in_the_next_region() -> Result<()> {
    let with = |reg: Register, flags| Register {
        extra_bufs: 4000,
        flags: reg.flags | flags,
        ..reg
    };
    type Open = fn() -> Result<AsUser>;
    let root: Open = || AsUser::new(0);
    let user: Open = || AsUser::new(1000);
    let cases = [
        ("default, then default of another user", root, user, 0),
        ("private, then another user's", user, root, PRIVATE_MEM),
        ("default of another user, then root's", user, root, 0),
        ("default, then default of the same user", root, root, 0),
        (
            "private, then private of the same user",
            root,
            root,
            PRIVATE_MEM,
        ),
    ];
    // each page is a fault, which takes long where every access is checked
    let most = if debug_kernel() { 1 } else { cases.len() };
    for (what, first, next, flags) in cases.into_iter().take(most) {
        let who = first()?;
        let port = Port::open(&ifname(), with(one_rx(Q), flags))?;
        let pages = fill(&port.mem);
        want(&format!("{pages} pages were written"), pages > 2000)?;
        want(
            "and are read",
            port.mem.search(SECRET).1 > pages as u64 * 120,
        )?;
        drop((port, who));
        let who = next()?;
        for queue in [Q, Q2] {
            let port = Port::open(&ifname(), with(one_rx(queue), flags))?;
            let (pages, hits) = port.mem.search(SECRET);
            want(&format!("{pages} pages to search"), pages > 2000)?;
            want_eq(what, hits, 0)?;
        }
        drop(who);
    }
    Ok(())
}

/// A region that lives on gives its ring objects and `netmap_if`s out again; buffers keep what was
/// in them, which is the same user's.
fn rings_made_again_within_a_region_are_empty() -> Result<()> {
    let keeper = Port::rx(Q2)?;
    let before = keeper.mem.search(SECRET).1;
    want_eq("the secret in the region", before, 0)?;
    let port = Port::rx_putback(Q)?;
    let (ring, host, pools) = (port.ring(Q)?, port.host()?, port.fd.pools_info(&ifname())?);
    let text = SECRET.repeat(PAGE / SECRET.len());
    let nif = port.nif.off / PAGE * PAGE;
    for start in [nif, ring.off, host.off] {
        let pages = if start == nif {
            1
        } else {
            (256 + 16 * ring.n as usize).div_ceil(PAGE)
        };
        (0..pages).for_each(|i| port.mem.copy_in(start + i * PAGE, &text));
    }
    let (was, places) = (port.reg.offset, (ring.off, host.off));
    drop((ring, host, port));
    let again = Port::rx_putback(Q)?;
    let (ring, host) = (again.ring(Q)?, again.host()?);
    want_eq(
        "the same objects",
        (again.reg.offset, (ring.off, host.off)),
        (was, places),
    )?;
    let mut found = Vec::new();
    again.mem.each_page(|off, page| {
        let structure = (off as u64) < pools.buf_offset;
        if structure && page.windows(SECRET.len()).any(|w| w == SECRET) {
            found.push(off);
        }
    });
    want_eq("pages of structures with the secret", found, vec![])
}

/// Pages of a region that ended under a flood go to another user at once.
fn frames_of_a_queue_that_was_given_back_are_not_in_the_next_users_memory() -> Result<()> {
    let _rss = Rss::without(&[Q, Q2])?;
    let nic = Nic::open()?;
    let _rule = Rule::udp(DPORT, Q)?;
    let _flood = nic.generate(
        "g",
        &format!("profile=udp rate={} size=500 dport={DPORT}", flood(20_000)),
    )?;
    let mark = b"NMSQ";
    for round in 0..count(6, 300) {
        let port = Port::rx(Q)?;
        let ring = port.ring(Q)?;
        eventually("it receives", SOON, || {
            port.fd.rxsync()?;
            Ok(ring.space() > 0)
        })?;
        if round == 0 {
            want("the search finds frames here", port.mem.search(mark).1 > 0)?;
        }
        drop((ring, port));
        let _who = AsUser::new(1000)?;
        let next = Register {
            extra_bufs: 2000,
            ..one_rx(Q2)
        };
        let port = Port::open(&ifname(), next)?;
        want_eq(
            "frames in the next one's memory",
            port.mem.search(mark).1,
            0,
        )?;
        std::thread::sleep(Duration::from_millis(50));
        want_eq("and a little later", port.mem.search(mark).1, 0)?;
    }
    Ok(())
}

fn closed_region_in_own_memory_is_written_no_more() -> Result<()> {
    let _rss = Rss::without(&[Q])?;
    let nic = Nic::open()?;
    let _rule = Rule::udp(DPORT, Q)?;
    let _flood = nic.generate(
        "g",
        &format!("profile=udp rate={} size=500 dport={DPORT}", flood(20_000)),
    )?;
    let Port { mem, fd, nif, .. } = extmem::hold(Q)?;
    eventually("frames are written there", SOON, || {
        fd.rxsync()?;
        Ok(mem.search(b"NMSQ").1 > 100)
    })?;
    drop((nif, fd));
    let zero = vec![0; PAGE];
    let mut pages = Vec::new();
    mem.each_page(|off, _| pages.push(off));
    pages.iter().for_each(|off| mem.copy_in(*off, &zero));
    std::thread::sleep(Duration::from_millis(300));
    let mut written = 0;
    mem.each_page(|_, page| written += usize::from(page.iter().any(|b| *b != 0)));
    want_eq("pages written after the close", written, 0)
}

/// A frame ends where it ends; the card pads short ones with zeros, the kernel with nothing.
fn bytes_behind_a_frame_are_zero_in_a_fresh_region() -> Result<()> {
    let mut reg = one_rx(Q);
    reg.flags |= PRIVATE_MEM;
    let lane = Lane::with(reg)?;
    let (nic, ring) = (Nic::open()?, lane.ring()?);
    for size in [60, 61, 127, 128, 129, 1000, 1514] {
        let frame = udp(40000, DPORT, &pattern(7, size - 42));
        nic.send(&frame)?;
        eventually("a frame", SOON, || {
            lane.port.fd.rxsync()?;
            Ok(ring.space() > 0)
        })?;
        let slot = ring.slot(ring.head());
        let mut bytes = vec![0xff; ring.buf_size as usize];
        lane.port.mem.copy_out(ring.buf_off(slot.idx), &mut bytes);
        let (got, rest) = bytes.split_at(slot.len.into());
        want_eq("the frame", got, &frame)?;
        let other = rest.iter().position(|b| *b != 0);
        want_eq(&format!("behind {size} bytes, not 0 at"), other, None)?;
        ring.take();
    }
    Ok(())
}

fn mapping_is_left_out_of_core_dumps_and_cannot_grow() -> Result<()> {
    let port = Port::rx(Q)?;
    let text = std::fs::read_to_string("/proc/self/smaps")?;
    let start = format!("{:x}-", port.mem.base() as usize);
    let ours = text.lines().skip_while(|l| !l.starts_with(&start));
    let flags = ours.clone().find_map(|l| l.strip_prefix("VmFlags:"));
    let flags: Vec<_> = flags.context("no VmFlags")?.split_whitespace().collect();
    want(
        &format!("{flags:?}"),
        flags.contains(&"dd") && flags.contains(&"de"),
    )?;
    let len = port.reg.memsize as usize;
    // SAFETY: a mapping of this test's; it fails, or moves nothing anybody points into.
    let grown = unsafe { libc::mremap(port.mem.base().cast(), len, len + PAGE, 0) };
    want_eq("mremap to more", grown, libc::MAP_FAILED)?;
    want(
        "the descriptor is what counts",
        Fd::open()?.mmap(PAGE, 0, libc::MAP_SHARED).is_err(),
    )
}
