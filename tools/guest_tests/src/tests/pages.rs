// SPDX-License-Identifier: GPL-2.0
//! How much memory a region has, and where its pages are when rings change.

use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::{one_rx, Fd};
use crate::frame::udp_sized;
use crate::nic::Nic;
use crate::port::{Port, DPORT, Q};
use crate::steer::{ethtool, ifname, wait_carrier, Rss, Rule};
use anyhow::Result;
use std::time::Duration;

tests! { "pages":
    region_is_as_large_as_the_hooked_ports_can_use | flaps,
    longer_ring_after_a_shorter_one_gets_pages_of_its_own | flaps,
}

/// Ring sizes as given; as they were when dropped.
struct Slots {
    rx: u32,
    tx: u32,
}

impl Slots {
    fn set(n: u32) -> Result<Slots> {
        let was = Fd::open()?.port_info(&ifname())?;
        Self::change(n, n)?;
        Ok(Slots {
            rx: was.rx_slots,
            tx: was.tx_slots,
        })
    }

    fn change(rx: u32, tx: u32) -> Result<()> {
        ethtool("-G", &["rx", &rx.to_string(), "tx", &tx.to_string()])?;
        wait_carrier()
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        if let Err(e) = Self::change(self.rx, self.tx) {
            eprintln!("{e:#}");
        }
    }
}

/// Buffers that all rings of all hooked ports have together, host rings included.
fn in_all_rings(fd: &Fd) -> Result<u32> {
    let mut sum = 0;
    for dev in std::fs::read_dir("/sys/class/net")? {
        let name = dev?.file_name().to_string_lossy().into_owned();
        if let Ok(port) = fd.port_info(&name) {
            sum += (u32::from(port.rx_rings) + 1) * port.rx_slots;
            sum += (u32::from(port.tx_rings) + 1) * port.tx_slots;
        }
    }
    Ok(sum)
}

/// 9.21: size pools from the ports in use.
fn region_is_as_large_as_the_hooked_ports_can_use() -> Result<()> {
    let fd = Fd::open()?;
    let _slots = Slots::set(4096)?;
    let before = fd.pools_info(&ifname())?;
    want_eq("no region is in use", before.mem_id, 0)?;
    let need = 2 * in_all_rings(&fd)?;
    want(
        &format!(
            "twice {need} / 2 buffers and 65536 more are {}",
            before.buf_total
        ),
        before.buf_total >= (need + 65536) / 128 * 128,
    )?;
    let port = Port::rx(Q)?;
    let made = fd.pools_info(&ifname())?;
    want_eq(
        "the region made is as foretold",
        made.memsize,
        before.memsize,
    )?;
    want_eq("REGISTER says so", port.reg.memsize, made.memsize)?;
    want_eq("its id", made.mem_id, port.reg.mem_id)
}

/// A program may have the old ring's pages mapped.
fn longer_ring_after_a_shorter_one_gets_pages_of_its_own() -> Result<()> {
    let none = Register {
        flags: one_rx(0).flags | NO_RINGS,
        ..one_rx(0)
    };
    let port = Port::open(&ifname(), none)?;
    want_ok("NIOCQADD", port.fd.qadd(Q))?;
    let short = port.ring(Q)?;
    let n = short.n;
    want_ok("NIOCQDEL", port.fd.qdel(Q))?;

    let _slots = Slots::set(2 * n)?;
    let _rss = Rss::without(&[Q])?;
    want_ok("NIOCQADD", port.fd.qadd(Q))?;
    let long = port.ring(Q)?;
    want_eq("slots", long.n, 2 * n)?;
    want("another place", long.off != short.off)?;
    short.set_head(u32::MAX);
    want("other pages", long.head() != u32::MAX)?;
    let _rule = Rule::udp(DPORT, Q)?;
    let nic = Nic::open()?;
    for first in (0..long.n + 64).step_by(64) {
        let frame = |seq| udp_sized(DPORT, seq, 200);
        for seq in first..first + 64 {
            nic.send(&frame(seq))?;
        }
        let sent: Vec<_> = (first..first + 64).map(frame).collect();
        want_eq(
            "frames",
            port.recv(Q, DPORT, 64, Duration::from_secs(10))?,
            sent,
        )?;
    }
    want_ok("NIOCQDEL", port.fd.qdel(Q))
}
