// SPDX-License-Identifier: GPL-2.0
//! Several fds on one port and on one ring (netmap-abi 1.7 details "Exclusivity is per ring",
//! 1.13): who may join whom, what each sees, and when rings go back.

use super::abi_register::{rx, try_register};
use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::{one_rx, one_tx, Fd};
use crate::frame::{outgoing, udp_sized};
use crate::helper::Helper;
use crate::nic::Nic;
use crate::port::{rx_info, tx_info, Lane, Port, DPORT, Q, Q2};
use crate::setup::eventually;
use crate::steer::ifname;
use crate::tests::putback::put_copy;
use crate::txlog::TxLog;
use anyhow::{bail, Result};
use std::time::Duration;

tests! { "share":
    second_fd_on_a_ring_sees_the_same_ring_in_its_own_netmap_if,
    ring_stays_out_until_its_last_fd_closes,
    exclusive_and_shared_exclude_each_other_on_every_kind_of_ring,
    exclusive_on_one_ring_leaves_the_others_free,
    exclusive_ring_is_free_again_after_close,
    fd_of_another_region_on_the_same_ring_gives_ebusy,
    other_user_on_the_same_ring_gives_ebusy_on_another_is_welcome,
    two_processes_split_a_ports_rings,
    two_fds_receive_from_one_ring_without_loss_or_double,
    two_fds_send_through_one_ring_without_loss_or_double,
    frame_wakes_the_pollers_of_both_fds,
    mapping_outlives_close_and_keeps_the_registration,
    mapping_in_a_forked_process_keeps_the_registration,
    one_fd_dies_the_other_goes_on,
    all_nic_and_one_nic_share_a_ring,
}

const SOON: Duration = Duration::from_secs(10);

fn state(queue: u32) -> Result<u32> {
    Ok(rx_info(&Fd::open()?, queue)?.state)
}

/// 1.13: ring objects exist per port, shared by all fds; each fd has its own netmap_if.
fn second_fd_on_a_ring_sees_the_same_ring_in_its_own_netmap_if() -> Result<()> {
    let a = want_ok("first", Port::rx(Q))?;
    let b = want_ok("second", Port::rx(Q))?;
    want("each has its own netmap_if", a.reg.offset != b.reg.offset)?;
    want_eq("mem_id", b.reg.mem_id, a.reg.mem_id)?;
    want_eq("place of the ring", a.ring(Q)?.off, b.ring(Q)?.off)?;
    let (a, b) = (
        want_ok("first, TX", Port::tx(Q2))?,
        want_ok("second, TX", Port::tx(Q2))?,
    );
    want_eq(
        "place of the TX ring",
        a.tx_ring(Q2)?.off,
        b.tx_ring(Q2)?.off,
    )
}

/// Closing one of two fds takes nothing from the other.
fn ring_stays_out_until_its_last_fd_closes() -> Result<()> {
    let lane = Lane::open()?;
    let (b, c) = (Port::rx(Q)?, Port::rx(Q)?);
    drop(b);
    super::lifecycle::receives(&lane, 1)?;
    want_eq("state", state(Q)?, Q_NETMAP)?;
    drop(lane);
    want_eq("state with the third alone", state(Q)?, Q_NETMAP)?;
    want_ok("RXSYNC", c.fd.rxsync())?;
    drop(c);
    want_eq("state after the last close", state(Q)?, Q_KERNEL)
}

/// 1.7: a second open of a ring in use exclusively, or an exclusive open of a ring with
/// users, is EBUSY.
fn exclusive_and_shared_exclude_each_other_on_every_kind_of_ring() -> Result<()> {
    for (what, reg) in [
        ("NIC RX ring", one_rx(Q)),
        ("NIC TX ring", one_tx(Q)),
        ("both", rx(ONE_NIC, Q as u16, 0)),
        ("host rings", rx(SW, 0, 0)),
        ("all", rx(NIC_SW, 0, 0)),
    ] {
        let exclusive = Register {
            flags: reg.flags | EXCLUSIVE,
            ..reg
        };
        let first = want_ok(what, Port::open(&ifname(), exclusive))?;
        for second in [reg, exclusive] {
            want_errno(
                &format!("{what}: after an exclusive one"),
                try_register(&ifname(), second),
                libc::EBUSY,
            )?;
        }
        drop(first);
        let _first = want_ok(what, Port::open(&ifname(), reg))?;
        want_errno(
            &format!("{what}: exclusive after a shared one"),
            try_register(&ifname(), exclusive),
            libc::EBUSY,
        )?;
        want_ok(
            &format!("{what}: shared after a shared one"),
            try_register(&ifname(), reg),
        )?;
    }
    Ok(())
}

