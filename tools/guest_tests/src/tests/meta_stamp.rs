// SPDX-License-Identifier: GPL-2.0
//! Hardware timestamps of received frames, as metadata (our option 0x4e4d01,
//! `Documentation/netmap-api.md`): the card stamps PTP messages it is told to, and no other frame.

use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::{header, one_rx, Fd};
use crate::frame::udp;
use crate::nic::Nic;
use crate::port::{Port, Q};
use crate::setup::eventually;
use crate::steer::{ifname, Rss, Rule};
use anyhow::{ensure, Context, Result};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

tests! { "meta":
    ptp_messages_carry_the_cards_time_and_other_frames_none,
    frames_carry_no_time_while_the_port_stamps_nothing,
}

const SOON: Duration = Duration::from_secs(10);
/// PTP event messages over UDP.
const PTP: u16 = 319;
const TSTAMP: u32 = 0x8;

/// `struct hwtstamp_config`.
#[repr(C)]
struct Config {
    flags: i32,
    tx_type: i32,
    rx_filter: i32,
}

/// The port stamps received PTP event messages (version 2, any transport) while this lives.
struct Stamping;

fn set(rx_filter: i32) -> Result<()> {
    const SIOCSHWTSTAMP: libc::c_ulong = 0x89b0;
    let mut config = Config {
        flags: 0,
        tx_type: 0,
        rx_filter,
    };
    // SAFETY: An ifreq is plain data.
    let mut req: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in req.ifr_name.iter_mut().zip(ifname().bytes()) {
        *to = from as libc::c_char;
    }
    req.ifr_ifru.ifru_data = (&raw mut config).cast();
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    // SAFETY: The request and what it points to are valid for the call.
    let r = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCSHWTSTAMP, &raw mut req) };
    ensure!(r == 0, "SIOCSHWTSTAMP: {}", std::io::Error::last_os_error());
    Ok(())
}

impl Stamping {
    fn on() -> Result<Stamping> {
        set(12).map(|()| Stamping)
    }
}

impl Drop for Stamping {
    fn drop(&mut self) {
        if let Err(e) = set(0) {
            eprintln!("{e:#}");
        }
    }
}

/// Queue `Q` with metadata.
struct Lane {
    _rules: [Rule; 2],
    port: Port,
    nic: Nic,
    /// Of entry 0 from the ring, and of an entry.
    at: (usize, usize),
    _rss: Rss,
}

const PLAIN: u16 = 7319;

fn lane() -> Result<Lane> {
    let rss = Rss::without(&[Q])?;
    let mut reg = one_rx(Q);
    // next; type and status; size; offset and size of entries; spare
    let mut opt = [0u64, u64::from(OPT_RX_META), 40, 0, 0];
    let fd = Fd::open()?;
    let mut hdr = header(&ifname(), REQ_REGISTER);
    hdr.body = &raw mut reg as u64;
    hdr.options = opt.as_mut_ptr() as u64;
    want_ok("REGISTER with RX_META", fd.ctrl(&mut hdr))?;
    Ok(Lane {
        _rules: [Rule::udp(PTP, Q)?, Rule::udp(PLAIN, Q)?],
        port: Port::mapped(fd, reg)?,
        nic: Nic::open()?,
        at: ((opt[3] as u32) as usize, (opt[3] >> 32) as usize),
        _rss: rss,
    })
}

impl Lane {
    /// Receives a Sync message of PTP version 2 to UDP port `dport`; its time, if it has one.
    fn stamp(&self, dport: u16, seq: u8) -> Result<Option<u64>> {
        let mut sync = [0u8; 44];
        (sync[1], sync[3], sync[31]) = (2, 44, seq);
        let ring = self.port.ring(Q)?;
        let first = ring.tail();
        self.nic.send(&udp(dport, dport, &sync))?;
        eventually("the frame is in the ring", SOON, || {
            want_ok("RXSYNC", self.port.fd.rxsync())?;
            Ok(ring.tail() != first)
        })?;
        let entry = ring.off + self.at.0 + self.at.1 * first as usize;
        let (ns, flags): (u64, u32) = (ring.mem.get(entry), ring.mem.get(entry + 16));
        ring.take();
        want_ok("RXSYNC", self.port.fd.rxsync())?;
        Ok((flags & TSTAMP != 0).then_some(ns))
    }
}

fn ptp_messages_carry_the_cards_time_and_other_frames_none() -> Result<()> {
    let _stamping = Stamping::on()?;
    let lane = lane()?;
    let mut last = 0;
    for seq in 0..20 {
        want_eq("time of a plain frame", lane.stamp(PLAIN, seq)?, None)?;
        // Each was read, so the card's one place is free for the next.
        let ns = lane.stamp(PTP, seq)?;
        let ns = ns.with_context(|| format!("message {seq} has no time"))?;
        want(&format!("times rise: {last} < {ns}"), last < ns)?;
        last = ns;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let off = now.abs_diff(Duration::from_nanos(last));
    want(
        &format!("the card's time is that of day, {off:?} off"),
        off < Duration::from_secs(60),
    )
}

fn frames_carry_no_time_while_the_port_stamps_nothing() -> Result<()> {
    let lane = lane()?;
    for seq in 0..3 {
        want_eq("time of a PTP message", lane.stamp(PTP, seq)?, None)?;
    }
    Ok(())
}
