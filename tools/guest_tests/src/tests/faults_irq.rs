// SPDX-License-Identifier: GPL-2.0
//! Interrupts that get lost, that come without a cause, and resets and links that come at the worst
//! time: sleepers wake all the same, and nothing hangs.

use super::lifecycle::kernel_receives;
use super::putback::put_copy;
use super::tests;
use crate::abi::*;
use crate::broken::*;
use crate::check::*;
use crate::deep::{count, patience};
use crate::frame::udp_sized;
use crate::nic::Nic;
use crate::port::{Lane, Port, DPORT, Q, Q2};
use crate::setup::eventually;
use crate::steer::{ethtool, sysfs, wait_carrier, Rss};
use anyhow::{bail, Context, Result};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

tests! { "faults":
    sleepers_wake_within_seconds_when_interrupts_get_lost,
    endless_interrupts_do_not_keep_frames_from_coming,
    queues_are_taken_and_given_under_endless_interrupts,
    memory_error_of_the_card_resets_it_and_rings_go_on | flaps,
    resets_in_the_middle_of_switching_queues @ 120 | flaps,
    link_changes_in_the_middle_of_switching_queues @ 120 | flaps,
    link_lost_with_frames_to_send_does_not_hold_up_a_close | flaps,
    slow_registers_only_make_it_slow @ 120,
    stuck_packet_buffer_lets_go_in_order_when_it_is_free,
}

/// The driver raises every vector each two seconds: that is the longest anybody sleeps.
fn sleepers_wake_within_seconds_when_interrupts_get_lost() -> Result<()> {
    let lane = Lane::open()?;
    let tx = Port::tx(Q)?;
    let nic = Nic::open()?;
    arrive(&nic, &lane, 1)?;
    let lost = Fault::on(&nic, "irq all lost")?;
    nic.send(&udp_sized(DPORT, 9, 100))?;
    let ring = tx.tx_ring(Q)?;
    while ring.space() > 0 {
        put_copy(&ring, &udp_sized(DPORT, 2, 60))?;
    }
    want_ok("TXSYNC", tx.fd.txsync())?;
    // the vector of the timer and the link gets lost, too, but the driver does not need it for this
    drop(lost);
    for (what, port, event) in [
        ("POLLIN", &lane.port, libc::POLLIN),
        ("POLLOUT", &tx, libc::POLLOUT),
    ] {
        let events = in_time(what, 4 * Duration::from_secs(1), || {
            port.fd.poll(event, SOON)
        })??;
        want(what, events & event != 0)?;
    }
    Ok(())
}

fn endless_interrupts_do_not_keep_frames_from_coming() -> Result<()> {
    let lane = Lane::open()?;
    let nic = Nic::open()?;
    let storm = Fault::on(&nic, "irq all storm")?;
    for seq in 0..count(20, 200) as u32 {
        arrive(&nic, &lane, 10 * seq)?;
    }
    let woken = lane.port.info(Q)?.counter[counter::WAKEUPS];
    std::thread::sleep(Duration::from_millis(500));
    let idle = lane.port.info(Q)?.counter[counter::WAKEUPS] - woken;
    drop(storm);
    // the first of them may tell sleepers of what the test's own sync has taken
    want(&format!("{idle} wakeups for nothing"), idle <= 1)
}

fn queues_are_taken_and_given_under_endless_interrupts() -> Result<()> {
    let nic = Nic::open()?;
    let storm = Fault::on(&nic, "irq all storm")?;
    for seq in 0..count(5, 200) as u32 {
        let (lane, tx) = (Lane::open()?, Port::tx(Q)?);
        arrive(&nic, &lane, 10 * seq)?;
        in_time("giving them", SOON, || drop((lane, tx)))?;
    }
    drop(storm);
    nothing_kept()
}

/// EICR.ECC: the driver resets the card; the program hears of it and goes on.
fn memory_error_of_the_card_resets_it_and_rings_go_on() -> Result<()> {
    let log = Log::from_now();
    let (lane, tx) = (Lane::open()?, Port::tx(Q)?);
    let nic = Nic::open()?;
    nic.cmd("fault cause 0x10000000")?;
    eventually("the port is reset", SOON, || {
        Ok(lane.port.info(Q)?.counter[counter::STARTS] == 2)
    })?;
    wait_carrier()?;
    log.says_times("Received ECC Err, initiating reset", 1)?;
    arrive(&nic, &lane, 1)?;
    want_ok("TXSYNC", tx.fd.txsync())?;
    Ok(())
}

/// Takes and gives RX and TX queues as fast as it goes, until it is told to stop; how often.
struct Switching {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<u64>>>,
    done: Arc<AtomicU64>,
}

/// What a switch may be answered while the port is being reset or has lost its link.
fn not_now<T>(got: Sys<T>) -> Result<()> {
    match got {
        Err(Errno(libc::EIO | libc::ENETDOWN | libc::EBUSY)) | Ok(_) => Ok(()),
        Err(e) => bail!("a switch was answered {e}"),
    }
}

