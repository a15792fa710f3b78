// SPDX-License-Identifier: GPL-2.0
//! What users of netmap have reported over ten years: each that could happen on such a port, and
//! that no other test shows. Names carry the number of the thread; `Documentation/known-holes.md` has
//! the whole table.

use super::abi_register::rx;
use super::host_rx;
use super::hostile_ring::Rng;
use super::putback::put_copy;
use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::deep::{count, flood};
use crate::fd::{one_rx, Fd};
use crate::frame::{outgoing, udp_sized, NOBODY_MAC};
use crate::helper::Helper;
use crate::nic::Nic;
use crate::port::{Port, DPORT, Q, Q2};
use crate::setup::eventually;
use crate::steer::{ifname, ip_link, sysfs, Rss, Rule};
use crate::txlog::TxLog;
use anyhow::{Context, Result};
use std::time::Duration;

tests! { "threads":
    issue_48_ring_numbers_that_are_not_there_are_refused,
    issue_144_host_rings_and_single_rings_closed_in_every_order @ 90,
    issue_213_processes_that_share_the_port_and_die_leave_nothing @ 120,
    issue_325_frames_of_random_sizes_on_one_tx_ring_all_leave @ 120,
    issue_326_first_frames_after_each_open_arrive @ 90,
    issue_376_no_descriptor_is_missing_right_after_an_open @ 90,
    issue_417_promiscuity_survives_open_and_close,
    issue_621_nothing_is_pending_after_bursts,
    issue_779_a_file_per_queue_opened_under_interrupt_stress @ 120,
}

const SOON: Duration = Duration::from_secs(15);

/// An oops over a bad ring id. All numbers whose low bits could be mistaken for one that is there.
fn issue_48_ring_numbers_that_are_not_there_are_refused() -> Result<()> {
    let fd = Fd::open()?;
    let info = fd.port_info(&ifname())?;
    let last = info.tx_rings.max(info.rx_rings);
    let powers = (0..16).flat_map(|bit| [1u16 << bit, (1 << bit) | 1, (1 << bit) - 1]);
    for ringid in powers
        .chain([last, last + 1, u16::MAX])
        .filter(|id| *id >= last)
    {
        for flags in [0, RX_ONLY, TX_ONLY, RX_ONLY | PUTBACK, EXCLUSIVE] {
            let one = |mode| rx(mode, ringid, flags);
            let what = format!("ring {ringid}, flags {flags:#x}");
            want_errno(
                &what,
                fd.register(&ifname(), &mut one(ONE_NIC)),
                libc::EINVAL,
            )?;
            // NR_PUTBACK has the flag's word, but only one host ring to mean
            if flags & PUTBACK == 0 {
                want_errno(
                    &what,
                    fd.register(&ifname(), &mut one(ONE_SW)),
                    libc::EINVAL,
                )?;
            }
        }
        want_errno(
            &format!("NIOCQADD of {ringid}"),
            {
                let empty = Fd::open()?;
                let mut none = rx(ONE_NIC, 0, RX_ONLY | NO_RINGS);
                empty.register(&ifname(), &mut none)?;
                empty.qadd(ringid.into())
            },
            libc::EINVAL,
        )?;
    }
    Ok(())
}

/// A panic when host rings were freed after one ring of the NIC had been closed.
fn issue_144_host_rings_and_single_rings_closed_in_every_order() -> Result<()> {
    let kinds = [
        rx(SW, 0, 0),
        rx(ONE_NIC, Q as u16, 0),
        one_rx(Q2),
        rx(ALL_NIC, 0, TX_ONLY),
    ];
    // every order of four, opened in the table's and closed in the other
    for order in 0..24usize {
        let mut ports: Vec<Option<Port>> = Vec::new();
        for reg in kinds {
            ports.push(Some(want_ok("open", Port::open(&ifname(), reg))?));
        }
        let mut left: Vec<usize> = (0..4).collect();
        for (choices, div) in [(4, 6), (3, 2), (2, 1), (1, 1)] {
            let at = left.remove(order / div % choices);
            drop(ports[at].take());
            for port in ports.iter().flatten() {
                want_ok("RXSYNC of one that is left", port.fd.rxsync())?;
                want_ok("TXSYNC of one that is left", port.fd.txsync())?;
            }
        }
    }
    let port = host_rx::nic_sw()?;
    host_rx::send(&[100; 20])?;
    host_rx::collect(&port, &port.host_rx(0)?, 20).map(drop)
}

/// A leak with several processes, a queue each.
fn issue_213_processes_that_share_the_port_and_die_leave_nothing() -> Result<()> {
    let queues = [1, 2, 3];
    for round in 0..count(6, 200) {
        let mut all = Vec::new();
        for queue in queues {
            let one = Helper::start(&["hold", &queue.to_string()])?;
            one.ready()?;
            all.push(one);
        }
        for (i, one) in all.into_iter().enumerate() {
            match (round as usize + i) % 2 {
                0 => one.kill()?,
                _ => one.end()?,
            }
        }
    }
    for file in ["rings", "regions"] {
        let text = std::fs::read_to_string(format!("/sys/kernel/debug/netmap/{file}"))?;
        want_eq(file, text.as_str(), "")?;
    }
    Ok(())
}

