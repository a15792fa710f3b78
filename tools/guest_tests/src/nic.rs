// SPDX-License-Identifier: GPL-2.0
//! The emulated card's control channel, as the guest sees it: what arrives
//! from the wire, and the counts the card itself keeps.
//!
//! The counts are the card's, not the driver's: "nothing was lost" is read
//! where it would be lost.

use crate::fd::poll_fd;
use crate::frame;
use anyhow::{anyhow, bail, Context, Result};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

/// The virtio-serial port of the first card, and of the second; one process at a
/// time can hold each.
const PORTS: [&str; 2] = ["/dev/virtio-ports/nic.ctl", "/dev/virtio-ports/nic1.ctl"];
/// The card answers at once, except for a `send` of many frames.
const PATIENCE: Duration = Duration::from_secs(30);

/// The control channel.
pub struct Nic {
    port: String,
    chan: RefCell<Chan>,
}

struct Chan {
    file: File,
    pending: Vec<u8>,
}

/// `key=value` of one queue or of the port.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    values: BTreeMap<String, u64>,
}

impl Counts {
    fn read(words: std::str::SplitWhitespace<'_>) -> Self {
        let values = words.filter_map(|w| {
            let (k, v) = w.split_once('=')?;
            let v = match v.strip_prefix("0x") {
                Some(h) => u64::from_str_radix(h, 16).ok()?,
                None => v.parse().ok()?,
            };
            Some((k.to_string(), v))
        });
        Counts {
            values: values.collect(),
        }
    }

    /// A value; it is an error if the card does not report it.
    pub fn get(&self, key: &str) -> Result<u64> {
        self.values
            .get(key)
            .copied()
            .ok_or_else(|| anyhow!("the card reports no '{key}': {:?}", self.values))
    }
}

/// Everything `counts` tells.
#[derive(Clone, Debug, Default)]
pub struct CardCounts {
    pub port: Counts,
    pub rx: BTreeMap<u32, Counts>,
    pub tx: BTreeMap<u32, Counts>,
}

impl CardCounts {
    /// Counter of an RX queue; 0 if the queue was never used.
    pub fn rxq(&self, q: u32, key: &str) -> Result<u64> {
        self.rx.get(&q).map_or(Ok(0), |c| c.get(key))
    }

    /// Counter of a TX queue; 0 if the queue was never used.
    pub fn txq(&self, q: u32, key: &str) -> Result<u64> {
        self.tx.get(&q).map_or(Ok(0), |c| c.get(key))
    }
}

impl Nic {
    /// Opens the first card's channel and drops what an earlier user left unread.
    pub fn open() -> Result<Nic> {
        Nic::at(PORTS[0])
    }

    /// As [`Nic::open`], the second card's.
    pub fn second() -> Result<Nic> {
        Nic::at(PORTS[1])
    }

    /// As [`Nic::open`], of any port that talks as the card does.
    pub fn at(port: &str) -> Result<Nic> {
        Ok(Nic {
            port: port.to_string(),
            chan: RefCell::new(Chan::open(port)?),
        })
    }

    /// Opens the channel again after a sleep of the machine, which ends its use.
    pub fn after_sleep(&self) -> Result<()> {
        self.chan.borrow_mut().file = File::open("/dev/null")?;
        crate::machine::ports_after_sleep()?;
        let end = Instant::now() + PATIENCE;
        loop {
            match Chan::open(&self.port) {
                Ok(chan) => {
                    *self.chan.borrow_mut() = chan;
                    return Ok(());
                }
                // the other end comes back a little later
                Err(e) if Instant::now() > end => return Err(e),
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// One command; the lines of its answer.
    pub fn cmd(&self, line: &str) -> Result<Vec<String>> {
        let mut chan = self.chan.borrow_mut();
        let what = &line[..line.len().min(80)];
        chan.write_all(format!("{line}\n").as_bytes())
            .with_context(|| format!("card: '{what}'"))?;
        let end = Instant::now() + PATIENCE;
        let mut lines = Vec::new();
        loop {
            let answer = chan
                .line(end)
                .with_context(|| format!("card: answer to '{what}'"))?;
            match answer.as_str() {
                "ok" => return Ok(lines),
                e if e.starts_with("err") => bail!("card: '{what}': {e}"),
                _ => lines.push(answer),
            }
        }
    }

    /// The card's own counters.
    pub fn counts(&self) -> Result<CardCounts> {
        let mut all = CardCounts::default();
        for line in self.cmd("counts")? {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("port") => all.port = Counts::read(words),
                Some(kind @ ("rxq" | "txq")) => {
                    let q = words.next().and_then(|w| w.parse().ok());
                    let q: u32 = q.with_context(|| format!("card: no queue number in '{line}'"))?;
                    let map = if kind == "rxq" {
                        &mut all.rx
                    } else {
                        &mut all.tx
                    };
                    map.insert(q, Counts::read(words));
                }
                _ => {}
            }
        }
        Ok(all)
    }

    /// One frame arrives from the wire; returns when it was offered to the rings.
    pub fn send(&self, bytes: &[u8]) -> Result<()> {
        self.cmd(&format!("send {}", frame::hex(bytes))).map(drop)
    }

    /// `n` copies of a frame.
    pub fn send_n(&self, bytes: &[u8], n: u32) -> Result<()> {
        self.cmd(&format!("send {} x{n}", frame::hex(bytes)))
            .map(drop)
    }

    /// Waits until the card has `room` descriptors of a ring of `n`.  Register
    /// writes are posted: a sync may return before the card has seen its tail,
    /// and a frame sent over this channel may overtake it.
    pub fn wait_room(&self, q: u32, n: u32, room: u32) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            let counts = self.counts()?;
            let (head, tail) = (counts.rxq(q, "rdh")? as u32, counts.rxq(q, "rdt")? as u32);
            let has = (tail + n - head) % n;
            if has >= room {
                return Ok(());
            }
            if Instant::now() > end {
                bail!("queue {q}: the card has {has} of {n} descriptors (head {head}, tail {tail}), want {room}");
            }
        }
    }

