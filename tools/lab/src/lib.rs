// SPDX-License-Identifier: GPL-2.0
//! The laboratory: a guest with the stock Debian kernel, one or more emulated 82599
//! cards, and a peer's network namespace at the other end of the wire.
//!
//! ```text
//!   peer namespace            card (nic82599)             guest (QEMU)
//!   10.0.3.2  wire0 ──tap──▶  wire · filters · queues  ──vfio-user──▶  eth3  10.0.3.1
//!                                │ control socket                         │ nic.ctl
//!   lab ─────────────────────────┴───────── ssh over mgmt0 ───────────────┘
//! ```
//!
//! [`vm::Vm::boot`] makes all of it and throws it away when dropped. Everything is started
//! by this process and dies with it, whatever way it ends (see [`child`]).

pub mod bench;
pub mod card;
pub mod child;
pub mod console;
pub mod echo;
/// Shared with the tests in the guest.
#[path = "../../guest_tests/src/known.rs"]
mod known;
pub mod machine;
pub mod netns;
pub mod places;
pub mod qemu;
pub mod say;
pub mod secure;
pub mod session;
pub mod ssh;
pub mod tests;
pub mod vm;
