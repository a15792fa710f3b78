// SPDX-License-Identifier: GPL-2.0
//! Kernel loops with eventfds (API 14: 1.3 OPT_SYNC_KLOOP_EVENTFDS, 5 kloop/CSB):
//! who wakes whom, and when nobody has to.

use super::csb::exclusive;
use super::kloop::lane;
use super::putback::payload;
use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::csb::*;
use crate::frame::{udp, udp_sized};
use crate::mem::Slot;
use crate::nic::Nic;
use crate::port::{Lane, Port, DPORT, OTHER_PORT, Q};
use crate::setup::eventually;
use crate::sock::{bind, recv};
use crate::steer::ifname;
use anyhow::{Context, Result};
use std::time::{Duration, Instant};

tests! { "kloop":
    eventfds_not_as_many_as_rings_give_einval,
    eventfds_that_are_none_are_refused,
    eventfds_may_be_left_out,
    frames_signal_the_irqfd_and_wake_the_loop,
    irqfd_stays_silent_unless_a_kick_is_wanted,
    kick_makes_the_loop_send,
    loop_asleep_asks_for_kicks_and_costs_no_syncs,
    stop_and_signal_end_a_loop_asleep,
}

const SOON: Duration = Duration::from_secs(10);
const MOMENT: Duration = Duration::from_millis(150);

/// START with eventfds on a fresh CSB of one ring, and the status of the option.
fn start_with(words: &mut [u64]) -> Result<(Sys<()>, i32)> {
    let port = Port::open(&ifname(), exclusive(Q))?;
    let csb = Csb::new()?;
    let mut opt = csb.option();
    want_ok("CSB_ENABLE", enable(&port.fd, &raw mut opt as u64))?;
    // ends a loop that does begin
    want_ok("STOP", stop(&port.fd))?;
    let got = start(&port.fd, 0, words.as_mut_ptr() as u64);
    Ok((got, status(words) as i32))
}

fn eventfds_not_as_many_as_rings_give_einval() -> Result<()> {
    let fd = EventFd::new()?;
    let pair = (fd.raw(), fd.raw());
    for pairs in [vec![], vec![pair, pair]] {
        let (got, status) = start_with(&mut eventfds(&pairs))?;
        want_errno(&format!("{} for one ring", pairs.len()), got, libc::EINVAL)?;
        want_eq("nro_status", status, libc::EINVAL)?;
    }
    let (got, status) = start_with(&mut eventfds(&[pair]))?;
    want_ok("one for one ring", got)?;
    want_eq("nro_status", status, 0)
}

fn eventfds_that_are_none_are_refused() -> Result<()> {
    let fd = EventFd::new()?;
    for (other, errno) in [(999, libc::EBADF), (0, libc::EINVAL), (2, libc::EINVAL)] {
        for pair in [(fd.raw(), other), (other, fd.raw())] {
            let (got, status) = start_with(&mut eventfds(&[pair]))?;
            want_errno(&format!("{pair:?}"), got, errno)?;
            want_eq("nro_status", status, errno)?;
        }
    }
    Ok(())
}

fn eventfds_may_be_left_out() -> Result<()> {
    let (got, status) = start_with(&mut eventfds(&[(-1, -1)]))?;
    want_ok("-1, -1", got)?;
    want_eq("nro_status", status, 0)
}

/// The NIC wakes the loop, the loop the program; no one kicks, nothing is polled.
fn frames_signal_the_irqfd_and_wake_the_loop() -> Result<()> {
    let (lane, csb) = lane()?;
    let (io, irq) = (EventFd::new()?, EventFd::new()?);
    let mut words = eventfds(&[(io.raw(), irq.raw())]);
    let kloop = Loop::start(&lane.port.fd, 1_000_000, words.as_mut_ptr() as u64)?;
    let (nic, ring) = (Nic::open()?, lane.ring()?);
    let mut head = 0;
    for seq in 0..40 {
        let begin = Instant::now();
        nic.send(&udp_sized(DPORT, seq, 300))?;
        want("the irqfd was signalled", irq.wait(SOON)? != 0)?;
        let took = begin.elapsed();
        want(
            &format!("woken by the NIC, not by chance after {took:?}"),
            took < Duration::from_millis(800),
        )?;
        want_eq("frame", ring.bytes(head), udp_sized(DPORT, seq, 300))?;
        head = ring.next(head);
        want_eq("hwtail", csb.indices(0).1, head)?;
        csb.advance(0, head);
    }
    want_ok("START returns 0", kloop.stop()?)
}

