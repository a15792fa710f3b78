// SPDX-License-Identifier: GPL-2.0
//! NIOCCTRL REGISTER: its errors one by one (API 14, order of checks and
//! errors), and that a refused request changes nothing.

use super::abi_register::{rx, try_register};
use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::{one_rx, Fd};
use crate::port::{Port, Q, Q2};
use crate::steer::{ifname, num_queues};
use anyhow::Result;

tests! { "abi":
    register_twice_on_one_fd_gives_ebusy,
    register_unknown_mem_id_gives_einval,
    register_pipe_modes_give_einval,
    register_no_such_interface_gives_enxio,
    register_empty_name_gives_enxio,
    register_interface_without_hooks_gives_eopnotsupp,
    register_modes_0_9_10_15_give_einval,
    register_null_mode_without_mem_id_gives_einval,
    register_rx_ring_out_of_range_gives_einval,
    register_taken_queue_gives_ebusy,
    register_all_nic_with_one_queue_taken_gives_ebusy_and_takes_none,
    register_exclusive_conflicts_both_ways_give_ebusy,
    register_monitor_pipe_and_vale_names_are_refused,
    register_failure_leaves_the_fd_usable,
    register_error_changes_no_queue,
}

/// fd already registered -> EBUSY.
fn register_twice_on_one_fd_gives_ebusy() -> Result<()> {
    let port = Port::rx(Q)?;
    want_errno(
        "same queue",
        port.fd.register(&ifname(), &mut one_rx(Q)),
        libc::EBUSY,
    )?;
    want_errno(
        "another queue",
        port.fd.register(&ifname(), &mut one_rx(Q2)),
        libc::EBUSY,
    )?;
    want_errno(
        "even with a bad name",
        port.fd.register("nosuchif0", &mut one_rx(Q2)),
        libc::EBUSY,
    )?;
    want_ok("the first registration is unhurt", port.fd.rxsync())
}

/// nr_mem_id given and unknown -> EINVAL.
fn register_unknown_mem_id_gives_einval() -> Result<()> {
    let reg = Register {
        mem_id: 0x7abc,
        ..one_rx(Q)
    };
    want_errno("mem_id 0x7abc", try_register(&ifname(), reg), libc::EINVAL)
}

/// PIPE_MASTER/SLAVE through NIOCCTRL -> EINVAL.
fn register_pipe_modes_give_einval() -> Result<()> {
    for mode in [PIPE_MASTER, PIPE_SLAVE] {
        want_errno(
            &format!("mode {mode}"),
            try_register(&ifname(), rx(mode, 0, RX_ONLY)),
            libc::EINVAL,
        )?;
    }
    Ok(())
}

/// no such netdev -> ENXIO.
fn register_no_such_interface_gives_enxio() -> Result<()> {
    for name in [
        "nosuchif0",
        "eth",
        "eth333333333333333333333333333333333333333333",
    ] {
        want_errno(name, try_register(name, one_rx(Q)), libc::ENXIO)?;
    }
    Ok(())
}

/// empty name -> ENXIO.
fn register_empty_name_gives_enxio() -> Result<()> {
    want_errno("\"\"", try_register("", one_rx(Q)), libc::ENXIO)
}

/// native only and no native support -> EOPNOTSUPP.
fn register_interface_without_hooks_gives_eopnotsupp() -> Result<()> {
    want_errno("lo", try_register("lo", one_rx(0)), libc::EOPNOTSUPP)
}

/// mode 0, 9, 10, ... -> EINVAL.
fn register_modes_0_9_10_15_give_einval() -> Result<()> {
    for mode in [0, 9, 10, 15, 16, 0x104, u32::MAX] {
        want_errno(
            &format!("mode {mode}"),
            try_register(&ifname(), rx(mode, 0, RX_ONLY)),
            libc::EINVAL,
        )?;
    }
    Ok(())
}

/// mode NULL without mem_id -> EINVAL.
fn register_null_mode_without_mem_id_gives_einval() -> Result<()> {
    want_errno(
        "mode NULL",
        try_register(&ifname(), rx(MODE_NULL, 0, 0)),
        libc::EINVAL,
    )
}

/// ring id too big -> EINVAL; never silently another ring.
fn register_rx_ring_out_of_range_gives_einval() -> Result<()> {
    let n = num_queues("rx-")? as u16;
    for ringid in [n, n + 1, 0x7fff, 0xffff] {
        let got = try_register(&ifname(), rx(ONE_NIC, ringid, RX_ONLY));
        want_errno(&format!("ring {ringid} of {n}"), got, libc::EINVAL)?;
    }
    Ok(())
}

