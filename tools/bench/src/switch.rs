// SPDX-License-Identifier: GPL-2.0
//! What a switch of a queue costs in time and packets: how long the card can deliver no frame of the
//! queue, from its register trace, and the frames nobody got, by their sequence numbers.
//!
//! Runs in the lab's guest with nm_test, which has the flows and the sockets. The times are those
//! of an emulated card and an emulated processor.

use anyhow::{bail, ensure, Context, Result};
use lab::vm::{Config, Drivers, Vm};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Virtual CPUs, and with them queues, of the guest.
const CPUS: u32 = 10;
/// The first queue that is switched; those before it are the kernel's throughout.
const FIRST: u32 = 2;
/// Frames per second of all flows together.
const RATE: u32 = 4000;
/// On a busy machine a guest may stand still for longer than a ring lasts, and frames are lost
/// that no switch has lost: then it is measured again, so often.
const TRIES: u32 = 4;

const RXDCTL_ENABLE: u32 = 1 << 25;

/// What happens to a queue between the last frame for the one and the first for the other.
const PHASES: &[&str] = &["stop", "leave", "program", "enable", "fill"];

/// The times of one switch, in microseconds: the whole, and its phases.
#[derive(Clone, Debug, PartialEq)]
struct Dark {
    queue: u32,
    attach: bool,
    phases: [f64; PHASES.len()],
}

/// One switch as the guest saw it.
struct Switch {
    attach: bool,
    lost: u64,
    took: u64,
}

/// Measures 1, 4 and 8 queues, `rounds` times each; the tables as Markdown.
pub fn run(rounds: u32) -> Result<String> {
    let config = Config {
        cpus: CPUS,
        memory: 2048,
        ..Config::default()
    };
    let vm = Vm::boot(&config)?;
    vm.load(Drivers::Both)?;
    vm.must("nm_test --setup")?;
    let mut text = format!(
        "| queues, one after the other | | frames lost per switch: least, median, most | dropped by the card | system call, µs (median) | no reception, µs: least, median, most | {} |\n|---|---|---|---|---|---|{}\n",
        PHASES.join(" | "),
        "---|".repeat(PHASES.len())
    );
    for queues in [1, 4, 8] {
        let rate = RATE / queues;
        let ((switches, dropped), dark) = again(|| measure(&vm, queues, rate, rounds))?;
        for attach in [true, false] {
            let these: Vec<_> = switches.iter().filter(|s| s.attach == attach).collect();
            let dark: Vec<_> = dark.iter().filter(|d| d.attach == attach).collect();
            ensure!(
                these.len() == dark.len() && these.len() == (rounds * queues) as usize,
                "{} switches, {} in the register trace, {} asked for",
                these.len(),
                dark.len(),
                rounds * queues
            );
            let total = |d: &&Dark| d.phases.iter().sum::<f64>();
            let _ = write!(
                text,
                "| {queues} | {} | {} | {} of {} | {:.0} | {} |",
                if attach { "attach" } else { "detach" },
                spread(these.iter().map(|s| s.lost as f64)),
                dropped[usize::from(!attach)],
                these.iter().map(|s| s.lost).sum::<u64>(),
                median(these.iter().map(|s| s.took as f64)),
                spread(dark.iter().map(total)),
            );
            for phase in 0..PHASES.len() {
                let _ = write!(
                    text,
                    " {:.0} |",
                    median(dark.iter().map(|d| d.phases[phase]))
                );
            }
            text.push('\n');
        }
    }
    Ok(text)
}

/// What the guest saw, and the register trace of it.
type Measured = ((Vec<Switch>, [u64; 2]), Vec<Dark>);

fn measure(vm: &Vm, queues: u32, rate: u32, rounds: u32) -> Result<Measured> {
    let trace = vm.scratch_file("trace");
    vm.ctl(&format!("trace on {}", trace.display()))?;
    let said = vm.must(&format!(
        "nm_test --helper blackout {FIRST} {queues} {rate} {rounds}"
    ));
    vm.ctl("trace off")?;
    let seen = parse(&said?)?;
    let trace = std::fs::read_to_string(&trace).context("read the register trace")?;
    Ok((seen, darkness(&trace, FIRST, queues)))
}

/// The first success of some tries, or the last error.
fn again<T>(mut once: impl FnMut() -> Result<T>) -> Result<T> {
    for _ in 1..TRIES {
        match once() {
            Ok(got) => return Ok(got),
            Err(error) => eprintln!("measured again: {error:#}"),
        }
    }
    once()
}

/// The lines of nm_test: switches, and what the card dropped in attaches and in detaches.
fn parse(said: &str) -> Result<(Vec<Switch>, [u64; 2])> {
    let mut switches = Vec::new();
    let mut dropped = None;
    for line in said.lines() {
        let mut words = line.split_whitespace();
        let what = words.next().unwrap_or("");
        let values: BTreeMap<&str, u64> = words
            .filter_map(|w| w.split_once('='))
            .filter_map(|(k, v)| Some((k, v.parse().ok()?)))
            .collect();
        let value = |key: &str| values.get(key).copied().with_context(|| line.to_owned());
        match what {
            "attach" | "detach" => switches.push(Switch {
                attach: what == "attach",
                lost: value("lost")?,
                took: value("took")?,
            }),
            "dropped" => dropped = Some([value("attaching")?, value("detaching")?]),
            _ => bail!("nm_test: odd line '{line}'"),
        }
    }
    Ok((switches, dropped.context("nm_test: no sums")?))
}

