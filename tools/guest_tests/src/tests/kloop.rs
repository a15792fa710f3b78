// SPDX-License-Identifier: GPL-2.0
//! SYNC_KLOOP_START and SYNC_KLOOP_STOP (API 14: 1.5, 5 kloop/CSB): a thread
//! that stays in the kernel and syncs, without eventfds.

use super::csb::exclusive;
use super::{tests, Skip};
use crate::abi::*;
use crate::check::*;
use crate::csb::*;
use crate::fd::Fd;
use crate::frame::udp_sized;
use crate::helper::Helper;
use crate::nic::Nic;
use crate::port::{rx_info, Lane, Port, DPORT, Q, Q2};
use crate::setup::eventually;
use crate::steer::ifname;
use anyhow::{Context, Result};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

tests! { "kloop":
    start_needs_a_registered_fd_and_a_csb,
    sleep_over_a_second_gives_einval,
    stop_needs_a_registered_fd,
    stop_before_start_ends_the_loop_at_once,
    stop_ends_a_loop_that_sleeps_for_a_second,
    stop_returns_although_the_next_loop_begins_at_once,
    second_start_gives_ebusy,
    signal_ends_the_loop_with_eintr,
    csb_that_goes_away_ends_the_loop_with_efault,
    frames_arrive_through_the_csb,
    frames_arrive_without_any_sleep,
    loop_without_any_sleep_does_not_hold_up_rcu_tasks @ 90,
    impossible_pointers_are_never_accepted,
    other_requests_of_the_fd_are_ebusy_meanwhile,
    unknown_options_are_ignored_and_known_modes_accepted,
    process_killed_in_the_loop_gives_its_queue_back,
}

const SOON: Duration = Duration::from_secs(10);
const MOMENT: Duration = Duration::from_millis(150);

/// A lane with a CSB: entry 0 is its RX ring.
pub fn lane() -> Result<(Lane, Csb)> {
    let lane = Lane::with(exclusive(Q))?;
    let csb = Csb::new()?;
    let mut opt = csb.option();
    want_ok("CSB_ENABLE", enable(&lane.port.fd, &raw mut opt as u64))?;
    Ok((lane, csb))
}

/// A queue with a CSB.
fn port() -> Result<(Port, Csb)> {
    let port = Port::open(&ifname(), exclusive(Q))?;
    let csb = Csb::new()?;
    let mut opt = csb.option();
    want_ok("CSB_ENABLE", enable(&port.fd, &raw mut opt as u64))?;
    Ok((port, csb))
}

/// START needs exclusive and CSB.
fn start_needs_a_registered_fd_and_a_csb() -> Result<()> {
    want_errno("fresh fd", start(&Fd::open()?, 500, 0), libc::ENXIO)?;
    let shared = Port::rx(Q)?;
    want_errno("no CSB", start(&shared.fd, 500, 0), libc::EINVAL)
}

/// sleep_us <= 1 000 000, else EINVAL.
fn sleep_over_a_second_gives_einval() -> Result<()> {
    let (port, _csb) = port()?;
    for us in [1_000_001, u32::MAX] {
        let got = start(&port.fd, us, 0);
        want_errno(&format!("sleep_us {us}"), got, libc::EINVAL)?;
    }
    Ok(())
}

fn stop_needs_a_registered_fd() -> Result<()> {
    want_errno("fresh fd", stop(&Fd::open()?), libc::ENXIO)
}

/// A program cannot know whether its thread is in the loop yet.
fn stop_before_start_ends_the_loop_at_once() -> Result<()> {
    let (port, _csb) = port()?;
    want_ok("STOP", stop(&port.fd))?;
    want_ok("START returns 0", start(&port.fd, 0, 0))?;
    let next = Loop::start(&port.fd, 500, 0)?;
    want("the next goes on", next.ended(MOMENT).is_none())?;
    want_ok("START returns 0", next.stop()?)
}

fn stop_ends_a_loop_that_sleeps_for_a_second() -> Result<()> {
    let (port, _csb) = port()?;
    let kloop = Loop::start(&port.fd, 1_000_000, 0)?;
    want("it goes on", kloop.ended(MOMENT).is_none())?;
    let begin = Instant::now();
    want_ok("START returns 0", kloop.stop()?)?;
    let took = begin.elapsed();
    want(
        &format!("stopped in time, not after {took:?}"),
        took < Duration::from_millis(500),
    )
}

