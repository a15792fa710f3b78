// SPDX-License-Identifier: GPL-2.0
//! Waiting for packets with poll(): who wakes up, who does not, and when.

use super::tests;
use crate::check::*;
use crate::deep::count;
use crate::fd::poll_fd;
use crate::frame::udp_sized;
use crate::nic::Nic;
use crate::port::{Lane, Port, DPORT, DPORT2, Q, Q2};
use crate::setup::eventually;
use crate::steer::Rule;
use anyhow::{bail, Context, Result};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

tests! { "data":
    poll_in_is_not_reported_when_empty,
    poll_times_out_no_sooner_than_asked,
    poll_in_finds_what_arrived_before_the_call,
    poll_sleeper_is_woken_by_a_frame,
    poll_sleeper_is_woken_each_time @ 90,
    poll_without_timeout_wakes_on_a_frame,
    poll_sleeper_on_another_queue_is_not_woken,
    poll_fd_with_two_queues_wakes_for_either,
    poll_of_two_fds_reports_the_right_one,
    poll_sleeper_is_woken_although_another_thread_syncs_first @ 120,
}

const SOON: Duration = Duration::from_secs(10);
pub(super) const SHORT: Duration = Duration::from_millis(100);

/// One frame arrives `after` a while, from another thread, while `wait` runs.
pub(super) fn frame_during<T>(after: Duration, dport: u16, wait: impl FnOnce() -> T) -> Result<T> {
    let sender = std::thread::spawn(move || -> Result<()> {
        let nic = Nic::open()?;
        std::thread::sleep(after);
        nic.send(&udp_sized(dport, 1, 60))
    });
    let value = wait();
    match sender.join() {
        Ok(sent) => sent?,
        Err(_) => bail!("the sending thread died"),
    }
    Ok(value)
}

fn poll_in_is_not_reported_when_empty() -> Result<()> {
    let lane = Lane::open()?;
    want_eq(
        "poll(0)",
        lane.port.fd.poll(libc::POLLIN, Duration::ZERO)?,
        0,
    )?;
    want_eq("poll(100 ms)", lane.port.fd.poll(libc::POLLIN, SHORT)?, 0)?;
    Nic::open()?.send(&udp_sized(DPORT, 1, 60))?;
    want_eq(
        "with a frame",
        lane.port.fd.poll(libc::POLLIN, SOON)?,
        libc::POLLIN,
    )?;
    lane.ring()?.take();
    want_eq("taken", lane.port.fd.poll(libc::POLLIN, SHORT)?, 0)
}

fn poll_times_out_no_sooner_than_asked() -> Result<()> {
    let lane = Lane::open()?;
    let started = Instant::now();
    want_eq(
        "poll(300 ms)",
        lane.port
            .fd
            .poll(libc::POLLIN, Duration::from_millis(300))?,
        0,
    )?;
    let took = started.elapsed();
    want(
        &format!("300 ms <= {took:?}"),
        took >= Duration::from_millis(299),
    )?;
    want(
        &format!("{took:?} is not far above 300 ms"),
        took < Duration::from_secs(5),
    )
}

/// poll() performs the sync itself: no interrupt is needed to see a frame.
fn poll_in_finds_what_arrived_before_the_call() -> Result<()> {
    let lane = Lane::open()?;
    Nic::open()?.send(&udp_sized(DPORT, 1, 60))?;
    std::thread::sleep(SHORT);
    want_eq(
        "poll(0)",
        lane.port.fd.poll(libc::POLLIN, Duration::ZERO)?,
        libc::POLLIN,
    )?;
    want_eq("frames", lane.ring()?.take().len(), 1)
}

pub(super) fn woken(queue_port: u16, wait: impl FnOnce() -> Sys<i16>) -> Result<()> {
    let started = Instant::now();
    let got = frame_during(Duration::from_millis(300), queue_port, wait)??;
    let took = started.elapsed();
    want_eq("revents", got, libc::POLLIN)?;
    want(
        &format!("it slept: {took:?}"),
        took >= Duration::from_millis(250),
    )?;
    want(
        &format!("it was woken, it did not time out: {took:?}"),
        took < SOON,
    )
}

fn poll_sleeper_is_woken_by_a_frame() -> Result<()> {
    let lane = Lane::open()?;
    woken(DPORT, || {
        lane.port.fd.poll(libc::POLLIN, Duration::from_secs(20))
    })?;
    want_eq("frame", lane.ring()?.take(), vec![udp_sized(DPORT, 1, 60)])
}

/// Frame after frame into an idle ring: a lost wake-up shows as a time-out.
fn poll_sleeper_is_woken_each_time() -> Result<()> {
    let lane = Lane::open()?;
    let ring = lane.ring()?;
    let nic = Nic::open()?;
    let count = 300;
    let gen = nic.generate(
        "slow",
        &format!("profile=udp rate=50 count={count} size=60 dport={DPORT}"),
    )?;
    let mut got = 0;
    while got < count {
        let events = lane.port.fd.poll(libc::POLLIN, SOON)?;
        want_eq(&format!("revents after {got} frames"), events, libc::POLLIN)?;
        got += ring.take().len();
    }
    want_eq("sent", gen.wait(SOON)?, count as u64)
}

