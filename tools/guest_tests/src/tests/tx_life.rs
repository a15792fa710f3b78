// SPDX-License-Identifier: GPL-2.0
//! What happens to a port with NIC TX rings out: closing and dying with frames under way,
//! resets, two threads, frames that go straight from reception to transmission.

use super::putback::put_copy;
use super::tests;
use super::tx::{drained, leaves, send, SOON};
use crate::abi::*;
use crate::check::*;
use crate::fd::Fd;
use crate::frame::{outgoing, outgoing_seq, udp_sized, EXPERIMENT};
use crate::helper::Helper;
use crate::nic::Nic;
use crate::port::{rx_info, tx_info, Lane, Port, DPORT, Q};
use crate::setup::eventually;
use crate::steer::{ethtool, ip_link, wait_carrier};
use crate::through::forward;
use crate::txlog::TxLog;
use anyhow::{Context, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

tests! { "tx":
    close_lets_pushed_frames_leave_and_drops_the_others,
    killed_sender_leaves_whole_frames_and_gives_its_ring_back,
    ring_taken_and_given_many_times_starts_empty_each_time,
    reset_in_mid_transmission_leaves_only_whole_frames_and_goes_on @ 90 | flaps,
    ring_size_and_channel_changes_are_refused_while_a_tx_ring_is_out,
    interface_going_away_gives_enxio @ 90 | flaps,
    threads_syncing_one_ring_send_each_frame_once,
    received_frames_leave_again_by_swapping_buffers,
}

/// Frames that were pushed by TXSYNC before close() are on the wire; those never pushed are not.
fn close_lets_pushed_frames_leave_and_drops_the_others() -> Result<()> {
    let nic = Nic::open()?;
    for round in 0..10 {
        let log = TxLog::start(&nic)?;
        let port = Port::tx(Q)?;
        let ring = port.tx_ring(Q)?;
        let frames: Vec<_> = (0..400).map(|s| outgoing(s, 700)).collect();
        for f in &frames {
            put_copy(&ring, f)?;
        }
        want_ok("TXSYNC", port.fd.txsync())?;
        put_copy(&ring, &outgoing(5000, 60))?;
        drop(ring);
        drop(port);
        want_eq(
            &format!("round {round}: on the wire after close"),
            log.outgoing(400)?,
            frames,
        )?;
    }
    Ok(())
}

/// SIGKILL while it sends as fast as it can.
fn killed_sender_leaves_whole_frames_and_gives_its_ring_back() -> Result<()> {
    let nic = Nic::open()?;
    for _ in 0..4 {
        let log = TxLog::start(&nic)?;
        let other = Helper::start(&["send", &Q.to_string()])?;
        other.ready()?;
        want_eq("owner", tx_info(&Fd::open()?, Q)?.pid, other.pid())?;
        log.wait(100, |f| f[12..14] == EXPERIMENT)?;
        other.kill()?;
        let now = Fd::open()?.queues(Some(&crate::steer::ifname()))?;
        want(
            "nobody has a ring when the process is gone",
            now.iter().all(|i| i.kind == KIND_PORT || i.pid == 0),
        )?;
        let broken = log
            .all(|f| f[12..14] == EXPERIMENT)?
            .iter()
            .filter(|f| outgoing_seq(f).is_none())
            .count();
        want_eq("broken frames on the wire", broken, 0)?;
    }
    leaves(&nic, &Port::tx(Q)?, Q, &[outgoing(1, 60)])
}

/// 4.5: head write-back not cleared, stale descriptors: a second start that does not send.
fn ring_taken_and_given_many_times_starts_empty_each_time() -> Result<()> {
    let nic = Nic::open()?;
    for round in 0..30 {
        let port = Port::tx(Q)?;
        let ring = port.tx_ring(Q)?;
        want_eq("head, cur, tail", ring.pointers(), (0, 0, ring.n - 1))?;
        let frames: Vec<_> = (0..1 + round * 11).map(|s| outgoing(s, 64)).collect();
        leaves(&nic, &port, Q, &frames)?;
    }
    Ok(())
}

/// The driver rebuilds the card's rings while frames are under way: what is on the wire is
/// whole and in order, nothing is sent twice, and the same fd goes on.
fn reset_in_mid_transmission_leaves_only_whole_frames_and_goes_on() -> Result<()> {
    let nic = Nic::open()?;
    let port = Port::tx(Q)?;
    let ring = port.tx_ring(Q)?;
    let log = TxLog::start(&nic)?;
    let stop = AtomicBool::new(false);
    let sent = std::thread::scope(|s| -> Result<u32> {
        let sender = s.spawn(|| -> Result<u32> {
            let mut seq = 0;
            while !stop.load(Ordering::Relaxed) {
                // EIO while the port is down in between
                let _ = port.fd.txsync();
                for _ in 0..ring.space().min(10) {
                    put_copy(&ring, &outgoing(seq, 200))?;
                    seq += 1;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            Ok(seq)
        });
        let resets = (|| {
            for mtu in ["1400", "1500"] {
                std::thread::sleep(Duration::from_millis(100));
                ip_link(&["mtu", mtu])?;
                wait_carrier()?;
            }
            ethtool("-r", &[]).and_then(|_| wait_carrier())
        })();
        std::thread::sleep(Duration::from_millis(100));
        stop.store(true, Ordering::Relaxed);
        resets?;
        sender.join().ok().context("the sender died")?
    })?;
    drained(&port, &ring)?;
    let got = log.all(|f| f[12..14] == EXPERIMENT)?;
    let mut last = None;
    for f in &got {
        let seq = outgoing_seq(f).context("a broken frame on the wire")?;
        want(
            &format!("{seq} comes after {last:?}"),
            last.is_none_or(|l| l < seq),
        )?;
        last = Some(seq);
    }
    println!("{} of {sent} frames on the wire", got.len());
    want("it sent before, between and after", got.len() > 30)?;
    drop(log);
    leaves(&nic, &port, Q, &[outgoing(1, 60), outgoing(2, 600)])
}

/// Lesson 23: each has a defined outcome; these are EBUSY.
fn ring_size_and_channel_changes_are_refused_while_a_tx_ring_is_out() -> Result<()> {
    let nic = Nic::open()?;
    let port = Port::tx(Q)?;
    for (option, args) in [
        ("-G", ["tx", "1024"]),
        ("-G", ["rx", "1024"]),
        ("-L", ["combined", "9"]),
    ] {
        let said = ethtool(option, &args).err();
        let text = format!(
            "{:#}",
            said.with_context(|| format!("{option} was accepted"))?
        );
        want(
            &format!("{option}: '{text}' is EBUSY"),
            text.contains("busy"),
        )?;
    }
    want_errno(
        "XDP in driver mode",
        crate::bpf::attach_xdp(true),
        libc::EBUSY,
    )?;
    leaves(&nic, &port, Q, &[outgoing(1, 60)])
}

/// 4.4: UNREGISTER turns the port into a zombie: ENXIO, and nobody hangs.
fn interface_going_away_gives_enxio() -> Result<()> {
    let port = Port::tx(Q)?;
    let ring = port.tx_ring(Q)?;
    put_copy(&ring, &outgoing(1, 60))?;
    let device =
        std::fs::canonicalize(format!("/sys/class/net/{}/device", crate::steer::ifname()))?;
    let address = device.file_name().context("no PCI address")?.to_owned();
    let driver = std::path::Path::new("/sys/bus/pci/drivers/ixgbe");
    std::fs::write(driver.join("unbind"), address.as_encoded_bytes())?;
    let sync = port.fd.txsync();
    let poll = port.fd.poll(libc::POLLOUT, Duration::ZERO);
    put_copy(&ring, &outgoing(2, 60))?;
    drop((ring, port));
    std::fs::write(driver.join("bind"), address.as_encoded_bytes())?;
    crate::setup::ensure()?;
    want_errno("TXSYNC", sync, libc::ENXIO)?;
    want("POLLERR", want_ok("poll", poll)? & libc::POLLERR != 0)?;
    leaves(&Nic::open()?, &Port::tx(Q)?, Q, &[outgoing(3, 60)])
}

/// 1.10: a ring being synced is skipped, not synced twice (#622).
fn threads_syncing_one_ring_send_each_frame_once() -> Result<()> {
    let nic = Nic::open()?;
    let port = Port::tx(Q)?;
    let ring = port.tx_ring(Q)?;
    let log = TxLog::start(&nic)?;
    let stop = AtomicBool::new(false);
    let count = 2000;
    std::thread::scope(|s| -> Result<()> {
        let syncers: Vec<_> = (0..3)
            .map(|_| {
                s.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let _ = port.fd.txsync();
                        let _ = port.fd.poll(libc::POLLOUT, Duration::from_millis(1));
                    }
                })
            })
            .collect();
        let filled = (|| {
            let end = Instant::now() + Duration::from_secs(30);
            for seq in 0..count {
                while ring.space() == 0 {
                    want("room in time", Instant::now() < end)?;
                    std::thread::yield_now();
                }
                put_copy(&ring, &outgoing(seq, 60))?;
            }
            Ok(())
        })();
        stop.store(true, Ordering::Relaxed);
        for t in syncers {
            let _ = t.join();
        }
        filled
    })?;
    drained(&port, &ring)?;
    let got: Vec<_> = log
        .outgoing(count as usize)?
        .iter()
        .map(|f| outgoing_seq(f))
        .collect();
    want_eq("on the wire", got, (0..count).map(Some).collect())
}

