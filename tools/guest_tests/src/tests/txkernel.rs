// SPDX-License-Identifier: GPL-2.0
//! The kernel's own transmission while programs have TX rings (netmap-abi 2.4.2, lessons 2 and
//! 3): every queue the stack can pick is served, nothing is dropped, nothing stalls.

use super::abi_register::rx;
use super::tests;
use super::tx::{drained, leaves};
use crate::abi::*;
use crate::check::*;
use crate::fd::one_tx;
use crate::frame::{outgoing, parse_udp, EXPERIMENT};
use crate::helper::Helper;
use crate::nic::Nic;
use crate::peer::{self, PEER};
use crate::port::{tx_info, Port, Q};
use crate::steer::{ifname, num_queues, run, sysfs};
use crate::tests::putback::put_copy;
use crate::txlog::TxLog;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::time::Duration;

tests! { "txkernel":
    every_cpu_sends_while_every_tx_ring_is_out @ 120,
    tcp_at_full_speed_beside_a_sending_program @ 120,
    queues_of_the_kernel_are_never_stopped_by_taking_a_tx_ring @ 120,
    kernel_sends_on_while_rings_come_and_go @ 120,
    program_and_kernel_on_one_ring_number_use_different_hardware_queues,
    priority_of_the_kernels_packets_is_left_alone,
}

/// The netdev's TX counters that must stay.
fn losses() -> Result<Vec<u64>> {
    [
        "tx_dropped",
        "tx_errors",
        "tx_fifo_errors",
        "tx_carrier_errors",
    ]
    .iter()
    .map(|f| Ok(sysfs(&format!("statistics/{f}"))?.parse()?))
    .collect()
}

/// Packets its qdiscs dropped, or put off because the driver was busy.
fn qdisc_losses() -> Result<u64> {
    let said = run("tc", &["-s", "qdisc", "show", "dev", &ifname()])?;
    let number = |after: &str, text: &str| -> u64 {
        let rest = text.split_once(after).map_or("", |(_, r)| r);
        let digits: String = rest
            .trim_start()
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        digits.parse().unwrap_or(0)
    };
    Ok(said.lines().map(|l| number("(dropped", l)).sum())
}

/// Runs `f` on each CPU in turn.
fn on_every_cpu(mut f: impl FnMut(usize) -> Result<()>) -> Result<()> {
    let cpus = std::thread::available_parallelism()?.get();
    for cpu in 0..cpus {
        pin(&[cpu])?;
        f(cpu).with_context(|| format!("on CPU {cpu}"))?;
    }
    pin(&(0..cpus).collect::<Vec<_>>())
}

fn pin(cpus: &[usize]) -> Result<()> {
    // SAFETY: a set of this thread's own.
    let set = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        for c in cpus {
            libc::CPU_SET(*c, &mut set);
        }
        libc::sched_setaffinity(0, std::mem::size_of_val(&set), &set)
    };
    want_eq("sched_setaffinity", set, 0)
}

/// Sends datagrams from every CPU and has them echoed: each CPU has a TX queue of its own (XPS).
fn every_cpu_is_served(nic: &Nic) -> Result<BTreeSet<u32>> {
    let socket = peer::udp(PEER)?;
    let before = nic.counts()?;
    on_every_cpu(|cpu| {
        for k in 0..20 {
            let took = peer::udp_echo(&socket, (cpu * 100 + k) as u32, 100 + k)?;
            want(
                &format!("echo in time: {took:?}"),
                took < Duration::from_secs(3),
            )?;
        }
        Ok(())
    })?;
    let after = nic.counts()?;
    let mut used = BTreeSet::new();
    for q in 0..num_queues("tx-")? {
        if after.txq(q, "packets")? > before.txq(q, "packets")? {
            used.insert(q);
        }
    }
    Ok(used)
}

/// One fd per TX ring, so that nothing is diverted.
fn all_tx_rings() -> Result<Vec<Port>> {
    (0..num_queues("tx-")?)
        .map(|q| want_ok("TX ring", Port::open(&ifname(), one_tx(q))))
        .collect()
}

fn every_cpu_sends_while_every_tx_ring_is_out() -> Result<()> {
    let nic = Nic::open()?;
    let usual = every_cpu_is_served(&nic)?;
    let (lost, qdisc) = (losses()?, qdisc_losses()?);
    let ports = all_tx_rings()?;
    let now = every_cpu_is_served(&nic)?;
    want_eq("hardware queues the kernel sends through", now, usual)?;
    for (q, port) in ports.iter().enumerate() {
        leaves(&nic, port, q as u32, &[outgoing(q as u32, 60)])?;
    }
    drop(ports);
    every_cpu_is_served(&nic)?;
    want_eq("drops and errors", losses()?, lost)?;
    want_eq("drops of the qdiscs", qdisc_losses()?, qdisc)
}

/// A program that sends as fast as it can on the same ring number; TCP content is checked.
fn tcp_at_full_speed_beside_a_sending_program() -> Result<()> {
    let (lost, qdisc) = (losses()?, qdisc_losses()?);
    let sender = Helper::start(&["send", &Q.to_string()])?;
    sender.ready()?;
    peer::tcp_echo(4 << 20, Duration::from_secs(90))?;
    want_eq("pings answered", peer::pings(30)?, 30)?;
    let port = crate::fd::Fd::open()?;
    let sent = tx_info(&port, Q)?.counter[counter::PACKETS];
    want(&format!("the program sent meanwhile: {sent}"), sent > 1000)?;
    sender.kill()?;
    want_eq("drops and errors", losses()?, lost)?;
    want_eq("drops of the qdiscs", qdisc_losses()?, qdisc)
}

