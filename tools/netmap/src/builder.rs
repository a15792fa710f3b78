// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a program may ask for when it opens a port.

use crate::abi::{self, ext};
use crate::error::Result;
use crate::name::PortName;
use crate::port::Port;
use crate::sys::Mapping;
use std::sync::Arc;

/// Where packets begin in their buffers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offsets {
    /// Largest offset the program will use.
    pub max: u64,
    /// Offset of all slots at first.
    pub initial: u64,
    /// Room in bytes between packets that share a buffer.
    pub min_gap: u64,
}

/// What to ask for beyond the name; made by [`Port::builder`].
#[derive(Clone, Debug)]
pub struct Builder {
    pub(crate) name: String,
    pub(crate) flags: u64,
    pub(crate) mem_id: u16,
    pub(crate) extra_buffers: u32,
    pub(crate) host_rings: [u16; 2],
    pub(crate) shared: Option<Arc<Mapping>>,
    pub(crate) own_memory: usize,
    pub(crate) offsets: Option<Offsets>,
    pub(crate) metadata: bool,
    pub(crate) csb: bool,
    pub(crate) memory_only: bool,
}

impl Builder {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_string(),
            flags: 0,
            mem_id: 0,
            extra_buffers: 0,
            host_rings: [0; 2],
            shared: None,
            own_memory: 0,
            offsets: None,
            metadata: false,
            csb: false,
            memory_only: false,
        }
    }

    /// Further `NR_*` flags.
    pub fn flags(mut self, flags: u64) -> Self {
        self.flags |= flags;
        self
    }

    /// Nobody else may bind the same rings.
    pub fn exclusive(self) -> Self {
        self.flags(abi::NR_EXCLUSIVE)
    }

    /// Bind RX rings only; the kernel's transmissions stay as they are.
    pub fn rx_only(self) -> Self {
        self.flags(abi::NR_RX_RINGS_ONLY)
    }

    /// Bind TX rings only.
    pub fn tx_only(self) -> Self {
        self.flags(abi::NR_TX_RINGS_ONLY)
    }

    /// `poll` leaves the TX rings alone unless asked for room in them.
    pub fn no_tx_poll(self) -> Self {
        self.flags(abi::NR_NO_TX_POLL)
    }

    /// Use the memory with this id (see [`Port::mem_id`]).
    pub fn mem_id(mut self, id: u16) -> Self {
        self.mem_id = id;
        self
    }

    /// Use the memory of another port, so that buffers can change places.
    pub fn share(mut self, port: &Port) -> Self {
        self.shared = port.own_memory();
        self.mem_id(port.mem_id())
    }

    /// Use memory that no other port has, unless it is opened with [`Self::share`] or
    /// its id.
    pub fn private_memory(self) -> Self {
        self.flags(ext::NR_PRIVATE_MEM)
    }

    /// Use new memory of this process, of so many bytes.
    pub fn own_memory(mut self, bytes: usize) -> Self {
        self.own_memory = bytes;
        self
    }

    /// Ask for buffers outside the rings; fewer may be granted.
    pub fn extra_buffers(mut self, n: u32) -> Self {
        self.extra_buffers = n;
        self
    }

    /// Ask for so many host TX and RX rings, if this opens the port first.
    pub fn host_rings(mut self, tx: u16, rx: u16) -> Self {
        self.host_rings = [tx, rx];
        self
    }

    /// Leave room before packets; received ones come with the initial offset.
    pub fn offsets(mut self, offsets: Offsets) -> Self {
        self.offsets = Some(offsets);
        self
    }

    /// Have what the card knows about packets, see [`crate::RxSlot::meta`].
    pub fn rx_metadata(mut self) -> Self {
        self.metadata = true;
        self
    }

    /// Prepare for a [`crate::KernelLoop`]. The port is exclusive, and cannot be
    /// waited for or synced otherwise.
    pub fn csb(mut self) -> Self {
        self.csb = true;
        self.exclusive()
    }

    /// Open the port.
    pub fn open(self) -> Result<Port> {
        let mut name = if self.memory_only {
            PortName::memory()
        } else {
            PortName::parse(&self.name)?
        };
        name.flags |= self.flags;
        if self.mem_id != 0 {
            name.mem_id = self.mem_id;
        }
        Port::register(name, &self)
    }
}
