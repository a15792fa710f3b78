// SPDX-License-Identifier: GPL-2.0
//! NIOCCTRL REGISTER: what is accepted and what it answers, and its errors
//! one by one (API 14, order of checks and errors).

use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::{one_rx, Fd};
use crate::port::{rx_info, Port, Q, Q2};
use crate::steer::{ifname, num_queues};
use anyhow::Result;

tests! { "abi":
    register_one_nic_rx_only_returns_mode_ringid_flags_unchanged,
    register_answers_what_port_info_answers,
    register_all_nic_rx_only_binds_every_rx_ring,
    register_ignores_slots_and_rings_in_the_request,
    register_ignores_unknown_flag_bits,
    register_twice_on_one_fd_gives_ebusy,
    register_unknown_mem_id_gives_einval,
    register_own_mem_id_is_accepted,
    register_pipe_modes_give_einval,
    register_no_such_interface_gives_enxio,
    register_empty_name_gives_enxio,
    register_interface_without_hooks_gives_eopnotsupp,
    register_modes_0_9_10_15_give_einval,
    register_null_mode_without_mem_id_gives_einval,
    register_rx_ring_out_of_range_gives_einval,
    register_modes_that_need_nic_tx_rings_give_eopnotsupp,
    register_taken_queue_gives_ebusy,
    register_all_nic_with_one_queue_taken_gives_ebusy_and_takes_none,
    register_exclusive_conflicts_both_ways_give_ebusy,
    register_monitor_pipe_and_vale_names_are_refused,
    register_failure_leaves_the_fd_usable,
    register_both_only_flags_binds_nothing,
    register_sw_mode_binds_the_host_rings_only,
    register_putback_binds_host_tx_ring,
    register_no_rings_binds_nothing_yet,
    register_error_changes_no_queue,
}

fn try_register(name: &str, mut reg: Register) -> Sys<Register> {
    let fd = Fd::open()?;
    fd.register(name, &mut reg)?;
    Ok(reg)
}

fn rx(mode: u32, ringid: u16, flags: u64) -> Register {
    Register {
        mode,
        ringid,
        flags,
        ..Default::default()
    }
}

/// 1.7: nr_mode, nr_ringid, nr_flags must come back unchanged.
fn register_one_nic_rx_only_returns_mode_ringid_flags_unchanged() -> Result<()> {
    for q in [0, Q, num_queues("rx-")? - 1] {
        let reg = want_ok("REGISTER", try_register(&ifname(), one_rx(q)))?;
        want_eq(
            "mode, ringid, flags",
            (reg.mode, u32::from(reg.ringid), reg.flags),
            (ONE_NIC, q, RX_ONLY),
        )?;
    }
    Ok(())
}

/// 1.7: output: offset, memsize, slots, rings, host rings, mem_id.
fn register_answers_what_port_info_answers() -> Result<()> {
    let port = Port::rx(Q)?;
    let info = Fd::open()?.port_info(&ifname())?;
    let r = port.reg;
    want_eq(
        "slots",
        (r.tx_slots, r.rx_slots),
        (info.tx_slots, info.rx_slots),
    )?;
    want_eq(
        "rings",
        (r.tx_rings, r.rx_rings),
        (info.tx_rings, info.rx_rings),
    )?;
    want_eq("host rings", (r.host_tx_rings, r.host_rx_rings), (1, 1))?;
    want_eq("memory", (r.mem_id, r.memsize), (info.mem_id, info.memsize))?;
    want_eq(
        "RX rings, as the kernel counts queues",
        u32::from(r.rx_rings),
        num_queues("rx-")?,
    )?;
    want_eq(
        "TX rings, as the kernel counts queues",
        u32::from(r.tx_rings),
        num_queues("tx-")?,
    )?;
    want("offset is in the region", r.offset < r.memsize)
}

/// 2.1: ALL_NIC with RX_RINGS_ONLY.
fn register_all_nic_rx_only_binds_every_rx_ring() -> Result<()> {
    let n = num_queues("rx-")?;
    let port = want_ok("REGISTER", Port::open(&ifname(), rx(ALL_NIC, 0, RX_ONLY)))?;
    want_eq(
        "mode, ringid, flags",
        (port.reg.mode, port.reg.ringid, port.reg.flags),
        (ALL_NIC, 0, RX_ONLY),
    )?;
    for q in 0..n {
        port.ring(q)?;
        want_eq("state in the listing", port.info(q)?.state, Q_NETMAP)?;
    }
    want(
        "the host TX ring is not bound",
        port.nif.host_tx_ring().is_none(),
    )?;
    drop(port);
    for q in 0..n {
        want_eq(
            "state after close",
            rx_info(&Fd::open()?, q)?.state,
            Q_KERNEL,
        )?;
    }
    Ok(())
}

