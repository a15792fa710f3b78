// SPDX-License-Identifier: GPL-2.0

//! The whole of netmap.ko in a process of the build host.
//!
//! The files are the module's own, by links, its unsafe parts included; only `netmap.rs`, which is
//! its place in the kernel, is this file here. Under it are the `kernel` crate of `host_module/kernel`
//! and, for what is C in the kernel, [`machine`]: interfaces, a driver, a card that does DMA, programs.

#![allow(dead_code, missing_docs, unfulfilled_lint_expectations)]

mod adapter;
mod ffi;
mod file;
mod kring;
mod mem;
mod nic;
mod os;
mod port;
mod ring;
mod shm;
mod show;
mod uapi;

pub mod fuzz;
pub(crate) mod machine;

#[cfg(test)]
mod tests;
