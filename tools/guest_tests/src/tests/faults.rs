// SPDX-License-Identifier: GPL-2.0
//! The port goes away under a program, or the hardware misbehaves.

use super::lifecycle::{kernel_receives, receives};
use super::tests;
use crate::abi::*;
use crate::broken::Fault;
use crate::check::*;
use crate::fd::Fd;
use crate::nic::Nic;
use crate::port::{rx_info, Lane, Port, DPORT, Q, Q2};
use crate::setup;
use crate::steer::{ifname, run, Rule};
use anyhow::{bail, Context, Result};
use std::fs;
use std::time::{Duration, Instant};

tests! { "lifecycle":
    driver_unbind_with_a_queue_out_gives_enxio @ 120 | flaps,
    interface_moved_to_another_namespace_gives_enxio @ 120 | flaps,
    queue_that_does_not_stop_is_not_taken_and_serves_on,
    queue_that_does_not_start_is_not_taken,
    wrong_lengths_from_the_card_are_bounded,
}

/// What a registered fd answers once its port has gone; its poll wakes.
fn gone(port: &Port, sleeper: std::thread::JoinHandle<Sys<i16>>, since: Instant) -> Result<()> {
    match sleeper.join() {
        Ok(r) => want("POLLERR for the sleeper", r? & libc::POLLERR != 0)?,
        Err(_) => bail!("the polling thread died"),
    }
    let took = since.elapsed();
    want(
        &format!("it was woken: {took:?}"),
        took < Duration::from_secs(15),
    )?;
    want_errno("RXSYNC", port.fd.rxsync(), libc::ENXIO)?;
    want_errno("TXSYNC", port.fd.txsync(), libc::ENXIO)?;
    want_errno("NIOCQADD", port.fd.qadd(Q2), libc::ENXIO)?;
    let events = port.fd.poll(libc::POLLIN, Duration::ZERO)?;
    want("POLLERR", events & libc::POLLERR != 0)?;
    // the mapping stays readable
    port.ring(Q)?;
    Ok(())
}

fn sleeping_poll(port: &Port) -> std::thread::JoinHandle<Sys<i16>> {
    let raw = port.fd.raw();
    let limit = Duration::from_secs(30);
    let thread = std::thread::spawn(move || crate::fd::poll_fd(raw, libc::POLLIN, limit));
    std::thread::sleep(Duration::from_millis(300));
    thread
}

/// PCI unbind, as at hot unplug: the port has gone, the fd stays.
fn driver_unbind_with_a_queue_out_gives_enxio() -> Result<()> {
    let device = fs::canonicalize(format!("/sys/class/net/{}/device", ifname()))?;
    let address = device.file_name().context("no PCI address")?;
    let address = address.to_string_lossy().into_owned();
    let port = Port::rx_putback(Q)?;
    let sleeper = sleeping_poll(&port);
    let since = Instant::now();
    fs::write("/sys/bus/pci/drivers/ixgbe/unbind", &address)?;
    let said = gone(&port, sleeper, since);
    fs::write("/sys/bus/pci/drivers/ixgbe/bind", &address)?;
    setup::ensure()?;
    said?;
    want_errno(
        "RXSYNC: it does not come back to life",
        port.fd.rxsync(),
        libc::ENXIO,
    )?;
    let lane = Lane::open()?;
    receives(&lane, 1)?;
    drop(lane);
    drop(port);
    kernel_receives(1)
}

/// A port belongs to the namespace it was registered in.
fn interface_moved_to_another_namespace_gives_enxio() -> Result<()> {
    let (name, netns) = (ifname(), "nm_test");
    let port = Port::rx_putback(Q)?;
    let sleeper = sleeping_poll(&port);
    run("ip", &["netns", "add", netns])?;
    let since = Instant::now();
    let there = run("ip", &["link", "set", "dev", &name, "netns", netns]);
    let said = gone(&port, sleeper, since);
    let back = run(
        "ip",
        &["-n", netns, "link", "set", "dev", &name, "netns", "1"],
    );
    run("ip", &["netns", "del", netns])?;
    setup::ensure()?;
    there.and(back)?;
    said?;
    drop(port);
    receives(&Lane::open()?, 1)
}

/// RXDCTL.ENABLE stays on: EIO, nothing has changed, the kernel receives on it.
fn queue_that_does_not_stop_is_not_taken_and_serves_on() -> Result<()> {
    let nic = Nic::open()?;
    let stuck = Fault::on(&nic, format!("rxq {Q} stuck"))?;
    let got = Port::rx(Q).map(drop);
    drop(stuck);
    drop(nic);
    want_errno("REGISTER", got, libc::EIO)?;
    want_eq("state", rx_info(&Fd::open()?, Q)?.state, Q_KERNEL)?;
    let rule = Rule::udp(DPORT, Q)?;
    for seq in 0..5 {
        kernel_receives(seq)?;
    }
    drop(rule);
    receives(&Lane::open()?, 1)
}

/// RXDCTL.ENABLE does not come on: EIO, and the queue is left to the kernel.
fn queue_that_does_not_start_is_not_taken() -> Result<()> {
    let nic = Nic::open()?;
    let dead = Fault::on(&nic, format!("rxq {Q} dead"))?;
    let got = Port::rx(Q).map(drop);
    drop(dead);
    drop(nic);
    want_errno("REGISTER", got, libc::EIO)?;
    want_eq("state", rx_info(&Fd::open()?, Q)?.state, Q_KERNEL)?;
    receives(&Lane::open()?, 1)
}

/// A descriptor that claims more than its buffer holds: the slot's length is
/// bounded by the buffer's size.
fn wrong_lengths_from_the_card_are_bounded() -> Result<()> {
    let lane = Lane::open()?;
    let nic = Nic::open()?;
    let ring = lane.ring()?;
    let wrong = Fault::on(&nic, format!("rxq {Q} length"))?;
    let frame = crate::frame::udp_sized(DPORT, 1, 100);
    nic.send_n(&frame, 20)?;
    setup::eventually("slots are filled", Duration::from_secs(10), || {
        lane.port.fd.rxsync()?;
        Ok(ring.space() >= 20)
    })?;
    drop(wrong);
    let (mut i, mut wrong) = (ring.head(), 0);
    while i != ring.tail() {
        let len = u32::from(ring.slot(i).len);
        wrong += u32::from(len != 100);
        want(&format!("length {len} of slot {i}"), len <= ring.buf_size)?;
        i = ring.next(i);
    }
    want("the card did give wrong lengths", wrong > 0)?;
    ring.set_cur(i);
    ring.set_head(i);
    drop(nic);
    receives(&lane, 1)
}
