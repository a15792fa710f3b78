// SPDX-License-Identifier: GPL-2.0
//! The flood: how strong it must be here, and starting it.
//!
//! What the kernel's own path serves depends on the machine the guest is emulated on, so it
//! is measured: the flood is doubled until at most a quarter of it is served.

use super::act::udp_counter;
use super::stage::Stage;
use super::{services, RunArgs};
use crate::tests::line;
use anyhow::Result;
use std::time::Duration;

/// Rates that are tried, in packets per second.
const RATES: [u32; 4] = [50_000, 100_000, 200_000, 400_000];

/// Start the flood, as strong as asked or as found out, and return its rate.
pub fn start(stage: &Stage, args: &RunArgs) -> Result<u32> {
    if let Some(rate) = args.rate {
        at_rate(stage, rate)?;
        return Ok(rate);
    }
    for rate in RATES {
        at_rate(stage, rate)?;
        let served = served_share(stage)?;
        line(&format!(
            "       the kernel's path serves {:.0} % of {rate} packets/s",
            served * 100.0
        ));
        if served <= 0.25 || rate == RATES[RATES.len() - 1] {
            return Ok(rate);
        }
        stage.card("gen stop flood")?;
    }
    unreachable!("the last rate is taken as it is")
}

fn at_rate(stage: &Stage, rate: u32) -> Result<()> {
    stage.card(&format!(
        "gen start flood profile=dnsflood rate={rate} zone={} dst=10.0.3.1",
        services::ZONE
    ))?;
    std::thread::sleep(Duration::from_secs(1));
    Ok(())
}

/// Of what arrives from the wire within three seconds: the part that reaches the server.
fn served_share(stage: &Stage) -> Result<f64> {
    let sample = || -> Result<(u64, u64)> {
        let served = udp_counter(stage, "InDatagrams")?;
        let counts = stage.vm.card()?.counts()?;
        Ok((served, counts.port("rx_packets") + counts.port("rx_missed")))
    };
    let before = sample()?;
    std::thread::sleep(Duration::from_secs(3));
    let after = sample()?;
    let arrived = after.1.saturating_sub(before.1).max(1);
    Ok(after.0.saturating_sub(before.0) as f64 / arrived as f64)
}
