// SPDX-License-Identifier: GPL-2.0
//! An emulated Intel 82599 behind vfio-user.

fn main() {}
