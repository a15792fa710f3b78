// SPDX-License-Identifier: GPL-2.0
//! What a program can do with queues in a short life, chosen by a number: for tests that do it a
//! thousand times, and for the program that is killed in the middle of it.

use crate::abi::*;
use crate::csb::{enable, Csb, Loop};
use crate::fd::{one_rx, Fd};
use crate::frame::outgoing;
use crate::port::{rx_info, Port};
use crate::setup::eventually;
use crate::steer::ifname;
use crate::tests::extmem;
use crate::tests::putback::put_copy;
use anyhow::{bail, ensure, Context, Result};
use std::time::Duration;

/// Lives there are.
pub const KINDS: u64 = 9;

/// One life of kind `kind % KINDS` on RX queues (or TX rings) `a` and `b`; ends with everything
/// closed.
pub fn live(kind: u64, a: u32, b: u32) -> Result<()> {
    match kind % KINDS {
        0 => receive(&Port::rx(a).context("one RX ring")?, a),
        1 => receive(&Port::rx_putback(a).context("RX with put-back")?, a),
        2 => send(&Port::tx(a).context("one TX ring")?, a),
        3 => private(a),
        4 => moving(a, b),
        5 => two(a, b),
        6 => kernel_loop(a),
        7 => {
            let port = extmem::hold(a)?;
            port.fd.rxsync().context("RXSYNC, EXTMEM")?;
            Ok(())
        }
        _ => host(),
    }
}

/// Frames are looked at and given back, a few times.
fn receive(port: &Port, queue: u32) -> Result<()> {
    let ring = port.ring(queue)?;
    for _ in 0..3 {
        let events = port.fd.poll(libc::POLLIN, Duration::from_millis(1))?;
        ensure!(events & libc::POLLERR == 0, "poll says {events:#x}");
        ring.take();
    }
    Ok(())
}

fn send(port: &Port, queue: u32) -> Result<()> {
    let ring = port.tx_ring(queue)?;
    for seq in 0..8 {
        if ring.space() > 0 {
            put_copy(&ring, &outgoing(seq, 200))?;
        }
    }
    port.fd.txsync().context("TXSYNC")?;
    Ok(())
}

/// A region of its own, with buffers besides those in the ring.
fn private(queue: u32) -> Result<()> {
    let mut reg = one_rx(queue);
    reg.flags |= PRIVATE_MEM;
    reg.extra_bufs = 64;
    let port = Port::open(&ifname(), reg).context("a region of its own")?;
    receive(&port, queue)
}

/// Queues that join and leave one by one.
fn moving(a: u32, b: u32) -> Result<()> {
    let none = Register {
        flags: RX_ONLY | NO_RINGS,
        ..one_rx(0)
    };
    let port = Port::open(&ifname(), none).context("no rings")?;
    for queue in [a, b] {
        port.fd.qadd(queue).context("QADD")?;
        receive(&port, queue)?;
    }
    port.fd.qdel(a).context("QDEL")?;
    Ok(())
}

/// Two fds of one region.
fn two(a: u32, b: u32) -> Result<()> {
    let first = Port::rx(a).context("the first of two")?;
    let second = Port::rx(b).context("the second of two")?;
    receive(&first, a)?;
    receive(&second, b)
}

fn kernel_loop(queue: u32) -> Result<()> {
    let mut reg = one_rx(queue);
    reg.flags |= EXCLUSIVE;
    let port = Port::open(&ifname(), reg).context("EXCLUSIVE")?;
    let csb = Csb::new()?;
    let opt = csb.option();
    enable(&port.fd, &raw const opt as u64).context("CSB_ENABLE")?;
    let running = Loop::start(&port.fd, 0, 0)?;
    if let Some(ended) = running.ended(Duration::from_millis(2)) {
        bail!("the kernel loop ended by itself: {ended:?}");
    }
    running.stop()?.context("the kernel loop")?;
    drop(port);
    // The loop's thread has the file for a moment longer.
    let fd = Fd::open()?;
    eventually("the queue is the kernel's", Duration::from_secs(5), || {
        Ok(rx_info(&fd, queue)?.state == Q_KERNEL)
    })
}

/// The host rings: no queue of the card.
fn host() -> Result<()> {
    let all = Register {
        mode: SW,
        ..Register::default()
    };
    let port = Port::open(&ifname(), all).context("host rings")?;
    port.fd.txsync().context("TXSYNC, host rings")?;
    Ok(())
}

/// A program that lives one life after the other, beginning with kind `seed`, until it is killed.
/// Requests may fail: another such program may have the queue.
pub fn forever(seed: u64, a: u32, b: u32) -> Result<()> {
    for kind in seed.. {
        let _ = live(kind, a, b);
    }
    Ok(())
}
