// SPDX-License-Identifier: MIT OR Apache-2.0
//! Port names: `netmap:eth3~4` and all that `nm_open` takes, as a pure function
//! from text to the fields of a register request.
//!
//! | name | rings bound |
//! |---|---|
//! | `eth3` | all NIC rings |
//! | `eth3-4` | NIC ring pair 4 |
//! | `eth3-4/R`, `eth3-4/T` | RX (TX) ring 4 only |
//! | `eth3^`, `eth3^1` | host rings, host ring pair 1 |
//! | `eth3*` | NIC and host rings |
//! | `eth3~4` | RX ring 4, and the host TX ring to put packets back |
//! | `eth3~` | no NIC ring yet, and the host TX ring |
//! | `x{id`, `x}id` | ends of a pipe (part of the name) |
//!
//! After any of them: `/FLAGS` (`x` exclusive, `z` zero-copy monitor, `t` `r`
//! monitor TX, RX, `R` `T` one direction only) and `@N`, the memory id.

use crate::abi::{self, ext};
use std::fmt;

/// Largest ring number a name can carry.
pub const MAX_RING: u16 = 4094;

/// What a port name asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortName {
    /// Name for the kernel, without prefix and suffixes: `eth3`, `vale0:a`, `p{1`.
    pub ifname: String,
    /// `NR_REG_*`.
    pub mode: u32,
    /// Ring number, where the mode has one.
    pub ring: u16,
    /// `NR_*` flags.
    pub flags: u64,
    /// Memory id, 0 for the default region.
    pub mem_id: u16,
}

/// Why a name was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameError {
    name: String,
    why: String,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "port name '{}': {} (examples: netmap:eth3~4, netmap:eth3-4/R, netmap:eth3^)",
            self.name, self.why
        )
    }
}

impl std::error::Error for NameError {}

impl PortName {
    /// Parse `name`; the prefix `netmap:` may be left out.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        parse(name).map_err(|why| NameError {
            name: name.to_string(),
            why,
        })
    }

    /// The name of one RX queue of `ifname` with the way back into the kernel.
    pub fn queue(ifname: &str, queue: u16) -> Result<Self, NameError> {
        Self::parse(&format!("netmap:{ifname}~{queue}"))
    }

    /// No port, just memory.
    pub(crate) fn memory() -> Self {
        Self {
            ifname: "memory".into(),
            mode: abi::NR_REG_NULL,
            ring: 0,
            flags: 0,
            mem_id: 0,
        }
    }

    /// Does the request bind the host TX ring?
    pub fn puts_back(&self) -> bool {
        self.flags & ext::NR_PUTBACK != 0
            || matches!(
                self.mode,
                abi::NR_REG_SW | abi::NR_REG_NIC_SW | abi::NR_REG_ONE_SW
            )
    }
}

fn parse(full: &str) -> Result<PortName, String> {
    let (name, vale) = match full.strip_prefix("netmap:") {
        Some(rest) => (rest, false),
        None => (full, full.starts_with("vale")),
    };
    let end = if vale {
        let colon = name.find(':').ok_or("vale names are valeX:PORT")?;
        name[colon + 1..]
            .find(is_separator)
            .map_or(name.len(), |i| colon + 1 + i)
    } else {
        name.find(is_separator).unwrap_or(name.len())
    };
    let (base, mut rest) = name.split_at(end);
    let mut port = PortName {
        ifname: base.to_string(),
        mode: abi::NR_REG_ALL_NIC,
        ring: 0,
        flags: 0,
        mem_id: 0,
    };
    check_base(base, vale)?;

    let mut had_rings = false;
    while let Some(sep) = rest.chars().next() {
        rest = &rest[sep.len_utf8()..];
        match sep {
            '-' | '^' | '*' | '~' if had_rings => {
                return Err("says twice which rings".into());
            }
            '-' => {
                port.mode = abi::NR_REG_ONE_NIC;
                port.ring = ring_number(&mut rest)?.ok_or("a ring number must follow '-'")?;
            }
            '^' => match ring_number(&mut rest)? {
                Some(ring) => {
                    port.mode = abi::NR_REG_ONE_SW;
                    port.ring = ring;
                }
                None => port.mode = abi::NR_REG_SW,
            },
            '*' => port.mode = abi::NR_REG_NIC_SW,
            '~' => {
                port.mode = abi::NR_REG_ONE_NIC;
                port.flags |= abi::NR_RX_RINGS_ONLY | ext::NR_PUTBACK;
                match ring_number(&mut rest)? {
                    Some(ring) => port.ring = ring,
                    None => port.flags |= ext::NR_NO_RINGS,
                }
            }
            '{' | '}' => pipe(&mut port, sep, &mut rest)?,
            '/' => flags(&mut port, &mut rest)?,
            '@' => port.mem_id = memory_id(&mut rest)?,
            other => return Err(format!("'{other}' has no place here")),
        }
        had_rings |= matches!(sep, '-' | '^' | '*' | '~');
    }
    let both = abi::NR_RX_RINGS_ONLY | abi::NR_TX_RINGS_ONLY;
    if port.flags & both == both {
        return Err("R and T (or '~' and T) exclude each other".into());
    }
    Ok(port)
}

