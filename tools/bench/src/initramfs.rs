// SPDX-License-Identifier: GPL-2.0
//! The guest's only file system: an archive in the kernel's "newc" format.
//!
//! It holds `bench-guest` as init, the shared libraries the programs ask for, the
//! modules in load order, and the plan.

use anyhow::{bail, Context, Result};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

const FOLDER: u32 = 0o040_755;
const FILE: u32 = 0o100_755;
const CHARACTER_DEVICE: u32 = 0o020_600;

/// An archive being made.
#[derive(Default)]
pub struct Archive {
    bytes: Vec<u8>,
    known: BTreeSet<String>,
    inode: u32,
}

impl Archive {
    /// An archive with the console's device node.
    pub fn new() -> Self {
        let mut archive = Archive::default();
        archive.folders("dev/console");
        archive.entry("dev/console", CHARACTER_DEVICE, (5, 1), &[]);
        archive
    }

    /// Add a file with this content.
    pub fn file(&mut self, path: &str, content: &[u8]) {
        let path = path.trim_start_matches('/');
        if self.known.insert(path.to_owned()) {
            self.folders(path);
            self.entry(path, FILE, (0, 0), content);
        }
    }

    /// Add a copy of a file.
    pub fn copy(&mut self, path: &str, from: &Path) -> Result<()> {
        let content = fs::read(from).with_context(|| format!("read {}", from.display()))?;
        self.file(path, &content);
        Ok(())
    }

    /// Add a program and the libraries it is linked with.
    pub fn program(&mut self, path: &str, from: &Path) -> Result<()> {
        self.copy(path, from)?;
        let output = Command::new("ldd").arg(from).output().context("run ldd")?;
        if !output.status.success() {
            bail!(
                "ldd {}: {}",
                from.display(),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        let text = String::from_utf8_lossy(&output.stdout);
        for library in text.split_whitespace().filter(|word| word.starts_with('/')) {
            self.copy(library, Path::new(library))?;
        }
        if text.contains("not found") {
            bail!("{} misses a library:\n{text}", from.display());
        }
        Ok(())
    }

    /// The finished archive.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }

    /// Add the folders above `path` that are not there yet.
    fn folders(&mut self, path: &str) {
        for (at, _) in path.match_indices('/') {
            let folder = path[..at].to_owned();
            if self.known.insert(folder.clone()) {
                self.entry(&folder, FOLDER, (0, 0), &[]);
            }
        }
    }

    /// One entry: a header of 13 numbers in hexadecimal, name and content, each
    /// filled up to four bytes.
    fn entry(&mut self, name: &str, mode: u32, device: (u32, u32), content: &[u8]) {
        self.inode += 1;
        let numbers = [
            self.inode,
            mode,
            0, // uid
            0, // gid
            1, // links
            0, // modification time
            content.len() as u32,
            0,
            0,
            device.0,
            device.1,
            name.len() as u32 + 1,
            0, // checksum
        ];
        self.bytes.extend_from_slice(b"070701");
        for number in numbers {
            self.bytes
                .extend_from_slice(format!("{number:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.fill();
        self.bytes.extend_from_slice(content);
        self.fill();
    }

    fn fill(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names, modes and contents of an archive, read as the kernel does.
    fn entries(bytes: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut list = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            assert_eq!(&bytes[at..at + 6], b"070701");
            let field = |n: usize| {
                let from = at + 6 + n * 8;
                let text = std::str::from_utf8(&bytes[from..from + 8]).unwrap();
                u32::from_str_radix(text, 16).unwrap()
            };
            let (mode, size, name) = (field(1), field(6) as usize, field(11) as usize);
            let text = String::from_utf8(bytes[at + 110..at + 110 + name - 1].to_vec()).unwrap();
            let data = (at + 110 + name).next_multiple_of(4);
            list.push((text, mode, bytes[data..data + size].to_vec()));
            at = (data + size).next_multiple_of(4);
        }
        list
    }

    #[test]
    fn folders_come_before_what_is_in_them_and_once() {
        let mut archive = Archive::new();
        archive.file("/usr/lib/a", b"one");
        archive.file("usr/lib/b", b"three");
        archive.file("usr/lib/b", b"not again");
        let list = entries(&archive.finish());
        let names: Vec<&str> = list.iter().map(|e| e.0.as_str()).collect();
        let expected = [
            "dev",
            "dev/console",
            "usr",
            "usr/lib",
            "usr/lib/a",
            "usr/lib/b",
        ];
        assert_eq!(names[..6], expected);
        assert_eq!(names[6..], ["TRAILER!!!"]);
        assert_eq!((list[3].1, list[4].1), (FOLDER, FILE));
        assert_eq!(
            (list[4].2.as_slice(), list[5].2.as_slice()),
            (&b"one"[..], &b"three"[..])
        );
    }
}
