// SPDX-License-Identifier: GPL-2.0
//! The port under test: its settings, and the doorbell of the emulated card.
//!
//! A write of N to the doorbell puts N frames into the receive ring, writes all
//! descriptors, and fires one interrupt; a read says how many found a place.  The
//! read also waits for the write, so all frames are there when it returns.

use crate::sys::{check, socket, Mapping};
use anyhow::{bail, Context, Result};
use std::fs::{self, OpenOptions};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// Where the doorbell's page is in BAR 0, and the two registers in it.
const DOORBELL_PAGE: u64 = 0x70000;
const RING: usize = 0x20;
const FITTED: usize = 0x24;

/// The driver's service task runs every two seconds.
const CALM: Duration = Duration::from_millis(2200);

/// Address of the port under test.
pub const ADDRESS: [u8; 4] = [10, 0, 3, 1];

const SIOCETHTOOL: libc::Ioctl = 0x8946;
const ETHTOOL_GRINGPARAM: u32 = 0x10;
const ETHTOOL_SRINGPARAM: u32 = 0x11;

/// `struct ethtool_ringparam`.
#[repr(C)]
#[derive(Default, Clone, Copy)]
struct RingParam {
    cmd: u32,
    max: [u32; 4],
    rx: u32,
    rx_mini: u32,
    rx_jumbo: u32,
    tx: u32,
}

/// The port under test.
pub struct Nic {
    /// Its name.
    pub name: String,
    bar: Mapping,
}

impl Nic {
    /// Find the port, give it its address and bring it up.
    pub fn bring_up() -> Result<Self> {
        let name = find_port()?;
        let path = format!("/sys/class/net/{name}/device/resource0");
        let file = OpenOptions::new().read(true).write(true).open(&path);
        let file = file.with_context(|| format!("open {path}"))?;
        let bar = Mapping::shared(&file, DOORBELL_PAGE, 4096).with_context(|| {
            format!("map {path}: the guest's kernel needs iomem=relaxed on its command line")
        })?;
        let nic = Nic { name, bar };
        nic.set_address()?;
        nic.set_up()?;
        nic.settle()?;
        Ok(nic)
    }

    /// `N` frames arrive now; how many found a place.
    #[inline(always)]
    pub fn ring(&self, frames: u32) -> u32 {
        // SAFETY: two aligned registers inside the mapped page.
        unsafe {
            self.bar.at(RING, 4).cast::<u32>().write_volatile(frames);
            self.bar.at(FITTED, 4).cast::<u32>().read_volatile()
        }
    }

    /// Interface index.
    pub fn index(&self) -> Result<u32> {
        Ok(self.sysfs("ifindex")?.parse()?)
    }

    /// Link changes so far.
    pub fn carrier_changes(&self) -> Result<u64> {
        Ok(self.sysfs("carrier_changes")?.parse()?)
    }

    /// Interrupts of the port's queues so far.
    pub fn interrupts(&self) -> Result<u64> {
        let text = fs::read_to_string("/proc/interrupts").context("read /proc/interrupts")?;
        let vector = format!("{}-TxRx-", self.name);
        let mut sum = 0;
        for line in text.lines().filter(|line| line.contains(&vector)) {
            // "NUMBER: COUNT CHIP NAME"; there is one processor.
            let count = line.split_whitespace().nth(1).unwrap_or("");
            sum += count.parse::<u64>().with_context(|| line.to_owned())?;
        }
        Ok(sum)
    }

    /// Hardware address.
    pub fn mac(&self) -> Result<[u8; 6]> {
        let text = self.sysfs("address")?;
        let mut mac = [0; 6];
        for (byte, hex) in mac.iter_mut().zip(text.split(':')) {
            *byte = u8::from_str_radix(hex, 16).with_context(|| format!("address {text}"))?;
        }
        Ok(mac)
    }

