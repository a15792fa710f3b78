// SPDX-License-Identifier: GPL-2.0
//! Waiting for packets: poll, epoll, select, busy syncing; who wakes up, who
//! does not, and when.

use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::poll_fd;
use crate::frame::udp_sized;
use crate::nic::Nic;
use crate::port::{Lane, Port, DPORT, DPORT2, Q, Q2};
use crate::steer::Rule;
use anyhow::{bail, Result};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant, SystemTime};

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
    epoll_level_triggered_reports_until_taken,
    epoll_sleeper_is_woken_by_a_frame,
    select_reports_readable_only_with_frames,
    busy_rxsync_receives_without_poll,
    sleeping_poll_ends_on_a_signal,
    timestamp_is_the_time_of_the_sync,
    wakeups_are_counted,
    concurrent_pollers_of_one_fd_all_return,
}

const SOON: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(100);

/// One frame arrives `after` a while, from another thread, while `wait` runs.
fn frame_during<T>(after: Duration, dport: u16, wait: impl FnOnce() -> T) -> Result<T> {
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

fn woken(queue_port: u16, wait: impl FnOnce() -> Sys<i16>) -> Result<()> {
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

/// An epoll instance that watches `fd` for input.
fn epoll_on(fd: i32) -> Result<OwnedFd> {
    // SAFETY: a new descriptor, owned here.
    let ep = unsafe { OwnedFd::from_raw_fd(libc::epoll_create1(libc::EPOLL_CLOEXEC)) };
    let mut event = libc::epoll_event {
        events: libc::EPOLLIN as u32,
        u64: 7,
    };
    // SAFETY: both descriptors are open; the event is copied.
    let r = unsafe { libc::epoll_ctl(ep.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &mut event) };
    want_eq("epoll_ctl", r, 0)?;
    Ok(ep)
}

/// (number of events, events of the first)
fn epoll_wait(ep: &OwnedFd, ms: i32) -> (i32, u32) {
    let mut e = libc::epoll_event { events: 0, u64: 0 };
    // SAFETY: room for one event.
    let n = unsafe { libc::epoll_wait(ep.as_raw_fd(), &mut e, 1, ms) };
    (n, e.events)
}

fn epoll_level_triggered_reports_until_taken() -> Result<()> {
    let lane = Lane::open()?;
    let ep = epoll_on(lane.port.fd.raw())?;
    want_eq("empty", epoll_wait(&ep, 100).0, 0)?;
    Nic::open()?.send(&udp_sized(DPORT, 1, 60))?;
    for _ in 0..3 {
        want_eq(
            "with a frame",
            epoll_wait(&ep, 10_000),
            (1, libc::EPOLLIN as u32),
        )?;
    }
    lane.ring()?.take();
    want_eq("taken", epoll_wait(&ep, 100).0, 0)
}

fn epoll_sleeper_is_woken_by_a_frame() -> Result<()> {
    let lane = Lane::open()?;
    let ep = epoll_on(lane.port.fd.raw())?;
    for _ in 0..3 {
        let started = Instant::now();
        let got = frame_during(SHORT, DPORT, || epoll_wait(&ep, 20_000))?;
        want_eq("event", got, (1, libc::EPOLLIN as u32))?;
        want("woken, not timed out", started.elapsed() < SOON)?;
        want_eq("frames", lane.ring()?.take().len(), 1)?;
        lane.port.fd.rxsync()?;
    }
    Ok(())
}

/// select() for input with a time-out; the number of ready descriptors.
fn select(fd: i32, ms: i64) -> i32 {
    // SAFETY: an fd_set is plain memory; fd is below FD_SETSIZE in this process.
    unsafe {
        let mut set: libc::fd_set = std::mem::zeroed();
        libc::FD_SET(fd, &mut set);
        let mut tv = libc::timeval {
            tv_sec: ms / 1000,
            tv_usec: (ms % 1000) * 1000,
        };
        let none = std::ptr::null_mut();
        libc::select(fd + 1, &mut set, none, none, &mut tv)
    }
}

fn select_reports_readable_only_with_frames() -> Result<()> {
    let lane = Lane::open()?;
    let fd = lane.port.fd.raw();
    want_eq("empty", select(fd, 100), 0)?;
    want_eq(
        "woken",
        frame_during(SHORT, DPORT, || select(fd, 20_000))?,
        1,
    )?;
    want_eq("still there", select(fd, 0), 1)?;
    lane.ring()?.take();
    want_eq("taken", select(fd, 100), 0)
}

fn busy_rxsync_receives_without_poll() -> Result<()> {
    let lane = Lane::open()?;
    let ring = lane.ring()?;
    let nic = Nic::open()?;
    let count = 1000;
    let _gen = nic.generate(
        "busy",
        &format!("profile=udp rate=2000 count={count} size=60 dport={DPORT}"),
    )?;
    let end = Instant::now() + Duration::from_secs(30);
    let mut got = 0;
    while got < count {
        want(&format!("in time: {got} of {count}"), Instant::now() < end)?;
        want_ok("RXSYNC", lane.port.fd.rxsync())?;
        got += ring.take().len();
        std::thread::yield_now();
    }
    want_eq("frames", got, count)
}

extern "C" fn on_alarm(_: libc::c_int) {}

/// A sleeping poll() is interruptible.
fn sleeping_poll_ends_on_a_signal() -> Result<()> {
    let lane = Lane::open()?;
    // SAFETY: a handler that does nothing; installed without SA_RESTART.
    unsafe {
        let mut act: libc::sigaction = std::mem::zeroed();
        act.sa_sigaction = on_alarm as extern "C" fn(libc::c_int) as usize;
        libc::sigaction(libc::SIGALRM, &act, std::ptr::null_mut());
        libc::alarm(1);
    }
    want_errno(
        "poll(20 s)",
        lane.port.fd.poll(libc::POLLIN, Duration::from_secs(20)),
        libc::EINTR,
    )
}

/// 1.10: RXSYNC stamps ring->ts (wall time).
fn timestamp_is_the_time_of_the_sync() -> Result<()> {
    let lane = Lane::open()?;
    let ring = lane.ring()?;
    let mut last = 0;
    for _ in 0..3 {
        let before = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)?
            .as_micros() as u64;
        want_ok("RXSYNC", lane.port.fd.rxsync())?;
        let after = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)?
            .as_micros() as u64;
        let (s, us) = ring.ts();
        let at = s * 1_000_000 + us;
        want(
            &format!("microseconds below a million: {us}"),
            us < 1_000_000,
        )?;
        // the kernel may use its coarse clock: 10 ms behind at most
        want(
            &format!("{before} <= {at} <= {after}"),
            at + 10_000 >= before && at <= after,
        )?;
        want("later than the one before", at >= last)?;
        last = at;
        std::thread::sleep(Duration::from_millis(30));
    }
    want("it moved", last > 0)?;
    want_eq("NR_TIMESTAMP is the user's to set", NR_TIMESTAMP, 2)
}

fn wakeups_are_counted() -> Result<()> {
    let lane = Lane::open()?;
    let before = lane.port.info(Q)?.counter[counter::WAKEUPS];
    woken(DPORT, || {
        lane.port.fd.poll(libc::POLLIN, Duration::from_secs(20))
    })?;
    let after = lane.port.info(Q)?.counter[counter::WAKEUPS];
    want(&format!("{before} < {after}"), before < after)
}

/// Four threads sleep on one fd; each of them returns when a frame is there.
fn concurrent_pollers_of_one_fd_all_return() -> Result<()> {
    let lane = Lane::open()?;
    let fd = lane.port.fd.raw();
    let pollers: Vec<_> = (0..4)
        .map(|_| std::thread::spawn(move || poll_fd(fd, libc::POLLIN, Duration::from_secs(15))))
        .collect();
    std::thread::sleep(Duration::from_millis(300));
    Nic::open()?.send(&udp_sized(DPORT, 1, 60))?;
    for p in pollers {
        match p.join() {
            Ok(got) => want_eq("revents", got?, libc::POLLIN)?,
            Err(_) => bail!("a polling thread died"),
        }
    }
    Ok(())
}
