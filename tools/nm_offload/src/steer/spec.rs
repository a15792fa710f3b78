// SPDX-License-Identifier: GPL-2.0
//! The flow a rule steers, in the words of `ethtool -N`: `udp4 dst-port 53`,
//! `tcp4 src-ip 192.0.2.0 m 0.0.0.255 dst-port 80`, `ip4 dst-ip 10.0.3.1 vlan 7`.
//!
//! As in ethtool, `m` gives the bits that do not matter, and `action N` the queue.

use anyhow::{anyhow, bail, Context, Result};
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// Protocol of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proto {
    /// UDP over IPv4.
    Udp4,
    /// TCP over IPv4.
    Tcp4,
    /// Any IPv4.
    Ip4,
}

impl Proto {
    fn name(self) -> &'static str {
        match self {
            Self::Udp4 => "udp4",
            Self::Tcp4 => "tcp4",
            Self::Ip4 => "ip4",
        }
    }
}

/// A value and the bits of it that must match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<T> {
    /// Value.
    pub value: T,
    /// 1 for each bit that matters.
    pub mask: T,
}

/// What a rule matches, and the queue if the rule names one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Protocol.
    pub proto: Proto,
    /// Source address.
    pub src_ip: Option<Field<u32>>,
    /// Destination address.
    pub dst_ip: Option<Field<u32>>,
    /// Source port.
    pub src_port: Option<Field<u16>>,
    /// Destination port.
    pub dst_port: Option<Field<u16>>,
    /// VLAN tag.
    pub vlan: Option<Field<u16>>,
    /// Queue.
    pub action: Option<u16>,
}

impl FromStr for Spec {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        parse(text).with_context(|| {
            format!(
                "steering rule '{text}' (example: 'udp4 src-ip 192.0.2.0 m 0.0.0.255 dst-port 53')"
            )
        })
    }
}

fn parse(text: &str) -> Result<Spec> {
    let mut words = text.split_whitespace().peekable();
    if words.peek() == Some(&"flow-type") {
        words.next();
    }
    let mut spec = Spec {
        proto: match words.next() {
            Some("udp4") => Proto::Udp4,
            Some("tcp4") => Proto::Tcp4,
            Some("ip4") => Proto::Ip4,
            Some(other) => bail!("'{other}' is not one of udp4, tcp4, ip4"),
            None => bail!("is empty"),
        },
        src_ip: None,
        dst_ip: None,
        src_port: None,
        dst_port: None,
        vlan: None,
        action: None,
    };
    while let Some(key) = words.next() {
        let value = words
            .next()
            .ok_or_else(|| anyhow!("a value must follow '{key}'"))?;
        let mask = if words.peek() == Some(&"m") {
            words.next();
            Some(
                words
                    .next()
                    .ok_or_else(|| anyhow!("a mask must follow 'm'"))?,
            )
        } else {
            None
        };
        match key {
            "src-ip" => set(&mut spec.src_ip, key, address(value, mask)?)?,
            "dst-ip" => set(&mut spec.dst_ip, key, address(value, mask)?)?,
            "src-port" | "dst-port" if spec.proto == Proto::Ip4 => {
                bail!("{key} needs udp4 or tcp4")
            }
            "src-port" => set(&mut spec.src_port, key, number(value, mask)?)?,
            "dst-port" => set(&mut spec.dst_port, key, number(value, mask)?)?,
            "vlan" => set(&mut spec.vlan, key, number(value, mask)?)?,
            "action" | "queue" if mask.is_none() => {
                set(&mut spec.action, key, number(value, None)?.value)?;
            }
            _ => bail!("'{key}' is not one of src-ip, dst-ip, src-port, dst-port, vlan, action"),
        }
    }
    Ok(spec)
}

fn set<T>(slot: &mut Option<T>, key: &str, value: T) -> Result<()> {
    if slot.replace(value).is_some() {
        bail!("{key} twice");
    }
    Ok(())
}

fn address(value: &str, mask: Option<&str>) -> Result<Field<u32>> {
    let ip = |s: &str| {
        s.parse::<Ipv4Addr>()
            .map(u32::from)
            .map_err(|_| anyhow!("'{s}' is not an IPv4 address"))
    };
    let (addr, prefix) = match value.split_once('/') {
        Some((a, n)) => (a, Some(n)),
        None => (value, None),
    };
    let mask = match (prefix, mask) {
        (Some(_), Some(_)) => bail!("'{value}' has a prefix length and a mask"),
        (Some(n), None) => {
            let n: u32 = n
                .parse()
                .ok()
                .filter(|n| *n <= 32)
                .ok_or_else(|| anyhow!("'/{n}' is not a prefix length"))?;
            u32::MAX.checked_shl(32 - n).unwrap_or(0)
        }
        (None, Some(m)) => !ip(m)?,
        (None, None) => u32::MAX,
    };
    Ok(Field {
        value: ip(addr)? & mask,
        mask,
    })
}

