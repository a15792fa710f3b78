// SPDX-License-Identifier: GPL-2.0
//! Regions in the program's own memory (netmap-abi.md 1.3 OPT_EXTMEM, 1.7 row
//! "EXTMEM option", 5 EXTMEM), and regions of an fd's own.

use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::{header, one_rx, Fd};
use crate::frame::udp_sized;
use crate::helper::Helper;
use crate::mem::{Mem, Nif, Slot};
use crate::nic::Nic;
use crate::port::{Port, DPORT, DPORT2, Q, Q2};
use crate::setup::eventually;
use crate::steer::{ifname, Mtu, Rss, Rule};
use anyhow::{Context, Result};
use std::sync::Arc;
use std::time::Duration;

tests! { "extmem":
    region_in_own_memory_receives_frames_there,
    region_in_own_memory_says_its_real_layout,
    region_in_own_memory_honours_the_layout_asked_for,
    region_in_own_memory_cannot_be_mapped_again,
    two_fds_in_the_same_memory_share_buffers,
    memory_unmapped_under_a_region_is_harmless,
    memory_is_unpinned_when_the_fd_is_closed,
    memory_is_unpinned_when_the_program_is_killed,
    refused_request_leaves_nothing_pinned,
    impossible_layouts_and_places_give_einval,
    too_little_memory_gives_enomem,
    memory_the_program_does_not_have_gives_efault,
    more_than_rlimit_memlock_gives_enomem,
    large_buffers_in_small_pages_give_einval,
    buffers_of_one_page_receive_frames,
    large_buffers_in_huge_pages_receive_jumbo_frames_whole | flaps,
    private_region_is_not_the_default_one_and_can_be_named,
}

const MIB: usize = 1 << 20;
const SOON: Duration = Duration::from_secs(10);

/// Memory of this process, not in huge pages.
pub(super) fn anonymous(len: usize, flags: i32) -> Result<Arc<Mem>> {
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    let flags = flags | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping at an address the kernel picks.
    let base = unsafe { libc::mmap(std::ptr::null_mut(), len, prot, flags, -1, 0) };
    if base == libc::MAP_FAILED {
        return Err(std::io::Error::last_os_error()).context("mmap of anonymous memory");
    }
    // SAFETY: just mapped; advice changes no contents.
    unsafe { libc::madvise(base, len, libc::MADV_NOHUGEPAGE) };
    // SAFETY: just mapped, and given to nobody else.
    Ok(Arc::new(unsafe { Mem::new(base.cast(), len) }))
}

/// REGISTER with an EXTMEM option; what came back.
pub fn register(fd: &Fd, at: u64, ask: PoolsInfo, reg: &mut Register) -> (Sys<()>, Extmem) {
    let mut opt = Extmem {
        reqtype: OPT_EXTMEM,
        usrptr: at,
        info: ask,
        ..Default::default()
    };
    let mut hdr = header(&ifname(), REQ_REGISTER);
    hdr.body = reg as *mut Register as u64;
    hdr.options = &raw mut opt as u64;
    (fd.ctrl(&mut hdr), opt)
}

pub(super) fn of_size(memsize: usize) -> PoolsInfo {
    PoolsInfo {
        memsize: memsize as u64,
        ..Default::default()
    }
}

/// A queue with its ring and buffers in `mem`.
pub(super) fn open_in(mem: &Arc<Mem>, queue: u32, ask: PoolsInfo) -> Result<(Port, Extmem)> {
    let fd = Fd::open()?;
    let mut reg = one_rx(queue);
    let (got, opt) = register(&fd, mem.base() as u64, ask, &mut reg);
    want_ok("REGISTER with EXTMEM", got)?;
    want_eq("the option's status", opt.status, 0)?;
    let nif = Nif::new(mem.clone(), reg.offset as usize);
    let mem = mem.clone();
    Ok((Port { nif, mem, reg, fd }, opt))
}

/// Pages pinned by anybody, as the kernel counts them.
fn pinned() -> Result<i64> {
    // The counts are kept per CPU; this adds them up.
    std::fs::write("/proc/sys/vm/stat_refresh", "1")?;
    let text = std::fs::read_to_string("/proc/vmstat")?;
    let count = |key: &str| -> Result<i64> {
        let line = text.lines().find_map(|l| l.strip_prefix(key));
        Ok(line.context("no such count")?.trim().parse()?)
    };
    Ok(count("nr_foll_pin_acquired ")? - count("nr_foll_pin_released ")?)
}

