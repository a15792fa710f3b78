// SPDX-License-Identifier: GPL-2.0
//! NIOCQADD and NIOCQDEL: what they do and their errors row by row.

use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::{one_rx, Fd};
use crate::frame::udp_sized;
use crate::nic::Nic;
use crate::port::{Lane, Port, DPORT, DPORT2, Q, Q2};
use crate::setup;
use crate::steer::{ifname, ip_link, num_queues, Rss, Rule};
use anyhow::{Context, Result};
use std::time::Duration;

tests! { "queues":
    qadd_gives_a_ring_that_receives,
    qadd_fills_and_qdel_zeroes_the_ring_offset,
    qadd_every_queue_of_the_port_on_one_fd,
    qdel_returns_the_queue_to_the_kernel,
    qdel_of_the_registered_queue_leaves_the_others,
    qadd_again_after_qdel_starts_a_fresh_ring,
    qadd_unregistered_gives_enxio,
    qadd_bad_version_gives_einval,
    qadd_flags_not_zero_gives_einval,
    qadd_queue_out_of_range_gives_einval,
    qadd_queue_taken_by_another_fd_gives_ebusy,
    qadd_queue_of_this_fd_gives_ebusy,
    qdel_unregistered_gives_enxio,
    qdel_queue_not_bound_gives_enoent,
    qdel_queue_of_another_fd_gives_enoent,
    qdel_bad_version_and_flags_give_einval,
    qadd_and_register_when_down_give_enetdown | flaps,
    qadd_bad_pointer_gives_efault,
}

const SOON: Duration = Duration::from_secs(10);

fn qreq(version: u32, queue: u32, flags: u32) -> QueueReq {
    QueueReq {
        version,
        queue,
        flags,
        spare: 0,
    }
}

/// A port with no ring yet.
fn empty() -> Result<Port> {
    let none = Register {
        flags: RX_ONLY | NO_RINGS,
        ..one_rx(0)
    };
    want_ok("REGISTER", Port::open(&ifname(), none))
}

fn qadd_gives_a_ring_that_receives() -> Result<()> {
    let lane = Lane::open()?;
    want_ok("NIOCQADD", lane.port.fd.qadd(Q2))?;
    let _rule = Rule::udp(DPORT2, Q2)?;
    let nic = Nic::open()?;
    for seq in 0..100 {
        nic.send(&udp_sized(DPORT, seq, 70))?;
        nic.send(&udp_sized(DPORT2, seq, 71))?;
    }
    for (queue, dport, size) in [(Q, DPORT, 70), (Q2, DPORT2, 71)] {
        let all: Vec<_> = (0..100).map(|s| udp_sized(dport, s, size)).collect();
        want_eq(
            &format!("frames of queue {queue}"),
            lane.port.recv(queue, dport, 100, SOON)?,
            all,
        )?;
    }
    Ok(())
}

fn qadd_fills_and_qdel_zeroes_the_ring_offset() -> Result<()> {
    let port = empty()?;
    let k = port.nif.rx_place(Q);
    want_eq("before", port.nif.ring_ofs(k), 0)?;
    want_ok("NIOCQADD", port.fd.qadd(Q))?;
    want("after NIOCQADD it is not 0", port.nif.ring_ofs(k) != 0)?;
    let ring = port.ring(Q)?;
    want_eq(
        "ringid there",
        u32::from(port.mem.get::<u16>(ring.off + shm::RING_ID)),
        Q,
    )?;
    want_ok("NIOCQDEL", port.fd.qdel(Q))?;
    want_eq("after NIOCQDEL", port.nif.ring_ofs(k), 0)
}

fn qadd_every_queue_of_the_port_on_one_fd() -> Result<()> {
    let n = num_queues("rx-")?;
    let port = empty()?;
    for q in 0..n {
        want_ok(&format!("NIOCQADD {q}"), port.fd.qadd(q))?;
    }
    for q in 0..n {
        want_eq("slots", port.ring(q)?.n, port.reg.rx_slots)?;
    }
    for q in (0..n).rev() {
        want_ok(&format!("NIOCQDEL {q}"), port.fd.qdel(q))?;
        want_eq("state", port.info(q)?.state, Q_KERNEL)?;
    }
    Ok(())
}

fn qdel_returns_the_queue_to_the_kernel() -> Result<()> {
    let port = empty()?;
    let _rule = Rule::udp(DPORT, Q)?;
    let socket = crate::sock::bind(DPORT)?;
    let nic = Nic::open()?;
    want_ok("NIOCQADD", port.fd.qadd(Q))?;
    nic.send(&udp_sized(DPORT, 1, 80))?;
    want_eq("in the ring", port.recv(Q, DPORT, 1, SOON)?.len(), 1)?;
    want_ok("NIOCQDEL", port.fd.qdel(Q))?;
    want_eq("state", port.info(Q)?.state, Q_KERNEL)?;
    nic.send(&udp_sized(DPORT, 2, 80))?;
    let got = crate::sock::recv(&socket, SOON)?.context("the socket got nothing")?;
    want_eq("at the socket", got, crate::frame::pattern(2, 80 - 42))
}

fn qdel_of_the_registered_queue_leaves_the_others() -> Result<()> {
    let lane = Lane::open()?;
    want_ok("NIOCQADD", lane.port.fd.qadd(Q2))?;
    let _rule = Rule::udp(DPORT2, Q2)?;
    want_ok("NIOCQDEL of the first", lane.port.fd.qdel(Q))?;
    want_eq("state of the first", lane.port.info(Q)?.state, Q_KERNEL)?;
    Nic::open()?.send(&udp_sized(DPORT2, 1, 60))?;
    want_eq(
        "the other receives",
        lane.port.recv(Q2, DPORT2, 1, SOON)?.len(),
        1,
    )?;
    want_ok("RXSYNC", lane.port.fd.rxsync())
}

