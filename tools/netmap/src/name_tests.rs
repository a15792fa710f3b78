// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names that are accepted, what they mean, and names that are refused.

use super::*;

fn ok(name: &str) -> PortName {
    PortName::parse(name).unwrap_or_else(|e| panic!("{e}"))
}

fn port(ifname: &str, mode: u32, ring: u16, flags: u64, mem_id: u16) -> PortName {
    PortName {
        ifname: ifname.into(),
        mode,
        ring,
        flags,
        mem_id,
    }
}

#[test]
fn plain_name_binds_all_nic_rings() {
    assert_eq!(
        ok("netmap:eth3"),
        port("eth3", abi::NR_REG_ALL_NIC, 0, 0, 0)
    );
    assert_eq!(ok("eth3"), ok("netmap:eth3"));
}

#[test]
fn tilde_is_one_rx_ring_and_the_way_back() {
    let flags = abi::NR_RX_RINGS_ONLY | ext::NR_PUTBACK;
    assert_eq!(
        ok("netmap:eth3~4"),
        port("eth3", abi::NR_REG_ONE_NIC, 4, flags, 0)
    );
    assert_eq!(
        ok("netmap:eth3~"),
        port("eth3", abi::NR_REG_ONE_NIC, 0, flags | ext::NR_NO_RINGS, 0)
    );
    assert!(ok("eth3~4").puts_back());
}

#[test]
fn ring_pairs_and_directions() {
    assert_eq!(ok("eth3-4"), port("eth3", abi::NR_REG_ONE_NIC, 4, 0, 0));
    assert_eq!(
        ok("eth3-4/R"),
        port("eth3", abi::NR_REG_ONE_NIC, 4, abi::NR_RX_RINGS_ONLY, 0)
    );
    assert_eq!(ok("eth3-4/T").flags, abi::NR_TX_RINGS_ONLY);
    assert_eq!(ok("eth3-4094").ring, 4094);
}

#[test]
fn host_rings() {
    assert_eq!(ok("eth3^").mode, abi::NR_REG_SW);
    assert_eq!(ok("eth3^1"), port("eth3", abi::NR_REG_ONE_SW, 1, 0, 0));
    assert_eq!(ok("eth3*").mode, abi::NR_REG_NIC_SW);
    assert!(ok("eth3*").puts_back());
    assert!(!ok("eth3-1/R").puts_back());
}

#[test]
fn flags_and_memory_id_combine() {
    let p = ok("netmap:eth3-2/xR@17");
    assert_eq!(p.flags, abi::NR_EXCLUSIVE | abi::NR_RX_RINGS_ONLY);
    assert_eq!(p.mem_id, 17);
    assert_eq!(ok("eth3@17/x").mem_id, 17);
    assert_eq!(
        ok("eth3/zrt").flags,
        abi::NR_ZCOPY_MON | abi::NR_MONITOR_RX | abi::NR_MONITOR_TX
    );
}

#[test]
fn pipes_and_vale_keep_their_suffix() {
    assert_eq!(ok("netmap:p{1").ifname, "p{1");
    assert_eq!(ok("netmap:p}a7/x").ifname, "p}a7");
    assert_eq!(ok("vale0:a").ifname, "vale0:a");
    assert_eq!(ok("vale0:a-1").ring, 1);
}

#[test]
fn interfaces_with_dots_are_names() {
    assert_eq!(ok("netmap:eth3.100~2").ifname, "eth3.100");
    assert_eq!(ok("netmap:valentine").ifname, "valentine");
}

#[test]
fn wrong_names_are_refused_with_a_reason() {
    for (name, why) in [
        ("netmap:", "no interface name"),
        ("", "no interface name"),
        ("netmap:eth3-", "ring number must follow"),
        ("netmap:eth3-x", "ring number must follow"),
        ("netmap:eth3-4095", "above 4094"),
        ("netmap:eth3~99999999999", "too large"),
        ("netmap:eth3~4-2", "twice"),
        ("netmap:eth3^*", "twice"),
        ("netmap:eth3~4/T", "exclude"),
        ("netmap:eth3/RT", "exclude"),
        ("netmap:eth3/q", "unknown flag 'q'"),
        ("netmap:eth3@", "memory id must follow"),
        ("netmap:eth3@65536", "above 65535"),
        ("netmap:eth3@1junk", "'j' has no place here"),
        ("netmap:eth 3~4", "white space"),
        ("netmap:a-very-long-name", "ring number"),
        ("netmap:averyveryverylongname~1", "longer than the 15 bytes"),
        ("vale0", "valeX:PORT"),
        ("netmap:p{", "pipe id"),
        ("netmap:p{1{2", "two pipe ids"),
        ("netmap:a:b", "':' in"),
    ] {
        let text = PortName::parse(name).expect_err(name).to_string();
        assert!(text.contains(why), "{name}: {text}");
    }
}

#[test]
fn no_text_makes_the_parser_panic() {
    // Every string of up to three of these pieces.
    let pieces = [
        "netmap:", "eth3", "~", "-", "^", "*", "/", "R", "@", "{", "9", "é", ":",
    ];
    for a in pieces {
        for b in pieces {
            for c in pieces {
                for d in pieces {
                    let _ = PortName::parse(&format!("{a}{b}{c}{d}"));
                }
            }
        }
    }
}
