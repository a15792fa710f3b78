// SPDX-License-Identifier: GPL-2.0
//! The register trace: every access with its time, value and the register's name.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::time::Instant;

use crate::regs::Regs;

/// An open trace, or none.
#[derive(Default)]
pub struct Trace {
    out: Option<(BufWriter<File>, Instant)>,
}

impl Trace {
    pub fn on(&mut self, path: &str) -> io::Result<()> {
        self.out = Some((BufWriter::new(File::create(path)?), Instant::now()));
        Ok(())
    }

    /// Ends the trace; what was written is in the file.
    pub fn off(&mut self) -> io::Result<()> {
        match self.out.take() {
            Some((mut out, _)) => out.flush(),
            None => Ok(()),
        }
    }

    /// Notes one access to BAR0. A trace whose disk is full ends.
    pub fn access(&mut self, regs: &Regs, way: char, offset: u32, v: u32) {
        let Some((out, start)) = &mut self.out else {
            return;
        };
        let t = start.elapsed();
        let name = match regs.find(offset) {
            Some((reg, i)) if reg.n > 1 => format!("{}({i})", reg.name),
            Some((reg, _)) => reg.name.to_string(),
            None => String::new(),
        };
        let line = writeln!(
            out,
            "{:5}.{:06} {way} {offset:#07x} {v:#010x} {name}",
            t.as_secs(),
            t.subsec_micros()
        );
        if line.is_err() {
            self.out = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accesses_are_named() {
        let dir = std::env::temp_dir().join(format!("nic82599-trace-{}", std::process::id()));
        let path = dir.to_str().unwrap();
        let (mut t, regs) = (Trace::default(), Regs::new());
        t.access(&regs, 'R', 8, 0);
        t.on(path).unwrap();
        t.access(&regs, 'W', 0x1018 + 0x40 * 4, 7);
        t.access(&regs, 'R', 0xf000, 0);
        t.off().unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        std::fs::remove_file(path).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(text.contains(" W 0x01118 0x00000007 RDT(4)"), "{text}");
    }
}
