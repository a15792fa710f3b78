// SPDX-License-Identifier: GPL-2.0
//! A booted guest with its cards and its peer.

use crate::card::{last_lines, Card};
use crate::child::{self, Child, Outcome};
use crate::console::Console;
use crate::machine;
use crate::netns::{guest_address, peer_address, Peer};
use crate::places::{checkout, GuestImage, Scratch};
use crate::qemu::Machine;
use crate::say::progress;
use crate::secure::{Firmware, Trust};
use crate::ssh::Ssh;
use anyhow::{bail, Context, Result};
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

/// What to boot.
#[derive(Debug, Clone)]
pub struct Config {
    /// Kernel release; the current one when absent.
    pub release: Option<String>,
    /// Virtual CPUs.
    pub cpus: u32,
    /// Memory in MiB.
    pub memory: u32,
    /// Emulated cards.
    pub cards: usize,
    /// More arguments for each card's program.
    pub card_args: Vec<String>,
    /// More kernel parameters.
    pub append: String,
    /// Boot an installed system with Secure Boot.
    pub secure_boot: Option<Trust>,
    /// More QEMU arguments (plugins, for example).
    pub qemu_args: Vec<String>,
    /// How long the guest may take to come up.
    pub patience: Duration,
    /// Tell what happens.
    pub verbose: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            release: None,
            cpus: 2,
            memory: 1024,
            cards: 1,
            card_args: Vec::new(),
            append: String::new(),
            secure_boot: None,
            qemu_args: Vec::new(),
            patience: Duration::from_secs(180),
            verbose: true,
        }
    }
}

/// A running guest. Dropping it ends the guest, the cards and the peer.
#[derive(Debug)]
pub struct Vm {
    // Dropped in this order: connection, machine, cards, namespace, files.
    ssh: Ssh,
    qemu: Child,
    cards: Vec<Card>,
    /// The peer at the other end of the wires.
    pub peer: Peer,
    /// The guest's console.
    pub console: Console,
    scratch: Scratch,
    release: String,
}

/// Which modules to load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Drivers {
    /// Neither.
    None,
    /// The patched ixgbe alone.
    Ixgbe,
    /// netmap.ko, then the patched ixgbe.
    Both,
    /// The distribution's own ixgbe.
    Stock,
}

/// The kernel panicked before any module of ours was there. It is rare, and the emulated processors'
/// doing (an address in the middle of an instruction that the kernel has just patched).
#[derive(Debug)]
struct EarlyPanic;

impl std::fmt::Display for EarlyPanic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the guest's kernel panicked before any module was loaded")
    }
}

impl Vm {
    /// Start cards, peer and guest, and wait until commands can be run in it.
    ///
    /// # Errors
    /// When a part is missing (with the command that makes it), or the guest does not
    /// come up in time (with the last console lines).
    pub fn boot(config: &Config) -> Result<Self> {
        Self::boot_once(config).or_else(|e| {
            if !e.is::<EarlyPanic>() {
                return Err(e);
            }
            progress(&format!("{e:#}\nonce more"));
            Self::boot_once(config)
        })
    }

