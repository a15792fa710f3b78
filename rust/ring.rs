// SPDX-License-Identifier: GPL-2.0

//! Index arithmetic of circular rings, and the check of a program's pointers.
//!
//! A ring of n slots is split by three indices. On RX the program holds `[head, tail)` and the
//! kernel the rest; on TX likewise, with `[head, tail)` free for the program to fill. `cur` is
//! where the program wants to be woken. The program may write `head` and `cur`; both are read once
//! and accepted only where the kernel's private indices allow it.

/// Slots from `from` up to `to`, going forward.
///
/// Both must be below `n`.
#[inline(always)]
pub(crate) const fn distance(from: u32, to: u32, n: u32) -> u32 {
    if to >= from {
        to - from
    } else {
        n - from + to
    }
}

/// The index `by` slots after `i`; `i` below `n`, `by` at most `n`.
#[inline(always)]
pub(crate) const fn advance(i: u32, by: u32, n: u32) -> u32 {
    let sum = i.wrapping_add(by);
    if sum >= n {
        sum.wrapping_sub(n)
    } else {
        sum
    }
}

/// The index before `i`.
#[inline(always)]
pub(crate) const fn prev(i: u32, n: u32) -> u32 {
    if i == 0 {
        n.wrapping_sub(1)
    } else {
        i - 1
    }
}

/// What a program wrote, read once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pointers {
    /// Everything before it is released.
    pub(crate) head: u32,
    /// Wake-up point.
    pub(crate) cur: u32,
}

/// The program's pointers cannot be; they are to be reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Impossible;

/// Accepts `start <= head <= cur <= end`, circularly, and everything below `n`.
///
/// `start` and `end` are the kernel's own: hwcur and hwtail on RX, the last head and the last
/// published tail on TX.
#[inline(always)]
pub(crate) fn check(p: Pointers, start: u32, end: u32, n: u32) -> Result<Pointers, Impossible> {
    if p.head >= n || p.cur >= n {
        return Err(Impossible);
    }
    let held = distance(start, end, n);
    let head = distance(start, p.head, n);
    let cur = distance(start, p.cur, n);
    if head <= cur && cur <= held {
        Ok(p)
    } else {
        Err(Impossible)
    }
}

/// Splits `count` steps that begin at `a` of a ring and at `b` of another, both of `n` places, into
/// runs that wrap in neither: calls `run(a, b, len)` for each until it is done or `run` returns
/// less than it was given, and returns the number of steps taken.
#[inline(always)]
pub(crate) fn runs(
    mut a: u32,
    mut b: u32,
    n: u32,
    count: u32,
    mut run: impl FnMut(usize, usize, usize) -> usize,
) -> u32 {
    let mut left = count;
    while left != 0 {
        let len = left.min(n.wrapping_sub(a)).min(n.wrapping_sub(b));
        if len == 0 {
            break;
        }
        let took = run(a as usize, b as usize, len as usize) as u32;
        left = left.wrapping_sub(took);
        a = advance(a, took, n);
        b = advance(b, took, n);
        if took < len {
            break;
        }
    }
    count.wrapping_sub(left)
}