fn number(value: &str, mask: Option<&str>) -> Result<Field<u16>> {
    let parse = |s: &str| {
        match s.strip_prefix("0x") {
            Some(hex) => u16::from_str_radix(hex, 16),
            None => s.parse(),
        }
        .map_err(|_| anyhow!("'{s}' is not a number from 0 to 65535"))
    };
    let mask = match mask {
        Some(m) => !parse(m)?,
        None => u16::MAX,
    };
    Ok(Field {
        value: parse(value)? & mask,
        mask,
    })
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.proto.name())?;
        for (key, field) in [("src-ip", self.src_ip), ("dst-ip", self.dst_ip)] {
            if let Some(x) = field {
                write!(f, " {key} {}", Ipv4Addr::from(x.value))?;
                if x.mask != u32::MAX {
                    write!(f, " m {}", Ipv4Addr::from(!x.mask))?;
                }
            }
        }
        for (key, field) in [
            ("src-port", self.src_port),
            ("dst-port", self.dst_port),
            ("vlan", self.vlan),
        ] {
            if let Some(x) = field {
                write!(f, " {key} {}", x.value)?;
                if x.mask != u16::MAX {
                    write!(f, " m {:#x}", !x.mask)?;
                }
            }
        }
        match self.action {
            Some(q) => write!(f, " action {q}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_rule() {
        let s: Spec = "udp4 dst-port 53".parse().expect("parses");
        assert_eq!(s.proto, Proto::Udp4);
        assert_eq!(
            s.dst_port,
            Some(Field {
                value: 53,
                mask: 0xffff
            })
        );
        assert_eq!(s.action, None);
    }

    #[test]
    fn all_fields_round_trip() {
        for text in [
            "udp4 dst-port 53",
            "tcp4 src-ip 192.0.2.0 m 0.0.0.255 dst-ip 10.0.3.1 src-port 1 dst-port 2 m 0xff00",
            "ip4 dst-ip 10.0.3.1 vlan 7 m 0xf000 action 4",
        ] {
            let s: Spec = text.parse().expect(text);
            assert_eq!(s.to_string().parse::<Spec>().expect("again"), s);
        }
        let s: Spec = "flow-type udp4 dst-port 0x35 action 4"
            .parse()
            .expect("parses");
        assert_eq!(s.to_string(), "udp4 dst-port 53 action 4");
    }

    #[test]
    fn masks_say_what_does_not_matter_and_prefixes_what_does() {
        let a: Spec = "udp4 src-ip 192.0.2.7 m 0.0.0.255".parse().expect("parses");
        let b: Spec = "udp4 src-ip 192.0.2.7/24".parse().expect("parses");
        assert_eq!(a, b);
        assert_eq!(a.src_ip.expect("set").mask, 0xffff_ff00);
        let all: Spec = "udp4 src-ip 192.0.2.7/0".parse().expect("parses");
        assert_eq!(all.src_ip.expect("set").mask, 0);
    }

    #[test]
    fn wrong_rules_say_why() {
        for (text, why) in [
            ("", "empty"),
            ("udp6 dst-port 53", "not one of udp4"),
            ("udp4 dst-port", "value must follow"),
            ("udp4 dst-port x", "not a number"),
            ("udp4 dst-port 65536", "not a number"),
            ("udp4 dst-port 53 dst-port 54", "twice"),
            ("udp4 dst-port 53 m", "mask must follow"),
            ("ip4 dst-port 53", "needs udp4"),
            ("udp4 src-ip 1.2.3", "not an IPv4"),
            ("udp4 src-ip 1.2.3.4/33", "prefix length"),
            (
                "udp4 src-ip 1.2.3.4/8 m 0.0.0.1",
                "prefix length and a mask",
            ),
            ("udp4 proto 17", "is not one of src-ip"),
        ] {
            let e = format!("{:#}", text.parse::<Spec>().expect_err(text));
            assert!(e.contains(why), "{text}: {e}");
        }
    }
}
