// SPDX-License-Identifier: GPL-2.0
//! NIOCQNEXT: the listing of ports, rings, owners and counters.

use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::Fd;
use crate::port::{rx_info, Port, Q, Q2};
use crate::steer::{ifname, num_queues};
use anyhow::Result;

tests! { "queues":
    qnext_lists_every_queue_once_in_order,
    qnext_shows_owner_state_and_memory,
    qnext_filter_finds_one_interface_only,
    qnext_bad_version_gives_einval,
    qnext_from_a_far_cursor_gives_enoent,
    qnext_reserved_fields_are_zero,
}

fn qnext_lists_every_queue_once_in_order() -> Result<()> {
    let n = num_queues("rx-")?;
    let _port = Port::rx_putback(Q)?;
    let all = want_ok("NIOCQNEXT", Fd::open()?.queues(Some(&ifname())))?;
    let keys: Vec<_> = all.iter().map(|i| (i.ifindex, i.kind, i.queue)).collect();
    let mut sorted = keys.clone();
    sorted.sort_unstable();
    sorted.dedup();
    want_eq("in order, none twice", &keys, &sorted)?;
    let of = |kind| all.iter().filter(move |i| i.kind == kind);
    want_eq("ports", of(KIND_PORT).count(), 1)?;
    want_eq(
        "RX rings",
        of(KIND_RX).map(|i| i.queue).collect::<Vec<_>>(),
        (0..n).collect::<Vec<_>>(),
    )?;
    want_eq(
        "host TX rings",
        of(KIND_HOST_TX).map(|i| i.queue).collect::<Vec<_>>(),
        vec![0],
    )?;
    for i in &all {
        want_eq("name", field_name(&i.name), ifname())?;
        want_eq(
            "ifindex",
            i.ifindex,
            crate::steer::sysfs("ifindex")?.parse()?,
        )?;
        want_eq("version", i.version, 1)?;
        want_eq("queues of the port", i.num_queues, n)?;
    }
    Ok(())
}

fn qnext_shows_owner_state_and_memory() -> Result<()> {
    let port = Port::rx(Q)?;
    let mine = port.info(Q)?;
    // SAFETY: no memory involved.
    let uid = unsafe { libc::getuid() };
    want_eq("pid, uid", (mine.pid, mine.uid), (std::process::id(), uid))?;
    let comm = std::fs::read_to_string("/proc/self/comm")?;
    want_eq("comm", field_name(&mine.comm), comm.trim().to_string())?;
    want_eq("state", mine.state, Q_NETMAP)?;
    want_eq("slots", mine.slots, port.reg.rx_slots)?;
    want_eq("mem_id", mine.mem_id, port.reg.mem_id.into())?;
    want_eq("starts", mine.counter[counter::STARTS], 1)?;
    let kernels = port.info(Q2)?;
    want_eq(
        "a queue of the kernel's: state, pid, mem_id",
        (kernels.state, kernels.pid, kernels.mem_id),
        (Q_KERNEL, 0, 0),
    )?;
    drop(port);
    let back = rx_info(&Fd::open()?, Q)?;
    want_eq(
        "after close: state, pid",
        (back.state, back.pid),
        (Q_KERNEL, 0),
    )
}

fn qnext_filter_finds_one_interface_only() -> Result<()> {
    let fd = Fd::open()?;
    for name in ["lo", "nosuchif0"] {
        want_eq(name, want_ok("NIOCQNEXT", fd.queues(Some(name)))?.len(), 0)?;
    }
    let all = fd.queues(None)?;
    let mine = fd.queues(Some(&ifname()))?;
    want(
        "without a filter it is in the list",
        mine.iter().all(|m| {
            all.iter()
                .any(|a| (a.ifindex, a.kind, a.queue) == (m.ifindex, m.kind, m.queue))
        }),
    )
}

fn qnext_bad_version_gives_einval() -> Result<()> {
    let fd = Fd::open()?;
    for version in [0, 2, 14] {
        let got = fd.qnext(&mut QueueInfo {
            version,
            ..Default::default()
        });
        want_errno(&format!("version {version}"), got, libc::EINVAL)?;
    }
    Ok(())
}

fn qnext_from_a_far_cursor_gives_enoent() -> Result<()> {
    let fd = Fd::open()?;
    let far = QueueInfo {
        version: 1,
        ifindex: u32::MAX,
        kind: u32::MAX,
        queue: u32::MAX,
        ..Default::default()
    };
    want_errno(
        "the last cursor there is",
        fd.qnext(&mut { far }),
        libc::ENOENT,
    )?;
    let port = QueueInfo {
        version: 1,
        ifindex: crate::steer::sysfs("ifindex")?.parse()?,
        ..Default::default()
    };
    let mut at = QueueInfo {
        kind: KIND_RX,
        queue: u32::MAX,
        ..port
    };
    at.name = name_field(&ifname());
    want_errno(
        "behind the last ring of the port",
        fd.qnext(&mut at),
        libc::ENOENT,
    )
}

fn qnext_reserved_fields_are_zero() -> Result<()> {
    let _port = Port::rx_putback(Q)?;
    for i in Fd::open()?.queues(Some(&ifname()))? {
        want_eq("spare fields", (i.spare0, i.spare), (0, [0; 6]))?;
        want_eq("reserved counters", &i.counter[10..], &[0; 6][..])?;
    }
    Ok(())
}
