// SPDX-License-Identifier: GPL-2.0
//! Kernel loops over the NIC's TX rings and the host's rings (API 14: 1.8 order
//! of entries, 5 kloop/CSB).

use super::putback::payload;
use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::csb::*;
use crate::frame::{udp, udp_sized};
use crate::mem::{Ring, Slot};
use crate::nic::Nic;
use crate::port::{Port, DPORT, OTHER_PORT, Q};
use crate::setup::eventually;
use crate::sock::{bind, recv};
use crate::steer::ifname;
use anyhow::{Context, Result};
use std::time::{Duration, Instant};

tests! { "kloop":
    frames_in_a_tx_ring_go_out_by_the_loop,
    frames_in_a_tx_ring_go_out_by_a_kick,
    frames_in_the_host_tx_ring_reach_the_stack,
    entries_of_a_ring_pair_are_tx_then_rx,
}

const SOON: Duration = Duration::from_secs(10);

fn port(mode: u32, flags: u64) -> Result<(Port, Csb)> {
    let reg = Register {
        mode,
        ringid: if mode == ONE_NIC { Q as u16 } else { 0 },
        flags: flags | EXCLUSIVE,
        ..Default::default()
    };
    let port = want_ok("REGISTER", Port::open(&ifname(), reg))?;
    let csb = Csb::new()?;
    let mut opt = csb.option();
    want_ok("CSB_ENABLE", enable(&port.fd, &raw mut opt as u64))?;
    Ok((port, csb))
}

/// The fd's TX ring of the NIC.
fn tx_ring(port: &Port) -> Result<Ring> {
    port.nif.tx(Q).context("ring_ofs of the TX ring is 0")
}

/// Fills the slot at `head`; returns the next.
fn fill(ring: &Ring, head: u32, frame: &[u8]) -> u32 {
    let slot = ring.slot(head);
    ring.mem.copy_in(ring.buf_off(slot.idx), frame);
    let len = frame.len() as u16;
    ring.set_slot(
        head,
        Slot {
            len,
            flags: 0,
            ..slot
        },
    );
    ring.next(head)
}

/// All sent, and all slots but one the program's.
fn all_sent(csb: &Csb, ring: &Ring, head: u32) -> Result<()> {
    eventually("all is sent, and the slots are the program's", SOON, || {
        Ok(csb.indices(0) == (head, (head + ring.n - 1) % ring.n))
    })
}

/// More frames than the ring has slots.
fn frames_in_a_tx_ring_go_out_by_the_loop() -> Result<()> {
    let (port, csb) = port(ONE_NIC, TX_ONLY)?;
    let ring = tx_ring(&port)?;
    let kloop = Loop::start(&port.fd, 100, 0)?;
    let nic = Nic::open()?;
    let count = ring.n + 100;
    let (mut head, mut seq) = (0, 0);
    let ((), sent) = nic.sent_during(|| {
        let end = Instant::now() + SOON;
        while seq < count && Instant::now() < end {
            let tail = csb.indices(0).1;
            while seq < count && head != tail {
                head = fill(&ring, head, &udp_sized(DPORT, seq, 200));
                seq += 1;
            }
            csb.advance(0, head);
        }
        all_sent(&csb, &ring, head)
    })?;
    let ours: Vec<_> = (0..count).map(|s| udp_sized(DPORT, s, 200)).collect();
    let sent: Vec<_> = sent.into_iter().filter(|f| f.len() == 200).collect();
    want_eq("frames on the wire", sent, ours)?;
    want_ok("START returns 0", kloop.stop()?)
}

/// One frame, one kick; the NIC's interrupt brings the slot back, and the irqfd says so.
fn frames_in_a_tx_ring_go_out_by_a_kick() -> Result<()> {
    let (port, csb) = port(ONE_NIC, TX_ONLY)?;
    let ring = tx_ring(&port)?;
    let (io, irq) = (EventFd::new()?, EventFd::new()?);
    let mut words = eventfds(&[(io.raw(), irq.raw())]);
    let kloop = Loop::start(&port.fd, 0, words.as_mut_ptr() as u64)?;
    let nic = Nic::open()?;
    let mut head = 0;
    let ((), sent) = nic.sent_during(|| {
        for seq in 0..20 {
            eventually("the loop asks for kicks", SOON, || {
                Ok(csb.says(0, KERN_NEED_KICK) == 1)
            })?;
            irq.take();
            head = fill(&ring, head, &udp_sized(DPORT, seq, 200));
            csb.advance(0, head);
            let begin = Instant::now();
            io.signal();
            want("the irqfd was signalled", irq.wait(SOON)? != 0)?;
            all_sent(&csb, &ring, head)?;
            let took = begin.elapsed();
            want(
                &format!("by kick and interrupt, not by chance after {took:?}"),
                took < Duration::from_millis(800),
            )?;
        }
        Ok(())
    })?;
    let sent = sent.iter().filter(|f| f.len() == 200).count();
    want_eq("frames on the wire", sent, 20)?;
    want_ok("START returns 0", kloop.stop()?)
}

fn frames_in_the_host_tx_ring_reach_the_stack() -> Result<()> {
    let (port, csb) = port(SW, 0)?;
    let kloop = Loop::start(&port.fd, 100, 0)?;
    let socket = bind(OTHER_PORT)?;
    let host = port.host()?;
    let mut head = 0;
    for i in 0..20u8 {
        let frame = udp(40001, OTHER_PORT, &[i; 100]);
        head = fill(&host, head, &frame);
        csb.advance(0, head);
        let got = recv(&socket, SOON)?.context("the frame did not come")?;
        want_eq("payload", got, payload(&frame))?;
    }
    all_sent(&csb, &host, head)?;
    want_eq("host RX: hwcur, hwtail", csb.indices(1), (0, 0))?;
    want_ok("START returns 0", kloop.stop()?)
}

/// 1.8: the fd's TX rings first, then its RX rings.
fn entries_of_a_ring_pair_are_tx_then_rx() -> Result<()> {
    let (port, csb) = port(ONE_NIC, 0)?;
    let n = tx_ring(&port)?.n;
    want_eq("TX: hwcur, hwtail", csb.indices(0), (0, n - 1))?;
    want_eq("RX: hwcur, hwtail", csb.indices(1), (0, 0))?;
    want_eq("there is no third", csb.says(2, HWCUR), 0xa5a5_a5a5)
}
