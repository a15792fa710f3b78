// SPDX-License-Identifier: GPL-2.0
//! Count guest instructions per received packet.
//!
//! Boots the stock kernel with the emulated card and the counting plugin, lets the
//! guest receive bursts in several ways, and prints what a packet costs in each.

mod annotate;
mod boot;
mod demangle;
mod initramfs;
mod places;
mod records;
mod report;
mod symbols;

use anyhow::{bail, Context, Result};
use boot::{Driver, Setup};
use clap::Parser;
use lab::places::{remove_own_scratch, Scratch};
use places::Places;
use records::Run;
use std::fmt::Write;
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
    /// Use the kernel's own ixgbe instead of ours (cases udp and xdp only)
    #[arg(long)]
    stock_driver: bool,
    /// Only check the counting: a loop of 6,000,000 instructions, without card
    #[arg(long)]
    calibrate: bool,
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
    let places = Places::find(&lab::places::cache())?;
    let plan = plan(options)?;
    let scratch = Scratch::new("bench")?;
    let folder = scratch.path();
    let started = Instant::now();
    let mut table = report::Table::new();
    let mut last = None;
    let mut failures = 0;
    for boot in 1..=options.boots {
        eprintln!(
            "boot {boot} of {}: kernel {}",
            options.boots, places.release
        );
        let setup = Setup {
            places: &places,
            plan: plan.clone(),
            driver: match (options.calibrate, options.stock_driver) {
                (true, _) => Driver::None,
                (_, true) => Driver::Stock,
                _ => Driver::Hooked,
            },
            limit: Duration::from_secs(1200),
        };
        let outcome = boot::boot(&setup, folder, |line| {
            if !line.starts_with("sym ") && !line.starts_with("map ") {
                eprintln!("  [{:4}s] {line}", started.elapsed().as_secs());
            }
            if line.starts_with("failed ") || line.starts_with("error ") {
                failures += 1;
            }
        })?;
        let symbols = Symbols::read(&outcome.report, |path| local(&places, path))?;
        let runs = records::join(&outcome.report, &outcome.counts)?;
        if options.calibrate {
            return calibrated(&runs, &symbols);
        }
        for run in &runs {
            report::add(&mut table, run, &symbols);
        }
        last = Some((runs, symbols));
    }
    let mut text = report::markdown(&table);
    let mut details = String::new();
    if let Some((runs, symbols)) = &last {
        for run in options
            .profile
            .iter()
            .filter_map(|case| profiled(case, runs))
        {
            text.push_str(&report::profile(run, symbols)?);
            if let Some(module) = &options.annotate {
                let file = places.own_module(module)?;
                details.push_str(&annotate::annotate(run, symbols, module, &file, 0.5)?);
            }
        }
    }
    println!("{text}{details}");
    println!(
        "kernel {}, {} boots, {} s; emulated card, QEMU TCG, one vCPU",
        places.release,
        options.boots,
        started.elapsed().as_secs()
    );
    if failures > 0 {
        bail!(
            "{failures} cases failed; the logs are in {}",
            folder.display()
        );
    }
    if let Some(path) = &options.write {
        write_document(path, &text)?;
    }
    Ok(())
}

/// Is the loop's count right?  The interrupts that hit it are the kernel's.
fn calibrated(runs: &[Run], symbols: &Symbols) -> Result<()> {
    let run = runs.first().context("no record")?;
    let user = run.parts(symbols)[0] * run.packets as f64;
    println!("a loop of 6000000 instructions counted as {user:.0}");
    if (6_000_000.0..6_000_100.0).contains(&user) {
        return Ok(());
    }
    bail!("the plugin does not count right");
}

/// The run of a case to show the profile of: at burst 256 when there is one.
fn profiled<'a>(case: &str, runs: &'a [Run]) -> Option<&'a Run> {
    let mut fitting = runs.iter().filter(|run| run.case == case);
    let first = fitting.clone().next();
    fitting.find(|run| run.burst == 256).or(first)
}

/// The plan for the guest: every case at every burst.
fn plan(options: &Options) -> Result<String> {
    let mut plan = String::new();
    for name in &options.cases {
        if !report::CASES.iter().any(|(case, _)| case == name) {
            let known: Vec<&str> = report::CASES.iter().map(|(case, _)| *case).collect();
            bail!("no case '{name}'; there are {}", known.join(", "));
        }
    }
    let stock = ["udp", "xdp", "udp-asleep", "xdp-asleep"];
    let wanted = |case: &str| {
        (options.cases.is_empty() || options.cases.iter().any(|name| name == case))
            && (!options.stock_driver || stock.contains(&case))
    };
    if options.calibrate {
        return Ok("calibrate 1 1 0\n".to_owned());
    }
    for burst in &options.bursts {
        // The ring always keeps a slot free, so it is longer than the burst.
        let slots = if *burst < 512 { 512 } else { 1024 };
        for (case, _) in report::CASES.iter().filter(|(case, _)| wanted(case)) {
            let bursts = (options.packets / burst).max(1);
            let _ = writeln!(plan, "{case} {burst} {bursts} {slots}");
        }
    }
    if plan.is_empty() {
        bail!(
            "nothing to do: the stock driver allows the cases {}",
            stock.join(", ")
        );
    }
    Ok(plan)
}

/// The file here that is at `path` in the guest.
fn local(places: &Places, path: &str) -> PathBuf {
    match path {
        "/init" => places.programs.join("bench-guest"),
        "/bin/nm_offload" => places.programs.join("nm_offload"),
        other => PathBuf::from(other),
    }
}

const BEGIN: &str = "<!-- measured: begin -->";
const END: &str = "<!-- measured: end -->";

/// Put `text` between the two comment lines of the document.
fn write_document(path: &Path, text: &str) -> Result<()> {
    let old = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let (Some(begin), Some(end)) = (old.find(BEGIN), old.find(END)) else {
        bail!("{} has no lines '{BEGIN}' and '{END}'", path.display());
    };
    let new = format!("{}{BEGIN}\n\n{text}{}", &old[..begin], &old[end..]);
    fs::write(path, new).with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_measured_part_of_the_document_changes() {
        let path = std::env::temp_dir().join(format!("bench-test-{}", std::process::id()));
        fs::write(&path, format!("above\n{BEGIN}\nold\n{END}\nbelow\n")).unwrap();
        write_document(&path, "new\n").unwrap();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, "no markers").unwrap();
        let refused = write_document(&path, "new\n");
        fs::remove_file(&path).unwrap();
        assert_eq!(text, format!("above\n{BEGIN}\n\nnew\n{END}\nbelow\n"));
        assert!(refused.is_err());
    }

    #[test]
    fn the_plan_has_every_case_at_every_burst() {
        let options = Options::parse_from(["bench", "--packets", "1024", "--bursts", "32,512"]);
        let plan = plan(&options).unwrap();
        assert_eq!(plan.lines().count(), 2 * report::CASES.len());
        assert!(plan.contains("udp 32 32 512\n") && plan.contains("nm-poll 512 2 1024\n"));
        let options = Options::parse_from(["bench", "--stock-driver", "--cases", "nm-poll"]);
        assert!(super::plan(&options).is_err());
        let options = Options::parse_from(["bench", "--cases", "nonsense"]);
        assert!(super::plan(&options).is_err());
    }
}
