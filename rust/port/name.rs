// SPDX-License-Identifier: GPL-2.0

//! Port names as the kernel sees them.
//!
//! Programs' own nm_open() has turned most suffixes into modes and flags already. One is ours and
//! is understood here, so that programs built against any netmap header can use it: `eth3~4`
//! takes RX queue 4 alone and leaves everything else to the kernel, `eth3~` takes none yet.

use crate::uapi::{flag, mode};

/// What a name asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PortName<'a> {
    /// The interface.
    pub(crate) ifname: &'a [u8],
    /// The `~` suffix, if there is one.
    pub(crate) tilde: Option<Tilde>,
}

/// The `~` suffix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tilde {
    /// `eth3~`: queues are added at run time.
    None,
    /// `eth3~4`: this queue.
    Queue(u16),
}

/// Why a name is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameError {
    /// Empty, not terminated, or longer than an interface name can be.
    NoInterface,
    /// A VALE switch, a pipe or a monitor: there are none here.
    Unsupported,
    /// Something other than a queue number behind `~`.
    BadQueue,
}

/// Longest interface name, without its NUL.
const IFNAME_MAX: usize = 15;

impl<'a> PortName<'a> {
    /// Takes the NUL-terminated `field` of a request apart.
    pub(crate) fn parse(field: &'a [u8]) -> Result<Self, NameError> {
        let end = field
            .iter()
            .position(|&b| b == 0)
            .ok_or(NameError::NoInterface)?;
        let name = &field[..end];
        if name.starts_with(b"vale") && name.contains(&b':')
            || name.iter().any(|&b| b == b'{' || b == b'}')
        {
            return Err(NameError::Unsupported);
        }
        let (ifname, tilde) = match name.iter().rposition(|&b| b == b'~') {
            None => (name, None),
            Some(at) => (&name[..at], Some(Tilde::parse(&name[at + 1..])?)),
        };
        if ifname.is_empty() || ifname.len() > IFNAME_MAX {
            return Err(NameError::NoInterface);
        }
        Ok(PortName { ifname, tilde })
    }

    /// Mode, ring and flags of a request, with what the suffix says in their place.
    pub(crate) fn binding(&self, mode: u32, ringid: u16, flags: u64) -> (u32, u16, u64) {
        const OURS: u64 = flag::RX_RINGS_ONLY | flag::PUTBACK;
        match self.tilde {
            None => (mode, ringid, flags),
            Some(Tilde::None) => (mode::ONE_NIC, 0, flags | OURS | flag::NO_RINGS),
            Some(Tilde::Queue(queue)) => (mode::ONE_NIC, queue, flags | OURS),
        }
    }
}

impl Tilde {
    fn parse(digits: &[u8]) -> Result<Self, NameError> {
        if digits.is_empty() {
            return Ok(Tilde::None);
        }
        let mut queue: u16 = 0;
        for &digit in digits {
            if !digit.is_ascii_digit() {
                return Err(NameError::BadQueue);
            }
            queue = queue
                .checked_mul(10)
                .and_then(|q| q.checked_add(u16::from(digit - b'0')))
                .ok_or(NameError::BadQueue)?;
        }
        Ok(Tilde::Queue(queue))
    }
}
