// SPDX-License-Identifier: GPL-2.0
//! The legacy ioctls NIOCREGIF and NIOCGINFO, which libpcap, Suricata and all
//! nm_open programs use.

use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::{nmreq, Fd};
use crate::port::{rx_info, Port, Q};
use crate::steer::{ifname, num_queues};
use anyhow::Result;

tests! { "abi":
    legacy_ginfo_tells_what_port_info_tells,
    legacy_ginfo_empty_name_gives_memory_size,
    legacy_ginfo_unknown_port_gives_enxio,
    legacy_version_13_gives_einval,
    legacy_versions_14_15_16_are_accepted,
    legacy_regif_one_nic_rx_only_returns_ringid_and_flags_unchanged,
    legacy_regif_hw_ring_bit_selects_the_ring_and_comes_back,
    legacy_regif_unknown_port_gives_enxio,
    legacy_regif_rx_ring_out_of_range_gives_einval,
    legacy_regif_twice_gives_ebusy,
    legacy_regif_maps_and_syncs,
    legacy_regif_extra_buffers_come_back_in_arg3,
    legacy_regif_unknown_mem_id_gives_einval,
    legacy_unknown_cmd_gives_einval,
    legacy_bridge_cmds_give_eopnotsupp,
    legacy_vnet_header_cmds_are_those_of_port_hdr,
    legacy_pipe_modes_give_eopnotsupp,
    legacy_ptnetmap_cmds_give_enomem,
    legacy_null_argument_gives_an_error,
}

fn rx_only(ringid: u16, flags: u32) -> Nmreq {
    Nmreq {
        ringid,
        flags,
        ..nmreq(&ifname())
    }
}

fn one_nic(queue: u32) -> Nmreq {
    rx_only(queue as u16, ONE_NIC | RX_ONLY as u32)
}

/// NIOCGINFO and PORT_INFO_GET are the same question.
fn legacy_ginfo_tells_what_port_info_tells() -> Result<()> {
    let fd = Fd::open()?;
    let mut req = nmreq(&ifname());
    want_ok("NIOCGINFO", fd.ginfo(&mut req))?;
    let info = fd.port_info(&ifname())?;
    want_eq(
        "slots",
        (req.tx_slots, req.rx_slots),
        (info.tx_slots, info.rx_slots),
    )?;
    want_eq(
        "rings",
        (req.tx_rings, req.rx_rings),
        (info.tx_rings, info.rx_rings),
    )?;
    want_eq(
        "memory",
        (u64::from(req.memsize), req.arg2),
        (info.memsize, info.mem_id),
    )
}

/// NIOCGINFO with empty name returns memsize.
fn legacy_ginfo_empty_name_gives_memory_size() -> Result<()> {
    let mut req = nmreq("");
    want_ok("NIOCGINFO \"\"", Fd::open()?.ginfo(&mut req))?;
    want("memory size", req.memsize > 0)
}

fn legacy_ginfo_unknown_port_gives_enxio() -> Result<()> {
    want_errno(
        "nosuchif0",
        Fd::open()?.ginfo(&mut nmreq("nosuchif0")),
        libc::ENXIO,
    )
}

/// 13 -> EINVAL.
fn legacy_version_13_gives_einval() -> Result<()> {
    let fd = Fd::open()?;
    for version in [0, 3, 13] {
        let req = Nmreq {
            version,
            ..one_nic(Q)
        };
        want_errno(
            &format!("NIOCREGIF {version}"),
            fd.regif(&mut { req }),
            libc::EINVAL,
        )?;
        want_errno(
            &format!("NIOCGINFO {version}"),
            fd.ginfo(&mut { req }),
            libc::EINVAL,
        )?;
    }
    Ok(())
}

/// legacy requests have no upper bound on the version.
fn legacy_versions_14_15_16_are_accepted() -> Result<()> {
    for version in [14, 15, 16, 1000] {
        let mut req = Nmreq {
            version,
            ..one_nic(Q)
        };
        want_ok(&format!("NIOCGINFO {version}"), Fd::open()?.ginfo(&mut req))?;
        let mut req = Nmreq {
            version,
            ..one_nic(Q)
        };
        want_ok(&format!("NIOCREGIF {version}"), Fd::open()?.regif(&mut req))?;
    }
    Ok(())
}

