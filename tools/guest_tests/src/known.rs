// SPDX-License-Identifier: GPL-2.0
//! What a debug kernel says that is no sign of damage. The lab, which reads the console, and the tests
//! in the guest, which read the log, both go by this file.

/// Debugging and tracing of the kernel's own lack memory, because allocations were made to fail.
const CHECKS_WITHOUT_MEMORY: &[&str] = &[
    "DMA-API: cacheline tracking ENOMEM",
    "WARNING: at event_define_fields",
    "kmemleak: Cannot allocate a scan area",
];

/// What such a kernel says of the page that ixgbe has left mapped since its offline self-test (Linux
/// 7.3: the descriptor that is never full is filled there). What follows says where it was mapped.
const SELF_TEST: &[&str] = &[
    "pending DMA allocations while released from device [count=1]",
    "WARNING: at dma_debug_device_change",
    "DMA-API: Mapped at:",
];

/// Is the first line known? The others tell what follows it.
pub fn is_known<S: AsRef<str>>(lines: &[S]) -> bool {
    let is_one_of = |signs: &[&str]| {
        let first = lines.first().map(AsRef::as_ref);
        first.is_some_and(|l| signs.iter().any(|s| l.contains(s)))
    };
    let mut places = lines
        .iter()
        .map(AsRef::as_ref)
        .skip_while(|l| !l.contains("DMA-API: Mapped at:"))
        .take(6);
    is_one_of(CHECKS_WITHOUT_MEMORY)
        || is_one_of(SELF_TEST) && places.any(|l| l.contains(" ixgbe_diag_test+"))
}
