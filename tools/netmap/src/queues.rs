// SPDX-License-Identifier: MIT OR Apache-2.0
//! The listing: ports, their RX rings, host rings, owners and counters, as the
//! kernel reports them entry by entry.

use crate::abi::{self, ext};
use crate::error::{Error, Op, Result};
use crate::sys;
use std::fmt;
use std::os::fd::{AsFd, OwnedFd};

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A port with hooks.
    Port,
    /// An RX ring of the NIC.
    Rx,
    /// A bound host TX ring.
    HostTx,
    /// A bound TX ring of the NIC.
    Tx,
    /// A bound host RX ring.
    HostRx,
    /// Something a newer kernel knows.
    Other(u32),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port => f.write_str("port"),
            Self::Rx => f.write_str("rx"),
            Self::HostTx => f.write_str("host-tx"),
            Self::Tx => f.write_str("tx"),
            Self::HostRx => f.write_str("host-rx"),
            Self::Other(n) => write!(f, "kind-{n}"),
        }
    }
}

/// Whose a queue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The kernel's.
    Kernel,
    /// On its way to a program.
    Leaving,
    /// A program's.
    Netmap,
    /// On its way back to the kernel.
    Returning,
    /// The hardware did not stop it; its memory is kept.
    Stuck,
    /// A program's, but the interface is down.
    Parked,
    /// Something a newer kernel knows.
    Other(u32),
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kernel => "kernel",
            Self::Leaving => "leaving",
            Self::Netmap => "netmap",
            Self::Returning => "returning",
            Self::Stuck => "stuck",
            Self::Parked => "parked",
            Self::Other(n) => return write!(f, "state-{n}"),
        })
    }
}

/// Counters of a ring, in the order of `nq_counter`, with their names.
pub const COUNTERS: [(&str, usize); 13] = [
    ("packets", ext::NQ_C_PACKETS),
    ("bytes", ext::NQ_C_BYTES),
    ("syncs", ext::NQ_C_SYNCS),
    ("wakeups", ext::NQ_C_WAKEUPS),
    ("ring_resets", ext::NQ_C_RING_RESETS),
    ("bad_slots", ext::NQ_C_BAD_SLOTS),
    ("drops", ext::NQ_C_DROPS),
    ("swaps", ext::NQ_C_SWAPS),
    ("fragments", ext::NQ_C_FRAGMENTS),
    ("starts", ext::NQ_C_STARTS),
    ("drop_stack", ext::NQ_C_DROP_STACK),
    ("drop_full", ext::NQ_C_DROP_FULL),
    ("drop_lost", ext::NQ_C_DROP_LOST),
];

/// One entry of the listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueInfo {
    /// Interface index.
    pub ifindex: u32,
    /// Interface name.
    pub ifname: String,
    /// What the entry is about.
    pub kind: Kind,
    /// Queue index, or number of the host ring.
    pub queue: u32,
    /// Whose it is.
    pub state: State,
    /// Slots of the ring.
    pub slots: u32,
    /// RX queues of the port.
    pub num_queues: u32,
    /// Owner, 0 for none.
    pub pid: u32,
    /// User of the owner.
    pub uid: u32,
    /// Name of the owner.
    pub comm: String,
    /// Memory id, 0 for none.
    pub mem_id: u32,
    /// Register index in the hardware.
    pub reg_idx: u32,
    /// Counters, see [`COUNTERS`].
    pub counter: [u64; 16],
}

impl QueueInfo {
    /// The counter called `name` in [`COUNTERS`].
    pub fn counter(&self, name: &str) -> Option<u64> {
        let (_, i) = COUNTERS.iter().find(|(n, _)| *n == name)?;
        Some(self.counter[*i])
    }
}