    fn boot_once(config: &Config) -> Result<Self> {
        let say = |text: &str| {
            if config.verbose {
                progress(text);
            }
        };
        let image = GuestImage::find(config.release.as_deref())?;
        // An installed system's initrd and services take their time under emulation.
        let slower = if image.append.is_some() { 5 } else { 1 };
        let config = &Config {
            patience: config.patience * slower,
            ..config.clone()
        };
        let scratch = Scratch::new("vm")?;
        let peer = Peer::new(config.cards)?;
        let mut cards = Vec::new();
        for n in 0..config.cards {
            cards.push(Card::start(n, &peer, &scratch, &config.card_args)?);
        }
        let payload = scratch.join("payload.ext4");
        let script = checkout().join("tools/guest/payload");
        child::output(Command::new(&script).arg(&payload).arg(&image.release))?
            .ok("tools/guest/payload")?;

        let parameters = image.parameters(&config.append);
        let firmware = match config.secure_boot {
            Some(trust) => Some(Firmware::new(&image, trust, &parameters, &scratch)?),
            None => None,
        };

        say(&format!(
            "booting {} with {} vCPU, {} MiB, {} card(s){}",
            image.release,
            config.cpus,
            config.memory,
            config.cards,
            firmware.as_ref().map_or("", |_| ", Secure Boot")
        ));
        let mut last_error = None;
        for attempt in 0..3 {
            let mut console = Console::new(scratch.join("console.log"));
            let ssh_port = free_port()?;
            let (monitor, to_machine) = (scratch.join("qmp.sock"), scratch.join("machine.sock"));
            let mut command = Machine {
                image: &image,
                payload: &payload,
                cpus: config.cpus,
                memory: config.memory,
                ssh_port,
                console: console.path(),
                cards: cards
                    .iter()
                    .map(|c| (c.vfio_socket().to_path_buf(), c.ctl_socket().to_path_buf()))
                    .collect(),
                monitor: &monitor,
                machine: &to_machine,
                parameters: &parameters,
                firmware: firmware.as_ref(),
                extra: &config.qemu_args,
            }
            .command();
            let log = scratch.join("qemu.log");
            let mut qemu = Child::spawn("qemu-system-x86_64", &mut command, &log)?;
            match wait_ready(&mut qemu, &console, config, &say) {
                Ok(()) => {
                    let ssh =
                        Ssh::connect(ssh_port, &image.ssh_key, &scratch, Duration::from_secs(60))?;
                    machine::serve(&monitor, &to_machine)?;
                    say("guest is up");
                    for line in console.new_trouble() {
                        say(&format!("guest kernel: {line}"));
                    }
                    let release = image.release;
                    return Ok(Self {
                        ssh,
                        qemu,
                        cards,
                        peer,
                        console,
                        scratch,
                        release,
                    });
                }
                Err(e) => {
                    let said = last_lines(&log, 10);
                    // The port was free a moment ago; somebody else was quicker.
                    if said.contains("Could not set up host forwarding") && attempt < 2 {
                        last_error = Some(e);
                        continue;
                    }
                    let e = match said.as_str() {
                        "" => e,
                        _ => e.context(format!("QEMU says:\n{said}")),
                    };
                    // An installed system loads our modules while it boots.
                    let early =
                        image.append.is_none() && console.line_with("Kernel panic").is_some();
                    return Err(if early { e.context(EarlyPanic) } else { e });
                }
            }
        }
        Err(last_error.unwrap_or_else(|| anyhow::anyhow!("the guest could not be started")))
    }

    /// Kernel release of the guest.
    pub fn release(&self) -> &str {
        &self.release
    }

    /// Run a shell line in the guest.
    ///
    /// # Errors
    /// When the connection to the guest is lost; the line's own failure is in the outcome.
    pub fn run(&self, line: &str) -> Result<Outcome> {
        let outcome = self.ssh.run(line)?;
        if outcome.status == 255 && outcome.stdout.is_empty() {
            bail!(
                "lost the guest while running '{line}'; last console lines:\n{}",
                self.last_console(15)
            );
        }
        Ok(outcome)
    }

    /// Run a shell line in the guest that must succeed; returns what it printed.
    ///
    /// # Errors
    /// When it fails, with its message.
    pub fn must(&self, line: &str) -> Result<String> {
        self.run(line)?.ok(line)
    }

    /// Run a shell line, handing over each line of output as it comes.
    ///
    /// # Errors
    /// As [`Ssh::stream`].
    pub fn stream(&self, line: &str, each: impl FnMut(&str)) -> Result<i32> {
        self.ssh.stream(line, each)
    }

    /// Write a file in the guest.
    ///
    /// # Errors
    /// When it can't be written there.
    pub fn write(&self, path: &str, content: &str) -> Result<()> {
        self.ssh.write(path, content)
    }

    /// Start a shell line in the guest that goes on while others run, its output in `log`.
    ///
    /// # Errors
    /// As [`Ssh::spawn`].
    pub fn spawn(&self, name: &str, line: &str, log: &std::path::Path) -> Result<Child> {
        self.ssh.spawn(name, line, log)
    }

    /// The ssh connection, for the rest.
    pub fn ssh(&mut self) -> &mut Ssh {
        &mut self.ssh
    }

