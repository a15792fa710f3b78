// SPDX-License-Identifier: GPL-2.0
//! List netmap ports, rings, owners and counters.

fn main() {}
