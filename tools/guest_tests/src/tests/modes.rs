// SPDX-License-Identifier: GPL-2.0
//! Registration modes (netmap-abi 2.1, 1.7, 1.9, 1.13): which rings each mode binds with each
//! of the two direction flags, in which order they stand, and what is refused.

use super::abi_register::{rx, try_register};
use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::Fd;
use crate::port::{rx_info, tx_info, Port, Q};
use crate::steer::{ifname, num_queues, sysfs};
use anyhow::Result;

tests! { "modes":
    every_mode_binds_its_rings_and_gives_them_back @ 90,
    rings_stand_in_the_order_tx_host_tx_rx_host_rx,
    every_mode_answers_the_ports_numbers,
    first_and_last_ring_of_one_nic,
    ring_out_of_range_gives_einval_in_every_direction,
    host_ring_out_of_range_gives_einval,
    both_only_flags_bind_nothing_in_any_mode,
    failed_registration_of_all_rings_takes_none,
    all_rings_taken_and_given_four_times_leave_the_link_up @ 90,
}

/// Ring numbers bound to an fd, by kind.
#[derive(Debug, PartialEq, Default)]
pub(super) struct Bound {
    tx: Vec<u32>,
    host_tx: Vec<u32>,
    rx: Vec<u32>,
    host_rx: Vec<u32>,
}

impl Bound {
    /// As `ring_ofs` tells.
    pub(super) fn of(port: &Port) -> Bound {
        let nif = &port.nif;
        let few = |n: usize, has: &dyn Fn(u32) -> bool| (0..n as u32).filter(|k| has(*k)).collect();
        Bound {
            tx: few(nif.tx_rings(), &|k| nif.tx(k).is_some()),
            host_tx: few(nif.host_tx(), &|k| nif.host_tx_at(k as usize).is_some()),
            rx: few(nif.rx_rings(), &|k| nif.rx(k).is_some()),
            host_rx: few(nif.host_rx(), &|k| nif.host_rx_at(k as usize).is_some()),
        }
    }

    /// As the table of modes in the specification has it.
    pub(super) fn by_the_table(mode: u32, ringid: u16, flags: u64, n: u32) -> Bound {
        let (nic, host): (Vec<u32>, Vec<u32>) = match mode {
            ALL_NIC => ((0..n).collect(), vec![]),
            SW | ONE_SW => (vec![], vec![0]),
            NIC_SW => ((0..n).collect(), vec![0]),
            _ => (vec![u32::from(ringid)], vec![]),
        };
        let mut bound = Bound::default();
        if flags & RX_ONLY == 0 {
            (bound.tx, bound.host_tx) = (nic.clone(), host.clone());
        }
        if flags & TX_ONLY == 0 {
            (bound.rx, bound.host_rx) = (nic, host);
        }
        bound
    }
}

const MODES: [(u32, u16); 5] = [
    (ALL_NIC, 0),
    (SW, 0),
    (NIC_SW, 0),
    (ONE_NIC, Q as u16),
    (ONE_SW, 0),
];

/// All queues of both directions are the kernel's.
pub(super) fn all_are_the_kernels() -> Result<()> {
    let fd = Fd::open()?;
    for q in 0..num_queues("rx-")? {
        want_eq(&format!("RX queue {q}"), rx_info(&fd, q)?.state, Q_KERNEL)?;
    }
    for i in fd.queues(Some(&ifname()))? {
        want(
            &format!("kind {} queue {} is nobody's", i.kind, i.queue),
            i.kind == KIND_PORT || i.pid == 0,
        )?;
    }
    Ok(())
}

/// 2.1: the table of modes; 1.7 details: nr_mode, nr_ringid, nr_flags unchanged;
/// the direction flags exclude the other direction with its host rings.
fn every_mode_binds_its_rings_and_gives_them_back() -> Result<()> {
    let n = num_queues("rx-")?;
    for (mode, ringid) in MODES {
        for flags in [0, RX_ONLY, TX_ONLY, EXCLUSIVE, NO_TX_POLL] {
            let what = format!("mode {mode} flags {flags:#x}");
            let port = want_ok(&what, Port::open(&ifname(), rx(mode, ringid, flags)))?;
            want_eq(
                &what,
                Bound::of(&port),
                Bound::by_the_table(mode, ringid, flags, n),
            )?;
            want_eq(
                &format!("{what}: mode, ringid, flags that came back"),
                (port.reg.mode, port.reg.ringid, port.reg.flags),
                (mode, ringid, flags),
            )?;
            for q in Bound::of(&port).tx {
                let info = tx_info(&port.fd, q)?;
                want_eq(
                    &format!("{what}: TX ring {q}: state, owner"),
                    (info.state, info.pid),
                    (Q_NETMAP, std::process::id()),
                )?;
            }
            want_ok(&what, port.fd.rxsync())?;
            want_ok(&what, port.fd.txsync())?;
        }
    }
    all_are_the_kernels()
}

/// 1.13: order TX NIC, TX host, RX NIC, RX host; `ringid` and `dir` of each.
fn rings_stand_in_the_order_tx_host_tx_rx_host_rx() -> Result<()> {
    let port = Port::open(&ifname(), rx(NIC_SW, 0, 0))?;
    let nif = &port.nif;
    let counts = [
        (nif.tx_rings(), 1),
        (nif.host_tx(), 1),
        (nif.rx_rings(), 0),
        (nif.host_rx(), 0),
    ];
    let mut k = 0;
    for (part, (n, dir)) in counts.into_iter().enumerate() {
        for at in 0..n {
            let ofs = nif.ring_ofs(k);
            want(
                &format!("ring {k} is bound and aligned"),
                ofs != 0 && ofs % 64 == 0,
            )?;
            let ring = nif.off.wrapping_add_signed(ofs as isize);
            let got = (
                u32::from(port.mem.get::<u16>(ring + shm::RING_ID)),
                port.mem.get::<u16>(ring + shm::RING_DIR),
            );
            // a host ring's number follows those of the NIC's
            let id = match part {
                1 => nif.tx_rings() + at,
                3 => nif.rx_rings() + at,
                _ => at,
            };
            want(
                &format!("ring {k}: ringid, dir {got:?}, want {id} (or {at}), {dir}"),
                (got.0 == id as u32 || got.0 == at as u32) && got.1 == dir,
            )?;
            k += 1;
        }
    }
    Ok(())
}

