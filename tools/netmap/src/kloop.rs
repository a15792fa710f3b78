// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel loop: a thread of the program stays in the kernel and syncs the port's
//! rings, so that the program needs no system calls of its own.
//!
//! ```no_run
//! use netmap::{KernelLoop, LoopMode, Port};
//! use std::time::Duration;
//!
//! let port = Port::builder("netmap:eth3-4/R").csb().open()?;
//! let kernel = KernelLoop::start(&port, LoopMode::Events)?;
//! loop {
//!     kernel.wait(None)?;
//!     for slot in port.rx_ring(4)?.acquire().slots() {
//!         println!("{} bytes", slot.len());
//!     }
//!     kernel.kick()?;
//! }
//! # #[allow(unreachable_code)]
//! # Ok::<(), netmap::Error>(())
//! ```

use crate::abi;
use crate::csb::Csb;
use crate::error::{Error, Op, Result};
use crate::port::Port;
use crate::request::{self, Opt, Options};
use crate::sys;
use std::cell::Cell;
use std::io;
use std::marker::PhantomData;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How the kernel notices that there is work, and the program that it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoopMode {
    /// Both look: the kernel sleeps this long between rounds (at most a second).
    Poll(Duration),
    /// By events: [`KernelLoop::kick`] and [`KernelLoop::wait`].
    Events,
}

/// A running kernel loop; ends when dropped.
#[derive(Debug)]
pub struct KernelLoop<'p> {
    fd: OwnedFd,
    name: String,
    csb: Arc<Csb>,
    events: Vec<Pair>,
    /// `tail` of each ring as wait() saw it last.
    seen: Vec<Cell<u32>>,
    thread: Option<JoinHandle<io::Result<()>>>,
    _port: PhantomData<&'p Port>,
}

#[derive(Debug)]
struct Pair {
    to_kernel: OwnedFd,
    to_program: OwnedFd,
}

/// The option with the list of events behind its head, in one piece.
struct EventFds(Vec<u64>);

const HEAD_WORDS: usize = size_of::<abi::nmreq_option>() / 8;

impl EventFds {
    fn new(events: &[Pair]) -> Self {
        let mut words = vec![0; HEAD_WORDS];
        words.extend(events.iter().map(|e| {
            let (io, irq) = (e.to_kernel.as_raw_fd(), e.to_program.as_raw_fd());
            u64::from(io as u32) | (u64::from(irq as u32) << 32)
        }));
        words[2] = (words.len() * 8) as u64;
        Self(words)
    }
}

// SAFETY: a head of HEAD_WORDS words with nro_size in its third, then the pairs; on
// the heap, where it stays.
unsafe impl Opt for EventFds {
    fn kind(&self) -> u32 {
        abi::NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS
    }
    fn head(&mut self) -> *mut abi::nmreq_option {
        self.0.as_mut_ptr().cast()
    }
}

impl<'p> KernelLoop<'p> {
    /// Start it for a port opened with [`crate::Builder::csb`].
    pub fn start(port: &'p Port, mode: LoopMode) -> Result<Self> {
        let failed = |e| Error::system(Op::Loop, port.ifname(), e);
        let csb = port
            .csb()
            .ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
        let fd = port.as_fd().try_clone_to_owned().map_err(failed)?;
        let mut body = abi::nmreq_sync_kloop_start::default();
        let mut events = Vec::new();
        match mode {
            LoopMode::Poll(sleep) => {
                body.sleep_us = sleep.as_micros().try_into().unwrap_or(u32::MAX);
            }
            LoopMode::Events => {
                for _ in 0..port.bound_rings() {
                    events.push(Pair {
                        to_kernel: sys::eventfd().map_err(failed)?,
                        to_program: sys::eventfd().map_err(failed)?,
                    });
                }
            }
        }
        let mut option = (mode == LoopMode::Events).then(|| EventFds::new(&events));
        let name = port.ifname().to_string();
        // The kernel writes into the block as long as the thread is in there, so the
        // thread has a reference of its own.
        let (file, block, ifname) = (fd.try_clone().map_err(failed)?, csb.clone(), name.clone());
        let thread = thread::Builder::new()
            .name("netmap-kloop".into())
            .spawn(move || {
                let mut options = Options::default();
                options.push_some(&mut option);
                let done = request::ctrl(file.as_fd(), &ifname, &mut body, options);
                drop(block);
                done.map_err(|r| r.source)
            })
            .map_err(failed)?;
        Ok(Self {
            fd,
            name,
            csb: csb.clone(),
            seen: (0..events.len()).map(|_| Cell::new(u32::MAX)).collect(),
            events,
            thread: Some(thread),
            _port: PhantomData,
        })
    }

