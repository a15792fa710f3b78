// SPDX-License-Identifier: GPL-2.0
//! The plugin's records joined with the guest's report: counts of one run.

use crate::symbols::{Part, Place, Symbols, PARTS};
use anyhow::{bail, Context, Result};
use std::collections::BTreeMap;

/// What was counted for one case and one burst size in one boot.
pub struct Run {
    /// Name of the case.
    pub case: String,
    /// Frames in a burst.
    pub burst: u32,
    /// Packets received.
    pub packets: u64,
    /// Interrupts they came with.
    pub interrupts: u64,
    /// Instructions of each burst.
    pub bursts: Vec<u64>,
    /// Instructions at each address.
    pub addresses: Vec<(u64, u64)>,
}

/// Instructions of one function.
pub struct Function {
    /// Where the function is; the offset is that of an arbitrary instruction.
    pub place: Place,
    /// Instructions per packet.
    pub per_packet: f64,
}

impl Run {
    /// Instructions per packet of each part, in the order of [`PARTS`].
    pub fn parts(&self, symbols: &Symbols) -> [f64; PARTS.len()] {
        let mut sums = [0.0; PARTS.len()];
        for (address, count) in &self.addresses {
            let part = symbols.find(&self.case, *address).part;
            let index = PARTS.iter().position(|p| *p == part).unwrap_or(0);
            sums[index] += *count as f64 / self.packets as f64;
        }
        sums
    }

    /// Instructions per packet by function, largest first.
    pub fn functions(&self, symbols: &Symbols) -> Vec<Function> {
        let mut sums: BTreeMap<(Part, String, String), Function> = BTreeMap::new();
        for (address, count) in &self.addresses {
            let place = symbols.find(&self.case, *address);
            let key = (place.part, place.object.clone(), place.function.clone());
            let entry = sums.entry(key).or_insert(Function {
                place,
                per_packet: 0.0,
            });
            entry.per_packet += *count as f64 / self.packets as f64;
        }
        let mut list: Vec<Function> = sums.into_values().collect();
        list.sort_by(|a, b| b.per_packet.total_cmp(&a.per_packet));
        list
    }

    /// Smallest, median and largest burst, in instructions per packet.
    pub fn spread(&self) -> (f64, f64, f64) {
        let mut sorted = self.bursts.clone();
        sorted.sort_unstable();
        let per = |total: u64| total as f64 * self.bursts.len() as f64 / self.packets as f64;
        match (sorted.first(), sorted.get(sorted.len() / 2), sorted.last()) {
            (Some(min), Some(median), Some(max)) => (per(*min), per(*median), per(*max)),
            _ => (0.0, 0.0, 0.0),
        }
    }
}

/// Join the `run` lines of the report with the records, which are in the same order.
pub fn join(report: &str, counts: &str) -> Result<Vec<Run>> {
    let mut records = records(counts)?.into_iter();
    let mut runs = Vec::new();
    for line in report.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["run", case, burst, bursts, packets, interrupts] = words[..] {
            let (list, addresses) = records
                .next()
                .with_context(|| format!("the plugin has no record for '{line}'"))?;
            if list.len() != bursts.parse::<usize>()? {
                bail!("'{line}', but the plugin saw {} bursts", list.len());
            }
            runs.push(Run {
                case: case.to_owned(),
                burst: burst.parse()?,
                packets: packets.parse()?,
                interrupts: interrupts.parse()?,
                bursts: list,
                addresses,
            });
        }
    }
    Ok(runs)
}

type Record = (Vec<u64>, Vec<(u64, u64)>);

fn records(text: &str) -> Result<Vec<Record>> {
    let mut list = Vec::new();
    let mut record = Record::default();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["run", _] => record = Record::default(),
            ["burst", total] => record.0.push(total.parse()?),
            ["pc", address, count] => record
                .1
                .push((u64::from_str_radix(address, 16)?, count.parse()?)),
            ["end"] => list.push(std::mem::take(&mut record)),
            _ => bail!("the plugin's output has an odd line: {line}"),
        }
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "map udp 1000 2000 0 /nowhere/init\n\
        sym ffffffff81000000 start\n\
        sym ffffffff81000100 work\n\
        sym ffffffffc0000000 rxsync [netmap]\n\
        sym ffffffffc0001000 poll [ixgbe]\n\
        run udp 4 3 12 3\n\
        run xdp 4 1 4 1\n\
        done\n";
    const COUNTS: &str = "run 0\nburst 30\nburst 10\nburst 20\n\
        pc 1004 12\npc ffffffff81000008 24\npc ffffffffc0000001 36\n\
        pc ffffffffc0000005 12\npc ffffffffc0001fff 60\npc ffffffffff000000 48\nend\n\
        run 1\nburst 8\npc 1004 8\nend\n";

    fn runs() -> (Vec<Run>, Symbols) {
        let symbols = Symbols::read(REPORT, |path| path.into()).unwrap();
        (join(REPORT, COUNTS).unwrap(), symbols)
    }

    #[test]
    fn instructions_go_to_their_parts() {
        let (runs, symbols) = runs();
        assert_eq!(runs.len(), 2);
        // user, kernel, ixgbe, netmap, other: a jitted program has no symbol near it
        assert_eq!(runs[0].parts(&symbols), [1.0, 2.0, 5.0, 4.0, 4.0]);
        assert_eq!(runs[1].parts(&symbols), [2.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn instructions_of_a_function_are_added_up() {
        let (runs, symbols) = runs();
        let functions = runs[0].functions(&symbols);
        let found = functions.iter().find(|f| f.place.function == "rxsync");
        assert_eq!(found.map(|f| f.per_packet), Some(4.0));
        assert_eq!(functions[0].place.function, "poll");
    }

    #[test]
    fn spread_is_per_packet_of_one_burst() {
        let (runs, _) = runs();
        assert_eq!(runs[0].spread(), (2.5, 5.0, 7.5));
    }

    #[test]
    fn a_record_that_does_not_fit_its_line_is_refused() {
        assert!(join("run udp 4 2 8 2\n", COUNTS).is_err());
        assert!(join(REPORT, "").is_err());
        assert!(join(REPORT, "nonsense\n").is_err());
    }
}
