// SPDX-License-Identifier: GPL-2.0
//! PORT_INFO_GET, POOLS_INFO_GET and the requests this module does not offer
//! (API 14, other requests).  Pool sizes are the module's own choice, so they
//! are tested for being consistent, not for being upstream's.

use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::{header, Fd};
use crate::port::{Port, Q};
use crate::steer::{ethtool, ifname, num_queues};
use anyhow::{Context, Result};

tests! { "abi":
    port_info_tells_rings_and_slots_as_ethtool_does,
    port_info_changes_nothing_and_binds_nothing,
    port_info_empty_name_gives_memory_info,
    port_info_unknown_port_gives_enxio,
    port_info_works_on_a_registered_fd,
    pools_info_is_consistent,
    pools_info_agrees_with_what_was_mapped,
    pools_info_empty_name_gives_enxio,
    pools_info_unknown_port_gives_enxio,
    requests_about_switches_give_eopnotsupp,
    port_hdr_set_of_a_nic_gives_enxio_and_einval_for_a_bad_length,
    port_hdr_get_of_a_nic_gives_0,
    config_ioctl_gives_einval,
}

/// The current value in `ethtool -g`.
fn ring_size(kind: &str) -> Result<u32> {
    let text = ethtool("-g", &[])?;
    let current = text
        .split("Current hardware settings:")
        .nth(1)
        .unwrap_or("");
    let line = current
        .lines()
        .find_map(|l| l.strip_prefix(kind)?.strip_prefix(':'));
    Ok(line
        .with_context(|| format!("ethtool -g shows no {kind}"))?
        .trim()
        .parse()?)
}

/// PORT_INFO_GET: the port as it is.
fn port_info_tells_rings_and_slots_as_ethtool_does() -> Result<()> {
    let info = want_ok("PORT_INFO_GET", Fd::open()?.port_info(&ifname()))?;
    want_eq(
        "slots",
        (info.rx_slots, info.tx_slots),
        (ring_size("RX")?, ring_size("TX")?),
    )?;
    let rings = (num_queues("rx-")?, num_queues("tx-")?);
    want_eq(
        "rings",
        (u32::from(info.rx_rings), u32::from(info.tx_rings)),
        rings,
    )?;
    want_eq(
        "host rings",
        (info.host_tx_rings, info.host_rx_rings),
        (1, 1),
    )?;
    want("it has memory", info.memsize > 0)?;
    let reg = Port::rx(Q)?.reg;
    let ids = [0, reg.mem_id];
    want(
        "mem_id is the default (0 before its first use)",
        ids.contains(&info.mem_id),
    )?;
    want_eq("memory size", info.memsize, reg.memsize)
}

/// It is a question only.
fn port_info_changes_nothing_and_binds_nothing() -> Result<()> {
    let fd = Fd::open()?;
    let first = fd.port_info(&ifname())?;
    want_eq("asked twice", fd.port_info(&ifname())?, first)?;
    want_errno("RXSYNC: not registered", fd.rxsync(), libc::ENXIO)?;
    let all = fd.queues(Some(&ifname()))?;
    want(
        "every queue is the kernel's",
        all.iter()
            .all(|i| i.kind == KIND_PORT || i.state == Q_KERNEL),
    )
}

/// empty name gives memory info of nr_mem_id.
fn port_info_empty_name_gives_memory_info() -> Result<()> {
    let info = want_ok("PORT_INFO_GET \"\"", Fd::open()?.port_info(""))?;
    want("memory size", info.memsize > 0)?;
    want_eq("no rings", (info.rx_rings, info.tx_rings), (0, 0))
}

/// unknown port ENXIO.
fn port_info_unknown_port_gives_enxio() -> Result<()> {
    want_errno("nosuchif0", Fd::open()?.port_info("nosuchif0"), libc::ENXIO)
}

/// A registered fd may ask too.
fn port_info_works_on_a_registered_fd() -> Result<()> {
    let port = Port::rx(Q)?;
    let info = want_ok("PORT_INFO_GET", port.fd.port_info(&ifname()))?;
    want_eq("mem_id", info.mem_id, port.reg.mem_id)?;
    want_ok("still registered", port.fd.rxsync())
}

fn pool_size(total: u32, size: u32) -> u64 {
    u64::from(total) * u64::from(size)
}

/// three pools, in order, that together are the region.
fn pools_info_is_consistent() -> Result<()> {
    let p = want_ok("POOLS_INFO_GET", Fd::open()?.pools_info(&ifname()))?;
    want_eq("if pool at 0", p.if_offset, 0)?;
    let ifs = pool_size(p.if_total, p.if_size);
    let rings = pool_size(p.ring_total, p.ring_size);
    let bufs = pool_size(p.buf_total, p.buf_size);
    want("the ring pool follows", p.ring_offset >= ifs)?;
    want(
        "the buffer pool follows",
        p.buf_offset >= p.ring_offset + rings,
    )?;
    want("the buffers fit", p.memsize >= p.buf_offset + bufs)?;
    let (pools, slack) = (ifs + rings + bufs, 3 * 4096);
    want(
        &format!(
            "memsize {:#x} is the sum of the pools {pools:#x}",
            p.memsize
        ),
        p.memsize <= pools + slack,
    )?;
    for (what, v) in [
        ("memsize", p.memsize),
        ("ring pool", p.ring_offset),
        ("buffer pool", p.buf_offset),
    ] {
        want_eq(&format!("{what} is at a page boundary"), v % 4096, 0)?;
    }
    let info = Fd::open()?.port_info(&ifname())?;
    want_eq(
        "as PORT_INFO_GET",
        (p.memsize, p.mem_id),
        (info.memsize, info.mem_id),
    )?;
    want(
        "a ring object holds the port's largest ring",
        p.ring_size >= 256 + 16 * info.rx_slots,
    )?;
    want(
        "a netmap_if holds all ring offsets",
        p.if_size >= 56 + 8 * (2 + u32::from(info.rx_rings + info.tx_rings)),
    )
}

