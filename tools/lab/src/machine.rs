// SPDX-License-Identifier: GPL-2.0
//! What a guest may ask of the machine it runs in: that somebody presses the button of a card's
//! slot, that it is woken from sleep. A test in the guest needs these; only QEMU can do them.
//!
//! The guest's end is the virtio-serial port `machine.ctl`, with the card's manners: a line asks,
//! `ok` or `err TEXT` answers. A thread here turns each line into a command of QEMU's monitor
//! (QMP), which the guest never sees: it reaches the host's files.
//!
//! | line | effect |
//! |---|---|
//! | `press N` | presses the attention button of card N's slot: 5 s later the guest's kernel lets go of the card, or, if it has done so, takes it up again |
//! | `wake MS` | ends the guest's sleep (S3) in so many milliseconds; answered at once |
//!
//! The card never leaves QEMU, which (11.1) fails an assertion when a vfio-user device goes. A
//! press is the beginning of `device_del`; it would end when the guest switches the slot's
//! power off, but the slots have no power switch.

use anyhow::{bail, Context, Result};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Name of the guest's port.
pub const PORT: &str = "machine.ctl";
/// How long QEMU may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Serve the guest until it ends.
///
/// # Errors
/// When QEMU's sockets can't be reached.
pub fn serve(monitor: &Path, guest: &Path) -> Result<()> {
    let mut monitor = Monitor::connect(monitor)?;
    let guest = UnixStream::connect(guest).context("QEMU's end of machine.ctl")?;
    let mut answers = guest.try_clone()?;
    std::thread::spawn(move || {
        for line in BufReader::new(guest).lines().map_while(Result::ok) {
            let answer = match ask(&mut monitor, &line) {
                Ok(()) => "ok\n".to_string(),
                Err(e) => format!("err {}\n", format!("{e:#}").replace('\n', " ")),
            };
            if answers.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    });
    Ok(())
}

fn ask(monitor: &mut Monitor, line: &str) -> Result<()> {
    let mut words = line.split_whitespace();
    let (what, number) = (words.next().unwrap_or(""), words.next());
    let number: u32 = number.context("a number is missing")?.parse()?;
    match what {
        "press" => monitor.execute("device_del", &format!("{{\"id\":\"nic{number}\"}}")),
        // In advance: asleep, the guest can ask for nothing.
        "wake" => monitor.wake_in(Duration::from_millis(number.into())),
        other => bail!("no request '{other}'"),
    }
}

/// QEMU's monitor: one JSON object per line, either way.
struct Monitor {
    to: UnixStream,
    from: BufReader<UnixStream>,
    /// What has come of the next line.
    partial: String,
    /// Number of the last command.
    last: u64,
}

impl Monitor {
    fn connect(path: &Path) -> Result<Self> {
        let to = UnixStream::connect(path).context("QEMU's monitor")?;
        to.set_read_timeout(Some(Duration::from_secs(1)))?;
        let from = BufReader::new(to.try_clone()?);
        let mut monitor = Self {
            to,
            from,
            partial: String::new(),
            last: 0,
        };
        monitor.execute("qmp_capabilities", "{}")?;
        Ok(monitor)
    }

    /// One command and its answer; events, and answers nobody waited for, may come first.
    fn execute(&mut self, command: &str, arguments: &str) -> Result<()> {
        self.last += 1;
        let id = self.last;
        writeln!(
            self.to,
            "{{\"execute\":\"{command}\",\"arguments\":{arguments},\"id\":{id}}}"
        )?;
        let until = Instant::now() + PATIENCE;
        loop {
            let line = self.line()?.unwrap_or_default();
            match answers(&line, id) {
                true if line.contains("\"error\": {") => bail!("{command}: {}", line.trim()),
                true => return Ok(()),
                false if Instant::now() > until => bail!("{command}: QEMU does not answer"),
                false => {}
            }
        }
    }

    /// The next line; `None` when none has come for a second.
    fn line(&mut self) -> Result<Option<String>> {
        match self.from.read_line(&mut self.partial) {
            Ok(0) => bail!("QEMU has ended"),
            Ok(_) => Ok(Some(std::mem::take(&mut self.partial))),
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// On the connection's clone, so that the guest's other requests need not wait.
    fn wake_in(&self, after: Duration) -> Result<()> {
        let mut to = self.to.try_clone()?;
        std::thread::spawn(move || {
            std::thread::sleep(after);
            // Without an id: whoever asks next passes over the answer.
            let _ = writeln!(to, "{{\"execute\":\"system_wakeup\"}}");
        });
        Ok(())
    }
}

/// Whether `line` answers command `id`.
fn answers(line: &str, id: u64) -> bool {
    [',', '}']
        .iter()
        .any(|end| line.contains(&format!("\"id\": {id}{end}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_told_from_events_and_other_answers() {
        assert!(answers(r#"{"return": {}, "id": 4}"#, 4));
        assert!(answers(
            r#"{"id": 4, "error": {"class": "GenericError"}}"#,
            4
        ));
        assert!(!answers(r#"{"return": {}, "id": 41}"#, 4));
        assert!(!answers(r#"{"return": {}}"#, 4));
        assert!(!answers(r#"{"event": "WAKEUP", "data": {"n": 4}}"#, 4));
    }
}