    /// Is it still running? If not, [`Self::stop`] says why.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|t| !t.is_finished())
    }

    /// Tell the kernel that rings were published, where it asked to be told.
    pub fn kick(&self) -> Result<()> {
        for (ring, pair) in self.events.iter().enumerate() {
            if self.csb.kernel_needs_kick(ring) {
                sys::signal(&pair.to_kernel).map_err(|e| Error::system(Op::Loop, &self.name, e))?;
            }
        }
        Ok(())
    }

    /// Wait until the kernel has done something in any ring since the last call. False
    /// after the timeout or a signal.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<bool> {
        for ring in 0..self.events.len() {
            self.csb.want_event(ring, true);
        }
        // What was done before the kernel knew brings no event.
        let moved = self.moved();
        let timeout = if moved { Some(Duration::ZERO) } else { timeout };
        let mut files: Vec<_> = self
            .events
            .iter()
            .map(|e| (e.to_program.as_fd(), libc::POLLIN))
            .collect();
        let got = sys::poll(&mut files, timeout);
        for (ring, pair) in self.events.iter().enumerate() {
            self.csb.want_event(ring, false);
            sys::clear(&pair.to_program);
        }
        let got = got.map_err(|e| Error::system(Op::Loop, &self.name, e))?;
        Ok(self.moved() | moved | got)
    }

    /// Has any ring's tail moved since this was asked last?
    fn moved(&self) -> bool {
        let rings = self.seen.iter().enumerate();
        rings.fold(false, |moved, (ring, seen)| {
            let tail = self.csb.tail(ring);
            moved | (seen.replace(tail) != tail)
        })
    }

    /// End it, and learn how it went.
    pub fn stop(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        // One call is enough, also for a thread that is only just on its way in, but
        // where a module forgets such a call it has to be repeated.
        for round in 0u32.. {
            if thread.is_finished() {
                break;
            }
            if round % 100 == 0 {
                let _ = request::ctrl_empty(
                    self.fd.as_fd(),
                    abi::NETMAP_REQ_SYNC_KLOOP_STOP,
                    &self.name,
                    Options::default(),
                );
            }
            thread::sleep(Duration::from_millis(1));
        }
        match thread.join() {
            Ok(done) => done.map_err(|e| Error::system(Op::Loop, &self.name, e)),
            Err(_) => Err(Error::system(
                Op::Loop,
                &self.name,
                io::ErrorKind::Other.into(),
            )),
        }
    }
}

impl Drop for KernelLoop<'_> {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_events_has_a_size_and_a_pair_per_ring() {
        let pair = || Pair {
            to_kernel: sys::eventfd().expect("eventfd"),
            to_program: sys::eventfd().expect("eventfd"),
        };
        let events = [pair(), pair()];
        let mut option = EventFds::new(&events);
        // SAFETY: the head of a live option.
        assert_eq!(unsafe { (*option.head()).nro_size }, 24 + 2 * 8);
        let last = option.0[HEAD_WORDS + 1];
        assert_eq!(last as i32, events[1].to_kernel.as_raw_fd());
        assert_eq!((last >> 32) as i32, events[1].to_program.as_raw_fd());
    }
}