/// The switches of `count` queues from `first` on in a register trace: from the write that switches
/// a queue off to the tail that gives it descriptors again.
fn darkness(trace: &str, first: u32, count: u32) -> Vec<Dark> {
    let mut all = Vec::new();
    for queue in first..first + count {
        let (rxdctl, rdbal, rdt) = (
            format!("RXDCTL({queue})"),
            format!("RDBAL({queue})"),
            format!("RDT({queue})"),
        );
        let mut on = true;
        let mut marks: Vec<f64> = Vec::new();
        let mut attach = true;
        for line in trace.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [time, way, _, value, name] = words[..] else {
                continue;
            };
            let (Ok(time), Some(hex)) = (time.parse::<f64>(), value.strip_prefix("0x")) else {
                continue;
            };
            let value = u32::from_str_radix(hex, 16).unwrap_or(0);
            let enabled = value & RXDCTL_ENABLE != 0;
            let next = match marks.len() {
                0 => way == "W" && name == rxdctl && on && !enabled,
                1 => way == "R" && name == rxdctl && !enabled,
                2 => way == "W" && name == rdbal,
                3 => way == "W" && name == rxdctl && enabled,
                4 => way == "R" && name == rxdctl && enabled,
                _ => way == "W" && name == rdt && value != 0,
            };
            if way == "W" && name == rxdctl {
                on = enabled;
            }
            if !next {
                continue;
            }
            marks.push(time * 1e6);
            if marks.len() == PHASES.len() + 1 {
                let mut phases = [0.0; PHASES.len()];
                for (phase, ends) in phases.iter_mut().zip(marks.windows(2)) {
                    *phase = ends[1] - ends[0];
                }
                all.push(Dark {
                    queue,
                    attach,
                    phases,
                });
                // The kernel has all queues at first.
                attach = !attach;
                marks.clear();
            }
        }
    }
    all
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut all: Vec<f64> = values.collect();
    all.sort_by(f64::total_cmp);
    all
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let all = sorted(values);
    all.get(all.len() / 2).copied().unwrap_or(0.0)
}

/// Least, median, most.
fn spread(values: impl Iterator<Item = f64>) -> String {
    let all = sorted(values);
    match (all.first(), all.last()) {
        (Some(least), Some(most)) => {
            format!("{least:.0}, {:.0}, {most:.0}", all[all.len() / 2])
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "\
    1.000000 W 0x01128 0x06000000 RXDCTL(4)
    1.000010 R 0x01128 0x02000000 RXDCTL(4)
    1.000100 W 0x01128 0x04000000 RXDCTL(4)
    1.000500 R 0x01128 0x02000000 RXDCTL(4)
    1.000600 R 0x01128 0x00000000 RXDCTL(4)
    1.001000 W 0x01128 0x00000000 RXDCTL(4)
    1.001100 W 0x01100 0x00001000 RDBAL(4)
    1.001110 W 0x01118 0x00000000 RDT(4)
    1.001120 W 0x01018 0x000000ff RDT(0)
    1.001200 W 0x01128 0x02000000 RXDCTL(4)
    1.002200 R 0x01128 0x02000000 RXDCTL(4)
    1.002250 W 0x01118 0x000001ff RDT(4)
    2.000000 W 0x01118 0x00000005 RDT(4)
";

    #[test]
    fn the_phases_of_a_switch_are_read_from_the_trace() {
        let all = darkness(TRACE, 4, 1);
        assert_eq!(all.len(), 1);
        let d = &all[0];
        let whole: Vec<i64> = d.phases.iter().map(|p| p.round() as i64).collect();
        assert!(d.attach && d.queue == 4);
        assert_eq!(whole, [500, 500, 100, 1000, 50]);
        assert!(darkness(TRACE, 5, 1).is_empty());
    }

    #[test]
    fn the_lines_of_the_guest_are_read() {
        let said = "attach queue=4 lost=3 took=4000\ndetach queue=4 lost=2 took=3000\n\
            dropped attaching=3 detaching=1\n";
        let (switches, dropped) = parse(said).unwrap();
        assert_eq!((switches.len(), dropped), (2, [3, 1]));
        assert_eq!((switches[0].lost, switches[1].took), (3, 3000));
        assert!(parse("attach queue=4\n").is_err());
        assert!(parse("").is_err());
    }

    #[test]
    fn spreads_have_a_middle() {
        assert_eq!(spread([3.0, 1.0, 2.0].into_iter()), "1, 2, 3");
        assert_eq!(spread(std::iter::empty()), "");
    }
}
