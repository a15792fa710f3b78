// SPDX-License-Identifier: GPL-2.0
//! The modes through NIOCREGIF (netmap-abi 1.9): old programs bind the same rings.

use super::modes::{all_are_the_kernels, Bound};
use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::{nmreq, Fd};
use crate::port::{tx_info, Port, Q, Q2};
use crate::steer::{ifname, num_queues};
use anyhow::Result;

tests! { "modes":
    legacy_requests_bind_the_same_rings,
    legacy_no_tx_poll_bit_is_kept,
}

/// 1.9: mode = nr_flags & 0xf; if 0, derived from bits of nr_ringid; both unchanged.
fn legacy_requests_bind_the_same_rings() -> Result<()> {
    let n = num_queues("rx-")?;
    let q = Q as u16;
    for (what, ringid, flags, mode) in [
        ("all zero", 0, 0, ALL_NIC),
        ("HW_RING bit", LEGACY_HW_RING | q, 0, ONE_NIC),
        ("SW_RING bit", LEGACY_SW_RING, 0, SW),
        ("ALL_NIC", 0, ALL_NIC, ALL_NIC),
        ("SW", 0, SW, SW),
        ("NIC_SW", 0, NIC_SW, NIC_SW),
        ("ONE_NIC", q, ONE_NIC, ONE_NIC),
        (
            "ONE_NIC, TX only",
            q,
            ONE_NIC | TX_ONLY as u32,
            ONE_NIC | TX_ONLY as u32,
        ),
    ] {
        let fd = Fd::open()?;
        let mut req = nmreq(&ifname());
        (req.ringid, req.flags) = (ringid, flags);
        want_ok(what, fd.regif(&mut req))?;
        want_eq(
            &format!("{what}: ringid, flags"),
            (req.ringid, req.flags),
            (ringid, flags),
        )?;
        let reg = Register {
            offset: req.offset.into(),
            memsize: req.memsize.into(),
            ..Default::default()
        };
        let port = Port::mapped(fd, reg)?;
        let flags = u64::from(mode) & TX_ONLY;
        want_eq(
            what,
            Bound::of(&port),
            Bound::by_the_table(mode & 0xf, q, flags, n),
        )?;
    }
    all_are_the_kernels()
}

/// 1.4, 1.12: NETMAP_NO_TX_POLL in nr_ringid: poll(POLLIN) pushes nothing.
fn legacy_no_tx_poll_bit_is_kept() -> Result<()> {
    const BIT: u16 = 0x1000;
    for (bit, left) in [(0, 0), (BIT, 1)] {
        let fd = Fd::open()?;
        let mut req = nmreq(&ifname());
        req.ringid = LEGACY_HW_RING | bit | Q2 as u16;
        want_ok("NIOCREGIF", fd.regif(&mut req))?;
        want_eq("ringid", req.ringid, LEGACY_HW_RING | bit | Q2 as u16)?;
        let reg = Register {
            offset: req.offset.into(),
            memsize: req.memsize.into(),
            ..Default::default()
        };
        let port = Port::mapped(fd, reg)?;
        let ring = port.tx_ring(Q2)?;
        crate::tests::putback::put_copy(&ring, &crate::frame::outgoing(1, 60))?;
        let before = tx_info(&port.fd, Q2)?.counter[counter::PACKETS];
        port.fd.poll(libc::POLLIN, std::time::Duration::ZERO)?;
        let sent = tx_info(&port.fd, Q2)?.counter[counter::PACKETS] - before;
        want_eq(
            &format!("ringid bits {bit:#x}: frames poll(POLLIN) left"),
            1 - sent,
            left,
        )?;
    }
    Ok(())
}
