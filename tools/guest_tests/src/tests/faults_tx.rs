// SPDX-License-Identifier: GPL-2.0
//! A spare hardware TX queue misbehaves: it does not start, sends nothing, does not stop.

use super::putback::put_copy;
use super::tests;
use crate::abi::*;
use crate::broken::Fault;
use crate::check::*;
use crate::frame::udp_sized;
use crate::kmsg::Kmsg;
use crate::mem::Ring;
use crate::nic::Nic;
use crate::port::{Port, DPORT, Q};
use crate::setup::eventually;
use crate::steer::{ifname, num_queues};
use anyhow::{Context, Result};
use std::time::{Duration, Instant};

tests! { "lifecycle":
    spare_tx_queue_that_does_not_start_is_not_taken,
    tx_queue_that_sends_nothing_fills_up_and_closes_in_bounded_time,
    many_tx_queues_that_send_nothing_wait_for_little_more_than_one,
}

/// The hardware queue behind TX ring `Q`, as Documentation/ixgbe-hooks.md says.
const SPARE: u32 = 63 - Q;

const SOON: Duration = Duration::from_secs(10);

/// TX ring `Q` and nothing else.
fn take() -> Sys<Port> {
    let reg = Register {
        mode: ONE_NIC,
        ringid: Q as u16,
        flags: TX_ONLY,
        ..Default::default()
    };
    Port::open(&ifname(), reg)
}

fn ring(port: &Port) -> Result<Ring> {
    port.nif.tx(Q).context("ring_ofs of the TX ring is 0")
}

/// One frame goes to the wire, by the spare queue, and its slot comes back.
fn sends(nic: &Nic, port: &Port) -> Result<()> {
    let before = nic.counts()?.txq(SPARE, "packets")?;
    let ring = ring(port)?;
    put_copy(&ring, &udp_sized(DPORT, 1, 100))?;
    eventually("the slot is the program's again", SOON, || {
        want_ok("TXSYNC", port.fd.txsync())?;
        Ok(ring.space() == ring.n - 1)
    })?;
    let after = nic.counts()?.txq(SPARE, "packets")?;
    want_eq("frames that left the spare queue", after - before, 1)
}

/// TXDCTL.ENABLE does not come on: EIO, and nothing is left behind.
fn spare_tx_queue_that_does_not_start_is_not_taken() -> Result<()> {
    let nic = Nic::open()?;
    let dead = Fault::on(&nic, format!("txq {SPARE} dead"))?;
    want_errno("REGISTER", take().map(drop), libc::EIO)?;
    drop(dead);
    sends(&nic, &take()?)
}

/// The card fetches no descriptor: the ring fills up, POLLOUT does not come, close() waits for
/// the hardware only so long.  What was not sent never is.
fn tx_queue_that_sends_nothing_fills_up_and_closes_in_bounded_time() -> Result<()> {
    let nic = Nic::open()?;
    let port = take()?;
    let ring = ring(&port)?;
    let sent = nic.counts()?.txq(SPARE, "packets")?;
    let hang = Fault::on(&nic, format!("txq {SPARE} hang"))?;
    while ring.space() > 0 {
        put_copy(&ring, &udp_sized(DPORT, 2, 60))?;
    }
    want_ok("TXSYNC", port.fd.txsync())?;
    let events = port.fd.poll(libc::POLLOUT, Duration::from_millis(300))?;
    want_eq("poll on a ring that does not move", events, 0)?;
    let since = Instant::now();
    drop(ring);
    drop(port);
    let took = since.elapsed();
    want(
        &format!("close() took {took:?}"),
        took < Duration::from_secs(3),
    )?;
    drop(hang);
    let now = nic.counts()?.txq(SPARE, "packets")?;
    want_eq("frames that left the spare queue", now - sent, 0)?;
    sends(&nic, &take()?)
}

/// All TX rings of the port, as with the link paused: close() holds rtnl, so it must not wait for
/// each of them as long as for one. The driver's log says how long it waited for each.
fn many_tx_queues_that_send_nothing_wait_for_little_more_than_one() -> Result<()> {
    let nic = Nic::open()?;
    let all = Register {
        mode: ALL_NIC,
        flags: TX_ONLY,
        ..Default::default()
    };
    let rings = num_queues("tx-")?;
    let fault = |what: &str| -> Result<()> {
        (0..rings).try_for_each(|q| {
            nic.cmd(&format!("fault txq {} hang {what}", 63 - q))
                .map(drop)
        })
    };
    let port = Port::open(&ifname(), all)?;
    fault("on")?;
    let closed = (|| -> Result<Vec<String>> {
        for q in 0..rings {
            put_copy(&port.tx_ring(q)?, &udp_sized(DPORT, 2, 60))?;
        }
        want_ok("TXSYNC", port.fd.txsync())?;
        let mut log = Kmsg::from_now();
        drop(port);
        Ok(log.new_lines())
    })();
    fault("off")?;
    let waits: Vec<u64> = closed?
        .iter()
        .filter_map(|l| l.split("packets to send after ").nth(1))
        .filter_map(|l| l.split(' ').next()?.parse().ok())
        .collect();
    want_eq("rings that were waited for", waits.len() as u32, rings)?;
    want(
        &format!("milliseconds waited: {waits:?}"),
        waits[0] == 100 && waits.iter().sum::<u64>() < 300,
    )?;
    // One that is given back some time after that has all of its time again.
    std::thread::sleep(Duration::from_millis(200));
    sends(&nic, &take()?)
}
