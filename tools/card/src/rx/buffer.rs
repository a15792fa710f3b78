// SPDX-License-Identifier: GPL-2.0
//! The packet buffer: frames that wait, in order of arrival, behind one whose ring has no
//! descriptors and does not drop. When it is full, further frames are missed.

use std::collections::VecDeque;

use super::ring::Verdict;

/// What a frame takes up besides its bytes.
const OVERHEAD: usize = 64;

/// A bounded queue of frames, bytes in one circular store.
pub struct Buffer {
    store: Box<[u8]>,
    limit: usize,
    used: usize,
    write_at: usize,
    frames: VecDeque<(usize, usize, Verdict)>,
}

impl Buffer {
    pub fn new(size: usize) -> Self {
        Self {
            store: vec![0; size].into_boxed_slice(),
            limit: size,
            used: 0,
            write_at: 0,
            frames: VecDeque::new(),
        }
    }

    /// The size the driver gives it, as far as there is memory.
    pub fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes.min(self.store.len());
    }

    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    pub fn used(&self) -> usize {
        self.used
    }

    pub fn clear(&mut self) {
        self.frames.clear();
        self.used = 0;
        self.write_at = 0;
    }

    /// Is there room for a frame?
    pub fn fits(&self, len: usize) -> bool {
        self.used + len + OVERHEAD <= self.limit
    }

    /// Keeps a frame; false if it is missed.
    pub fn push(&mut self, frame: &[u8], v: Verdict) -> bool {
        if !self.fits(frame.len()) {
            return false;
        }
        let at = self.write_at;
        let first = frame.len().min(self.store.len() - at);
        self.store[at..at + first].copy_from_slice(&frame[..first]);
        self.store[..frame.len() - first].copy_from_slice(&frame[first..]);
        self.write_at = (at + frame.len()) % self.store.len();
        self.used += frame.len() + OVERHEAD;
        self.frames.push_back((at, frame.len(), v));
        true
    }

    /// Copies the oldest frame out.
    pub fn front(&self, into: &mut Vec<u8>) -> Option<Verdict> {
        let &(at, len, v) = self.frames.front()?;
        let first = len.min(self.store.len() - at);
        into.clear();
        into.extend_from_slice(&self.store[at..at + first]);
        into.extend_from_slice(&self.store[..len - first]);
        Some(v)
    }

    /// The oldest frame's length and verdict.
    pub fn peek(&self) -> Option<(usize, Verdict)> {
        self.frames.front().map(|&(_, len, v)| (len, v))
    }

    pub fn pop(&mut self) {
        if let Some((_, len, _)) = self.frames.pop_front() {
            self.used -= len + OVERHEAD;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_in_first_out_around_the_end() {
        let mut b = Buffer::new(1000);
        let mut out = Vec::new();
        for n in 0..50u8 {
            assert!(b.push(&[n; 300], Verdict::default()));
            assert!(b.push(&[n ^ 0xff; 301], Verdict::default()));
            assert!(b.front(&mut out).is_some());
            assert_eq!(out, [n; 300]);
            b.pop();
            assert!(b.front(&mut out).is_some());
            assert_eq!(out, [n ^ 0xff; 301]);
            b.pop();
        }
        assert!(b.is_empty() && b.used() == 0);
    }

    #[test]
    fn a_full_buffer_misses() {
        let mut b = Buffer::new(1000);
        b.set_limit(500);
        assert!(b.push(&[0; 300], Verdict::default()));
        assert!(!b.push(&[0; 100], Verdict::default()));
        b.pop();
        assert!(b.push(&[0; 100], Verdict::default()));
    }
}
