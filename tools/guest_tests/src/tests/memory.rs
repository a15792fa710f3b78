// SPDX-License-Identifier: GPL-2.0
//! Memory that runs out on an ordinary kernel: the cgroup's limit, the region's buffers, a port
//! that changes while it is being registered. What fails says so, kills nobody, and works again
//! when there is memory. Where each single allocation fails is another matter: [`super::failnth`].

use super::abi_register::rx;
use super::extmem::{anonymous, of_size, open_in, register};
use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::deep;
use crate::fd::{header, one_rx, Fd};
use crate::frame::udp_sized;
use crate::mem::{Nif, Slot};
use crate::nic::Nic;
use crate::port::{Port, DPORT, DPORT2, Q, Q2};
use crate::setup::eventually;
use crate::steer::{ethtool, ifname, run, wait_carrier, Rss, Rule};
use anyhow::{Context, Result};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

tests! { "memory":
    registration_beyond_the_cgroups_limit_is_enomem_and_kills_nobody,
    extra_buffers_end_where_the_cgroups_memory_does,
    slot_without_a_buffer_and_none_to_be_had_is_enomem_and_no_spin,
    numbers_told_are_the_rings_own_whatever_ethtool_does_meanwhile @ 120 | flaps,
    metadata_has_no_other_place_than_was_told | flaps,
    rings_of_ever_other_lengths_do_not_use_the_region_up @ 180 | flaps,
}

const SOON: Duration = Duration::from_secs(10);
const MIB: u64 = 1 << 20;

/// A memory cgroup with this process in it; out again when dropped.
struct Cgroup {
    root: String,
    dir: String,
}

impl Cgroup {
    fn enter() -> Result<Cgroup> {
        let root = "/sys/fs/cgroup".to_string();
        if !fs::exists(format!("{root}/cgroup.controllers"))? {
            run("mount", &["-t", "cgroup2", "none", &root])?;
        }
        fs::write(format!("{root}/cgroup.subtree_control"), "+memory")?;
        let dir = format!("{root}/nm_test");
        if !fs::exists(&dir)? {
            fs::create_dir(&dir)?;
        }
        fs::write(format!("{dir}/cgroup.procs"), "0")?;
        Ok(Cgroup { root, dir })
    }

    fn now(&self) -> Result<u64> {
        let text = fs::read_to_string(format!("{}/memory.current", self.dir))?;
        Ok(text.trim().parse()?)
    }

    /// At most so much more than now; swap would be a way out.
    fn limit(&self, more: u64) -> Result<()> {
        let max = self.now()? + more;
        fs::write(format!("{}/memory.max", self.dir), max.to_string())
            .with_context(|| format!("memory.max {max}"))
    }

    fn killed(&self) -> Result<u64> {
        let text = fs::read_to_string(format!("{}/memory.events", self.dir))?;
        let line = text.lines().find_map(|l| l.strip_prefix("oom_kill "));
        Ok(line.context("no oom_kill")?.parse()?)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::write(format!("{}/memory.max", self.dir), "max");
        let _ = fs::write(format!("{}/cgroup.procs", self.root), "0");
        if let Err(e) = fs::remove_dir(&self.dir) {
            eprintln!("rmdir {}: {e}", self.dir);
        }
    }
}

/// All queues need 20 MiB of buffers; the region's pages are the caller's memory.
fn registration_beyond_the_cgroups_limit_is_enomem_and_kills_nobody() -> Result<()> {
    let group = Cgroup::enter()?;
    let all = || Port::open(&ifname(), rx(ALL_NIC, 0, 0));
    let before = group.now()?;
    drop(want_ok("without a limit", all())?);
    for turn in 0..3 {
        group.limit(6 * MIB)?;
        want_errno(&format!("ALL_NIC with 6 MiB, {turn}"), all(), libc::ENOMEM)?;
        let qs = Fd::open()?.queues(Some(&ifname()))?;
        want("every queue is the kernel's", qs.iter().all(|q| q.pid == 0))?;
        // one ring does fit
        drop(want_ok("one ring", Port::rx(Q))?);
    }
    fs::write(format!("{}/memory.max", group.dir), "max")?;
    let port = want_ok("with the limit gone", all())?;
    let used = group.now()?.saturating_sub(before);
    want(&format!("accounted: {used}"), used > 16 * MIB)?;
    drop(port);
    want_eq("killed", group.killed()?, 0)
}

