// SPDX-License-Identifier: GPL-2.0
//! `nmq metrics`: what Prometheus reads is what the module counts, in a form that it can
//! read whatever programs are called, and all that the dashboard asks for is there.

use super::abi_register::rx;
use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::Fd;
use crate::frame::{outgoing, udp_sized};
use crate::nic::Nic;
use crate::port::{rx_info, Lane, Port, DPORT, Q};
use crate::setup::eventually;
use crate::steer::{ifname, run};
use anyhow::{bail, ensure, Context, Result};
use netmap::{Kind, Queues, State};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

tests! { "metrics":
    metrics_count_what_a_ring_counts,
    metrics_of_every_ring_are_those_of_the_listing,
    every_line_is_prometheus_text,
    name_of_a_program_cannot_break_a_line,
    dashboard_and_alerts_find_samples_of_all_they_name,
    metrics_file_is_replaced_in_one_piece,
}

const SOON: Duration = Duration::from_secs(10);
const DASHBOARD: &str = include_str!("../../../../packaging/grafana/netmap.json");
const ALERTS: &str = include_str!("../../../../packaging/prometheus/netmap.rules.yml");

type Labels = BTreeMap<String, String>;

/// Prometheus' text format, read strictly.
struct Metrics {
    types: BTreeMap<String, String>,
    samples: BTreeMap<(String, Labels), u64>,
}

impl Metrics {
    fn now() -> Result<Self> {
        Self::parse(&run("nmq", &["metrics"])?)
    }

    fn parse(text: &str) -> Result<Self> {
        ensure!(text.ends_with('\n'), "the last line has no end");
        let (mut types, mut samples) = (BTreeMap::new(), BTreeMap::new());
        let (mut helped, mut family) = (String::new(), String::new());
        for line in text.lines() {
            let words: Vec<&str> = line.splitn(4, ' ').collect();
            match words[..] {
                ["#", "HELP", name, help] => {
                    ensure!(!help.is_empty() && !types.contains_key(name), "{line}");
                    helped = name.to_string();
                }
                ["#", "TYPE", name, kind] => {
                    ensure!(name == helped, "no HELP before: {line}");
                    ensure!(
                        kind == if name.ends_with("_total") {
                            "counter"
                        } else {
                            "gauge"
                        },
                        "{line}"
                    );
                    let again = types.insert(name.to_string(), kind.to_string());
                    ensure!(again.is_none(), "a second time: {line}");
                    family = name.to_string();
                }
                _ => {
                    let (name, labels, value) = sample(line).with_context(|| line.to_string())?;
                    ensure!(name == family, "not below its TYPE: {line}");
                    let again = samples.insert((name, labels), value);
                    ensure!(again.is_none(), "a second time: {line}");
                }
            }
        }
        Ok(Self { types, samples })
    }

    fn of(&self, name: &str, ring: &str, queue: u32) -> Result<u64> {
        let labels = [
            ("interface", ifname()),
            ("ring", ring.into()),
            ("queue", queue.to_string()),
        ];
        let labels = labels.map(|(k, v)| (k.to_string(), v)).into();
        let found = self.samples.get(&(name.to_string(), labels)).copied();
        found.with_context(|| format!("no {name} of {ring} {queue}"))
    }

    fn has(&self, name: &str) -> bool {
        self.samples.keys().any(|(n, _)| n == name)
    }
}

/// `name{a="b",…} 7`.
fn sample(line: &str) -> Result<(String, Labels, u64)> {
    let end = line
        .find(|c: char| !(c.is_ascii_lowercase() || c == '_'))
        .context("no value")?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = Labels::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (key, value) = rest.split_once("=\"").context("no label")?;
            ensure!(
                !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
                "label '{key}'"
            );
            let (value, after) = unescaped(value)?;
            ensure!(
                labels.insert(key.to_string(), value).is_none(),
                "label {key} twice"
            );
            rest = after;
            match rest.split_at_checked(1) {
                Some((",", more)) => rest = more,
                Some(("}", more)) => {
                    rest = more;
                    break;
                }
                _ => bail!("after label {key}"),
            }
        }
    }
    let value = rest.strip_prefix(' ').context("no space")?;
    ensure!(name.starts_with("netmap_"), "name {name}");
    Ok((name.to_string(), labels, value.parse()?))
}