fn poll_without_timeout_wakes_on_a_frame() -> Result<()> {
    let lane = Lane::open()?;
    let fd = lane.port.fd.raw();
    woken(DPORT, || {
        poll_fd(fd, libc::POLLIN, Duration::from_millis(i32::MAX as u64))
    })
}

fn poll_sleeper_on_another_queue_is_not_woken() -> Result<()> {
    let lane = Lane::open()?;
    let other = Port::rx(Q2)?;
    // RSS may bring the peer's multicast to the other queue; take what is there
    other.fd.rxsync()?;
    other.ring(Q2)?.take();
    let got = frame_during(SHORT, DPORT, || {
        other.fd.poll(libc::POLLIN, Duration::from_millis(700))
    })??;
    if got != 0 {
        let frames = other.ring(Q2)?.take();
        want(
            &format!("no frame for {DPORT} on the other queue"),
            !frames.contains(&udp_sized(DPORT, 1, 60)),
        )?;
    }
    want_eq("the right queue", lane.recv(1, SOON)?.len(), 1)
}

fn poll_fd_with_two_queues_wakes_for_either() -> Result<()> {
    let lane = Lane::open()?;
    want_ok("NIOCQADD", lane.port.fd.qadd(Q2))?;
    let _rule = Rule::udp(DPORT2, Q2)?;
    for (queue, dport) in [(Q, DPORT), (Q2, DPORT2), (Q, DPORT)] {
        woken(dport, || {
            lane.port.fd.poll(libc::POLLIN, Duration::from_secs(20))
        })?;
        want_eq(
            "frame",
            lane.port.ring(queue)?.take(),
            vec![udp_sized(dport, 1, 60)],
        )?;
        lane.port.fd.rxsync()?;
    }
    Ok(())
}

fn poll_of_two_fds_reports_the_right_one() -> Result<()> {
    let lane = Lane::open()?;
    let other = Port::rx(Q2)?;
    let _rule = Rule::udp(DPORT2, Q2)?;
    for (dport, want_revents) in [(DPORT, (libc::POLLIN, 0)), (DPORT2, (0, libc::POLLIN))] {
        let mut fds = [lane.port.fd.raw(), other.fd.raw()].map(|fd| libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        });
        let r = frame_during(SHORT, dport, || {
            // SAFETY: two pollfds that live across the call.
            unsafe { libc::poll(fds.as_mut_ptr(), 2, 10_000) }
        })?;
        want_eq("ready", r, 1)?;
        want_eq("revents", (fds[0].revents, fds[1].revents), want_revents)?;
        lane.ring()?.take();
        other.ring(Q2)?.take();
        lane.port.fd.rxsync()?;
        other.fd.rxsync()?;
    }
    Ok(())
}

/// One thread sleeps in poll() and reads, another only syncs the same fd, in a loop: a frame it takes
/// from the NIC before the interrupt comes must still wake the sleeper. The interrupt is delayed:
/// two frames, and the second comes while the vector is throttled.
fn poll_sleeper_is_woken_although_another_thread_syncs_first() -> Result<()> {
    let lane = Lane::open()?;
    let nic = Nic::open()?;
    let (ring, raw) = (lane.ring()?, lane.port.fd.raw());
    let (taken, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|s| {
        let sleeper = s.spawn(|| -> Result<()> {
            while !stop.load(Ordering::Relaxed) {
                poll_fd(raw, libc::POLLIN, Duration::from_secs(30))?;
                taken.fetch_add(ring.take().len() as u64, Ordering::Relaxed);
            }
            Ok(())
        });
        let syncer = s.spawn(|| -> Result<()> {
            while !stop.load(Ordering::Relaxed) {
                want_ok("RXSYNC", lane.port.fd.rxsync())?;
            }
            Ok(())
        });
        let told = (1..=count(40, 1000)).try_for_each(|round| {
            nic.send(&udp_sized(DPORT, 1, 60))?;
            nic.send(&udp_sized(DPORT, 2, 60))?;
            eventually("the sleeper takes both", SOON, || {
                Ok(taken.load(Ordering::Relaxed) >= 2 * round)
            })
            .with_context(|| format!("round {round}"))
        });
        stop.store(true, Ordering::Relaxed);
        // wakes a sleeper that was not woken
        let bye = nic.send(&udp_sized(DPORT, 3, 60));
        let ended = [sleeper.join(), syncer.join()];
        told.and(bye)?;
        for thread in ended {
            match thread {
                Ok(result) => result?,
                Err(_) => bail!("a thread died"),
            }
        }
        Ok(())
    })
}