impl From<&ext::nm_queue_info> for QueueInfo {
    fn from(raw: &ext::nm_queue_info) -> Self {
        Self {
            ifindex: raw.nq_ifindex,
            ifname: text(&raw.nq_name),
            kind: match raw.nq_kind {
                ext::NQ_KIND_PORT => Kind::Port,
                ext::NQ_KIND_RX => Kind::Rx,
                ext::NQ_KIND_HOST_TX => Kind::HostTx,
                ext::NQ_KIND_TX => Kind::Tx,
                ext::NQ_KIND_HOST_RX => Kind::HostRx,
                n => Kind::Other(n),
            },
            queue: raw.nq_queue,
            state: match raw.nq_state {
                0 => State::Kernel,
                1 => State::Leaving,
                2 => State::Netmap,
                3 => State::Returning,
                4 => State::Stuck,
                5 => State::Parked,
                n => State::Other(n),
            },
            slots: raw.nq_slots,
            num_queues: raw.nq_num_queues,
            pid: raw.nq_pid,
            uid: raw.nq_uid,
            comm: text(&raw.nq_comm),
            mem_id: raw.nq_mem_id,
            reg_idx: raw.nq_reg_idx,
            counter: raw.nq_counter,
        }
    }
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// Iterator over the listing. Entries come in the order interface, kind, queue;
/// each is a snapshot of its own.
#[derive(Debug)]
pub struct Queues {
    fd: OwnedFd,
    filter: [u8; abi::IFNAMSIZ],
    cursor: Option<(u32, u32, u32)>,
}

impl Queues {
    /// Everything in our network namespace.
    pub fn all() -> Result<Self> {
        let fd =
            sys::open_device().map_err(|e| Error::system(Op::OpenDevice, abi::NETMAP_DEVICE, e))?;
        Ok(Self {
            fd,
            filter: [0; abi::IFNAMSIZ],
            cursor: Some((0, 0, 0)),
        })
    }

    /// One interface.
    pub fn of(ifname: &str) -> Result<Self> {
        let mut q = Self::all()?;
        let bytes = ifname.as_bytes();
        if bytes.is_empty() || bytes.len() >= q.filter.len() || bytes.contains(&0) {
            let e = std::io::Error::from_raw_os_error(libc::ENODEV);
            return Err(Error::system(Op::List, ifname, e));
        }
        q.filter[..bytes.len()].copy_from_slice(bytes);
        Ok(q)
    }
}

impl Iterator for Queues {
    type Item = Result<QueueInfo>;

    fn next(&mut self) -> Option<Self::Item> {
        let (ifindex, kind, queue) = self.cursor?;
        let mut raw = ext::nm_queue_info {
            nq_ifindex: ifindex,
            nq_kind: kind,
            nq_queue: queue,
            nq_name: self.filter,
            ..Default::default()
        };
        if let Err(e) = sys::ioctl(self.fd.as_fd(), ext::NIOCQNEXT, &mut raw) {
            self.cursor = None;
            return match e.raw_os_error() {
                Some(libc::ENOENT) => None,
                _ => Some(Err(Error::system(Op::List, "list of queues", e))),
            };
        }
        let at = (raw.nq_ifindex, raw.nq_kind, raw.nq_queue);
        // A listing that does not move on would never end.
        self.cursor = (at > (ifindex, kind, queue)).then_some(at);
        Some(Ok(QueueInfo::from(&raw)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_decoded() {
        let mut raw = ext::nm_queue_info {
            nq_ifindex: 7,
            nq_kind: ext::NQ_KIND_RX,
            nq_queue: 4,
            nq_state: 2,
            nq_pid: 99,
            ..Default::default()
        };
        raw.nq_name[..4].copy_from_slice(b"eth3");
        raw.nq_comm = *b"sixteen_chars_xx";
        raw.nq_counter[ext::NQ_C_DROPS] = 5;
        let q = QueueInfo::from(&raw);
        assert_eq!((q.ifname.as_str(), q.queue), ("eth3", 4));
        assert_eq!(q.kind.to_string(), "rx");
        assert_eq!(q.state.to_string(), "netmap");
        assert_eq!(q.comm, "sixteen_chars_xx");
        assert_eq!(q.counter("drops"), Some(5));
        assert_eq!(q.counter("nonsense"), None);
    }

    #[test]
    fn kinds_have_the_names_of_their_rings() {
        let name = |kind| {
            let raw = ext::nm_queue_info {
                nq_kind: kind,
                ..Default::default()
            };
            QueueInfo::from(&raw).kind.to_string()
        };
        let names: Vec<_> = (0..6).map(name).collect();
        assert_eq!(names, ["port", "rx", "host-tx", "tx", "host-rx", "kind-5"]);
    }

    #[test]
    fn every_counter_has_one_name() {
        for (i, (name, at)) in COUNTERS.iter().enumerate() {
            assert_eq!(i, *at, "{name}");
        }
    }
}
