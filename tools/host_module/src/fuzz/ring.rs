// SPDX-License-Identifier: GPL-2.0

//! The prologue of every sync: pointers that a program wrote, against walking the ring; and runs.

use super::bytes::Bytes;
use crate::ring::{advance, check, distance, prev, runs, Pointers};

/// From `start`, `head` comes before `cur`, and both before `end` is passed.
fn walked(p: Pointers, start: u32, end: u32, n: u32) -> bool {
    if p.head >= n || p.cur >= n {
        return false;
    }
    let (mut at, mut head) = (start, false);
    loop {
        head |= at == p.head;
        if at == p.cur {
            return head;
        }
        if at == end {
            return false;
        }
        at = (at + 1) % n;
    }
}

pub fn run(data: &[u8]) {
    let mut b = Bytes::new(data);
    let n = 2 + u32::from(b.u16()) % 4095;
    let (start, end) = (u32::from(b.u16()) % n, u32::from(b.u16()) % n);
    for _ in 0..8 {
        let p = Pointers {
            head: b.odd_u32(),
            cur: b.odd_u32(),
        };
        assert_eq!(check(p, start, end, n).is_ok(), walked(p, start, end, n));
    }
    let (a, by) = (u32::from(b.u16()) % n, u32::from(b.u16()) % (n + 1));
    assert_eq!(advance(a, by, n), (a + by) % n);
    assert_eq!(distance(a, (a + by) % n, n), by % n);
    assert_eq!(advance(prev(a, n), 1, n), a);
    let mut stops = [0; 4].map(|_: u8| u32::from(b.u16()));
    let mut seen = 0;
    let took = runs(start, end, n, by, |x, y, len| {
        assert_eq!(x as u32, (start + seen) % n);
        assert_eq!(y as u32, (end + seen) % n);
        assert!(len > 0 && x + len <= n as usize && y + len <= n as usize);
        let took = len.min(stops[0] as usize);
        stops.rotate_left(1);
        seen += took as u32;
        took
    });
    assert_eq!(took, seen);
    assert!(took <= by);
}
