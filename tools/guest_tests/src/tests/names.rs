// SPDX-License-Identifier: GPL-2.0
//! Port names the kernel itself understands: the interface's name, and the
//! `~` suffix that asks for one RX queue (or none yet) with the host TX ring.

use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::{header, nmreq, one_rx, Fd};
use crate::port::{rx_info, Port, Q};
use crate::steer::{ifname, num_queues};
use anyhow::Result;

tests! { "names":
    tilde_queue_binds_that_rx_ring_and_the_host_tx_ring,
    tilde_queue_works_through_legacy_regif,
    tilde_queue_leaves_mode_ringid_flags_as_sent,
    tilde_first_and_last_queue,
    tilde_alone_binds_only_the_host_tx_ring,
    tilde_alone_works_through_legacy_regif,
    tilde_name_is_accepted_by_port_info_and_ginfo,
    tilde_queue_out_of_range_gives_einval,
    tilde_rubbish_is_refused,
    tilde_on_no_such_interface_gives_enxio,
    tilde_taken_queue_gives_ebusy,
    name_without_terminator_is_refused,
    name_with_user_space_syntax_is_no_interface,
    name_is_looked_up_in_the_callers_network_namespace,
}

fn tilde(suffix: &str) -> String {
    format!("{}~{suffix}", ifname())
}

/// A request as an old nm_open sends it for a name it does not understand.
fn plain() -> Register {
    Register {
        mode: ALL_NIC,
        ..Default::default()
    }
}

/// The rings an fd opened as `IF~Q` must have.
fn only_queue_and_host_ring(port: &Port, queue: u32) -> Result<()> {
    for q in 0..num_queues("rx-")? {
        want_eq(
            &format!("RX ring {q} is bound"),
            port.nif.rx(q).is_some(),
            q == queue,
        )?;
        let state = if q == queue { Q_NETMAP } else { Q_KERNEL };
        want_eq(&format!("state of queue {q}"), port.info(q)?.state, state)?;
    }
    port.host().map(drop)
}

fn tilde_queue_binds_that_rx_ring_and_the_host_tx_ring() -> Result<()> {
    let port = want_ok("REGISTER", Port::open(&tilde("4"), plain()))?;
    only_queue_and_host_ring(&port, 4)?;
    want_ok("RXSYNC", port.fd.rxsync())?;
    want_ok("TXSYNC", port.fd.txsync())
}

fn tilde_queue_works_through_legacy_regif() -> Result<()> {
    let fd = Fd::open()?;
    let mut req = nmreq(&tilde("4"));
    want_ok("NIOCREGIF", fd.regif(&mut req))?;
    want_eq("ringid, flags", (req.ringid, req.flags), (0, 0))?;
    let reg = Register {
        offset: req.offset.into(),
        memsize: req.memsize.into(),
        ..Default::default()
    };
    only_queue_and_host_ring(&Port::mapped(fd, reg)?, 4)
}

/// nr_mode, nr_ringid, nr_flags come back as they were sent; so does the name.
fn tilde_queue_leaves_mode_ringid_flags_as_sent() -> Result<()> {
    for (mode, ringid, flags) in [
        (ALL_NIC, 0, 0),
        (ONE_NIC, 4, RX_ONLY),
        (ALL_NIC, 0, RX_ONLY),
    ] {
        let fd = Fd::open()?;
        let mut reg = Register {
            mode,
            ringid,
            flags,
            ..Default::default()
        };
        let mut hdr = header(&tilde("4"), REQ_REGISTER);
        let name = hdr.name;
        hdr.body = &raw mut reg as u64;
        want_ok("REGISTER", fd.ctrl(&mut hdr))?;
        want_eq(
            "mode, ringid, flags",
            (reg.mode, reg.ringid, reg.flags),
            (mode, ringid, flags),
        )?;
        want_eq("name", hdr.name, name)?;
        want_eq("state of queue 4", rx_info(&fd, 4)?.state, Q_NETMAP)?;
    }
    Ok(())
}

fn tilde_first_and_last_queue() -> Result<()> {
    let last = num_queues("rx-")? - 1;
    for q in [0, last] {
        let port = want_ok("REGISTER", Port::open(&tilde(&q.to_string()), plain()))?;
        only_queue_and_host_ring(&port, q)?;
    }
    Ok(())
}

fn tilde_alone_binds_only_the_host_tx_ring() -> Result<()> {
    let port = want_ok("REGISTER", Port::open(&tilde(""), plain()))?;
    only_queue_and_host_ring(&port, u32::MAX)?;
    want_ok("a queue can be added", port.fd.qadd(Q))?;
    port.ring(Q).map(drop)
}

