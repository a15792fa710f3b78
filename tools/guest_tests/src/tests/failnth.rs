// SPDX-License-Identifier: GPL-2.0
//! Each allocation, and each copy from or to the program, of opening, registering, mapping and
//! changing queues fails in turn, under traffic on the other queues: the call says ENOMEM (EFAULT),
//! the port stays as it was, nothing is kept, and the same call works when nothing fails.

use super::abi_register::rx;
use super::extmem::{anonymous, of_size, register};
use super::lifecycle::kernel_receives;
use super::queues_traffic::undisturbed;
use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::csb::{enable, Csb};
use crate::failnth::{leaked, FailNth, Held, Once, Step};
use crate::fd::{header, nmreq, one_rx, one_tx, Fd};
use crate::mem::Mem;
use crate::nic::Nic;
use crate::port::{rx_info, Port, DPORT, Q};
use crate::steer::{ifname, Rings, Rss, Rule};
use anyhow::Result;

tests! { "failnth":
    open_without_memory_is_enomem,
    one_rx_queue_without_memory_stays_the_kernels @ 120 | flaps,
    one_tx_ring_without_memory_is_not_taken @ 120 | flaps,
    rx_queue_with_every_option_without_memory @ 180 | flaps,
    host_rings_without_memory @ 120 | flaps,
    all_rings_without_memory_are_all_the_kernels_again @ 600 | flaps,
    shared_ring_without_memory_stays_with_who_has_it @ 120 | flaps,
    own_memory_that_cannot_be_pinned_is_not_kept @ 180 | flaps,
    memory_alone_without_memory @ 60 | flaps,
    legacy_registration_without_memory @ 120 | flaps,
    mapping_and_page_faults_without_memory @ 120 | flaps,
    queue_added_without_memory_stays_the_kernels @ 180 | flaps,
    queue_given_back_without_memory_is_the_kernels_and_receives @ 240 | flaps,
    close_without_memory_gives_everything_back @ 240 | flaps,
    csb_without_memory_is_not_in_use @ 120 | flaps,
    listings_without_memory_say_so @ 120,
    nothing_of_all_that_has_leaked @ 120,
}

/// Slots of a ring in these tests: each of its buffers is mapped and synced many times over, which
/// takes long where every DMA call is checked.
const SLOTS: u32 = 64;
/// Packets per second beside them.
const RATE: u32 = 40;
/// A run that is not thorough takes every so many-th place where queues change hands.
const STEP: Step = Step::of(6, 1);

type Attempt = std::result::Result<(), Errno>;

/// Answers of a call of which something failed. EFAULT comes of a copy that failed; after an answer
/// that could not be copied out the file may be registered, so it is closed here.
fn expected(result: &Attempt) -> Result<()> {
    match result {
        Ok(()) | Err(Errno(libc::ENOMEM | libc::EFAULT)) => Ok(()),
        Err(e) => anyhow::bail!("want ENOMEM, got {e}"),
    }
}

/// A registration fails everywhere once, under traffic; `out` are queues it may disturb.
fn sweep_of(
    what: &str,
    out: &[u32],
    step: Step,
    mut attempt: impl FnMut(&Fd, &Once<'_>) -> Result<Attempt>,
) -> Result<()> {
    let fail = FailNth::new()?;
    let _rings = if step.usual > 1 {
        Some(Rings::of(SLOTS)?)
    } else {
        None
    };
    let _rss = Rss::without(out)?;
    undisturbed(RATE, out, |_| {
        let before = Held::now()?;
        let queues = Fd::open()?.queues(Some(&ifname()))?.len();
        let mut turn = |once: &Once<'_>| {
            let fd = Fd::open()?;
            let result = attempt(&fd, once)?;
            expected(&result)?;
            drop(fd);
            before.same()?;
            want_eq(
                "rings listed",
                Fd::open()?.queues(Some(&ifname()))?.len(),
                queues,
            )?;
            Ok(result)
        };
        let sweep = fail.sweep_by(what, step, &mut turn)?;
        want(&format!("{what} allocates"), sweep.places > 3)
    })
}

/// The kernel receives on the queue that was failed with.
fn receives_again() -> Result<()> {
    let _rule = Rule::udp(DPORT, Q)?;
    kernel_receives(1)
}

fn registration(what: &str, out: &[u32], step: Step, reg: Register) -> Result<()> {
    sweep_of(what, out, step, |fd, once| {
        let mut reg = reg;
        once.call(|| fd.register(&ifname(), &mut reg))
    })
}

fn open_without_memory_is_enomem() -> Result<()> {
    let fail = FailNth::new()?;
    let before = Held::now()?;
    let sweep = fail.sweep("open", |once| {
        let got = once.call(Fd::open)?;
        let result = got.map(drop);
        expected(&result)?;
        before.same()?;
        Ok(result)
    })?;
    want("it allocates", sweep.places > 2)
}