/// 1.7: exclusivity is per ring.
fn exclusive_on_one_ring_leaves_the_others_free() -> Result<()> {
    let _first = Port::open(&ifname(), rx(ONE_NIC, Q as u16, RX_ONLY | EXCLUSIVE))?;
    want_ok("the next RX ring", Port::rx(Q2))?;
    want_ok("the TX ring of that number", Port::tx(Q))?;
    want_ok("host rings", Port::open(&ifname(), rx(SW, 0, 0)))?;
    want_errno("the ring itself", Port::rx(Q), libc::EBUSY)
}

fn exclusive_ring_is_free_again_after_close() -> Result<()> {
    for flags in [RX_ONLY, TX_ONLY] {
        for _ in 0..5 {
            drop(want_ok(
                "exclusive",
                Port::open(&ifname(), rx(ONE_NIC, Q as u16, flags | EXCLUSIVE)),
            )?);
        }
        drop(want_ok(
            "shared",
            Port::open(&ifname(), rx(ONE_NIC, Q as u16, flags)),
        )?);
    }
    Ok(())
}

/// A ring is in one region; an fd with another cannot see it.
fn fd_of_another_region_on_the_same_ring_gives_ebusy() -> Result<()> {
    let _first = Port::rx(Q)?;
    let own = rx(ONE_NIC, Q as u16, RX_ONLY | PRIVATE_MEM);
    want_errno("private region", try_register(&ifname(), own), libc::EBUSY)?;
    let other = rx(ONE_NIC, Q2 as u16, RX_ONLY | PRIVATE_MEM);
    want_ok("another ring", try_register(&ifname(), other)).map(drop)
}

/// Users do not share regions, so they do not share rings.
fn other_user_on_the_same_ring_gives_ebusy_on_another_is_welcome() -> Result<()> {
    let _first = Port::rx(Q)?;
    let other = Helper::start(&["hold-as", "1000", &Q.to_string()])?;
    want_eq("the same ring", other.line(SOON)?, "EBUSY".to_string())?;
    let other = Helper::start(&["hold-as", "1000", &Q2.to_string()])?;
    other.ready()?;
    let info = rx_info(&Fd::open()?, Q2)?;
    want_eq(
        "user and process",
        (info.uid, info.pid),
        (1000, other.pid()),
    )?;
    other.end()
}

/// One process per ring, as lb-like programs do (#90).
fn two_processes_split_a_ports_rings() -> Result<()> {
    let lane = Lane::open()?;
    let other = Helper::start(&["hold", &Q2.to_string()])?;
    other.ready()?;
    super::lifecycle::receives(&lane, 1)?;
    other.kill()?;
    want_eq("the other's queue", state(Q2)?, Q_KERNEL)?;
    super::lifecycle::receives(&lane, 50)
}

/// Both fds look at one head; who moves it has the frame.
fn two_fds_receive_from_one_ring_without_loss_or_double() -> Result<()> {
    let lane = Lane::open()?;
    let second = Port::rx(Q)?;
    let nic = Nic::open()?;
    let all: Vec<_> = (0..200).map(|s| udp_sized(DPORT, s, 80)).collect();
    let mut got = Vec::new();
    for (k, f) in all.iter().enumerate() {
        nic.send(f)?;
        let port = if k % 2 == 0 { &lane.port } else { &second };
        got.extend(port.recv(Q, DPORT, 1, SOON)?);
    }
    want_eq("frames by turns", got, all)
}

fn two_fds_send_through_one_ring_without_loss_or_double() -> Result<()> {
    let (a, b) = (Port::tx(Q)?, Port::tx(Q)?);
    let nic = Nic::open()?;
    let log = TxLog::start(&nic)?;
    let all: Vec<_> = (0..100).map(|s| outgoing(s, 100)).collect();
    for (k, f) in all.iter().enumerate() {
        let port = if k % 2 == 0 { &a } else { &b };
        put_copy(&port.tx_ring(Q)?, f)?;
        want_ok("TXSYNC", port.fd.txsync())?;
    }
    want_eq("frames on the wire", log.outgoing(all.len())?, all)
}

