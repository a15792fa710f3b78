// SPDX-License-Identifier: GPL-2.0
//! See `host_module::fuzz`.
#![no_main]

fuzz::fuzz_target!("ring");
