// SPDX-License-Identifier: GPL-2.0
//! Generators: sources of frames with a pace.
//!
//! The data path asks what is due now. A thread that slept too long owes at most one burst; the
//! rest is skipped and counted, because a wire does not deliver the past at once.

/// Where a generator's frames come from.
pub trait Source: Send {
    /// The next frame, of at least the minimum length; None at the end.
    fn next(&mut self) -> Option<&[u8]>;
}

/// How often a paced generator wants to be woken.
const TICK: u64 = 200_000;
/// How soon to try again when a ring was full (generators that wait).
const RETRY: u64 = 50_000;

/// A paced source.
pub struct Generator {
    pub name: String,
    source: Box<dyn Source>,
    /// Frames per second; 0: as fast as possible.
    rate: u64,
    /// Frames left to send.
    left: u64,
    burst: u64,
    /// Wait for descriptors instead of letting frames be dropped.
    pub wait: bool,
    pub sent: u64,
    pub skipped: u64,
    pub running: bool,
    start: u64,
    /// Frames that are accounted for since `start`, sent or skipped.
    issued: u64,
    blocked: bool,
}

impl Generator {
    pub fn new(name: &str, source: Box<dyn Source>, now: u64) -> Self {
        Self {
            name: name.into(),
            source,
            rate: 0,
            left: u64::MAX,
            burst: 256,
            wait: false,
            sent: 0,
            skipped: 0,
            running: true,
            start: now,
            issued: 0,
            blocked: false,
        }
    }

    /// Takes an option if it is one about pace.
    pub fn option(&mut self, key: &str, value: &str) -> Result<bool, String> {
        let number = || -> Result<u64, String> {
            value
                .parse()
                .map_err(|_| format!("{key}={value}: a number is needed"))
        };
        match key {
            "rate" => self.rate = number()?,
            "count" => self.left = number()?,
            "burst" => self.burst = number()?.clamp(1, 65536),
            "wait" => self.wait = number()? != 0,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn expected(&self, now: u64) -> u64 {
        let t = u128::from(now.saturating_sub(self.start));
        (t * u128::from(self.rate) / 1_000_000_000) as u64
    }

    /// How many frames are to be sent now.
    pub fn due(&mut self, now: u64) -> u64 {
        if !self.running {
            return 0;
        }
        if self.rate == 0 {
            return self.burst.min(self.left);
        }
        let owed = self.expected(now).saturating_sub(self.issued);
        if owed > self.burst {
            self.skipped += owed - self.burst;
            self.issued += owed - self.burst;
        }
        owed.min(self.burst).min(self.left)
    }

    /// When to ask again.
    pub fn next_wake(&self, now: u64) -> Option<u64> {
        if !self.running {
            return None;
        }
        if self.blocked {
            return Some(now + RETRY);
        }
        if self.rate == 0 {
            return Some(now);
        }
        let per_tick = (self.rate * TICK / 1_000_000_000).max(1);
        let t = u128::from(self.issued + per_tick) * 1_000_000_000;
        Some(self.start + t.div_ceil(u128::from(self.rate)) as u64)
    }

    /// Gives up to `n` frames to `take`, which says whether it took the frame. A refused frame is
    /// lost to the source, so whoever refuses keeps it: see [`Generator::again`].
    pub fn send(&mut self, n: u64, again: &mut Vec<u8>, mut take: impl FnMut(&[u8]) -> bool) {
        self.blocked = false;
        for _ in 0..n {
            let ok = if again.is_empty() {
                let Some(f) = self.source.next() else {
                    self.running = false;
                    return;
                };
                let ok = take(f);
                if !ok {
                    again.extend_from_slice(f);
                }
                ok
            } else {
                take(again)
            };
            if !ok {
                self.blocked = true;
                return;
            }
            again.clear();
            self.sent += 1;
            self.issued += 1;
            self.left -= 1;
        }
        if self.left == 0 {
            self.running = false;
        }
    }

    pub fn blocked(&self) -> bool {
        self.blocked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Zeros([u8; 60]);
    impl Source for Zeros {
        fn next(&mut self) -> Option<&[u8]> {
            self.0[0] += 1;
            Some(&self.0)
        }
    }

    fn unit(options: &[(&str, &str)]) -> Generator {
        let mut g = Generator::new("g", Box::new(Zeros([0; 60])), 0);
        for (k, v) in options {
            assert_eq!(g.option(k, v), Ok(true));
        }
        g
    }

    const MS: u64 = 1_000_000;

    #[test]
    fn pace_follows_the_clock() {
        let mut g = unit(&[("rate", "100000")]);
        assert_eq!(g.due(MS), 100);
        g.send(100, &mut Vec::new(), |_| true);
        assert_eq!(g.due(MS), 0);
        assert_eq!(g.next_wake(MS), Some(MS + TICK));
    }

    #[test]
    fn a_late_thread_skips_instead_of_flooding() {
        let mut g = unit(&[("rate", "100000"), ("burst", "50")]);
        assert_eq!(g.due(10 * MS), 50);
        assert_eq!(g.skipped, 950);
        g.send(50, &mut Vec::new(), |_| true);
        assert_eq!(g.due(10 * MS), 0);
    }

    #[test]
    fn a_count_ends_it() {
        let mut g = unit(&[("count", "3")]);
        let n = g.due(0);
        assert_eq!(n, 3);
        g.send(n, &mut Vec::new(), |_| true);
        assert!(!g.running && g.sent == 3);
        assert_eq!((g.due(5), g.next_wake(5)), (0, None));
    }

    #[test]
    fn slow_rates_do_not_wake_often() {
        let g = unit(&[("rate", "2")]);
        assert_eq!(g.next_wake(0), Some(500 * MS));
    }

    #[test]
    fn a_refused_frame_is_offered_again() {
        let mut g = unit(&[("wait", "1"), ("count", "2")]);
        let (mut again, mut seen) = (Vec::new(), Vec::new());
        let mut tries = 0;
        for _ in 0..3 {
            g.send(1, &mut again, |f| {
                tries += 1;
                let ok = tries != 1;
                if ok {
                    seen.push(f[0]);
                }
                ok
            });
        }
        assert_eq!((seen, g.sent, g.running), (vec![1, 2], 2, false));
    }

    #[test]
    fn wrong_options_are_named() {
        let mut g = unit(&[]);
        assert!(g.option("rate", "x").unwrap_err().contains("rate=x"));
        assert_eq!(g.option("zone", "y"), Ok(false));
    }
}