/// EBUSY if running.
/// Who waits for the end of a loop must not miss it because there is another already.
fn stop_returns_although_the_next_loop_begins_at_once() -> Result<()> {
    let (port, _csb) = port()?;
    let stops = AtomicU32::new(0);
    let all = AtomicBool::new(false);
    let looping = AtomicBool::new(true);
    std::thread::scope(|s| {
        s.spawn(|| {
            while !all.load(Ordering::Relaxed) {
                let _ = start(&port.fd, 0, 0);
            }
            looping.store(false, Ordering::Relaxed);
        });
        s.spawn(|| {
            while looping.load(Ordering::Relaxed) {
                let _ = stop(&port.fd);
                stops.fetch_add(1, Ordering::Relaxed);
            }
        });
        let enough = eventually("2000 stops", 3 * SOON, || {
            Ok(stops.load(Ordering::Relaxed) > 2000)
        });
        all.store(true, Ordering::Relaxed);
        while looping.load(Ordering::Relaxed) {
            // frees the two threads if one waits in vain
            let _ = stop(&port.fd);
        }
        enough
    })
}

fn second_start_gives_ebusy() -> Result<()> {
    let (port, _csb) = port()?;
    let kloop = Loop::start(&port.fd, 500, 0)?;
    want("it goes on", kloop.ended(MOMENT).is_none())?;
    want_errno("START", start(&port.fd, 500, 0), libc::EBUSY)?;
    want("the first goes on", kloop.ended(MOMENT).is_none())?;
    want_ok("START returns 0", kloop.stop()?)
}

extern "C" fn nothing(_: i32) {}

fn signal_ends_the_loop_with_eintr() -> Result<()> {
    // SAFETY: a handler that does nothing; without SA_RESTART.
    unsafe {
        let mut act: libc::sigaction = std::mem::zeroed();
        act.sa_sigaction = nothing as *const () as usize;
        libc::sigaction(libc::SIGUSR1, &act, std::ptr::null_mut());
    }
    let (port, _csb) = port()?;
    for us in [0, 500, 1_000_000] {
        let kloop = Loop::start(&port.fd, us, 0)?;
        want("it goes on", kloop.ended(MOMENT).is_none())?;
        kloop.signal(libc::SIGUSR1);
        let got = kloop.ended(SOON).context("the loop goes on")?;
        want_errno(&format!("sleep_us {us}"), got, libc::EINTR)?;
    }
    Ok(())
}

/// EFAULT ends it; the fd can go on with a system call less than before: none.
fn csb_that_goes_away_ends_the_loop_with_efault() -> Result<()> {
    let (port, csb) = port()?;
    let kloop = Loop::start(&port.fd, 500, 0)?;
    want("it goes on", kloop.ended(MOMENT).is_none())?;
    drop(csb);
    let got = kloop.ended(SOON).context("the loop goes on")?;
    want_errno("START", got, libc::EFAULT)?;
    want_errno("START again", start(&port.fd, 500, 0), libc::EFAULT)
}

/// Receives frames 0 to `count` through entry 0, more than the ring holds.
fn receive(lane: &Lane, csb: &Csb, count: u32) -> Result<()> {
    let nic = Nic::open()?;
    let ring = lane.ring()?;
    let (mut head, mut sent, mut seen) = (csb.told(0, HEAD), 0, 0);
    let end = Instant::now() + Duration::from_secs(30);
    while seen < count && Instant::now() < end {
        while sent < count && sent - seen < 64 {
            nic.send(&udp_sized(DPORT, sent, 200))?;
            sent += 1;
        }
        let (_, tail) = csb.indices(0);
        while head != tail {
            let got = ring.bytes(head);
            want_eq(&format!("frame {seen}"), got, udp_sized(DPORT, seen, 200))?;
            seen += 1;
            head = ring.next(head);
        }
        csb.advance(0, head);
    }
    want_eq("frames received", seen, count)?;
    eventually("all slots are the kernel's again", SOON, || {
        Ok(csb.indices(0) == (head, head))
    })
}

fn frames_arrive_through_the_csb() -> Result<()> {
    let (lane, csb) = lane()?;
    let kloop = Loop::start(&lane.port.fd, 200, 0)?;
    receive(&lane, &csb, 1500)?;
    want("the ring is smaller than that", lane.ring()?.n < 1500)?;
    want_eq(
        "head, cur, tail of the ring",
        lane.ring()?.pointers(),
        (0, 0, 0),
    )?;
    want_ok("START returns 0", kloop.stop()?)
}

fn frames_arrive_without_any_sleep() -> Result<()> {
    let (lane, csb) = lane()?;
    let kloop = Loop::start(&lane.port.fd, 0, 0)?;
    receive(&lane, &csb, 300)?;
    want_ok("START returns 0", kloop.stop()?)
}

