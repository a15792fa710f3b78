// SPDX-License-Identifier: GPL-2.0
//! Steering with the real ethtool, and everything else that is set on the
//! port, each undone when its guard is dropped.

use anyhow::{bail, Context, Result};
use std::ffi::CString;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

/// The interface under test.
pub fn ifname() -> String {
    std::env::var("NM_TEST_IF").unwrap_or_else(|_| "eth3".to_string())
}

/// An interface's number, 0 if there is none of that name.
pub fn ifindex(name: &str) -> u32 {
    let name = CString::new(name).unwrap_or_default();
    // SAFETY: a NUL-terminated string.
    unsafe { libc::if_nametoindex(name.as_ptr()) }
}

/// Runs a program; its output, or an error with everything it said.
pub fn run(program: &str, args: &[&str]) -> Result<String> {
    let out = Command::new(program)
        .args(args)
        .output()
        .with_context(|| format!("run {program}"))?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    if !out.status.success() {
        let err = String::from_utf8_lossy(&out.stderr);
        bail!(
            "'{program} {}': {} ({})",
            args.join(" "),
            err.trim(),
            out.status
        );
    }
    Ok(text)
}

/// `ethtool -OPT IFACE ARGS`.
pub fn ethtool(option: &str, args: &[&str]) -> Result<String> {
    let name = ifname();
    let mut all = vec![option, name.as_str()];
    all.extend(args);
    run("ethtool", &all)
}

/// `ip link set dev IFACE ARGS`.
pub fn ip_link(args: &[&str]) -> Result<()> {
    let name = ifname();
    let mut all = vec!["link", "set", "dev", name.as_str()];
    all.extend(args);
    run("ip", &all).map(drop)
}

/// A file of /sys/class/net/IFACE.
pub fn sysfs(file: &str) -> Result<String> {
    let path = format!("/sys/class/net/{}/{file}", ifname());
    let text = fs::read_to_string(&path).with_context(|| path)?;
    Ok(text.trim().to_string())
}

/// Number of the interface's RX (or TX) queues, from the kernel.
pub fn num_queues(kind: &str) -> Result<u32> {
    let path = format!("/sys/class/net/{}/queues", ifname());
    let dir = fs::read_dir(&path).with_context(|| path)?;
    let n = dir
        .flatten()
        .filter(|e| e.file_name().to_string_lossy().starts_with(kind))
        .count();
    Ok(n as u32)
}

/// Times the link went up or down.
pub fn carrier_changes() -> Result<u64> {
    Ok(sysfs("carrier_changes")?.parse()?)
}

/// Waits until the link is up.
pub fn wait_carrier() -> Result<()> {
    wait_carrier_of(&ifname())
}

/// As [`wait_carrier`], of any interface.
pub fn wait_carrier_of(name: &str) -> Result<()> {
    let path = format!("/sys/class/net/{name}/carrier");
    let end = Instant::now() + Duration::from_secs(20);
    while fs::read_to_string(&path).unwrap_or_default().trim() != "1" {
        if Instant::now() > end {
            bail!("{name}: no carrier after 20 s");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// An ntuple rule: UDP to this port goes to this queue.
pub struct Rule {
    id: String,
}

impl Rule {
    pub fn udp(dport: u16, queue: u32) -> Result<Rule> {
        let (dport, queue) = (dport.to_string(), queue.to_string());
        Rule::new(&["flow-type", "udp4", "dst-port", &dport, "action", &queue])
    }

    /// Everything the IPv4 address `src` sends.
    pub fn from_ip(src: &str, queue: u32) -> Result<Rule> {
        Rule::new(&[
            "flow-type",
            "ip4",
            "src-ip",
            src,
            "action",
            &queue.to_string(),
        ])
    }

    fn new(spec: &[&str]) -> Result<Rule> {
        let said = ethtool("-N", spec)?;
        let id = said.rsplit(' ').next().unwrap_or("").trim().to_string();
        if id.parse::<u32>().is_err() {
            bail!(
                "ethtool -N {}: no rule id in '{}'",
                spec.join(" "),
                said.trim()
            );
        }
        Ok(Rule { id })
    }
}

impl Drop for Rule {
    fn drop(&mut self) {
        if let Err(e) = ethtool("-N", &["delete", &self.id]) {
            eprintln!("{e:#}");
        }
    }
}

/// RSS without some queues; back to the default when dropped.
pub struct Rss;

impl Rss {
    pub fn without(out: &[u32]) -> Result<Rss> {
        let n = num_queues("rx-")?.min(16);
        let weights: Vec<&str> = (0..n)
            .map(|q| if out.contains(&q) { "0" } else { "1" })
            .collect();
        let mut args = vec!["weight"];
        args.extend(weights);
        ethtool("-X", &args)?;
        Ok(Rss)
    }
}

impl Drop for Rss {
    fn drop(&mut self) {
        if let Err(e) = ethtool("-X", &["default"]) {
            eprintln!("{e:#}");
        }
    }
}

/// A changed MTU; 1500 again when dropped.  Each change restarts the port.
pub struct Mtu;

impl Mtu {
    pub fn set(mtu: u32) -> Result<Mtu> {
        ip_link(&["mtu", &mtu.to_string()])?;
        wait_carrier()?;
        Ok(Mtu)
    }
}

impl Drop for Mtu {
    fn drop(&mut self) {
        if let Err(e) = ip_link(&["mtu", "1500"]).and_then(|()| wait_carrier()) {
            eprintln!("{e:#}");
        }
    }
}

/// Rings of another length; 512 slots again when dropped.  Each change restarts the port.
pub struct Rings;

impl Rings {
    pub fn of(slots: u32) -> Result<Rings> {
        let n = slots.to_string();
        ethtool("-G", &["rx", &n, "tx", &n])?;
        wait_carrier()?;
        Ok(Rings)
    }
}

impl Drop for Rings {
    fn drop(&mut self) {
        if let Err(e) = ethtool("-G", &["rx", "512", "tx", "512"]).and_then(|_| wait_carrier()) {
            eprintln!("{e:#}");
        }
    }
}

/// A feature switched off; on again when dropped.
pub struct Feature(&'static str);

impl Feature {
    pub fn off(name: &'static str) -> Result<Feature> {
        ethtool("-K", &[name, "off"])?;
        Ok(Feature(name))
    }
}

impl Drop for Feature {
    fn drop(&mut self) {
        if let Err(e) = ethtool("-K", &[self.0, "on"]) {
            eprintln!("{e:#}");
        }
    }
}

/// Counters of `ethtool -S`, by their exact names, in one reading.
pub fn stats(names: &[&str]) -> Result<Vec<u64>> {
    let text = ethtool("-S", &[])?;
    let value = |name: &&str| {
        let line = text
            .lines()
            .find_map(|l| l.trim().strip_prefix(*name)?.strip_prefix(':'));
        let value = line.and_then(|v| v.trim().parse().ok());
        value.with_context(|| format!("ethtool -S shows no '{name}'"))
    };
    names.iter().map(value).collect()
}