/// A label's value up to its closing quote, and what comes behind.
fn unescaped(text: &str) -> Result<(String, &str)> {
    let (mut value, mut chars) = (String::new(), text.char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, c @ ('"' | '\\'))) => value.push(c),
                other => bail!("escape {other:?}"),
            },
            c => value.push(c),
        }
    }
    bail!("no closing quote")
}

fn metrics_count_what_a_ring_counts() -> Result<()> {
    let lane = Lane::open()?;
    let nic = Nic::open()?;
    let received = "netmap_ring_received_packets_total";
    let before = Metrics::now()?;
    want_eq("at first", before.of(received, "rx", Q)?, 0)?;
    for s in 0..123 {
        nic.send(&udp_sized(DPORT, s, 200))?;
    }
    want_eq("received", lane.recv(123, SOON)?.len(), 123)?;
    want_ok("RXSYNC", lane.port.fd.rxsync())?;
    let after = Metrics::now()?;
    want_eq("packets", after.of(received, "rx", Q)?, 123)?;
    let bytes = after.of("netmap_ring_received_bytes_total", "rx", Q)?;
    want_eq("bytes", bytes, 123 * 200)?;
    let other = after.of(received, "rx", Q + 1)?;
    want_eq("packets of another queue", other, 0)?;
    let slots = u64::from(rx_info(&Fd::open()?, Q)?.slots);
    want_eq("slots", after.of("netmap_ring_slots", "rx", Q)?, slots)
}

fn metrics_of_every_ring_are_those_of_the_listing() -> Result<()> {
    let port = Port::open(&ifname(), rx(NIC_SW, 0, 0))?;
    let ring = port.tx_ring(Q)?;
    let frames: Vec<_> = (0..31).map(|s| outgoing(s, 100)).collect();
    super::tx::send(&port, &ring, &frames)?;
    super::tx::drained(&port, &ring)?;
    let m = Metrics::now()?;
    let mut kinds = BTreeSet::new();
    for q in Queues::of(&ifname())? {
        let q = q?;
        let kind = q.kind.to_string();
        let (way, ring) = match q.kind {
            Kind::Rx | Kind::HostRx => ("received", kind.as_str()),
            Kind::Tx | Kind::HostTx => ("sent", kind.as_str()),
            _ => continue,
        };
        kinds.insert(kind.clone());
        for (counter, metric) in [
            ("packets", format!("netmap_ring_{way}_packets_total")),
            ("bytes", format!("netmap_ring_{way}_bytes_total")),
            ("starts", "netmap_ring_starts_total".into()),
            ("swaps", "netmap_ring_swapped_slots_total".into()),
            ("fragments", "netmap_ring_fragments_total".into()),
        ] {
            let what = format!("{metric} of {ring} {}", q.queue);
            want_eq(
                &what,
                Some(m.of(&metric, ring, q.queue)?),
                q.counter(counter),
            )?;
        }
        let of_ring = |(name, l): &(String, Labels)| {
            let its = [
                ("interface", ifname()),
                ("ring", kind.clone()),
                ("queue", q.queue.to_string()),
            ];
            name == "netmap_ring_state" && its.iter().all(|(label, value)| l[*label] == *value)
        };
        let states = m.samples.iter().filter(|(k, _)| of_ring(k));
        let on: Vec<&str> = states
            .filter(|(_, v)| **v == 1)
            .map(|((_, l), _)| l["state"].as_str())
            .collect();
        want_eq("states that are 1", on, vec![q.state.to_string().as_str()])?;
        want_eq("its state", q.state, State::Netmap)?;
    }
    want_eq("kinds of rings seen", kinds.len(), 4)?;
    want_eq("sent", m.of("netmap_ring_sent_packets_total", "tx", Q)?, 31)
}

