// SPDX-License-Identifier: GPL-2.0

//! Who may have a buffer.

use crate::mem::owner::{Claim, Owner};

#[test]
fn a_buffer_in_the_pool_cannot_be_claimed() {
    assert_eq!(Owner::default(), Owner::Free);
    assert_eq!(Owner::Free.claim(), Claim::Refused);
}

#[test]
fn a_loose_buffer_can_be_claimed_at_once() {
    assert_eq!(Owner::Loose.claim(), Claim::Now);
}

#[test]
fn an_armed_buffer_must_be_asked_of_its_ring() {
    let owner = Owner::Armed { ring: 7, slot: 300 };
    assert_eq!(owner.claim(), Claim::From { ring: 7, slot: 300 });
}
