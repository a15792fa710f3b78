// SPDX-License-Identifier: GPL-2.0

//! Descriptor rings of NIC families. So far one: 82599, X540 and X550 share their RX format.

pub(crate) mod rx82599;
