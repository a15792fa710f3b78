// SPDX-License-Identifier: GPL-2.0
//! Installed systems: a Debian with our packages, as `tools/installed/test` left it, is booted
//! with each kernel, systemd and all, and does the main job with what the packages installed.

use super::guest::KtapReader;
use super::tally::Tally;
use super::{secure_boot, TestArgs};
use crate::places::{cache, checkout, INSTALLED};
use crate::say::progress;
use crate::session::{services, Stage};
use crate::vm::{Config, Vm};
use anyhow::{bail, ensure, Context, Result};
use std::time::Duration;

pub const PART: &str = "installed";
/// The queue that is given away, if there are so many.
const QUEUE: u32 = 2;
/// Good queries, all of which must be answered under the flood.
const QUERIES: usize = 20;

/// A check in the booted system.
pub type Check = fn(&Vm) -> Result<()>;

/// In this order: each builds on what the ones before have done.
const CHECKS: [(&str, Check); 5] = [
    ("system_is_up_and_nothing_failed", system_is_up),
    ("card_got_our_driver_at_boot", our_driver),
    ("modprobe_finds_netmap", modprobe_netmap),
    ("main_job", main_job),
    (
        "main_job_with_modules_loaded_the_other_way_round",
        other_order,
    ),
];

/// Boot the system with each kernel and run the checks.
pub fn run(args: &TestArgs, config: &Config, tally: &mut Tally) {
    let releases = std::fs::read_to_string(cache().join("installed/releases")).unwrap_or_default();
    for (n, release) in releases.lines().enumerate() {
        // Units and firmware are the same with each kernel: with the one the lab's guests run.
        let first = n == 0;
        ordinary(args, config, release, first, tally);
        if first || args.deep {
            secure_boot::run(args, config, release, tally);
        }
    }
}

/// As QEMU boots it, without firmware.
fn ordinary(args: &TestArgs, config: &Config, release: &str, units: bool, tally: &mut Tally) {
    let wanted: Vec<_> = CHECKS
        .iter()
        .map(|(name, check)| (format!("{release}.{name}"), *check))
        .filter(|(name, _)| args.wants(&format!("{PART}.{name}")))
        .collect();
    let units = units && wants_units(args, release);
    if wanted.is_empty() && !units {
        return;
    }
    progress(&format!("an installed system with {release}"));
    let config = Config {
        release: Some(format!("{INSTALLED}{release}")),
        cpus: 4,
        cards: 1,
        ..config.clone()
    };
    boot(&config, release, &wanted, tally, |vm, tally| {
        if !units {
            return;
        }
        if let Err(e) = systemd_units(args, vm, release, tally) {
            tally.failed(PART, &format!("{release}.units"), &format!("{e:#}"));
        }
    });
}

/// Boot it and run the checks, each under its name, then what there is `more`. That it does not boot,
/// or complains on its console, is a failure of `of`.
pub fn boot(
    config: &Config,
    of: &str,
    checks: &[(String, Check)],
    tally: &mut Tally,
    more: impl FnOnce(&Vm, &mut Tally),
) {
    let mut vm = match Vm::boot(config) {
        Ok(vm) => vm,
        Err(e) => return tally.failed(PART, &format!("{of}.boot"), &format!("{e:#}")),
    };
    for (name, check) in checks {
        match check(&vm) {
            Ok(()) => tally.passed(PART, name),
            Err(e) => tally.failed(PART, name, &format!("{e:#}")),
        }
    }
    more(&vm, tally);
    if let Some(first) = vm.console.new_trouble().first() {
        tally.failed(PART, &format!("{of}.console"), first);
    }
}

/// Whether any test of the units may have been asked for.
fn wants_units(args: &TestArgs, release: &str) -> bool {
    args.wants(&format!("{PART}.{release}.units."))
        || args.filter.iter().any(|f| f.contains(".units."))
}

/// The units netmap-tools installed: `packaging/test/units`, each of its lines a result.
fn systemd_units(args: &TestArgs, vm: &Vm, release: &str, tally: &mut Tally) -> Result<()> {
    const SCRIPT: &str = "packaging/test/units";
    modprobe_netmap(vm)?;
    vm.write(
        "/tmp/units",
        &std::fs::read_to_string(checkout().join(SCRIPT)).context(SCRIPT)?,
    )?;
    let mut ktap = KtapReader::explained_after(PART, args.verbose).within(&format!("{release}."));
    let line = format!("bash /tmp/units eth3 {QUEUE} {}", QUEUE + 1);
    let status = vm.stream(&line, |text| ktap.take(text, args, tally))?;
    ktap.end(status, tally);
    Ok(())
}

