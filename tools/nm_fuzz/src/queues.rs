// SPDX-License-Identifier: GPL-2.0
//! Who has which ring, by NIOCQNEXT: what the kernel counted of a scene, and whether it got
//! everything back.

use crate::abi::{counter, field_name, KIND_PORT, Q_KERNEL};
use crate::fd::Fd;
use anyhow::{bail, Context, Result};
use std::fmt;

/// Counters of this process's rings, summed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sums {
    pub packets: u64,
    pub syncs: u64,
    pub resets: u64,
    pub bad_slots: u64,
    pub swaps: u64,
}

impl Sums {
    /// Of all rings of this process on `ports`.
    pub fn of(fd: &Fd, ports: &[&str]) -> Sums {
        let mut s = Sums::default();
        for port in ports {
            for q in fd.queues(Some(port)).unwrap_or_default() {
                if q.kind != KIND_PORT && q.pid == std::process::id() {
                    s.packets += q.counter[counter::PACKETS];
                    s.syncs += q.counter[counter::SYNCS];
                    s.resets += q.counter[counter::RESETS];
                    s.bad_slots += q.counter[counter::BAD_SLOTS];
                    s.swaps += q.counter[counter::SWAPS];
                }
            }
        }
        s
    }
}

impl fmt::Display for Sums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} packets, {} syncs, {} resets, {} bad slots, {} swaps",
            self.packets, self.syncs, self.resets, self.bad_slots, self.swaps
        )
    }
}

/// # Errors
///
/// A ring of one of the ports is not the kernel's.
pub fn all_back(ports: &[&str]) -> Result<()> {
    let fd = Fd::open().context("open /dev/netmap")?;
    for port in ports {
        for q in fd.queues(Some(port)).context("NIOCQNEXT")? {
            if q.kind != KIND_PORT && (q.state != Q_KERNEL || q.pid != 0) {
                bail!(
                    "{port}: ring {} of kind {} is in state {}, pid {} ({})",
                    q.queue,
                    q.kind,
                    q.state,
                    q.pid,
                    field_name(&q.comm)
                );
            }
        }
    }
    Ok(())
}