/// 1.7: slots and rings in the request are ignored for NICs.
fn register_ignores_slots_and_rings_in_the_request() -> Result<()> {
    let plain = want_ok("REGISTER", try_register(&ifname(), one_rx(Q)))?;
    let odd = Register {
        tx_slots: 3,
        rx_slots: 12345,
        tx_rings: 99,
        rx_rings: 1,
        offset: 7,
        memsize: 1,
        ..one_rx(Q)
    };
    let reg = want_ok("REGISTER", try_register(&ifname(), odd))?;
    want_eq(
        "answer",
        Register { offset: 0, ..reg },
        Register { offset: 0, ..plain },
    )
}

/// 1.4: unknown bits of nr_flags are ignored, and come back.
fn register_ignores_unknown_flag_bits() -> Result<()> {
    let reg = want_ok(
        "flags bit 40",
        try_register(&ifname(), rx(ONE_NIC, Q as u16, RX_ONLY | (1 << 40))),
    )?;
    want_eq("flags", reg.flags, RX_ONLY | (1 << 40))
}

/// Row: fd already registered -> EBUSY.
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

/// Row: nr_mem_id given and unknown -> EINVAL.
fn register_unknown_mem_id_gives_einval() -> Result<()> {
    let reg = Register {
        mem_id: 0x7abc,
        ..one_rx(Q)
    };
    want_errno("mem_id 0x7abc", try_register(&ifname(), reg), libc::EINVAL)
}

/// 1.8/1.13: a second fd may name the region of the first; they then share it.
fn register_own_mem_id_is_accepted() -> Result<()> {
    let a = Port::rx(Q)?;
    let b = want_ok(
        "mem_id of the first",
        Port::open(
            &ifname(),
            Register {
                mem_id: a.reg.mem_id,
                ..one_rx(Q2)
            },
        ),
    )?;
    want_eq("mem_id", b.reg.mem_id, a.reg.mem_id)?;
    want(
        "each fd has its own netmap_if",
        a.reg.offset != b.reg.offset,
    )
}

/// Row: PIPE_MASTER/SLAVE through NIOCCTRL -> EINVAL.
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

/// Row: no such netdev -> ENXIO.
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

/// Row: empty name -> ENXIO.
fn register_empty_name_gives_enxio() -> Result<()> {
    want_errno("\"\"", try_register("", one_rx(Q)), libc::ENXIO)
}

/// Row: native only and no native support -> EOPNOTSUPP.
fn register_interface_without_hooks_gives_eopnotsupp() -> Result<()> {
    want_errno("lo", try_register("lo", one_rx(0)), libc::EOPNOTSUPP)
}

/// Row: mode 0, 9, 10, ... -> EINVAL.
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

/// Row: mode NULL without mem_id -> EINVAL.
fn register_null_mode_without_mem_id_gives_einval() -> Result<()> {
    want_errno(
        "mode NULL",
        try_register(&ifname(), rx(MODE_NULL, 0, 0)),
        libc::EINVAL,
    )
}

/// Row: ring id too big -> EINVAL; never silently another ring.
fn register_rx_ring_out_of_range_gives_einval() -> Result<()> {
    let n = num_queues("rx-")? as u16;
    for ringid in [n, n + 1, 0x7fff, 0xffff] {
        let got = try_register(&ifname(), rx(ONE_NIC, ringid, RX_ONLY));
        want_errno(&format!("ring {ringid} of {n}"), got, libc::EINVAL)?;
    }
    Ok(())
}

/// What needs NIC TX rings is not offered: EOPNOTSUPP, and no RX ring is taken.
fn register_modes_that_need_nic_tx_rings_give_eopnotsupp() -> Result<()> {
    let q = Q as u16;
    for (what, reg) in [
        ("ONE_NIC", rx(ONE_NIC, q, 0)),
        ("ONE_NIC TX only", rx(ONE_NIC, q, TX_ONLY)),
        ("ALL_NIC", rx(ALL_NIC, 0, 0)),
        ("ALL_NIC TX only", rx(ALL_NIC, 0, TX_ONLY)),
        ("NIC_SW", rx(NIC_SW, 0, 0)),
    ] {
        want_errno(what, try_register(&ifname(), reg), libc::EOPNOTSUPP)?;
    }
    want_eq(
        "state of the queue",
        rx_info(&Fd::open()?, Q)?.state,
        Q_KERNEL,
    )
}

