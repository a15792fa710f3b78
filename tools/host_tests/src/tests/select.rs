// SPDX-License-Identifier: GPL-2.0

//! Which rings a registration binds (netmap-abi.md, sections 1.7 and 2.1).

use crate::port::select::{select, Counts, SelectError, Selection};
use crate::uapi::{flag, mode};

const HAS: Counts = Counts {
    tx: 8,
    rx: 4,
    host_tx: 2,
    host_rx: 3,
};
const RX: u64 = flag::RX_RINGS_ONLY;
const TX: u64 = flag::TX_RINGS_ONLY;

fn ask(mode: u32, id: u16, flags: u64) -> Result<Selection, SelectError> {
    select(mode, id, flags, &HAS)
}

/// Starts and ends of TX, RX, host TX, host RX.
fn ranges(mode: u32, id: u16, flags: u64) -> [(u32, u32); 4] {
    let s = ask(mode, id, flags).unwrap();
    [s.tx, s.rx, s.host_tx, s.host_rx].map(|r| {
        if r.is_empty() {
            (0, 0)
        } else {
            (r.start, r.end)
        }
    })
}

#[test]
fn each_mode_binds_its_rings() {
    const NO: (u32, u32) = (0, 0);
    assert_eq!(ranges(mode::ALL_NIC, 0, 0), [(0, 8), (0, 4), NO, NO]);
    assert_eq!(ranges(mode::SW, 0, 0), [NO, NO, (0, 2), (0, 3)]);
    assert_eq!(ranges(mode::NIC_SW, 0, 0), [(0, 8), (0, 4), (0, 2), (0, 3)]);
    assert_eq!(ranges(mode::ONE_NIC, 3, 0), [(3, 4), (3, 4), NO, NO]);
    assert_eq!(ranges(mode::ONE_SW, 1, 0), [NO, NO, (1, 2), (1, 2)]);
}

#[test]
fn one_direction_alone_excludes_the_other_and_its_host_rings() {
    const NO: (u32, u32) = (0, 0);
    assert_eq!(ranges(mode::ALL_NIC, 0, RX), [NO, (0, 4), NO, NO]);
    assert_eq!(ranges(mode::ALL_NIC, 0, TX), [(0, 8), NO, NO, NO]);
    assert_eq!(ranges(mode::NIC_SW, 0, RX), [NO, (0, 4), NO, (0, 3)]);
    assert_eq!(ranges(mode::NIC_SW, 0, TX), [(0, 8), NO, (0, 2), NO]);
    assert_eq!(ranges(mode::ONE_NIC, 7, TX), [(7, 8), NO, NO, NO]);
    // Both: nothing is bound and the mode is not looked at.
    assert_eq!(ranges(99, 999, RX | TX), [NO; 4]);
}

#[test]
fn a_number_no_rx_ring_has_is_refused_wherever_rx_is_bound() {
    for id in 4..10 {
        assert_eq!(ask(mode::ONE_NIC, id, RX), Err(SelectError::Invalid));
        assert_eq!(ask(mode::ONE_NIC, id, 0), Err(SelectError::Invalid));
    }
    assert_eq!(ask(mode::ONE_NIC, 8, TX), Err(SelectError::Invalid));
    assert_eq!(ask(mode::ONE_SW, 3, 0), Err(SelectError::Invalid));
}

#[test]
fn a_number_only_rx_has_means_tx_ring_0() {
    let few = Counts {
        tx: 2,
        rx: 4,
        ..HAS
    };
    let s = select(mode::ONE_NIC, 3, 0, &few).unwrap();
    assert_eq!((s.tx, s.rx), (0..1, 3..4));
    assert_eq!(ranges(mode::ONE_SW, 2, 0)[2..], [(0, 1), (2, 3)]);
}

#[test]
fn modes_that_do_not_exist_and_monitors_are_refused() {
    for mode in [
        0,
        mode::PIPE_MASTER,
        mode::PIPE_SLAVE,
        mode::NULL,
        9,
        10,
        15,
    ] {
        assert_eq!(ask(mode, 0, 0), Err(SelectError::Invalid), "{mode}");
    }
    for monitor in [flag::MONITOR_TX, flag::MONITOR_RX, flag::ZCOPY_MON] {
        let refused = ask(mode::ALL_NIC, 0, monitor);
        assert_eq!(refused, Err(SelectError::Unsupported));
    }
}

#[test]
fn the_kernels_packets_are_diverted_only_with_all_tx_rings() {
    for mode in [mode::ALL_NIC, mode::NIC_SW] {
        assert!(ask(mode, 0, 0).unwrap().divert);
        assert!(ask(mode, 0, TX).unwrap().divert);
        assert!(!ask(mode, 0, RX).unwrap().divert);
    }
    for mode in [mode::ONE_NIC, mode::SW, mode::ONE_SW] {
        assert!(!ask(mode, 0, 0).unwrap().divert);
    }
}

#[test]
fn put_back_brings_a_host_tx_ring_unless_one_is_bound_anyway() {
    assert!(ask(mode::ONE_NIC, 0, RX | flag::PUTBACK).unwrap().putback);
    assert!(!ask(mode::SW, 0, flag::PUTBACK).unwrap().putback);
    let none = ask(mode::ONE_NIC, 99, RX | flag::PUTBACK | flag::NO_RINGS).unwrap();
    assert!(none.putback && none.rx.is_empty() && none.tx.is_empty());
}

#[test]
fn rings_of_our_own_names_are_for_one_fd() {
    assert!(!ask(mode::ONE_NIC, 0, RX).unwrap().exclusive);
    for alone in [flag::EXCLUSIVE, flag::PUTBACK, flag::NO_RINGS] {
        assert!(ask(mode::ONE_NIC, 0, RX | alone).unwrap().exclusive);
    }
}
