// SPDX-License-Identifier: GPL-2.0
//! Arithmetic on RSS tables and rule places: pure functions.

use super::state::Reta;
use anyhow::{bail, Result};

/// `table` with other queues in place of `queues`: in turn those it uses anyway.
pub fn without(table: &[u32], queues: &[u16]) -> Result<Vec<u32>> {
    let out = |q: u32| queues.iter().any(|x| u32::from(*x) == q);
    if !table.iter().any(|q| out(*q)) {
        return Ok(table.to_vec());
    }
    let mut rest: Vec<u32> = table.iter().copied().filter(|q| !out(*q)).collect();
    rest.sort_unstable();
    rest.dedup();
    if rest.is_empty() {
        bail!("RSS uses no other queue: leave it at least one ('ethtool -X', 'ethtool -L')");
    }
    let mut turn = rest.iter().copied().cycle();
    Ok(table
        .iter()
        .map(|q| {
            if out(*q) {
                turn.next().unwrap_or(*q)
            } else {
                *q
            }
        })
        .collect())
}

/// After a further change from `current` to `new`: entries that we change for the
/// first time are remembered as they were.
pub fn extend(mut before: Reta, current: &[u32], new: &[u32]) -> Reta {
    if before.old.len() != current.len() {
        return Reta {
            old: current.to_vec(),
            new: new.to_vec(),
        };
    }
    for i in 0..current.len() {
        if new[i] == current[i] {
            continue;
        }
        if before.new[i] != current[i] {
            // Somebody changed it meanwhile: that is the state to go back to.
            before.old[i] = current[i];
        }
        before.new[i] = new[i];
    }
    before
}

/// `current` with our changes taken back, where they still stand and the old
/// queue is one of `which`.
pub fn restored(reta: &Reta, current: &[u32], which: impl Fn(u32) -> bool) -> Vec<u32> {
    if current.len() != reta.old.len() || current.len() != reta.new.len() {
        return current.to_vec();
    }
    current
        .iter()
        .enumerate()
        .map(|(i, q)| {
            let ours = reta.new[i] != reta.old[i] && *q == reta.new[i];
            if ours && which(reta.old[i]) {
                reta.old[i]
            } else {
                *q
            }
        })
        .collect()
}

/// Queues that entries of ours had led to.
pub fn queues_out(reta: &Reta) -> impl Iterator<Item = u32> + '_ {
    let entries = reta.old.iter().zip(&reta.new);
    entries.filter(|(old, new)| old != new).map(|(old, _)| *old)
}

/// `ours` is about to be undone: where `theirs` came on top of it and still stands,
/// they go back to what was before both. True if that changes `theirs`.
pub fn hand_on(ours: &Reta, theirs: &mut Reta, current: &[u32]) -> bool {
    let n = current.len();
    let lengths = [&ours.old, &ours.new, &theirs.old, &theirs.new];
    if lengths.iter().any(|t| t.len() != n) {
        return false;
    }
    let mut changed = false;
    for (i, now) in current.iter().enumerate() {
        let on_top = theirs.old[i] == ours.new[i] && theirs.new[i] != theirs.old[i];
        if ours.new[i] != ours.old[i] && on_top && theirs.new[i] == *now {
            theirs.old[i] = ours.old[i];
            changed = true;
        }
    }
    changed
}

/// Is it what a driver starts with: the queues in turn?
pub fn is_default(table: &[u32], rings: u32) -> bool {
    rings > 0
        && table
            .iter()
            .enumerate()
            .all(|(i, q)| *q == i as u32 % rings)
}

/// Are queues in turn all there is to it? A reset of the port makes such a table,
/// of the queues that are not out.
pub fn in_turn(table: &[u32]) -> bool {
    let mut queues = table.to_vec();
    queues.sort_unstable();
    queues.dedup();
    let turn = queues.iter().cycle();
    table.iter().zip(turn).all(|(a, b)| a == b)
}

/// The highest free place: rules of people mostly sit there too, lower ones win.
pub fn free_place(used: &[u32], size: u32) -> Option<u32> {
    (0..size).rev().find(|p| !used.contains(p))
}
