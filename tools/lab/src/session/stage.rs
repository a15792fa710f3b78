// SPDX-License-Identifier: GPL-2.0
//! Commands shown as a person types them: prompt, command, what it printed.

use crate::child::Child;
use crate::tests::line;
use crate::vm::Vm;
use anyhow::{bail, Result};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The guest, the peer and the card, with an audience.
#[derive(Debug)]
pub struct Stage<'a> {
    /// The guest.
    pub vm: &'a Vm,
}

impl<'a> Stage<'a> {
    /// A stage on `vm`.
    pub fn new(vm: &'a Vm) -> Self {
        Self { vm }
    }

    /// Say what comes now.
    pub fn heading(&self, text: &str) {
        line(&format!("\n== {text}"));
    }

    /// Type a line in the guest; it must succeed.
    pub fn guest(&self, text: &str) -> Result<String> {
        line(&format!("guest# {text}"));
        let outcome = self.vm.run(text)?;
        show(&outcome.stdout);
        show(&outcome.stderr);
        outcome.ok(text)
    }

    /// A command to the card, as the person at the other end of the wire gives it.
    pub fn card(&self, text: &str) -> Result<()> {
        line(&format!("card#  {text}"));
        for answer in self.vm.ctl(text)? {
            line(&format!("       {answer}"));
        }
        Ok(())
    }

    /// Start a program in the guest that goes on while others run.
    pub fn start_guest(&self, text: &str) -> Result<Running<'a>> {
        line(&format!("guest# {text}"));
        let name = text
            .split_whitespace()
            .next()
            .unwrap_or("program")
            .to_string();
        let log = self.vm.scratch_file(&format!("{name}.log"));
        let pid_file = format!("/run/session-{name}.pid");
        let shell = format!("{{ {text} & }} 2>&1; echo $! > {pid_file}; wait $!");
        let child = self.vm.spawn(&name, &shell, &log)?;
        Ok(Running {
            vm: self.vm,
            child,
            name,
            log,
            pid_file,
            shown: 0.into(),
        })
    }
}

fn show(text: &str) {
    for l in text.lines() {
        line(&format!("       {l}"));
    }
}

/// A program that goes on in the guest.
#[derive(Debug)]
pub struct Running<'a> {
    vm: &'a Vm,
    child: Child,
    name: String,
    log: PathBuf,
    pid_file: String,
    shown: std::cell::Cell<usize>,
}

impl Running<'_> {
    fn text(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Print what it has said since the last call.
    pub fn show_new(&self) {
        let text = self.text();
        let end = text.rfind('\n').map_or(0, |n| n + 1);
        if let Some(new) = text.get(self.shown.get()..end) {
            show(new);
        }
        self.shown.set(end.max(self.shown.get()));
    }

    /// Wait until it has said `mark`.
    pub fn wait_for(&self, mark: &str, patience: Duration) -> Result<()> {
        let until = Instant::now() + patience;
        while !self.text().contains(mark) {
            if Instant::now() > until {
                bail!(
                    "{} has not said '{mark}' after {} s; it said:\n{}",
                    self.name,
                    patience.as_secs(),
                    self.text()
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        self.show_new();
        Ok(())
    }

    /// Ctrl-C; wait for its end; all it has said. Its status must be 0.
    pub fn interrupt(mut self, patience: Duration) -> Result<String> {
        line("       ^C");
        self.vm
            .must(&format!("kill -INT $(cat {})", self.pid_file))?;
        let until = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.ended()? {
                self.show_new();
                if status != 0 {
                    bail!("{} ended with status {status}", self.name);
                }
                return Ok(self.text());
            }
            if Instant::now() > until {
                bail!("{} does not end after SIGINT", self.name);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