/// What is mapped has the layout the pools have.
fn pools_info_agrees_with_what_was_mapped() -> Result<()> {
    let port = Port::rx(Q)?;
    let p = port.fd.pools_info(&ifname())?;
    want_eq("memsize", p.memsize, port.reg.memsize)?;
    want(
        "netmap_if in its pool",
        port.reg.offset >= p.if_offset && port.reg.offset < p.ring_offset,
    )?;
    let ring = port.ring(Q)?;
    want(
        "ring in its pool",
        (p.ring_offset..p.buf_offset).contains(&(ring.off as u64)),
    )?;
    want_eq("buffer size", ring.buf_size, p.buf_size)?;
    want_eq(
        "buffer 0 is the pool's first",
        ring.buf_off(0) as u64,
        p.buf_offset,
    )?;
    for i in 0..ring.n {
        let idx = ring.slot(i).idx;
        want(
            "buffer index in the pool, and neither 0 nor 1",
            (2..p.buf_total).contains(&idx),
        )?;
    }
    Ok(())
}

/// empty name fails (ENXIO).
fn pools_info_empty_name_gives_enxio() -> Result<()> {
    want_errno("\"\"", Fd::open()?.pools_info(""), libc::ENXIO)
}

/// it needs a valid port name.
fn pools_info_unknown_port_gives_enxio() -> Result<()> {
    want_errno(
        "nosuchif0",
        Fd::open()?.pools_info("nosuchif0"),
        libc::ENXIO,
    )
}

/// 1.5: what is about switches is refused, whatever the name, and NIOCCTRL says so in one way.
fn requests_about_switches_give_eopnotsupp() -> Result<()> {
    let fd = Fd::open()?;
    let mut body = [0u64; 64];
    for name in ["vale0:1", &ifname(), "nosuchif0"] {
        for (what, reqtype) in [
            ("VALE_ATTACH", REQ_VALE_ATTACH),
            ("VALE_DETACH", REQ_VALE_DETACH),
            ("VALE_LIST", REQ_VALE_LIST),
            ("VALE_NEWIF", REQ_VALE_NEWIF),
            ("VALE_POLLING_ENABLE", REQ_VALE_POLLING_ENABLE),
            ("VALE_POLLING_DISABLE", REQ_VALE_POLLING_DISABLE),
        ] {
            let got = fd.request(name, reqtype, &mut body);
            want_errno(&format!("{what} of {name}"), got, libc::EOPNOTSUPP)?;
        }
        let got = fd.ctrl(&mut header(name, REQ_VALE_DELIF));
        want_errno(&format!("VALE_DELIF of {name}"), got, libc::EOPNOTSUPP)?;
    }
    Ok(())
}

/// 1.8: PORT_HDR_SET is for VALE ports only: a wrong length EINVAL, any other port not found.
fn port_hdr_set_of_a_nic_gives_enxio_and_einval_for_a_bad_length() -> Result<()> {
    let fd = Fd::open()?;
    for name in [&*ifname(), "nosuchif0"] {
        for len in [0u32, 10, 12] {
            let got = fd.request(name, REQ_PORT_HDR_SET, &mut [len, 0]);
            want_errno(&format!("{name}, length {len}"), got, libc::ENXIO)?;
        }
        for len in [1u32, 11, 13, u32::MAX] {
            let got = fd.request(name, REQ_PORT_HDR_SET, &mut [len, 0]);
            want_errno(&format!("{name}, length {len}"), got, libc::EINVAL)?;
        }
    }
    Ok(())
}

/// 1.8: PORT_HDR_GET of any netmap port: a NIC has no virtio-net header.
fn port_hdr_get_of_a_nic_gives_0() -> Result<()> {
    let fd = Fd::open()?;
    let mut len = [77u32, 0];
    want_ok(
        "PORT_HDR_GET",
        fd.request(&ifname(), REQ_PORT_HDR_GET, &mut len),
    )?;
    want_eq("header length", len[0], 0)?;
    for name in ["nosuchif0", ""] {
        let got = fd.request(name, REQ_PORT_HDR_GET, &mut len);
        want_errno(&format!("'{name}'"), got, libc::ENXIO)?;
    }
    Ok(())
}

/// NIOCCONFIG without a bridge that wants it: EINVAL.
fn config_ioctl_gives_einval() -> Result<()> {
    let mut req = NmIfreq {
        name: name_field(&ifname()),
        ..Default::default()
    };
    want_errno("NIOCCONFIG", Fd::open()?.config(&mut req), libc::EINVAL)
}
