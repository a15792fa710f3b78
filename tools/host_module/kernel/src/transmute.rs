// SPDX-License-Identifier: GPL-2.0

//! Types that are their bytes.

/// Any bytes are a value.
///
/// # Safety
///
/// As it says.
pub unsafe trait FromBytes {}

/// All bytes of a value are initialised.
///
/// # Safety
///
/// As it says.
pub unsafe trait AsBytes {}
