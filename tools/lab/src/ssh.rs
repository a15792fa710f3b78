// SPDX-License-Identifier: GPL-2.0
//! Commands in the guest over ssh. One master connection is opened; each command is a
//! session of it, which spares the key exchange (slow under emulation).

use crate::child::{self, Child, Outcome};
use crate::places::Scratch;
use anyhow::{bail, Context, Result};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// An open master connection.
#[derive(Debug)]
pub struct Ssh {
    master: Child,
    socket: PathBuf,
    port: u16,
    key: PathBuf,
}

impl Ssh {
    /// Connect to the guest behind 127.0.0.1:`port`.
    ///
    /// # Errors
    /// When it does not answer within `patience`.
    pub fn connect(port: u16, key: &Path, scratch: &Scratch, patience: Duration) -> Result<Self> {
        let socket = scratch.join("ssh");
        let log = scratch.join("ssh.log");
        let until = Instant::now() + patience;
        loop {
            let mut command = base_command(port, key);
            command
                .args(["-M", "-N", "-S"])
                .arg(&socket)
                .arg("root@127.0.0.1");
            let mut master = Child::spawn("ssh", &mut command, &log)?;
            while master.ended()?.is_none() {
                if socket.exists() {
                    return Ok(Self {
                        master,
                        socket,
                        port,
                        key: key.to_path_buf(),
                    });
                }
                if Instant::now() > until {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            if Instant::now() > until {
                bail!(
                    "the guest's sshd does not answer:\n{}",
                    crate::card::last_lines(&log, 5)
                );
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The local ssh command that runs `line` in the guest.
    pub fn command(&self, line: &str) -> Command {
        let mut command = base_command(self.port, &self.key);
        command
            .arg("-S")
            .arg(&self.socket)
            .arg("root@127.0.0.1")
            .arg(line);
        command
    }

    /// Run `line` to its end and collect its output.
    ///
    /// # Errors
    /// When ssh can't be started. The guest's answer, good or bad, is in the outcome;
    /// status 255 means the connection failed.
    pub fn run(&self, line: &str) -> Result<Outcome> {
        child::output(&mut self.command(line))
    }

    /// Run `line`, giving each line of its output (both streams) to `each` as it comes.
    ///
    /// # Errors
    /// When ssh can't be started.
    pub fn stream(&self, line: &str, mut each: impl FnMut(&str)) -> Result<i32> {
        let mut command = self.command(&format!("{{ {line}\n}} 2>&1"));
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = Child::start("ssh", &mut command)?;
        if let Some(out) = child.take_stdout() {
            let mut reader = BufReader::new(out);
            let mut raw = Vec::new();
            while reader.read_until(b'\n', &mut raw)? > 0 {
                each(String::from_utf8_lossy(&raw).trim_end_matches(['\n', '\r']));
                raw.clear();
            }
        }
        child.wait()
    }

    /// Start `line` in the guest; its output (both streams) goes to `log`. Stopping the
    /// child ends the connection, not the program; stop that by its own means.
    ///
    /// # Errors
    /// When ssh can't be started.
    pub fn spawn(&self, name: &str, line: &str, log: &Path) -> Result<Child> {
        Child::spawn(name, &mut self.command(line), log)
    }

    /// Write a file in the guest, with the folders it needs.
    ///
    /// # Errors
    /// When it can't be written there.
    pub fn write(&self, path: &str, content: &str) -> Result<()> {
        let line = format!("mkdir -p \"$(dirname '{path}')\" && cat > '{path}'");
        let mut command = self.command(&line);
        let mut child = child::die_with_parent(command.stdin(Stdio::piped()))
            .spawn()
            .context("cannot run ssh")?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(content.as_bytes())?;
        }
        if !child.wait()?.success() {
            bail!("cannot write {path} in the guest");
        }
        Ok(())
    }

    /// A shell, or `line`, on the caller's terminal.
    ///
    /// # Errors
    /// When ssh can't be started.
    pub fn interactive(&self, line: Option<&str>) -> Result<i32> {
        let mut command = base_command(self.port, &self.key);
        command
            .arg("-t")
            .arg("-S")
            .arg(&self.socket)
            .arg("root@127.0.0.1");
        if let Some(line) = line {
            command.arg(line);
        }
        Child::start("ssh", &mut command)?.wait()
    }

    /// Whether the master connection still stands.
    pub fn alive(&mut self) -> bool {
        matches!(self.master.ended(), Ok(None))
    }
}

fn base_command(port: u16, key: &Path) -> Command {
    let mut command = Command::new("ssh");
    command
        .args(["-F", "/dev/null", "-q", "-i"])
        .arg(key)
        .args(["-p", &port.to_string()])
        .args([
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
        ])
        .args([
            "-o",
            "BatchMode=yes",
            "-o",
            "ConnectTimeout=10",
            "-o",
            "ServerAliveInterval=0",
        ]);
    command
}