    /// A control command to the first card.
    ///
    /// # Errors
    /// As [`Card::ctl`].
    pub fn ctl(&self, request: &str) -> Result<Vec<String>> {
        self.card()?.ctl(request)
    }

    /// The first card.
    ///
    /// # Errors
    /// When the guest was booted without one.
    pub fn card(&self) -> Result<&Card> {
        self.cards
            .first()
            .context("this guest was booted without a card")
    }

    /// All cards.
    pub fn cards(&self) -> &[Card] {
        &self.cards
    }

    /// A file in this run's scratch folder.
    pub fn scratch_file(&self, name: &str) -> std::path::PathBuf {
        self.scratch.join(name)
    }

    /// Process id of QEMU (for CPU accounting).
    pub fn qemu_pid(&self) -> u32 {
        self.qemu.pid()
    }

    /// Load the modules and give the cards' ports their addresses.
    ///
    /// # Errors
    /// When a module is missing or refused, or a port does not come up.
    pub fn load(&self, drivers: Drivers) -> Result<()> {
        let insmod = match drivers {
            Drivers::None => return Ok(()),
            Drivers::Ixgbe => "insmod /opt/netmap/modules/ixgbe.ko",
            Drivers::Both => {
                "insmod /opt/netmap/modules/netmap.ko && insmod /opt/netmap/modules/ixgbe.ko"
            }
            Drivers::Stock => "modprobe ixgbe",
        };
        self.must(insmod)?;
        self.address_ports()
    }

    /// Give the cards' ports their addresses and wait for their links.
    ///
    /// # Errors
    /// When a port is not there or its link does not come up.
    pub fn address_ports(&self) -> Result<()> {
        for n in 0..self.cards.len() {
            let port = format!("eth{}", 3 + n);
            let wait = format!(
                "ip link set {port} up && ip addr replace {}/24 dev {port} || exit 1; \
                 for i in $(seq 300); do [ \"$(cat /sys/class/net/{port}/carrier 2>/dev/null)\" = 1 ] && exit 0; sleep 0.1; done; \
                 echo '{port}: no carrier after 30 s' >&2; exit 1",
                guest_address(n)
            );
            self.run(&wait)?.ok(&format!("bringing up {port}"))?;
        }
        // Answers to anybody leave by the first card, as on a host whose uplink it is.
        if !self.cards.is_empty() {
            self.must(&format!("ip route replace default via {}", peer_address(0)))?;
        }
        Ok(())
    }

    /// Whether the machine still runs.
    pub fn alive(&mut self) -> bool {
        matches!(self.qemu.ended(), Ok(None)) && self.ssh.alive()
    }

    /// Whether the machine ends within `patience`.
    pub fn ends(&mut self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        while matches!(self.qemu.ended(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(50));
        }
        matches!(self.qemu.ended(), Ok(Some(_)))
    }

    /// The last console lines, indented.
    pub fn last_console(&self, n: usize) -> String {
        last_lines(self.console.path(), n)
    }
}

fn wait_ready(
    qemu: &mut Child,
    console: &Console,
    config: &Config,
    say: &dyn Fn(&str),
) -> Result<()> {
    let start = Instant::now();
    let mut told = 0;
    loop {
        if console.line_with("nm-guest: ready").is_some() {
            return Ok(());
        }
        if let Some(line) = console.line_with("nm-guest: failed") {
            bail!(
                "the guest did not come up: {line}\n{}",
                last_lines(console.path(), 15)
            );
        }
        if let Some(status) = qemu.ended()? {
            let lines = last_lines(console.path(), 15);
            bail!("QEMU ended with status {status} before the guest was up; last console lines:\n{lines}");
        }
        let waited = start.elapsed();
        if waited > config.patience {
            bail!(
                "the guest is not up after {} s; last console lines:\n{}",
                waited.as_secs(),
                last_lines(console.path(), 15)
            );
        }
        if waited.as_secs() / 10 > told {
            told = waited.as_secs() / 10;
            let text = console.text();
            let last = text
                .lines()
                .last()
                .unwrap_or("(nothing on the console yet)");
            say(&format!("… {} s: {}", waited.as_secs(), last.trim()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port on 127.0.0.1")?;
    Ok(listener.local_addr()?.port())
}
