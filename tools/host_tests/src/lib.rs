// SPDX-License-Identifier: GPL-2.0
//! Tests of the module's pure parts on the build host.
