// SPDX-License-Identifier: GPL-2.0
//! What is printed: a line per interval for people, a JSON object for programs,
//! and a summary.

use crate::stats::{total, Counts};
use anyhow::{Context, Result};
use serde_json::{json, Value};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where the lines go.
pub struct Report {
    ifname: String,
    people: bool,
    json: Option<Box<dyn Write>>,
    started: Instant,
    last: Instant,
    before: BTreeMap<u16, Counts>,
}

impl Report {
    /// `json`: nothing, `-` for standard output (then there are no lines for
    /// people), or a file.
    pub fn new(ifname: &str, json: Option<&str>) -> Result<Self> {
        let out: Option<Box<dyn Write>> = match json {
            None => None,
            Some("-") => Some(Box::new(io::stdout())),
            Some(path) => Some(Box::new(
                File::create(path).with_context(|| format!("writing {path}"))?,
            )),
        };
        let now = Instant::now();
        Ok(Self {
            ifname: ifname.to_string(),
            people: json != Some("-"),
            json: out,
            started: now,
            last: now,
            before: BTreeMap::new(),
        })
    }

    /// The reporting starts now.
    pub fn start(&mut self) {
        self.started = Instant::now();
        self.last = self.started;
    }

    /// A line for people.
    pub fn say(&self, text: &str) -> io::Result<()> {
        if self.people {
            let mut out = io::stdout().lock();
            writeln!(out, "{text}")?;
            out.flush()?;
        }
        Ok(())
    }

    /// An interval is over.
    pub fn interval(&mut self, now: &BTreeMap<u16, Counts>) -> io::Result<()> {
        let took = self.last.elapsed();
        self.last = Instant::now();
        let delta: BTreeMap<u16, Counts> = now
            .iter()
            .map(|(q, c)| (*q, *c - self.before.get(q).copied().unwrap_or_default()))
            .collect();
        self.before = now.clone();
        self.say(&line(&delta, took))?;
        if let Some(out) = &mut self.json {
            let time = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0.0, |t| t.as_secs_f64());
            writeln!(out, "{}", object(&self.ifname, time, &delta, now, took))?;
            out.flush()?;
        }
        Ok(())
    }

    /// The end.
    pub fn summary(&self, now: &BTreeMap<u16, Counts>) -> io::Result<()> {
        let t = self.started.elapsed();
        for (q, c) in now.iter().filter(|_| now.len() > 1) {
            self.say(&format!("[+] ring {q}: {}", sums(c, t)))?;
        }
        self.say(&format!(
            "[+] done after {:.1} s: {}",
            t.as_secs_f64(),
            sums(&total(now), t)
        ))
    }
}

fn rate(n: u64, took: Duration) -> u64 {
    (n as f64 / took.as_secs_f64().max(1e-6)).round() as u64
}

fn sums(c: &Counts, t: Duration) -> String {
    let lost = match c.lost {
        0 => String::new(),
        n => format!(", {n} lost (the host ring was full)"),
    };
    format!(
        "{} packets received ({} pps), {} dropped, {} put back{lost}",
        c.packets,
        rate(c.packets, t),
        c.dropped,
        c.passed
    )
}

/// `[+] UDP pps: 12 dropped: 10 put back: 2  (ring 4: 6, ring 5: 6)`.
fn line(delta: &BTreeMap<u16, Counts>, took: Duration) -> String {
    let sum = total(delta);
    let mut text = format!(
        "[+] UDP pps: {} dropped: {} put back: {}",
        rate(sum.packets, took),
        rate(sum.dropped, took),
        rate(sum.passed, took)
    );
    if sum.lost != 0 {
        text += &format!(" lost: {}", rate(sum.lost, took));
    }
    if delta.len() > 1 {
        let rings: Vec<String> = delta
            .iter()
            .map(|(q, c)| format!("ring {q}: {}", rate(c.packets, took)))
            .collect();
        text += &format!("  ({})", rings.join(", "));
    }
    text
}

fn object(
    ifname: &str,
    time: f64,
    delta: &BTreeMap<u16, Counts>,
    now: &BTreeMap<u16, Counts>,
    took: Duration,
) -> Value {
    let (d, sum) = (total(delta), total(now));
    let queues: Vec<Value> = now
        .iter()
        .map(|(q, c)| {
            let mut v = totals(c);
            v["queue"] = json!(q);
            v["pps"] = json!(rate(delta.get(q).map_or(0, |d| d.packets), took));
            v
        })
        .collect();
    json!({
        "time": time,
        "interface": ifname,
        "interval": took.as_secs_f64(),
        "pps": rate(d.packets, took),
        "bytes_per_second": rate(d.bytes, took),
        "dropped_pps": rate(d.dropped, took),
        "put_back_pps": rate(d.passed, took),
        "total": totals(&sum),
        "queues": queues,
    })
}

fn totals(c: &Counts) -> Value {
    json!({
        "packets": c.packets,
        "bytes": c.bytes,
        "dropped": c.dropped,
        "put_back": c.passed,
        "lost": c.lost,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_queues() -> BTreeMap<u16, Counts> {
        let c = |packets, dropped| Counts {
            packets,
            bytes: packets * 60,
            dropped,
            passed: packets - dropped,
            lost: 0,
        };
        BTreeMap::from([(4, c(1000, 900)), (5, c(500, 500))])
    }

    #[test]
    fn the_line_begins_as_in_the_blog() {
        let one = BTreeMap::from([(4, two_queues()[&4])]);
        assert_eq!(
            line(&one, Duration::from_secs(1)),
            "[+] UDP pps: 1000 dropped: 900 put back: 100"
        );
        assert_eq!(
            line(&two_queues(), Duration::from_millis(500)),
            "[+] UDP pps: 3000 dropped: 2800 put back: 200  (ring 4: 2000, ring 5: 1000)"
        );
    }

    #[test]
    fn json_has_rates_and_totals() {
        let now = two_queues();
        let v = object("eth3", 1.5, &now, &now, Duration::from_secs(1));
        let v: Value = serde_json::from_str(&v.to_string()).expect("valid");
        assert_eq!(v["interface"], "eth3");
        assert_eq!(v["pps"], 1500);
        assert_eq!(v["total"]["dropped"], 1400);
        assert_eq!(v["queues"][1]["queue"], 5);
        assert_eq!(v["queues"][0]["put_back"], 100);
    }
}
