// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keep the last packets of a queue in extra buffers, without copying, and put all
//! others back into the kernel; print what was kept at the end.
//!
//!   keep netmap:eth3~4 8 5      # the last 8 packets within 5 seconds

use netmap::{ExtraBuf, Port};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or("netmap:eth3~4".into());
    let keep: u32 = args.next().map_or(Ok(8), |n| n.parse())?;
    let seconds: u64 = args.next().map_or(Ok(5), |n| n.parse())?;

    let port = Port::builder(&name).extra_buffers(keep).open()?;
    if port.extra_buffers() < keep {
        eprintln!("{} of {keep} buffers granted", port.extra_buffers());
    }
    let mut free: Vec<ExtraBuf<'_>> = std::iter::from_fn(|| port.take_extra()).collect();
    let mut kept: VecDeque<ExtraBuf<'_>> = VecDeque::new();
    let mut seen = 0u64;
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        port.wait(Some(Duration::from_millis(100)))?;
        let mut host = port.host_tx_ring()?;
        for queue in port.queues() {
            for slot in port.rx_ring(queue)?.acquire().slots() {
                seen += 1;
                // The oldest goes back into the kernel, the new one takes its buffer.
                let Some(mut buf) = free.pop().or_else(|| kept.pop_front()) else {
                    continue;
                };
                if !buf.payload().is_empty() {
                    let _ = host.push(buf.payload());
                }
                slot.swap(&mut buf);
                kept.push_back(buf);
            }
        }
    }
    println!("{seen} packets; the last {}:", kept.len());
    for buf in &kept {
        let p = buf.payload();
        println!("{:5} bytes  {:02x?}", p.len(), &p[..p.len().min(60)]);
    }
    Ok(())
}
