// SPDX-License-Identifier: GPL-2.0
//! Each allocation of a sync, of the way into the stack and of the way out of it fails in turn: what
//! cannot be copied is dropped and counted, nothing waits for it, and the next frame goes through.

use super::abi_register::rx;
use super::csb::exclusive;
use super::host_rx::to_echo;
use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::csb::{eventfds, start, stop, Csb};
use crate::failnth::{FailNth, Held, Once};
use crate::fd::Fd;
use crate::frame::udp_sized;
use crate::nic::Nic;
use crate::peer::{self, PEER};
use crate::port::{host_info, Lane, Port, DPORT, Q};
use crate::setup::eventually;
use crate::sock::bind;
use crate::steer::{ifname, sysfs};
use anyhow::Result;
use std::fs;
use std::os::fd::AsRawFd;
use std::time::Duration;

tests! { "failnth":
    frames_put_back_without_memory_are_dropped_and_counted @ 120,
    marked_frames_without_memory_are_dropped_and_counted @ 120,
    kernels_frames_without_memory_are_dropped_and_counted @ 180,
    sync_poll_and_epoll_without_memory_work_again_at_once @ 120,
    kernel_loop_without_memory_does_not_begin @ 120,
    storm_of_failing_atomic_allocations_stalls_nothing @ 120,
}

const SOON: Duration = Duration::from_secs(10);

/// Frames of a host TX ring that the stack took, and that were dropped.
fn fates(fd: &Fd) -> Result<(u64, u64)> {
    let c = host_info(fd)?.counter;
    Ok((c[counter::PACKETS], c[counter::DROPS]))
}

fn frames_put_back_without_memory_are_dropped_and_counted() -> Result<()> {
    let fail = FailNth::new()?;
    let _socket = bind(DPORT)?;
    let port = Port::rx_putback(Q)?;
    let ring = port.host()?;
    let mut lost = 0;
    let sweep = fail.sweep("TXSYNC of a host ring", |once| {
        let before = fates(&port.fd)?;
        for seq in 0..4 {
            super::putback::put_copy(&ring, &udp_sized(DPORT, seq, 200))?;
        }
        let result = once.call(|| port.fd.txsync())?;
        want_ok("TXSYNC", result)?;
        want_eq("the slots are free", ring.space(), ring.n - 1)?;
        let after = fates(&port.fd)?;
        let (taken, dropped) = (after.0 - before.0, after.1 - before.1);
        want_eq("taken and dropped", taken + dropped, 4)?;
        lost += dropped;
        Ok(Ok(()))
    })?;
    want("it allocates", sweep.places > 3)?;
    want(&format!("some were dropped: {lost}"), lost > 0)
}

/// Transparent mode: the slots are taken back all the same.
fn marked_frames_without_memory_are_dropped_and_counted() -> Result<()> {
    let fail = FailNth::new()?;
    let _socket = bind(DPORT)?;
    let lane = Lane::open()?;
    let ring = lane.ring()?;
    let (nr_forward, ns_forward) = (4u32, 4u16);
    ring.mem.set(ring.off + shm::RING_FLAGS, nr_forward);
    let nic = Nic::open()?;
    let (mut lost, mut marked) = (0, 0);
    let drops = || -> Result<u64> { Ok(lane.port.info(Q)?.counter[counter::DROPS]) };
    let first = drops()?;
    let mut turn = |once: &Once<'_>| {
        nic.send_n(&udp_sized(DPORT, 1, 200), 3)?;
        eventually("three frames", SOON, || {
            want_ok("RXSYNC", lane.port.fd.rxsync())?;
            Ok(ring.space() >= 3)
        })?;
        let mut at = ring.head();
        while at != ring.tail() {
            let slot = ring.slot(at);
            let flags = slot.flags | ns_forward;
            ring.set_slot(at, crate::mem::Slot { flags, ..slot });
            at = ring.next(at);
            marked += 1;
        }
        ring.set_cur(at);
        ring.set_head(at);
        want_ok("RXSYNC", once.call(|| lane.port.fd.rxsync())?)?;
        lost = drops()? - first;
        Ok(Ok(()))
    };
    // The kernel has packets in store: where one comes from there, no allocation fails.
    for _ in 0..20 {
        fail.sweep("RXSYNC that forwards", &mut turn)?;
        if drops()? > first {
            break;
        }
    }
    println!("{lost} of {marked} marked frames dropped and counted");
    want("some were dropped, not all", lost > 0 && lost < marked)
}