/// Sends enough numbered frames to go around the ring and receives exactly these.
fn around(nic: &Nic, port: &Port, queue: u32, dport: u16) -> Result<()> {
    for first in (0..port.ring(queue)?.n + 64).step_by(64) {
        let frame = |seq| udp_sized(dport, seq, 200);
        for seq in first..first + 64 {
            nic.send(&frame(seq))?;
        }
        let sent: Vec<_> = (first..first + 64).map(frame).collect();
        want_eq("frames", port.recv(queue, dport, 64, SOON)?, sent)?;
    }
    Ok(())
}

/// 5 EXTMEM: the three pools are carved from the user's pages.
fn region_in_own_memory_receives_frames_there() -> Result<()> {
    let _rss = Rss::without(&[Q])?;
    let mem = anonymous(16 * MIB, 0)?;
    let (port, opt) = open_in(&mem, Q, of_size(16 * MIB))?;
    let _rule = Rule::udp(DPORT, Q)?;
    let ring = port.ring(Q)?;
    want_eq(
        "the ring is in the ring pool",
        (ring.off as u64 - opt.info.ring_offset) % u64::from(opt.info.ring_size),
        0,
    )?;
    want_eq(
        "the buffers are in the buffer pool",
        ring.buf_off(0) as u64,
        opt.info.buf_offset,
    )?;
    let ni_flags: u32 = mem.get(port.nif.off + 20);
    want_eq("NI_PRIV_MEM", ni_flags, 1)?;
    around(&Nic::open()?, &port, Q, DPORT)
}

/// 5 EXTMEM: the real layout is written back.
fn region_in_own_memory_says_its_real_layout() -> Result<()> {
    let mem = anonymous(16 * MIB, 0)?;
    let (port, opt) = open_in(&mem, Q, of_size(16 * MIB))?;
    let i = opt.info;
    let bytes = |n: u32, size: u32| u64::from(n) * u64::from(size);
    want_eq("netmap_ifs first", i.if_offset, 0)?;
    want_eq("then rings", i.ring_offset, bytes(i.if_total, i.if_size))?;
    want_eq(
        "then buffers",
        i.buf_offset,
        i.ring_offset + bytes(i.ring_total, i.ring_size),
    )?;
    want_eq(
        "nothing else",
        i.memsize,
        i.buf_offset + bytes(i.buf_total, i.buf_size),
    )?;
    want("all of it is ours", i.memsize <= 16 * MIB as u64)?;
    want_eq("REGISTER", port.reg.memsize, i.memsize)?;
    want_eq("its id", (port.reg.mem_id, i.mem_id != 0), (i.mem_id, true))
}

/// 5 EXTMEM: nro_info holds the requested layout.
fn region_in_own_memory_honours_the_layout_asked_for() -> Result<()> {
    let ask = PoolsInfo {
        if_total: 4,
        ring_total: 3,
        ring_size: 20 * 4096,
        buf_total: 6000,
        buf_size: 1500,
        ..of_size(64 * MIB)
    };
    let mem = anonymous(64 * MIB, 0)?;
    let (port, opt) = open_in(&mem, Q, ask)?;
    let i = opt.info;
    want_eq("netmap_ifs", i.if_total, 4)?;
    want_eq("rings", (i.ring_total, i.ring_size), (3, 20 * 4096))?;
    want_eq("buffers", (i.buf_total, i.buf_size), (6000, 2048))?;
    want_eq("nr_buf_size", port.ring(Q)?.buf_size, 2048)
}

/// The pages are the program's; a second mapping of them there is not.
fn region_in_own_memory_cannot_be_mapped_again() -> Result<()> {
    let mem = anonymous(16 * MIB, 0)?;
    let (port, _) = open_in(&mem, Q, of_size(16 * MIB))?;
    want_errno(
        "mmap",
        port.fd.mmap(4096, 0, libc::MAP_SHARED).map(drop),
        libc::EINVAL,
    )
}

