// SPDX-License-Identifier: GPL-2.0
//! Queues that do not stop, or do not start. What the card may still write to is kept until it is
//! known to have stopped; then it is free.

use super::lifecycle::kernel_receives;
use super::tests;
use crate::abi::*;
use crate::broken::*;
use crate::check::*;
use crate::deep::count;
use crate::fd::Fd;
use crate::nic::Nic;
use crate::port::{rx_info, Lane, Port, DPORT, Q};
use crate::steer::{ip_link, wait_carrier, Rss, Rule};
use anyhow::Result;
use std::time::Duration;

tests! { "faults":
    rx_queue_that_does_not_stop_is_released_by_a_reset | flaps,
    all_rx_queues_that_do_not_stop_are_released_by_ifdown @ 90 | flaps,
    rx_queue_that_does_not_stop_stays_with_its_fd_until_a_reset | flaps,
    memory_a_stuck_queue_writes_to_is_given_to_nobody | flaps,
    reset_that_stops_nothing_takes_the_cards_access_to_memory @ 120 | flaps,
    unbinding_a_driver_with_a_stuck_queue_frees_everything @ 120 | flaps,
    tx_queue_that_does_not_stop_is_released_by_a_reset | flaps,
    queue_that_stops_late_is_taken_and_given,
    rx_queue_that_does_not_start_after_a_reset_is_lent_until_the_next | flaps,
    tx_queue_that_does_not_start_after_a_reset_is_parked_until_the_next | flaps,
    several_queues_that_do_not_start_are_not_taken,
}

/// The process is gone, the memory is not; after a reset it is.
fn rx_queue_that_does_not_stop_is_released_by_a_reset() -> Result<()> {
    let _rss = Rss::without(&[Q])?;
    let log = Log::from_now();
    let port = Port::rx(Q)?;
    let nic = Nic::open()?;
    let stuck = Fault::on(&nic, format!("rxq {Q} stuck"))?;
    in_time("close()", SOON, || drop(port))?;
    drop(stuck);
    drop(nic);
    want_eq("references to netmap", refs("netmap")?, 1)?;
    want("pages are kept", region_pages()? > 0)?;
    let listed = rx_info(&Fd::open()?, Q)?;
    want_eq("state and owner", (listed.state, listed.pid), (Q_STUCK, 0))?;
    want_errno("REGISTER", Port::rx(Q).map(drop), libc::EBUSY)?;
    log.says_times(&format!("RX queue {Q} did not stop; its memory is kept"), 1)?;
    reset_port()?;
    log.says_times(&format!("RX queue {Q} was stopped by a reset"), 1)?;
    nothing_kept()?;
    let rule = Rule::udp(DPORT, Q)?;
    kernel_receives(1)?;
    drop(rule);
    let lane = Lane::open()?;
    arrive(&Nic::open()?, &lane, 1)
}

/// One fd has them all; each is kept, each comes back.
fn all_rx_queues_that_do_not_stop_are_released_by_ifdown() -> Result<()> {
    let queues: Vec<u32> = (2..8).collect();
    let _rss = Rss::without(&queues)?;
    let port = take_rx(&queues)?;
    let nic = Nic::open()?;
    let stuck = Fault::on(&nic, "rxq all stuck")?;
    in_time("close()", 3 * SOON, || drop(port))?;
    drop(stuck);
    drop(nic);
    want_eq("references to netmap", refs("netmap")?, 6)?;
    ip_link(&["down"])?;
    let left = nothing_kept();
    ip_link(&["up"])?;
    wait_carrier()?;
    left?;
    crate::setup::ensure()?;
    for q in queues {
        want_eq("state", rx_info(&Fd::open()?, q)?.state, Q_KERNEL)?;
        let rule = Rule::udp(DPORT, q)?;
        kernel_receives(q)?;
        drop(rule);
    }
    Ok(())
}

