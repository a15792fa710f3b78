// SPDX-License-Identifier: GPL-2.0
//! Hardware that misbehaves: the card's faults as guards, and what a test of them looks at:
//! the kernel's log, the memory that is kept, who still writes to memory.

use crate::abi::*;
use crate::check::*;
use crate::deep::patience;
use crate::frame::udp_sized;
use crate::kmsg::Kmsg;
use crate::nic::Nic;
use crate::port::{Lane, Port, DPORT};
use crate::setup::{self, eventually};
use crate::steer::{ethtool, ifname, wait_carrier};
use anyhow::{bail, Context, Result};
use std::cell::RefCell;
use std::fs;
use std::time::{Duration, Instant};

/// Long enough for anything that happens at all.
pub const SOON: Duration = Duration::from_secs(10);
/// What a babbling queue writes (tools/card).
pub const BABBLE: &[u8] = b"BABBLE!!";

/// The hardware queue behind TX ring `ring`, as Documentation/ixgbe-hooks.md says.
pub fn spare(ring: u32) -> u32 {
    63 - ring
}

/// A fault of the card; off again when dropped.
pub struct Fault<'a> {
    nic: &'a Nic,
    what: String,
}

impl<'a> Fault<'a> {
    /// `what` as in `fault WHAT on`, say "rxq 4 stuck".
    pub fn on(nic: &'a Nic, what: impl Into<String>) -> Result<Self> {
        Self::with(nic, what, "on")
    }

    /// One that takes a number.
    pub fn with(
        nic: &'a Nic,
        what: impl Into<String>,
        state: impl std::fmt::Display,
    ) -> Result<Self> {
        let what = what.into();
        nic.cmd(&format!("fault {what} {state}"))?;
        Ok(Fault { nic, what })
    }
}

impl Drop for Fault<'_> {
    fn drop(&mut self) {
        let _ = self.nic.cmd(&format!("fault {} off", self.what));
    }
}

/// The kernel's log since this was made.
pub struct Log {
    kmsg: RefCell<Kmsg>,
    lines: RefCell<Vec<String>>,
}

impl Log {
    pub fn from_now() -> Self {
        Log {
            kmsg: RefCell::new(Kmsg::from_now()),
            lines: RefCell::default(),
        }
    }

    /// Lines so far that have `text` in them.
    pub fn count(&self, text: &str) -> usize {
        let mut lines = self.lines.borrow_mut();
        lines.extend(self.kmsg.borrow_mut().new_lines());
        lines.iter().filter(|l| l.contains(text)).count()
    }

    /// It says so exactly `n` times.
    #[track_caller]
    pub fn says_times(&self, text: &str, n: usize) -> Result<()> {
        want_eq(
            &format!("lines of the log with '{text}'"),
            self.count(text),
            n,
        )
    }
}

/// Pages of regions; those of a process that has gone are kept for the hardware.
pub fn region_pages() -> Result<u64> {
    let text = fs::read_to_string("/proc/vmallocinfo").context("/proc/vmallocinfo")?;
    let pages = text
        .lines()
        .filter(|l| l.contains("[netmap]"))
        .filter_map(|l| l.split_whitespace().find_map(|w| w.strip_prefix("pages=")))
        .filter_map(|n| n.parse::<u64>().ok());
    Ok(pages.sum())
}

/// References to a module.
pub fn refs(module: &str) -> Result<i64> {
    let path = format!("/sys/module/{module}/refcnt");
    let text = fs::read_to_string(&path).context(path)?;
    Ok(text.trim().parse()?)
}

/// Memory that was just given to this process: is any of it written to by somebody else? Returns how
/// often the pattern of a babbling queue is in it after `wait`.
pub fn written_by_others(megabytes: usize, wait: Duration) -> usize {
    let mut memory = vec![0u8; megabytes << 20];
    for page in memory.chunks_mut(4096) {
        page[0] = 1;
    }
    std::thread::sleep(wait);
    let memory = std::hint::black_box(memory);
    memory.chunks(8).filter(|bytes| *bytes == BABBLE).count()
}

/// Accesses to memory that the card was not allowed to make.
pub fn cut_off(nic: &Nic) -> Result<u64> {
    let lines = nic.cmd("info")?;
    let word = lines
        .iter()
        .flat_map(|l| l.split_whitespace())
        .find_map(|w| w.strip_prefix("dma_off="));
    Ok(word.context("info has no dma_off")?.parse()?)
}

/// `ethtool -r`, until there is a link again.
pub fn reset_port() -> Result<()> {
    ethtool("-r", &[])?;
    wait_carrier()
}

/// Frames reach the lane's program, offered over a channel that is open already.
pub fn arrive(nic: &Nic, lane: &Lane, seq: u32) -> Result<()> {
    let ring = lane.ring()?;
    let all: Vec<_> = (seq..seq + 5).map(|s| udp_sized(DPORT, s, 100)).collect();
    want_ok("RXSYNC", lane.port.fd.rxsync())?;
    nic.wait_room(u32::from(lane.port.reg.ringid), ring.n, 8)?;
    for f in &all {
        nic.send(f)?;
    }
    want_eq("frames in the ring", lane.recv(all.len(), SOON)?, all)
}

/// RX rings `queues` and nothing else, bound by one fd, RSS aside.
pub fn take_rx(queues: &[u32]) -> Result<Port> {
    let reg = Register {
        flags: RX_ONLY | NO_RINGS,
        ..crate::fd::one_rx(0)
    };
    let port = Port::open(&ifname(), reg).context("register")?;
    for &q in queues {
        want_ok("NIOCQADD", port.fd.qadd(q))?;
    }
    Ok(port)
}

/// Ends within the time, which nobody may hang beyond.
pub fn in_time<T>(what: &str, limit: Duration, f: impl FnOnce() -> T) -> Result<T> {
    let since = Instant::now();
    let value = f();
    let took = since.elapsed();
    println!("{what} took {took:?}");
    if took > patience(limit) {
        bail!("{what} took {took:?}, more than {limit:?}");
    }
    Ok(value)
}

/// PCI address of the port.
pub fn pci_address() -> Result<String> {
    let device = fs::canonicalize(format!("/sys/class/net/{}/device", ifname()))?;
    let name = device.file_name().context("no PCI address")?;
    Ok(name.to_string_lossy().into_owned())
}

/// The driver lets go of the card and takes it again, which is what helps one that was lost.
pub fn rebind(address: &str) -> Result<()> {
    fs::write("/sys/bus/pci/drivers/ixgbe/unbind", address).context("unbind")?;
    fs::write("/sys/bus/pci/drivers/ixgbe/bind", address).context("bind")?;
    setup::ensure()
}

/// `ethtool -t offline`. Its verdict is about the hardware; what it does to the port matters to tests.
pub fn offline_self_test() -> Result<()> {
    if let Err(e) = ethtool("-t", &["offline"]) {
        println!("{e:#}");
    }
    setup::ensure()
}

/// The driver leaves a page of each such test mapped, which a kernel that keeps account of mappings
/// says when the driver lets the card go: after this one it has said so ([`crate::kmsg`]).
pub fn forget_self_test() -> Result<()> {
    match fs::exists("/sys/kernel/debug/dma-api")? {
        true => rebind(&pci_address()?),
        false => Ok(()),
    }
}

/// No program has memory of regions, and none is kept.
pub fn nothing_kept() -> Result<()> {
    eventually("no pages of regions are left", SOON, || {
        Ok(region_pages()? == 0)
    })?;
    want_eq("references to netmap", refs("netmap")?, 0)?;
    want_eq("references to ixgbe", refs("ixgbe")?, 0)
}