/// nr_extra_bufs says how many there are; fewer than asked for is no error.
fn extra_buffers_end_where_the_cgroups_memory_does() -> Result<()> {
    let group = Cgroup::enter()?;
    group.limit(10 * MIB)?;
    let reg = Register {
        extra_bufs: 16_384,
        ..one_rx(Q)
    };
    let port = want_ok("REGISTER", Port::open(&ifname(), reg))?;
    let granted = port.reg.extra_bufs;
    println!("{granted} extra buffers in 10 MiB");
    want("some, not all", (1000..5000).contains(&granted))?;
    drop(port);
    want_eq("killed", group.killed()?, 0)
}

/// CPU time of this process.
fn cpu_time() -> Duration {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: writes the structure, all of whose bit patterns are values.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    let time = |t: libc::timeval| Duration::new(t.tv_sec as u64, 1000 * t.tv_usec as u32);
    time(usage.ru_utime) + time(usage.ru_stime)
}

/// A slot's buffer has moved to another ring, the slot names none, and the pool is empty: the slot
/// waits for a good one, and whoever polls hears of it instead of spinning in the kernel.
fn slot_without_a_buffer_and_none_to_be_had_is_enomem_and_no_spin() -> Result<()> {
    let _rss = Rss::without(&[Q, Q2])?;
    let mem = anonymous(16 << 20, 0)?;
    let (b, _) = open_in(&mem, Q2, of_size(16 << 20))?;
    let fd = Fd::open()?;
    let mut reg = Register {
        extra_bufs: u32::MAX,
        ..one_rx(Q)
    };
    let (got, _) = register(&fd, mem.base() as u64, of_size(16 << 20), &mut reg);
    want_ok("REGISTER in the same memory", got)?;
    let nif = Nif::new(mem.clone(), reg.offset as usize);
    let a = Port {
        nif,
        mem: mem.clone(),
        reg,
        fd,
    };
    want("the pool is empty", a.reg.extra_bufs > 1000)?;
    let (_to_a, _to_b) = (Rule::udp(DPORT, Q)?, Rule::udp(DPORT2, Q2)?);
    let nic = Nic::open()?;
    let (ra, rb) = (a.ring(Q)?, b.ring(Q2)?);
    nic.send(&udp_sized(DPORT, 1, 100))?;
    nic.send(&udp_sized(DPORT2, 1, 100))?;
    for (port, ring) in [(&a, &ra), (&b, &rb)] {
        eventually("a frame", SOON, || {
            want_ok("RXSYNC", port.fd.rxsync())?;
            Ok(ring.space() > 0)
        })?;
    }
    let (x, y) = (ra.slot(ra.head()), rb.slot(rb.head()));
    let release = |ring: &crate::mem::Ring, slot: Slot| {
        let at = ring.head();
        ring.set_slot(at, slot);
        ring.set_cur(ring.next(at));
        ring.set_head(ring.next(at));
    };
    // b takes a's buffer over; its own is loose then
    release(&rb, x);
    want_ok("RXSYNC of the taker", b.fd.rxsync())?;
    let at = ra.head();
    release(&ra, Slot { idx: 0, ..x });
    want_errno("RXSYNC", a.fd.rxsync(), libc::ENOMEM)?;
    let (began, cpu) = (Instant::now(), cpu_time());
    let events = a.fd.poll(libc::POLLIN, Duration::from_secs(1))?;
    want("poll says POLLERR", events & libc::POLLERR != 0)?;
    let (took, cpu) = (began.elapsed(), cpu_time() - cpu);
    want(
        &format!("at once, not after {took:?} and {cpu:?} of CPU"),
        cpu < Duration::from_millis(300),
    )?;
    // the other ring goes on, and this one too
    nic.send_n(&udp_sized(DPORT2, 2, 100), 5)?;
    want_eq("the other ring", b.recv(Q2, DPORT2, 5, SOON)?.len(), 5)?;
    nic.send_n(&udp_sized(DPORT, 2, 100), 5)?;
    eventually("frames behind the slot", SOON, || {
        want_errno("RXSYNC", a.fd.rxsync(), libc::ENOMEM)?;
        Ok(ra.space() >= 5)
    })?;
    // with a buffer it is taken back
    let slot = ra.slot(at);
    ra.set_slot(at, Slot { idx: y.idx, ..slot });
    want_ok("RXSYNC with a buffer", a.fd.rxsync())?;
    want_eq("frames", a.recv(Q, DPORT, 5, SOON)?.len(), 5)?;
    want_ok("RXSYNC", a.fd.rxsync())
}

