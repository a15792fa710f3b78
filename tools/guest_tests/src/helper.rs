// SPDX-License-Identifier: GPL-2.0
//! Second programs: parts ([`crate::parts`]) this binary plays in another process, because a
//! test needs two programs, one that is killed, or one without rights.
//!
//! A part prints lines; the test reads them.  It ends when its standard input
//! is closed, which also happens when the test dies.

use crate::deep::patience;
use anyhow::{bail, Context, Result};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{channel, Receiver};
use std::time::{Duration, Instant};

/// A part being played in another process.
pub struct Helper {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    forked: bool,
}

impl Helper {
    pub fn start(part: &[&str]) -> Result<Helper> {
        Helper::start_as(part, None)
    }

    /// As another user, with no supplementary groups.
    pub fn start_as(part: &[&str], uid: Option<u32>) -> Result<Helper> {
        let mut cmd = Command::new(std::env::current_exe()?);
        cmd.arg("--helper").args(part);
        if let Some(uid) = uid {
            cmd.uid(uid).gid(uid);
        }
        Helper::spawn(cmd)
    }

    /// Another program of this repository.
    pub fn program(name: &str, args: &[&str]) -> Result<Helper> {
        let mut cmd = Command::new(name);
        cmd.args(args);
        Helper::spawn(cmd)
    }

    fn spawn(mut cmd: Command) -> Result<Helper> {
        cmd.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = cmd.spawn().with_context(|| format!("start {cmd:?}"))?;
        let out = child.stdout.take().context("no standard output")?;
        let (tx, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if tx.send(line).is_err() {
                    return;
                }
            }
        });
        let stdin = child.stdin.take();
        Ok(Helper {
            child,
            stdin,
            lines,
            forked: false,
        })
    }

    /// The next line the part prints.
    pub fn line(&self, limit: Duration) -> Result<String> {
        match self.lines.recv_timeout(limit) {
            Ok(line) => Ok(line),
            Err(_) => bail!("helper said nothing within {limit:?}"),
        }
    }

    /// Waits for a line that contains `text`.
    pub fn line_with(&self, text: &str) -> Result<String> {
        let mut seen = Vec::new();
        loop {
            let line = self.line(Duration::from_secs(15));
            match line.with_context(|| format!("no line with '{text}', only {seen:?}"))? {
                line if line.contains(text) => return Ok(line),
                other => seen.push(other),
            }
        }
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: a child that was not waited for yet.
        unsafe { libc::kill(self.child.id() as i32, signal) };
    }

    /// Sends a signal; the exit code once it has ended.
    pub fn ended_by(mut self, signal: i32) -> Result<Option<i32>> {
        self.signal(signal);
        Ok(self.child.wait()?.code())
    }

    /// A line to the part's standard input.
    pub fn tell(&mut self, line: &str) -> Result<()> {
        let stdin = self
            .stdin
            .as_mut()
            .context("its standard input is closed")?;
        Ok(writeln!(stdin, "{line}")?)
    }

    /// Waits for the line "ready".
    pub fn ready(&self) -> Result<()> {
        match self.line(Duration::from_secs(10))?.as_str() {
            "ready" => Ok(()),
            other => bail!("helper: {other}"),
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and wait until it is gone.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Waits until it has ended, whatever way that is.
    pub fn gone(&mut self, limit: Duration) -> Result<()> {
        let end = Instant::now() + patience(limit);
        while self.child.try_wait()?.is_none() {
            if Instant::now() > end {
                bail!("process {} is still there", self.pid());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// From now on a child of the part plays it, with the same standard input and output.
    pub fn forked(&mut self) {
        self.forked = true;
    }

    /// Lets it end by itself, and waits for that.
    pub fn end(mut self) -> Result<()> {
        drop(self.stdin.take());
        if self.forked {
            // its standard output ends with it
            while self.lines.recv_timeout(Duration::from_secs(10)).is_ok() {}
            self.child.wait()?;
            return Ok(());
        }
        let status = self.child.wait()?;
        if !status.success() {
            bail!("helper: {status}");
        }
        Ok(())
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
