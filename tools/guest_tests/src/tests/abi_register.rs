// SPDX-License-Identifier: GPL-2.0
//! NIOCCTRL REGISTER: what is accepted, what it binds and what it answers.

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
    register_own_mem_id_is_accepted,
    register_both_only_flags_binds_nothing,
    register_sw_mode_binds_the_host_rings_only,
    register_putback_binds_host_tx_ring,
    register_no_rings_binds_nothing_yet,
}

pub(super) fn try_register(name: &str, mut reg: Register) -> Sys<Register> {
    let fd = Fd::open()?;
    fd.register(name, &mut reg)?;
    Ok(reg)
}

pub(super) fn rx(mode: u32, ringid: u16, flags: u64) -> Register {
    Register {
        mode,
        ringid,
        flags,
        ..Default::default()
    }
}

/// nr_mode, nr_ringid, nr_flags must come back unchanged.
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

/// output: offset, memsize, slots, rings, host rings, mem_id.
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

/// ALL_NIC with RX_RINGS_ONLY.
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

/// slots and rings in the request are ignored for NICs.
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

/// unknown bits of nr_flags are ignored, and come back.
fn register_ignores_unknown_flag_bits() -> Result<()> {
    let reg = want_ok(
        "flags bit 40",
        try_register(&ifname(), rx(ONE_NIC, Q as u16, RX_ONLY | (1 << 40))),
    )?;
    want_eq("flags", reg.flags, RX_ONLY | (1 << 40))
}

/// a second fd may name the region of the first; they then share it.
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

/// RX_RINGS_ONLY with TX_RINGS_ONLY is accepted, binds nothing, and the
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

/// mode SW is the host rings alone; every queue stays the kernel's.
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