fn every_line_is_prometheus_text() -> Result<()> {
    let _port = Port::rx_putback(Q)?;
    let m = Metrics::now()?;
    want_eq(
        "netmap_up",
        m.samples.get(&("netmap_up".to_string(), Labels::new())),
        Some(&1),
    )?;
    want(
        "nothing but netmap's",
        m.types.keys().all(|n| n.starts_with("netmap_")),
    )?;
    let ours = |l: &Labels| l["interface"] == ifname() && l["ring"] == "rx";
    let queues = m
        .samples
        .keys()
        .filter(|(n, l)| n == "netmap_ring_slots" && ours(l));
    let labels: Labels = [("interface".to_string(), ifname())].into();
    let all = m.samples.get(&("netmap_port_queues".to_string(), labels));
    want_eq("RX queues", Some(&(queues.count() as u64)), all)?;
    // The reader itself refuses what is wrong.
    for bad in [
        "netmap_up 1",
        "# HELP a b\n# TYPE a_total counter\n",
        "# HELP netmap_a b\n# TYPE netmap_a gauge\nnetmap_a{x=\"y} 1\n",
        "# HELP netmap_a b\n# TYPE netmap_a gauge\nnetmap_a 1\nnetmap_a 1\n",
        "# HELP netmap_a_total b\n# TYPE netmap_a_total gauge\n",
    ] {
        want(&format!("refused: {bad}"), Metrics::parse(bad).is_err())?;
    }
    Ok(())
}

fn name_of_a_program_cannot_break_a_line() -> Result<()> {
    let name = "a\"b\\c\nd} 9";
    std::fs::write("/proc/self/comm", name)?;
    let _port = Port::rx(Q)?;
    let m = Metrics::now()?;
    let owner = m
        .samples
        .keys()
        .find(|(n, _)| n == "netmap_ring_owner_info");
    let (_, labels) = owner.context("no owner")?;
    want_eq("program", labels["program"].as_str(), name)?;
    want_eq("uid", labels["uid"].as_str(), "0")
}

/// Names of metrics in a text.
fn named(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|w| w.starts_with("netmap_") && w.len() > "netmap_".len())
        .collect()
}

fn dashboard_and_alerts_find_samples_of_all_they_name() -> Result<()> {
    let _port = Port::open(&ifname(), rx(NIC_SW, 0, 0))?;
    let m = Metrics::now()?;
    let (dashboard, alerts) = (named(DASHBOARD), named(ALERTS));
    want("the dashboard names many", dashboard.len() > 10)?;
    want("alerts name some", alerts.len() > 3)?;
    for name in dashboard.union(&alerts) {
        want(&format!("there is a sample of {name}"), m.has(name))?;
    }
    Ok(())
}

fn metrics_file_is_replaced_in_one_piece() -> Result<()> {
    let dir = std::env::temp_dir().join(format!("nm-metrics-{}", std::process::id()));
    std::fs::create_dir(&dir)?;
    let file = dir.join("netmap.prom");
    let path = file.to_str().context("path")?;
    let queue = Port::rx(Q)?;
    run("nmq", &["metrics", "-o", path])?;
    let owned = |text: &str| text.contains("netmap_ring_owner_info{");
    want("an owner", owned(&std::fs::read_to_string(&file)?))?;
    drop(queue);
    eventually("no owner after the end", SOON, || {
        run("nmq", &["metrics", "--output", path])?;
        Ok(!owned(&std::fs::read_to_string(&file)?))
    })?;
    Metrics::parse(&std::fs::read_to_string(&file)?)?;
    want_eq("files", std::fs::read_dir(&dir)?.count(), 1)?;
    std::fs::remove_dir_all(&dir)?;
    let told = std::process::Command::new("nmq")
        .args(["metrics", "--json"])
        .output()?;
    want_eq("exit code with --json", told.status.code(), Some(2))
}
