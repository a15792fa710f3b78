// SPDX-License-Identifier: GPL-2.0
//! The guest's console log: how far it has come, and whether its kernel complained.

use crate::known::is_known;
use std::path::{Path, PathBuf};

/// Beginnings of kernel messages that mean a bug was hit.
const TROUBLE: &[&str] = &[
    "BUG:",
    "BUG ",
    "kernel BUG at",
    "WARNING: ",
    "Oops",
    "Kernel panic",
    "general protection fault",
    "rust_kernel: panicked",
    "refcount_t:",
    "list_add corruption",
    "list_del corruption",
    "page allocation failure",
    "INFO: possible",
    "INFO: task",
    "INFO: trying to register",
    "INFO: rcu",
    "DMA-API:",
    "ODEBUG:",
    "DEBUG_LOCKS_WARN_ON",
    "ref_tracker:",
    "kmemleak: ",
    "watchdog: BUG",
    "UBSAN:",
    "unregister_netdevice: waiting",
    "NETDEV WATCHDOG",
];

/// A console log file that is still written to.
#[derive(Debug)]
pub struct Console {
    path: PathBuf,
    seen: usize,
}

impl Console {
    /// Follow the log at `path`.
    pub fn new(path: PathBuf) -> Self {
        Self { path, seen: 0 }
    }

    /// The log's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Everything so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.path).unwrap_or_default()).into_owned()
    }

    /// The line that starts with `marker`, when it is there.
    pub fn line_with(&self, marker: &str) -> Option<String> {
        self.text()
            .lines()
            .find(|l| l.contains(marker))
            .map(|l| l.trim_end().to_string())
    }

    /// Kernel complaints that came since the last call.
    pub fn new_trouble(&mut self) -> Vec<String> {
        let text = self.text();
        let from = self.seen.min(text.len());
        // A line still being written is left for the next call.
        let to = text.rfind('\n').map_or(from, |n| n + 1).max(from);
        self.seen = to;
        text.get(from..to).map(trouble_in).unwrap_or_default()
    }
}

/// The lines of `text` in which the kernel complains about a bug.
pub fn trouble_in(text: &str) -> Vec<String> {
    let lines: Vec<_> = text.lines().collect();
    let complains = |at: &usize| {
        let Some(message) = kernel_message(lines[*at]) else {
            return false;
        };
        let is = |t: &&str| message.starts_with(*t) || message.contains(&format!(": {t}"));
        TROUBLE.iter().any(is) && !is_known(&lines[*at..])
    };
    let found = (0..lines.len()).filter(complains);
    found.map(|at| lines[at].trim().to_string()).collect()
}

/// The part after the time stamp of a kernel line; `None` for other lines.
fn kernel_message(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix('[')?;
    let (stamp, message) = rest.split_once(']')?;
    let number = stamp.trim();
    if number.is_empty() || !number.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return None;
    }
    Some(message.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_found_and_chatter_is_not() {
        let log = "[    0.7] mtrr: your CPUs had inconsistent fixed MTRR settings\n\
                   nm-guest: ready 7.3.4\n\
                   [    9.1] WARNING: net/core/dev.c:1 at f+0x1/0x2, CPU#0: x/1\n\
                   [    9.2] BUG: kernel NULL pointer dereference, address: 0\n\
                   [    9.3] rust_kernel: panicked at rust/lib.rs:1:1:\n\
                   WARNING: this is a program talking\n";
        let found = trouble_in(log);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].contains("WARNING"));
    }

    #[test]
    fn one_page_of_the_self_test_is_known_and_no_other() {
        let left = |count: u32, place: &str| {
            let log = format!(
                "[ 1.1] DMA-API: pci 0: device driver has pending DMA allocations while released from device [count={count}]\n\
                 [ 1.1] One of leaked entries details: [size=4096 bytes]\n\
                 [ 1.1] WARNING: at dma_debug_device_change+0x1/0x2, CPU#5: rmmod/1\n\
                 [ 1.2] Call Trace:\n\
                 [ 1.3] DMA-API: Mapped at:\n\
                 [ 1.3]  ixgbe_alloc_rx_buffers+0x1/0x2 [ixgbe]\n\
                 [ 1.3]  {place}+0x1/0x2 [ixgbe]\n"
            );
            trouble_in(&log).len()
        };
        assert_eq!(left(1, "ixgbe_diag_test"), 0);
        assert_eq!(left(2, "ixgbe_diag_test"), 1);
        assert_eq!(left(1, "ixgbe_configure"), 3);
    }

    #[test]
    fn the_lock_circle_of_hot_unplug_is_known_and_no_other() {
        let circle = |place: &str| {
            let log = format!(
                "[ 1.1] WARNING: possible circular locking dependency detected\n\
                 [ 1.1] 7.3.4-nm-kasan #1 Tainted: G           O\n\
                 [ 1.1] irq/24-pciehp/109 is trying to acquire lock:\n\
                 [ 1.1] ffff888102 (&ctrl->reset_lock){{.+.+}}-{{4:4}}, at: {place}+0x169/0x1f0\n"
            );
            trouble_in(&log).len()
        };
        assert_eq!(circle("pciehp_unconfigure_device"), 0);
        assert_eq!(circle("ixgbe_remove"), 1);
    }

    #[test]
    fn a_line_is_reported_once_and_only_when_complete() {
        let path = std::env::temp_dir().join(format!("lab-console-{}", std::process::id()));
        std::fs::write(&path, "[ 1.0] Oops: 0000 [#1]\n[ 1.1] BUG: hal").unwrap();
        let mut console = Console::new(path.clone());
        assert_eq!(console.new_trouble().len(), 1);
        std::fs::write(&path, "[ 1.0] Oops: 0000 [#1]\n[ 1.1] BUG: half no more\n").unwrap();
        assert_eq!(console.new_trouble(), ["[ 1.1] BUG: half no more"]);
        assert!(console.new_trouble().is_empty());
        std::fs::remove_file(path).unwrap();
    }
}
