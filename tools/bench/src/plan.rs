// SPDX-License-Identifier: GPL-2.0
//! What the guests have to do: which case, at which burst, with which driver.

use crate::boot::Driver;
use crate::report::CASES;
use crate::Options;
use anyhow::{bail, Result};
use std::fmt::Write;

/// For each driver that is needed, lines `CASE BURST BURSTS SLOTS`.
pub fn make(options: &Options) -> Result<Vec<(Driver, String)>> {
    if options.calibrate {
        return Ok(vec![(Driver::None, "calibrate 1 1 0\n".to_owned())]);
    }
    for name in &options.cases {
        if !CASES.iter().any(|(case, _)| case == name) {
            let known: Vec<&str> = CASES.iter().map(|(case, _)| *case).collect();
            bail!("no case '{name}'; there are {}", known.join(", "));
        }
    }
    if let Some(burst) = options.bursts.iter().find(|b| !(1..=4000).contains(*b)) {
        bail!("burst of {burst}: a ring holds at most 4000 besides its free slot");
    }
    let mut plans = Vec::new();
    for driver in [Driver::Hooked, Driver::Stock] {
        let plan = lines(options, driver);
        if !plan.is_empty() {
            plans.push((driver, plan));
        }
    }
    Ok(plans)
}

fn lines(options: &Options, driver: Driver) -> String {
    let wanted = |case: &str| {
        (options.cases.is_empty() || options.cases.iter().any(|name| name == case))
            && case.ends_with("-stock") == (driver == Driver::Stock)
    };
    let mut plan = String::new();
    for burst in &options.bursts {
        // The ring always keeps a slot free, so it is longer than the burst.
        let receives = (burst + 1).next_power_of_two().max(512);
        // A sender's holds two.
        let sends = (2 * burst + 1).next_power_of_two().clamp(512, 4096);
        let bursts = (options.packets / burst).max(1);
        for (case, _) in CASES.iter().filter(|(case, _)| wanted(case)) {
            let slots = if case.starts_with("tx-") {
                sends
            } else {
                receives
            };
            let _ = writeln!(plan, "{case} {burst} {bursts} {slots}");
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn every_case_is_there_at_every_burst() {
        let options = Options::parse_from(["bench", "--packets", "1024", "--bursts", "32,512"]);
        let plans = make(&options).unwrap();
        let all: usize = plans.iter().map(|(_, plan)| plan.lines().count()).sum();
        assert_eq!(all, 2 * CASES.len());
        assert!(plans[0].0 == Driver::Hooked && plans[1].0 == Driver::Stock);
        assert!(plans[0].1.contains("udp 32 32 512\n"));
        assert!(plans[0].1.contains("nm-poll 512 2 1024\n"));
        assert!(plans[1].1.lines().all(|line| line.contains("-stock ")));
    }

    #[test]
    fn what_is_unknown_is_refused() {
        for arguments in [["bench", "--cases", "nonsense"], ["bench", "--bursts", "0"]] {
            assert!(make(&Options::parse_from(arguments)).is_err());
        }
    }
}
