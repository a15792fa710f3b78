// SPDX-License-Identifier: GPL-2.0
//! The figures as tables: what a packet costs by part, and by function.

use crate::demangle::demangle;
use crate::records::Run;
use crate::symbols::{Symbols, PARTS};
use anyhow::Result;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The cases in the order of the table, with what they are.
pub const CASES: &[(&str, &str)] = &[
    ("udp", "UDP socket, recvmmsg(64)"),
    ("xdp", "AF_XDP zero-copy, drop, poll()"),
    ("udp-stock", "UDP socket, the kernel's own ixgbe"),
    ("xdp-stock", "AF_XDP zero-copy, the kernel's own ixgbe"),
    ("nm-poll", "netmap, count and drop, poll()"),
    ("nm-sync", "netmap, count and drop, NIOCRXSYNC"),
    ("nm-touch", "netmap, poll(), reads each frame"),
    ("udp-asleep", "UDP socket, recvmmsg(64), asleep"),
    ("xdp-asleep", "AF_XDP zero-copy, drop, poll(), asleep"),
    ("nm-asleep", "netmap, count and drop, poll(), asleep"),
    ("offload-count", "nm_offload --count-only"),
    ("offload-drop", "nm_offload --drop 'udp dst port 9000'"),
    (
        "offload-back",
        "nm_offload, all put back, stack drops at once",
    ),
    ("offload-udp", "nm_offload, all put back, to a UDP socket"),
    ("tx-xdp", "AF_XDP zero-copy sends"),
    ("tx-sync", "netmap sends, NIOCTXSYNC"),
    ("tx-poll", "netmap sends, poll()"),
    (
        "tx-swap",
        "netmap sends, another buffer in each slot, NIOCTXSYNC",
    ),
];

/// Figures of one case and burst, one element per boot.
#[derive(Default)]
pub struct Figures {
    packets: u64,
    bursts: u64,
    interrupts: u64,
    parts: Vec<[f64; PARTS.len()]>,
    min: f64,
    medians: Vec<f64>,
    max: f64,
}

/// Figures by case and burst.
pub type Table = BTreeMap<(usize, u32), Figures>;

/// Add a run of one boot.
pub fn add(table: &mut Table, run: &Run, symbols: &Symbols) {
    let Some(case) = CASES.iter().position(|(name, _)| *name == run.case) else {
        return;
    };
    let figures = table.entry((case, run.burst)).or_default();
    let (min, median, max) = run.spread();
    figures.min = if figures.parts.is_empty() {
        min
    } else {
        figures.min.min(min)
    };
    figures.max = figures.max.max(max);
    figures.packets += run.packets;
    figures.bursts += run.bursts.len() as u64;
    figures.interrupts += run.interrupts;
    figures.parts.push(run.parts(symbols));
    figures.medians.push(median);
}

/// The table as Markdown.
pub fn markdown(table: &Table) -> String {
    let mut text = String::new();
    let mut bursts: Vec<u32> = table.keys().map(|(_, burst)| *burst).collect();
    bursts.sort_unstable();
    bursts.dedup();
    for burst in bursts {
        let _ = writeln!(
            text,
            "### Bursts of {burst}\n\n\
             | receiver | user | kernel text | ixgbe | netmap | other | **total** | boots (total) | median burst | min..max burst | interrupts per burst | packets |\n\
             |---|---|---|---|---|---|---|---|---|---|---|---|"
        );
        for ((case, size), figures) in table {
            if *size == burst {
                let _ = writeln!(text, "{}", row(CASES[*case].1, figures));
            }
        }
        text.push('\n');
    }
    text
}

fn row(name: &str, figures: &Figures) -> String {
    let boots = figures.parts.len() as f64;
    let mut cells = vec![name.to_owned()];
    for part in 0..PARTS.len() {
        let sum: f64 = figures.parts.iter().map(|parts| parts[part]).sum();
        cells.push(number(sum / boots));
    }
    let totals: Vec<f64> = figures.parts.iter().map(|p| p.iter().sum()).collect();
    cells.push(format!(
        "**{}**",
        number(totals.iter().sum::<f64>() / boots)
    ));
    cells.push(range(&totals));
    cells.push(range(&figures.medians));
    cells.push(format!("{}..{}", number(figures.min), number(figures.max)));
    let interrupts = figures.interrupts as f64 / figures.bursts as f64;
    cells.push(format!("{interrupts:.2}"));
    cells.push(figures.packets.to_string());
    format!("| {} |", cells.join(" | "))
}

/// Smallest and largest, or the one value when they look the same.
fn range(values: &[f64]) -> String {
    let min = number(values.iter().copied().fold(f64::INFINITY, f64::min));
    let max = number(values.iter().copied().fold(0.0, f64::max));
    if min == max {
        min
    } else {
        format!("{min}-{max}")
    }
}

fn number(value: f64) -> String {
    if value >= 1000.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.1}")
    }
}

/// Where the instructions of one run go, by function, as Markdown; functions below
/// half a percent of the whole are added up.
pub fn profile(run: &Run, symbols: &Symbols) -> Result<String> {
    let name = CASES.iter().find(|(case, _)| *case == run.case);
    let mut text = format!(
        "### Where they go: {}, bursts of {}\n\n| per packet | function | in |\n|---|---|---|\n",
        name.map_or(run.case.as_str(), |(_, name)| name),
        run.burst
    );
    let functions = run.functions(symbols);
    let total: f64 = functions.iter().map(|f| f.per_packet).sum();
    let names = demangle(functions.iter().map(|f| f.place.function.as_str()))?;
    let (mut rest, mut few) = (0.0, 0);
    for (function, name) in functions.iter().zip(names) {
        if function.per_packet < total / 200.0 {
            rest += function.per_packet;
            few += 1;
            continue;
        }
        let object = match function.place.object.as_str() {
            "" => "kernel",
            object => object,
        };
        let per_packet = function.per_packet;
        let _ = writeln!(text, "| {per_packet:.2} | `{name}` | {object} |");
    }
    let _ = writeln!(text, "| {rest:.2} | {few} others | |\n");
    Ok(text)
}