/// Zero copy between two fds needs one region: the same memory is the same.
fn two_fds_in_the_same_memory_share_buffers() -> Result<()> {
    let _rss = Rss::without(&[Q, Q2])?;
    let mem = anonymous(16 * MIB, 0)?;
    let (a, opt) = open_in(&mem, Q, of_size(16 * MIB))?;
    let (b, again) = open_in(&mem, Q2, of_size(16 * MIB))?;
    want_eq("one region", again.info, opt.info)?;
    let _rules = (Rule::udp(DPORT, Q)?, Rule::udp(DPORT2, Q2)?);
    let nic = Nic::open()?;
    let (ra, rb) = (a.ring(Q)?, b.ring(Q2)?);
    nic.send(&udp_sized(DPORT, 1, 300))?;
    nic.send(&udp_sized(DPORT2, 2, 300))?;
    eventually("a frame in each ring", SOON, || {
        a.fd.rxsync()?;
        b.fd.rxsync()?;
        Ok(ra.space() == 1 && rb.space() == 1)
    })?;
    let (i, j) = (ra.head(), rb.head());
    let (x, y) = (ra.slot(i), rb.slot(j));
    let changed = |idx, s: Slot| Slot {
        idx,
        flags: NS_BUF_CHANGED,
        ..s
    };
    ra.set_slot(i, changed(y.idx, x));
    rb.set_slot(j, changed(x.idx, y));
    want_eq("the frame", ra.take(), vec![udp_sized(DPORT2, 2, 300)])?;
    want_eq("the other", rb.take(), vec![udp_sized(DPORT, 1, 300)])?;
    around(&nic, &a, Q, DPORT)?;
    around(&nic, &b, Q2, DPORT2)
}

/// The pages are pinned: the NIC writes to them, whoever else has them.
fn memory_unmapped_under_a_region_is_harmless() -> Result<()> {
    let _rss = Rss::without(&[Q])?;
    let before = pinned()?;
    let mem = anonymous(16 * MIB, 0)?;
    let fd = Fd::open()?;
    let mut reg = one_rx(Q);
    want_ok(
        "REGISTER",
        register(&fd, mem.base() as u64, of_size(16 * MIB), &mut reg).0,
    )?;
    drop(mem);
    let _rule = Rule::udp(DPORT, Q)?;
    let nic = Nic::open()?;
    for seq in 0..100 {
        nic.send(&udp_sized(DPORT, seq, 1000))?;
    }
    for _ in 0..10 {
        want_ok("RXSYNC", fd.rxsync())?;
    }
    drop(fd);
    want_eq("pages pinned", pinned()?, before)
}

fn memory_is_unpinned_when_the_fd_is_closed() -> Result<()> {
    let before = pinned()?;
    let mem = anonymous(16 * MIB, 0)?;
    let (port, opt) = open_in(&mem, Q, of_size(16 * MIB))?;
    want_eq(
        "pages pinned meanwhile",
        pinned()? - before,
        opt.info.memsize as i64 / 4096,
    )?;
    drop(port);
    want_eq("pages pinned after", pinned()?, before)
}

fn memory_is_unpinned_when_the_program_is_killed() -> Result<()> {
    let before = pinned()?;
    let holder = Helper::start(&["extmem", &Q.to_string()])?;
    holder.ready()?;
    want("pages are pinned", pinned()? > before)?;
    holder.kill()?;
    want_eq("pages pinned after", pinned()?, before)?;
    drop(want_ok("the queue can be taken", Port::rx(Q))?);
    Ok(())
}

/// Every failing request is rolled back completely.
fn refused_request_leaves_nothing_pinned() -> Result<()> {
    let before = pinned()?;
    let mem = anonymous(16 * MIB, 0)?;
    let fd = Fd::open()?;
    let mut reg = Register {
        ringid: 4000,
        ..one_rx(Q)
    };
    let got = register(&fd, mem.base() as u64, of_size(16 * MIB), &mut reg).0;
    want_errno("a ring that is not there", got, libc::EINVAL)?;
    want_eq("pages pinned", pinned()?, before)?;
    want_errno("RXSYNC: not registered", fd.rxsync(), libc::ENXIO)
}

/// 1.7 EXTMEM option: EINVAL.
fn impossible_layouts_and_places_give_einval() -> Result<()> {
    let mem = anonymous(16 * MIB, 0)?;
    let base = mem.base() as u64;
    let size = of_size(16 * MIB);
    let cases = [
        ("address within a page", base + 64, of_size(15 * MIB)),
        ("size 0", base, of_size(0)),
        (
            "netmap_if of two pages",
            base,
            PoolsInfo {
                if_size: 8192,
                ..size
            },
        ),
        (
            "too many rings",
            base,
            PoolsInfo {
                ring_total: 1025,
                ..size
            },
        ),
        (
            "rings too long",
            base,
            PoolsInfo {
                ring_size: 1 << 20,
                ..size
            },
        ),
        (
            "buffers too large",
            base,
            PoolsInfo {
                buf_size: 65536,
                ..size
            },
        ),
    ];
    for (what, at, ask) in cases {
        let fd = Fd::open()?;
        let (got, opt) = register(&fd, at, ask, &mut one_rx(Q));
        want_errno(what, got, libc::EINVAL)?;
        want_eq("the option's status", opt.status, libc::EINVAL as u32)?;
        want_eq("the option's body", opt.info, ask)?;
    }
    Ok(())
}

