// SPDX-License-Identifier: GPL-2.0
//! Every allocation of a system call fails in turn: `/proc/thread-self/fail-nth`.
//!
//! The kernel counts the places where a call could fail for want of memory (slab, pages) or because
//! the program's memory has gone (copies from and to it), and lets the n-th fail. A call is made
//! again and again with n = 1, 2, 3, ... until it has no n-th place. Only kernels built with fault
//! injection have that; elsewhere these tests say so and are skipped.

use crate::check::Errno;
use crate::deep;
use crate::tests::Skip;
use anyhow::{bail, Context, Result};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;

const DEBUGFS: &str = "/sys/kernel/debug";
/// What is to fail: also allocations that could wait, of every order and cache. And nothing is said
/// about each, there are thousands.
const KNOBS: &[(&str, &str)] = &[
    ("failslab/ignore-gfp-wait", "N"),
    ("failslab/cache-filter", "N"),
    ("failslab/probability", "0"),
    ("failslab/verbose", "0"),
    ("fail_page_alloc/ignore-gfp-wait", "N"),
    ("fail_page_alloc/ignore-gfp-highmem", "N"),
    ("fail_page_alloc/min-order", "0"),
    ("fail_page_alloc/probability", "0"),
    ("fail_page_alloc/verbose", "0"),
    ("fail_usercopy/probability", "0"),
    ("fail_usercopy/verbose", "0"),
];
/// No call has so many places.
const MOST: u32 = 20_000;

/// The calling thread's fault injection.
pub struct FailNth {
    file: File,
}

/// What a sweep has seen.
#[derive(Default)]
pub struct Sweep {
    /// Places the call has, each of which failed once.
    pub places: u32,
    /// Results by name.
    pub results: BTreeMap<String, u32>,
}

impl FailNth {
    /// # Errors
    ///
    /// A skip on kernels without.
    pub fn new() -> Result<FailNth> {
        let path = "/proc/thread-self/fail-nth";
        let Ok(file) = OpenOptions::new().read(true).write(true).open(path) else {
            let why = "this kernel has no fault injection (tools/debug builds one that has)";
            return Err(Skip(why.into()).into());
        };
        for (knob, value) in KNOBS {
            let path = format!("{DEBUGFS}/{knob}");
            // a kernel may lack one of the kinds
            if fs::exists(&path)? {
                fs::write(&path, value).with_context(|| path)?;
            }
        }
        Ok(FailNth { file })
    }

    /// Makes one system call whose `n`-th place fails. True: it has an `n`-th.
    pub fn during<T>(&self, n: u32, call: impl FnOnce() -> T) -> Result<(T, bool)> {
        let word = format!("{n}\n");
        let mut left = [0; 16];
        self.file.write_at(word.as_bytes(), 0).context("fail-nth")?;
        let value = call();
        // reading copies too, and so does writing: they may be the n-th themselves
        let read = self.file.read_at(&mut left, 0);
        let _ = self.file.write_at(b"0\n", 0);
        let failed = match read {
            Ok(len) => left.get(..len) == Some(b"0\n"),
            Err(e) if e.raw_os_error() == Some(libc::EFAULT) => false,
            Err(e) => return Err(e).context("fail-nth"),
        };
        Ok((value, failed))
    }

