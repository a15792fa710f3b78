// SPDX-License-Identifier: GPL-2.0
//! A program between two sets of rings: frames go on by swapping buffers, none is copied.
//! Run in a thread, it carries the host's traffic through NIC_SW, or bridges two ports.

use crate::abi::*;
use crate::check::Sys;
use crate::fd::Fd;
use crate::mem::{Ring, Slot};
use crate::port::Port;
use anyhow::{bail, Context, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;

/// Swaps the buffers of `from`'s first slot and `to`'s first free one, and gives both to the
/// kernel; the buffer that moved.
pub fn forward(from: &Ring, to: &Ring) -> u32 {
    let (i, j) = (from.head(), to.head());
    let (a, b) = (from.slot(i), to.slot(j));
    let flags = NS_BUF_CHANGED | (a.flags & NS_MOREFRAG);
    to.set_slot(
        j,
        Slot {
            idx: a.idx,
            len: a.len,
            flags,
        },
    );
    let (idx, flags) = (b.idx, NS_BUF_CHANGED);
    from.set_slot(i, Slot { idx, len: 0, flags });
    to.set_cur(to.next(j));
    to.set_head(to.next(j));
    from.set_cur(from.next(i));
    from.set_head(from.next(i));
    a.idx
}

/// Frames of `from` go to `to`, ring by ring, as far as there is room; the number of slots.
/// `look` sees each slot before it goes.
pub fn pump(from: &[Ring], to: &[Ring], mut look: impl FnMut(&Ring, u32)) -> u64 {
    let mut moved = 0;
    for (k, rx) in from.iter().enumerate() {
        let tx = &to[k % to.len()];
        while rx.space() > 0 && tx.space() > 0 {
            look(rx, rx.head());
            forward(rx, tx);
            moved += 1;
        }
    }
    moved
}

/// What a pump in a thread has done.
#[derive(Clone, Debug, Default)]
pub struct Moved {
    /// Slots from the first side to the second, and back.
    pub out: u64,
    pub back: u64,
    /// The first complaint of `look`.
    pub wrong: Option<String>,
}

/// Sees a frame on its way out; says what is wrong with it.
pub type Look = fn(&[u8]) -> Option<String>;

/// Two fds' rings joined by a thread, until it is stopped.
pub struct Through {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<Moved>>>,
}

impl Through {
    /// The host's rings of a NIC_SW port to its NIC rings, and back; `look` sees what the
    /// kernel sends.
    pub fn host(port: Port, look: Look) -> Result<Through> {
        let nif = &port.nif;
        let host_rx = all(nif.host_rx(), |k| nif.host_rx_at(k))?;
        let host_tx = all(nif.host_tx(), |k| nif.host_tx_at(k))?;
        let rx = all(nif.rx_rings(), |k| nif.rx(k as u32))?;
        let tx = all(nif.tx_rings(), |k| nif.tx(k as u32))?;
        let sides = ((host_rx, tx), (rx, host_tx));
        Ok(Through::start(vec![port], sides, look))
    }

    /// Every NIC ring of one port to those of another, and back.
    pub fn bridge(a: Port, b: Port, look: Look) -> Result<Through> {
        let sides = (
            (
                all(a.nif.rx_rings(), |k| a.nif.rx(k as u32))?,
                all(b.nif.tx_rings(), |k| b.nif.tx(k as u32))?,
            ),
            (
                all(b.nif.rx_rings(), |k| b.nif.rx(k as u32))?,
                all(a.nif.tx_rings(), |k| a.nif.tx(k as u32))?,
            ),
        );
        Ok(Through::start(vec![a, b], sides, look))
    }

    fn start(ports: Vec<Port>, (out, back): (Sides, Sides), look: Look) -> Through {
        let stop = Arc::new(AtomicBool::new(false));
        let s = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut done = Moved::default();
            let mut frame = Vec::new();
            while !s.load(Ordering::Relaxed) {
                wait(&ports)?;
                done.out += pump(&out.0, &out.1, |ring, i| {
                    frame.extend(ring.bytes(i));
                    if ring.slot(i).flags & NS_MOREFRAG == 0 {
                        if done.wrong.is_none() {
                            done.wrong = look(&frame);
                        }
                        frame.clear();
                    }
                });
                done.back += pump(&back.0, &back.1, |_, _| {});
                for port in &ports {
                    port.fd.txsync()?;
                }
            }
            Ok(done)
        });
        Through {
            stop,
            thread: Some(thread),
        }
    }

    /// Stops it; its ports are closed when this returns.
    pub fn end(mut self) -> Result<Moved> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().context("it has ended already")?;
        let done = thread.join().ok().context("the forwarding thread died")??;
        match done.wrong {
            Some(why) => bail!("a frame on its way out: {why}"),
            None => Ok(done),
        }
    }
}

impl Drop for Through {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Where frames come from, and where they go.
type Sides = (Vec<Ring>, Vec<Ring>);

/// All of `n` rings, which must be bound.
fn all(n: usize, ring: impl Fn(usize) -> Option<Ring>) -> Result<Vec<Ring>> {
    (0..n)
        .map(|k| ring(k).with_context(|| format!("ring {k} of {n} is not bound")))
        .collect()
}

/// Sleeps until any of the ports has input; 20 ms at most.
fn wait(ports: &[Port]) -> Sys<()> {
    let mut fds: Vec<_> = ports
        .iter()
        .map(|p| libc::pollfd {
            fd: p.fd.raw(),
            events: libc::POLLIN,
            revents: 0,
        })
        .collect();
    // SAFETY: as many pollfds as are said to be there.
    match unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as u64, 20) } {
        -1 => Err(crate::check::Errno::last()),
        _ => Ok(()),
    }
}

/// Looks at nothing.
pub fn any(_: &[u8]) -> Option<String> {
    None
}

/// Waits until a thread's port has gone: every ring is nobody's.
pub fn nobody_has_a_ring() -> Result<bool> {
    let all = Fd::open()?.queues(Some(&crate::steer::ifname()))?;
    Ok(all.iter().all(|i| i.kind == KIND_PORT || i.pid == 0))
}