/// Zero copy on one port: the card writes a buffer, then reads the same.
fn received_frames_leave_again_by_swapping_buffers() -> Result<()> {
    let lane = Lane::with(Register {
        mode: ONE_NIC,
        ringid: Q as u16,
        ..Default::default()
    })?;
    let (rx, tx) = (lane.ring()?, lane.port.tx_ring(Q)?);
    let nic = Nic::open()?;
    let log = TxLog::start(&nic)?;
    let all: Vec<_> = (0..3 * rx.n + 7)
        .map(|s| udp_sized(DPORT, s, 60 + s as usize % 900))
        .collect();
    for batch in all.chunks(50) {
        for f in batch {
            nic.send(f)?;
        }
        let mut moved = 0;
        eventually("the batch is forwarded", SOON, || {
            want_ok("RXSYNC", lane.port.fd.rxsync())?;
            while rx.space() > 0 && tx.space() > 0 {
                forward(&rx, &tx);
                moved += 1;
            }
            want_ok("TXSYNC", lane.port.fd.txsync())?;
            Ok(moved >= batch.len())
        })?;
    }
    let pick = |f: &[u8]| crate::frame::parse_udp(f).is_some_and(|u| u.dport == DPORT);
    want_eq("on the wire", log.wait(all.len(), pick)?, all)?;
    drained(&lane.port, &tx)?;
    send(&lane.port, &tx, &[outgoing(1, 60)])?;
    want_eq("state", rx_info(&lane.port.fd, Q)?.state, Q_NETMAP)
}
