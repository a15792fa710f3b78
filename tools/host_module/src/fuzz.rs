// SPDX-License-Identifier: GPL-2.0

//! What a fuzzer calls: each function takes bytes, does what they say, and panics at a bug.
//!
//! [`program`] runs the whole module: programs, the card, the administrator and the stack, each doing
//! anything at any time. The others look at one part more closely than that reaches.

pub(crate) mod bytes;
pub mod corpus;
mod descriptors;
mod layout;
mod names;
pub(crate) mod program;
mod ring;

/// A target.
pub type Target = fn(&[u8]);

/// All targets by name.
pub const ALL: &[(&str, Target)] = &[
    ("descriptors", descriptors::run),
    ("layout", layout::run),
    ("names", names::run),
    ("program", program::run),
    ("ring", ring::run),
];

/// Runs a target.
///
/// # Panics
///
/// At a bug, or if there is no such target.
pub fn run(name: &str, data: &[u8]) {
    let (_, target) = ALL.iter().find(|t| t.0 == name).expect("a target");
    target(data);
}