/// Section 1.7, exclusivity: an fd that wants a ring alone gets EBUSY if it has an owner.
fn register_taken_queue_gives_ebusy() -> Result<()> {
    let first = Port::rx(Q)?;
    want_errno(
        "the same queue",
        try_register(&ifname(), rx(ONE_NIC, Q as u16, RX_ONLY | EXCLUSIVE)),
        libc::EBUSY,
    )?;
    want_ok("another queue", try_register(&ifname(), one_rx(Q2)))?;
    drop(first);
    want_ok(
        "after the first is gone",
        try_register(&ifname(), one_rx(Q)),
    )
    .map(drop)
}

/// A registration is all or nothing.
fn register_all_nic_with_one_queue_taken_gives_ebusy_and_takes_none() -> Result<()> {
    let n = num_queues("rx-")?;
    let last = Port::rx(n - 1)?;
    want_errno(
        "ALL_NIC",
        try_register(&ifname(), rx(ALL_NIC, 0, RX_ONLY | EXCLUSIVE)),
        libc::EBUSY,
    )?;
    for q in 0..n - 1 {
        want_eq("state of a queue not taken", last.info(q)?.state, Q_KERNEL)?;
    }
    want_eq("state of the one taken", last.info(n - 1)?.state, Q_NETMAP)?;
    want_ok("its owner goes on", last.fd.rxsync())
}

/// exclusivity conflict -> EBUSY, whoever came first.
fn register_exclusive_conflicts_both_ways_give_ebusy() -> Result<()> {
    let exclusive = rx(ONE_NIC, Q as u16, RX_ONLY | EXCLUSIVE);
    let first = want_ok("exclusive", Port::open(&ifname(), exclusive))?;
    want_eq("flags", first.reg.flags, RX_ONLY | EXCLUSIVE)?;
    want_errno(
        "shared after exclusive",
        try_register(&ifname(), one_rx(Q)),
        libc::EBUSY,
    )?;
    drop(first);
    let _shared = want_ok("shared", Port::rx(Q))?;
    want_errno(
        "exclusive after shared",
        try_register(&ifname(), exclusive),
        libc::EBUSY,
    )
}

/// Names of ports that are not offered: some error, and it is noted which.
fn register_monitor_pipe_and_vale_names_are_refused() -> Result<()> {
    let name = ifname();
    for port in [
        format!("{name}{{1"),
        format!("{name}}}1"),
        format!("{name}x{{a"),
        "vale0:1".into(),
        "valeX:p".into(),
    ] {
        want_some_errno(&port, try_register(&port, one_rx(0)))?;
    }
    for flag in [MONITOR_RX, MONITOR_TX] {
        want_some_errno(
            &format!("monitor flag {flag:#x}"),
            try_register(&name, rx(ONE_NIC, Q as u16, flag)),
        )?;
    }
    Ok(())
}

/// Invalid requests change nothing: the fd can be registered afterwards.
fn register_failure_leaves_the_fd_usable() -> Result<()> {
    let fd = Fd::open()?;
    want_errno(
        "bad mode",
        fd.register(&ifname(), &mut rx(9, 0, RX_ONLY)),
        libc::EINVAL,
    )?;
    want_errno(
        "bad ring",
        fd.register(&ifname(), &mut rx(ONE_NIC, 0xfff, RX_ONLY)),
        libc::EINVAL,
    )?;
    want_errno(
        "bad name",
        fd.register("nosuchif0", &mut one_rx(Q)),
        libc::ENXIO,
    )?;
    want_errno("RXSYNC: not registered", fd.rxsync(), libc::ENXIO)?;
    want_ok("good request", fd.register(&ifname(), &mut one_rx(Q)))
}

/// Invalid requests change nothing: after all of them every queue is the kernel's.
fn register_error_changes_no_queue() -> Result<()> {
    let fd = Fd::open()?;
    let before = fd.queues(Some(&ifname()))?;
    for reg in [
        rx(0, 0, RX_ONLY),
        rx(ONE_NIC, 0xfff, RX_ONLY),
        rx(ONE_NIC, 0xfff, 0),
        rx(MODE_NULL, 0, 0),
    ] {
        want_some_errno("bad request", try_register(&ifname(), reg))?;
    }
    let after = fd.queues(Some(&ifname()))?;
    want_eq("listing", after, before)
}
