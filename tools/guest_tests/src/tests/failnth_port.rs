// SPDX-License-Identifier: GPL-2.0
//! Each allocation of what rebuilds the port under a queue that is out, and of loading the modules,
//! fails in turn: an interface that could not come up comes up the next time, and so does the ring;
//! a module that could not be loaded leaves nothing behind.

use super::lifecycle::{kernel_receives, receives};
use super::tests;
use crate::check::*;
use crate::failnth::{FailNth, Step};
use crate::fd::Fd;
use crate::port::{rx_info, Lane, DPORT, Q};
use crate::setup::{ensure, insmod, rmmod};
use crate::steer::{ifname, ip_link, wait_carrier, Rings, Rule};
use anyhow::{Context, Result};
use std::fs;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

tests! { "failnth":
    interface_up_without_memory_can_be_tried_again_with_a_queue_out @ 900 | flaps,
    mtu_change_without_memory_keeps_the_queue_out @ 900 | flaps,
    netmap_that_could_not_be_loaded_leaves_nothing @ 600,
    probe_without_memory_can_be_tried_again @ 900 | flaps,
}

/// An ioctl about the interface under test, made by this thread: a program that did it for us would
/// not be the one whose allocations fail.
fn interface(socket: &UdpSocket, nr: u64, fill: impl FnOnce(&mut libc::ifreq)) -> Sys<()> {
    // SAFETY: integers and arrays of them.
    let mut req: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in req.ifr_name.iter_mut().zip(ifname().bytes()) {
        *to = from as libc::c_char;
    }
    fill(&mut req);
    // SAFETY: the request lives across the call.
    match unsafe { libc::ioctl(socket.as_raw_fd(), nr as libc::Ioctl, &mut req) } {
        0 => Ok(()),
        _ => Err(Errno::last()),
    }
}

fn up(socket: &UdpSocket) -> Sys<()> {
    interface(socket, libc::SIOCSIFFLAGS, |req| {
        req.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_BROADCAST | libc::IFF_MULTICAST) as i16;
    })
}

fn mtu(socket: &UdpSocket, mtu: i32) -> Sys<()> {
    interface(socket, libc::SIOCSIFMTU, |req| req.ifr_ifru.ifru_mtu = mtu)
}

/// The ring of a lane after the port was rebuilt.
fn goes_on(lane: &Lane) -> Result<()> {
    wait_carrier()?;
    lane.ring()?.take();
    want_ok("RXSYNC", lane.port.fd.rxsync())?;
    receives(lane, 1)
}

fn interface_up_without_memory_can_be_tried_again_with_a_queue_out() -> Result<()> {
    let fail = FailNth::new()?;
    let socket = UdpSocket::bind(("0.0.0.0", 0))?;
    let _rings = Rings::of(64)?;
    let mut lane = Lane::open()?;
    let mut failed = 0;
    fail.sweep_by("interface up", Step::of(31, 13), &mut |once| {
        ip_link(&["down"])?;
        want_errno("RXSYNC when down", lane.port.fd.rxsync(), libc::EIO)?;
        let result = once.call(|| up(&socket))?;
        if let Err(e) = result {
            failed += 1;
            println!("place {}: {e}", once.n());
            want_errno("RXSYNC", lane.port.fd.rxsync(), libc::EIO)?;
            want_ok("up again", up(&socket))?;
        }
        // the driver has dropped its rules
        goes_on_after_rules(&mut lane)?;
        Ok(result)
    })?;
    println!("{failed} times the interface did not come up");
    want("opening allocates", failed > 0)?;
    drop(lane);
    let _rule = Rule::udp(DPORT, Q)?;
    kernel_receives(1)
}

/// Down has dropped the ntuple rules, as the stock driver does.
fn goes_on_after_rules(lane: &mut Lane) -> Result<()> {
    lane.steer_again()?;
    goes_on(lane)
}

