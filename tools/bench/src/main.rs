// SPDX-License-Identifier: GPL-2.0
//! Count guest instructions per packet received or sent.
//!
//! Boots the stock kernel with the emulated card and the counting plugin, lets the
//! guest receive bursts in several ways, and prints what a packet costs in each.

mod annotate;
mod boot;
mod demangle;
mod initramfs;
mod places;
mod plan;
mod records;
mod report;
mod switch;
mod symbols;

use anyhow::{bail, Context, Result};
use boot::Setup;
use clap::Parser;
use lab::places::{remove_own_scratch, Scratch};
use places::Places;
use records::Run;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use symbols::Symbols;

/// Count guest instructions per received 64-byte packet
#[derive(Parser)]
#[command(version)]
struct Options {
    /// How often the guest is booted
    #[arg(long, default_value_t = 3)]
    boots: u32,
    /// Cases to run, comma separated (default: all)
    #[arg(long, value_delimiter = ',')]
    cases: Vec<String>,
    /// Burst sizes
    #[arg(long, value_delimiter = ',', default_value = "32,256,512")]
    bursts: Vec<u32>,
    /// About how many packets are counted per case, burst and boot
    #[arg(long, default_value_t = 20480)]
    packets: u32,
    /// Print profiles by function of these cases at burst 256 (or the only burst)
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "nm-poll,nm-asleep,offload-drop,offload-back"
    )]
    profile: Vec<String>,
    /// Also print the profiled functions of this module instruction by instruction
    #[arg(long)]
    annotate: Option<String>,
    /// Only check the counting: a loop of 6,000,000 instructions, without card
    #[arg(long)]
    calibrate: bool,
    /// Only measure what a switch of a queue costs: time and packets
    #[arg(long)]
    switch: bool,
    /// How often each queue is switched there
    #[arg(long, default_value_t = 20)]
    rounds: u32,
    /// Replace the measured part of this file
    #[arg(long)]
    write: Option<PathBuf>,
}

fn main() -> ExitCode {
    lab::child::on_signals(remove_own_scratch);
    match work(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn work(options: &Options) -> Result<()> {
    if options.switch {
        let text = switch::run(options.rounds)?;
        println!("{text}");
        return match &options.write {
            Some(path) => write_document(path, "switch", &text),
            None => Ok(()),
        };
    }
    let places = Places::find(&lab::places::cache())?;
    let scratch = Scratch::new("bench")?;
    let started = Instant::now();
    // What is measured is put together once: all boots run the same code.
    let mut guests = Vec::new();
    for (driver, plan) in plan::make(options)? {
        guests.push((driver, boot::archive(&places, driver, &plan)?));
    }
    let mut table = report::Table::new();
    let mut last = Vec::new();
    let mut failures = Vec::new();
    for boot in 1..=options.boots {
        last.clear();
        for (driver, archive) in &guests {
            eprintln!("boot {boot} of {}, {driver}", options.boots);
            let setup = Setup {
                places: &places,
                archive,
                driver: *driver,
                limit: Duration::from_secs(1200),
            };
            let outcome = boot::boot(&setup, scratch.path(), |line| {
                if !line.starts_with("sym ") && !line.starts_with("map ") {
                    eprintln!("  [{:4}s] {line}", started.elapsed().as_secs());
                }
                if line.starts_with("failed ") || line.starts_with("error ") {
                    failures.push(line.to_owned());
                }
            })?;
            let symbols = Symbols::read(&outcome.report, |path| local(&places, path))?;
            let runs = records::join(&outcome.report, &outcome.counts)?;
            for run in &runs {
                report::add(&mut table, run, &symbols);
            }
            last.push((runs, symbols));
        }
        if options.calibrate {
            return calibrated(&last);
        }
    }
    let mut text = report::markdown(&table);
    let mut details = String::new();
    for case in &options.profile {
        let Some((run, symbols)) = profiled(case, &last) else {
            continue;
        };
        text.push_str(&report::profile(run, symbols)?);
        if let Some(module) = &options.annotate {
            let file = places.own_module(module)?;
            details.push_str(&annotate::annotate(run, symbols, module, &file, 0.5)?);
        }
    }
    println!("{text}{details}");
    println!(
        "kernel {}, {} boots, {} s; emulated card, QEMU TCG, one vCPU",
        places.release,
        options.boots,
        started.elapsed().as_secs()
    );
    if !failures.is_empty() {
        bail!(
            "{} cases failed:\n  {}",
            failures.len(),
            failures.join("\n  ")
        );
    }
    if let Some(path) = &options.write {
        write_document(path, "measured", &text)?;
    }
    Ok(())
}

/// Is the loop's count right?  The interrupts that hit it are the kernel's.
fn calibrated(boots: &[(Vec<Run>, Symbols)]) -> Result<()> {
    let (runs, symbols) = boots.first().context("no boot")?;
    let run = runs.first().context("no record")?;
    let user = run.parts(symbols)[0] * run.packets as f64;
    println!("a loop of 6000000 instructions counted as {user:.0}");
    if (6_000_000.0..6_000_100.0).contains(&user) {
        return Ok(());
    }
    bail!("the plugin does not count right");
}

/// The run of a case to show the profile of: at burst 256 when there is one.
fn profiled<'a>(case: &str, boots: &'a [(Vec<Run>, Symbols)]) -> Option<(&'a Run, &'a Symbols)> {
    let all = boots
        .iter()
        .flat_map(|(runs, symbols)| runs.iter().map(move |run| (run, symbols)));
    let mut fitting = all.filter(|(run, _)| run.case == case);
    let first = fitting.next()?;
    if first.0.burst == 256 {
        return Some(first);
    }
    fitting.find(|(run, _)| run.burst == 256).or(Some(first))
}

/// The file here that is at `path` in the guest.
fn local(places: &Places, path: &str) -> PathBuf {
    match path {
        "/init" => places.programs.join("bench-guest"),
        "/bin/nm_offload" => places.programs.join("nm_offload"),
        other => PathBuf::from(other),
    }
}

/// The comment lines around a part of the document.
fn markers(part: &str) -> (String, String) {
    (
        format!("<!-- {part}: begin -->"),
        format!("<!-- {part}: end -->"),
    )
}

/// Put `text` between the two comment lines of a part of the document.
fn write_document(path: &Path, part: &str, text: &str) -> Result<()> {
    let old = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let (first, last) = markers(part);
    let (Some(begin), Some(end)) = (old.find(&first), old.find(&last)) else {
        bail!("{} has no lines '{first}' and '{last}'", path.display());
    };
    let new = format!("{}{first}\n\n{text}{}", &old[..begin], &old[end..]);
    fs::write(path, new).with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_measured_part_of_the_document_changes() {
        let path = std::env::temp_dir().join(format!("bench-test-{}", std::process::id()));
        let (begin, end) = markers("part");
        fs::write(&path, format!("above\n{begin}\nold\n{end}\nbelow\n")).unwrap();
        write_document(&path, "part", "new\n").unwrap();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, "no markers").unwrap();
        let refused = write_document(&path, "part", "new\n");
        fs::remove_file(&path).unwrap();
        assert_eq!(text, format!("above\n{begin}\n\nnew\n{end}\nbelow\n"));
        assert!(refused.is_err());
    }
}
