// SPDX-License-Identifier: GPL-2.0
//! The ethtool ioctl: RSS table, filter rules, feature flags of one interface.
//!
//! No crate has these commands (netlink covers neither the table nor the rules of
//! the drivers we serve), so the structures of `linux/ethtool.h` stand here.

use super::flow::FlowSpec;
use super::spec::Spec;
use anyhow::{bail, Context, Result};
use netmap::{Kind, Queues, State};
use std::fmt;
use std::io;
use std::mem::{offset_of, size_of};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

const SIOCETHTOOL: u64 = 0x8946;
const ETHTOOL_GFLAGS: u32 = 0x25;
const ETHTOOL_SFLAGS: u32 = 0x26;
const ETHTOOL_GRXRINGS: u32 = 0x2d;
const ETHTOOL_GRXCLSRLCNT: u32 = 0x2e;
const ETHTOOL_GRXCLSRULE: u32 = 0x2f;
const ETHTOOL_GRXCLSRLALL: u32 = 0x30;
const ETHTOOL_SRXCLSRLDEL: u32 = 0x31;
const ETHTOOL_SRXCLSRLINS: u32 = 0x32;
const ETHTOOL_GRXFHINDIR: u32 = 0x38;
const ETHTOOL_SRXFHINDIR: u32 = 0x39;
const ETH_FLAG_NTUPLE: u32 = 1 << 27;

/// The largest table and the most rules we are ready to read.
const LIMIT: u32 = 65536;

#[repr(C)]
#[derive(Clone, Copy)]
struct RxNfc {
    cmd: u32,
    flow_type: u32,
    data: u64,
    fs: FlowSpec,
    rule_cnt: u32,
    rule_locs: [u32; 0],
}

const _: () = {
    assert!(size_of::<RxNfc>() == 192 && offset_of!(RxNfc, rule_locs) == 188);
};

/// What steering needs of an interface; the tests have another one.
pub trait Ethtool {
    /// RX queues of the port: those a rule may lead to.
    fn queues(&self) -> Result<u32>;
    /// RX queues the hash may use; ixgbe leaves it 16 of them.
    fn rx_rings(&self) -> Result<u32>;
    /// Queues the hardware did not give back: nobody serves them.
    fn stuck(&self) -> Vec<u32>;
    /// Are filter rules switched on?
    fn ntuple(&self) -> Result<bool>;
    /// Switch filter rules on.
    fn enable_ntuple(&self) -> Result<()>;
    /// The RSS table.
    fn reta(&self) -> Result<Vec<u32>>;
    /// Replace the RSS table; an empty one means the driver's default.
    fn set_reta(&self, table: &[u32]) -> Result<()>;
    /// Places of the rules in use, and how many places there are.
    fn rule_places(&self) -> Result<(Vec<u32>, u32)>;
    /// The rule at a place: what it matches (its queue as action).
    fn rule(&self, place: u32) -> Result<Option<Spec>>;
    /// Insert a rule; `spec.action` is its queue.
    fn insert_rule(&self, place: u32, spec: &Spec) -> Result<()>;
    /// Delete a rule.
    fn delete_rule(&self, place: u32) -> Result<()>;
}

