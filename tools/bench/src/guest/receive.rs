// SPDX-License-Identifier: GPL-2.0
//! The measured loop: ring the doorbell, receive the whole burst, again.

use crate::marks;
use crate::nic::Nic;
use anyhow::{bail, Result};

/// One way to receive packets.
pub trait Receiver {
    /// Wait for packets, take all that is offered, and say how many they were.
    fn receive(&mut self) -> Result<u64>;
}

/// Bursts before counting begins.
const WARM_UP: u32 = 8;

/// Receive `bursts` bursts of `size` frames; returns how many packets were counted.
///
/// Everything is inside the marks: ringing the doorbell, interrupt, wake-up, receiving.
pub fn run(nic: &Nic, receiver: &mut impl Receiver, size: u32, bursts: u32) -> Result<u64> {
    for _ in 0..WARM_UP {
        burst(nic, receiver, size)?;
    }
    let mut packets = 0;
    marks::run_begin();
    for _ in 0..bursts {
        marks::burst_begin();
        let count = burst(nic, receiver, size);
        marks::burst_end();
        packets += count?;
    }
    marks::run_end();
    Ok(packets)
}

#[inline(always)]
fn burst(nic: &Nic, receiver: &mut impl Receiver, size: u32) -> Result<u64> {
    let fitted = u64::from(nic.ring(size));
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
