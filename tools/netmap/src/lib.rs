// SPDX-License-Identifier: MIT OR Apache-2.0
//! Safe access to netmap ports: take RX queues of a NIC from the kernel, look at
//! the packets where they lie, put chosen ones back.
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
//! - [`Port`]: open, wait, sync, add and remove queues.
//! - [`RxRing`], [`TxRing`]: batches of slots, checked by the borrow checker.
//! - [`Queues`]: who has which queue, and counters.
//! - [`control`]: lets `nmq` ask a running program for queues.
//! - [`abi`]: the raw interface.
//!
//! One thread uses a port at a time (`Port` is `Send`, not `Sync`); several
//! threads open one port each.

#![warn(missing_docs)]

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