/// The fd lives on: its region, too, and the listing shows the queue as stuck, then as the kernel's.
fn rx_queue_that_does_not_stop_stays_with_its_fd_until_a_reset() -> Result<()> {
    let _rss = Rss::without(&[Q])?;
    let port = take_rx(&[Q])?;
    let nic = Nic::open()?;
    let stuck = Fault::on(&nic, format!("rxq {Q} stuck"))?;
    want_errno("NIOCQDEL", port.fd.qdel(Q), libc::EIO)?;
    want_errno("NIOCQADD", port.fd.qadd(Q), libc::EBUSY)?;
    want_eq("state", rx_info(&port.fd, Q)?.state, Q_STUCK)?;
    drop(stuck);
    reset_port()?;
    want_eq(
        "state after the reset",
        rx_info(&port.fd, Q)?.state,
        Q_KERNEL,
    )?;
    want_ok("NIOCQADD after the reset", port.fd.qadd(Q))?;
    want_ok("NIOCQDEL after the reset", port.fd.qdel(Q))?;
    drop(port);
    nothing_kept()
}

/// The card goes on writing to the buffers of a process that is dead; nobody else gets them.
fn memory_a_stuck_queue_writes_to_is_given_to_nobody() -> Result<()> {
    let _rss = Rss::without(&[Q])?;
    let wait = Duration::from_millis(count(300, 3000));
    for _ in 0..count(1, 10) {
        let port = Port::rx(Q)?;
        let mem = port.mem.clone();
        let nic = Nic::open()?;
        let stuck = Fault::on(&nic, format!("rxq {Q} stuck"))?;
        let babble = Fault::on(&nic, format!("rxq {Q} babble"))?;
        std::thread::sleep(Duration::from_millis(20));
        want("the card does write", mem.search(BABBLE).1 > 0)?;
        drop(mem);
        drop(port);
        want_eq(
            "patterns in memory of others",
            written_by_others(100, wait),
            0,
        )?;
        want("pages are kept", region_pages()? > 0)?;
        drop(stuck);
        reset_port()?;
        nothing_kept()?;
        want_eq("patterns after the reset", written_by_others(100, wait), 0)?;
        drop(babble);
    }
    Ok(())
}

/// A queue that not even a reset stops: the card loses its access to memory before the driver frees
/// rings, and gets it back when a reset works.
fn reset_that_stops_nothing_takes_the_cards_access_to_memory() -> Result<()> {
    let _rss = Rss::without(&[Q])?;
    let log = Log::from_now();
    let port = Port::rx(Q)?;
    let nic = Nic::open()?;
    let before = cut_off(&nic)?;
    let noreset = Fault::on(&nic, "port noreset")?;
    let stuck = Fault::on(&nic, format!("rxq {Q} stuck"))?;
    let babble = Fault::on(&nic, format!("rxq {Q} babble"))?;
    ip_link(&["down"])?;
    let down = log.says_times("a reset did not stop the card", 1);
    in_time("close()", SOON, || drop(port))?;
    let kept = region_pages()?;
    let wrote = written_by_others(100, Duration::from_millis(300));
    let refused = cut_off(&nic)? - before;
    drop((noreset, stuck, babble));
    drop(nic);
    // the first of these still finds what was, and stops it
    for _ in 0..2 {
        ip_link(&["up"])?;
        ip_link(&["down"])?;
    }
    crate::setup::ensure()?;
    down?;
    want("pages are kept", kept > 0)?;
    want_eq("patterns in memory of others", wrote, 0)?;
    want(&format!("the card tried: {refused} times"), refused > 0)?;
    log.says_times("a reset has stopped the card: it works again", 1)?;
    nothing_kept()?;
    kernel_receives(1)
}

/// Unbinding closes the port, which resets it: nothing is kept, and the driver can come back.
fn unbinding_a_driver_with_a_stuck_queue_frees_everything() -> Result<()> {
    let address = pci_address()?;
    let port = Port::rx(Q)?;
    let tx = Port::tx(Q)?;
    let nic = Nic::open()?;
    let stuck = Fault::on(&nic, "rxq all stuck")?;
    let stuck_tx = Fault::on(&nic, "txq all stuck")?;
    let done = in_time("unbind and bind", 3 * SOON, || rebind(&address))?;
    drop((stuck, stuck_tx));
    drop(nic);
    crate::setup::ensure()?;
    done?;
    want_errno("RXSYNC", port.fd.rxsync(), libc::ENXIO)?;
    want_errno("TXSYNC", tx.fd.txsync(), libc::ENXIO)?;
    drop((port, tx));
    nothing_kept()?;
    arrive(&Nic::open()?, &Lane::open()?, 1)
}

