// SPDX-License-Identifier: GPL-2.0
//! One boot: the emulated card and QEMU with the counting plugin, until the guest is done.

use crate::initramfs::Archive;
use crate::places::Places;
use anyhow::{bail, Context, Result};
use lab::child::Child;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Kernel command line: plain addresses, and the card's registers open to init.
const COMMAND_LINE: &str = "console=ttyS0 quiet nokaslr iomem=relaxed panic=-1";

/// The driver of the card.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// No driver and no card: only the counting itself is checked.
    None,
    /// The kernel's own, without netmap.
    Stock,
    /// Ours, with netmap.
    Hooked,
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Driver::None => "no card",
            Driver::Stock => "the kernel's own ixgbe",
            Driver::Hooked => "our ixgbe and netmap",
        })
    }
}

/// What is booted.
pub struct Setup<'a> {
    /// Where everything is.
    pub places: &'a Places,
    /// The guest's file system, from [`archive`].
    pub archive: &'a [u8],
    /// Whose driver is loaded; without one there is no card either.
    pub driver: Driver,
    /// How long the guest may take.
    pub limit: Duration,
}

/// What a boot leaves behind.
pub struct Outcome {
    /// The guest's report.
    pub report: String,
    /// The plugin's records.
    pub counts: String,
}

/// Boot in `folder`, and show each line of the report that `show` accepts.
pub fn boot(setup: &Setup, folder: &Path, mut show: impl FnMut(&str)) -> Result<Outcome> {
    let at = |name: &str| folder.join(name);
    let initrd = at("initrd");
    fs::write(&initrd, setup.archive).context("write the initrd")?;
    for stale in ["nic.sock", "ctl.sock", "report", "counts"] {
        let _ = fs::remove_file(at(stale));
    }

    let start = Instant::now();
    let _card = match setup.driver {
        Driver::None => None,
        _ => Some(start_card(setup.places, folder)?),
    };
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args(arguments(setup, folder, &initrd)?);
    let mut qemu = Child::spawn("QEMU", &mut qemu, &at("qemu.log"))?;
    let mut shown = 0;
    loop {
        let ended = qemu.ended()?;
        let report = fs::read_to_string(at("report")).unwrap_or_default();
        let whole = report.rfind('\n').map_or(0, |end| end + 1);
        for line in report.get(shown..whole).unwrap_or("").lines() {
            show(line);
        }
        shown = whole;
        if let Some(status) = ended {
            if !report.lines().any(|line| line == "done") {
                bail!("the guest ended early ({status})\n{}", logs(folder));
            }
            let counts = fs::read_to_string(at("counts")).context("read the plugin's records")?;
            return Ok(Outcome { report, counts });
        }
        if start.elapsed() > setup.limit {
            let limit = setup.limit.as_secs();
            bail!("the guest is not done after {limit} s\n{}", logs(folder));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// The last lines of everything that was logged.
pub fn logs(folder: &Path) -> String {
    let mut text = String::new();
    for name in ["console.log", "qemu.log", "card.log"] {
        let log = fs::read(folder.join(name)).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        for line in &lines[lines.len().saturating_sub(15)..] {
            text.push_str(&format!("  {name}: {}\n", line.trim_end()));
        }
    }
    text
}

/// Start the emulated card and wait until it can be reached.
fn start_card(places: &Places, folder: &Path) -> Result<Child> {
    let (socket, control) = (folder.join("nic.sock"), folder.join("ctl.sock"));
    let mut command = Command::new(places.program("nic82599")?);
    command
        .arg("--bench")
        .arg("--socket")
        .arg(&socket)
        .arg("--ctl")
        .arg(&control);
    let mut card = Child::spawn("nic82599", &mut command, &folder.join("card.log"))?;
    let start = Instant::now();
    while !(socket.exists() && control.exists()) {
        if card.ended()?.is_some() || start.elapsed() > Duration::from_secs(10) {
            bail!("nic82599 did not start\n{}", logs(folder));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(card)
}

/// The guest's file system, with a plan of lines `CASE BURST BURSTS SLOTS`.
pub fn archive(places: &Places, driver: Driver, plan: &str) -> Result<Vec<u8>> {
    let mut archive = Archive::new();
    archive.program("init", &places.program("bench-guest")?)?;
    let mut order = String::new();
    let mut modules = Vec::new();
    if driver != Driver::None {
        modules = places.stock_modules()?;
    }
    match driver {
        Driver::None => {}
        Driver::Stock => modules.push(places.stock_module("ixgbe")?),
        Driver::Hooked => {
            for name in ["netmap", "ixgbe"] {
                modules.push((format!("{name}.ko"), fs::read(places.own_module(name)?)?));
            }
            if plan.contains("offload") {
                archive.program("bin/nm_offload", &places.program("nm_offload")?)?;
            }
        }
    }
    for (name, content) in modules {
        archive.file(&format!("modules/{name}"), &content);
        order.push_str(&name);
        order.push('\n');
    }
    archive.file("modules/order", order.as_bytes());
    archive.file("plan", plan.as_bytes());
    Ok(archive.finish())
}

/// QEMU's arguments.
fn arguments(setup: &Setup, folder: &Path, initrd: &Path) -> Result<Vec<String>> {
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    let nic = format!(
        concat!(
            r#"{{"driver":"vfio-user-pci","socket":{{"path":"{}","type":"unix"}},"#,
            r#""bus":"rp0","x-msg-timeout":60000}}"#
        ),
        path("nic.sock")
    );
    let plugin = text(setup.places.program("libicount.so")?);
    let mut list: Vec<String> = [
        "-nodefaults",
        "-no-user-config",
        "-machine",
        "q35,memory-backend=ram0",
        "-accel",
        "tcg,thread=multi",
        "-cpu",
        "max",
        "-smp",
        "1",
        "-m",
        "1G",
        "-object",
        "memory-backend-memfd,id=ram0,size=1G,share=on",
        "-display",
        "none",
        "-monitor",
        "none",
        "-no-reboot",
        "-device",
        "pcie-root-port,id=rp0,chassis=1",
        "-device",
        "virtio-serial-pci",
    ]
    .map(String::from)
    .to_vec();
    for (option, value) in [
        ("-kernel", text(setup.places.kernel()?)),
        ("-initrd", text(initrd.to_owned())),
        ("-append", COMMAND_LINE.to_owned()),
        ("-serial", format!("file:{}", path("console.log"))),
        (
            "-chardev",
            format!("file,id=report,path={}", path("report")),
        ),
        (
            "-device",
            "virtserialport,chardev=report,name=bench.log".to_owned(),
        ),
        ("-plugin", format!("{plugin},out={}", path("counts"))),
    ] {
        list.push(option.to_owned());
        list.push(value);
    }
    if setup.driver != Driver::None {
        for (option, value) in [
            ("-device", nic),
            (
                "-chardev",
                format!("socket,id=ctl,path={}", path("ctl.sock")),
            ),
            (
                "-device",
                "virtserialport,chardev=ctl,name=nic.ctl".to_owned(),
            ),
        ] {
            list.push(option.to_owned());
            list.push(value);
        }
    }
    Ok(list)
}
