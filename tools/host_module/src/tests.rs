// SPDX-License-Identifier: GPL-2.0

//! The machine works, its accounts notice what they should, and requests bear that memory runs out.

mod corpus;
mod machine;
mod no_memory;
mod rig;