fn tx_dropped() -> Result<u64> {
    Ok(sysfs("statistics/tx_dropped")?.parse()?)
}

/// A datagram, and one that leaves the stack as eight: copied, segmented, their checksums finished.
fn kernels_frames_without_memory_are_dropped_and_counted() -> Result<()> {
    let fail = FailNth::new()?;
    let port = want_ok("NIC_SW", Port::open(&ifname(), rx(NIC_SW, 0, 0)))?;
    let ring = port.host_rx(0)?;
    let drain = || -> Result<u64> {
        let mut n = 0;
        for _ in 0..4 {
            want_ok("RXSYNC", port.fd.rxsync())?;
            n += ring.take().iter().filter(|f| to_echo(f)).count() as u64;
        }
        Ok(n)
    };
    for (what, segments) in [("sendto", 1), ("sendto of eight segments", 8)] {
        let socket = peer::udp(PEER)?;
        if segments > 1 {
            let size: libc::c_int = 1000;
            // SAFETY: an int option of an open socket.
            let set = unsafe {
                libc::setsockopt(
                    socket.as_raw_fd(),
                    libc::SOL_UDP,
                    libc::UDP_SEGMENT,
                    (&raw const size).cast(),
                    4,
                )
            };
            want_eq("UDP_SEGMENT", set, 0)?;
        }
        let bytes = vec![7u8; 1000 * segments];
        drain()?;
        let (mut came, mut dropped, mut refused) = (0, 0, 0);
        let sweep = fail.sweep(what, |once| {
            let before = tx_dropped()?;
            let sent = once.call(|| socket.send(&bytes))?;
            let arrived = drain()?;
            let lost = tx_dropped()? - before;
            match &sent {
                // a frame that could not be segmented counts as one
                Ok(_) => want(
                    &format!("{arrived} arrived and {lost} were dropped of {segments}"),
                    arrived + lost >= 1 && arrived <= segments as u64,
                )?,
                Err(_) => refused += 1,
            }
            came += arrived;
            dropped += lost;
            // what the stack says of a send that failed is its own matter
            Ok(Ok(()))
        })?;
        println!("{what}: {came} frames came, {dropped} dropped, {refused} refused by the socket");
        want("it allocates", sweep.places > 3)?;
        want_eq(
            "the last one",
            (socket.send(&bytes)?, drain()?),
            (bytes.len(), segments as u64),
        )?;
    }
    Ok(())
}

fn sync_poll_and_epoll_without_memory_work_again_at_once() -> Result<()> {
    let fail = FailNth::new()?;
    let lane = Lane::open()?;
    let nic = Nic::open()?;
    let memory = |result: Sys<()>| -> Result<Sys<()>> {
        if let Err(Errno(e)) = result {
            want(
                &format!("errno {e}"),
                [libc::ENOMEM, libc::EFAULT].contains(&e),
            )?;
        }
        Ok(result)
    };
    fail.sweep("RXSYNC", |once| {
        nic.send(&udp_sized(DPORT, 1, 100))?;
        let result = once.call(|| lane.port.fd.rxsync())?;
        lane.ring()?.take();
        memory(result)
    })?;
    fail.sweep("poll", |once| {
        nic.send(&udp_sized(DPORT, 1, 100))?;
        let got = once.call(|| lane.port.fd.poll(libc::POLLIN, SOON))?;
        if let Ok(events) = got {
            want_eq("revents", events, libc::POLLIN)?;
        }
        lane.ring()?.take();
        memory(got.map(drop))
    })?;
    fail.sweep("epoll_ctl", |once| {
        // SAFETY: no memory involved.
        let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        want("epoll_create1", epoll >= 0)?;
        let mut event = libc::epoll_event {
            events: libc::EPOLLIN as u32,
            u64: 1,
        };
        let raw = lane.port.fd.raw();
        let got = once.call(|| {
            // SAFETY: the event lives across the call.
            match unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, raw, &mut event) } {
                0 => Ok(()),
                _ => Err(Errno::last()),
            }
        })?;
        let mut woken = libc::epoll_event { events: 0, u64: 0 };
        if got.is_ok() {
            nic.send(&udp_sized(DPORT, 1, 100))?;
            // SAFETY: room for one event.
            let n = unsafe { libc::epoll_wait(epoll, &mut woken, 1, 10_000) };
            want_eq("epoll_wait", n, 1)?;
        }
        // SAFETY: this function's own.
        unsafe { libc::close(epoll) };
        lane.ring()?.take();
        memory(got)
    })?;
    nic.send_n(&udp_sized(DPORT, 9, 100), 5)?;
    want_eq("frames afterwards", lane.recv(5, SOON)?.len(), 5)
}