fn one_rx_queue_without_memory_stays_the_kernels() -> Result<()> {
    registration("REGISTER ONE_NIC RX_ONLY", &[Q], STEP, one_rx(Q))
}

fn one_tx_ring_without_memory_is_not_taken() -> Result<()> {
    registration("REGISTER ONE_NIC TX_ONLY", &[], STEP, one_tx(Q))
}

/// Private memory, putting back, extra buffers; offsets, metadata and a CSB.
fn rx_queue_with_every_option_without_memory() -> Result<()> {
    let csb = Csb::new()?;
    sweep_of("REGISTER with options", &[Q], STEP, |fd, once| {
        let mut reg = one_rx(Q);
        reg.flags |= PUTBACK | PRIVATE_MEM | EXCLUSIVE;
        reg.extra_bufs = 200;
        let mut meta = OptRxMeta {
            opt: Opt {
                reqtype: OPT_RX_META,
                ..Default::default()
            },
            ..Default::default()
        };
        let mut in_csb = csb.option();
        in_csb.opt.next = &raw mut meta as u64;
        let mut hdr = header(&ifname(), REQ_REGISTER);
        hdr.body = &raw mut reg as u64;
        hdr.options = &raw mut in_csb as u64;
        once.call(|| fd.ctrl(&mut hdr))
    })
}

fn host_rings_without_memory() -> Result<()> {
    let reg = Register {
        host_tx_rings: 2,
        host_rx_rings: 2,
        ..rx(SW, 0, 0)
    };
    registration("REGISTER SW", &[], STEP, reg)
}

fn all_rings_without_memory_are_all_the_kernels_again() -> Result<()> {
    let fail = FailNth::new()?;
    let _rings = Rings::of(SLOTS)?;
    let before = Held::now()?;
    // every queue is the program's for a moment: no traffic is safe from that
    let mut turn = |once: &Once<'_>| {
        let fd = Fd::open()?;
        let mut reg = rx(NIC_SW, 0, 0);
        let result = once.call(|| fd.register(&ifname(), &mut reg))?;
        expected(&result)?;
        drop(fd);
        before.same()?;
        Ok(result)
    };
    fail.sweep_by("REGISTER NIC_SW", Step::of(23, 4), &mut turn)?;
    receives_again()
}

fn shared_ring_without_memory_stays_with_who_has_it() -> Result<()> {
    let first = Port::open(&ifname(), one_rx(Q))?;
    registration("REGISTER of a shared ring", &[Q], Step::EACH, one_rx(Q))?;
    want_eq("fds", rx_info(&first.fd, Q)?.pid, std::process::id())?;
    want_ok("RXSYNC", first.fd.rxsync())
}

fn own_memory_that_cannot_be_pinned_is_not_kept() -> Result<()> {
    let size = 8 << 20;
    let mem = anonymous(size, 0)?;
    for page in (0..size).step_by(4096) {
        mem.set(page, 0u8);
    }
    sweep_of("REGISTER with EXTMEM", &[Q], STEP, |fd, once| {
        let mut reg = one_rx(Q);
        let base = mem.base() as u64;
        once.call(|| register(fd, base, of_size(size), &mut reg).0)
    })
}

fn memory_alone_without_memory() -> Result<()> {
    let port = Port::open(&ifname(), one_rx(Q))?;
    let reg = Register {
        mode: MODE_NULL,
        mem_id: port.reg.mem_id,
        extra_bufs: 100,
        ..Default::default()
    };
    registration("REGISTER NULL", &[Q], Step::EACH, reg)
}

fn legacy_registration_without_memory() -> Result<()> {
    sweep_of("NIOCREGIF", &[Q], STEP, |fd, once| {
        let mut req = nmreq(&ifname());
        req.ringid = 0x4000 | Q as u16;
        once.call(|| fd.regif(&mut req))
    })
}

/// A page that cannot be mapped now is mapped a moment later; the program sees nothing.
fn mapping_and_page_faults_without_memory() -> Result<()> {
    let fail = FailNth::new()?;
    let fd = Fd::open()?;
    let mut reg = one_rx(Q);
    want_ok("REGISTER", fd.register(&ifname(), &mut reg))?;
    let len = reg.memsize as usize;
    fail.sweep("mmap", |once| {
        let got = once.call(|| fd.mmap(len, 0, libc::MAP_SHARED))?;
        let result = got.map(drop);
        expected(&result)?;
        Ok(result)
    })?;
    fail.sweep("page fault", |once| {
        let mem: Mem = fd.mmap(len, 0, libc::MAP_SHARED)?;
        let ifs = once.call(|| mem.get::<u32>(reg.offset as usize + 20))?;
        want_eq("ni_flags", ifs, 0)?;
        Ok(Ok(()))
    })?;
    Ok(())
}

