// SPDX-License-Identifier: GPL-2.0

//! Which rings of a port a registration binds: mode, ring number and flags against what the port
//! has. Only `core` is used.

use core::ops::Range;

use crate::uapi::{flag, mode};

/// Rings a port has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// TX rings of the NIC.
    pub(crate) tx: u32,
    /// RX rings of the NIC.
    pub(crate) rx: u32,
    /// Host TX rings.
    pub(crate) host_tx: u32,
    /// Host RX rings.
    pub(crate) host_rx: u32,
}

/// What is bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    /// TX rings of the NIC.
    pub(crate) tx: Range<u32>,
    /// RX rings of the NIC.
    pub(crate) rx: Range<u32>,
    /// Host TX rings.
    pub(crate) host_tx: Range<u32>,
    /// Host RX rings.
    pub(crate) host_rx: Range<u32>,
    /// A host TX ring of the fd's own.
    pub(crate) putback: bool,
    /// No other fd may bind what is bound here.
    pub(crate) exclusive: bool,
    /// What the kernel sends through the port goes to its host RX rings: all TX rings are bound.
    pub(crate) divert: bool,
}

impl Selection {
    /// Is there no ring in it?
    pub(crate) fn is_empty(&self) -> bool {
        let all = [&self.tx, &self.rx, &self.host_tx, &self.host_rx];
        !self.putback && all.iter().all(|rings| rings.is_empty())
    }
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SelectError {
    /// No such mode or ring.
    Invalid,
    /// A monitor: there are none here.
    Unsupported,
}

/// The ring `id` of `count`. A number that only the other direction has means ring 0.
fn one(id: u32, count: u32) -> Range<u32> {
    match id {
        _ if count == 0 => 0..0,
        id if id < count => id..id + 1,
        _ => 0..1,
    }
}

/// A pair of rings, by a number that one direction at least must have, and RX too where it is bound:
/// no program is given another queue's packets than it has asked for.
fn pair(id: u32, tx: u32, rx: u32, bind_rx: bool) -> Result<(Range<u32>, Range<u32>), SelectError> {
    if id >= tx.max(rx) || (bind_rx && id >= rx) {
        return Err(SelectError::Invalid);
    }
    Ok((one(id, tx), one(id, rx)))
}

/// Selects rings as netmap does.
///
/// # Errors
///
/// See [`SelectError`].
pub(crate) fn select(
    mode: u32,
    ringid: u16,
    flags: u64,
    has: &Counts,
) -> Result<Selection, SelectError> {
    let rx_only = flags & flag::RX_RINGS_ONLY != 0;
    let tx_only = flags & flag::TX_RINGS_ONLY != 0;
    let none = 0..0;
    let putback = flags & flag::PUTBACK != 0;
    let mut found = Selection {
        putback,
        // A queue of our own kind of names is one program's alone.
        exclusive: flags & (flag::EXCLUSIVE | flag::PUTBACK | flag::NO_RINGS) != 0,
        ..Selection::default()
    };
    if rx_only && tx_only {
        // Excludes everything; netmap accepts it whatever the mode.
        return Ok(found);
    }
    let id = u32::from(ringid);
    let (nic, host) = match mode {
        mode::ALL_NIC => ((0..has.tx, 0..has.rx), (none.clone(), none)),
        mode::SW => ((none.clone(), none), (0..has.host_tx, 0..has.host_rx)),
        mode::NIC_SW => ((0..has.tx, 0..has.rx), (0..has.host_tx, 0..has.host_rx)),
        mode::ONE_NIC if flags & flag::NO_RINGS != 0 => {
            ((none.clone(), none.clone()), (none.clone(), none))
        }
        mode::ONE_NIC => (pair(id, has.tx, has.rx, !tx_only)?, (none.clone(), none)),
        mode::ONE_SW => (
            (none.clone(), none),
            pair(id, has.host_tx, has.host_rx, !tx_only)?,
        ),
        _ => return Err(SelectError::Invalid),
    };
    if flags & (flag::MONITOR_TX | flag::MONITOR_RX | flag::ZCOPY_MON) != 0 {
        return Err(SelectError::Unsupported);
    }
    if !rx_only {
        found.tx = nic.0;
        found.host_tx = host.0;
        found.divert = matches!(mode, mode::ALL_NIC | mode::NIC_SW);
    }
    if !tx_only {
        found.rx = nic.1;
        found.host_rx = host.1;
    }
    // One host TX ring is enough to put packets back.
    found.putback &= found.host_tx.is_empty();
    Ok(found)
}
