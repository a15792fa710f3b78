// SPDX-License-Identifier: GPL-2.0
//! What else happens to a port whose queue is out: modules come and go, the
//! interface goes down, is reconfigured, loses its cable; each has one outcome.

use super::tests;
use crate::abi::*;
use crate::bpf::{attach_xdp, Xsk};
use crate::check::*;
use crate::fd::{one_rx, Fd};
use crate::frame::udp_sized;
use crate::nic::Nic;
use crate::port::{rx_info, Lane, Port, DPORT, Q, Q2};
use crate::setup::{self, eventually, insmod, loaded, rmmod};
use crate::steer::{ethtool, ifname, ip_link, num_queues, sysfs, wait_carrier, Rss, Rule};
use anyhow::{bail, Context, Result};
use std::time::Duration;

tests! { "lifecycle":
    rmmod_of_either_module_is_refused_while_a_queue_is_out,
    rmmod_and_insmod_of_netmap_keep_the_link,
    rmmod_and_insmod_in_either_order_work @ 120 | flaps,
    rmmod_netmap_is_refused_while_the_device_is_open,
    netmap_alone_has_no_ports @ 90 | flaps,
    ixgbe_alone_works_as_the_stock_driver_does @ 90 | flaps,
    ifdown_and_ifup_with_a_queue_out @ 90 | flaps,
    poll_sleeper_is_woken_by_ifdown @ 90 | flaps,
    close_while_down_returns_the_queue @ 90 | flaps,
    mtu_change_with_a_queue_out @ 90 | flaps,
    link_down_and_up_with_a_queue_out @ 90 | flaps,
    ring_size_and_channel_changes_are_refused_while_a_queue_is_out,
    ring_size_change_is_seen_by_the_next_registration @ 90 | flaps,
    xdp_attach_with_a_queue_out_is_refused,
    af_xdp_bind_on_a_taken_queue_is_refused,
    register_on_a_queue_with_an_af_xdp_socket_gives_ebusy | flaps,
    ethtool_self_test_and_register_dump_with_a_queue_out,
    promiscuous_and_multicast_changes_with_a_queue_out,
}

const SOON: Duration = Duration::from_secs(10);

pub(super) fn refused(what: &str, got: Result<impl Sized>) -> Result<()> {
    match got {
        Ok(_) => bail!("{what} was accepted"),
        Err(e) => {
            println!("{what}: {e:#}");
            Ok(())
        }
    }
}

/// Frames reach the lane's program.
pub(super) fn receives(lane: &Lane, seq: u32) -> Result<()> {
    let nic = Nic::open()?;
    let all: Vec<_> = (seq..seq + 20).map(|s| udp_sized(DPORT, s, 100)).collect();
    for f in &all {
        nic.send(f)?;
    }
    want_eq("frames in the ring", lane.recv(20, SOON)?, all)
}

/// A datagram reaches the kernel's socket.
pub(super) fn kernel_receives(seq: u32) -> Result<()> {
    let socket = crate::sock::bind(DPORT)?;
    Nic::open()?.send(&udp_sized(DPORT, seq, 100))?;
    let got = crate::sock::recv(&socket, SOON)?.context("the kernel's socket got nothing")?;
    want_eq("datagram", got, crate::frame::pattern(seq, 100 - 42))
}

fn rmmod_of_either_module_is_refused_while_a_queue_is_out() -> Result<()> {
    let lane = Lane::open()?;
    for module in ["netmap", "ixgbe"] {
        let said = rmmod(module)
            .err()
            .with_context(|| format!("rmmod {module} was accepted"))?;
        let text = format!("{said:#}");
        want(
            &format!("'{text}' says it is in use"),
            text.contains("in use") || text.contains("busy"),
        )?;
    }
    receives(&lane, 1)
}

/// netmap.ko comes and goes without the driver noticing.
fn rmmod_and_insmod_of_netmap_keep_the_link() -> Result<()> {
    for seq in 0..3 {
        rmmod("netmap")?;
        kernel_receives(seq)?;
        insmod("netmap")?;
        let lane = Lane::open()?;
        receives(&lane, 100 * seq)?;
    }
    Ok(())
}

fn rmmod_and_insmod_in_either_order_work() -> Result<()> {
    for (out, back) in [
        (["netmap", "ixgbe"], ["ixgbe", "netmap"]),
        (["ixgbe", "netmap"], ["netmap", "ixgbe"]),
    ] {
        for module in out {
            rmmod(module)?;
        }
        for module in back {
            insmod(module)?;
        }
        setup::ensure()?;
        let lane = Lane::open()?;
        receives(&lane, 1)?;
        drop(lane);
        kernel_receives(5)?;
    }
    Ok(())
}

