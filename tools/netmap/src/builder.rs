// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a program may ask for when it opens a port.

use crate::abi;
use crate::error::Result;
use crate::name::PortName;
use crate::port::Port;

/// What to ask for beyond the name; made by [`Port::builder`].
#[derive(Clone, Debug)]
pub struct Builder {
    name: String,
    flags: u64,
    mem_id: u16,
    extra_buffers: u32,
}

impl Builder {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_string(),
            flags: 0,
            mem_id: 0,
            extra_buffers: 0,
        }
    }

    /// Further `NR_*` flags.
    pub fn flags(mut self, flags: u64) -> Self {
        self.flags |= flags;
        self
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

    /// Ask for buffers outside the rings; fewer may be granted.
    pub fn extra_buffers(mut self, n: u32) -> Self {
        self.extra_buffers = n;
        self
    }

    /// Open the port.
    pub fn open(self) -> Result<Port> {
        let mut name = PortName::parse(&self.name)?;
        name.flags |= self.flags;
        if self.mem_id != 0 {
            name.mem_id = self.mem_id;
        }
        Port::register(name, self.extra_buffers)
    }
}
