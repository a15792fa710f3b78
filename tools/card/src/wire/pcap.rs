// SPDX-License-Identifier: GPL-2.0
//! Reading capture files (classic pcap, either byte order, micro- or nanoseconds).

use super::generator::Source;
use crate::rx::{MAX_FRAME, MIN_FRAME};

const LINKTYPE_ETHERNET: u32 = 1;

/// All frames of a file, to be played one after the other.
pub struct Capture {
    bytes: Vec<u8>,
    frames: Vec<(usize, usize)>,
    at: usize,
    rounds: u64,
}

impl Capture {
    /// Parses a file's bytes; `rounds` times round (0: for ever).
    pub fn parse(file: &[u8], rounds: u64) -> Result<Self, String> {
        let magic = file.get(..4).ok_or("the file is shorter than a header")?;
        let big = match magic {
            [0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1] => false,
            [0xa1, 0xb2, 0xc3, 0xd4] | [0xa1, 0xb2, 0x3c, 0x4d] => true,
            [0x0a, 0x0d, 0x0d, 0x0a] => {
                return Err("this is a pcapng file; convert it with 'tcpdump -r IN -w OUT'".into())
            }
            _ => return Err("not a pcap file".into()),
        };
        let word = |at: usize| -> Option<u32> {
            let b: [u8; 4] = file.get(at..at + 4)?.try_into().ok()?;
            Some(if big {
                u32::from_be_bytes(b)
            } else {
                u32::from_le_bytes(b)
            })
        };
        match word(20).map(|v| v & 0xffff) {
            Some(LINKTYPE_ETHERNET) => {}
            Some(t) => return Err(format!("link type {t} is not Ethernet (1)")),
            None => return Err("the file ends inside its header".into()),
        }
        let mut cap = Self {
            bytes: Vec::with_capacity(file.len()),
            frames: Vec::new(),
            at: 0,
            rounds: if rounds == 0 { u64::MAX } else { rounds },
        };
        let mut at = 24;
        while at < file.len() {
            let n = cap.frames.len() + 1;
            let len = word(at + 8).ok_or_else(|| format!("frame {n} is cut off"))? as usize;
            let data = file
                .get(at + 16..at + 16 + len)
                .ok_or_else(|| format!("frame {n} is cut off"))?;
            if !(14..=MAX_FRAME).contains(&len) {
                return Err(format!("frame {n} has {len} bytes, not 14 to {MAX_FRAME}"));
            }
            let from = cap.bytes.len();
            cap.bytes.extend_from_slice(data);
            cap.bytes.resize(from + len.max(MIN_FRAME), 0);
            cap.frames.push((from, cap.bytes.len()));
            at += 16 + len;
        }
        if cap.frames.is_empty() {
            return Err("the file has no frames".into());
        }
        Ok(cap)
    }
}

impl Source for Capture {
    fn next(&mut self) -> Option<&[u8]> {
        if self.at == self.frames.len() {
            self.rounds -= 1;
            self.at = 0;
        }
        if self.rounds == 0 {
            return None;
        }
        let (from, to) = self.frames[self.at];
        self.at += 1;
        Some(&self.bytes[from..to])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(frames: &[&[u8]]) -> Vec<u8> {
        let mut v = vec![0xd4, 0xc3, 0xb2, 0xa1];
        v.extend([2, 0, 4, 0]);
        v.extend([0; 8]);
        v.extend(65535u32.to_le_bytes());
        v.extend(1u32.to_le_bytes());
        for f in frames {
            v.extend([0; 8]);
            v.extend((f.len() as u32).to_le_bytes());
            v.extend((f.len() as u32).to_le_bytes());
            v.extend_from_slice(f);
        }
        v
    }

    #[test]
    fn frames_play_in_order_and_round() {
        let f = file(&[&[1; 70], &[2; 20]]);
        let mut c = Capture::parse(&f, 2).unwrap();
        let mut lens = Vec::new();
        while let Some(f) = c.next() {
            lens.push((f[0], f.len()));
        }
        assert_eq!(lens, [(1, 70), (2, 60), (1, 70), (2, 60)]);
    }

    #[test]
    fn wrong_files_are_explained() {
        let err = |b: &[u8]| Capture::parse(b, 1).err().unwrap();
        assert!(err(b"abc").contains("shorter"));
        assert!(err(&[0x0a, 0x0d, 0x0d, 0x0a, 0, 0]).contains("pcapng"));
        assert!(err(&file(&[])).contains("no frames"));
        let cut = file(&[&[1; 70]]);
        assert!(err(&cut[..cut.len() - 1]).contains("frame 1 is cut off"));
        let mut other = file(&[&[1; 70]]);
        other[20] = 113;
        assert!(err(&other).contains("link type 113"));
    }
}