/// The irqfd is signalled when appl_need_kick is set and there is news, and only then.
fn irqfd_stays_silent_unless_a_kick_is_wanted() -> Result<()> {
    let (lane, csb) = lane()?;
    let (io, irq) = (EventFd::new()?, EventFd::new()?);
    csb.tell(0, APPL_NEED_KICK, 0);
    let mut words = eventfds(&[(io.raw(), irq.raw())]);
    let kloop = Loop::start(&lane.port.fd, 0, words.as_mut_ptr() as u64)?;
    let nic = Nic::open()?;
    for seq in 0..5 {
        nic.send(&udp_sized(DPORT, seq, 300))?;
    }
    eventually("all five are there", SOON, || Ok(csb.indices(0).1 == 5))?;
    want_eq("signals", irq.take(), 0)?;
    csb.tell(0, APPL_NEED_KICK, 1);
    nic.send(&udp_sized(DPORT, 5, 300))?;
    want_eq("signals", irq.wait(SOON)?, 1)?;
    // releasing slots is no news
    csb.advance(0, 6);
    io.signal();
    eventually("the slots are the kernel's", SOON, || {
        Ok(csb.indices(0) == (6, 6))
    })?;
    want_eq("signals", irq.take(), 0)?;
    want_ok("START returns 0", kloop.stop()?)
}

/// A frame put back through the CSB of the host TX ring, sent when the program kicks.
fn kick_makes_the_loop_send() -> Result<()> {
    let mut reg = exclusive(Q);
    reg.flags |= PUTBACK;
    let lane = Lane::with(reg)?;
    let csb = Csb::new()?;
    let mut opt = csb.option();
    want_ok("CSB_ENABLE", enable(&lane.port.fd, &raw mut opt as u64))?;
    let (io, irq) = (EventFd::new()?, EventFd::new()?);
    let mut words = eventfds(&[(io.raw(), irq.raw()), (-1, -1)]);
    let kloop = Loop::start(&lane.port.fd, 0, words.as_mut_ptr() as u64)?;
    let socket = bind(OTHER_PORT)?;
    let host = lane.port.host()?;
    let mut head = 0;
    for i in 0..20u8 {
        eventually("the loop asks for kicks", SOON, || {
            Ok(csb.says(0, KERN_NEED_KICK) == 1)
        })?;
        irq.take();
        let frame = udp(40001, OTHER_PORT, &[i; 100]);
        let slot = host.slot(head);
        host.mem.copy_in(host.buf_off(slot.idx), &frame);
        let len = frame.len() as u16;
        host.set_slot(
            head,
            Slot {
                len,
                flags: 0,
                ..slot
            },
        );
        head = host.next(head);
        csb.advance(0, head);
        let begin = Instant::now();
        io.signal();
        let got = recv(&socket, SOON)?.context("the frame did not come")?;
        want_eq("payload", got, payload(&frame))?;
        want("room was told by the irqfd", irq.wait(SOON)? != 0)?;
        let took = begin.elapsed();
        want(
            &format!("by the kick, not by chance after {took:?}"),
            took < Duration::from_millis(800),
        )?;
        let all_sent = (head, (head + host.n - 1) % host.n);
        want_eq("hwcur, hwtail", csb.indices(0), all_sent)?;
    }
    want_ok("START returns 0", kloop.stop()?)
}

/// With eventfds there is nothing to look for.
fn loop_asleep_asks_for_kicks_and_costs_no_syncs() -> Result<()> {
    let (lane, csb) = lane()?;
    let io = EventFd::new()?;
    let mut words = eventfds(&[(io.raw(), -1)]);
    let kloop = Loop::start(&lane.port.fd, 0, words.as_mut_ptr() as u64)?;
    eventually("the loop asks for kicks", SOON, || {
        Ok(csb.says(0, KERN_NEED_KICK) == 1)
    })?;
    let syncs = || -> Result<u64> { Ok(lane.port.info(Q)?.counter[counter::SYNCS]) };
    let before = syncs()?;
    std::thread::sleep(Duration::from_millis(700));
    let asleep = syncs()? - before;
    want(&format!("{asleep} syncs while asleep"), asleep <= 3)?;
    let before = syncs()?;
    io.signal();
    eventually("a kick makes it sync", SOON, || Ok(syncs()? > before))?;
    want_ok("START returns 0", kloop.stop()?)
}

extern "C" fn nothing(_: i32) {}

fn stop_and_signal_end_a_loop_asleep() -> Result<()> {
    // SAFETY: a handler that does nothing; without SA_RESTART.
    unsafe {
        let mut act: libc::sigaction = std::mem::zeroed();
        act.sa_sigaction = nothing as *const () as usize;
        libc::sigaction(libc::SIGUSR1, &act, std::ptr::null_mut());
    }
    let (lane, _csb) = lane()?;
    let io = EventFd::new()?;
    for signal in [false, true] {
        let mut words = eventfds(&[(io.raw(), -1)]);
        let kloop = Loop::start(&lane.port.fd, 0, words.as_mut_ptr() as u64)?;
        want("it goes on", kloop.ended(MOMENT).is_none())?;
        let begin = Instant::now();
        if signal {
            kloop.signal(libc::SIGUSR1);
            let got = kloop.ended(SOON).context("the loop goes on")?;
            want_errno("START", got, libc::EINTR)?;
        } else {
            want_ok("START returns 0", kloop.stop()?)?;
        }
        let took = begin.elapsed();
        want(
            &format!("at once, not after {took:?}"),
            took < Duration::from_millis(500),
        )?;
    }
    Ok(())
}
