// SPDX-License-Identifier: GPL-2.0
//! The report to the host: lines on the virtio port `bench.log`.
//!
//! ```text
//! run CASE BURST BURSTS PACKETS INTERRUPTS    one line for each record of the plugin, in order
//! map PROGRAM START END OFFSET FILE executable mappings of a program that was measured
//! sym ADDRESS NAME [MODULE]         text symbols of the kernel
//! failed CASE BURST: REASON
//! ```

use crate::init::virtio_port;
use anyhow::{Context, Result};
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};

/// Where report lines go.
pub struct Log {
    out: BufWriter<File>,
}

impl Log {
    /// Open the port.
    pub fn open() -> Result<Self> {
        let path = virtio_port("bench.log")?;
        let file = OpenOptions::new().write(true).open(&path);
        let file = file.with_context(|| format!("open {path}"))?;
        Ok(Log {
            out: BufWriter::new(file),
        })
    }

    /// One line, at once.
    pub fn line(&mut self, text: &str) {
        let written = writeln!(self.out, "{text}").and_then(|()| self.out.flush());
        if let Err(error) = written {
            eprintln!("bench-guest: report: {error}: {text}");
        }
    }

    /// Where the code of process `pid` is.
    pub fn maps(&mut self, program: &str, pid: u32) -> Result<()> {
        let path = format!("/proc/{pid}/maps");
        let maps = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        for line in maps.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            if let [range, _mode, offset, _device, _inode, file] = words[..] {
                if let Some((start, end)) = range.split_once('-') {
                    self.line(&format!("map {program} {start} {end} {offset} {file}"));
                }
            }
        }
        Ok(())
    }

    /// Text symbols that are there only now: those of BPF programs.
    pub fn bpf_symbols(&mut self) -> Result<()> {
        self.copy_symbols(|line| line.ends_with("[bpf]"))
    }

    /// All text symbols of the kernel and its modules.
    pub fn symbols(&mut self) -> Result<()> {
        self.copy_symbols(|line| !line.ends_with("[bpf]"))
    }

    fn copy_symbols(&mut self, wanted: impl Fn(&str) -> bool) -> Result<()> {
        let symbols = fs::read_to_string("/proc/kallsyms").context("read /proc/kallsyms")?;
        for line in symbols.lines().filter(|line| wanted(line)) {
            let mut words = line.split_whitespace();
            let (address, kind) = (words.next(), words.next());
            if let (Some(address), Some("t" | "T" | "w" | "W")) = (address, kind) {
                let rest: Vec<&str> = words.collect();
                writeln!(self.out, "sym {address} {}", rest.join(" "))?;
            }
        }
        self.out.flush()?;
        Ok(())
    }
}
