// SPDX-License-Identifier: GPL-2.0
//! A registered port as most tests need it, and a lane: a queue taken out of
//! RSS, given to the test, with one UDP port steered to it.

use crate::abi::*;
use crate::check::Sys;
use crate::deep::patience;
use crate::fd::{one_rx, one_tx, Fd};
use crate::frame::parse_udp;
use crate::mem::{Mem, Nif, Ring};
use crate::steer::{ifname, Rss, Rule};
use anyhow::{bail, Context, Result};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The queue most tests take; RSS reaches it by default.
pub const Q: u32 = 4;
/// A second one.
pub const Q2: u32 = 5;
/// UDP port steered to `Q`.
pub const DPORT: u16 = 7004;
/// UDP port steered to `Q2`.
pub const DPORT2: u16 = 7005;
/// UDP port no rule touches: RSS spreads it.
pub const OTHER_PORT: u16 = 7100;

/// An fd with a port registered and its memory mapped.
pub struct Port {
    // dropped first: the mapping pins the registration
    pub nif: Nif,
    pub mem: Arc<Mem>,
    pub reg: Register,
    pub fd: Fd,
}

impl Port {
    /// Registers and maps.
    pub fn open(name: &str, mut reg: Register) -> Sys<Port> {
        let fd = Fd::open()?;
        fd.register(name, &mut reg)?;
        Port::mapped(fd, reg)
    }

    /// Maps an fd that is registered already.
    pub fn mapped(fd: Fd, reg: Register) -> Sys<Port> {
        let mem = Arc::new(fd.mmap(reg.memsize as usize, 0, libc::MAP_SHARED)?);
        let nif = Nif::new(mem.clone(), reg.offset as usize);
        Ok(Port { nif, mem, reg, fd })
    }

    /// One RX queue.
    pub fn rx(queue: u32) -> Sys<Port> {
        Port::open(&ifname(), one_rx(queue))
    }

    /// One RX queue and the host TX ring.
    pub fn rx_putback(queue: u32) -> Sys<Port> {
        let mut reg = one_rx(queue);
        reg.flags |= PUTBACK;
        Port::open(&ifname(), reg)
    }

    /// A bound RX ring.
    pub fn ring(&self, queue: u32) -> Result<Ring> {
        self.nif
            .rx(queue)
            .with_context(|| format!("ring_ofs of RX ring {queue} is 0: it is not bound"))
    }

    /// The host TX ring.
    pub fn host(&self) -> Result<Ring> {
        self.nif
            .host_tx_ring()
            .context("ring_ofs of the host TX ring is 0: it is not bound")
    }

    /// One NIC TX ring and no RX ring.
    pub fn tx(queue: u32) -> Sys<Port> {
        Port::open(&ifname(), one_tx(queue))
    }

    /// A bound NIC TX ring.
    pub fn tx_ring(&self, queue: u32) -> Result<Ring> {
        self.nif
            .tx(queue)
            .with_context(|| format!("ring_ofs of TX ring {queue} is 0: it is not bound"))
    }

    /// A bound host RX ring.
    pub fn host_rx(&self, k: usize) -> Result<Ring> {
        self.nif
            .host_rx_at(k)
            .with_context(|| format!("ring_ofs of host RX ring {k} is 0: it is not bound"))
    }

    /// Frames of a ring that are UDP to `dport`: `n` of them, or what came in
    /// time.  Others that happen to arrive (the peer's multicast) are skipped.
    pub fn recv(
        &self,
        queue: u32,
        dport: u16,
        n: usize,
        timeout: Duration,
    ) -> Result<Vec<Vec<u8>>> {
        self.recv_from(&self.ring(queue)?, dport, n, timeout)
    }

