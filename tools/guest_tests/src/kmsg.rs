// SPDX-License-Identifier: GPL-2.0
//! The kernel log since the run began, searched for signs of damage.

use crate::known::is_known;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;

/// Words that only appear when something is broken.
const SIGNS: &[&str] = &[
    "BUG:",
    "WARNING:",
    "Oops",
    "kernel panic",
    "general protection fault",
    "Internal error",
    "KASAN:",
    "UBSAN:",
    "KFENCE:",
    "list_add corruption",
    "list_del corruption",
    "refcount_t:",
    "blocked for more than",
    "soft lockup",
    "hard LOCKUP",
    "detected stalls",
    "self-detected stall",
    "rust_kernel: panicked",
    "NETDEV WATCHDOG",
    "Detected Tx Unit Hang",
    "DMAR:",
    "DMA-API:",
    "ODEBUG:",
    "DEBUG_LOCKS_WARN_ON",
    "ref_tracker:",
    "suspected memory leaks",
    "scheduling while atomic",
    "sleeping function called",
];

/// A reader that starts at the end of the log.
pub struct Kmsg {
    file: Option<File>,
}

impl Kmsg {
    pub fn from_now() -> Kmsg {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/kmsg")
            .ok();
        let file = file.map(|mut f| {
            // not every kernel reports the position; the position is set anyway
            let _ = f.seek(SeekFrom::End(0));
            f
        });
        Kmsg { file }
    }

    /// Messages since the last call.
    pub fn new_lines(&mut self) -> Vec<String> {
        let Some(file) = &mut self.file else {
            return vec!["/dev/kmsg cannot be read".into()];
        };
        let mut lines = Vec::new();
        let mut record = [0; 8192];
        loop {
            match file.read(&mut record) {
                Ok(0) => return lines,
                Ok(n) => {
                    let text = String::from_utf8_lossy(&record[..n]);
                    let line = text.lines().next().unwrap_or("");
                    lines.push(line.split_once(';').map_or(line, |(_, m)| m).to_string());
                }
                // EPIPE: records were overwritten, the next read goes on after them
                Err(e) if e.raw_os_error() == Some(libc::EPIPE) => {}
                Err(_) => return lines,
            }
        }
    }
}

/// The first line that means damage, but for signs that were to be expected.
pub fn damage<'a>(lines: &'a [String], expected: &[&str]) -> Option<&'a String> {
    let signs = SIGNS.iter().filter(|s| !expected.contains(*s));
    let mut told = (lines.iter().enumerate())
        .filter(|(at, _)| !is_known(&lines[*at..]))
        .map(|(_, line)| line);
    told.find(|l| signs.clone().any(|s| l.contains(s)))
}