/// Freeing a function tracer waits until every thread has paused once, or said so.
fn loop_without_any_sleep_does_not_hold_up_rcu_tasks() -> Result<()> {
    const INSTANCE: &str = "/sys/kernel/tracing/instances/nm_test";
    let (port, _csb) = port()?;
    std::fs::create_dir_all(INSTANCE)?;
    if !std::fs::exists(format!("{INSTANCE}/set_ftrace_filter"))? {
        std::fs::remove_dir(INSTANCE)?;
        return Err(Skip("this kernel has no function tracer".into()).into());
    }
    let set = |file: &str, value: &str| std::fs::write(format!("{INSTANCE}/{file}"), value);
    set("set_ftrace_filter", "do_nanosleep").context("set_ftrace_filter")?;
    set("current_tracer", "function").context("current_tracer")?;
    let kloop = Loop::start(&port.fd, 0, 0)?;
    want("it goes on", kloop.ended(MOMENT).is_none())?;
    let (done, freed) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let removed = std::fs::write(format!("{INSTANCE}/current_tracer"), "nop")
            .and_then(|()| std::fs::remove_dir(INSTANCE));
        let _ = done.send(removed);
    });
    let while_it_runs = freed.recv_timeout(Duration::from_secs(30));
    want_ok("START returns 0", kloop.stop()?)?;
    while_it_runs.context("the tracer is still there after 30 s")??;
    Ok(())
}

/// 1.11 with the CSB's pointers: nothing is taken, the loop goes on, the counter says so.
fn impossible_pointers_are_never_accepted() -> Result<()> {
    let (lane, csb) = lane()?;
    let n = lane.ring()?.n;
    let kloop = Loop::start(&lane.port.fd, 200, 0)?;
    for (head, cur) in [(5, 5), (n, n), (u32::MAX, 0), (0, n - 1), (0, u32::MAX)] {
        let before = lane.port.info(Q)?.counter[counter::RESETS];
        csb.tell(0, CUR, cur);
        csb.tell(0, HEAD, head);
        eventually(&format!("({head}, {cur}) is counted"), SOON, || {
            Ok(lane.port.info(Q)?.counter[counter::RESETS] > before + 2)
        })?;
        want_eq("hwcur, hwtail", csb.indices(0), (0, 0))?;
        csb.tell(0, CUR, 0);
        csb.tell(0, HEAD, 0);
    }
    receive(&lane, &csb, 10)?;
    want_ok("START returns 0", kloop.stop()?)
}

fn other_requests_of_the_fd_are_ebusy_meanwhile() -> Result<()> {
    let (port, csb) = port()?;
    let kloop = Loop::start(&port.fd, 500, 0)?;
    want("it goes on", kloop.ended(MOMENT).is_none())?;
    want_errno("RXSYNC", port.fd.rxsync(), libc::EBUSY)?;
    want_errno("NIOCQADD", port.fd.qadd(Q2), libc::EBUSY)?;
    want_errno("NIOCQDEL", port.fd.qdel(Q), libc::EBUSY)?;
    let mut opt = csb.option();
    let got = enable(&port.fd, &raw mut opt as u64);
    want_errno("CSB_ENABLE", got, libc::EBUSY)?;
    let got = port.fd.register(&ifname(), &mut exclusive(Q2));
    want_errno("REGISTER", got, libc::EBUSY)?;
    want_ok("START returns 0", kloop.stop()?)
}

/// Other request types than REGISTER ignore unconsumed options; modes are bits 1 and 2.
fn unknown_options_are_ignored_and_known_modes_accepted() -> Result<()> {
    let (port, _csb) = port()?;
    let mut unknown = [0u64, 77, 0];
    for mode in [0u64, 1, 2, 3] {
        let mut words = [&raw mut unknown as u64, u64::from(OPT_KLOOP_MODE), 0, mode];
        want_ok("STOP", stop(&port.fd))?;
        let got = start(&port.fd, 500, words.as_mut_ptr() as u64);
        want_ok(&format!("START in mode {mode}"), got)?;
        want_eq("status of the mode", status(&words), 0)?;
        let other = status(&unknown) as i32;
        want_eq("status of the unknown", other, libc::EOPNOTSUPP)?;
    }
    for mode in [4u64, 7, 0x8000_0000] {
        let mut words = [0, u64::from(OPT_KLOOP_MODE), 0, mode];
        let got = start(&port.fd, 500, words.as_mut_ptr() as u64);
        want_errno(&format!("START in mode {mode}"), got, libc::EINVAL)?;
        want_eq("status", status(&words) as i32, libc::EINVAL)?;
    }
    Ok(())
}

/// A process is not gone before its rings are the kernel's again.
fn process_killed_in_the_loop_gives_its_queue_back() -> Result<()> {
    let program = Helper::start(&["kloop", &Q.to_string()])?;
    program.ready()?;
    let fd = Fd::open()?;
    want_eq("state of the queue", rx_info(&fd, Q)?.state, Q_NETMAP)?;
    program.kill()?;
    want_eq("state of the queue", rx_info(&fd, Q)?.state, Q_KERNEL)
}