/// Somebody changes the rings' length all the time; false when stopped.
fn with_changing_rings<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let stop = AtomicBool::new(false);
    let worked = std::thread::scope(|s| {
        let changer = s.spawn(|| {
            let mut changed = 0;
            for n in ["128", "256"].into_iter().cycle() {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                // EBUSY while a queue is out
                changed += u32::from(ethtool("-G", &["rx", n, "tx", n]).is_ok());
            }
            changed
        });
        let worked = work();
        stop.store(true, Ordering::Relaxed);
        let changed = changer.join().unwrap_or(0);
        println!("ring lengths changed {changed} times");
        worked.and_then(|w| want("they were changed", changed > 3).map(|()| w))
    });
    ethtool("-G", &["rx", "512", "tx", "512"])?;
    wait_carrier()?;
    worked
}

/// Registrations that show something.
const ENOUGH: u32 = 3;

/// REGISTER looks the port up, makes memory, and binds: `ethtool -G` may come between.
fn numbers_told_are_the_rings_own_whatever_ethtool_does_meanwhile() -> Result<()> {
    let (mut good, mut refused) = (0, 0);
    with_changing_rings(|| {
        let begin = Instant::now();
        let (long, most) = (
            Duration::from_secs(deep::count(4, 20)),
            deep::patience(3 * SOON),
        );
        while begin.elapsed() < long || (good <= ENOUGH && begin.elapsed() < most) {
            let port = match Port::open(&ifname(), rx(ONE_NIC, Q as u16, 0)) {
                Ok(port) => port,
                Err(Errno(libc::EBUSY | libc::ENETDOWN)) => {
                    refused += 1;
                    continue;
                }
                Err(e) => return Err(e).context("REGISTER"),
            };
            good += 1;
            want_eq(
                "slots told, and of the rings",
                (port.reg.rx_slots, port.reg.tx_slots),
                (port.ring(Q)?.n, port.tx_ring(Q)?.n),
            )?;
            drop(port);
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    })?;
    println!("{good} registrations, {refused} refused meanwhile");
    want("some succeeded", good > ENOUGH)
}

/// A file without rings was told where metadata is; with longer rings it would be elsewhere.
fn metadata_has_no_other_place_than_was_told() -> Result<()> {
    let fd = Fd::open()?;
    let mut reg = Register {
        flags: RX_ONLY | NO_RINGS,
        ..one_rx(0)
    };
    let mut meta = OptRxMeta {
        opt: Opt {
            reqtype: OPT_RX_META,
            ..Default::default()
        },
        ..Default::default()
    };
    let mut hdr = header(&ifname(), REQ_REGISTER);
    hdr.body = &raw mut reg as u64;
    hdr.options = &raw mut meta as u64;
    want_ok("REGISTER", fd.ctrl(&mut hdr))?;
    want_ok("NIOCQADD", fd.qadd(Q))?;
    want_ok("NIOCQDEL", fd.qdel(Q))?;
    ethtool("-G", &["rx", "1024"])?;
    wait_carrier()?;
    let got = fd.qadd(Q);
    ethtool("-G", &["rx", "512"])?;
    wait_carrier()?;
    want_errno("NIOCQADD with longer rings", got, libc::EINVAL)?;
    want_ok("NIOCQADD with the old length", fd.qadd(Q))
}

/// A region that lives on, and longer rings each time: their pages stay what they are, since a
/// program may have them mapped, so each length needs other ring objects. There are 256.
fn rings_of_ever_other_lengths_do_not_use_the_region_up() -> Result<()> {
    let port = Port::rx(Q)?;
    let memory = Register {
        mode: MODE_NULL,
        mem_id: port.reg.mem_id,
        ..Default::default()
    };
    let memory = want_ok("mode NULL", Port::open("", memory))?;
    drop(port);
    let pools = memory.fd.pools_info(&ifname())?;
    let mut bound = 0;
    let worked = (1..=16).try_for_each(|step| -> Result<()> {
        let n = (step * 64).to_string();
        ethtool("-G", &["rx", &n, "tx", &n])?;
        wait_carrier()?;
        let all = Port::open(&ifname(), rx(ALL_NIC, 0, 0));
        let all = want_ok(&format!("ALL_NIC with {n} slots"), all)?;
        want_eq("mem_id", all.reg.mem_id, memory.reg.mem_id)?;
        bound += u32::from(all.reg.rx_rings + all.reg.tx_rings);
        Ok(())
    });
    ethtool("-G", &["rx", "512", "tx", "512"])?;
    wait_carrier()?;
    worked?;
    want(
        &format!(
            "{bound} rings bound, more than {} objects",
            pools.ring_total
        ),
        bound > pools.ring_total,
    )
}
