// SPDX-License-Identifier: GPL-2.0
//! Holes that code of this kind has had, each tried here (`Documentation/known-holes.md` has the
//! table). Names carry the id under which the hole is known.

use super::host_rx::{collect, nic_sw, send, SOON};
use super::hostile_ring::Rng;
use super::{tests, Skip};
use crate::abi::*;
use crate::check::*;
use crate::deep::count;
use crate::fd::{header, one_rx, Fd};
use crate::frame::udp_sized;
use crate::mem::Mem;
use crate::nic::Nic;
use crate::port::{rx_info, Port, DPORT, DPORT2, Q, Q2};
use crate::setup::{eventually, insmod};
use crate::steer::{ifname, Rss, Rule};
use anyhow::{bail, Context, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;

tests! { "security":
    cve_2022_23084_option_list_that_changes_while_it_is_read @ 120,
    cve_2022_23084_body_that_changes_while_it_is_read @ 120,
    cve_2022_23085_option_sizes_that_wrap,
    df_0359_cur_of_the_host_rx_ring_that_moves_while_it_is_synced @ 90,
    df_0361_unknown_ioctls_of_any_kind_of_file_do_nothing,
    df_0550_object_sizes_whose_product_overflows_32_bits,
    nm_602_more_buffers_than_32_bits_can_count_the_bytes_of,
    nm_937_names_that_fill_their_field,
    rg73fdbfb9_frames_that_wait_in_a_ring_that_goes_are_freed_once @ 120,
    nm_54_modules_stay_while_a_file_is_open,
    rule_4_two_slots_that_swap_one_buffer_while_they_are_armed @ 90,
}

/// Memory of this process; what is around it faults.
fn memory(len: usize, prot: i32) -> Result<Arc<Mem>> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping at an address the kernel picks.
    let base = unsafe { libc::mmap(std::ptr::null_mut(), len, prot, flags, -1, 0) };
    if base == libc::MAP_FAILED {
        bail!("mmap of {len} bytes: {}", Errno::last());
    }
    // SAFETY: just mapped, and given to nobody else.
    Ok(Arc::new(unsafe { Mem::new(base.cast(), len) }))
}