fn is_separator(c: char) -> bool {
    matches!(c, '-' | '^' | '*' | '~' | '{' | '}' | '/' | '@')
}

fn check_base(base: &str, vale: bool) -> Result<(), String> {
    if base.is_empty() {
        return Err("no interface name".into());
    }
    if base.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("white space in the interface name".into());
    }
    let limit = if vale {
        abi::NETMAP_REQ_IFNAMSIZ
    } else {
        abi::IFNAMSIZ
    };
    if base.len() >= limit {
        return Err(format!(
            "'{base}' is longer than the {} bytes of an interface name",
            limit - 1
        ));
    }
    if !vale && base.contains(':') {
        return Err("':' in the interface name".into());
    }
    Ok(())
}

/// Digits at the start of `rest`, if there are any.
fn number(rest: &mut &str) -> Option<Result<u32, String>> {
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (digits, tail) = rest.split_at(end);
    if digits.is_empty() {
        return None;
    }
    *rest = tail;
    Some(digits.parse().map_err(|_| format!("{digits} is too large")))
}

fn ring_number(rest: &mut &str) -> Result<Option<u16>, String> {
    match number(rest).transpose()? {
        None => Ok(None),
        Some(n) if n <= u32::from(MAX_RING) => Ok(Some(n as u16)),
        Some(n) => Err(format!("ring {n} is above {MAX_RING}")),
    }
}

fn memory_id(rest: &mut &str) -> Result<u16, String> {
    let id = number(rest).ok_or("a memory id must follow '@'")??;
    u16::try_from(id).map_err(|_| format!("memory id {id} is above 65535"))
}

fn pipe(port: &mut PortName, sep: char, rest: &mut &str) -> Result<(), String> {
    let end = rest.find(is_separator).unwrap_or(rest.len());
    let (id, tail) = rest.split_at(end);
    if id.is_empty() || !id.chars().all(|c| c.is_ascii_alphanumeric()) {
        return Err(format!("a pipe id must follow '{sep}'"));
    }
    if port.ifname.contains(['{', '}']) {
        return Err("two pipe ids".into());
    }
    port.ifname.push(sep);
    port.ifname.push_str(id);
    if port.ifname.len() >= abi::NETMAP_REQ_IFNAMSIZ {
        return Err("the pipe's name is too long".into());
    }
    *rest = tail;
    Ok(())
}

fn flags(port: &mut PortName, rest: &mut &str) -> Result<(), String> {
    while let Some(c) = rest.chars().next() {
        port.flags |= match c {
            'x' => abi::NR_EXCLUSIVE,
            'z' => abi::NR_ZCOPY_MON,
            't' => abi::NR_MONITOR_TX,
            'r' => abi::NR_MONITOR_RX,
            'R' => abi::NR_RX_RINGS_ONLY,
            'T' => abi::NR_TX_RINGS_ONLY,
            c if is_separator(c) => return Ok(()),
            c => return Err(format!("unknown flag '{c}' after '/' (known: x z t r R T)")),
        };
        *rest = &rest[1..];
    }
    Ok(())
}

#[cfg(test)]
#[path = "name_tests.rs"]
mod tests;