    /// As [`Port::recv`], through a view of the ring taken earlier.
    pub fn recv_from(
        &self,
        ring: &Ring,
        dport: u16,
        n: usize,
        timeout: Duration,
    ) -> Result<Vec<Vec<u8>>> {
        let end = Instant::now() + patience(timeout);
        let mut got = Vec::new();
        while got.len() < n {
            let left = end.saturating_duration_since(Instant::now());
            let events = self.fd.poll(libc::POLLIN, left)?;
            if events & !(libc::POLLIN | libc::POLLOUT) != 0 {
                bail!("poll says {events:#x}");
            }
            for f in ring.take_up_to(n - got.len()) {
                if parse_udp(&f).is_some_and(|u| u.dport == dport) {
                    got.push(f);
                } else {
                    let start = crate::frame::hex(&f[..f.len().min(64)]);
                    println!("another frame of {} bytes: {start}", f.len());
                }
            }
            if left.is_zero() {
                break;
            }
        }
        if got.len() < n {
            println!(
                "{} of {n} frames came; head, cur, tail {:?}",
                got.len(),
                ring.pointers()
            );
        }
        Ok(got)
    }

    /// This fd's entry of the listing for RX ring `queue`.
    pub fn info(&self, queue: u32) -> Result<QueueInfo> {
        rx_info(&self.fd, queue)
    }
}

/// The listing's entry for RX ring `queue` of the port under test.
pub fn rx_info(fd: &Fd, queue: u32) -> Result<QueueInfo> {
    let all = fd.queues(Some(&ifname()))?;
    let one = all
        .into_iter()
        .find(|i| i.kind == KIND_RX && i.queue == queue);
    one.with_context(|| format!("NIOCQNEXT lists no RX ring {queue}"))
}

/// The listing's entry for NIC TX ring `queue` of the port under test.
pub fn tx_info(fd: &Fd, queue: u32) -> Result<QueueInfo> {
    entry(fd, KIND_TX, queue)
}

/// The listing's entry for host RX ring `k` of the port under test.
pub fn host_rx_info(fd: &Fd, k: u32) -> Result<QueueInfo> {
    entry(fd, KIND_HOST_RX, k)
}

fn entry(fd: &Fd, kind: u32, queue: u32) -> Result<QueueInfo> {
    let all = fd.queues(Some(&ifname()))?;
    let one = all.into_iter().find(|i| i.kind == kind && i.queue == queue);
    one.with_context(|| format!("NIOCQNEXT lists no ring {queue} of kind {kind}"))
}

/// The listing's entry for a host TX ring of the port under test.
pub fn host_info(fd: &Fd) -> Result<QueueInfo> {
    let all = fd.queues(Some(&ifname()))?;
    all.into_iter()
        .find(|i| i.kind == KIND_HOST_TX)
        .context("NIOCQNEXT lists no host TX ring")
}

/// A queue with one UDP port steered to it, and nothing else.
pub struct Lane {
    // dropped in this order: the lossless way back
    _rule: Rule,
    pub port: Port,
    _rss: Rss,
}

impl Lane {
    /// Queue `Q`, UDP port `DPORT`, receive only.
    pub fn open() -> Result<Lane> {
        Lane::with(one_rx(Q))
    }

    /// Queue `Q`, UDP port `DPORT`, with the host TX ring.
    pub fn putback() -> Result<Lane> {
        let mut reg = one_rx(Q);
        reg.flags |= PUTBACK;
        Lane::with(reg)
    }

    /// A registration of one ring, which gets `DPORT`.
    pub fn with(reg: Register) -> Result<Lane> {
        let rss = Rss::without(&[u32::from(reg.ringid)])?;
        let queue = u32::from(reg.ringid);
        let port = Port::open(&ifname(), reg).context("register")?;
        let rule = Rule::udp(DPORT, queue)?;
        Ok(Lane {
            _rule: rule,
            port,
            _rss: rss,
        })
    }

    /// After the interface was down: the driver has dropped its rules.
    pub fn steer_again(&mut self) -> Result<()> {
        let rule = Rule::udp(DPORT, u32::from(self.port.reg.ringid))?;
        // the new one may have its number
        std::mem::forget(std::mem::replace(&mut self._rule, rule));
        Ok(())
    }

    pub fn ring(&self) -> Result<Ring> {
        self.port.ring(u32::from(self.port.reg.ringid))
    }

    /// As [`Port::recv`] on this lane's queue and port.
    pub fn recv(&self, n: usize, timeout: Duration) -> Result<Vec<Vec<u8>>> {
        self.port
            .recv(u32::from(self.port.reg.ringid), DPORT, n, timeout)
    }
}
