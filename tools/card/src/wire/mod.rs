// SPDX-License-Identifier: GPL-2.0
//! The card's other side: a tap, files of captured frames, and generators.

pub mod frame;
pub mod generator;
pub mod pcap;
pub mod profile;
pub mod tap;

/// Frames on their way out of the card, in one allocation.
#[derive(Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Outbox {
    pub fn push(&mut self, f: &[u8]) {
        self.bytes.extend_from_slice(f);
        self.ends.push(self.bytes.len());
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub fn frames(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(from, &to)| &self.bytes[from..to])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outbox_keeps_frames_apart() {
        let mut o = Outbox::default();
        o.push(&[1, 2]);
        o.push(&[3]);
        let v: Vec<&[u8]> = o.frames().collect();
        assert_eq!(v, [&[1u8, 2][..], &[3]]);
        o.clear();
        assert!(o.is_empty());
    }
}
