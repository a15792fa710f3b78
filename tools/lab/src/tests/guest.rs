// SPDX-License-Identifier: GPL-2.0
//! The guest part: `nm_test` in a booted guest, its KTAP followed line by line, and the
//! guest's console watched for complaints of the kernel.
//!
//! The guest has two cards, so that tests can bridge between their ports, and the peer
//! echoes what is sent to its port 7, so that they can check what a round trip brings back.

use super::tally::{line, Tally};
use super::{Choice, TestArgs};
use crate::echo;
use crate::say::progress;
use crate::vm::{Config, Vm};
use anyhow::{bail, Result};
use std::time::Duration;

/// How often the guest is booted anew after a test took it down.
const REBOOTS: usize = 5;

/// What `nm_test` ends with when not even the state tests start from can be reached.
const COULD_NOT_START: i32 = 2;

/// Cards the tests need.
const CARDS: usize = 2;

/// What is run on one kernel.
pub struct Part<'a> {
    /// Results are named for it.
    pub name: &'a str,
    pub choice: Choice,
    /// With long tests, and large counts.
    pub deep: bool,
}

/// Run it on the kernel of `config`.
pub fn run(args: &TestArgs, config: &Config, part: &Part<'_>, tally: &mut Tally) -> Result<()> {
    let Part {
        name: part,
        choice,
        deep,
    } = *part;
    let config = &Config {
        cards: config.cards.max(CARDS),
        ..config.clone()
    };
    let mut vm = Vm::boot(config)?;
    let mut _echo = echo::at_peer(&vm)?;
    let nm_test = if deep { "nm_test --deep" } else { "nm_test" };
    let all = vm.must(&format!("{nm_test} --list"))?;
    if all.trim().is_empty() {
        bail!("'nm_test --list' printed nothing");
    }
    let all: Vec<String> = all
        .lines()
        .filter_map(|l| l.split_whitespace().next().map(str::to_string))
        .collect();
    for start in choice.missing(&all) {
        tally.failed(
            part,
            start,
            "of the small set (tests/choice.rs), names no test",
        );
    }
    let mut wanted: Vec<String> = all
        .into_iter()
        .filter(|name| args.wants(name))
        .enumerate()
        .filter(|(index, name)| choice.has(*index, name))
        .map(|(_, name)| name)
        .collect();
    for boot in 0..=REBOOTS {
        if wanted.is_empty() {
            if choice != Choice::Small && args.wants(REBOOT) {
                reboot(&mut vm, part, tally);
            }
            return Ok(());
        }
        let mut ktap = KtapReader::new(part, args.verbose);
        let command = format!("{nm_test} {} 2>&1", wanted.join(" "));
        let status = vm.stream(&command, |text| ktap.take(text, args, tally))?;
        console_trouble(&mut vm, part, tally);
        if status == COULD_NOT_START {
            bail!("nm_test could not start: {}", ktap.diagnostics.join("\n"));
        }
        wanted.retain(|name| !ktap.done.contains(name));
        if wanted.is_empty() {
            ktap.end(status, tally);
            leaks(&vm, part, tally);
            if choice != Choice::Small && args.wants(REBOOT) {
                reboot(&mut vm, part, tally);
            }
            return Ok(());
        }
        // The first test without a line was running when the end came.
        let culprit = wanted.remove(0);
        if !ktap.bailed_out {
            let why = format!(
                "the guest or nm_test ended during it (status {status}); last console lines:\n{}",
                vm.last_console(25)
            );
            tally.failed(part, &culprit, &why);
        } else {
            wanted.insert(0, culprit);
        }
        if boot < REBOOTS && !wanted.is_empty() {
            progress(&format!(
                "booting the guest anew for the {} tests left",
                wanted.len()
            ));
            drop(vm);
            vm = Vm::boot(config)?;
            _echo = echo::at_peer(&vm)?;
        }
    }
    for name in &wanted {
        tally.failed(part, name, "not run: the guest went down too often");
    }
    Ok(())
}

/// The test that `reboot` is.
const REBOOT: &str = "lifecycle.reboot_with_all_queues_out";

/// How long a kernel may take to shut its devices down.
const SHUTDOWN: Duration = Duration::from_secs(60);

