// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a port and its memory look like, without opening it.

use crate::abi;
use crate::error::{Error, Op, Result};
use crate::name::PortName;
use crate::request::{self, Body, Options};
use crate::sys;
use std::os::fd::AsFd;

/// A port's rings and memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortInfo {
    /// TX rings of the NIC.
    pub tx_rings: u16,
    /// RX rings of the NIC.
    pub rx_rings: u16,
    /// Host TX rings.
    pub host_tx_rings: u16,
    /// Host RX rings.
    pub host_rx_rings: u16,
    /// Slots of a TX ring.
    pub tx_slots: u32,
    /// Slots of an RX ring.
    pub rx_slots: u32,
    /// Memory it would use.
    pub mem_id: u16,
    /// Bytes of that memory.
    pub mem_size: u64,
}

impl PortInfo {
    /// Of the port with this name (modes and flags do not matter).
    pub fn of(name: &str) -> Result<Self> {
        let mut r = abi::nmreq_port_info_get::default();
        ask(name, &mut r)?;
        Ok(Self {
            tx_rings: r.nr_tx_rings,
            rx_rings: r.nr_rx_rings,
            host_tx_rings: r.nr_host_tx_rings,
            host_rx_rings: r.nr_host_rx_rings,
            tx_slots: r.nr_tx_slots,
            rx_slots: r.nr_rx_slots,
            mem_id: r.nr_mem_id,
            mem_size: r.nr_memsize,
        })
    }
}

/// Where objects of one kind are in a port's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Where the first begins.
    pub offset: u64,
    /// How many there are.
    pub objects: u32,
    /// Bytes of each.
    pub size: u32,
}

/// How a port's memory is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pools {
    /// Its id.
    pub mem_id: u16,
    /// Bytes.
    pub mem_size: u64,
    /// One per open file.
    pub interfaces: Pool,
    /// Rings.
    pub rings: Pool,
    /// Packet buffers.
    pub buffers: Pool,
}

impl Pools {
    /// Of the port with this name.
    pub fn of(name: &str) -> Result<Self> {
        let mut r = abi::nmreq_pools_info::default();
        ask(name, &mut r)?;
        let pool = |offset, objects, size| Pool {
            offset,
            objects,
            size,
        };
        Ok(Self {
            mem_id: r.nr_mem_id,
            mem_size: r.nr_memsize,
            interfaces: pool(
                r.nr_if_pool_offset,
                r.nr_if_pool_objtotal,
                r.nr_if_pool_objsize,
            ),
            rings: pool(
                r.nr_ring_pool_offset,
                r.nr_ring_pool_objtotal,
                r.nr_ring_pool_objsize,
            ),
            buffers: pool(
                r.nr_buf_pool_offset,
                r.nr_buf_pool_objtotal,
                r.nr_buf_pool_objsize,
            ),
        })
    }
}

/// Bytes of the virtio-net header before each packet of the port: 0 for a NIC.
pub fn header_len(name: &str) -> Result<u32> {
    let mut r = abi::nmreq_port_hdr::default();
    ask(name, &mut r)?;
    Ok(r.nr_hdr_len)
}

fn ask<B: Body>(name: &str, body: &mut B) -> Result<()> {
    let name = PortName::parse(name)?.ifname;
    let fd =
        sys::open_device().map_err(|e| Error::system(Op::OpenDevice, abi::NETMAP_DEVICE, e))?;
    request::ctrl(fd.as_fd(), &name, body, Options::default()).map_err(|r| r.error(Op::Info, &name))
}