fn tx_queue_that_does_not_stop_is_released_by_a_reset() -> Result<()> {
    let log = Log::from_now();
    let ports = [Port::tx(Q)?, Port::tx(Q + 1)?];
    let nic = Nic::open()?;
    let faults = [Q, Q + 1].map(|q| {
        let stuck = Fault::on(&nic, format!("txq {} stuck", spare(q)));
        let babble = Fault::on(&nic, format!("txq {} babble", spare(q)));
        (stuck, babble)
    });
    in_time("close()", SOON, || drop(ports))?;
    want_errno("REGISTER", Port::tx(Q).map(drop), libc::EBUSY)?;
    want("pages are kept", region_pages()? > 0)?;
    want_eq("references to netmap", refs("netmap")?, 2)?;
    log.says_times("did not stop; its memory is kept and TX ring", 2)?;
    for (stuck, babble) in faults {
        drop((stuck?, babble?));
    }
    reset_port()?;
    nothing_kept()?;
    drop(Port::tx(Q)?);
    Ok(())
}

/// Some milliseconds late: longer, but nothing else.
fn queue_that_stops_late_is_taken_and_given() -> Result<()> {
    let nic = Nic::open()?;
    let late = Fault::with(&nic, format!("rxq {Q} late"), 3)?;
    let late_tx = Fault::with(&nic, format!("txq {} late", spare(Q)), 3)?;
    for seq in 0..count(2, 50) as u32 {
        let lane = in_time("taking it", SOON, Lane::open)??;
        let tx = Port::tx(Q)?;
        arrive(&nic, &lane, 10 * seq)?;
        in_time("giving it", SOON, || drop((lane, tx)))?;
    }
    drop((late, late_tx));
    nothing_kept()
}

/// The kernel has it for now: the program hears EIO and POLLERR, and gets it back.
fn rx_queue_that_does_not_start_after_a_reset_is_lent_until_the_next() -> Result<()> {
    let log = Log::from_now();
    let lane = Lane::open()?;
    let nic = Nic::open()?;
    let dead = Fault::on(&nic, format!("rxq {Q} dead"))?;
    reset_port()?;
    want_errno("RXSYNC", lane.port.fd.rxsync(), libc::EIO)?;
    let events = lane.port.fd.poll(libc::POLLIN, Duration::ZERO)?;
    want("POLLERR", events & libc::POLLERR != 0)?;
    log.says_times(&format!("RX queue {Q}: netmap could not start it"), 1)?;
    drop(dead);
    reset_port()?;
    arrive(&nic, &lane, 1)
}

fn tx_queue_that_does_not_start_after_a_reset_is_parked_until_the_next() -> Result<()> {
    let log = Log::from_now();
    let port = Port::tx(Q)?;
    let nic = Nic::open()?;
    let dead = Fault::on(&nic, format!("txq {} dead", spare(Q)))?;
    reset_port()?;
    want_errno("TXSYNC", port.fd.txsync(), libc::EIO)?;
    log.says_times(&format!("TX ring {Q} did not start again after a reset"), 1)?;
    drop(dead);
    reset_port()?;
    want_ok("TXSYNC after the next", port.fd.txsync())?;
    in_time("close()", SOON, || drop(port))?;
    nothing_kept()
}

/// An fd that wants many, of which some do not start, gets an errno and leaves nothing.
fn several_queues_that_do_not_start_are_not_taken() -> Result<()> {
    let queues: Vec<u32> = (2..8).collect();
    let _rss = Rss::without(&queues)?;
    let nic = Nic::open()?;
    let port = take_rx(&[])?;
    let dead = [5, 7].map(|q| Fault::on(&nic, format!("rxq {q} dead")));
    for &q in &queues {
        match q {
            5 | 7 => want_errno("NIOCQADD", port.fd.qadd(q), libc::EIO)?,
            _ => want_ok("NIOCQADD", port.fd.qadd(q))?,
        }
    }
    for fault in dead {
        drop(fault?);
    }
    for q in [5, 7] {
        want_eq("state", rx_info(&port.fd, q)?.state, Q_KERNEL)?;
        want_ok("NIOCQADD once it starts", port.fd.qadd(q))?;
    }
    in_time("close()", SOON, || drop(port))?;
    nothing_kept()
}