/// The machine goes down while a program has all RX queues and traffic comes: the driver's
/// shutdown callback runs under it. Last of all, as nothing is left afterwards.
fn reboot(vm: &mut Vm, part: &str, tally: &mut Tally) {
    let log = vm.scratch_file("reboot.log");
    let hold = "nm_test --setup && tail -f /dev/null | nm_test --helper cast read All";
    let held = vm.spawn("holder", hold, &log).and_then(|holder| {
        let seen = "for i in $(seq 300); do grep -q 'RX queue 0: netmap' \
                    /sys/kernel/debug/netmap/rings && exit 0; sleep 0.1; done; exit 1";
        vm.must(seen)?;
        vm.ctl("gen start reboot profile=flows flows=500 rate=5000 size=100 dport=7100 dmac=ff:ff:ff:ff:ff:ff")?;
        Ok(holder)
    });
    let holder = match held {
        Ok(holder) => holder,
        Err(e) => return tally.failed(part, REBOOT, &format!("{e:#}")),
    };
    // The connection ends with the guest, so its status says nothing.
    let _ = vm.run("reboot -f");
    let ended = vm.ends(SHUTDOWN);
    drop(holder);
    let trouble = vm.console.new_trouble();
    match (ended, trouble.first()) {
        (true, None) => tally.passed(part, REBOOT),
        (true, Some(first)) => tally.failed(part, REBOOT, first),
        (false, _) => tally.failed(part, REBOOT, "the machine did not go down"),
    }
}

/// A complaint of the guest's kernel is a failure of its own.
fn console_trouble(vm: &mut Vm, part: &str, tally: &mut Tally) {
    let trouble = vm.console.new_trouble();
    if let Some(first) = trouble.first() {
        let why = format!(
            "{first}\nand {} more; last console lines:\n{}",
            trouble.len() - 1,
            vm.last_console(60)
        );
        tally.failed(part, "kernel.console", &why);
    }
}

/// What a kernel with kmemleak finds unreferenced after the tests. Two scans: what was on
/// its way during the first is forgiven.
fn leaks(vm: &Vm, part: &str, tally: &mut Tally) {
    const SCAN: &str = "cd /sys/kernel/debug && [ -e kmemleak ] || exit 77; \
        for i in 1 2; do echo scan >kmemleak; sleep 6; done; cat kmemleak";
    match vm.run(SCAN) {
        Ok(outcome) if outcome.status == 77 => {}
        Ok(outcome) if outcome.status == 0 && outcome.stdout.trim().is_empty() => {
            tally.passed(part, "kernel.kmemleak");
        }
        Ok(outcome) => {
            let said = outcome.stdout.lines().take(60).collect::<Vec<_>>();
            let why = format!("status {}\n{}", outcome.status, said.join("\n"));
            tally.failed(part, "kernel.kmemleak", &why);
        }
        Err(e) => tally.failed(part, "kernel.kmemleak", &format!("{e:#}")),
    }
}

/// Diagnostics that are shown in any case: what a test that passed has reached.
const FIGURE: &str = "# figure: ";

/// Follows KTAP: result lines, and the diagnostics before them.
#[derive(Debug)]
pub struct KtapReader {
    part: String,
    /// Goes in front of each name.
    within: String,
    verbose: bool,
    /// Diagnostics follow the result they belong to (scripts), not precede it (nm_test).
    after: bool,
    show: bool,
    plan: Option<usize>,
    results: usize,
    diagnostics: Vec<String>,
    /// Names that have a result.
    pub done: Vec<String>,
    /// The program gave up before the end.
    pub bailed_out: bool,
}

impl KtapReader {
    /// For the tests of `part`.
    pub fn new(part: &str, verbose: bool) -> Self {
        Self {
            part: part.to_string(),
            within: String::new(),
            verbose,
            after: false,
            show: false,
            plan: None,
            results: 0,
            diagnostics: Vec::new(),
            done: Vec::new(),
            bailed_out: false,
        }
    }

    /// The same for programs that explain a failure after its line.
    pub fn explained_after(part: &str, verbose: bool) -> Self {
        Self {
            after: true,
            ..Self::new(part, verbose)
        }
    }

    /// Names of results begin with `within`, and are chosen with the part in front of them.
    #[must_use]
    pub fn within(self, within: &str) -> Self {
        Self {
            within: within.to_string(),
            ..self
        }
    }

