// SPDX-License-Identifier: MIT OR Apache-2.0
//! Safe access to netmap ports: take rings of a NIC or of the host, look at packets
//! where they lie, drop them, put them back into the kernel, send them, move them
//! from port to port without a copy.
//!
//! ```no_run
//! use netmap::Port;
//!
//! let port = Port::open("netmap:eth3~4")?;
//! loop {
//!     port.wait(None)?;
//!     let mut rx = port.rx_ring(4)?;
//!     let mut host = port.host_tx_ring()?;
//!     for slot in rx.acquire().slots() {
//!         if slot.payload().starts_with(b"good") {
//!             // Into the kernel's stack; the next wait() pushes it.
//!             let _ = host.forward(slot);
//!         } // else: dropped when the batch goes
//!     }
//! }
//! # #[allow(unreachable_code)]
//! # Ok::<(), netmap::Error>(())
//! ```
//!
//! - [`name`]: what port names mean.
//! - [`Port`], [`Builder`]: open, sync, add and remove queues; memory, offsets and
//!   metadata to ask for. [`wait()`]: several ports at once.
//! - [`RxRing`], [`TxRing`]: batches of slots, checked by the borrow checker.
//! - [`RxMeta`]: what the card knows about a packet.
//! - [`KernelLoop`]: syncing without system calls.
//! - [`PortInfo`], [`Pools`]: what a port looks like.
//! - [`Queues`]: who has which queue, and counters.
//! - [`control`]: lets `nmq` ask a running program for queues.
//! - [`abi`]: the raw interface.
//!
//! Sending and bridging take the same shape:
//!
//! ```no_run
//! use netmap::Port;
//!
//! let a = Port::open("netmap:eth3-0")?;
//! let b = Port::builder("netmap:eth4-0").share(&a).open()?;
//! b.tx_ring(0)?.push(b"a packet").expect("the ring is empty");
//! loop {
//!     a.wait(None)?;
//!     let mut tx = b.tx_ring(0)?;
//!     // Buffers change places, since both ports have the same memory.
//!     tx.forward_where(&mut a.rx_ring(0)?.acquire().slots(), |_slot, _len| true);
//!     drop(tx);
//!     b.txsync()?;
//! }
//! # #[allow(unreachable_code)]
//! # Ok::<(), netmap::Error>(())
//! ```
//!
//! One thread uses a port at a time (`Port` is `Send`, not `Sync`); several
//! threads open one port each. Ports of one program that have the same ring get it
//! in turns ([`Error::RingInUse`]); other processes of the same user share memory, and
//! can spoil what they share.

#![deny(missing_docs)]

#[allow(non_camel_case_types)]
pub mod abi;
mod builder;
pub mod control;
mod csb;
mod error;
mod explain;
mod extra;
mod info;
mod kloop;
mod meta;
pub mod name;
mod port;
mod queues;
mod request;
mod ring;
#[cfg(test)]
mod ring_tests;
mod rx;
mod send;
mod sys;
mod table;
#[cfg(test)]
mod testing;
mod tx;
#[cfg(test)]
mod tx_tests;
mod wait;

pub use builder::{Builder, Offsets};
pub use error::{Error, Op, Result};
pub use extra::ExtraBuf;
pub use info::{header_len, Pool, Pools, PortInfo};
pub use kloop::{KernelLoop, LoopMode};
pub use meta::{Checksum, RxMeta};
pub use name::PortName;
pub use port::Port;
pub use queues::{Kind, QueueInfo, Queues, State, COUNTERS};
pub use rx::{Batch, RxRing, RxSlot, Shape, Slots};
pub use table::RingId;
pub use tx::{PushError, Tally, TxRing};
pub use wait::{wait, Interest, Ready};
