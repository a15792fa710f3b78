// SPDX-License-Identifier: GPL-2.0

//! Requests: numbers, and what old programs mean.

use crate::uapi::ctrl::{body_size, reqtype};
use crate::uapi::legacy::{ringid, NmReq};
use crate::uapi::opt::{self, opttype};
use crate::uapi::{ext, flag, mode};

/// `_IOC` of asm-generic/ioctl.h.
fn ioc(dir: u32, nr: u32, size: usize) -> u32 {
    (dir << 30) | ((size as u32) << 16) | (u32::from(b'i') << 8) | nr
}

#[test]
fn ioctl_numbers_follow_from_their_structures() {
    use core::mem::size_of;
    assert_eq!(crate::uapi::NIOCGINFO, ioc(3, 145, size_of::<NmReq>()));
    assert_eq!(crate::uapi::NIOCREGIF, ioc(3, 146, size_of::<NmReq>()));
    assert_eq!(crate::uapi::NIOCTXSYNC, ioc(0, 148, 0));
    assert_eq!(crate::uapi::NIOCRXSYNC, ioc(0, 149, 0));
    assert_eq!(
        crate::uapi::NIOCCTRL,
        ioc(3, 151, size_of::<crate::uapi::ctrl::Header>())
    );
    assert_eq!(ext::NIOCQADD, ioc(1, 0xa0, size_of::<ext::QueueReq>()));
    assert_eq!(ext::NIOCQDEL, ioc(1, 0xa1, size_of::<ext::QueueReq>()));
    assert_eq!(ext::NIOCQNEXT, ioc(3, 0xa2, size_of::<ext::QueueInfo>()));
}

#[test]
fn a_legacy_request_without_flags_says_its_mode_in_the_ring_id() {
    let of = |nr_ringid, nr_flags| NmReq {
        nr_ringid,
        nr_flags,
        ..NmReq::default()
    };
    assert_eq!(of(0, 0).mode(), mode::ALL_NIC);
    assert_eq!(of(ringid::HW_RING | 4, 0).mode(), mode::ONE_NIC);
    assert_eq!(of(ringid::SW_RING, 0).mode(), mode::SW);
    assert_eq!(of(ringid::HW_RING, mode::NIC_SW).mode(), mode::NIC_SW);
    assert_eq!(of(ringid::NO_TX_POLL, 1).flags(), flag::NO_TX_POLL);
    assert_eq!(of(0, 4 | 0x2000).flags(), flag::RX_RINGS_ONLY);
}

#[test]
fn request_types_have_the_bodies_of_api_14() {
    let sizes: Vec<_> = (0..=16).map(body_size).collect();
    let expected = [
        None,
        Some(56),
        Some(32),
        Some(64),
        Some(8),
        Some(8),
        Some(8),
        Some(8),
        Some(16),
        Some(0),
        Some(16),
        Some(16),
        Some(64),
        Some(8),
        Some(0),
        Some(0),
        None,
    ];
    assert_eq!(sizes, expected);
    assert_eq!(body_size(reqtype::REGISTER), Some(56));
}

#[test]
fn option_sizes_are_those_of_api_14_and_never_overflow() {
    let sizes: Vec<_> = (1..=6).map(|t| opt::size(t, 0)).collect();
    assert_eq!(sizes, [96, 24, 40, 32, 56, 24]);
    assert_eq!(opt::size(opttype::RX_META, 0), 40);
    assert_eq!(opt::size(opttype::EXTMEM, u64::MAX), 96);
    assert_eq!(opt::size(77, u64::MAX), 24);
}

#[test]
fn an_eventfd_list_says_its_own_size_header_included() {
    let size = |nro_size| opt::size(opttype::SYNC_KLOOP_EVENTFDS, nro_size);
    assert_eq!(size(24 + 2 * 8), 40);
    assert_eq!(size(3), 24);
    assert_eq!(size(u64::MAX), usize::MAX);
}

#[test]
fn options_beyond_netmaps_do_not_exist_but_for_ours() {
    let known: Vec<_> = (0..10).filter(|t| opt::known(*t)).collect();
    assert_eq!(known, [1, 2, 3, 4, 5]);
    assert!(opt::known(opttype::RX_META));
    assert!(!opt::known(u32::MAX));
}