fn no_rings() -> Result<Port> {
    let reg = Register {
        flags: RX_ONLY | NO_RINGS,
        ..one_rx(0)
    };
    want_ok("REGISTER NO_RINGS", Port::open(&ifname(), reg))
}

fn queue_added_without_memory_stays_the_kernels() -> Result<()> {
    let port = no_rings()?;
    sweep_of("NIOCQADD", &[Q], STEP, |_, once| {
        let result = once.call(|| port.fd.qadd(Q))?;
        want_eq(
            "ring_ofs is filled in",
            port.nif.rx(Q).is_some(),
            result.is_ok(),
        )?;
        if result.is_ok() {
            want_ok("NIOCQDEL", port.fd.qdel(Q))?;
        }
        Ok(result)
    })
}

/// The kernel's ring is refilled on the way back; what it cannot fill then, NAPI fills later.
fn queue_given_back_without_memory_is_the_kernels_and_receives() -> Result<()> {
    let port = no_rings()?;
    sweep_of("NIOCQDEL", &[Q], STEP, |_, once| {
        want_ok("NIOCQADD", port.fd.qadd(Q))?;
        let result = once.call(|| port.fd.qdel(Q))?;
        if result.is_err() {
            // the request could not be read, or not be answered
            match port.fd.qdel(Q) {
                Ok(()) | Err(Errno(libc::ENOENT)) => {}
                Err(e) => anyhow::bail!("NIOCQDEL again: {e}"),
            }
        }
        if once.n() % 8 == 1 {
            // undisturbed() has the card's control channel
            want_eq("state", rx_info(&port.fd, Q)?.state, Q_KERNEL)?;
        }
        Ok(result)
    })?;
    receives_again()
}

fn close_without_memory_gives_everything_back() -> Result<()> {
    sweep_of("close", &[Q], STEP, |_, once| {
        let mut reg = rx(ONE_NIC, Q as u16, 0);
        reg.flags |= PUTBACK;
        let port = Port::open(&ifname(), reg)?;
        let (fd, rest) = (port.fd, (port.nif, port.mem));
        // the mapping is a reference too
        drop(rest);
        once.call(|| drop(fd))?;
        Ok(Ok(()))
    })?;
    receives_again()
}

fn csb_without_memory_is_not_in_use() -> Result<()> {
    sweep_of("CSB_ENABLE", &[Q], STEP, |fd, once| {
        let mut reg = one_rx(Q);
        reg.flags |= EXCLUSIVE;
        want_ok("REGISTER", fd.register(&ifname(), &mut reg))?;
        let csb = Csb::new()?;
        let mut opt = csb.option();
        let result = once.call(|| enable(fd, &raw mut opt as u64))?;
        if let Err(Errno(libc::ENOMEM)) = result {
            want_ok("RXSYNC without CSB", fd.rxsync())?;
        }
        Ok(result)
    })
}

/// An empty listing would be a lie.
fn listings_without_memory_say_so() -> Result<()> {
    let fail = FailNth::new()?;
    let port = Port::open(&ifname(), one_rx(Q))?;
    for file in ["rings", "regions"] {
        let path = std::ffi::CString::new(format!("/sys/kernel/debug/netmap/{file}"))?;
        fail.sweep(file, |once| {
            let mut text = [0u8; 8192];
            let got = once.call(|| {
                // SAFETY: a NUL-terminated path, and a buffer of the length given.
                unsafe {
                    let fd = libc::open(path.as_ptr(), libc::O_RDONLY);
                    if fd < 0 {
                        return Err(Errno::last());
                    }
                    let n = libc::read(fd, text.as_mut_ptr().cast(), text.len());
                    let error = Errno::last();
                    libc::close(fd);
                    if n < 0 {
                        Err(error)
                    } else {
                        Ok(n)
                    }
                }
            })?;
            if let Ok(n) = got {
                want("the listing is not empty", n > 20)?;
            }
            let result = got.map(drop);
            expected(&result)?;
            Ok(result)
        })?;
    }
    fail.sweep("NIOCQNEXT", |once| {
        let mut info = QueueInfo {
            version: 1,
            ..Default::default()
        };
        let result = once.call(|| port.fd.qnext(&mut info))?;
        expected(&result)?;
        Ok(result)
    })?;
    fail.sweep("PORT_INFO_GET", |once| {
        let result = once.call(|| port.fd.port_info(&ifname()).map(drop))?;
        expected(&result)?;
        Ok(result)
    })?;
    Ok(())
}

/// What the kernel's own leak detector says after all of these.
fn nothing_of_all_that_has_leaked() -> Result<()> {
    let _fail = FailNth::new()?;
    drop(Nic::open()?);
    match leaked()? {
        None => Err(super::Skip("this kernel has no kmemleak".into()).into()),
        Some(all) => want_eq("leaks", all, vec![]),
    }
}
