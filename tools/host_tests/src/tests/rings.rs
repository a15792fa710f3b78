// SPDX-License-Identifier: GPL-2.0

//! Index arithmetic, against the plain modulo it stands for.

use crate::ring::{advance, check, distance, prev, runs, Impossible, Pointers};
use proptest::prelude::*;

/// A ring size and `K` indices in it.
fn ring<const K: usize>() -> impl Strategy<Value = (u32, [u32; K])> {
    (2u32..=4096).prop_flat_map(|n| (Just(n), proptest::array::uniform(0..n)))
}

proptest! {
    #[test]
    fn advance_is_addition_modulo_n((n, [i, by]) in ring::<2>()) {
        prop_assert_eq!(advance(i, by, n), (i + by) % n);
        prop_assert_eq!(advance(i, n, n), i);
    }

    #[test]
    fn distance_undoes_advance((n, [i, by]) in ring::<2>()) {
        prop_assert_eq!(distance(i, advance(i, by, n), n), by);
    }

    #[test]
    fn prev_is_the_inverse_of_one_step((n, [i]) in ring::<1>()) {
        prop_assert_eq!(advance(prev(i, n), 1, n), i);
    }

    #[test]
    fn check_accepts_exactly_the_circular_order((n, [start, end, head, cur]) in ring::<4>()) {
        // By walking: from start, head must be met before or with cur, and cur before or with end.
        let mut at = start;
        let mut seen_head = false;
        let mut good = false;
        loop {
            seen_head |= at == head;
            if at == cur {
                good = seen_head;
                break;
            }
            if at == end {
                break;
            }
            at = (at + 1) % n;
        }
        prop_assert_eq!(check(Pointers { head, cur }, start, end, n).is_ok(), good);
    }

    #[test]
    fn check_refuses_everything_at_or_above_n(
        (n, [start, end]) in ring::<2>(), over in any::<u32>(), other in any::<u32>()
    ) {
        let over = over.max(n);
        prop_assert_eq!(check(Pointers { head: over, cur: other }, start, end, n), Err(Impossible));
        prop_assert_eq!(check(Pointers { head: other, cur: over }, start, end, n), Err(Impossible));
    }

    #[test]
    fn runs_visit_each_pair_once_in_order_and_never_wrap((n, [a, b, count]) in ring::<3>()) {
        let mut pairs = Vec::new();
        let took = runs(a, b, n, count, |x, y, len| {
            assert!(len > 0 && x + len <= n as usize && y + len <= n as usize);
            pairs.extend((0..len).map(|i| (x + i, y + i)));
            len
        });
        prop_assert_eq!(took, count);
        let expected: Vec<_> =
            (0..count).map(|i| (((a + i) % n) as usize, ((b + i) % n) as usize)).collect();
        prop_assert_eq!(pairs, expected);
    }

    #[test]
    fn runs_stop_where_a_run_stops((n, [a, b, count, stop]) in ring::<4>()) {
        let mut left = stop as usize;
        let took = runs(a, b, n, count, |_, _, len| {
            let take = len.min(left);
            left -= take;
            take
        });
        prop_assert_eq!(took, count.min(stop));
    }
}

#[test]
fn initial_pointers_of_an_rx_ring_are_accepted() {
    assert!(check(Pointers { head: 0, cur: 0 }, 0, 0, 512).is_ok());
}

#[test]
fn an_rx_head_beyond_the_tail_is_impossible() {
    assert_eq!(
        check(Pointers { head: 5, cur: 5 }, 0, 0, 512),
        Err(Impossible)
    );
}

#[test]
fn a_tx_cur_before_head_is_impossible() {
    assert_eq!(
        check(Pointers { head: 3, cur: 1 }, 0, 511, 512),
        Err(Impossible)
    );
}