/// The kernel refused a command.
#[derive(Debug)]
pub struct Refused {
    text: String,
    /// Its reason.
    pub errno: i32,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Refused {}

/// An interface of the running system.
#[derive(Debug)]
pub struct Nic {
    socket: OwnedFd,
    ifname: String,
}

impl Nic {
    /// The interface called `ifname`.
    pub fn new(ifname: &str) -> Result<Self> {
        if ifname.is_empty() || ifname.len() >= libc::IFNAMSIZ {
            bail!("'{ifname}' is not an interface name");
        }
        // SAFETY: no addresses; the result is checked.
        let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error()).context("socket");
        }
        Ok(Self {
            // SAFETY: a new descriptor, owned by nobody else.
            socket: unsafe { OwnedFd::from_raw_fd(fd) },
            ifname: ifname.to_string(),
        })
    }

    /// One command. `words` starts with the ethtool structure, as u64s for its
    /// alignment, and is as large as the command reads or writes.
    fn command(&self, words: &mut [u64]) -> io::Result<()> {
        // SAFETY: all-zero is a valid ifreq.
        let mut req: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, from) in req.ifr_name.iter_mut().zip(self.ifname.bytes()) {
            *to = from as libc::c_char;
        }
        req.ifr_ifru.ifru_data = words.as_mut_ptr().cast();
        // SAFETY: a live ifreq that points to the live structure; every caller
        // passes as many words as its command may write.
        let r = unsafe { libc::ioctl(self.socket.as_raw_fd(), SIOCETHTOOL as _, &mut req) };
        if r < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// A command on `ethtool_value`.
    fn value(&self, cmd: u32, value: u32) -> io::Result<u32> {
        let mut words = [u64::from(cmd) | (u64::from(value) << 32)];
        self.command(&mut words)?;
        Ok((words[0] >> 32) as u32)
    }

    /// A command on `ethtool_rxnfc` with room for `locs` places; the structure and
    /// the places.
    fn rxnfc(&self, nfc: RxNfc, locs: u32) -> io::Result<(RxNfc, Vec<u32>)> {
        let bytes = size_of::<RxNfc>() + locs as usize * 4;
        let mut words = vec![0u64; bytes.div_ceil(8)];
        // SAFETY: the vector is larger than an RxNfc and aligned to 8 bytes.
        unsafe { words.as_mut_ptr().cast::<RxNfc>().write(nfc) };
        self.command(&mut words)?;
        // SAFETY: as above; any bit pattern is a valid RxNfc.
        let nfc = unsafe { words.as_ptr().cast::<RxNfc>().read() };
        let at = |i: usize| (words[i / 2] >> (32 * (i % 2))) as u32;
        let first = offset_of!(RxNfc, rule_locs) / 4;
        let n = nfc.rule_cnt.min(locs) as usize;
        Ok((nfc, (first..first + n).map(at).collect()))
    }

    fn what<T>(&self, r: io::Result<T>, doing: &str) -> Result<T> {
        r.map_err(|e| {
            let hint = match e.raw_os_error() {
                Some(libc::EPERM) => " (needs CAP_NET_ADMIN: run as root)",
                Some(libc::ENODEV) => " (no such interface; see 'ip link')",
                Some(libc::EOPNOTSUPP) => " (the driver cannot do this)",
                _ => "",
            };
            let text = format!("{}: {doing}: {}{hint}", self.ifname, short(&e));
            Refused {
                text,
                errno: e.raw_os_error().unwrap_or(0),
            }
            .into()
        })
    }
}

fn short(e: &io::Error) -> String {
    let text = e.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_string()
}

impl Ethtool for Nic {
    fn queues(&self) -> Result<u32> {
        for entry in Queues::of(&self.ifname)? {
            let entry = entry?;
            if entry.kind == Kind::Port {
                return Ok(entry.num_queues);
            }
        }
        // Not a port of netmap: opening it says why.
        self.rx_rings()
    }

    fn rx_rings(&self) -> Result<u32> {
        let r = self.rxnfc(RxNfc::new(ETHTOOL_GRXRINGS), 0);
        Ok(self.what(r, "number of RX queues")?.0.data as u32)
    }

    fn stuck(&self) -> Vec<u32> {
        // Without a listing (the module is unloaded) there are none.
        let entries = Queues::of(&self.ifname).into_iter().flatten().flatten();
        entries
            .filter(|e| e.kind == Kind::Rx && e.state == State::Stuck)
            .map(|e| e.queue)
            .collect()
    }

    fn ntuple(&self) -> Result<bool> {
        let flags = self.what(self.value(ETHTOOL_GFLAGS, 0), "feature flags")?;
        Ok(flags & ETH_FLAG_NTUPLE != 0)
    }