    /// One line of output.
    pub fn take(&mut self, text: &str, args: &TestArgs, tally: &mut Tally) {
        let trimmed = text.trim();
        if let Some(plan) = trimmed.strip_prefix("1..") {
            self.plan = plan.parse().ok();
            return;
        }
        if trimmed.starts_with("Bail out!") {
            self.bailed_out = true;
            line(&format!("# {trimmed}"));
            return;
        }
        let Some(result) = parse(trimmed) else {
            if is_timing(trimmed) && !self.verbose {
                return;
            }
            if self.verbose || self.show || trimmed.starts_with(FIGURE) {
                line(&format!("#     {}", trimmed.trim_start_matches("# ")));
            }
            self.diagnostics.push(trimmed.to_string());
            if self.diagnostics.len() > 200 {
                self.diagnostics.remove(0);
            }
            return;
        };
        self.results += 1;
        self.show = self.after && !result.ok;
        self.done.push(result.name.to_string());
        let before = std::mem::take(&mut self.diagnostics);
        let (name, wanted) = if self.within.is_empty() {
            (result.name.to_string(), args.wants(result.name))
        } else {
            let name = format!("{}{}", self.within, result.name);
            let wanted = args.wants(&format!("{}.{name}", self.part));
            (name, wanted)
        };
        if !wanted {
            return;
        }
        match (result.ok, result.skip) {
            (true, None) => tally.passed(&self.part, &name),
            (true, Some(why)) => tally.skipped(&self.part, &name, why),
            (false, _) => {
                let mut why = result.note.to_string();
                if !self.verbose && !self.after {
                    for text in before.iter().rev().take(30).rev() {
                        why.push('\n');
                        why.push_str(text.trim_start_matches("# "));
                    }
                }
                tally.failed(&self.part, &name, &why);
            }
        }
    }

    /// The program has ended with `status`: say so when that does not fit its lines.
    pub fn end(&mut self, status: i32, tally: &mut Tally) {
        let short = self.plan.is_some_and(|plan| self.results < plan);
        if self.results == 0 || short {
            let mut why = format!(
                "ended with status {status} after {} of {} tests",
                self.results,
                self.plan.map_or("?".to_string(), |p| p.to_string())
            );
            for text in self.diagnostics.iter().rev().take(20).rev() {
                why.push('\n');
                why.push_str(text);
            }
            let name = format!("{}completeness", self.within);
            tally.failed(&self.part, &name, &why);
        }
    }
}

/// `# group.name took 1.2 s` follows a result and belongs to no later one.
fn is_timing(text: &str) -> bool {
    text.starts_with("# ") && text.contains(" took ") && text.ends_with(" s")
}

/// One result line.
#[derive(Debug, PartialEq)]
struct ResultLine<'a> {
    ok: bool,
    name: &'a str,
    skip: Option<&'a str>,
    note: &'a str,
}

/// `ok 3 group.name # SKIP why`, `not ok 4 - name # why`.
fn parse(text: &str) -> Option<ResultLine<'_>> {
    let (ok, rest) = match text.strip_prefix("not ok ") {
        Some(rest) => (false, rest),
        None => (true, text.strip_prefix("ok ")?),
    };
    let (head, note) = rest.split_once('#').unwrap_or((rest, ""));
    let head = head.trim();
    // The number is optional in TAP.
    let name = match head.split_once(' ') {
        Some((n, name)) if n.parse::<u32>().is_ok() => name,
        _ => head,
    };
    let name = name.trim().trim_start_matches("- ").trim();
    if name.is_empty() {
        return None;
    }
    let note = note.trim();
    Some(ResultLine {
        ok,
        name,
        skip: note.strip_prefix("SKIP").map(str::trim),
        note,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_parsed() {
        let r = parse("ok 12 abi.version_13").unwrap();
        assert!(r.ok && r.name == "abi.version_13" && r.skip.is_none());
        let r = parse("not ok 2 - poll.epoll # got 3, expected 4").unwrap();
        assert!(!r.ok && r.name == "poll.epoll" && r.note == "got 3, expected 4");
        let r = parse("ok 3 sriov.refused # SKIP no second card").unwrap();
        assert_eq!(r.skip, Some("no second card"));
        assert_eq!(parse("okay then"), None);
        assert_eq!(parse("# not ok 1 x"), None);
    }
}