/// A queue has one owner: EBUSY for a second fd.
fn register_taken_queue_gives_ebusy() -> Result<()> {
    let first = Port::rx(Q)?;
    want_errno(
        "the same queue",
        try_register(&ifname(), one_rx(Q)),
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
        try_register(&ifname(), rx(ALL_NIC, 0, RX_ONLY)),
        libc::EBUSY,
    )?;
    for q in 0..n - 1 {
        want_eq("state of a queue not taken", last.info(q)?.state, Q_KERNEL)?;
    }
    want_eq("state of the one taken", last.info(n - 1)?.state, Q_NETMAP)?;
    want_ok("its owner goes on", last.fd.rxsync())
}

/// Row: exclusivity conflict -> EBUSY, whoever came first.
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

/// 1.7: RX_RINGS_ONLY with TX_RINGS_ONLY is accepted, binds nothing, and the
/// mode is not looked at.
fn register_both_only_flags_binds_nothing() -> Result<()> {
    for mode in [ONE_NIC, ALL_NIC, 0, 9] {
        let reg = rx(mode, 0, RX_ONLY | TX_ONLY);
        let port = want_ok(&format!("mode {mode}"), Port::open(&ifname(), reg))?;
        for q in 0..num_queues("rx-")? {
            want("no RX ring is bound", port.nif.rx(q).is_none())?;
            want_eq("state", port.info(q)?.state, Q_KERNEL)?;
        }
        want("no host ring is bound", port.nif.host_tx_ring().is_none())?;
    }
    Ok(())
}

/// 2.1: mode SW is the host rings alone; every queue stays the kernel's.
fn register_sw_mode_binds_the_host_rings_only() -> Result<()> {
    let port = want_ok("REGISTER", Port::open(&ifname(), rx(SW, 0, 0)))?;
    want_eq("mode", port.reg.mode, SW)?;
    port.host()?;
    let host_rx = port.nif.rx_place(0) + port.nif.rx_rings();
    want("the host RX ring is bound", port.nif.ring_ofs(host_rx) != 0)?;
    for q in 0..num_queues("rx-")? {
        want_eq("state", port.info(q)?.state, Q_KERNEL)?;
    }
    want_ok("RXSYNC", port.fd.rxsync())?;
    want_ok("TXSYNC", port.fd.txsync())
}

/// Extension: NR_PUTBACK binds the host TX ring beside an RX ring.
fn register_putback_binds_host_tx_ring() -> Result<()> {
    let port = want_ok("REGISTER", Port::rx_putback(Q))?;
    want_eq("flags", port.reg.flags, RX_ONLY | PUTBACK)?;
    let host = port.host()?;
    want("it has slots", host.n >= 2)?;
    want_eq("head, cur, tail", host.pointers(), (0, 0, host.n - 1))?;
    want(
        "without the flag it is not bound",
        Port::rx(Q2)?.nif.host_tx_ring().is_none(),
    )
}

/// Extension: NR_NO_RINGS registers a port and takes no queue.
fn register_no_rings_binds_nothing_yet() -> Result<()> {
    let n = num_queues("rx-")?;
    let port = want_ok(
        "REGISTER",
        Port::open(&ifname(), rx(ONE_NIC, 0, RX_ONLY | NO_RINGS)),
    )?;
    want_eq("flags", port.reg.flags, RX_ONLY | NO_RINGS)?;
    for q in 0..n {
        want("no RX ring is bound", port.nif.rx(q).is_none())?;
        want_eq("state", port.info(q)?.state, Q_KERNEL)?;
    }
    want_ok("RXSYNC has nothing to do", port.fd.rxsync())
}

/// Invalid requests change nothing: after all of them every queue is the kernel's.
fn register_error_changes_no_queue() -> Result<()> {
    let fd = Fd::open()?;
    let before = fd.queues(Some(&ifname()))?;
    for reg in [
        rx(0, 0, RX_ONLY),
        rx(ONE_NIC, 0xfff, RX_ONLY),
        rx(ONE_NIC, Q as u16, 0),
        rx(MODE_NULL, 0, 0),
    ] {
        want_some_errno("bad request", try_register(&ifname(), reg))?;
    }
    let after = fd.queues(Some(&ifname()))?;
    want_eq("listing", after, before)
}
