// SPDX-License-Identifier: GPL-2.0
//! The real nm_offload, measured from outside.
//!
//! It runs as it would for anybody; this process only rings the doorbell and waits.
//! It does so at idle priority, in a loop the plugin does not count: with one vCPU
//! nm_offload takes over when its packets come, and this loop goes on when it
//! sleeps again.  Its ring, which this process can see, tells whether it took all;
//! at the end the kernel's counters must say the same.

use crate::marks;
use crate::nic::Nic;
use crate::peek::Peek;
use crate::receive::{turns_in, Received};
use crate::sys::become_idle;
use anyhow::{bail, Context, Result};
use netmap::{Kind, Queues};
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// When a burst was not taken after this time, something is wrong.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bursts before counting begins.
const WARM_UP: u32 = 8;

/// The process; it ends with this value.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // SAFETY: our own child, which was not waited for.
        unsafe { libc::kill(self.0.id() as i32, libc::SIGTERM) };
        // It must be gone, and the queue be the kernel's, before the next case.
        let _ = self.0.wait();
    }
}

/// nm_offload on queue 0.
pub struct Offload {
    program: Program,
    /// Kept open: nm_offload goes on writing its lines.
    _output: BufReader<ChildStdout>,
    ring: Peek,
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
        let output = child.stdout.take();
        let mut program = Program(child);
        let mut output = BufReader::new(output.context("output of nm_offload")?);
        let mut line = String::new();
        while !line.contains("starting on") {
            line.clear();
            if output.read_line(&mut line)? == 0 {
                bail!("nm_offload ended: {}", program.0.wait()?);
            }
        }
        Ok(Offload {
            program,
            _output: output,
            ring: Peek::new(nic)?,
            put_back,
        })
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.program.0.id()
    }

    /// Let it receive `bursts` bursts of `size` frames; returns what came.
    pub fn run(&self, nic: &Nic, size: u32, bursts: u32) -> Result<Received> {
        std::thread::scope(|scope| {
            let driver = scope.spawn(|| become_idle().and_then(|()| self.drive(nic, size, bursts)));
            match driver.join() {
                Ok(result) => result,
                Err(_) => bail!("the driving thread panicked"),
            }
        })
    }

    fn drive(&self, nic: &Nic, size: u32, bursts: u32) -> Result<Received> {
        let turns = turns_in(PATIENCE);
        let one = |counted: bool| {
            let from = self.ring.position();
            if counted {
                marks::burst_begin();
            }
            let fitted = nic.ring(size);
            let to = self.ring.advance(from, fitted);
            // SAFETY: a word of the mapped ring, which `self.ring` keeps.
            let done = unsafe { marks::wait_until(self.ring.head(), to, turns) };
            if counted {
                marks::burst_end();
            }
            if !done {
                bail!("nm_offload does not take its packets: {:?}", seen(nic)?);
            }
            Ok(u64::from(fitted))
        };
        for _ in 0..WARM_UP {
            one(false)?;
        }
        let before = seen(nic)?;
        let interrupts = nic.interrupts()?;
        let mut packets = 0;
        marks::run_begin();
        for _ in 0..bursts {
            packets += one(true)?;
        }
        marks::run_end();
        let interrupts = nic.interrupts()? - interrupts;
        let now = seen(nic)?;
        let received = now.received - before.received;
        let put_back = now.put_back - before.put_back;
        let expected = if self.put_back { packets } else { 0 };
        if received != packets || put_back != expected {
            bail!("{packets} packets sent, {received} received, {put_back} put back");
        }
        Ok(Received {
            packets,
            interrupts,
        })
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