/// Lesson 11: whoever sleeps on the ring is woken.
fn frame_wakes_the_pollers_of_both_fds() -> Result<()> {
    let lane = Lane::open()?;
    let second = Port::rx(Q)?;
    let sleepers: Vec<_> = [lane.port.fd.raw(), second.fd.raw()]
        .into_iter()
        .map(|fd| std::thread::spawn(move || crate::fd::poll_fd(fd, libc::POLLIN, 2 * SOON)))
        .collect();
    std::thread::sleep(Duration::from_millis(300));
    let started = std::time::Instant::now();
    Nic::open()?.send(&udp_sized(DPORT, 1, 60))?;
    for s in sleepers {
        match s.join() {
            Ok(got) => want_eq("revents", got?, libc::POLLIN)?,
            Err(_) => bail!("a polling thread died"),
        }
    }
    want("woken, not timed out", started.elapsed() < SOON)
}

/// 1.13: the VMA pins the file: an exclusive open is EBUSY while a mapping is alive.
fn mapping_outlives_close_and_keeps_the_registration() -> Result<()> {
    for flags in [RX_ONLY, TX_ONLY, 0] {
        let reg = rx(ONE_NIC, Q as u16, flags);
        let exclusive = rx(ONE_NIC, Q as u16, flags | EXCLUSIVE);
        let Port { nif, mem, fd, .. } = Port::open(&ifname(), reg)?;
        drop(fd);
        want(
            "the ring can still be read",
            nif.rx(Q).or(nif.tx(Q)).is_some_and(|r| r.n >= 2),
        )?;
        want_errno(
            "exclusive open while the mapping is alive",
            try_register(&ifname(), exclusive),
            libc::EBUSY,
        )?;
        drop((nif, mem));
        want_ok("after munmap", try_register(&ifname(), exclusive))?;
    }
    Ok(())
}

/// 1.13: registration ends with munmap or exit, of the last process that has it.
fn mapping_in_a_forked_process_keeps_the_registration() -> Result<()> {
    let port = Port::tx(Q)?;
    let mut pipe = [0; 2];
    // SAFETY: room for two descriptors.
    want_eq("pipe", unsafe { libc::pipe(pipe.as_mut_ptr()) }, 0)?;
    // SAFETY: this test has no other threads; the child waits for the pipe's end, and ends.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let mut byte = 0u8;
        // SAFETY: descriptors of this process; _exit runs nothing of the test's.
        unsafe {
            libc::close(pipe[1]);
            libc::read(pipe[0], (&raw mut byte).cast(), 1);
            libc::_exit(0);
        }
    }
    want("fork", pid > 0)?;
    drop(port);
    let taken = tx_info(&Fd::open()?, Q).map(|i| i.pid);
    // SAFETY: closes descriptors of this process; waits for its own child.
    unsafe {
        libc::close(pipe[1]);
        libc::close(pipe[0]);
        libc::waitpid(pid, std::ptr::null_mut(), 0);
    }
    want_eq("owner while the child lives", taken?, std::process::id())?;
    let exclusive = rx(ONE_NIC, Q as u16, TX_ONLY | EXCLUSIVE);
    want_ok("after its exit", try_register(&ifname(), exclusive)).map(drop)
}

fn one_fd_dies_the_other_goes_on() -> Result<()> {
    let lane = Lane::open()?;
    for seq in 0..3 {
        let other = Helper::start(&["hold", &Q.to_string()])?;
        other.ready()?;
        super::lifecycle::receives(&lane, 100 * seq)?;
        other.kill()?;
        want_eq("state", state(Q)?, Q_NETMAP)?;
        super::lifecycle::receives(&lane, 100 * seq + 50)?;
    }
    Ok(())
}

/// Different modes meet in a ring; it stays until the last of them goes.
fn all_nic_and_one_nic_share_a_ring() -> Result<()> {
    let lane = Lane::open()?;
    let all = want_ok("ALL_NIC", Port::open(&ifname(), rx(ALL_NIC, 0, 0)))?;
    super::lifecycle::receives(&lane, 1)?;
    drop(all);
    want_eq("state of the shared ring", state(Q)?, Q_NETMAP)?;
    want_eq("state of another", state(Q2)?, Q_KERNEL)?;
    super::lifecycle::receives(&lane, 50)?;
    eventually("frames still wake", SOON, || {
        Nic::open()?.send(&udp_sized(DPORT, 7, 60))?;
        Ok(lane.port.fd.poll(libc::POLLIN, SOON)? == libc::POLLIN)
    })
}