impl Switching {
    fn start() -> Self {
        let (stop, done) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let (end, n) = (stop.clone(), done.clone());
        let thread = std::thread::spawn(move || {
            let mut longest = Duration::ZERO;
            while !end.load(Ordering::Relaxed) {
                let since = Instant::now();
                let rx = Port::rx(Q);
                if let Ok(port) = &rx {
                    port.fd.poll(libc::POLLIN, Duration::ZERO)?;
                    not_now(port.fd.rxsync())?;
                }
                not_now(Port::tx(Q2).map(drop))?;
                not_now(rx.map(drop))?;
                n.fetch_add(1, Ordering::Relaxed);
                longest = longest.max(since.elapsed());
            }
            println!("longest switch of both: {longest:?}");
            if longest > patience(SOON) {
                bail!("switching took {longest:?}");
            }
            Ok(n.load(Ordering::Relaxed))
        });
        let thread = Some(thread);
        Switching { stop, thread, done }
    }

    /// Until that many more switches.
    fn more(&self, n: u64) -> Result<()> {
        let until = self.done.load(Ordering::Relaxed) + n;
        eventually("more switches", 3 * SOON, || {
            let ended = self.thread.as_ref().is_none_or(JoinHandle::is_finished);
            Ok(ended || self.done.load(Ordering::Relaxed) >= until)
        })
    }

    fn end(mut self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().context("it has ended")?;
        thread.join().ok().context("the switching thread died")?
    }
}

impl Drop for Switching {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Restarts by ethtool and by the card's own memory errors, against a loop of takes and gives.
fn resets_in_the_middle_of_switching_queues() -> Result<()> {
    let _rss = Rss::without(&[Q])?;
    let nic = Nic::open()?;
    let switching = Switching::start();
    for i in 0..count(4, 300) {
        switching.more(i % 4)?;
        let resets = || nic.counts()?.port.get("resets");
        let before = resets()?;
        match i % 2 {
            0 => ethtool("-r", &[]).map(drop)?,
            _ => nic.cmd("fault cause 0x10000000").map(drop)?,
        }
        // the driver's service task does the second kind when it comes to run
        eventually("the port is reset", SOON, || Ok(resets()? > before))?;
    }
    let switched = switching.end()?;
    println!("{switched} switches");
    wait_carrier()?;
    arrive_after(&nic)
}

fn link_changes_in_the_middle_of_switching_queues() -> Result<()> {
    let _rss = Rss::without(&[Q])?;
    let nic = Nic::open()?;
    let switching = Switching::start();
    for i in 0..count(4, 300) {
        nic.link(i % 2 == 1)?;
        switching.more(1 + i % 3)?;
    }
    nic.link(true)?;
    let switched = switching.end()?;
    println!("{switched} switches");
    wait_carrier()?;
    arrive_after(&nic)
}

/// Everything works as before.
fn arrive_after(nic: &Nic) -> Result<()> {
    nothing_kept()?;
    let lane = Lane::open()?;
    arrive(nic, &lane, 1)
}

/// Nothing can be sent, so nothing is waited for; what was not sent is dropped.
fn link_lost_with_frames_to_send_does_not_hold_up_a_close() -> Result<()> {
    let nic = Nic::open()?;
    let (lane, tx) = (Lane::open()?, Port::tx(Q)?);
    let ring = tx.tx_ring(Q)?;
    let hang = Fault::on(&nic, format!("txq {} hang", spare(Q)))?;
    while ring.space() > 0 {
        put_copy(&ring, &udp_sized(DPORT, 2, 60))?;
    }
    want_ok("TXSYNC", tx.fd.txsync())?;
    // it keeps the mapping, which keeps the fd
    drop(ring);
    nic.link(false)?;
    eventually("carrier is lost", SOON, || Ok(sysfs("carrier")? == "0"))?;
    let closed = in_time("close()", Duration::from_secs(3), || drop((lane, tx)));
    let taken = in_time("taking them without a link", SOON, || {
        Sys::Ok((Port::rx(Q)?, Port::tx(Q)?))
    });
    drop(hang);
    nic.link(true)?;
    wait_carrier()?;
    closed?;
    drop(taken??);
    arrive_after(&nic)
}

/// Each access takes 2 ms, as with a bus that retries.
fn slow_registers_only_make_it_slow() -> Result<()> {
    let nic = Nic::open()?;
    let slow = Fault::with(&nic, "port slow", 2000)?;
    for seq in 0..count(2, 20) as u32 {
        let (lane, tx) = (Lane::open()?, Port::tx(Q)?);
        arrive(&nic, &lane, 10 * seq)?;
        in_time("giving them", SOON, || drop((lane, tx)))?;
    }
    drop(slow);
    nothing_kept()
}

fn stuck_packet_buffer_lets_go_in_order_when_it_is_free() -> Result<()> {
    let lane = Lane::open()?;
    let nic = Nic::open()?;
    let stall = Fault::on(&nic, "port stall")?;
    let all: Vec<_> = (0..50).map(|s| udp_sized(DPORT, s, 100)).collect();
    for f in &all {
        nic.send(f)?;
    }
    let events = lane
        .port
        .fd
        .poll(libc::POLLIN, Duration::from_millis(200))?;
    want_eq("poll", events, 0)?;
    in_time("taking a queue meanwhile", SOON, || Port::rx(Q2).map(drop))??;
    drop(stall);
    want_eq("frames", lane.recv(all.len(), SOON)?, all)?;
    drop((nic, lane));
    kernel_receives(1)
}