fn qadd_again_after_qdel_starts_a_fresh_ring() -> Result<()> {
    let port = empty()?;
    let _rss = Rss::without(&[Q])?;
    let _rule = Rule::udp(DPORT, Q)?;
    let nic = Nic::open()?;
    for turn in 0..10 {
        want_ok("NIOCQADD", port.fd.qadd(Q))?;
        let ring = port.ring(Q)?;
        want_eq("head, cur, tail", ring.pointers(), (0, 0, 0))?;
        for seq in 0..7 {
            nic.send(&udp_sized(DPORT, turn * 10 + seq, 64))?;
        }
        let got = port.recv(Q, DPORT, 4, SOON)?;
        let all: Vec<_> = (0..4)
            .map(|s| udp_sized(DPORT, turn * 10 + s, 64))
            .collect();
        want_eq("frames of this turn", got, all)?;
        want_ok("NIOCQDEL with frames still in the ring", port.fd.qdel(Q))?;
    }
    Ok(())
}

/// ENXIO fd not registered.
fn qadd_unregistered_gives_enxio() -> Result<()> {
    want_errno("NIOCQADD", Fd::open()?.qadd(Q), libc::ENXIO)
}

/// EINVAL version.
fn qadd_bad_version_gives_einval() -> Result<()> {
    let port = empty()?;
    for version in [0, 2, 14, u32::MAX] {
        want_errno(
            &format!("version {version}"),
            port.fd.qadd_raw(&mut qreq(version, Q, 0)),
            libc::EINVAL,
        )?;
    }
    want_eq("state", port.info(Q)?.state, Q_KERNEL)
}

/// EINVAL flags.
fn qadd_flags_not_zero_gives_einval() -> Result<()> {
    let port = empty()?;
    for flags in [1, 0x8000_0000] {
        want_errno(
            &format!("flags {flags:#x}"),
            port.fd.qadd_raw(&mut qreq(1, Q, flags)),
            libc::EINVAL,
        )?;
    }
    Ok(())
}

/// EINVAL queue >= number of RX queues.
fn qadd_queue_out_of_range_gives_einval() -> Result<()> {
    let (port, n) = (empty()?, num_queues("rx-")?);
    for q in [n, n + 1, 0xffff, 0x1_0004, u32::MAX] {
        want_errno(&format!("queue {q}"), port.fd.qadd(q), libc::EINVAL)?;
    }
    Ok(())
}

/// EBUSY queue taken.
fn qadd_queue_taken_by_another_fd_gives_ebusy() -> Result<()> {
    let _owner = Port::rx(Q)?;
    let port = empty()?;
    want_errno("NIOCQADD", port.fd.qadd(Q), libc::EBUSY)?;
    want_eq("ring offset", port.nif.ring_ofs(port.nif.rx_place(Q)), 0)
}

/// EBUSY also by this fd.
fn qadd_queue_of_this_fd_gives_ebusy() -> Result<()> {
    let port = Port::rx(Q)?;
    want_errno("NIOCQADD", port.fd.qadd(Q), libc::EBUSY)?;
    want_ok("the ring is unhurt", port.fd.rxsync())?;
    port.ring(Q).map(drop)
}

fn qdel_unregistered_gives_enxio() -> Result<()> {
    want_errno("NIOCQDEL", Fd::open()?.qdel(Q), libc::ENXIO)
}

/// ENOENT queue not bound to this fd.
fn qdel_queue_not_bound_gives_enoent() -> Result<()> {
    let port = Port::rx(Q)?;
    want_errno("another queue", port.fd.qdel(Q2), libc::ENOENT)?;
    want_ok("NIOCQDEL", port.fd.qdel(Q))?;
    want_errno("the same again", port.fd.qdel(Q), libc::ENOENT)
}

fn qdel_queue_of_another_fd_gives_enoent() -> Result<()> {
    let owner = Port::rx(Q)?;
    want_errno("NIOCQDEL", empty()?.fd.qdel(Q), libc::ENOENT)?;
    want_eq(
        "it is still the owner's",
        (owner.info(Q)?.state, owner.info(Q)?.pid),
        (Q_NETMAP, std::process::id()),
    )
}

fn qdel_bad_version_and_flags_give_einval() -> Result<()> {
    let port = Port::rx(Q)?;
    want_errno(
        "version 2",
        port.fd.qdel_raw(&mut qreq(2, Q, 0)),
        libc::EINVAL,
    )?;
    want_errno(
        "flags 1",
        port.fd.qdel_raw(&mut qreq(1, Q, 1)),
        libc::EINVAL,
    )?;
    want_eq("state", port.info(Q)?.state, Q_NETMAP)
}

/// ENETDOWN interface down.
fn qadd_and_register_when_down_give_enetdown() -> Result<()> {
    let port = empty()?;
    ip_link(&["down"])?;
    let added = port.fd.qadd(Q);
    let registered = Port::rx(Q2).map(drop);
    setup::ensure()?;
    want_errno("NIOCQADD", added, libc::ENETDOWN)?;
    want_errno("REGISTER", registered, libc::ENETDOWN)?;
    want_ok("NIOCQADD when up again", port.fd.qadd(Q))
}

fn qadd_bad_pointer_gives_efault() -> Result<()> {
    let port = empty()?;
    for nr in [NIOCQADD, NIOCQDEL] {
        // SAFETY: an address that is never mapped.
        let got = unsafe { port.fd.ioctl_raw(nr, 8) };
        want_errno(&format!("ioctl {nr:#x}"), got, libc::EFAULT)?;
    }
    Ok(())
}