/// It is told to stop before it is told to start, so it ends by itself when nothing fails.
fn kernel_loop_without_memory_does_not_begin() -> Result<()> {
    let fail = FailNth::new()?;
    let port = Port::open(&ifname(), exclusive(Q))?;
    let csb = Csb::new()?;
    let mut opt = csb.option();
    want_ok(
        "CSB_ENABLE",
        crate::csb::enable(&port.fd, &raw mut opt as u64),
    )?;
    // SAFETY: no memory involved.
    let kicks = unsafe { [libc::eventfd(0, 0), libc::eventfd(0, 0)] };
    let words = eventfds(&[(kicks[0], kicks[1])]);
    for (what, first) in [("START", 0), ("START with eventfds", words.as_ptr() as u64)] {
        let before = Held::now()?;
        let sweep = fail.sweep(what, |once| {
            want_ok("STOP", stop(&port.fd))?;
            let result = once.call(|| start(&port.fd, 100, first))?;
            if let Err(Errno(e)) = result {
                want(
                    &format!("errno {e}"),
                    [libc::ENOMEM, libc::EFAULT].contains(&e),
                )?;
            }
            before.same()?;
            Ok(result)
        })?;
        want("it allocates", sweep.places > 2)?;
    }
    Ok(())
}

/// One in five of all allocations that cannot wait fails, whoever's they are: interrupts, NAPI, both
/// ways through the stack. Afterwards everything flows.
fn storm_of_failing_atomic_allocations_stalls_nothing() -> Result<()> {
    let _fail = FailNth::new()?;
    let taker = bind(DPORT)?;
    let port = want_ok("NIC_SW", Port::open(&ifname(), rx(NIC_SW, 0, 0)))?;
    let nic = Nic::open()?;
    let (host, out) = (port.host()?, port.host_rx(0)?);
    let knob = |file: &str, value: &str| fs::write(format!("/sys/kernel/debug/{file}"), value);
    let storm = |percent: &str, wait: &str| -> Result<()> {
        for kind in ["failslab", "fail_page_alloc"] {
            // what is written here must not meet failures that sleepers meet, too
            knob(&format!("{kind}/probability"), "0")?;
            knob(&format!("{kind}/ignore-gfp-wait"), wait)?;
            knob(&format!("{kind}/times"), "-1")?;
            knob(&format!("{kind}/probability"), percent)?;
        }
        Ok(())
    };
    let frames = nic.generate(
        "storm",
        &format!("profile=udp rate=300 size=200 dport={DPORT}"),
    )?;
    let socket = peer::udp(PEER)?;
    storm("20", "Y")?;
    let mut put = 0;
    let played = (0..200).try_for_each(|seq| -> Result<()> {
        let _ = socket.send(&[1; 300]);
        want_ok("RXSYNC", port.fd.rxsync())?;
        for q in 0..port.nif.rx_rings() as u32 {
            let ring = port.ring(q)?;
            for f in ring.take() {
                if host.space() > 0 {
                    super::putback::put_copy(&host, &f)?;
                    put += 1;
                }
            }
        }
        out.take();
        want_ok("TXSYNC", port.fd.txsync())?;
        want_eq(&format!("slots free after {seq}"), host.space(), host.n - 1)?;
        std::thread::sleep(Duration::from_millis(10));
        Ok(())
    });
    storm("0", "N")?;
    drop(frames);
    played?;
    let (taken, dropped) = fates(&port.fd)?;
    println!("{put} frames put back in the storm: {taken} taken, {dropped} dropped");
    want_eq("each is counted", taken + dropped, put)?;
    want("some each way", taken > 0 && dropped > 0)?;
    // let what is left run out, then all of it must work
    eventually("the kernel's frames come again", SOON, || {
        socket.send(&[2; 300])?;
        want_ok("RXSYNC", port.fd.rxsync())?;
        Ok(out.take().iter().any(|f| to_echo(f)))
    })?;
    drop((host, out, port, taker, nic));
    super::lifecycle::kernel_receives(1)
}
