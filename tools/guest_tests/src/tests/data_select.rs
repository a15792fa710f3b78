// SPDX-License-Identifier: GPL-2.0
//! The other ways to wait: epoll, select, syncing without waiting, several
//! threads at once; and the ring's time stamp.

use super::data_wait::{frame_during, woken, SHORT};
use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::poll_fd;
use crate::frame::udp_sized;
use crate::nic::Nic;
use crate::port::{Lane, DPORT, Q};
use anyhow::{bail, Result};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant, SystemTime};

tests! { "data":
    epoll_level_triggered_reports_until_taken,
    epoll_sleeper_is_woken_by_a_frame,
    select_reports_readable_only_with_frames,
    busy_rxsync_receives_without_poll,
    sleeping_poll_ends_on_a_signal,
    timestamp_is_the_time_of_the_sync,
    wakeups_are_counted,
    concurrent_pollers_of_one_fd_all_return,
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

extern "C" fn on_alarm(_: libc::c_int) {}

const SOON: Duration = Duration::from_secs(10);

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
        &format!("profile=udp wait=1 rate=2000 count={count} size=60 dport={DPORT}"),
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

/// RXSYNC stamps ring->ts (wall time), and so does the sync of a poll (1.10, 1.12).
fn timestamp_is_the_time_of_the_sync() -> Result<()> {
    let lane = Lane::open()?;
    let ring = lane.ring()?;
    let mut last = 0;
    for call in ["RXSYNC", "poll", "RXSYNC", "poll"] {
        let before = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)?
            .as_micros() as u64;
        match call {
            "poll" => drop(lane.port.fd.poll(libc::POLLIN, Duration::ZERO)?),
            _ => want_ok(call, lane.port.fd.rxsync())?,
        }
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
            &format!("{call}: {before} <= {at} <= {after}"),
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