/// systemd has started all there is.
fn system_is_up(vm: &Vm) -> Result<()> {
    let failed = vm.must("systemctl --failed --plain --no-legend; dpkg --audit")?;
    ensure!(failed.trim().is_empty(), "not well: {failed}");
    Ok(())
}

/// Nobody said modprobe: udev loaded it for the card, from the initrd or later, and it is
/// the one DKMS installed: the kernel marks what is not its own with an O.
pub fn our_driver(vm: &Vm) -> Result<()> {
    let file = vm.must("modinfo -n ixgbe")?;
    ensure!(
        file.contains("/updates/dkms/ixgbe.ko"),
        "modprobe would take {file}"
    );
    vm.must(
        "grep -q O /sys/module/ixgbe/taint && \
         ethtool -i eth3 | grep -q '^driver: ixgbe$' && \
         [ \"$(modinfo -F signer ixgbe)\" = 'DKMS module signing key' ]",
    )?;
    Ok(())
}

pub fn modprobe_netmap(vm: &Vm) -> Result<()> {
    vm.must("modprobe netmap && [ -c /dev/netmap ] && modinfo -n netmap | grep -q /updates/dkms/")?;
    vm.address_ports()?;
    vm.must("ethtool -K eth3 ntuple on")?;
    vm.address_ports()
}

/// A DNS server under a flood: the flood's queue is given to nm_offload, which drops it and
/// puts good queries back; each is answered. Then the queue is the kernel's again.
pub fn main_job(vm: &Vm) -> Result<()> {
    let stage = Stage::new(vm);
    // there is one for each processor
    let processors: u32 = vm.must("nproc")?.trim().parse()?;
    let queue = QUEUE.min(processors.saturating_sub(1));
    if vm.run("pgrep knotd")?.status != 0 {
        services::start(&stage)?;
    }
    stage.card(&format!(
        "gen start flood profile=dnsflood rate=2000 zone={} dst=10.0.3.1",
        services::ZONE
    ))?;
    let offload = stage.start_guest(&format!(
        "nm_offload eth3 {queue} --steer 'udp4 dst-port 53' --drop 'udp dst port 53 and not src net 10.0.0.0/8'"
    ))?;
    offload.wait_for("[+] starting", Duration::from_secs(120))?;
    offload.wait_for("dropped:", Duration::from_secs(60))?;
    let asked = format!(
        "n=0; for i in $(seq {QUERIES}); do kdig +timeout=5 +retry=0 @10.0.3.1 host$i.{} +short | grep -q 192.0.2 && n=$((n+1)); done; echo $n",
        services::ZONE
    );
    let answered = vm.peer.run(&asked)?.ok("asking the server")?;
    let during = vm.must("nmq queue show eth3")?;
    let said = offload.interrupt(Duration::from_secs(60))?;
    stage.card("gen stop flood")?;
    let after = vm.must("nmq queue show eth3")?;
    ensure!(
        answered.trim() == QUERIES.to_string(),
        "{} of {QUERIES} queries answered",
        answered.trim()
    );
    let dropped = said
        .lines()
        .filter_map(|l| l.split("dropped: ").nth(1)?.split_whitespace().next())
        .any(|n| n.parse::<u64>().is_ok_and(|n| n > 0));
    if !dropped {
        bail!("nothing was dropped; nm_offload said:\n{said}");
    }
    ensure!(
        during.contains("netmap") && !after.lines().any(|l| l.contains("nm_offload")),
        "queues meanwhile:\n{during}\nafterwards:\n{after}"
    );
    Ok(())
}

/// udev names the port a moment after the driver has made it.
pub fn wait_for_port(vm: &Vm) -> Result<()> {
    vm.must(
        "for i in $(seq 300); do [ -d /sys/class/net/eth3 ] && exit 0; sleep 0.1; done; \
         echo 'no eth3 after 30 s' >&2; exit 1",
    )?;
    Ok(())
}

/// netmap goes, the driver goes and comes, netmap comes: it works as before.
fn other_order(vm: &Vm) -> Result<()> {
    vm.must("modprobe -r netmap && modprobe -r ixgbe && modprobe ixgbe && modprobe netmap")?;
    wait_for_port(vm)?;
    vm.address_ports()?;
    vm.must("ethtool -K eth3 ntuple on")?;
    vm.address_ports()?;
    main_job(vm)
}
