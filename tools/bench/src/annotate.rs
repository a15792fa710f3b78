// SPDX-License-Identifier: GPL-2.0
//! A function's disassembly with the count of each instruction beside it.

use crate::demangle::demangle;
use crate::records::Run;
use crate::symbols::Symbols;
use anyhow::{bail, Context, Result};
use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

/// Every function of `object` that costs at least `least` instructions per packet.
pub fn annotate(
    run: &Run,
    symbols: &Symbols,
    object: &str,
    file: &Path,
    least: f64,
) -> Result<String> {
    let listing = disassemble(file)?;
    let mut counts: HashMap<(String, u64), f64> = HashMap::new();
    for (address, count) in &run.addresses {
        let place = symbols.find(&run.case, *address);
        if place.object == object {
            let per_packet = *count as f64 / run.packets as f64;
            *counts.entry((place.function, place.offset)).or_default() += per_packet;
        }
    }
    let mut text = String::new();
    for function in run.functions(symbols) {
        if function.place.object != object || function.per_packet < least {
            continue;
        }
        let name = &function.place.function;
        let readable = demangle([name.as_str()].into_iter())?.join("");
        let _ = writeln!(text, "\n{readable}: {:.2} per packet", function.per_packet);
        let Some(lines) = listing.get(name) else {
            let _ = writeln!(text, "  (not in {})", file.display());
            continue;
        };
        let mut gap = false;
        for (offset, code) in lines {
            let count = counts.get(&(name.clone(), *offset)).copied().unwrap_or(0.0);
            if count > 0.0 {
                let _ = writeln!(text, "{count:9.3}  +{offset:<5x} {code}");
            } else if !gap {
                let _ = writeln!(text, "                  (not executed)");
            }
            gap = count == 0.0;
        }
    }
    Ok(text)
}

type Listing = HashMap<String, Vec<(u64, String)>>;

/// Instructions of every function of an object file, by offset from its start.
fn disassemble(file: &Path) -> Result<Listing> {
    let output = Command::new("objdump")
        .args(["-dr", "--no-show-raw-insn"])
        .arg(file)
        .output()
        .context("run objdump (package binutils)")?;
    if !output.status.success() {
        bail!("objdump: {}", String::from_utf8_lossy(&output.stderr));
    }
    let mut listing = Listing::new();
    let mut name = String::new();
    let mut start = 0;
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        if let Some((address, rest)) = line.split_once(" <") {
            if let (Ok(address), Some(function)) =
                (u64::from_str_radix(address, 16), rest.strip_suffix(">:"))
            {
                start = address;
                name = function.to_owned();
                continue;
            }
        }
        if let Some((address, code)) = line.trim_start().split_once(":\t") {
            if let Ok(address) = u64::from_str_radix(address.trim(), 16) {
                let lines = listing.entry(name.clone()).or_default();
                lines.push((address - start, code.trim().to_owned()));
            }
        }
    }
    Ok(listing)
}