    fn enable_ntuple(&self) -> Result<()> {
        let flags = self.what(self.value(ETHTOOL_GFLAGS, 0), "feature flags")?;
        let r = self.value(ETHTOOL_SFLAGS, flags | ETH_FLAG_NTUPLE);
        self.what(r, "switching ntuple on").map(|_| ())
    }

    fn reta(&self) -> Result<Vec<u32>> {
        // struct ethtool_rxfh_indir: command, size, table.
        let size = self.what(self.value(ETHTOOL_GRXFHINDIR, 0), "size of the RSS table")?;
        if size > LIMIT {
            bail!("{}: an RSS table of {size} entries", self.ifname);
        }
        let mut words = vec![0u64; 1 + (size as usize).div_ceil(2)];
        words[0] = u64::from(ETHTOOL_GRXFHINDIR) | (u64::from(size) << 32);
        self.what(self.command(&mut words), "reading the RSS table")?;
        Ok((0..size as usize)
            .map(|i| (words[1 + i / 2] >> (32 * (i % 2))) as u32)
            .collect())
    }

    fn set_reta(&self, table: &[u32]) -> Result<()> {
        let mut words = vec![0u64; 1 + table.len().div_ceil(2)];
        words[0] = u64::from(ETHTOOL_SRXFHINDIR) | ((table.len() as u64) << 32);
        for (i, q) in table.iter().enumerate() {
            words[1 + i / 2] |= u64::from(*q) << (32 * (i % 2));
        }
        self.what(self.command(&mut words), "writing the RSS table")
    }

    fn rule_places(&self) -> Result<(Vec<u32>, u32)> {
        let r = self.rxnfc(RxNfc::new(ETHTOOL_GRXCLSRLCNT), 0);
        let n = self.what(r, "number of filter rules")?.0.rule_cnt;
        if n > LIMIT {
            bail!("{}: {n} filter rules", self.ifname);
        }
        let mut nfc = RxNfc::new(ETHTOOL_GRXCLSRLALL);
        nfc.rule_cnt = n;
        let (nfc, places) = self.what(self.rxnfc(nfc, n), "list of filter rules")?;
        Ok((places, nfc.data as u32))
    }

    fn rule(&self, place: u32) -> Result<Option<Spec>> {
        let mut nfc = RxNfc::new(ETHTOOL_GRXCLSRULE);
        nfc.fs.location = place;
        match self.rxnfc(nfc, 0) {
            Ok((nfc, _)) => Ok(nfc.fs.spec()),
            Err(e) if matches!(e.raw_os_error(), Some(libc::EINVAL | libc::ENOENT)) => Ok(None),
            Err(e) => self.what(Err(e), "reading a filter rule"),
        }
    }

    fn insert_rule(&self, place: u32, spec: &Spec) -> Result<()> {
        let mut nfc = RxNfc::new(ETHTOOL_SRXCLSRLINS);
        nfc.fs = FlowSpec::new(spec, place);
        match self.rxnfc(nfc, 0) {
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) => bail!(
                "{}: the card refuses the rule '{spec}': all rules of an 82599 must use the same \
                 fields and masks (see 'ethtool -n {}' for those that are there)",
                self.ifname,
                self.ifname
            ),
            r => self.what(r, "inserting a filter rule").map(|_| ()),
        }
    }

    fn delete_rule(&self, place: u32) -> Result<()> {
        let mut nfc = RxNfc::new(ETHTOOL_SRXCLSRLDEL);
        nfc.fs.location = place;
        self.what(self.rxnfc(nfc, 0), "deleting a filter rule")
            .map(|_| ())
    }
}

impl RxNfc {
    fn new(cmd: u32) -> Self {
        Self {
            cmd,
            flow_type: 0,
            data: 0,
            fs: FlowSpec::empty(),
            rule_cnt: 0,
            rule_locs: [],
        }
    }
}
