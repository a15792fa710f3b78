// SPDX-License-Identifier: MIT OR Apache-2.0
//! Packets and bytes per second.

use std::time::{Duration, Instant};

/// Counts, and says from time to time how fast.
#[derive(Debug)]
pub struct Meter {
    /// Packets so far.
    pub packets: u64,
    /// Bytes so far.
    pub bytes: u64,
    started: Instant,
    last: Instant,
    before: u64,
    interval: Duration,
}

impl Meter {
    /// One that reports at this interval.
    pub fn new(interval: Duration) -> Self {
        let now = Instant::now();
        Self {
            packets: 0,
            bytes: 0,
            started: now,
            last: now,
            before: 0,
            interval: interval.max(Duration::from_millis(1)),
        }
    }

    /// Count.
    pub fn add(&mut self, packets: u64, bytes: u64) {
        self.packets += packets;
        self.bytes += bytes;
    }

    /// How long to wait until the next report is due.
    pub fn due(&self) -> Duration {
        self.interval.saturating_sub(self.last.elapsed())
    }

    /// Packets per second since the last report, if one is due.
    pub fn report(&mut self) -> Option<f64> {
        let passed = self.last.elapsed();
        if passed < self.interval {
            return None;
        }
        let rate = (self.packets - self.before) as f64 / passed.as_secs_f64();
        (self.last, self.before) = (Instant::now(), self.packets);
        Some(rate)
    }

    /// A line with the rate, if one is due.
    pub fn say(&mut self, name: &str) {
        if let Some(rate) = self.report() {
            println!("[+] {name} {}pps", human(rate));
        }
    }

    /// Since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The last line: all there was, and how fast.
    pub fn summary(&self, what: &str) -> String {
        let s = self.elapsed().as_secs_f64().max(1e-6);
        format!(
            "{what} {} packets, {} bytes in {s:.2} s: {}pps, {}bit/s",
            self.packets,
            self.bytes,
            human(self.packets as f64 / s),
            human(self.bytes as f64 * 8.0 / s)
        )
    }
}

/// A number with k, M or G.
pub fn human(n: f64) -> String {
    match n {
        n if n >= 1e9 => format!("{:.2} G", n / 1e9),
        n if n >= 1e6 => format!("{:.2} M", n / 1e6),
        n if n >= 1e3 => format!("{:.2} k", n / 1e3),
        n => format!("{n:.0} "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_keep_their_size() {
        let cases = [(0.0, "0 "), (999.0, "999 "), (1500.0, "1.50 k")];
        for (n, text) in cases
            .into_iter()
            .chain([(14.88e6, "14.88 M"), (1e10, "10.00 G")])
        {
            assert_eq!(human(n), text);
        }
    }

    #[test]
    fn a_report_comes_once_per_interval_and_counts_what_came_since() {
        let mut m = Meter::new(Duration::from_millis(20));
        m.add(10, 600);
        assert_eq!(m.report(), None);
        std::thread::sleep(m.due());
        let rate = m.report().expect("due");
        assert!(rate > 0.0 && rate <= 500.0, "{rate}");
        assert_eq!(m.report(), None);
        std::thread::sleep(m.due());
        assert_eq!(m.report(), Some(0.0));
        assert!(m
            .summary("got")
            .starts_with("got 10 packets, 600 bytes in "));
    }
}
