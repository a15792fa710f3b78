// SPDX-License-Identifier: GPL-2.0

//! Descriptor rings of NIC families. So far one: 82599, X540 and X550 share their formats.

pub(crate) mod rx82599;
pub(crate) mod tx82599;
