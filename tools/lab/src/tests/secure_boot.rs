// SPDX-License-Identifier: GPL-2.0
//! The installed system on a machine with Secure Boot: the kernel loads our modules once DKMS's
//! key is enrolled; until then it refuses them, and the packages leave the card to the stock driver.
//!
//! Real are the firmware, shim, GRUB, the signed kernel, the packages and their signatures. What an
//! operator confirms on MokManager's screen is written into the firmware's variables instead.

use super::installed::{boot, main_job, modprobe_netmap, our_driver, wait_for_port, Check, PART};
use super::tally::Tally;
use super::TestArgs;
use crate::netns::peer_address;
use crate::places::INSTALLED;
use crate::say::progress;
use crate::secure::Trust;
use crate::vm::{Config, Vm};
use anyhow::{ensure, Result};

/// With DKMS's key enrolled.
const ENROLLED: [(&str, Check); 6] = [
    ("is_on_and_kernel_locked_down", is_on),
    ("unsigned_modules_are_refused", unsigned),
    ("key_that_is_enrolled_is_known", known),
    ("card_got_our_driver_at_boot", our_driver),
    ("modprobe_finds_netmap", modprobe_netmap),
    ("main_job", main_job),
];

/// Without it. In this order: each builds on what the ones before have done.
const NOT_ENROLLED: [(&str, Check); 4] = [
    ("without_the_key_ours_are_refused", refused),
    ("without_the_key_removing_gives_the_stock_driver", removed),
    ("without_the_key_installing_says_why_not", says_why_not),
    ("key_can_be_handed_to_the_firmware", handed),
];

const KEY: &str = "/var/lib/dkms/mok.pub";

/// Boot the system with `release` both ways and run the checks.
pub fn run(args: &TestArgs, config: &Config, release: &str, tally: &mut Tally) {
    with_trust(args, config, release, Trust::Dkms, &ENROLLED, tally);
    with_trust(args, config, release, Trust::Debian, &NOT_ENROLLED, tally);
}

fn with_trust(
    args: &TestArgs,
    config: &Config,
    release: &str,
    trust: Trust,
    checks: &[(&str, Check)],
    tally: &mut Tally,
) {
    let of = format!("secure_boot.{release}");
    let checks: Vec<_> = (checks.iter())
        .map(|(name, check)| (format!("{of}.{name}"), *check))
        .collect();
    if !(checks.iter()).any(|(name, _)| args.wants(&format!("{PART}.{name}"))) {
        return;
    }
    progress(&format!(
        "an installed system with {release}, Secure Boot, {}",
        match trust {
            Trust::Dkms => "DKMS's key enrolled",
            Trust::Debian => "DKMS's key not enrolled",
        }
    ));
    let config = Config {
        release: Some(format!("{INSTALLED}{release}")),
        // The main job needs two RX queues. Firmware takes longer the more processors there are:
        // they wait for each other whenever it reads or writes a variable.
        cpus: if trust == Trust::Dkms { 2 } else { 1 },
        cards: 1,
        secure_boot: Some(trust),
        ..config.clone()
    };
    boot(&config, &of, &checks, tally, |_, _| ());
}

/// The firmware says so, the kernel has heard it, and has locked itself down for that reason.
fn is_on(vm: &Vm) -> Result<()> {
    let said = vm.must("mokutil --sb-state 2>&1 && cat /sys/kernel/security/lockdown")?;
    ensure!(
        said.contains("SecureBoot enabled") && said.contains("[integrity]"),
        "not on: {said}"
    );
    vm.must("dmesg | grep -q 'locked down from EFI Secure Boot'")?;
    Ok(())
}

/// Modules fresh from the compiler, as the lab's guests load them.
fn unsigned(vm: &Vm) -> Result<()> {
    vm.must("mkdir -p /run/lab && mount -o ro /dev/disk/by-id/virtio-payload /run/lab && [ -e /run/lab/modules/netmap.ko ]")?;
    is_refused(vm, "insmod /run/lab/modules/netmap.ko")
}

fn is_refused(vm: &Vm, line: &str) -> Result<()> {
    let outcome = vm.run(line)?;
    ensure!(
        outcome.status != 0 && outcome.stderr.contains("Key was rejected by service"),
        "'{line}' ended with status {} and said: {}",
        outcome.status,
        outcome.stderr
    );
    Ok(())
}

/// To mokutil, to the kernel, and to the packages, which see nothing that hinders them.
fn known(vm: &Vm) -> Result<()> {
    vm.must(&format!(
        "mokutil --test-key {KEY} | grep -q 'is already enrolled' && \
         grep -q 'DKMS module signing key' /proc/keys"
    ))?;
    let why_not = vm
        .must("bash -c '. /usr/src/netmap-*/dkms/lib.sh; untrusted_key \"$(uname -r)\"; exit 0'")?;
    ensure!(why_not.is_empty(), "the packages would say: {why_not}");
    Ok(())
}

/// Secure Boot was switched on after the packages were installed: no module of ours gets in.
fn refused(vm: &Vm) -> Result<()> {
    is_on(vm)?;
    let known = vm.run(&format!("mokutil --test-key {KEY}"))?;
    ensure!(
        known.stdout.contains("is not enrolled"),
        "mokutil said {}",
        known.stdout
    );
    is_refused(vm, "modprobe netmap")?;
    is_refused(vm, "modprobe ixgbe")
}

fn removed(vm: &Vm) -> Result<()> {
    vm.must("dpkg -r netmap-dkms && modprobe ixgbe")?;
    stock_serves(vm)
}

/// The kernel's own driver is the one that `modprobe` takes, and that serves.
fn stock_serves(vm: &Vm) -> Result<()> {
    wait_for_port(vm)?;
    vm.must("modinfo -n ixgbe | grep -q '/kernel/drivers/net/ethernet/intel/' && ! grep -q O /sys/module/ixgbe/taint")?;
    vm.address_ports()?;
    vm.must(&format!("ping -c 3 -W 5 {}", peer_address(0)))?;
    Ok(())
}

/// The package is installed, without modules and with the documented words.
fn says_why_not(vm: &Vm) -> Result<()> {
    let said = vm.must("dpkg -i \"$(ls /debs/netmap-dkms_*.deb | sort -V | tail -n 1)\" 2>&1")?;
    let release = vm.release();
    for part in [
        format!("netmap-dkms: no modules for {release}: Secure Boot is on and does not trust the key DKMS signs with."),
        format!("mokutil --import {KEY}; reboot and confirm; dkms autoinstall -k {release}."),
        "netmap-dkms: Its own ixgbe stays in use.".to_string(),
    ] {
        ensure!(said.contains(&part), "not said: '{part}', but:\n{said}");
    }
    vm.must("[ \"$(dpkg-query -W -f '${Status}' netmap-dkms)\" = 'install ok installed' ] && ! modinfo netmap")?;
    vm.must("modprobe -r ixgbe && modprobe ixgbe")?;
    stock_serves(vm)
}

/// The command of that message: at the next boot MokManager asks the operator for the password.
fn handed(vm: &Vm) -> Result<()> {
    vm.must(&format!(
        "printf 'word1234\\nword1234\\n' | mokutil --import {KEY}"
    ))?;
    let new = vm.must("mokutil --list-new")?;
    ensure!(new.contains("DKMS module signing key"), "waiting: {new}");
    Ok(())
}
