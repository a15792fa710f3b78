// SPDX-License-Identifier: GPL-2.0

//! The machine works, its accounts notice what they should, and requests bear that memory runs out.

#[cfg(not(loom))]
mod corpus;
#[cfg(not(loom))]
mod listing;
#[cfg(not(loom))]
mod machine;
#[cfg(loom)]
mod models;
#[cfg(not(loom))]
mod no_memory;
mod rig;
