// SPDX-License-Identifier: GPL-2.0
//! Boot the guest with the emulated card and run sessions, tests and benches in it.

fn main() {}
