// SPDX-License-Identifier: GPL-2.0
//! What lies between two marks, and how it is written down.
//!
//! A run is a begin mark, bursts, and an end mark; at its end one record is
//! appended to the output file:
//!
//! ```text
//! run 3
//! burst 29871          one line for each burst: instructions of all kinds
//! pc ffffffff81000000 1024    one line for each address executed in the run
//! end
//! ```
//!
//! Addresses are counted from the begin to the end mark, also between two bursts,
//! so that work which the guest puts off is seen.

use crate::counters::Counters;
use std::fs::File;
use std::io::{self, BufWriter, Write};

/// A run that has begun.
struct Run {
    bursts: Vec<u64>,
    since: Vec<u64>,
    burst_since: Option<u64>,
}

/// Writes one record per run.
pub struct Recorder {
    out: BufWriter<File>,
    runs: u32,
    run: Option<Run>,
}

impl Recorder {
    /// Records go to `path`, which is made anew.
    pub fn create(path: &str) -> io::Result<Self> {
        Ok(Recorder {
            out: BufWriter::new(File::create(path)?),
            runs: 0,
            run: None,
        })
    }

    /// A run begins; one that has not ended is forgotten.
    pub fn begin(&mut self, counters: &Counters) {
        self.run = Some(Run {
            bursts: Vec::new(),
            since: counters.values(),
            burst_since: None,
        });
    }

    /// A burst begins.
    pub fn burst(&mut self, counters: &Counters) {
        if let Some(run) = &mut self.run {
            run.burst_since = Some(counters.total());
        }
    }

    /// The burst ends.
    pub fn burst_end(&mut self, counters: &Counters) {
        if let Some(run) = &mut self.run {
            if let Some(before) = run.burst_since.take() {
                run.bursts.push(counters.total() - before);
            }
        }
    }

    /// The run ends: write its record.
    pub fn end(&mut self, counters: &Counters) -> io::Result<()> {
        let Some(run) = self.run.take() else {
            return Ok(());
        };
        writeln!(self.out, "run {}", self.runs)?;
        self.runs += 1;
        for total in &run.bursts {
            writeln!(self.out, "burst {total}")?;
        }
        for (slot, now) in counters.values().iter().enumerate() {
            let count = now - run.since.get(slot).copied().unwrap_or(0);
            if count > 0 {
                writeln!(self.out, "pc {:x} {count}", counters.address(slot))?;
            }
        }
        writeln!(self.out, "end")?;
        self.out.flush()
    }
}
