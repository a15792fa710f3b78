// SPDX-License-Identifier: GPL-2.0
//! Surprise removal: all registers read all ones, from one moment to the next. The worst kind, as the
//! card goes on writing to memory; so the driver takes its access to memory away.
//!
//! Programs hear EIO and POLLERR, later ENXIO; the driver has to let go of the card and take it again.

use super::tests;
use crate::broken::*;
use crate::check::*;
use crate::deep::count;
use crate::nic::Nic;
use crate::port::{Lane, Port, Q, Q2};
use crate::setup::{self, eventually};
use anyhow::{bail, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

tests! { "faults":
    removal_at_rest_wakes_sleepers_and_cuts_the_card_off @ 120 | flaps,
    removal_in_the_middle_of_switching_queues @ 240 | flaps,
    removal_in_the_middle_of_syncs @ 240 | flaps deep,
}

/// After a test: the card answers again, and the driver finds it.
fn found_again(address: &str) -> Result<()> {
    rebind(address)?;
    let lane = Lane::open()?;
    arrive(&Nic::open()?, &lane, 1)?;
    drop(lane);
    nothing_kept()
}

/// The driver notices by itself within seconds, as its watchdog reads a register.
fn removal_at_rest_wakes_sleepers_and_cuts_the_card_off() -> Result<()> {
    let address = pci_address()?;
    let log = Log::from_now();
    let nic = Nic::open()?;
    let (rx, tx) = (Port::rx(Q)?, Port::tx(Q)?);
    let refused = cut_off(&nic)?;
    let babble = Fault::on(&nic, format!("rxq {Q} babble"))?;
    let raw = rx.fd.raw();
    let sleeper = std::thread::spawn(move || crate::fd::poll_fd(raw, libc::POLLIN, 3 * SOON));
    std::thread::sleep(Duration::from_millis(300));
    let gone = Fault::on(&nic, "port gone")?;
    let heard = (|| {
        match in_time("hearing of it", SOON, || sleeper.join())? {
            Ok(events) => want("POLLERR", events? & libc::POLLERR != 0)?,
            Err(_) => bail!("the polling thread died"),
        }
        want_errno("RXSYNC", rx.fd.rxsync(), libc::EIO)?;
        want_errno("TXSYNC", tx.fd.txsync(), libc::EIO)?;
        want_errno("REGISTER", Port::rx(Q2).map(drop), libc::ENXIO)?;
        want_errno("REGISTER", Port::tx(Q2).map(drop), libc::ENXIO)?;
        in_time("close()", SOON, || drop((rx, tx)))?;
        nothing_kept()?;
        let wrote = written_by_others(100, Duration::from_millis(300));
        want_eq("patterns in memory of others", wrote, 0)?;
        let refused = cut_off(&nic)? - refused;
        want(&format!("the card tried: {refused} times"), refused > 0)?;
        log.says_times("Adapter removed", 1)
    })();
    drop((gone, babble));
    drop(nic);
    found_again(&address)?;
    heard
}

/// Removed while another thread does `f` again and again; each call of it has to end.
fn removed_during(rounds: u64, f: impl Fn() + Send + Sync + Clone + 'static) -> Result<()> {
    let address = pci_address()?;
    for round in 0..rounds {
        let nic = Nic::open()?;
        let stop = Arc::new(AtomicBool::new(false));
        let (end, f) = (stop.clone(), f.clone());
        let thread = std::thread::spawn(move || {
            let mut longest = Duration::ZERO;
            while !end.load(Ordering::Relaxed) {
                let since = Instant::now();
                f();
                longest = longest.max(since.elapsed());
            }
            longest
        });
        std::thread::sleep(Duration::from_millis(200 + 7 * (round % 13)));
        let gone = Fault::on(&nic, "port gone")?;
        std::thread::sleep(Duration::from_millis(500));
        stop.store(true, Ordering::Relaxed);
        let longest = in_time("ending the thread", SOON, || thread.join())?;
        drop(gone);
        drop(nic);
        match longest {
            Ok(t) => want(
                &format!("no call hangs: {t:?}"),
                t < crate::deep::patience(SOON),
            )?,
            Err(_) => bail!("the thread died"),
        }
        found_again(&address)?;
    }
    setup::ensure()
}

/// During taking and giving, of RX and TX.
fn removal_in_the_middle_of_switching_queues() -> Result<()> {
    removed_during(count(1, 40), || {
        let (rx, tx) = (Port::rx(Q), Port::tx(Q2));
        drop((rx, tx));
    })
}

/// During receiving and sending; the fds are closed when the card has gone.
fn removal_in_the_middle_of_syncs() -> Result<()> {
    removed_during(count(1, 20), || {
        let (Ok(rx), Ok(tx)) = (Port::rx(Q), Port::tx(Q2)) else {
            return;
        };
        let _ = eventually("it has gone", SOON, || {
            let _ = rx.fd.poll(libc::POLLIN, Duration::ZERO);
            Ok(rx.fd.rxsync().is_err() || tx.fd.txsync().is_err())
        });
    })
}
