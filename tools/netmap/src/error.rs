// SPDX-License-Identifier: MIT OR Apache-2.0
//! Errors that name the object and say what to do about it.

use crate::name::NameError;
use std::fmt;
use std::io;

/// What was being done when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Opening `/dev/netmap`.
    OpenDevice,
    /// Binding a file to a port.
    Register,
    /// Mapping the port's memory.
    Map,
    /// Adding a queue.
    Add,
    /// Giving a queue back.
    Remove,
    /// TXSYNC, RXSYNC or poll.
    Sync,
    /// Reading the list of queues.
    List,
    /// Setting up or running a kernel loop.
    Loop,
    /// Asking what a port looks like.
    Info,
}

/// Any failure of this crate.
#[derive(Debug)]
pub enum Error {
    /// The name of the port cannot be parsed.
    Name(NameError),
    /// The kernel refused.
    System {
        /// What it refused.
        op: Op,
        /// The port or queue: `eth3`, `eth3 queue 4`.
        object: String,
        /// The kernel's reason.
        source: io::Error,
        /// What to do about it; may be empty.
        hint: String,
    },
    /// The kernel's answer contradicts itself (a module of another version).
    Layout(String),
    /// The ring is not bound to this port.
    NotBound(String),
    /// The ring is handed out already, by an earlier call that is still in use.
    RingInUse(String),
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A refusal of the kernel, with the advice that belongs to it.
    pub(crate) fn system(op: Op, object: impl Into<String>, source: io::Error) -> Self {
        let object = object.into();
        let hint = advice(op, &object, source.raw_os_error().unwrap_or(0));
        Self::System {
            op,
            object,
            source,
            hint,
        }
    }

    /// The errno, where a system call failed.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::System { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }

    /// Somebody else has the queue.
    pub fn is_busy(&self) -> bool {
        self.errno() == Some(libc::EBUSY)
    }

    /// The interface is down; it comes back by itself when it is up again.
    pub fn is_down(&self) -> bool {
        matches!(self.errno(), Some(libc::ENETDOWN | libc::EIO)) && self.op() == Some(Op::Sync)
    }

    /// The port is gone.
    pub fn is_gone(&self) -> bool {
        self.errno() == Some(libc::ENXIO)
    }

    fn op(&self) -> Option<Op> {
        match self {
            Self::System { op, .. } => Some(*op),
            _ => None,
        }
    }

    /// Replace the advice, where more is known than the errno says.
    pub(crate) fn with_hint(mut self, text: String) -> Self {
        if let Self::System { hint, .. } = &mut self {
            *hint = text;
        }
        self
    }
}