    /// `turn` is called with a function that makes its call with the next place failing, until there
    /// is none. It says what came of it, and has checked that nothing else did.
    pub fn sweep(
        &self,
        what: &str,
        mut turn: impl FnMut(&Once<'_>) -> Result<std::result::Result<(), Errno>>,
    ) -> Result<Sweep> {
        self.sweep_by(what, Step::EACH, &mut turn)
    }

    /// As [`FailNth::sweep`], but only one place in so many.
    pub fn sweep_by(
        &self,
        what: &str,
        step: Step,
        turn: &mut dyn FnMut(&Once<'_>) -> Result<std::result::Result<(), Errno>>,
    ) -> Result<Sweep> {
        let step = if deep::deep() {
            step.thorough
        } else {
            step.usual
        };
        let mut sweep = Sweep::default();
        let (mut n, mut tried) = (1, 0);
        loop {
            let once = Once {
                fail: self,
                n,
                failed: std::cell::Cell::new(None),
            };
            let result = turn(&once).with_context(|| format!("{what}, place {n} failing"))?;
            let failed = once.failed.get();
            let failed = failed.with_context(|| format!("{what}: the turn made no call"))?;
            let said = result.map_or_else(|e| e.to_string(), |()| "ok".into());
            if !failed {
                if said != "ok" {
                    bail!("{what} says {said} although nothing failed");
                }
                break;
            }
            *sweep.results.entry(said).or_default() += 1;
            sweep.places = n;
            tried += 1;
            n += step;
            if n > MOST {
                bail!("{what} has more than {MOST} places");
            }
        }
        deep::figure(format_args!(
            "{what}: {} allocations and copies, {tried} failed in turn: {:?}",
            sweep.places, sweep.results
        ));
        Ok(sweep)
    }
}

/// One place of how many fails.
#[derive(Clone, Copy)]
pub struct Step {
    pub usual: u32,
    /// In a thorough run.
    pub thorough: u32,
}

impl Step {
    /// Each of them.
    pub const EACH: Step = Step::of(1, 1);

    pub const fn of(usual: u32, thorough: u32) -> Step {
        Step { usual, thorough }
    }
}

/// The one call of a turn.
pub struct Once<'a> {
    fail: &'a FailNth,
    n: u32,
    failed: std::cell::Cell<Option<bool>>,
}

impl Once<'_> {
    /// Makes it.
    pub fn call<T>(&self, call: impl FnOnce() -> T) -> Result<T> {
        let (value, failed) = self.fail.during(self.n, call)?;
        self.failed.set(Some(failed));
        Ok(value)
    }

    /// Which place fails.
    pub fn n(&self) -> u32 {
        self.n
    }
}

/// What the modules hold: memory, mappings, references. Nothing of it may change by what fails.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Held(BTreeMap<&'static str, String>);

impl Held {
    pub fn now() -> Result<Held> {
        let read = |path: &str| fs::read_to_string(path).with_context(|| path.to_string());
        let mut held = BTreeMap::new();
        let vmalloc = read("/proc/vmallocinfo")?;
        for (key, function) in [("chunks", "nm_chunk_alloc"), ("pins", "nm_pin_")] {
            let ours = vmalloc.lines().filter(|l| l.contains(function));
            let bytes = ours.filter_map(|l| l.split_whitespace().nth(1)?.parse::<u64>().ok());
            held.insert(key, bytes.sum::<u64>().to_string());
        }
        for (key, module) in [("netmap refs", "netmap"), ("ixgbe refs", "ixgbe")] {
            held.insert(key, read(&format!("/sys/module/{module}/refcnt"))?);
        }
        for (key, file) in [("rings", "rings"), ("regions", "regions")] {
            let text = read(&format!("{DEBUGFS}/netmap/{file}"))?;
            held.insert(key, text.lines().map(steady).collect());
        }
        Ok(Held(held))
    }

    /// Is it as it was?
    pub fn same(&self) -> Result<()> {
        let now = Held::now()?;
        for (key, before) in &self.0 {
            let after = &now.0[key];
            if before != after {
                bail!("left behind: {key} were '{before}', are '{after}'");
            }
        }
        Ok(())
    }
}

/// A line of a listing without what changes by itself.
fn steady(line: &str) -> String {
    let counter = |w: &&str| {
        let name = w.split('=').next().unwrap_or("");
        const STEADY: &[&str] = &[
            "slots", "comm", "pid", "fds", "mem_id", "ifs", "rings", "devices",
        ];
        !w.contains('=') || STEADY.contains(&name)
    };
    let words: Vec<&str> = line.split_whitespace().filter(counter).collect();
    words.join(" ") + "\n"
}

/// Bytes of kernel memory in use that nothing points at, as kmemleak sees it; `None`: no kmemleak.
pub fn leaked() -> Result<Option<Vec<String>>> {
    let path = format!("{DEBUGFS}/kmemleak");
    if !fs::exists(&path)? {
        return Ok(None);
    }
    // an object counts once it is older than five seconds and two scans have not found it
    for _ in 0..2 {
        std::thread::sleep(std::time::Duration::from_secs(6));
        if fs::write(&path, "scan").is_err() {
            return Ok(None);
        }
    }
    let text = fs::read_to_string(&path)?;
    let ours = ["netmap", "ixgbe", "nm_"];
    Ok(Some(
        text.split("unreferenced object")
            .filter(|t| ours.iter().any(|o| t.contains(o)))
            .map(|t| t.trim().to_string())
            .collect(),
    ))
}