/// nr_ringid and nr_flags unchanged.
fn legacy_regif_one_nic_rx_only_returns_ringid_and_flags_unchanged() -> Result<()> {
    let fd = Fd::open()?;
    let mut req = one_nic(Q);
    want_ok("NIOCREGIF", fd.regif(&mut req))?;
    want_eq(
        "ringid, flags",
        (u32::from(req.ringid), req.flags),
        (Q, ONE_NIC | RX_ONLY as u32),
    )?;
    want_eq("name", req.name, name_field(&ifname()))?;
    want_eq("RX rings", u32::from(req.rx_rings), num_queues("rx-")?)?;
    want_eq("state of the queue", rx_info(&fd, Q)?.state, Q_NETMAP)
}

/// mode 0 is derived from the ring id's bits; both come back as they were.
fn legacy_regif_hw_ring_bit_selects_the_ring_and_comes_back() -> Result<()> {
    let fd = Fd::open()?;
    let ringid = LEGACY_HW_RING | Q as u16;
    let mut req = rx_only(ringid, RX_ONLY as u32);
    want_ok("NIOCREGIF", fd.regif(&mut req))?;
    want_eq(
        "ringid, flags",
        (req.ringid, req.flags),
        (ringid, RX_ONLY as u32),
    )?;
    for q in 0..num_queues("rx-")? {
        let want_state = if q == Q { Q_NETMAP } else { Q_KERNEL };
        want_eq(
            &format!("state of queue {q}"),
            rx_info(&fd, q)?.state,
            want_state,
        )?;
    }
    Ok(())
}

fn legacy_regif_unknown_port_gives_enxio() -> Result<()> {
    let req = Nmreq {
        name: name_field("nosuchif0"),
        ..one_nic(Q)
    };
    want_errno("nosuchif0", Fd::open()?.regif(&mut { req }), libc::ENXIO)
}

fn legacy_regif_rx_ring_out_of_range_gives_einval() -> Result<()> {
    let n = num_queues("rx-")?;
    want_errno(
        "ring out of range",
        Fd::open()?.regif(&mut one_nic(n)),
        libc::EINVAL,
    )?;
    let mut req = rx_only(LEGACY_HW_RING | 0xfff, RX_ONLY as u32);
    want_errno("HW_RING | 0xfff", Fd::open()?.regif(&mut req), libc::EINVAL)
}

fn legacy_regif_twice_gives_ebusy() -> Result<()> {
    let fd = Fd::open()?;
    want_ok("first", fd.regif(&mut one_nic(Q)))?;
    want_errno("second", fd.regif(&mut one_nic(Q + 1)), libc::EBUSY)?;
    want_errno(
        "through NIOCCTRL",
        fd.register(&ifname(), &mut crate::fd::one_rx(Q + 1)),
        libc::EBUSY,
    )
}

/// nr_offset and nr_memsize (32 bits here) describe the same region.
fn legacy_regif_maps_and_syncs() -> Result<()> {
    let fd = Fd::open()?;
    let mut req = one_nic(Q);
    want_ok("NIOCREGIF", fd.regif(&mut req))?;
    let reg = Register {
        offset: u64::from(req.offset),
        memsize: u64::from(req.memsize),
        ringid: Q as u16,
        ..Default::default()
    };
    let port = want_ok("mmap", Port::mapped(fd, reg))?;
    want_eq(
        "RX rings in the netmap_if",
        port.nif.rx_rings() as u32,
        u32::from(req.rx_rings),
    )?;
    want_eq("slots of the ring", port.ring(Q)?.n, req.rx_slots)?;
    want_ok("RXSYNC", port.fd.rxsync())
}

/// nr_arg3 = extra buffers, the granted number comes back.
fn legacy_regif_extra_buffers_come_back_in_arg3() -> Result<()> {
    let mut req = Nmreq {
        arg3: 5,
        ..one_nic(Q)
    };
    want_ok("NIOCREGIF", Fd::open()?.regif(&mut req))?;
    want_eq("granted", req.arg3, 5)
}