/// A stopped or unserved queue would hold its datagrams back.
fn queues_of_the_kernel_are_never_stopped_by_taking_a_tx_ring() -> Result<()> {
    let nic = Nic::open()?;
    let n = num_queues("tx-")?;
    for q in [0, Q, n - 1] {
        let port = Port::tx(q)?;
        every_cpu_is_served(&nic)?;
        // a ring full of frames that are never synced again
        let ring = port.tx_ring(q)?;
        for seq in 0..ring.space() {
            put_copy(&ring, &outgoing(seq, 60))?;
        }
        want_ok("TXSYNC", port.fd.txsync())?;
        every_cpu_is_served(&nic)?;
        drained(&port, &ring)?;
    }
    for q in 0..n {
        let timeouts = sysfs(&format!("queues/tx-{q}/tx_timeout"))?;
        want_eq(
            &format!("tx_timeout of queue {q}"),
            timeouts,
            "0".to_string(),
        )?;
    }
    Ok(())
}

/// Datagrams flow without a pause while rings are taken and given back.
fn kernel_sends_on_while_rings_come_and_go() -> Result<()> {
    let lost = losses()?;
    let stop = std::sync::atomic::AtomicBool::new(false);
    let (count, worst) = std::thread::scope(|s| -> Result<(u32, Duration)> {
        let echo = s.spawn(|| -> Result<(u32, Duration)> {
            let socket = peer::udp(PEER)?;
            let (mut seq, mut worst) = (0, Duration::ZERO);
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                worst = worst.max(peer::udp_echo(&socket, seq, 200)?);
                seq += 1;
            }
            Ok((seq, worst))
        });
        let turns = (|| {
            for _ in 0..5 {
                drop(all_tx_rings()?);
            }
            for _ in 0..20 {
                drop(Port::tx(Q)?);
            }
            Ok(())
        })();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let got = echo.join().ok().context("the echo thread died")?;
        turns.and(got)
    })?;
    println!("{count} round trips, the longest {worst:?}");
    want("datagrams went on", count > 20)?;
    want(
        &format!("no round trip was held up: {worst:?}"),
        worst < Duration::from_secs(2),
    )?;
    want_eq("drops and errors", losses()?, lost)
}

/// The proposed design: a spare hardware queue behind each netmap TX ring.
fn program_and_kernel_on_one_ring_number_use_different_hardware_queues() -> Result<()> {
    let nic = Nic::open()?;
    let n = num_queues("tx-")?;
    let port = Port::tx(Q)?;
    let reg = tx_info(&port.fd, Q)?.reg_idx;
    want(&format!("hardware queue {reg} is a spare one"), reg >= n)?;
    let before = nic.counts()?;
    let frames: Vec<_> = (0..50).map(|s| outgoing(s, 60)).collect();
    leaves(&nic, &port, Q, &frames)?;
    let after = nic.counts()?;
    let moved = |q| -> Result<u64> { Ok(after.txq(q, "packets")? - before.txq(q, "packets")?) };
    want_eq("the program's hardware queue", moved(reg)?, 50)?;
    for q in 0..n {
        let few = moved(q)?;
        want(
            &format!("the kernel's hardware queue {q} sent none of them: {few}"),
            few < 10,
        )?;
    }
    Ok(())
}

/// 2.4.2: upstream overwrites skb->priority; here a priority chooses the qdisc band it should.
fn priority_of_the_kernels_packets_is_left_alone() -> Result<()> {
    let name = ifname();
    // a prio qdisc counts by band: priority 6 (interactive) goes to band 1, 0 to band 2
    let _port = Port::open(&name, rx(ONE_NIC, Q as u16, TX_ONLY))?;
    let nic = Nic::open()?;
    let log = TxLog::start(&nic)?;
    let socket = peer::udp(PEER)?;
    let six: libc::c_int = 6;
    // SAFETY: an int option of an open socket.
    let set = unsafe {
        libc::setsockopt(
            std::os::fd::AsRawFd::as_raw_fd(&socket),
            libc::SOL_SOCKET,
            libc::SO_PRIORITY,
            (&raw const six).cast(),
            4,
        )
    };
    want_eq("SO_PRIORITY", set, 0)?;
    run("tc", &["qdisc", "add", "dev", &name, "clsact"])?;
    let counted = (|| {
        // the egress hook sees the priority just before the driver does
        let rule = [
            "filter",
            "add",
            "dev",
            &name,
            "egress",
            "protocol",
            "ip",
            "basic",
            "match",
            "meta(priority eq 6)",
            "action",
            "ok",
        ];
        run("tc", &rule)?;
        for seq in 0..10 {
            peer::udp_echo(&socket, seq, 100)?;
        }
        run("tc", &["-s", "filter", "show", "dev", &name, "egress"])
    })();
    run("tc", &["qdisc", "del", "dev", &name, "clsact"])?;
    let said = counted?;
    want(
        &format!("the filter saw ten packets of priority 6: {said}"),
        said.contains(" 10 pkt"),
    )?;
    let frames = log.wait(10, |f| parse_udp(f).is_some_and(|u| u.dport == 7))?;
    want(
        "no other frames between",
        frames.iter().all(|f| f[12..14] != EXPERIMENT),
    )
}
