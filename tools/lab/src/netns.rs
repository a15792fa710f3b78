// SPDX-License-Identifier: GPL-2.0
//! The peer: a network namespace of this run alone, with one tap per card in it. The
//! card's wire is the tap; what is sent into the tap arrives at the card.

use crate::child::{self, Child, Outcome};
use anyhow::{bail, Context, Result};
use std::path::Path;
use std::process::Command;

/// The peer's address on the wire of card `n`.
pub fn peer_address(n: usize) -> String {
    format!("10.0.{}.2", 3 + n)
}

/// The guest's address on the wire of card `n`.
pub fn guest_address(n: usize) -> String {
    format!("10.0.{}.1", 3 + n)
}

/// The peer's MAC address on the wire of card `n`.
pub fn peer_mac(n: usize) -> String {
    format!("02:00:00:00:{:02x}:02", 3 + n)
}

/// The MAC address of card `n`.
pub fn card_mac(n: usize) -> String {
    format!("a0:36:9f:82:59:{:02x}", 0x90 + n * 0x10)
}

/// Name of the tap of card `n`.
pub fn wire_name(n: usize) -> String {
    format!("wire{n}")
}

/// A named network namespace, removed when dropped.
#[derive(Debug)]
pub struct Peer {
    name: String,
}

impl Peer {
    /// Make the namespace with `wires` taps, addressed and up.
    ///
    /// # Errors
    /// When namespaces or taps are not available here (no root, no /dev/net/tun).
    pub fn new(wires: usize) -> Result<Self> {
        if !Path::new("/dev/net/tun").exists() {
            bail!("no /dev/net/tun: the peer's wire is a tap; load the 'tun' module on this host");
        }
        let name = format!("nm-{}", crate::places::run_tag());
        let made = child::output(Command::new("ip").args(["netns", "add", &name]))?;
        made.ok("ip netns add")
            .context("cannot make the peer's network namespace (root is needed)")?;
        let peer = Peer { name };
        peer.ip(&["link", "set", "lo", "up"])?;
        for n in 0..wires {
            let wire = wire_name(n);
            peer.ip(&["tuntap", "add", &wire, "mode", "tap"])?;
            peer.ip(&[
                "link",
                "set",
                &wire,
                "address",
                &peer_mac(n),
                "txqueuelen",
                "10000",
            ])?;
            peer.run(&format!(
                "echo 1 > /proc/sys/net/ipv6/conf/{wire}/disable_ipv6"
            ))?
            .ok("disable IPv6")?;
            peer.ip(&[
                "addr",
                "add",
                &format!("{}/24", peer_address(n)),
                "dev",
                &wire,
            ])?;
            peer.ip(&["link", "set", &wire, "up"])?;
        }
        Ok(peer)
    }

    fn ip(&self, args: &[&str]) -> Result<()> {
        let mut all = vec!["-n", self.name.as_str()];
        all.extend_from_slice(args);
        child::output(Command::new("ip").args(&all))?.ok(&format!("ip {}", all.join(" ")))?;
        Ok(())
    }

    /// A command that runs `program` in the namespace once it is started.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    fn shell(&self, line: &str) -> Command {
        let mut command = self.command(Path::new("/bin/bash"));
        command.args(["-c", line]);
        command
    }

    /// Run a shell line there to its end.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn run(&self, line: &str) -> Result<Outcome> {
        child::output(&mut self.shell(line))
    }

    /// Start a shell line there; its output goes to `log`. Begin the line with `exec`
    /// when it is one program, so that stopping the child stops the program.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn spawn(&self, name: &str, line: &str, log: &Path) -> Result<Child> {
        Child::spawn(name, &mut self.shell(line), log)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Processes in it have ended before (they are children of the lab); what can
        // still fail here is undone when the mount namespace of this run goes away.
        let _ = child::output(Command::new("ip").args(["netns", "del", &self.name]));
    }
}