/// nr_arg2 = mem_id.
fn legacy_regif_unknown_mem_id_gives_einval() -> Result<()> {
    want_errno(
        "arg2 0x7abc",
        Fd::open()?.regif(&mut Nmreq {
            arg2: 0x7abc,
            ..one_nic(Q)
        }),
        libc::EINVAL,
    )
}

/// unknown nr_cmd -> EINVAL.
fn legacy_unknown_cmd_gives_einval() -> Result<()> {
    for cmd in [13, 99, 0xffff] {
        want_errno(
            &format!("nr_cmd {cmd}"),
            Fd::open()?.regif(&mut Nmreq { cmd, ..one_nic(Q) }),
            libc::EINVAL,
        )?;
    }
    want_eq(
        "state of the queue",
        rx_info(&Fd::open()?, Q)?.state,
        Q_KERNEL,
    )
}

/// 1.9: commands about switches: EOPNOTSUPP.
fn legacy_bridge_cmds_give_eopnotsupp() -> Result<()> {
    for cmd in [1, 2, 6, 7, 10, 11] {
        let mut req = Nmreq {
            cmd,
            ..nmreq("vale0:1")
        };
        let got = Fd::open()?.regif(&mut req);
        want_errno(&format!("nr_cmd {cmd}"), got, libc::EOPNOTSUPP)?;
    }
    let mut req = Nmreq {
        cmd: 4,
        ..nmreq("vale0:1")
    };
    want_errno(
        "nr_cmd 4 (list)",
        Fd::open()?.ginfo(&mut req),
        libc::EOPNOTSUPP,
    )
}

/// 1.9: 5 vnet hdr set, 12 vnet hdr get; a NIC has none.
fn legacy_vnet_header_cmds_are_those_of_port_hdr() -> Result<()> {
    let fd = Fd::open()?;
    let with = |cmd, arg1, name: &str| Nmreq {
        cmd,
        arg1,
        ..nmreq(name)
    };
    want_errno(
        "set to 12",
        fd.regif(&mut with(5, 12, &ifname())),
        libc::ENXIO,
    )?;
    want_errno(
        "set to 11",
        fd.regif(&mut with(5, 11, &ifname())),
        libc::EINVAL,
    )?;
    let mut get = with(12, 77, &ifname());
    want_ok("get", fd.regif(&mut get))?;
    want_eq("header length", get.arg1, 0)?;
    want_errno(
        "get of no port",
        fd.regif(&mut with(12, 0, "nosuchif0")),
        libc::ENXIO,
    )?;
    want_errno("the fd is not registered", fd.rxsync(), libc::ENXIO)
}

/// 1.9: pipe modes mean a suffix of the name, and there are no pipes.
fn legacy_pipe_modes_give_eopnotsupp() -> Result<()> {
    for mode in [PIPE_MASTER, PIPE_SLAVE] {
        let mut req = rx_only(0, mode);
        want_errno(
            &format!("mode {mode}"),
            Fd::open()?.regif(&mut req),
            libc::EOPNOTSUPP,
        )?;
    }
    Ok(())
}

/// 8/9 ptnetmap, removed: ENOMEM.
fn legacy_ptnetmap_cmds_give_enomem() -> Result<()> {
    for cmd in [8, 9] {
        want_errno(
            &format!("nr_cmd {cmd}"),
            Fd::open()?.regif(&mut Nmreq { cmd, ..one_nic(Q) }),
            libc::ENOMEM,
        )?;
    }
    Ok(())
}

/// A null pointer is an error, not an oops.
fn legacy_null_argument_gives_an_error() -> Result<()> {
    let fd = Fd::open()?;
    for nr in [
        NIOCREGIF, NIOCGINFO, NIOCCONFIG, NIOCQADD, NIOCQDEL, NIOCQNEXT,
    ] {
        // SAFETY: no memory.
        want_some_errno(&format!("ioctl {nr:#x}(NULL)"), unsafe {
            fd.ioctl_raw(nr, 0)
        })?;
    }
    Ok(())
}