fn rmmod_netmap_is_refused_while_the_device_is_open() -> Result<()> {
    let fd = Fd::open()?;
    refused("rmmod netmap", rmmod("netmap"))?;
    want_ok("the descriptor still works", fd.port_info(&ifname()))?;
    want("netmap is loaded", loaded("netmap"))
}

/// Without the driver there is a device and nothing to register.
fn netmap_alone_has_no_ports() -> Result<()> {
    rmmod("ixgbe")?;
    let fd = Fd::open();
    let listing = fd.as_ref().map_err(|e| *e).and_then(|fd| fd.queues(None));
    let port = Port::rx(Q).map(drop);
    setup::ensure()?;
    want_eq("entries listed", want_ok("NIOCQNEXT", listing)?.len(), 0)?;
    want_errno("REGISTER", port, libc::ENXIO)?;
    want_ok(
        "the same fd registers once the driver is there",
        fd?.register(&ifname(), &mut one_rx(Q)),
    )
}

fn ixgbe_alone_works_as_the_stock_driver_does() -> Result<()> {
    rmmod("netmap")?;
    rmmod("ixgbe")?;
    insmod("ixgbe")?;
    // brings the interface up; and loads netmap again, which must not matter
    let alone = !loaded("netmap");
    setup::ensure()?;
    want("netmap was not loaded along", alone)?;
    rmmod("netmap")?;
    kernel_receives(1)?;
    ethtool("-G", &["rx", "1024"])?;
    wait_carrier()?;
    kernel_receives(2)?;
    ethtool("-G", &["rx", "512"])?;
    wait_carrier()?;
    setup::ensure()
}

/// Down: EIO and POLLERR; up: the ring works again, on the same fd.
fn ifdown_and_ifup_with_a_queue_out() -> Result<()> {
    let lane = Lane::open()?;
    receives(&lane, 1)?;
    ip_link(&["down"])?;
    let sync = lane.port.fd.rxsync();
    let poll = lane.port.fd.poll(libc::POLLIN, Duration::ZERO);
    let state = lane.port.info(Q)?.state;
    setup::ensure()?;
    want_errno("RXSYNC while down", sync, libc::EIO)?;
    want(
        "POLLERR while down",
        want_ok("poll", poll)? & libc::POLLERR != 0,
    )?;
    want_eq("state while down: parked", state, 5)?;
    want_ok("RXSYNC when up", lane.port.fd.rxsync())?;
    want_eq("state when up", lane.port.info(Q)?.state, Q_NETMAP)?;
    // going down frees the driver's rules
    let _rule = Rule::udp(DPORT, Q)?;
    receives(&lane, 50)?;
    want_eq("starts", lane.port.info(Q)?.counter[counter::STARTS], 2)
}

fn poll_sleeper_is_woken_by_ifdown() -> Result<()> {
    // a rebuild spreads RSS over the queues the kernel has; put back at the end
    let _rss = Rss::without(&[Q])?;
    let port = Port::rx(Q)?;
    let raw = port.fd.raw();
    let sleeper =
        std::thread::spawn(move || crate::fd::poll_fd(raw, libc::POLLIN, Duration::from_secs(20)));
    std::thread::sleep(Duration::from_millis(300));
    let started = std::time::Instant::now();
    ip_link(&["down"])?;
    let got = sleeper.join();
    let took = started.elapsed();
    setup::ensure()?;
    match got {
        Ok(r) => want("POLLERR", r? & libc::POLLERR != 0)?,
        Err(_) => bail!("the polling thread died"),
    }
    want(&format!("woken, not timed out: {took:?}"), took < SOON)
}

fn close_while_down_returns_the_queue() -> Result<()> {
    let port = Port::rx(Q)?;
    ip_link(&["down"])?;
    drop(port);
    let state = rx_info(&Fd::open()?, Q)?.state;
    setup::ensure()?;
    want_eq("state", state, Q_KERNEL)?;
    let _rule = Rule::udp(DPORT, Q)?;
    kernel_receives(1)
}

