// SPDX-License-Identifier: GPL-2.0
//! The listing in Prometheus' text format, for node_exporter's textfile collector or
//! whatever else reads it.
//!
//! A ring is a series with the labels `interface`, `ring` (its kind) and `queue`. Every
//! ring that is listed has every metric of its kind, 0 included, so that rates begin
//! with the first packet. Counters start anew when a ring is bound anew, which is a
//! reset as Prometheus understands it.

use anyhow::{Context, Result};
use netmap::{Kind, QueueInfo, State};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

/// A counter of the listing: its name there, the metric's, its help, and the kinds of
/// ring it is about.
struct Counter(&'static str, &'static str, &'static str, &'static [Kind]);

const RECEIVING: &[Kind] = &[Kind::Rx, Kind::HostRx];
const SENDING: &[Kind] = &[Kind::Tx, Kind::HostTx];
const ALL: &[Kind] = &[Kind::Rx, Kind::HostRx, Kind::Tx, Kind::HostTx];

const COUNTERS: [Counter; 15] = [
    Counter(
        "packets",
        "netmap_ring_received_packets_total",
        "Packets a program received on this ring.",
        RECEIVING,
    ),
    Counter(
        "bytes",
        "netmap_ring_received_bytes_total",
        "Bytes a program received on this ring.",
        RECEIVING,
    ),
    Counter(
        "packets",
        "netmap_ring_sent_packets_total",
        "Packets a program sent on this ring; on host-tx rings: put back into the kernel.",
        SENDING,
    ),
    Counter(
        "bytes",
        "netmap_ring_sent_bytes_total",
        "Bytes a program sent on this ring; on host-tx rings: put back into the kernel.",
        SENDING,
    ),
    Counter(
        "drops",
        "netmap_ring_dropped_packets_total",
        "Packets of this ring that went nowhere, whatever the cause. What a program drops on purpose is not among them.",
        ALL,
    ),
    Counter(
        "drop_stack",
        "netmap_ring_refused_packets_total",
        "Of the dropped packets: refused by the kernel's stack.",
        &[Kind::HostTx],
    ),
    Counter(
        "drop_full",
        "netmap_ring_overflow_packets_total",
        "Of the dropped packets: sent by the kernel, and there was no room in the ring.",
        &[Kind::HostRx],
    ),
    Counter(
        "drop_lost",
        "netmap_ring_lost_packets_total",
        "Of the dropped packets: in flight when the port was reset, or without an end.",
        &[Kind::Rx, Kind::Tx],
    ),
    Counter(
        "syncs",
        "netmap_ring_syncs_total",
        "Sync calls of the program, those of poll() included.",
        ALL,
    ),
    Counter(
        "wakeups",
        "netmap_ring_wakeups_total",
        "Times the program was woken because of this ring.",
        ALL,
    ),
    Counter(
        "ring_resets",
        "netmap_ring_pointer_resets_total",
        "Impossible ring pointers of the program that were reset. Above 0: the program has a bug.",
        ALL,
    ),
    Counter(
        "bad_slots",
        "netmap_ring_bad_slots_total",
        "Slots with an impossible buffer, length or offset. Above 0: the program has a bug.",
        ALL,
    ),
    Counter(
        "swaps",
        "netmap_ring_swapped_slots_total",
        "Slots that came back with another buffer (zero copy).",
        ALL,
    ),
    Counter(
        "fragments",
        "netmap_ring_fragments_total",
        "Slots that held a part of a packet, but not its end.",
        ALL,
    ),
    Counter(
        "starts",
        "netmap_ring_starts_total",
        "Times the ring was started: 1, and 1 more after each reset of the port.",
        ALL,
    ),
];

/// States a ring can be in, each a series of `netmap_ring_state`.
const STATES: [State; 6] = [
    State::Kernel,
    State::Leaving,
    State::Netmap,
    State::Returning,
    State::Stuck,
    State::Parked,
];

/// The whole text. `list` is None when there is no netmap.ko to ask.
pub fn text(list: Option<&[QueueInfo]>) -> String {
    let mut out = String::new();
    family(
        &mut out,
        "netmap_up",
        "gauge",
        "Whether netmap.ko is loaded and answers.",
        [(String::new(), u64::from(list.is_some()))],
    );
    family(
        &mut out,
        "netmap_tools_info",
        "gauge",
        "Version of the program that wrote this.",
        [(labels(&[("version", env!("CARGO_PKG_VERSION"))]), 1)],
    );
    let list = list.unwrap_or_default();
    let ports = || list.iter().filter(|e| e.kind == Kind::Port);
    let rings = || list.iter().filter(|e| ALL.contains(&e.kind));
    family(
        &mut out,
        "netmap_port_queues",
        "gauge",
        "RX queues of a port whose driver has hooks.",
        ports().map(|p| (labels(&[("interface", &p.ifname)]), p.num_queues.into())),
    );
    family(
        &mut out,
        "netmap_ring_slots",
        "gauge",
        "Slots of a ring.",
        rings().map(|r| (of_ring(r, &[]), r.slots.into())),
    );
    family(
        &mut out,
        "netmap_ring_state",
        "gauge",
        "1 for the state the ring is in, 0 for the others.",
        rings().flat_map(|r| {
            STATES.map(|s| {
                let state = s.to_string();
                (of_ring(r, &[("state", &state)]), u64::from(s == r.state))
            })
        }),
    );
    family(
        &mut out,
        "netmap_ring_owner_info",
        "gauge",
        "The program that has the ring.",
        rings().filter(|r| r.pid != 0).map(|r| {
            let (uid, mem) = (r.uid.to_string(), r.mem_id.to_string());
            let owner = [
                ("program", r.comm.as_str()),
                ("uid", &uid),
                ("mem_id", &mem),
            ];
            (of_ring(r, &owner), 1)
        }),
    );
    for Counter(name, metric, help, kinds) in &COUNTERS {
        let of = rings().filter(|r| kinds.contains(&r.kind));
        let value = |r: &QueueInfo| (of_ring(r, &[]), r.counter(name).unwrap_or(0));
        family(&mut out, metric, "counter", help, of.map(value));
    }
    out
}

