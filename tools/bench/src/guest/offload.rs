// SPDX-License-Identifier: GPL-2.0
//! The real nm_offload, measured from outside.
//!
//! It runs as it would for anybody; this process only rings the doorbell and waits.
//! It does so at idle priority, in a loop the plugin does not count: with one vCPU
//! nm_offload takes over when its packets come, and this loop goes on when it
//! sleeps again.  Then, uncounted, the kernel's counters tell whether all was done.

use crate::marks;
use crate::nic::Nic;
use crate::receive::{turns_in, wait};
use crate::sys::become_idle;
use anyhow::{bail, Context, Result};
use netmap::{Kind, Queues};
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// How long a burst is waited for before looking whether it is done.
const LOOK_AFTER: Duration = Duration::from_millis(1);
/// How often to look before giving up.
const LOOKS: u32 = 2000;
/// Bursts before counting begins.
const WARM_UP: u32 = 8;

/// nm_offload on queue 0.
pub struct Offload {
    child: Child,
    output: Option<BufReader<ChildStdout>>,
    /// Turns of the waiting loop that take [`LOOK_AFTER`].
    turns: u64,
    put_back: bool,
}

/// Packets the rings have seen.
#[derive(Clone, Copy, Debug)]
struct Seen {
    received: u64,
    put_back: u64,
}

impl Offload {
    /// Start it on queue 0 with these options, and wait until it has the queue.
    pub fn start(nic: &Nic, options: &[&str], put_back: bool) -> Result<Self> {
        let mut child = Command::new("/bin/nm_offload")
            .args([nic.name.as_str(), "0"])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("start nm_offload")?;
        let output = child.stdout.take().map(BufReader::new);
        let mut offload = Offload {
            child,
            output,
            turns: 0,
            put_back,
        };
        offload.wait_started()?;
        offload.turns = turns_in(LOOK_AFTER);
        Ok(offload)
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn wait_started(&mut self) -> Result<()> {
        let output = self.output.as_mut().context("output of nm_offload")?;
        let mut line = String::new();
        while output.read_line(&mut line)? > 0 {
            if line.contains("starting on") {
                return Ok(());
            }
            line.clear();
        }
        bail!("nm_offload ended: {}", self.child.wait()?)
    }

    /// Let it receive `bursts` bursts of `size` frames; returns how many packets.
    pub fn run(&self, nic: &Nic, size: u32, bursts: u32) -> Result<u64> {
        std::thread::scope(|scope| {
            let driver = scope.spawn(|| become_idle().and_then(|()| self.drive(nic, size, bursts)));
            match driver.join() {
                Ok(result) => result,
                Err(_) => bail!("the driving thread panicked"),
            }
        })
    }

    fn drive(&self, nic: &Nic, size: u32, bursts: u32) -> Result<u64> {
        for _ in 0..WARM_UP {
            let before = seen(nic)?;
            let fitted = nic.ring(size);
            let mut looks = 0;
            while !self.done(nic, before, fitted)? {
                wait(self.turns);
                looks += 1;
                if looks > LOOKS {
                    bail!(
                        "nm_offload does not take its packets: {:?} of {fitted}",
                        seen(nic)?
                    );
                }
            }
        }
        let mut packets = 0;
        marks::run_begin();
        for _ in 0..bursts {
            marks::pause();
            let before = seen(nic)?;
            marks::resume();
            marks::burst_begin();
            let fitted = nic.ring(size);
            wait(self.turns);
            marks::burst_end();
            marks::pause();
            let mut looks = 0;
            while !self.done(nic, before, fitted)? {
                marks::resume();
                wait(self.turns);
                marks::pause();
                looks += 1;
                if looks > LOOKS {
                    bail!(
                        "nm_offload does not take its packets: {:?} of {fitted}",
                        seen(nic)?
                    );
                }
            }
            packets += u64::from(fitted);
            marks::resume();
        }
        marks::run_end();
        Ok(packets)
    }

    /// Has it handled all packets since `before`, and does it wait for more?
    fn done(&self, nic: &Nic, before: Seen, count: u32) -> Result<bool> {
        let now = seen(nic)?;
        let received = now.received - before.received;
        let put_back = now.put_back - before.put_back;
        let expected = if self.put_back { u64::from(count) } else { 0 };
        if received > u64::from(count) || put_back > expected {
            bail!("{count} packets sent, {received} received, {put_back} put back");
        }
        if received < u64::from(count) || put_back < expected {
            return Ok(false);
        }
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid()))?;
        let state = stat
            .rsplit(") ")
            .next()
            .and_then(|rest| rest.chars().next());
        Ok(state == Some('S'))
    }
}

impl Drop for Offload {
    fn drop(&mut self) {
        // SAFETY: our own child, which was not waited for.
        unsafe { libc::kill(self.pid() as i32, libc::SIGTERM) };
        // It must be gone, and the queue be the kernel's, before the next case.
        let _ = self.child.wait();
    }
}

/// What the rings of the port have seen.
fn seen(nic: &Nic) -> Result<Seen> {
    let mut seen = Seen {
        received: 0,
        put_back: 0,
    };
    for entry in Queues::of(&nic.name)? {
        let entry = entry?;
        let packets = entry.counter("packets").unwrap_or(0);
        match entry.kind {
            Kind::Rx => seen.received += packets,
            Kind::HostTx => seen.put_back += packets,
            _ => {}
        }
    }
    Ok(seen)
}
