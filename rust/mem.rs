// SPDX-License-Identifier: GPL-2.0

//! Memory shared with programs.
//!
//! A *region* is what a program maps: three pools of objects (`netmap_if`, rings, buffers) at fixed
//! offsets, whose pages are allocated as rings need them. [`layout`] says where things are, [`sizing`]
//! how many there are, [`owner`] who holds which buffer; these are pure. [`region`] owns the pages
//! and their DMA, [`registry`] knows which regions there are.

mod demand;
pub(crate) mod layout;
pub(crate) mod owner;
pub(crate) mod region;
pub(crate) mod registry;
mod sizing;
