// SPDX-License-Identifier: GPL-2.0
//! QEMU plugin that counts guest instructions by address range.
