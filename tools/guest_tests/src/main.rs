// SPDX-License-Identifier: GPL-2.0
//! Tests of netmap.ko and ixgbe.ko on the running guest kernel.

fn main() {}