/// A thread that goes on doing something until dropped.
struct Meanwhile {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Meanwhile {
    fn start(mut what: impl FnMut(&mut Rng) + Send + 'static) -> Meanwhile {
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut rng = Rng(0x2545_f491_4f6c_dd1d);
            while !told.load(Ordering::Relaxed) {
                what(&mut rng);
            }
        });
        Meanwhile {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Meanwhile {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The answer is one of those that a request which makes no sense can get.
#[track_caller]
fn sane(what: &str, got: Sys<()>) -> Result<()> {
    const KNOWN: [i32; 6] = [
        libc::EINVAL,
        libc::EFAULT,
        libc::EMSGSIZE,
        libc::EOPNOTSUPP,
        libc::ENOMEM,
        libc::EBUSY,
    ];
    match got {
        Err(e) if !KNOWN.contains(&e.0) => bail!("{what}: {e}"),
        _ => Ok(()),
    }
}

/// Bytes from one option to the next.
const STRIDE: usize = 512;
/// From here on an option's bytes are never the kernel's to write. Before that they are: the
/// kernel may read a pointer byte by byte while it changes, and so find an option at a mixture of two.
const FREE: usize = STRIDE / 4 * 3;
const OPTIONS: usize = 8;
const CANARY: u64 = 0x1357_9bdf_0246_8ace;

/// Eight options in one page, at its end; the next page is not there.
struct List {
    mem: Arc<Mem>,
}

impl List {
    fn new() -> Result<List> {
        let mem = memory(OPTIONS * STRIDE, libc::PROT_READ | libc::PROT_WRITE)?;
        for at in (0..OPTIONS * STRIDE).step_by(8) {
            mem.set(at, CANARY);
        }
        let list = List { mem };
        (0..OPTIONS).for_each(|i| list.set(i, 0, 77, 24));
        Ok(list)
    }

    fn at(&self, i: usize) -> u64 {
        self.mem.base() as u64 + (i * STRIDE) as u64
    }

    fn set(&self, i: usize, next: u64, opttype: u32, size: u64) {
        self.mem.set(i * STRIDE, next);
        self.mem.set(i * STRIDE + 8, opttype);
        self.mem.set(i * STRIDE + 16, size);
    }

    fn untouched(&self) -> Result<()> {
        // Not the last: mixtures with the pointer to the page's end lie anywhere in it.
        for i in 0..OPTIONS - 1 {
            for at in (FREE..STRIDE).step_by(8) {
                let got: u64 = self.mem.get(i * STRIDE + at);
                want_eq(&format!("byte {at} behind option {i}"), got, CANARY)?;
            }
        }
        Ok(())
    }
}

/// Two passes over a list that the program changes between them made a kernel buffer overflow.
fn cve_2022_23084_option_list_that_changes_while_it_is_read() -> Result<()> {
    let list = List::new()?;
    let (mem, base) = (list.mem.clone(), list.at(0));
    let changer = Meanwhile::start(move |rng| {
        let r = rng.next();
        let i = (r >> 8) as usize % OPTIONS;
        let next = match r % 8 {
            0 => 0,
            1 => 0xdead_0000,
            // half of it in the page that is not there
            2 => base + (OPTIONS * STRIDE - 12) as u64,
            n => base + ((r >> 20) as usize % OPTIONS * STRIDE) as u64 + (n & 1) * 8,
        };
        let sizes = [0, 24, 40, 4096, 1 << 32, u64::MAX, u64::MAX - 23, 4000];
        let types = [0, 1, 2, 3, 4, 5, 6, 77, OPT_RX_META, 2, 2];
        mem.set(i * STRIDE, next);
        mem.set(i * STRIDE + 8, types[(r >> 32) as usize % types.len()]);
        mem.set(i * STRIDE + 16, sizes[(r >> 40) as usize % sizes.len()]);
    });
    let fd = Fd::open()?;
    let mut answers = std::collections::BTreeMap::new();
    for round in 0..count(30_000, 3_000_000) {
        let mut info = PortInfo::default();
        let mut reg = Register {
            mode: 9,
            ..Default::default()
        };
        // a port's numbers are had without rtnl when the name is empty
        let (reqtype, body) = match round % 4 {
            0 => (REQ_REGISTER, &raw mut reg as u64),
            _ => (REQ_PORT_INFO_GET, &raw mut info as u64),
        };
        let mut hdr = header("", reqtype);
        (hdr.body, hdr.options) = (body, list.at(0));
        let got = fd.ctrl(&mut hdr);
        *answers
            .entry(got.map_or_else(|e| e.0, |()| 0))
            .or_insert(0u64) += 1;
        if !matches!(got, Err(Errno(libc::ENXIO))) {
            sane("a list that changes", got)?;
        }
        want_eq("nr_reserved", hdr.reserved, 0)?;
    }
    drop(changer);
    println!("answers by errno: {answers:?}");
    want("different lists were seen", answers.len() >= 3)?;
    list.untouched()
}

/// The same for the body: what was checked is what is done.
fn cve_2022_23084_body_that_changes_while_it_is_read() -> Result<()> {
    let mem = memory(4096, libc::PROT_READ | libc::PROT_WRITE)?;
    let body = mem.base() as u64;
    let good = one_rx(Q);
    let offset = |field| match field {
        "mem_id" => 32,
        "ringid" => 34,
        "mode" => 36,
        _ => 40,
    };
    let changed = mem.clone();
    let changer = Meanwhile::start(move |rng| {
        let r = rng.next();
        let ringid = [Q as u16, Q as u16, 4000, u16::MAX][(r >> 8) as usize % 4];
        changed.set(offset("ringid"), ringid);
        changed.set(
            offset("mode"),
            [ONE_NIC, ONE_NIC, 9, 0][(r >> 16) as usize % 4],
        );
        changed.set(offset("mem_id"), [0u16, 0, 0, 999][(r >> 24) as usize % 4]);
        changed.set(offset("extra"), [0u32, 7, u32::MAX][(r >> 32) as usize % 3]);
    });
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..count(150, 10_000) {
        mem.set(48, good.flags);
        let fd = Fd::open()?;
        let mut hdr = header(&ifname(), REQ_REGISTER);
        hdr.body = body;
        let got = fd.ctrl(&mut hdr);
        let all = fd.queues(Some(&ifname()))?;
        let out = |i: &&QueueInfo| i.kind != KIND_PORT && i.state != Q_KERNEL;
        let out: Vec<_> = all.iter().filter(out).map(|i| (i.kind, i.queue)).collect();
        match got {
            Ok(()) => {
                want_eq("taken", out, vec![(KIND_RX, Q)])?;
                taken += 1;
            }
            other => {
                sane("a body that changes", other)?;
                want_eq("taken by a refused request", out, vec![])?;
                refused += 1;
            }
        }
    }
    drop(changer);
    println!("{taken} accepted, {refused} refused");
    want("both kinds were seen", taken > 0 && refused > 0)
}

/// A size field was added to a running total unchecked: a small allocation, a large copy.
fn cve_2022_23085_option_sizes_that_wrap() -> Result<()> {
    let list = List::new()?;
    let fd = Fd::open()?;
    let sizes = [
        1 << 16,
        1 << 31,
        u64::from(u32::MAX),
        1 << 32,
        (1 << 32) + 24,
        (1 << 32) + 32,
        1 << 63,
        u64::MAX - 31,
        u64::MAX - 23,
        u64::MAX - 7,
        u64::MAX,
    ];
    for first in sizes {
        for second in sizes.into_iter().chain([24, 32]) {
            // two in one list, so that the sum is what wraps: unknown ones have no size
            list.set(0, list.at(1), OPT_KLOOP_EVENTFDS, first);
            list.set(1, 0, OPT_CSB, second);
            let mut info = PortInfo::default();
            let mut hdr = header("", REQ_PORT_INFO_GET);
            hdr.body = &raw mut info as u64;
            hdr.options = list.at(0);
            let what = format!("sizes {first:#x} and {second:#x}");
            want_errno(&what, fd.ctrl(&mut hdr), libc::EMSGSIZE)?;
            // the size of one whose type fixes it does not count
            list.set(0, list.at(1), OPT_CSB, first);
            list.set(1, 0, OPT_KLOOP_EVENTFDS, 24);
            let what = format!("size {first:#x} of an option whose type fixes it");
            want_ok(&what, fd.ctrl(&mut hdr))?;
        }
    }
    list.untouched()
}

/// A count of slots was made of `cur`, read twice from where the program writes.
fn df_0359_cur_of_the_host_rx_ring_that_moves_while_it_is_synced() -> Result<()> {
    let port = nic_sw()?;
    let ring = port.host_rx(0)?;
    let other = ring.clone();
    let changer = Meanwhile::start(move |rng| {
        let value = rng.nasty(other.n);
        match rng.next() % 3 {
            0 => other.set_head(value),
            1 => other.set_cur(value),
            _ => {
                other.set_head(value);
                other.set_cur(value.wrapping_sub(1));
            }
        }
    });
    for round in 0..count(120, 10_000) {
        if round % 2 == 0 {
            send(&[100; 16])?;
        }
        for _ in 0..20 {
            want_ok("RXSYNC", port.fd.rxsync())?;
            let tail = ring.tail();
            want(&format!("tail {tail} of {}", ring.n), tail < ring.n)?;
        }
    }
    drop(changer);
    // once it stops the ring is as it should be
    ring.set_head(ring.n);
    want_ok("RXSYNC", port.fd.rxsync())?;
    ring.take();
    want_ok("RXSYNC", port.fd.rxsync())?;
    ring.take();
    for batch in [200; 600].chunks(60) {
        send(batch)?;
        collect(&port, &ring, batch.len())?;
    }
    Ok(())
}

/// Numbers nobody knows were passed on to a layer below, with nothing to act on.
fn df_0361_unknown_ioctls_of_any_kind_of_file_do_nothing() -> Result<()> {
    let known = [
        NIOCGINFO, NIOCREGIF, NIOCTXSYNC, NIOCRXSYNC, NIOCCONFIG, NIOCCTRL, NIOCQADD, NIOCQDEL,
        NIOCQNEXT,
    ];
    let fresh = Fd::open()?;
    let port = Port::rx(Q)?;
    let null = Register {
        mode: MODE_NULL,
        mem_id: port.reg.mem_id,
        ..Default::default()
    };
    let null = Port::open("", null)?;
    let arg = memory(1 << 14, libc::PROT_READ | libc::PROT_WRITE)?;
    (0..1 << 14).step_by(8).for_each(|at| arg.set(at, CANARY));
    // of ours but for number, size or direction; of sockets, terminals, files
    let ours = (0..256u64).flat_map(|nr| {
        let sizes = [0u64, 4, 16, 60, 88, 256, 16383].into_iter();
        sizes.flat_map(move |size| {
            (0..4u64).map(move |dir| (dir << 30) | (size << 16) | 0x6900 | nr)
        })
    });
    let others = [
        0x8912,
        0x8914,
        0x8927,
        0x8946,
        0x89f0,
        0x541b,
        0x5401,
        0x1277,
        0,
        u32::MAX.into(),
    ];
    let mut tried = 0;
    for nr in ours.chain(others).filter(|nr| !known.contains(nr)) {
        for fd in [&fresh, &port.fd, &null.fd] {
            // SAFETY: the argument is memory of this test's own, larger than any size encodes.
            let got = unsafe { fd.ioctl_raw(nr, arg.base() as usize) };
            want_errno(&format!("ioctl {nr:#x}"), got, libc::EOPNOTSUPP)?;
            tried += 1;
        }
    }
    println!("{tried} tried");
    let changed = (0..1 << 14)
        .step_by(8)
        .find(|at| arg.get::<u64>(*at) != CANARY);
    want_eq("written by one of them, at", changed, None)?;
    want_ok("the ring works on", port.fd.rxsync())
}

/// REGISTER of a ring in memory of the program's own; nothing stays.
fn in_own_memory(at: u64, info: PoolsInfo) -> Result<Sys<()>> {
    let fd = Fd::open()?;
    let mut opt = Extmem {
        reqtype: OPT_EXTMEM,
        usrptr: at,
        info,
        ..Default::default()
    };
    let mut reg = one_rx(Q);
    let mut hdr = header(&ifname(), REQ_REGISTER);
    hdr.body = &raw mut reg as u64;
    hdr.options = &raw mut opt as u64;
    Ok(fd.ctrl(&mut hdr))
}

/// Ring memory was number times size in 32 bits.
fn df_0550_object_sizes_whose_product_overflows_32_bits() -> Result<()> {
    let mem = memory(16 << 20, libc::PROT_READ | libc::PROT_WRITE)?;
    let numbers = [
        1,
        2,
        1 << 10,
        1 << 16,
        (1 << 16) + 1,
        1 << 20,
        1 << 31,
        u32::MAX - 1,
        u32::MAX,
    ];
    let sizes = [
        4096,
        1 << 16,
        (1 << 16) + 1,
        1 << 20,
        1 << 31,
        u32::MAX - 4095,
        u32::MAX,
    ];
    let mut fitted = 0;
    for number in numbers {
        for size in sizes {
            let base = PoolsInfo {
                memsize: 16 << 20,
                ..Default::default()
            };
            for info in [
                PoolsInfo {
                    if_total: number,
                    if_size: size,
                    ..base
                },
                PoolsInfo {
                    ring_total: number,
                    ring_size: size,
                    ..base
                },
                PoolsInfo {
                    buf_total: number,
                    buf_size: size,
                    ..base
                },
            ] {
                let got = in_own_memory(mem.base() as u64, info)?;
                fitted += u32::from(got.is_ok());
                sane(&format!("{number} objects of {size} bytes"), got)?;
                if u64::from(number) * u64::from(size) > 16 << 20 && info.buf_total == 0 {
                    want_some_errno(&format!("{number} of {size} in 16 MiB"), got)?;
                }
            }
        }
    }
    want(&format!("{fitted} of them fit"), fitted > 0)?;
    want_eq("the queue", rx_info(&Fd::open()?, Q)?.state, Q_KERNEL)
}

/// The total of a pool was 32 bits wide.
fn nm_602_more_buffers_than_32_bits_can_count_the_bytes_of() -> Result<()> {
    // address space that cannot be touched: what passes the sums is refused as no memory
    let place = memory(9 << 30, libc::PROT_NONE)?;
    for memsize in [
        4 << 30,
        (4 << 30) + 4096,
        8 << 30,
        1 << 44,
        1 << 63,
        u64::MAX,
    ] {
        for buf_total in [0, 1 << 21, (1 << 21) + 5, 1 << 31, u32::MAX] {
            for buf_size in [0, 2048, 16384] {
                let info = PoolsInfo {
                    memsize,
                    buf_total,
                    buf_size,
                    ..Default::default()
                };
                let got = in_own_memory(place.base() as u64, info)?;
                want_errno(
                    &format!("{buf_total} buffers of {buf_size} in {memsize:#x}"),
                    got,
                    libc::EFAULT,
                )?;
            }
        }
    }
    Ok(())
}

/// A checked string copy brought the kernel down over a name without an end.
fn nm_937_names_that_fill_their_field() -> Result<()> {
    let fd = Fd::open()?;
    for byte in [b'e', b'%', b'/', b'~', 0xff, 1] {
        for len in [1, 14, 15, 16, 17, 31, 32, 62, 63, 64] {
            let mut name = [0u8; 64];
            name[..len].fill(byte);
            let mut reg = one_rx(Q);
            let mut info = PortInfo::default();
            for (reqtype, body) in [
                (REQ_REGISTER, &raw mut reg as u64),
                (REQ_PORT_INFO_GET, &raw mut info as u64),
            ] {
                let mut hdr = header("", reqtype);
                (hdr.name, hdr.body) = (name, body);
                want_some_errno("NIOCCTRL", fd.ctrl(&mut hdr))?;
            }
            let short = name[..16].try_into().context("16 bytes")?;
            let mut req = Nmreq {
                name: short,
                version: 14,
                flags: ONE_NIC | RX_ONLY as u32,
                ..Default::default()
            };
            want_some_errno("NIOCREGIF", fd.regif(&mut req))?;
            want_some_errno("NIOCGINFO", fd.ginfo(&mut req))?;
            let mut entry = QueueInfo {
                version: 1,
                name: short,
                ..Default::default()
            };
            want_errno("NIOCQNEXT", fd.qnext(&mut entry), libc::ENOENT)?;
        }
    }
    // nothing of a field reaches beyond its first NUL
    let mut hdr = header(&ifname(), REQ_PORT_INFO_GET);
    let mut info = PortInfo::default();
    hdr.name[ifname().len() + 1..].fill(0xff);
    hdr.body = &raw mut info as u64;
    want_ok("rubbish behind the NUL", fd.ctrl(&mut hdr))
}

/// Objects of a slab cache in use.
fn objects(cache: &str) -> Result<i64> {
    let path = "/proc/slabinfo";
    if !std::fs::exists(path)? {
        return Err(Skip(format!("this kernel has no {path}")).into());
    }
    let text = std::fs::read_to_string(path)?;
    let line = text
        .lines()
        .find(|l| l.split_whitespace().next() == Some(cache));
    let used = line.and_then(|l| l.split_whitespace().nth(1));
    used.context("no such cache")?
        .parse()
        .context("not a number")
}

/// A pool of the emulated adapter freed what it had given out. Ours are the frames of the kernel
/// that wait for a program which goes.
fn rg73fdbfb9_frames_that_wait_in_a_ring_that_goes_are_freed_once() -> Result<()> {
    // each sets up all rings of the port
    let rounds = count(30, 500);
    send(&[100; 64])?;
    let before = objects("skbuff_head_cache")?;
    for round in 0..rounds {
        let port = nic_sw()?;
        send(&[100; 64])?;
        if round % 2 == 0 {
            want_ok("RXSYNC", port.fd.rxsync())?;
        }
        send(&[1000; 64])?;
    }
    let after = objects("skbuff_head_cache")?;
    // caches of the processors come and go
    let most = (rounds as i64 * 128) / 3;
    want(
        &format!(
            "skbs in use: {before}, then {after} after {} frames",
            rounds * 128
        ),
        after - before < most,
    )
}

/// Unloading under a user crashed (nm #54, #311, #829).
fn nm_54_modules_stay_while_a_file_is_open() -> Result<()> {
    let unload = |name: &std::ffi::CStr| -> Sys<()> {
        // SAFETY: a NUL-terminated name.
        match unsafe { libc::syscall(libc::SYS_delete_module, name.as_ptr(), libc::O_NONBLOCK) } {
            0 => Ok(()),
            _ => Err(Errno::last()),
        }
    };
    let fresh = Fd::open()?;
    want_errno("netmap, a file is open", unload(c"netmap"), libc::EAGAIN)?;
    let port = Port::rx(Q)?;
    drop(fresh);
    want_errno("netmap, a queue is out", unload(c"netmap"), libc::EAGAIN)?;
    want_errno("ixgbe, a queue is out", unload(c"ixgbe"), libc::EAGAIN)?;
    let Port { nif, mem, fd, .. } = port;
    drop(fd);
    want_errno("netmap, memory is mapped", unload(c"netmap"), libc::EAGAIN)?;
    drop((nif, mem));
    want_ok("netmap, nothing is open", unload(c"netmap"))?;
    insmod("netmap")?;
    drop(want_ok("and again", Port::rx(Q))?);
    Ok(())
}

/// One buffer in two descriptors would be written by two frames. A thread swaps what two slots
/// name, over and over, while the kernel arms them.
fn rule_4_two_slots_that_swap_one_buffer_while_they_are_armed() -> Result<()> {
    let _rss = Rss::without(&[Q, Q2])?;
    let mut reg = one_rx(Q);
    reg.extra_bufs = 8;
    let port = Port::open(&ifname(), reg)?;
    let (second, ring) = (Port::rx(Q2)?, port.ring(Q)?);
    let other = second.ring(Q2)?;
    let names: Vec<u32> = (0..8)
        .map(|i| ring.slot(i).idx)
        .chain([port.nif.bufs_head()])
        .collect();
    let (a, b) = (ring.clone(), other.clone());
    let changer = Meanwhile::start(move |rng| {
        let r = rng.next();
        let target = if r & 1 == 0 { &a } else { &b };
        let i = (r >> 8) as u32 % target.n;
        let mut slot = target.slot(i);
        slot.idx = names[(r >> 32) as usize % names.len()];
        slot.flags = (r >> 48) as u16 & 1;
        target.set_slot(i, slot);
    });
    for step in 0..count(1500, 100_000) as u32 {
        for (port, ring) in [(&port, &ring), (&second, &other)] {
            // slots go round although nothing arrives: all but one come back and are armed again
            let head = (step * 37) % ring.n;
            ring.set_cur(head);
            ring.set_head(head);
            want_ok("RXSYNC", port.fd.rxsync())?;
            ring.set_cur(ring.tail());
            ring.set_head(ring.tail());
            want_ok("RXSYNC", port.fd.rxsync())?;
        }
    }
    drop(changer);
    // as many frames as can wait, looked at when all have been written
    let nic = Nic::open()?;
    let rules = (Rule::udp(DPORT, Q)?, Rule::udp(DPORT2, Q2)?);
    for (port, ring, queue, dport) in [(&port, &ring, Q, DPORT), (&second, &other, Q2, DPORT2)] {
        for _ in 0..3 {
            want_ok("RXSYNC", port.fd.rxsync())?;
            ring.take();
        }
        want_ok("RXSYNC", port.fd.rxsync())?;
        let frames: Vec<_> = (0..ring.n - 8).map(|i| udp_sized(dport, i, 80)).collect();
        nic.wait_room(queue, ring.n, ring.n - 8)?;
        for frame in &frames {
            nic.send(frame)?;
        }
        eventually("all are in the ring", SOON, || {
            want_ok("RXSYNC", port.fd.rxsync())?;
            Ok(ring.space() as usize >= frames.len())
        })?;
        want_eq("frames", ring.take(), frames)?;
    }
    drop(rules);
    Ok(())
}
