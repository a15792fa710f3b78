// SPDX-License-Identifier: GPL-2.0
//! The kernel's own receivers: UDP sockets, and a thread that counts what the
//! card's generators sent, flow by flow, so that a single lost frame shows.

use crate::frame::mark;
use anyhow::{bail, Context, Result};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A UDP socket on the port under test with a buffer that does not overflow.
pub fn bind(dport: u16) -> Result<UdpSocket> {
    let s = UdpSocket::bind(("0.0.0.0", dport)).with_context(|| format!("bind UDP {dport}"))?;
    let size: libc::c_int = 32 << 20;
    // SAFETY: an int option of an open socket.
    let r = unsafe {
        libc::setsockopt(
            s.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVBUFFORCE,
            (&raw const size).cast(),
            std::mem::size_of_val(&size) as u32,
        )
    };
    if r != 0 {
        bail!("SO_RCVBUFFORCE: {}", std::io::Error::last_os_error());
    }
    s.set_read_timeout(Some(Duration::from_millis(50)))?;
    Ok(s)
}

/// The next datagram, or `None` when none comes in time.
pub fn recv(s: &UdpSocket, timeout: Duration) -> Result<Option<Vec<u8>>> {
    let mut buf = vec![0; 65536];
    let end = Instant::now() + timeout;
    loop {
        match s.recv(&mut buf) {
            Ok(n) => {
                buf.truncate(n);
                return Ok(Some(buf));
            }
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e.into()),
        }
        if Instant::now() >= end {
            return Ok(None);
        }
    }
}

/// What arrived of one flow.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flow {
    pub count: u64,
    pub next: u64,
    /// Sequence numbers that were skipped when a later one came.
    pub skipped: u64,
    /// Sequence numbers at or below one seen before.
    pub late: u64,
}

impl Flow {
    /// Accounts one sequence number.
    pub fn see(&mut self, seq: u64) {
        self.count += 1;
        if seq < self.next {
            self.late += 1;
            return;
        }
        self.skipped += seq - self.next;
        self.next = seq + 1;
    }
}

type Flows = BTreeMap<u32, Flow>;

/// A thread that receives on a UDP port and keeps account per flow.
pub struct Counter {
    flows: Arc<Mutex<Flows>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Counter {
    pub fn start(dport: u16) -> Result<Counter> {
        let socket = bind(dport)?;
        let flows = Arc::new(Mutex::new(Flows::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (f, s) = (flows.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let mut buf = [0; 2048];
            while !s.load(Ordering::Relaxed) {
                match socket.recv(&mut buf) {
                    Ok(n) => {
                        let m =
                            mark(&buf[..n]).context("a datagram without the generator's mark")?;
                        f.lock().unwrap().entry(m.flow).or_default().see(m.seq);
                    }
                    // a sleep of the machine interrupts a receive that has a time limit
                    Err(e)
                        if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                    Err(e) => return Err(e.into()),
                }
            }
            Ok(())
        });
        Ok(Counter {
            flows,
            stop,
            thread: Some(thread),
        })
    }

    /// All flows so far.
    pub fn flows(&self) -> Flows {
        self.flows.lock().unwrap().clone()
    }

    /// Datagrams so far.
    pub fn total(&self) -> u64 {
        self.flows().values().map(|f| f.count).sum()
    }

    /// Waits until `n` datagrams are here, or no more come for a second.
    pub fn settle(&self, n: u64) -> u64 {
        let (mut last, mut since) = (self.total(), Instant::now());
        while last < n && since.elapsed() < Duration::from_secs(1) {
            std::thread::sleep(Duration::from_millis(20));
            let now = self.total();
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        last
    }

    /// Stops the thread; its flows, or what went wrong in it.
    pub fn finish(mut self) -> Result<Flows> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(r)) => r?,
            _ => bail!("the counting thread died"),
        }
        Ok(self.flows())
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
