// SPDX-License-Identifier: GPL-2.0

//! Port names.

use crate::port::name::{NameError, PortName, Tilde};
use crate::uapi::{flag, mode};
use proptest::prelude::*;

fn field(name: &str) -> Vec<u8> {
    let mut field = name.as_bytes().to_vec();
    field.push(0);
    field.resize(64.max(field.len()), 0xee);
    field
}

fn parse(name: &str) -> Result<(String, Option<Tilde>), NameError> {
    let field = field(name);
    let parsed = PortName::parse(&field)?;
    Ok((
        String::from_utf8_lossy(parsed.ifname).into_owned(),
        parsed.tilde,
    ))
}

#[test]
fn a_plain_name_is_the_interface() {
    assert_eq!(parse("eth3"), Ok(("eth3".into(), None)));
}

#[test]
fn a_tilde_and_a_number_is_one_queue() {
    assert_eq!(parse("eth3~4"), Ok(("eth3".into(), Some(Tilde::Queue(4)))));
    assert_eq!(
        parse("enp1s0f1np1~63"),
        Ok(("enp1s0f1np1".into(), Some(Tilde::Queue(63))))
    );
}

#[test]
fn a_bare_tilde_is_no_queue_yet() {
    assert_eq!(parse("eth3~"), Ok(("eth3".into(), Some(Tilde::None))));
}

#[test]
fn something_else_behind_the_tilde_is_refused() {
    for name in [
        "eth3~x",
        "eth3~4x",
        "eth3~-1",
        "eth3~65536",
        "eth3~ 4",
        "eth3~4/R",
    ] {
        assert_eq!(parse(name), Err(NameError::BadQueue), "{name}");
    }
}

#[test]
fn empty_unterminated_and_long_names_are_no_interface() {
    assert_eq!(parse(""), Err(NameError::NoInterface));
    assert_eq!(parse("~4"), Err(NameError::NoInterface));
    assert_eq!(parse("sixteencharacter"), Err(NameError::NoInterface));
    assert_eq!(PortName::parse(&[b'a'; 16]), Err(NameError::NoInterface));
    assert_eq!(
        parse("fifteencharacts"),
        Ok(("fifteencharacts".into(), None))
    );
}

#[test]
fn switches_and_pipes_are_unsupported() {
    for name in ["vale0:1", "valeX:eth3", "eth3{1", "eth3}1", "vale:x{2"] {
        assert_eq!(parse(name), Err(NameError::Unsupported), "{name}");
    }
    assert_eq!(parse("vale0"), Ok(("vale0".into(), None)));
}

#[test]
fn the_suffix_decides_mode_ring_and_flags() {
    let ours = flag::RX_RINGS_ONLY | flag::PUTBACK;
    let name = field("eth3~4");
    let name = PortName::parse(&name).unwrap();
    assert_eq!(
        name.binding(mode::ALL_NIC, 9, flag::NO_TX_POLL),
        (mode::ONE_NIC, 4, ours | flag::NO_TX_POLL)
    );
    let name = field("eth3~");
    let name = PortName::parse(&name).unwrap();
    assert_eq!(
        name.binding(mode::ALL_NIC, 9, 0),
        (mode::ONE_NIC, 0, ours | flag::NO_RINGS)
    );
    let name = field("eth3");
    let name = PortName::parse(&name).unwrap();
    assert_eq!(name.binding(mode::SW, 9, 5), (mode::SW, 9, 5));
}

proptest! {
    #[test]
    fn every_queue_number_comes_back(queue in any::<u16>()) {
        prop_assert_eq!(parse(&format!("eth3~{queue}")), Ok(("eth3".into(), Some(Tilde::Queue(queue)))));
    }

    #[test]
    fn no_field_makes_it_panic_or_invent_a_byte(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(name) = PortName::parse(&bytes) {
            prop_assert!(bytes.starts_with(name.ifname));
            prop_assert!((1..=15).contains(&name.ifname.len()));
            prop_assert!(!name.ifname.contains(&0));
        }
    }
}
