// SPDX-License-Identifier: GPL-2.0
//! An emulated Intel 82599 behind vfio-user.
//!
//! One process is one card: a vfio-user socket for QEMU, a tap as its cable, and a control socket
//! to ask what it saw and to tell it what to do. Rooms, from the guest's side to the wire:
//! `vfio` (transport), `function`, `card` (registers), `irq`, `rx`, `tx`, `wire`; `datapath` is
//! the thread that moves frames.

mod bench;
mod card;
mod csum;
mod ctl;
mod datapath;
mod dma;
mod eeprom;
mod faults;
mod function;
#[cfg(test)]
mod fuzz;
mod gate;
mod irq;
mod logger;
mod pci;
mod phy;
mod ptp;
mod regs;
mod rx;
mod shared;
mod stats;
mod trace;
mod tx;
mod vfio;
mod wire;

use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use anyhow::{anyhow, bail, Context, Result};
use clap::Parser;

use shared::Shared;
use wire::tap::Tap;

/// An emulated Intel 82599 behind vfio-user.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Where QEMU's vfio-user-pci device connects
    #[arg(long)]
    socket: PathBuf,
    /// Where the control protocol is spoken
    #[arg(long)]
    ctl: PathBuf,
    /// The cable: tap:NAME in this network namespace (made if need be), or none
    #[arg(long, default_value = "none")]
    wire: String,
    /// The card's own address
    #[arg(long, default_value = "a0:36:9f:82:59:90")]
    mac: String,
    /// A name for messages
    #[arg(long, default_value = "nic82599")]
    name: String,
    /// Write messages to this file instead of standard error
    #[arg(long)]
    log: Option<PathBuf>,
    /// Enable the bench's doorbell at BAR0 + 0x70020
    #[arg(long)]
    bench: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    logger::start(&args.name, args.log.as_deref())?;
    let mac = wire::profile::mac(&args.mac)
        .filter(|m| m[0] & 1 == 0)
        .ok_or_else(|| {
            anyhow!(
                "--mac {}: a unicast address like a0:36:9f:82:59:90",
                args.mac
            )
        })?;
    let tap = match args.wire.split_once(':') {
        None if args.wire == "none" => None,
        Some(("tap", name)) => Some(Tap::open(name).with_context(|| {
            format!("--wire tap:{name}: cannot open the tap (it needs root and /dev/net/tun)")
        })?),
        _ => bail!("--wire {}: tap:NAME or none", args.wire),
    };
    let card = card::Card::new(mac, args.bench);
    let shared = Arc::new(Shared::new(&args.name, card, tap)?);

    // Before there are other threads, so that the signals come to `wait` below.
    let signals = Signals::block();
    let server = vfio::bind(&args.socket).map_err(|e| anyhow!("--socket {e}"))?;
    let _ = std::fs::remove_file(&args.ctl);
    let listener = UnixListener::bind(&args.ctl)
        .with_context(|| format!("--ctl {}: cannot bind", args.ctl.display()))?;

    let s = shared.clone();
    spawn("datapath", move || {
        datapath::quicken();
        datapath::DataPath::new(s).run()
    })?;
    let s = shared.clone();
    spawn("vfio", move || {
        datapath::quicken();
        vfio::serve(&server, &mut function::Function::new(s))
    })?;
    let s = shared.clone();
    spawn("ctl", move || ctl::serve(&listener, &s))?;

    println!("ready");
    signals.wait();
    shared.with(|card, _| card.trace.off()).ok();
    let _ = std::fs::remove_file(&args.socket);
    let _ = std::fs::remove_file(&args.ctl);
    Ok(())
}

/// Starts a thread without which the card is dead: if it panics, so does the process.
fn spawn(name: &str, f: impl FnOnce() + Send + 'static) -> Result<()> {
    thread::Builder::new().name(name.into()).spawn(move || {
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).is_err() {
            std::process::abort();
        }
    })?;
    Ok(())
}

/// SIGTERM and SIGINT, taken in one place.
struct Signals(libc::sigset_t);

impl Signals {
    fn block() -> Self {
        // SAFETY: `set` is initialised by sigemptyset before use; all calls take valid pointers.
        unsafe {
            let mut set = std::mem::zeroed();
            libc::sigemptyset(&mut set);
            libc::sigaddset(&mut set, libc::SIGTERM);
            libc::sigaddset(&mut set, libc::SIGINT);
            libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
            Self(set)
        }
    }

    fn wait(&self) {
        let mut got = 0;
        // SAFETY: the set was initialised in `block`; `got` outlives the call.
        unsafe { libc::sigwait(&self.0, &mut got) };
    }
}
