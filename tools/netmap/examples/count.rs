// SPDX-License-Identifier: MIT OR Apache-2.0
//! Count packets and bytes of a port's RX rings for some seconds, dropping them.
//!
//!   count eth3~4 5

use netmap::Port;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or("eth3~4".into());
    let seconds: u64 = args.next().map_or(Ok(5), |n| n.parse())?;

    let port = Port::open(&name)?;
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut packets, mut bytes) = (0, 0);
    while Instant::now() < end {
        port.wait(Some(Duration::from_millis(100)))?;
        for ring in port.rx_ids() {
            let (p, b) = port.rx(ring)?.acquire().slots().count();
            packets += p;
            bytes += b;
        }
    }
    println!("{packets} packets, {bytes} bytes");
    Ok(())
}