/// The driver rebuilds its rings; the program's ring is rebuilt with them.
fn mtu_change_with_a_queue_out() -> Result<()> {
    let lane = Lane::open()?;
    receives(&lane, 1)?;
    ip_link(&["mtu", "1400"])?;
    wait_carrier()?;
    let small = receives(&lane, 50);
    ip_link(&["mtu", "1500"])?;
    wait_carrier()?;
    small.context("with MTU 1400")?;
    receives(&lane, 90).context("with MTU 1500 again")?;
    want_eq("ring's state", lane.port.info(Q)?.state, Q_NETMAP)
}

fn link_down_and_up_with_a_queue_out() -> Result<()> {
    let lane = Lane::open()?;
    receives(&lane, 1)?;
    let nic = Nic::open()?;
    nic.link(false)?;
    let down = eventually("carrier is lost", SOON, || Ok(sysfs("carrier")? == "0"));
    let sync = lane.port.fd.rxsync();
    nic.link(true)?;
    wait_carrier()?;
    drop(nic);
    down?;
    want_ok("RXSYNC without carrier", sync)?;
    receives(&lane, 50)
}

fn ring_size_and_channel_changes_are_refused_while_a_queue_is_out() -> Result<()> {
    let port = Port::rx(Q)?;
    let fewer = (num_queues("rx-")? - 1).to_string();
    for (what, option, args) in [
        ("ethtool -G rx", "-G", ["rx", "1024"]),
        ("ethtool -G tx", "-G", ["tx", "1024"]),
        ("ethtool -L", "-L", ["combined", &fewer]),
    ] {
        let said = ethtool(option, &args).err();
        let text = format!(
            "{:#}",
            said.with_context(|| format!("{what} was accepted"))?
        );
        want(&format!("{what}: '{text}' is EBUSY"), text.contains("busy"))?;
    }
    want_ok("RXSYNC", port.fd.rxsync())?;
    want_eq("slots", port.info(Q)?.slots, port.reg.rx_slots)?;
    drop(port);
    receives(&Lane::open()?, 1)
}

fn ring_size_change_is_seen_by_the_next_registration() -> Result<()> {
    let before = Port::rx(Q)?.reg.rx_slots;
    ethtool("-G", &["rx", "1024"])?;
    wait_carrier()?;
    let bigger = (|| -> Result<()> {
        let lane = Lane::open()?;
        want_eq("slots of the ring", lane.ring()?.n, 1024)?;
        for first in (0..2048).step_by(20) {
            receives(&lane, first)?;
        }
        Ok(())
    })();
    ethtool("-G", &["rx", &before.to_string()])?;
    wait_carrier()?;
    bigger?;
    want_eq("slots again", Port::rx(Q)?.reg.rx_slots, before)
}

fn xdp_attach_with_a_queue_out_is_refused() -> Result<()> {
    let lane = Lane::open()?;
    want_errno("XDP in driver mode", attach_xdp(true), libc::EBUSY)?;
    receives(&lane, 1)
}

fn af_xdp_bind_on_a_taken_queue_is_refused() -> Result<()> {
    let lane = Lane::open()?;
    want_errno(
        "zero-copy AF_XDP on the taken queue",
        Xsk::bind(Q),
        libc::EBUSY,
    )?;
    receives(&lane, 1)
}

fn register_on_a_queue_with_an_af_xdp_socket_gives_ebusy() -> Result<()> {
    let xsk = want_ok("zero-copy AF_XDP on a queue of the kernel's", Xsk::bind(Q))?;
    want_errno("REGISTER of that queue", Port::rx(Q), libc::EBUSY)?;
    want_ok("REGISTER of another", Port::rx(Q2))?;
    drop(xsk);
    // the socket's queue is released by deferred work
    eventually("the queue can be taken", SOON, || Ok(Port::rx(Q).is_ok()))
}

fn ethtool_self_test_and_register_dump_with_a_queue_out() -> Result<()> {
    let lane = Lane::open()?;
    ethtool("-d", &[]).context("register dump")?;
    ethtool("-S", &[]).context("statistics")?;
    ethtool("-t", &["online"]).context("online self-test")?;
    receives(&lane, 1)
}

fn promiscuous_and_multicast_changes_with_a_queue_out() -> Result<()> {
    let lane = Lane::open()?;
    for word in ["promisc", "allmulticast"] {
        ip_link(&[word, "on"])?;
        let got = receives(&lane, 1);
        ip_link(&[word, "off"])?;
        got.with_context(|| format!("{word} on"))?;
        receives(&lane, 50).with_context(|| format!("{word} off"))?;
    }
    Ok(())
}
