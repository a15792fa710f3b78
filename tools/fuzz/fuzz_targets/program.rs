// SPDX-License-Identifier: GPL-2.0
//! The whole module: see `host_module::fuzz::program`.
#![no_main]

fuzz::fuzz_target!("program");