/// A hang of one queue with random sizes.
fn issue_325_frames_of_random_sizes_on_one_tx_ring_all_leave() -> Result<()> {
    let nic = Nic::open()?;
    let port = Port::tx(0)?;
    let ring = port.tx_ring(0)?;
    let mut rng = Rng(0x9e37_79b9_7f4a_7c15);
    for _ in 0..count(3, 100) {
        let log = TxLog::start(&nic)?;
        let mut sent = Vec::new();
        for seq in 0..2000 {
            while ring.space() == 0 {
                want_ok("TXSYNC", port.fd.txsync())?;
            }
            let frame = outgoing(seq, 60 + rng.next() as usize % 1455);
            put_copy(&ring, &frame)?;
            sent.push(frame);
            if rng.next() % 16 == 0 {
                want_ok("TXSYNC", port.fd.txsync())?;
            }
        }
        want_ok("TXSYNC", port.fd.txsync())?;
        want_eq("frames on the wire", log.outgoing(sent.len())?, sent)?;
    }
    Ok(())
}

/// Nothing was seen after an open that took one RX queue: filters were lost by the reset.
fn issue_326_first_frames_after_each_open_arrive() -> Result<()> {
    let _rss = Rss::without(&[Q])?;
    let _rule = Rule::udp(DPORT, Q)?;
    let nic = Nic::open()?;
    for round in 0..count(20, 1000) as u32 {
        let port = Port::rx(Q)?;
        nic.wait_room(Q, port.ring(Q)?.n, 8)?;
        let frames: Vec<_> = (0..5)
            .map(|i| udp_sized(DPORT, round * 5 + i, 100))
            .collect();
        for frame in &frames {
            nic.send(frame)?;
        }
        let got = port.recv(Q, DPORT, frames.len(), SOON)?;
        want_eq(&format!("frames after open {round}"), got, frames)?;
    }
    Ok(())
}

/// rx_no_dma_resources grew from the start on, although the program read.
fn issue_376_no_descriptor_is_missing_right_after_an_open() -> Result<()> {
    let _rss = Rss::without(&[Q])?;
    let _rule = Rule::udp(DPORT, Q)?;
    let nic = Nic::open()?;
    let gen = nic.generate(
        "g",
        &format!("profile=udp rate=1000 size=100 dport={DPORT}"),
    )?;
    for round in 0..count(10, 500) {
        let port = Port::rx(Q)?;
        let ring = port.ring(Q)?;
        // register writes are posted: the card has seen the tail when it has the room
        nic.wait_room(Q, ring.n, ring.n / 2)?;
        let before = nic.counts()?.rxq(Q, "drop_nodesc")?;
        let mut got = 0;
        eventually("frames", SOON, || {
            port.fd.rxsync()?;
            got += ring.take().len();
            Ok(got >= 60)
        })?;
        let after = nic.counts()?.rxq(Q, "drop_nodesc")?;
        want_eq(
            &format!("dropped for want of descriptors, round {round}"),
            after,
            before,
        )?;
    }
    drop(gen);
    Ok(())
}

/// Taking the port down and up lost its promiscuity, silently.
fn issue_417_promiscuity_survives_open_and_close() -> Result<()> {
    struct Off;
    impl Drop for Off {
        fn drop(&mut self) {
            let _ = ip_link(&["promisc", "off"]);
        }
    }
    let nic = Nic::open()?;
    let others = crate::frame::to_mac(&udp_sized(7999, 1, 100), NOBODY_MAC);
    let arrives = || -> Result<bool> {
        let before = nic.counts()?.port.get("rx_arrived")?;
        nic.send_n(&others, 20)?;
        Ok(nic.counts()?.port.get("rx_arrived")? >= before + 20)
    };
    want("without it they are filtered", !arrives()?)?;
    ip_link(&["promisc", "on"])?;
    let _off = Off;
    for _ in 0..3 {
        let port = Port::open(&ifname(), rx(NIC_SW, 0, 0))?;
        want("others' frames arrive while it is open", arrives()?)?;
        drop(port);
        want("and after", arrives()?)?;
        let flags = u32::from_str_radix(sysfs("flags")?.trim_start_matches("0x"), 16)?;
        want("the flag is there", flags & libc::IFF_PROMISC as u32 != 0)?;
    }
    Ok(())
}

/// nm_tx_pending stayed true for ever after bursts.
fn issue_621_nothing_is_pending_after_bursts() -> Result<()> {
    let port = Port::tx(0)?;
    let ring = port.tx_ring(0)?;
    let mut rng = Rng(0x0123_4567_89ab_cdef);
    let frame = outgoing(1, 60);
    for burst in 0..count(60, 5000) {
        let n = 1 + rng.next() as u32 % (ring.n - 1);
        for _ in 0..n {
            put_copy(&ring, &frame)?;
        }
        eventually(&format!("burst {burst} of {n} is done"), SOON, || {
            want_ok("TXSYNC", port.fd.txsync())?;
            Ok(ring.next(ring.tail()) == ring.head())
        })?;
    }
    Ok(())
}

/// Start-up crashed with one open per queue and interrupts coming in.
fn issue_779_a_file_per_queue_opened_under_interrupt_stress() -> Result<()> {
    let nic = Nic::open()?;
    let rate = flood(20_000);
    // so many that each queue gets some, whatever the key of the hash
    let spec = format!("profile=flows flows=2048 rate={rate} size=60");
    let gen = nic.generate("g", &spec)?;
    for _ in 0..count(3, 200) {
        let threads = (0..8).map(|queue| {
            std::thread::spawn(move || -> Result<()> {
                let port = Port::rx(queue).with_context(|| format!("open queue {queue}"))?;
                let ring = port.ring(queue)?;
                eventually(&format!("queue {queue} receives"), SOON, || {
                    port.fd.poll(libc::POLLIN, Duration::from_millis(200))?;
                    Ok(!ring.take().is_empty())
                })
            })
        });
        let threads: Vec<_> = threads.collect();
        for thread in threads {
            thread.join().ok().context("a thread died")??;
        }
    }
    drop(gen);
    Ok(())
}