/// A metric and all its series; help and type also when there are none, so that what
/// exists can be seen on any host.
fn family(
    out: &mut String,
    name: &str,
    kind: &str,
    help: &str,
    series: impl IntoIterator<Item = (String, u64)>,
) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for (labels, value) in series {
        let _ = writeln!(out, "{name}{labels} {value}");
    }
}

fn of_ring(r: &QueueInfo, more: &[(&str, &str)]) -> String {
    let (kind, queue) = (r.kind.to_string(), r.queue.to_string());
    let mut all = vec![
        ("interface", r.ifname.as_str()),
        ("ring", &kind),
        ("queue", &queue),
    ];
    all.extend_from_slice(more);
    labels(&all)
}

fn labels(pairs: &[(&str, &str)]) -> String {
    let each: Vec<String> = pairs
        .iter()
        .map(|(k, v)| format!("{k}=\"{}\"", escaped(v)))
        .collect();
    format!("{{{}}}", each.join(","))
}

/// A label's value: a program chooses its own name, with quotes and line ends if it likes.
fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// Write `text` to `path` in one piece: who reads sees the old file or the new one.
pub fn replace(path: &Path, text: &str) -> Result<()> {
    let name = path
        .file_name()
        .with_context(|| format!("{}: not the name of a file", path.display()))?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}", std::process::id()));
    let new = path.with_file_name(hidden);
    let write = || -> io::Result<()> {
        fs::write(&new, text)?;
        fs::rename(&new, path)
    };
    write()
        .inspect_err(|_| drop(fs::remove_file(&new)))
        .with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn ring(kind: Kind, queue: u32, state: State, comm: &str) -> QueueInfo {
        let mut counter = [0; 16];
        counter[0] = 7;
        QueueInfo {
            ifindex: 5,
            ifname: "eth3".into(),
            kind,
            queue,
            state,
            slots: 512,
            num_queues: 10,
            pid: u32::from(!comm.is_empty()),
            uid: 0,
            comm: comm.into(),
            mem_id: 3,
            reg_idx: queue,
            counter,
        }
    }

    #[test]
    fn a_ring_is_a_series_of_each_metric_of_its_kind() {
        let list = [
            ring(Kind::Port, 0, State::Kernel, ""),
            ring(Kind::Rx, 4, State::Netmap, "nm_offload"),
            ring(Kind::HostTx, 0, State::Netmap, "nm_offload"),
            ring(Kind::Other(9), 0, State::Other(9), ""),
        ];
        let text = text(Some(&list));
        for line in [
            "netmap_up 1",
            "netmap_port_queues{interface=\"eth3\"} 10",
            "netmap_ring_slots{interface=\"eth3\",ring=\"rx\",queue=\"4\"} 512",
            "netmap_ring_state{interface=\"eth3\",ring=\"rx\",queue=\"4\",state=\"netmap\"} 1",
            "netmap_ring_state{interface=\"eth3\",ring=\"rx\",queue=\"4\",state=\"kernel\"} 0",
            "netmap_ring_received_packets_total{interface=\"eth3\",ring=\"rx\",queue=\"4\"} 7",
            "netmap_ring_sent_packets_total{interface=\"eth3\",ring=\"host-tx\",queue=\"0\"} 7",
            "netmap_ring_refused_packets_total{interface=\"eth3\",ring=\"host-tx\",queue=\"0\"} 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in:\n{text}");
        }
        assert!(!text.contains("sent_packets_total{interface=\"eth3\",ring=\"rx\""));
        assert!(!text.contains("kind-9"), "{text}");
    }

    #[test]
    fn every_counter_of_the_listing_is_a_metric() {
        let named: BTreeSet<&str> = COUNTERS.iter().map(|c| c.0).collect();
        for (name, _) in netmap::COUNTERS {
            assert!(named.contains(name), "{name}");
        }
        let metrics: BTreeSet<&str> = COUNTERS.iter().map(|c| c.1).collect();
        assert_eq!(metrics.len(), COUNTERS.len());
    }

    #[test]
    fn without_the_module_the_text_says_so() {
        let text = text(None);
        assert!(text.contains("\nnetmap_up 0\n"));
        let series = text.lines().filter(|l| !l.starts_with('#')).count();
        assert_eq!(series, 2, "{text}");
    }

    #[test]
    fn a_programs_name_cannot_break_the_format() {
        let list = [ring(Kind::Rx, 0, State::Netmap, "a\"b\\c\nd")];
        let text = text(Some(&list));
        assert!(text.contains(r#"program="a\"b\\c\nd""#), "{text}");
    }

    #[test]
    fn the_file_is_replaced_in_one_piece() {
        let dir = std::env::temp_dir().join(format!("nmq-metrics-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("mkdir");
        let path = dir.join("netmap.prom");
        for text in ["one\n", "two\n"] {
            replace(&path, text).expect("write");
            assert_eq!(fs::read_to_string(&path).expect("read"), text);
        }
        assert_eq!(fs::read_dir(&dir).expect("list").count(), 1);
        let e = replace(&dir.join("none/netmap.prom"), "x").expect_err("no such folder");
        assert!(format!("{e:#}").contains("writing"), "{e:#}");
        fs::remove_dir_all(&dir).expect("rmdir");
    }
}
