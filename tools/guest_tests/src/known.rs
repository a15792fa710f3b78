// SPDX-License-Identifier: GPL-2.0
//! What a debug kernel says that is no sign of damage. The lab, which reads the console, and the tests
//! in the guest, which read the log, both go by this file.

/// Debugging and tracing of the kernel's own lack memory, because allocations were made to fail.
const CHECKS_WITHOUT_MEMORY: &[&str] = &[
    "DMA-API: cacheline tracking ENOMEM",
    "WARNING: at event_define_fields",
    "kmemleak: Cannot allocate a scan area",
];

/// A report of some lines that is known.
struct Report {
    /// Those of its lines that look like damage, each with what follows it.
    begins: &'static [&'static str],
    /// Within so many lines after this one stands what it is known by.
    after: &'static str,
    names: &'static str,
}

const LINES: usize = 6;

const REPORTS: &[Report] = &[
    // The page that ixgbe has left mapped since its offline self-test (Linux 7.3: the descriptor that
    // is never full is filled there). Last comes where it was mapped.
    Report {
        begins: &[
            "pending DMA allocations while released from device [count=1]",
            "WARNING: at dma_debug_device_change",
            "DMA-API: Mapped at:",
        ],
        after: "DMA-API: Mapped at:",
        names: " ixgbe_diag_test+",
    },
    // Hot unplug (Linux 7.3) takes a lock again within one that is taken within it. Locks are not
    // looked at any more then.
    Report {
        begins: &["WARNING: possible circular locking dependency"],
        after: "is trying to acquire lock:",
        names: " at: pciehp_unconfigure_device+",
    },
];

/// Is the first line known? The others tell what follows it.
pub fn is_known<S: AsRef<str>>(lines: &[S]) -> bool {
    let mut lines = lines.iter().map(AsRef::as_ref);
    let Some(first) = lines.clone().next() else {
        return false;
    };
    let is_one_of = |signs: &[&str]| signs.iter().any(|s| first.contains(s));
    let mut is = |report: &Report| {
        let told = lines.by_ref().skip_while(|l| !l.contains(report.after));
        told.take(LINES).any(|l| l.contains(report.names))
    };
    let report = REPORTS.iter().find(|r| is_one_of(r.begins));
    is_one_of(CHECKS_WITHOUT_MEMORY) || report.is_some_and(&mut is)
}
