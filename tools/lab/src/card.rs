// SPDX-License-Identifier: GPL-2.0
//! One emulated card: its process and its control socket (one line asked, lines answered,
//! `ok` or `err TEXT` at the end).

use crate::child::Child;
use crate::netns::{card_mac, wire_name, Peer};
use crate::places::{built_program, Scratch};
use anyhow::{bail, Context, Result};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A running card.
#[derive(Debug)]
pub struct Card {
    process: Child,
    vfio: PathBuf,
    ctl: PathBuf,
    log: PathBuf,
}

impl Card {
    /// Start card `n` with its wire in `peer`'s namespace.
    ///
    /// # Errors
    /// When the program is not built, or ends before it serves its sockets.
    pub fn start(n: usize, peer: &Peer, scratch: &Scratch, extra: &[String]) -> Result<Self> {
        let program = built_program("nic82599")?;
        let vfio = scratch.join(&format!("vfio{n}.sock"));
        let ctl = scratch.join(&format!("ctl{n}.sock"));
        let log = scratch.join(&format!("card{n}.log"));
        let mut command = peer.command(&program);
        command
            .arg("--socket")
            .arg(&vfio)
            .arg("--ctl")
            .arg(&ctl)
            .args(["--wire", &format!("tap:{}", wire_name(n))])
            .args(["--mac", &card_mac(n), "--name", &format!("card{n}")])
            .args(extra);
        let mut process = Child::spawn(&format!("nic82599 (card {n})"), &mut command, &log)?;
        let until = Instant::now() + Duration::from_secs(20);
        while !(vfio.exists() && ctl.exists()) {
            if let Some(status) = process.ended()? {
                bail!(
                    "the emulated card ended with status {status}:\n{}",
                    last_lines(&log, 10)
                );
            }
            if Instant::now() > until {
                bail!(
                    "the emulated card does not serve {}:\n{}",
                    vfio.display(),
                    last_lines(&log, 10)
                );
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(Self {
            process,
            vfio,
            ctl,
            log,
        })
    }

    /// The socket QEMU attaches to.
    pub fn vfio_socket(&self) -> &Path {
        &self.vfio
    }

    /// The control socket.
    pub fn ctl_socket(&self) -> &Path {
        &self.ctl
    }

    /// Its process id (for CPU accounting).
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Send one control command and return its answer's lines.
    ///
    /// # Errors
    /// When the card has ended, or answers `err`.
    pub fn ctl(&self, request: &str) -> Result<Vec<String>> {
        let mut stream = UnixStream::connect(&self.ctl).with_context(|| {
            format!(
                "the emulated card is gone; its last lines:\n{}",
                last_lines(&self.log, 10)
            )
        })?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        writeln!(stream, "{request}")?;
        let mut lines = Vec::new();
        for line in BufReader::new(stream).lines() {
            let line = line.with_context(|| format!("card command '{request}'"))?;
            if line == "ok" {
                return Ok(lines);
            }
            if let Some(text) = line.strip_prefix("err ") {
                bail!("card command '{request}': {text}");
            }
            lines.push(line);
        }
        bail!("card command '{request}': the connection ended before 'ok'")
    }

    /// The card's counters.
    ///
    /// # Errors
    /// As [`Card::ctl`].
    pub fn counts(&self) -> Result<Counts> {
        Ok(Counts::parse(&self.ctl("counts")?))
    }
}

/// Counters as the card gives them: `port.key`, `rxq.N.key`, `txq.N.key`.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    values: BTreeMap<String, u64>,
}

impl Counts {
    /// Parse `port k=v…`, `rxq N k=v…`, `txq N k=v…` lines.
    pub fn parse(lines: &[String]) -> Self {
        let mut values = BTreeMap::new();
        for line in lines {
            let mut words = line.split_whitespace().peekable();
            let Some(kind) = words.next() else { continue };
            let mut prefix = kind.to_string();
            if let Some(number) = words.next_if(|w| !w.contains('=')) {
                prefix = format!("{kind}.{number}");
            }
            for word in words {
                let Some((key, text)) = word.split_once('=') else {
                    continue;
                };
                let value = match text.strip_prefix("0x") {
                    Some(hex) => u64::from_str_radix(hex, 16),
                    None => text.parse(),
                };
                if let Ok(value) = value {
                    values.insert(format!("{prefix}.{key}"), value);
                }
            }
        }
        Self { values }
    }

    /// One counter of the port; 0 when the card does not have it.
    pub fn port(&self, key: &str) -> u64 {
        self.get(&format!("port.{key}"))
    }

    /// One counter of an RX queue.
    pub fn rxq(&self, queue: u32, key: &str) -> u64 {
        self.get(&format!("rxq.{queue}.{key}"))
    }

    /// Numbers of the RX queues listed.
    pub fn rx_queues(&self) -> Vec<u32> {
        let mut queues: Vec<u32> = self
            .values
            .keys()
            .filter_map(|k| k.strip_prefix("rxq.")?.split('.').next()?.parse().ok())
            .collect();
        queues.sort_unstable();
        queues.dedup();
        queues
    }

    fn get(&self, key: &str) -> u64 {
        self.values.get(key).copied().unwrap_or(0)
    }
}

/// The last `n` lines of a log, for error messages.
pub fn last_lines(path: &Path, n: usize) -> String {
    let text = String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(n);
    lines[from..].iter().fold(String::new(), |mut text, line| {
        text.push_str("    ");
        text.push_str(line.trim_end());
        text.push('\n');
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_found_by_kind_number_and_key() {
        let lines: Vec<String> = [
            "port rx_packets=7 rx_missed=1",
            "rxq 4 enabled=1 packets=6 drop_nodesc=2 srrctl=0x10000402",
            "rxq 12 enabled=0 packets=0",
            "txq 0 packets=9",
        ]
        .iter()
        .map(ToString::to_string)
        .collect();
        let counts = Counts::parse(&lines);
        assert_eq!(counts.port("rx_packets"), 7);
        assert_eq!(counts.rxq(4, "drop_nodesc"), 2);
        assert_eq!(counts.rxq(4, "srrctl"), 0x1000_0402);
        assert_eq!(counts.rxq(5, "packets"), 0);
        assert_eq!(counts.rx_queues(), [4, 12]);
    }
}