/// What to do about `errno`.
fn advice(op: Op, object: &str, errno: i32) -> String {
    let ifname = object.split(' ').next().unwrap_or(object);
    match (op, errno) {
        (Op::OpenDevice, libc::ENOENT | libc::ENXIO | libc::ENODEV) => {
            "the netmap core is not loaded: 'insmod netmap.ko'".into()
        }
        (Op::OpenDevice, libc::EACCES | libc::EPERM) => {
            "run as root, or give the device to your group with a udev rule".into()
        }
        (_, libc::EPERM | libc::EACCES) => "needs CAP_NET_ADMIN: run as root".into(),
        (Op::Sync, libc::ENXIO) => "the port is gone (driver unloaded or device removed)".into(),
        (Op::Register, libc::ENXIO) if !crate::sys::interface_exists(ifname) => {
            "no such interface; see 'ip link'".into()
        }
        (Op::Register | Op::Add, libc::ENXIO) => format!(
            "the driver of {ifname} has no netmap hooks: load the patched ixgbe.ko \
             (see 'ethtool -i {ifname}')"
        ),
        (_, libc::ENETDOWN) => format!("the interface is down: 'ip link set {ifname} up'"),
        (Op::Sync, libc::EIO) => format!("the interface is down: 'ip link set {ifname} up'"),
        (_, libc::EIO) => format!(
            "the hardware did not give the queue up; the kernel has it again (see 'dmesg'), \
             then try once more or 'ip link set {ifname} down' and up"
        ),
        (Op::Register | Op::Add, libc::EOPNOTSUPP) => {
            "the port is in a mode that cannot be mixed with this (SR-IOV, VMDq, DCB, FCoE or \
             XDP); 'dmesg' says which"
                .into()
        }
        (Op::Sync, libc::EBUSY) => {
            "the port's rings are a kernel loop's: use KernelLoop::wait and kick".into()
        }
        (Op::Loop, libc::EBUSY) => "the port has a kernel loop already".into(),
        (_, libc::EBUSY) => {
            "another program or an AF_XDP socket has it; see 'nmq queue show'".into()
        }
        (Op::Info, libc::ENXIO) => {
            "no such interface, or its driver has no netmap hooks; 'nmq port' lists those that \
             have"
                .into()
        }
        (Op::Register | Op::Add, libc::EINVAL) => format!(
            "no such queue, or a request the module does not know; 'nmq port show {ifname}' and \
             'ethtool -l {ifname}' show the queues"
        ),
        (Op::Remove, libc::ENOENT) => "the queue is not bound to this program".into(),
        (_, libc::ENOMEM) => "not enough memory for the ring and its buffers".into(),
        (_, libc::ENOTTY) | (Op::List, libc::EOPNOTSUPP) => {
            "the loaded netmap.ko does not have this extension: load ours".into()
        }
        _ => String::new(),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(e) => e.fmt(f),
            Self::System {
                object,
                source,
                hint,
                ..
            } => {
                write!(f, "{object}: {}", reason(source))?;
                if hint.is_empty() {
                    Ok(())
                } else {
                    write!(f, ": {hint}")
                }
            }
            Self::Layout(what) => write!(
                f,
                "{what}: the kernel's answer contradicts itself; is the loaded netmap.ko of \
                 another version?"
            ),
            Self::NotBound(ring) => write!(f, "{ring} is not bound to this port"),
            Self::RingInUse(ring) => write!(f, "{ring} is in use by this program already"),
        }
    }
}

/// The text of an errno without Rust's "(os error N)".
fn reason(e: &io::Error) -> String {
    let text = e.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_string(),
        None => text,
    }
}

// No source(): the text has the kernel's reason already.
impl std::error::Error for Error {}

impl From<NameError> for Error {
    fn from(e: NameError) -> Self {
        Self::Name(e)
    }
}

impl From<Error> for io::Error {
    fn from(e: Error) -> Self {
        let kind = e.errno().map_or(io::ErrorKind::Other, |n| {
            io::Error::from_raw_os_error(n).kind()
        });
        Self::new(kind, e)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(op: Op, object: &str, errno: i32) -> String {
        Error::system(op, object, io::Error::from_raw_os_error(errno)).to_string()
    }

    #[test]
    fn each_error_says_what_to_do() {
        for (op, errno, want) in [
            (Op::OpenDevice, libc::ENOENT, "insmod netmap.ko"),
            (Op::Register, libc::EPERM, "CAP_NET_ADMIN"),
            (Op::Register, libc::ENETDOWN, "ip link set lo up"),
            (Op::Add, libc::EBUSY, "nmq queue show"),
            (Op::Register, libc::EOPNOTSUPP, "SR-IOV"),
            (Op::Register, libc::EINVAL, "ethtool -l lo"),
            (Op::Register, libc::ENXIO, "patched ixgbe.ko"),
            (Op::Sync, libc::EIO, "interface is down"),
            (Op::Add, libc::EIO, "did not give the queue up"),
            (Op::Remove, libc::ENOENT, "not bound"),
            (Op::Register, libc::ENOMEM, "not enough memory"),
        ] {
            let text = text(op, "lo queue 4", errno);
            assert!(text.starts_with("lo queue 4: "), "{text}");
            assert!(text.contains(want), "{op:?}: {text}");
            assert!(!text.contains("os error"), "{text}");
        }
    }

    #[test]
    fn a_missing_interface_is_told_from_a_missing_hook() {
        let text = text(Op::Register, "nosuchif0", libc::ENXIO);
        assert!(text.contains("no such interface"), "{text}");
    }

    #[test]
    fn only_syncs_report_down() {
        let e = |op| Error::system(op, "eth3", io::Error::from_raw_os_error(libc::EIO));
        assert!(e(Op::Sync).is_down());
        assert!(!e(Op::Add).is_down());
    }
}
