// SPDX-License-Identifier: GPL-2.0
//! The ethtool ioctl: RSS table, filter rules, feature flags of one interface.
//!
//! No crate has these commands (netlink covers neither the table nor the rules of
//! the drivers we serve), so the structures of `linux/ethtool.h` stand here.

use super::spec::{Field, Proto, Spec};
use anyhow::{bail, Context, Result};
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

const TCP_V4_FLOW: u32 = 0x01;
const UDP_V4_FLOW: u32 = 0x02;
const IP_USER_FLOW: u32 = 0x0d;
const FLOW_EXT: u32 = 0x8000_0000;
const ETH_RX_NFC_IP4: u8 = 1;

/// The largest table and the most rules we are ready to read.
const LIMIT: u32 = 65536;

#[repr(C)]
#[derive(Clone, Copy)]
struct FlowSpec {
    flow_type: u32,
    h_u: [u8; 52],
    h_ext: [u8; 20],
    m_u: [u8; 52],
    m_ext: [u8; 20],
    ring_cookie: u64,
    location: u32,
}

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
    assert!(size_of::<FlowSpec>() == 168 && offset_of!(FlowSpec, ring_cookie) == 152);
    assert!(size_of::<RxNfc>() == 192 && offset_of!(RxNfc, rule_locs) == 188);
};

/// What steering needs of an interface; the tests have another one.
pub trait Ethtool {
    /// RX queues in use.
    fn rx_rings(&self) -> Result<u32>;
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
            anyhow::anyhow!("{}: {doing}: {}{hint}", self.ifname, short(&e))
        })
    }
}

fn short(e: &io::Error) -> String {
    let text = e.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_string()
}

impl Ethtool for Nic {
    fn rx_rings(&self) -> Result<u32> {
        let r = self.rxnfc(RxNfc::new(ETHTOOL_GRXRINGS), 0);
        Ok(self.what(r, "number of RX queues")?.0.data as u32)
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

impl FlowSpec {
    fn empty() -> Self {
        Self {
            flow_type: 0,
            h_u: [0; 52],
            h_ext: [0; 20],
            m_u: [0; 52],
            m_ext: [0; 20],
            ring_cookie: 0,
            location: 0,
        }
    }

    /// Both header layouts have addresses at 0 and 4; ports are at 8 and 10, the
    /// VLAN tag at 10 of the extension. All in network byte order.
    fn new(spec: &Spec, place: u32) -> Self {
        let mut fs = Self::empty();
        fs.flow_type = match spec.proto {
            Proto::Udp4 => UDP_V4_FLOW,
            Proto::Tcp4 => TCP_V4_FLOW,
            Proto::Ip4 => IP_USER_FLOW,
        };
        if spec.proto == Proto::Ip4 {
            fs.h_u[13] = ETH_RX_NFC_IP4;
        }
        for (at, field) in [(0, spec.src_ip), (4, spec.dst_ip)] {
            if let Some(f) = field {
                fs.h_u[at..at + 4].copy_from_slice(&f.value.to_be_bytes());
                fs.m_u[at..at + 4].copy_from_slice(&f.mask.to_be_bytes());
            }
        }
        for (at, field) in [(8, spec.src_port), (10, spec.dst_port)] {
            if let Some(f) = field {
                fs.h_u[at..at + 2].copy_from_slice(&f.value.to_be_bytes());
                fs.m_u[at..at + 2].copy_from_slice(&f.mask.to_be_bytes());
            }
        }
        if let Some(f) = spec.vlan {
            fs.flow_type |= FLOW_EXT;
            fs.h_ext[10..12].copy_from_slice(&f.value.to_be_bytes());
            fs.m_ext[10..12].copy_from_slice(&f.mask.to_be_bytes());
        }
        fs.ring_cookie = spec.action.unwrap_or(0).into();
        fs.location = place;
        fs
    }

    /// What it matches; None for kinds of rules we never make.
    fn spec(&self) -> Option<Spec> {
        let proto = match self.flow_type & !FLOW_EXT {
            UDP_V4_FLOW => Proto::Udp4,
            TCP_V4_FLOW => Proto::Tcp4,
            IP_USER_FLOW => Proto::Ip4,
            _ => return None,
        };
        let ip = |at: usize| {
            let mask = u32::from_be_bytes(self.m_u[at..at + 4].try_into().ok()?);
            let value = u32::from_be_bytes(self.h_u[at..at + 4].try_into().ok()?) & mask;
            (mask != 0).then_some(Field { value, mask })
        };
        let short = |h: &[u8], m: &[u8], at: usize| {
            let mask = u16::from_be_bytes([m[at], m[at + 1]]);
            let value = u16::from_be_bytes([h[at], h[at + 1]]) & mask;
            (mask != 0).then_some(Field { value, mask })
        };
        Some(Spec {
            proto,
            src_ip: ip(0),
            dst_ip: ip(4),
            src_port: short(&self.h_u, &self.m_u, 8),
            dst_port: short(&self.h_u, &self.m_u, 10),
            vlan: short(&self.h_ext, &self.m_ext, 10),
            action: u16::try_from(self.ring_cookie).ok(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_survive_the_kernel_layout() {
        for text in [
            "udp4 dst-port 53 action 4",
            "tcp4 src-ip 192.0.2.0 m 0.0.0.255 dst-ip 10.0.3.1 src-port 7 action 0",
            "ip4 dst-ip 10.0.3.1 vlan 7 m 0xf000 action 9",
        ] {
            let spec: Spec = text.parse().expect(text);
            let fs = FlowSpec::new(&spec, 2045);
            assert_eq!(fs.location, 2045);
            assert_eq!(fs.spec(), Some(spec));
        }
    }

    #[test]
    fn ports_are_in_network_byte_order() {
        let spec: Spec = "udp4 dst-port 53 action 4".parse().expect("parses");
        let fs = FlowSpec::new(&spec, 0);
        assert_eq!(&fs.h_u[8..12], &[0, 0, 0, 53]);
        assert_eq!(&fs.m_u[8..12], &[0, 0, 0xff, 0xff]);
    }
}