/// 1.7 EXTMEM option, object shortage: ENOMEM.
fn too_little_memory_gives_enomem() -> Result<()> {
    let mem = anonymous(16 * MIB, 0)?;
    let size = of_size(16 * MIB);
    let cases = [
        ("one page", of_size(4096)),
        (
            "rings for more than all",
            PoolsInfo {
                ring_total: 1024,
                ..size
            },
        ),
        (
            "fewer buffers than the ring has slots",
            PoolsInfo {
                buf_total: 100,
                ..size
            },
        ),
        (
            "a ring object shorter than the ring",
            PoolsInfo {
                ring_size: 4096,
                ..size
            },
        ),
    ];
    for (what, ask) in cases {
        let fd = Fd::open()?;
        let got = register(&fd, mem.base() as u64, ask, &mut one_rx(Q)).0;
        want_errno(what, got, libc::ENOMEM)?;
    }
    drop(want_ok("the queue can be taken", Port::rx(Q))?);
    Ok(())
}

/// 1.7 EXTMEM option: EFAULT.
fn memory_the_program_does_not_have_gives_efault() -> Result<()> {
    let before = pinned()?;
    let mem = anonymous(16 * MIB, 0)?;
    let base = mem.base();
    // SAFETY: parts of our own mapping that nothing uses.
    unsafe {
        libc::munmap(base.add(8 * MIB).cast(), MIB);
        libc::mprotect(base.cast(), MIB, libc::PROT_READ);
    }
    let kernel = 0xffff_8880_0000_0000;
    for (what, at, len) in [
        ("a hole", base as u64 + MIB as u64, 15 * MIB),
        ("read-only memory", base as u64, 4 * MIB),
        ("the kernel's addresses", kernel, 4 * MIB),
        ("the end of all addresses", u64::MAX - 4095, 4 * MIB),
        ("the first page", 0, 4 * MIB),
    ] {
        let fd = Fd::open()?;
        let (got, opt) = register(&fd, at, of_size(len), &mut one_rx(Q));
        want_errno(what, got, libc::EFAULT)?;
        want_eq("the option's status", opt.status, libc::EFAULT as u32)?;
    }
    want_eq("pages pinned", pinned()?, before)
}

/// Pinned memory counts against the user's limit, unless CAP_IPC_LOCK.
fn more_than_rlimit_memlock_gives_enomem() -> Result<()> {
    let helper = Helper::start(&["memlock", &Q.to_string()])?;
    want_eq(
        "8 MiB under a limit of 4",
        helper.line(SOON)?,
        "ENOMEM".into(),
    )?;
    want_eq("2 MiB", helper.line(SOON)?, "ok".into())?;
    want_eq("2 MiB again after close", helper.line(SOON)?, "ok".into())?;
    helper.end()
}

/// A buffer is received into by one DMA: it cannot lie in pages here and there.
fn large_buffers_in_small_pages_give_einval() -> Result<()> {
    let ask = PoolsInfo {
        buf_size: 16384,
        ..of_size(32 * MIB)
    };
    let scattered = anonymous(32 * MIB, 0)?;
    // Touched in reverse, pages hardly ever follow each other.
    for page in (0..32 * MIB / 4096).rev() {
        scattered.set(page * 4096, 1u8);
    }
    let fd = Fd::open()?;
    let got = register(&fd, scattered.base() as u64, ask, &mut one_rx(Q)).0;
    want_errno("16 KiB buffers in small pages", got, libc::EINVAL)
}

fn buffers_of_one_page_receive_frames() -> Result<()> {
    let _rss = Rss::without(&[Q])?;
    let mem = anonymous(16 * MIB, 0)?;
    let ask = PoolsInfo {
        buf_size: 4096,
        ..of_size(16 * MIB)
    };
    let (port, opt) = open_in(&mem, Q, ask)?;
    want_eq("bytes of a buffer", opt.info.buf_size, 4096)?;
    want_eq("nr_buf_size", port.ring(Q)?.buf_size, 4096)?;
    let _rule = Rule::udp(DPORT, Q)?;
    around(&Nic::open()?, &port, Q, DPORT)
}