/// 1.7: output: memsize, slots, rings, host rings, mem_id; in all modes the same.
fn every_mode_answers_the_ports_numbers() -> Result<()> {
    let info = Fd::open()?.port_info(&ifname())?;
    for (mode, ringid) in MODES {
        let r = want_ok(
            &format!("mode {mode}"),
            try_register(&ifname(), rx(mode, ringid, 0)),
        )?;
        want_eq(
            &format!("mode {mode}: slots, rings, host rings"),
            (
                r.tx_slots,
                r.rx_slots,
                r.tx_rings,
                r.rx_rings,
                r.host_tx_rings,
                r.host_rx_rings,
            ),
            (
                info.tx_slots,
                info.rx_slots,
                info.tx_rings,
                info.rx_rings,
                1,
                1,
            ),
        )?;
        want(
            "memsize, mem_id, offset",
            r.memsize == info.memsize && r.mem_id != 0 && r.offset < r.memsize,
        )?;
    }
    Ok(())
}

/// 2.1: ONE_NIC binds the pair nr_ringid.
fn first_and_last_ring_of_one_nic() -> Result<()> {
    let n = num_queues("rx-")?;
    for q in [0, n - 1] {
        for flags in [0, RX_ONLY, TX_ONLY] {
            let port = want_ok(
                &format!("ring {q} flags {flags:#x}"),
                Port::open(&ifname(), rx(ONE_NIC, q as u16, flags)),
            )?;
            want_eq(
                "bound",
                Bound::of(&port),
                Bound::by_the_table(ONE_NIC, q as u16, flags, n),
            )?;
        }
    }
    Ok(())
}

/// 1.7: ring id too big -> EINVAL, never silently ring 0.
fn ring_out_of_range_gives_einval_in_every_direction() -> Result<()> {
    let n = num_queues("rx-")?.max(num_queues("tx-")?) as u16;
    for ringid in [n, n + 1, 0xfff, 0xffff] {
        for flags in [0, RX_ONLY, TX_ONLY] {
            want_errno(
                &format!("ring {ringid} of {n}, flags {flags:#x}"),
                try_register(&ifname(), rx(ONE_NIC, ringid, flags)),
                libc::EINVAL,
            )?;
        }
    }
    all_are_the_kernels()
}

/// 1.7: ONE_SW is the same over host rings.
fn host_ring_out_of_range_gives_einval() -> Result<()> {
    for ringid in [1, 7, 0xffff] {
        want_errno(
            &format!("host ring {ringid} of 1"),
            try_register(&ifname(), rx(ONE_SW, ringid, 0)),
            libc::EINVAL,
        )?;
    }
    Ok(())
}

/// 1.7: setting both is accepted, binds nothing, and then nr_mode is not validated.
fn both_only_flags_bind_nothing_in_any_mode() -> Result<()> {
    for mode in [ALL_NIC, SW, NIC_SW, ONE_NIC, ONE_SW, 0, 9, 15] {
        let port = want_ok(
            &format!("mode {mode}"),
            Port::open(&ifname(), rx(mode, 0, RX_ONLY | TX_ONLY)),
        )?;
        want_eq("bound", Bound::of(&port), Bound::default())?;
        want_ok("RXSYNC", port.fd.rxsync())?;
        want_ok("TXSYNC", port.fd.txsync())?;
    }
    Ok(())
}

/// 1.7: EBUSY on one of many rings undoes all the others, in both directions.
fn failed_registration_of_all_rings_takes_none() -> Result<()> {
    let n = num_queues("rx-")?;
    for (what, blocker) in [
        ("RX", rx(ONE_NIC, n as u16 - 1, RX_ONLY | EXCLUSIVE)),
        ("TX", rx(ONE_NIC, n as u16 - 1, TX_ONLY | EXCLUSIVE)),
    ] {
        let last = Port::open(&ifname(), blocker)?;
        for mode in [ALL_NIC, NIC_SW] {
            want_errno(
                &format!("mode {mode} with the last {what} ring exclusive"),
                try_register(&ifname(), rx(mode, 0, 0)),
                libc::EBUSY,
            )?;
        }
        for q in 0..n - 1 {
            want_eq("an RX ring not taken", last.info(q)?.state, Q_KERNEL)?;
        }
        let taken = last.fd.queues(Some(&ifname()))?;
        let taken = taken.iter().filter(|i| i.kind != KIND_PORT && i.pid != 0);
        want_eq("rings that are out", taken.count(), 1)?;
        want_ok("its owner goes on", last.fd.rxsync())?;
        want_ok("its owner goes on", last.fd.txsync())?;
    }
    Ok(())
}

/// Lesson 1: no reset of the interface, whatever is taken and how often.
fn all_rings_taken_and_given_four_times_leave_the_link_up() -> Result<()> {
    let before = sysfs("carrier_changes")?;
    for _ in 0..4 {
        drop(want_ok("NIC_SW", Port::open(&ifname(), rx(NIC_SW, 0, 0)))?);
    }
    want_eq("carrier changes", sysfs("carrier_changes")?, before)?;
    all_are_the_kernels()
}
