// SPDX-License-Identifier: GPL-2.0
//! Marks the counting plugin recognises (see crate `icount`).
//!
//! Each is `nopl 0x51be00NN(%rax)`: it does nothing on any processor.

use std::arch::asm;

/// Execute the mark with number `N`.
#[inline(always)]
fn mark<const N: u8>() {
    // SAFETY: a no-op; its operand is not accessed.  No `nomem`: the compiler must
    // not move memory accesses, which are what is measured, across it.
    unsafe {
        asm!(
            ".byte 0x0f, 0x1f, 0x80, {n}, 0x00, 0xbe, 0x51",
            n = const N,
            options(nostack, preserves_flags)
        );
    }
}

/// Translate all further code with counters.
pub fn arm() {
    mark::<0x01>();
}

/// A burst begins.
#[inline(always)]
pub fn burst_begin() {
    mark::<0x10>();
}

/// A burst ends.
#[inline(always)]
pub fn burst_end() {
    mark::<0x11>();
}

/// A run begins.
pub fn run_begin() {
    mark::<0x20>();
}

/// A run ends.
pub fn run_end() {
    mark::<0x21>();
}

/// Wait until the word at `cell` is `value`, or `turns` looks were taken; the
/// instructions of the loop are not counted.  Returns whether it is.
///
/// # Safety
/// `cell` is readable.
#[inline(always)]
pub unsafe fn wait_until(cell: *const u32, value: u32, turns: u64) -> bool {
    let left: u64;
    // SAFETY: reads `cell`, by this function's contract.  The marks are the first
    // instructions of the loop's two blocks: the plugin does not count such blocks.
    unsafe {
        asm!(
            "jmp 2f",
            "2:",
            ".byte 0x0f, 0x1f, 0x80, 0x40, 0x00, 0xbe, 0x51",
            "cmp dword ptr [{cell}], {value:e}",
            "je 3f",
            ".byte 0x0f, 0x1f, 0x80, 0x40, 0x00, 0xbe, 0x51",
            "dec {left}",
            "jnz 2b",
            "3:",
            cell = in(reg) cell,
            value = in(reg) value,
            left = inout(reg) turns => left,
            options(nostack, readonly)
        );
    }
    left != 0
}

/// A million turns of a loop of six instructions.
pub fn six_million() {
    // SAFETY: counts down a register.
    unsafe {
        asm!(
            "2:",
            "nop",
            "nop",
            "nop",
            "nop",
            "dec {turns:e}",
            "jnz 2b",
            turns = inout(reg) 1_000_000u32 => _,
            options(nostack, nomem)
        );
    }
}
