// SPDX-License-Identifier: GPL-2.0
//! Counts shared between the workers, which add once per batch, and the reporter.

use std::collections::BTreeMap;
use std::ops::{AddAssign, Sub};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// What happened to packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Received.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Dropped on purpose.
    pub dropped: u64,
    /// Put back into the kernel.
    pub passed: u64,
    /// To be put back, but there was no room in the host ring.
    pub lost: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, o: Self) {
        self.packets += o.packets;
        self.bytes += o.bytes;
        self.dropped += o.dropped;
        self.passed += o.passed;
        self.lost += o.lost;
    }
}

impl Sub for Counts {
    type Output = Self;

    fn sub(self, o: Self) -> Self {
        Self {
            packets: self.packets - o.packets,
            bytes: self.bytes - o.bytes,
            dropped: self.dropped - o.dropped,
            passed: self.passed - o.passed,
            lost: self.lost - o.lost,
        }
    }
}

/// Counts of one queue.
#[derive(Debug, Default)]
pub struct QueueStats([AtomicU64; 5]);

impl QueueStats {
    /// Add a batch; one thread does.
    pub fn add(&self, c: Counts) {
        for (cell, n) in self
            .0
            .iter()
            .zip([c.packets, c.bytes, c.dropped, c.passed, c.lost])
        {
            cell.store(cell.load(Ordering::Relaxed) + n, Ordering::Relaxed);
        }
    }

    /// What it is now. The parts may be a batch apart.
    pub fn get(&self) -> Counts {
        let [packets, bytes, dropped, passed, lost] =
            [0, 1, 2, 3, 4].map(|i| self.0[i].load(Ordering::Relaxed));
        Counts {
            packets,
            bytes,
            dropped,
            passed,
            lost,
        }
    }
}

/// Counts of all queues, also of those that were given back.
#[derive(Clone, Debug, Default)]
pub struct Stats(Arc<Mutex<BTreeMap<u16, Arc<QueueStats>>>>);

impl Stats {
    /// The counts of a queue, from zero when it is new.
    pub fn queue(&self, queue: u16) -> Arc<QueueStats> {
        let mut map = self.0.lock().unwrap_or_else(|e| e.into_inner());
        map.entry(queue).or_default().clone()
    }

    /// All queues now.
    pub fn snapshot(&self) -> BTreeMap<u16, Counts> {
        let map = self.0.lock().unwrap_or_else(|e| e.into_inner());
        map.iter().map(|(q, s)| (*q, s.get())).collect()
    }
}

/// Sum over queues.
pub fn total(map: &BTreeMap<u16, Counts>) -> Counts {
    let mut sum = Counts::default();
    for c in map.values() {
        sum += *c;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_add_up_per_queue() {
        let stats = Stats::default();
        let one = Counts {
            packets: 3,
            bytes: 180,
            dropped: 2,
            passed: 1,
            lost: 0,
        };
        stats.queue(4).add(one);
        stats.queue(4).add(one);
        stats.queue(5).add(one);
        let now = stats.snapshot();
        assert_eq!(now[&4].packets, 6);
        assert_eq!(total(&now).bytes, 540);
        assert_eq!((now[&4] - one), one);
    }
}