fn mtu_change_without_memory_keeps_the_queue_out() -> Result<()> {
    let fail = FailNth::new()?;
    let socket = UdpSocket::bind(("0.0.0.0", 0))?;
    let _rings = Rings::of(64)?;
    let lane = Lane::open()?;
    let swept = fail.sweep_by("MTU change", Step::of(7, 3), &mut |once| {
        let result = once.call(|| mtu(&socket, 1600))?;
        goes_on(&lane)?;
        want_ok("MTU as it was", mtu(&socket, 1500))?;
        wait_carrier()?;
        want_eq("state", rx_info(&lane.port.fd, Q)?.pid, std::process::id())?;
        Ok(result)
    });
    let _ = mtu(&socket, 1500);
    swept?;
    drop(lane);
    let _rule = Rule::udp(DPORT, Q)?;
    kernel_receives(1)
}

fn netmap_that_could_not_be_loaded_leaves_nothing() -> Result<()> {
    let fail = FailNth::new()?;
    let file = fs::File::open(crate::setup::module("netmap"))?;
    rmmod("netmap")?;
    let mut refused = 0;
    let swept = fail.sweep_by("loading netmap.ko", Step::of(17, 4), &mut |once| {
        let result = once.call(|| {
            // SAFETY: an open file and an empty string.
            let r =
                unsafe { libc::syscall(libc::SYS_finit_module, file.as_raw_fd(), c"".as_ptr(), 0) };
            match r {
                0 => Ok(()),
                _ => Err(Errno::last()),
            }
        })?;
        let loaded = crate::setup::loaded("netmap");
        want_eq("it is loaded", loaded, result.is_ok())?;
        want_eq("device", fs::exists("/dev/netmap")?, loaded)?;
        want_eq("debugfs", fs::exists("/sys/kernel/debug/netmap")?, loaded)?;
        if loaded {
            want_ok("open", Fd::open())?;
            rmmod("netmap")?;
        } else {
            refused += 1;
        }
        Ok(result)
    });
    insmod("netmap")?;
    swept?;
    println!("{refused} times it was not loaded");
    let lane = Lane::open()?;
    receives(&lane, 1)
}

/// Most of these allocations are the stock driver's; what it says is its own matter. The device is
/// enabled beforehand: the interrupt routing that this needs is asked of ACPI's interpreter, which
/// uses freed memory (KASAN) when it lacks some.
fn probe_without_memory_can_be_tried_again() -> Result<()> {
    let fail = FailNth::new()?;
    let device = fs::canonicalize(format!("/sys/class/net/{}/device", ifname()))?;
    let address = device.file_name().context("no address")?.to_owned();
    let address = address.to_string_lossy().into_owned();
    let driver = "/sys/bus/pci/drivers/ixgbe";
    fs::write(format!("{driver}/unbind"), &address)?;
    fs::write(device.join("enable"), "1").context("enable")?;
    let mut refused = 0;
    let swept = fail.sweep_by("probe", Step::of(101, 43), &mut |once| {
        let path = format!("{driver}/bind");
        let bind = fs::OpenOptions::new().write(true).open(path)?;
        let result = once.call(|| std::io::Write::write(&mut (&bind), address.as_bytes()))?;
        if fs::exists(device.join("driver"))? {
            fs::write(format!("{driver}/unbind"), &address)?;
        } else {
            refused += 1;
        }
        let errno = result.map(drop);
        Ok(errno.map_err(|e| Errno(e.raw_os_error().unwrap_or(0))))
    });
    fs::write(device.join("enable"), "0").context("disable")?;
    fs::write(format!("{driver}/bind"), &address)?;
    ensure()?;
    swept?;
    println!("{refused} times the port was not there");
    let lane = Lane::open()?;
    receives(&lane, 1)?;
    drop(lane);
    let _rule = Rule::udp(DPORT, Q)?;
    kernel_receives(1)
}