/// Physically contiguous memory, as the usual file in hugetlbfs is.
fn large_buffers_in_huge_pages_receive_jumbo_frames_whole() -> Result<()> {
    let sysctl = "/proc/sys/vm/nr_hugepages";
    std::fs::write(sysctl, "16")?;
    let huge = anonymous(32 * MIB, libc::MAP_HUGETLB);
    let result = huge.and_then(|mem| jumbo_in(&mem));
    std::fs::write(sysctl, "0")?;
    result
}

fn jumbo_in(mem: &Arc<Mem>) -> Result<()> {
    let _rss = Rss::without(&[Q])?;
    let _mtu = Mtu::set(9000)?;
    let ask = PoolsInfo {
        buf_size: 9000,
        ..of_size(32 * MIB)
    };
    let (port, opt) = open_in(mem, Q, ask)?;
    want_eq("bytes of a buffer", opt.info.buf_size, 16384)?;
    let _rule = Rule::udp(DPORT, Q)?;
    let nic = Nic::open()?;
    let ring = port.ring(Q)?;
    for seq in 0..ring.n + 20 {
        nic.send(&udp_sized(DPORT, seq, 8900))?;
        eventually("one slot for the frame", SOON, || {
            port.fd.rxsync()?;
            Ok(ring.space() > 0)
        })?;
        want_eq("slots", ring.space(), 1)?;
        want_eq("the frame", ring.take(), vec![udp_sized(DPORT, seq, 8900)])?;
    }
    Ok(())
}

/// Our NR_PRIVATE_MEM; 1.3: NI_PRIV_MEM when a private allocator is used.
fn private_region_is_not_the_default_one_and_can_be_named() -> Result<()> {
    let private = |queue| Register {
        flags: one_rx(0).flags | PRIVATE_MEM,
        ..one_rx(queue)
    };
    let ni_flags = |p: &Port| p.mem.get::<u32>(p.nif.off + 20);
    let default = Port::rx(Q)?;
    let a = Port::open(&ifname(), private(Q + 1))?;
    let b = Port::open(&ifname(), private(Q + 2))?;
    want_eq("NI_PRIV_MEM", [&default, &a, &b].map(ni_flags), [0, 1, 1])?;
    let ids = [&default, &a, &b].map(|p| p.reg.mem_id);
    want(
        &format!("three regions: {ids:?}"),
        ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2],
    )?;
    let named = Port::open(
        &ifname(),
        Register {
            mem_id: ids[1],
            ..one_rx(Q + 3)
        },
    )?;
    want_eq("named by id", named.reg.mem_id, ids[1])?;
    // Nothing of one region is seen in another: what one writes into an unused buffer.
    let at = |p: &Port| {
        p.ring(p.reg.ringid.into())
            .map(|r| r.buf_off(r.slot(9).idx))
    };
    a.mem.set(at(&a)?, 0x5a5a_5a5a_u32);
    want_eq(
        "the same memory by both fds of a region",
        named.mem.get::<u32>(at(&a)?),
        0x5a5a_5a5a,
    )?;
    want_eq("another region", b.mem.get::<u32>(at(&a)?), 0)?;
    drop((a, named));
    let gone = Register {
        mem_id: ids[1],
        ..one_rx(Q + 1)
    };
    want_errno(
        "gone with its last fd",
        Port::open(&ifname(), gone).map(drop),
        libc::EINVAL,
    )
}

/// The helper's part: holds a queue with its region in own memory.
pub fn hold(queue: u32) -> Result<Port> {
    let mem = anonymous(16 * MIB, 0)?;
    Ok(open_in(&mem, queue, of_size(16 * MIB))?.0)
}

/// The helper's part: what one that may lock 4 MiB gets for `len` bytes.
pub fn under_limit(queue: u32, len: usize) -> Result<Sys<()>> {
    let mem = anonymous(len, 0)?;
    let fd = Fd::open()?;
    let ask = PoolsInfo {
        if_total: 1,
        ring_total: 1,
        ..of_size(len)
    };
    Ok(register(&fd, mem.base() as u64, ask, &mut one_rx(queue)).0)
}