fn tilde_alone_works_through_legacy_regif() -> Result<()> {
    let fd = Fd::open()?;
    let mut req = nmreq(&tilde(""));
    want_ok("NIOCREGIF", fd.regif(&mut req))?;
    want_ok("a queue can be added", fd.qadd(Q))?;
    want_eq("state", rx_info(&fd, Q)?.state, Q_NETMAP)
}

/// A program asks about the name before it registers it.
fn tilde_name_is_accepted_by_port_info_and_ginfo() -> Result<()> {
    let fd = Fd::open()?;
    let base = fd.port_info(&ifname())?;
    for suffix in ["", "4"] {
        want_eq(
            "PORT_INFO_GET",
            want_ok("PORT_INFO_GET", fd.port_info(&tilde(suffix)))?,
            base,
        )?;
        let mut req = nmreq(&tilde(suffix));
        want_ok("NIOCGINFO", fd.ginfo(&mut req))?;
        want_eq("NIOCGINFO: RX rings", req.rx_rings, base.rx_rings)?;
    }
    Ok(())
}

fn tilde_queue_out_of_range_gives_einval() -> Result<()> {
    let n = num_queues("rx-")?;
    for q in [n, n + 1, 4095] {
        want_errno(
            &tilde(&q.to_string()),
            Port::open(&tilde(&q.to_string()), plain()),
            libc::EINVAL,
        )?;
    }
    Ok(())
}

/// Never a queue number made of an overflow, a sign, a space or a prefix.
fn tilde_rubbish_is_refused() -> Result<()> {
    for suffix in [
        "x",
        "4x",
        "-1",
        "+4",
        " 4",
        "4 ",
        "0x4",
        "4~5",
        "~",
        "~4",
        "4294967300",
        "18446744073709551620",
        "4/R",
        "99999999999999999999999999",
    ] {
        want_some_errno(&tilde(suffix), Port::open(&tilde(suffix), plain()))?;
    }
    let all = Fd::open()?.queues(Some(&ifname()))?;
    want(
        "every queue is the kernel's",
        all.iter()
            .all(|i| i.kind == KIND_PORT || i.state == Q_KERNEL),
    )
}

fn tilde_on_no_such_interface_gives_enxio() -> Result<()> {
    for name in ["~", "~4", "nosuchif0~4", "nosuchif0~"] {
        want_errno(name, Port::open(name, plain()), libc::ENXIO)?;
    }
    Ok(())
}

fn tilde_taken_queue_gives_ebusy() -> Result<()> {
    let _first = Port::rx(Q)?;
    want_errno(
        "second",
        Port::open(&tilde(&Q.to_string()), plain()),
        libc::EBUSY,
    )
}

/// 64 (or 16) bytes without a zero: an error, and no read beyond the field.
fn name_without_terminator_is_refused() -> Result<()> {
    let fd = Fd::open()?;
    let mut reg = one_rx(Q);
    let mut hdr = header("", REQ_REGISTER);
    hdr.name = [b'e'; 64];
    hdr.body = &raw mut reg as u64;
    want_some_errno("NIOCCTRL", fd.ctrl(&mut hdr))?;
    let mut req = Nmreq {
        name: [b'e'; 16],
        flags: ONE_NIC | RX_ONLY as u32,
        ..nmreq("")
    };
    want_some_errno("NIOCREGIF", fd.regif(&mut req))?;
    want_some_errno("NIOCGINFO", fd.ginfo(&mut req))
}

/// `-N`, `/R`, `*`, `^` and `netmap:` are taken apart in user space; the kernel
/// must not guess what they may have meant.
fn name_with_user_space_syntax_is_no_interface() -> Result<()> {
    let name = ifname();
    for bad in [
        format!("{name}-4/R"),
        format!("{name}-4"),
        format!("{name}*"),
        format!("{name}^"),
        format!("netmap:{name}"),
    ] {
        want_errno(&bad, Port::open(&bad, one_rx(Q)), libc::ENXIO)?;
    }
    Ok(())
}

/// In a namespace of its own a process sees none of this one's interfaces.
fn name_is_looked_up_in_the_callers_network_namespace() -> Result<()> {
    let before = Fd::open()?;
    want_ok("PORT_INFO_GET here", before.port_info(&ifname()))?;
    // SAFETY: this thread alone moves to a new, empty network namespace.
    let moved = unsafe { libc::unshare(libc::CLONE_NEWNET) };
    want_eq("unshare(CLONE_NEWNET)", moved, 0)?;
    let there = Fd::open()?;
    want_errno(
        "REGISTER there",
        there.register(&ifname(), &mut one_rx(Q)),
        libc::ENXIO,
    )?;
    want_errno(
        "PORT_INFO_GET there",
        there.port_info(&ifname()),
        libc::ENXIO,
    )?;
    want_eq(
        "listing there",
        want_ok("NIOCQNEXT", there.queues(None))?.len(),
        0,
    )
}