    /// Wait until the link is up and the driver has nothing to do with it any more.
    ///
    /// Changing the ring, or an XDP program coming or going, resets the port; its
    /// service task then works on the link for a while, which must not be measured.
    pub fn settle(&self) -> Result<()> {
        let end = Instant::now() + Duration::from_secs(60);
        let mut calm_since = Instant::now();
        let mut seen = None;
        loop {
            let now = (self.sysfs("carrier").ok(), self.carrier_changes()?);
            if seen.as_ref() != Some(&now) {
                seen = Some(now);
                calm_since = Instant::now();
            } else if calm_since.elapsed() > CALM && now.0.as_deref() == Some("1") {
                return Ok(());
            }
            if Instant::now() > end {
                bail!("{}: the link is not up and steady for 60 s", self.name);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Make the rings `slots` long; returns whether they had another length.
    pub fn set_slots(&self, slots: u32) -> Result<bool> {
        let mut param = RingParam {
            cmd: ETHTOOL_GRINGPARAM,
            ..RingParam::default()
        };
        self.ethtool(&mut param)?;
        if (param.rx, param.tx) == (slots, slots) {
            return Ok(false);
        }
        param.cmd = ETHTOOL_SRINGPARAM;
        (param.rx, param.tx) = (slots, slots);
        self.ethtool(&mut param)?;
        Ok(true)
    }

    fn sysfs(&self, file: &str) -> Result<String> {
        let path = format!("/sys/class/net/{}/{file}", self.name);
        let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        Ok(text.trim().to_owned())
    }

    fn request(&self) -> libc::ifreq {
        // SAFETY: plain bytes, for which zero is valid.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(self.name.bytes()) {
            *to = from as libc::c_char;
        }
        request
    }

    fn ioctl(&self, what: &str, number: libc::Ioctl, request: &mut libc::ifreq) -> Result<()> {
        let fd = socket(libc::AF_INET, libc::SOCK_DGRAM, 0)?;
        // SAFETY: `request` is a whole ifreq; what it points to is the caller's.
        let result = unsafe { libc::ioctl(fd.as_raw_fd(), number, request) };
        check(&format!("{}: {what}", self.name), result.into())?;
        Ok(())
    }

    fn ethtool(&self, param: &mut RingParam) -> Result<()> {
        let mut request = self.request();
        request.ifr_ifru.ifru_data = std::ptr::from_mut(param).cast();
        self.ioctl("ethtool ring parameters", SIOCETHTOOL, &mut request)
    }

    fn set_address(&self) -> Result<()> {
        for (what, number, octets) in [
            ("set address", libc::SIOCSIFADDR, ADDRESS),
            ("set netmask", libc::SIOCSIFNETMASK, [255, 255, 255, 0]),
        ] {
            let mut request = self.request();
            let address = libc::sockaddr_in {
                sin_family: libc::AF_INET as u16,
                sin_port: 0,
                sin_addr: libc::in_addr {
                    s_addr: u32::from_ne_bytes(octets),
                },
                sin_zero: [0; 8],
            };
            // SAFETY: both are 16 plain bytes; the kernel reads a sockaddr_in there.
            let address =
                unsafe { std::mem::transmute::<libc::sockaddr_in, libc::sockaddr>(address) };
            request.ifr_ifru.ifru_addr = address;
            self.ioctl(what, number as libc::Ioctl, &mut request)?;
        }
        Ok(())
    }

    fn set_up(&self) -> Result<()> {
        let mut request = self.request();
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_PROMISC) as libc::c_short;
        self.ioctl("up", libc::SIOCSIFFLAGS as libc::Ioctl, &mut request)
    }
}

/// The first interface that has a PCI device with driver ixgbe.
fn find_port() -> Result<String> {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        for entry in fs::read_dir("/sys/class/net")? {
            let entry = entry?;
            let driver = fs::read_link(entry.path().join("device/driver"));
            if driver.is_ok_and(|path| path.ends_with("ixgbe")) {
                return Ok(entry.file_name().to_string_lossy().into_owned());
            }
        }
        if Instant::now() > end {
            bail!("no interface of driver ixgbe: the card is missing, or probing it failed");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
