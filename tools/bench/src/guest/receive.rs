// SPDX-License-Identifier: GPL-2.0
//! The measured loops.
//!
//! *Awake*: the receiver itself rings the doorbell, waits until the interrupt is
//! through, and receives what is there; it never sleeps, as under load.
//! *Asleep*: the receiver sleeps in its system call when the burst comes, is woken,
//! receives it, and sleeps again, as when there is little to do.
//!
//! Waiting is done in a loop the plugin does not count; interrupts that hit it are.

use crate::marks;
use crate::nic::Nic;
use crate::sys::become_idle;
use anyhow::{bail, Result};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// One way to receive packets.
pub trait Receiver {
    /// Wait for packets, take all that is offered, and say how many they were.
    fn receive(&mut self) -> Result<u64>;
}

/// What was received in a run.
#[derive(Clone, Copy)]
pub struct Received {
    /// Packets.
    pub packets: u64,
    /// Interrupts they came with.
    pub interrupts: u64,
}

/// Bursts before counting begins.
pub const WARM_UP: u32 = 8;
/// Time the interrupt of a burst gets to arrive; it has come from another process.
pub const INTERRUPT: Duration = Duration::from_micros(300);
/// When a burst was not received after this time, something is wrong.
const PATIENCE: Duration = Duration::from_secs(5);

/// Receive `bursts` bursts of `size` frames awake; returns what came.
pub fn awake(nic: &Nic, receiver: &mut impl Receiver, size: u32, bursts: u32) -> Result<Received> {
    let turns = turns_in(INTERRUPT);
    for _ in 0..WARM_UP {
        burst(nic, receiver, size, turns)?;
    }
    let interrupts = nic.interrupts()?;
    let mut packets = 0;
    marks::run_begin();
    for _ in 0..bursts {
        marks::burst_begin();
        let count = burst(nic, receiver, size, turns);
        marks::burst_end();
        packets += count?;
    }
    marks::run_end();
    Ok(Received {
        packets,
        interrupts: nic.interrupts()? - interrupts,
    })
}

#[inline(always)]
fn burst(nic: &Nic, receiver: &mut impl Receiver, size: u32, turns: u64) -> Result<u64> {
    let fitted = u64::from(nic.ring(size));
    wait(turns);
    if fitted == 0 {
        bail!("the card found no room for a single frame: is the queue enabled?");
    }
    let mut got = 0;
    while got < fitted {
        got += receiver.receive()?;
    }
    if got > fitted {
        bail!("{got} packets received of {fitted} sent: something else sends to the port");
    }
    Ok(got)
}

/// Receive `bursts` bursts of `size` frames, each while asleep; returns what came.
pub fn asleep(nic: &Nic, receiver: &mut impl Receiver, size: u32, bursts: u32) -> Result<Received> {
    let got = AtomicU32::new(0);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let driver = scope.spawn(|| {
            let result = drive(nic, &got, size, bursts);
            // One more frame, so that the receiver wakes and sees that it is over.
            stop.store(true, Ordering::Release);
            nic.ring(1);
            result
        });
        while !stop.load(Ordering::Acquire) {
            match receiver.receive() {
                Ok(count) => got.fetch_add(count as u32, Ordering::Release),
                Err(error) => {
                    let _ = driver.join();
                    return Err(error);
                }
            };
        }
        match driver.join() {
            Ok(result) => result,
            Err(_) => bail!("the driving thread panicked"),
        }
    })
}

/// Ring the doorbell, and wait at idle priority until the receiver sleeps again.
fn drive(nic: &Nic, got: &AtomicU32, size: u32, bursts: u32) -> Result<Received> {
    become_idle()?;
    let turns = turns_in(PATIENCE);
    let mut sent: u32 = 0;
    let mut one = |counted: bool| {
        if counted {
            marks::burst_begin();
        }
        let fitted = nic.ring(size);
        sent = sent.wrapping_add(fitted);
        let cell = got.as_ptr();
        // SAFETY: the counter outlives this thread.
        let done = unsafe { marks::wait_until(cell, sent, turns) };
        if counted {
            marks::burst_end();
        }
        if !done {
            let got = got.load(Ordering::Acquire);
            bail!("{sent} packets sent, but {got} received: the receiver sleeps");
        }
        Ok(u64::from(fitted))
    };
    for _ in 0..WARM_UP {
        one(false)?;
    }
    let interrupts = nic.interrupts()?;
    let mut packets = 0;
    marks::run_begin();
    for _ in 0..bursts {
        packets += one(true)?;
    }
    marks::run_end();
    Ok(Received {
        packets,
        interrupts: nic.interrupts()? - interrupts,
    })
}

/// Wait for `turns` turns of a loop that is not counted.
#[inline(always)]
pub fn wait(turns: u64) {
    let cell = 0u32;
    // SAFETY: a local variable, which never becomes 1.
    unsafe { marks::wait_until(&cell, 1, turns) };
}

/// How many turns of [`wait`] take this time.
pub fn turns_in(time: Duration) -> u64 {
    const TURNS: u64 = 400_000;
    let start = Instant::now();
    wait(TURNS);
    let took = start.elapsed().as_nanos().max(1);
    (u128::from(TURNS) * time.as_nanos() / took) as u64 + 1
}
