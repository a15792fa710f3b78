// SPDX-License-Identifier: GPL-2.0
//! Brings the guest to the state every test starts from.  Idempotent: it is
//! run once at the start, again after a test that reloads a module or takes
//! the interface down, and after a failure.

use crate::broken::region_pages;
use crate::deep::patience;
use crate::frame::CARD2_MAC;
use crate::nic::Nic;
use crate::steer::{
    ethtool, ifindex, ifname, ip_link, num_queues, run, sysfs, wait_carrier, wait_carrier_of,
};
use anyhow::{bail, Context, Result};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// RX queues the tests use: some to take, some to watch.
const QUEUES: u32 = 8;
/// Where the modules under test are.
pub const MODULES: &str = "/opt/netmap/modules";

pub fn loaded(module: &str) -> bool {
    Path::new("/sys/module").join(module).exists()
}

/// Where one of our modules is.
pub fn module(name: &str) -> String {
    format!("{MODULES}/{name}.ko")
}

/// Loads one of our modules and what it depends on.
pub fn insmod(module: &str) -> Result<()> {
    let file = self::module(module);
    let depends = run("modinfo", &["-F", "depends", &file]).unwrap_or_default();
    for d in depends.trim().split(',').filter(|d| !d.is_empty()) {
        run("modprobe", &[d])?;
    }
    run("insmod", &[&file]).map(drop)
}

pub fn rmmod(module: &str) -> Result<()> {
    run("rmmod", &[module]).map(drop)
}

/// Modules in, interface up with address and link, ntuple on.
pub fn ensure() -> Result<()> {
    for module in ["netmap", "ixgbe"] {
        if !loaded(module) {
            insmod(module)?;
        }
    }
    // tests count log lines of which the kernel lets ten pass in five seconds
    fs::write("/proc/sys/net/core/message_cost", "0").context("message_cost")?;
    // of mappings that are left, the kernel's checks tell the first only
    let all_errors = Path::new("/sys/kernel/debug/dma-api/all_errors");
    if all_errors.exists() {
        fs::write(all_errors, "1").context("all_errors")?;
    }
    let name = wait_interface()?;
    if sysfs("mtu")? != "1500" {
        ip_link(&["mtu", "1500"])?;
    }
    let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"), "1");
    ip_link(&["up"])?;
    let queues = num_queues("rx-")?;
    if queues < QUEUES {
        bail!("{name} has {queues} RX queues, the tests need {QUEUES}: boot the guest with as many CPUs (lab --smp 10)");
    }
    run("ip", &["addr", "replace", "10.0.3.1/24", "dev", &name])?;
    wait_carrier()?;
    let features = ethtool("-k", &[])?;
    if !features.contains("ntuple-filters: on") {
        ethtool("-K", &["ntuple", "on"])?;
        wait_carrier()?;
    }
    run(
        "ip",
        &[
            "neigh",
            "replace",
            "10.0.3.2",
            "lladdr",
            "02:00:00:00:03:02",
            "dev",
            &name,
            "nud",
            "permanent",
        ],
    )?;
    Ok(())
}

/// The second card's port.
pub const SECOND: &str = "eth4";

/// The second card's port up with its address, as [`ensure`] has the first. Tests that want it
/// ask for it; it then stays up.
pub fn ensure_second() -> Result<()> {
    if !exists(SECOND) {
        bail!("no {SECOND}: boot the guest with two cards (lab --cards 2)");
    }
    let _ = fs::write(
        format!("/proc/sys/net/ipv6/conf/{SECOND}/disable_ipv6"),
        "1",
    );
    run("ip", &["link", "set", "dev", SECOND, "up"])?;
    run("ip", &["addr", "replace", "10.0.4.1/24", "dev", SECOND])?;
    wait_carrier_of(SECOND)?;
    let peer = ["10.0.4.2", "lladdr", "02:00:00:00:04:02", "dev", SECOND];
    let mut args = vec!["neigh", "replace"];
    args.extend(peer);
    args.extend(["nud", "permanent"]);
    run("ip", &args).map(drop)
}

/// Undoes what a failed or killed test may have left, so that the next test
/// starts from the common state.
pub fn repair() -> Result<()> {
    if let Ok(nic) = Nic::open() {
        let _ = nic.cmd("fault off");
        let _ = nic.cmd("gen stop all");
        let _ = nic.cmd("txlog stop");
        let _ = nic.link(true);
    }
    ensure()?;
    if region_pages()? > 0 {
        // a queue that did not stop: a reset frees it
        ethtool("-r", &[])?;
        wait_carrier()?;
    }
    if ip_link(&["xdp", "off"]).is_err() {
        println!("# repair: xdp off failed");
    }
    for line in ethtool("-n", &[])?.lines() {
        if let Some(id) = line.strip_prefix("Filter: ") {
            ethtool("-N", &["delete", id.trim()])?;
        }
    }
    ethtool("-X", &["default"])?;
    wait_carrier()
}

/// The first card's interface, renamed if a fresh driver gave it another name. Cards that came back
/// after an unplug are found in another order than at boot.
pub fn wait_interface() -> Result<String> {
    const ASIDE: &str = "aside";
    let name = ifname();
    let rename = |from: &str, to: &str| -> Result<()> {
        // udev may be about to do the same; either is fine
        let _ = run("ip", &["link", "set", "dev", from, "down"]);
        run("ip", &["link", "set", "dev", from, "name", to]).map(drop)
    };
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        if is_second(&name) {
            rename(&name, ASIDE)?;
        }
        if exists(&name) {
            break;
        }
        if let Some(other) = first_interface() {
            let _ = rename(&other, &name);
        }
        if Instant::now() > end {
            bail!("no interface {name} and no other of ixgbe: is the card there (lspci), does dmesg show a probe error?");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    if exists(ASIDE) {
        rename(ASIDE, SECOND)?;
    }
    Ok(name)
}

/// Can it be asked for by its name? That is later than sysfs shows it.
fn exists(interface: &str) -> bool {
    ifindex(interface) != 0
}

/// Is it the second card's?
fn is_second(interface: &str) -> bool {
    let address = fs::read_to_string(format!("/sys/class/net/{interface}/address"));
    let second = CARD2_MAC.map(|b| format!("{b:02x}")).join(":");
    address.is_ok_and(|mac| mac.trim() == second)
}

/// Some interface whose driver is ixgbe, but not the second card's.
fn first_interface() -> Option<String> {
    let all = fs::read_dir("/sys/class/net").ok()?.flatten();
    let mut names = all.map(|e| (e.path(), e.file_name().to_string_lossy().into_owned()));
    let found = names.find(|(path, name)| {
        let driver = fs::read_link(path.join("device/driver"));
        driver.is_ok_and(|d| d.ends_with("ixgbe")) && !is_second(name)
    });
    found.map(|(_, name)| name)
}

/// Waits until a condition holds; what it waited for goes into the error.
pub fn eventually(
    what: &str,
    limit: Duration,
    mut holds: impl FnMut() -> Result<bool>,
) -> Result<()> {
    let limit = patience(limit);
    let end = Instant::now() + limit;
    loop {
        if holds().with_context(|| what.to_string())? {
            return Ok(());
        }
        if Instant::now() > end {
            bail!("not within {limit:?}: {what}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