    /// Starts a generator; it is stopped when the value is dropped.  With
    /// `wait=1` in its specification the card waits for descriptors instead of
    /// dropping: for tests of what arrives, where a starved guest must not count
    /// as loss.  Tests of loss do without.
    pub fn generate(&self, name: &str, spec: &str) -> Result<Gen<'_>> {
        self.cmd(&format!("gen start {name} {spec}"))?;
        Ok(Gen {
            nic: self,
            name: name.to_string(),
        })
    }

    /// Pulls or plugs the cable.
    pub fn link(&self, up: bool) -> Result<()> {
        self.cmd(if up { "link up" } else { "link down" }).map(drop)
    }

    /// Frames the guest sent while `f` ran.
    pub fn sent_during<T>(&self, f: impl FnOnce() -> Result<T>) -> Result<(T, Vec<Vec<u8>>)> {
        self.cmd("txlog start")?;
        let value = f();
        let lines = self.cmd("txlog get");
        self.cmd("txlog stop")?;
        let frames = lines?.iter().filter_map(|l| frame::unhex(l)).collect();
        Ok((value?, frames))
    }
}

/// A generator running in the card.
pub struct Gen<'a> {
    nic: &'a Nic,
    name: String,
}

impl Gen<'_> {
    /// (frames sent, still running)
    pub fn status(&self) -> Result<(u64, bool)> {
        for line in self.nic.cmd("gen list")? {
            let mut words = line.split_whitespace();
            if words.next() == Some("gen") && words.next() == Some(&self.name) {
                let c = Counts::read(words);
                return Ok((c.get("sent")?, c.get("running")? != 0));
            }
        }
        bail!("card: generator {} is not listed", self.name)
    }

    /// Waits until it has sent all it was asked to; the number sent.
    pub fn wait(&self, limit: Duration) -> Result<u64> {
        let end = Instant::now() + limit;
        loop {
            match self.status()? {
                (sent, false) => return Ok(sent),
                (sent, true) if Instant::now() > end => {
                    bail!(
                        "card: generator {} has sent only {sent} after {limit:?}",
                        self.name
                    )
                }
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Stops it; the number sent.
    pub fn stop(&self) -> Result<u64> {
        self.nic.cmd(&format!("gen stop {}", self.name))?;
        Ok(self.status()?.0)
    }
}

impl Drop for Gen<'_> {
    fn drop(&mut self) {
        let _ = self.nic.cmd(&format!("gen stop {}", self.name));
    }
}

impl Chan {
    fn open(port: &str) -> Result<Chan> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(port)
            .with_context(|| {
                format!("open {port} (is this the lab's guest, and the card's control socket up?)")
            })?;
        let mut chan = Chan {
            file,
            pending: Vec::new(),
        };
        while chan.fill(Duration::from_millis(20))? {}
        chan.pending.clear();
        Ok(chan)
    }

    /// Reads what is there; false if nothing came in time.
    fn fill(&mut self, timeout: Duration) -> Result<bool> {
        let got = poll_fd(self.file.as_raw_fd(), libc::POLLIN, timeout)?;
        if got & libc::POLLIN == 0 {
            // POLLHUP alone: nobody at the other end (yet); do not spin on it
            if got != 0 {
                std::thread::sleep(timeout.min(Duration::from_millis(20)));
            }
            return Ok(false);
        }
        let mut chunk = [0; 16384];
        match self.file.read(&mut chunk) {
            Ok(0) => bail!("the card closed its control channel"),
            Ok(n) => self.pending.extend(&chunk[..n]),
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => return Ok(false),
            Err(e) => return Err(e.into()),
        }
        Ok(true)
    }

    fn line(&mut self, end: Instant) -> Result<String> {
        loop {
            if let Some(at) = self.pending.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.pending.drain(..=at).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_string());
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("none within {PATIENCE:?}");
            }
            self.fill(left.min(Duration::from_secs(1)))?;
        }
    }

    fn write_all(&mut self, mut bytes: &[u8]) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        while !bytes.is_empty() {
            match self.file.write(bytes) {
                Ok(n) => bytes = &bytes[n..],
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock && Instant::now() < end => {
                    poll_fd(
                        self.file.as_raw_fd(),
                        libc::POLLOUT,
                        Duration::from_millis(100),
                    )?;
                }
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }
}
