// SPDX-License-Identifier: GPL-2.0

//! The NIOCCTRL requests: a header, a body that depends on the type, a list of options
//! ([`super::opt`]).

use super::{assert_layout, CTRL_NAME};

/// Request types (`nr_reqtype`).
pub(crate) mod reqtype {
    #![allow(missing_docs)]
    pub(crate) const REGISTER: u16 = 1;
    pub(crate) const PORT_INFO_GET: u16 = 2;
    pub(crate) const VALE_ATTACH: u16 = 3;
    pub(crate) const VALE_DETACH: u16 = 4;
    pub(crate) const VALE_LIST: u16 = 5;
    pub(crate) const PORT_HDR_SET: u16 = 6;
    pub(crate) const PORT_HDR_GET: u16 = 7;
    pub(crate) const VALE_NEWIF: u16 = 8;
    pub(crate) const VALE_DELIF: u16 = 9;
    pub(crate) const VALE_POLLING_ENABLE: u16 = 10;
    pub(crate) const VALE_POLLING_DISABLE: u16 = 11;
    pub(crate) const POOLS_INFO_GET: u16 = 12;
    pub(crate) const SYNC_KLOOP_START: u16 = 13;
    pub(crate) const SYNC_KLOOP_STOP: u16 = 14;
    pub(crate) const CSB_ENABLE: u16 = 15;
}

/// Bytes of the body of a request type; `None`: no such type.
pub(crate) fn body_size(reqtype: u16) -> Option<usize> {
    use core::mem::size_of;
    Some(match reqtype {
        reqtype::REGISTER => size_of::<Register>(),
        reqtype::PORT_INFO_GET => size_of::<PortInfo>(),
        reqtype::VALE_ATTACH => 64,
        reqtype::VALE_DETACH | reqtype::VALE_LIST => 8,
        reqtype::PORT_HDR_SET | reqtype::PORT_HDR_GET => size_of::<PortHdr>(),
        reqtype::VALE_NEWIF | reqtype::VALE_POLLING_ENABLE | reqtype::VALE_POLLING_DISABLE => 16,
        reqtype::POOLS_INFO_GET => size_of::<PoolsInfo>(),
        reqtype::SYNC_KLOOP_START => size_of::<KloopStart>(),
        reqtype::VALE_DELIF | reqtype::SYNC_KLOOP_STOP | reqtype::CSB_ENABLE => 0,
        _ => return None,
    })
}

/// `struct nmreq_header`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Header {
    /// 14 or 15.
    pub(crate) nr_version: u16,
    /// One of [`reqtype`].
    pub(crate) nr_reqtype: u16,
    /// Must be 0 and always comes back 0.
    pub(crate) nr_reserved: u32,
    /// Port name, NUL-terminated.
    pub(crate) nr_name: [u8; CTRL_NAME],
    /// User address of the first option, or 0.
    pub(crate) nr_options: u64,
    /// User address of the body, or 0.
    pub(crate) nr_body: u64,
}

assert_layout!(Header, 88,
    nr_version @ 0, nr_reqtype @ 2, nr_reserved @ 4, nr_name @ 8, nr_options @ 72, nr_body @ 80);

/// `struct nmreq_register`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct Register {
    /// Out: where the fd's `netmap_if` is in the mapping, in bytes.
    pub(crate) nr_offset: u64,
    /// Out: size of the mapping, in bytes.
    pub(crate) nr_memsize: u64,
    /// Slots of a TX ring.
    pub(crate) nr_tx_slots: u32,
    /// Slots of an RX ring.
    pub(crate) nr_rx_slots: u32,
    /// TX rings of the port.
    pub(crate) nr_tx_rings: u16,
    /// RX rings of the port.
    pub(crate) nr_rx_rings: u16,
    /// Host TX rings of the port.
    pub(crate) nr_host_tx_rings: u16,
    /// Host RX rings of the port.
    pub(crate) nr_host_rx_rings: u16,
    /// Memory region id, wanted (0: default) and granted.
    pub(crate) nr_mem_id: u16,
    /// Ring number, where the mode takes one.
    pub(crate) nr_ringid: u16,
    /// One of [`super::mode`].
    pub(crate) nr_mode: u32,
    /// Extra buffers, wanted and granted.
    pub(crate) nr_extra_bufs: u32,
    /// Padding; always 0 from here.
    pub(crate) pad: u32,
    /// Bits of [`super::flag`].
    pub(crate) nr_flags: u64,
}

assert_layout!(Register, 56,
    nr_offset @ 0, nr_memsize @ 8, nr_tx_slots @ 16, nr_rx_slots @ 20, nr_tx_rings @ 24,
    nr_rx_rings @ 26, nr_host_tx_rings @ 28, nr_host_rx_rings @ 30, nr_mem_id @ 32,
    nr_ringid @ 34, nr_mode @ 36, nr_extra_bufs @ 40, nr_flags @ 48);

/// `struct nmreq_port_info_get`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct PortInfo {
    /// Size of the region the caller would get, in bytes.
    pub(crate) nr_memsize: u64,
    /// Slots of a TX ring.
    pub(crate) nr_tx_slots: u32,
    /// Slots of an RX ring.
    pub(crate) nr_rx_slots: u32,
    /// TX rings.
    pub(crate) nr_tx_rings: u16,
    /// RX rings.
    pub(crate) nr_rx_rings: u16,
    /// Host TX rings.
    pub(crate) nr_host_tx_rings: u16,
    /// Host RX rings.
    pub(crate) nr_host_rx_rings: u16,
    /// Memory region id, wanted and found.
    pub(crate) nr_mem_id: u16,
    /// Padding.
    pub(crate) pad: [u16; 3],
}

assert_layout!(PortInfo, 32,
    nr_memsize @ 0, nr_tx_slots @ 8, nr_rx_slots @ 12, nr_tx_rings @ 16, nr_rx_rings @ 18,
    nr_host_tx_rings @ 20, nr_host_rx_rings @ 22, nr_mem_id @ 24, pad @ 26);

/// `struct nmreq_pools_info`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct PoolsInfo {
    /// Size of the region, in bytes.
    pub(crate) nr_memsize: u64,
    /// Its id.
    pub(crate) nr_mem_id: u16,
    /// Padding.
    pub(crate) pad: [u16; 3],
    /// Where the `netmap_if` pool begins.
    pub(crate) nr_if_pool_offset: u64,
    /// Objects in it.
    pub(crate) nr_if_pool_objtotal: u32,
    /// Bytes of each.
    pub(crate) nr_if_pool_objsize: u32,
    /// Where the ring pool begins.
    pub(crate) nr_ring_pool_offset: u64,
    /// Objects in it.
    pub(crate) nr_ring_pool_objtotal: u32,
    /// Bytes of each.
    pub(crate) nr_ring_pool_objsize: u32,
    /// Where the buffer pool begins.
    pub(crate) nr_buf_pool_offset: u64,
    /// Objects in it.
    pub(crate) nr_buf_pool_objtotal: u32,
    /// Bytes of each.
    pub(crate) nr_buf_pool_objsize: u32,
}

assert_layout!(PoolsInfo, 64,
    nr_memsize @ 0, nr_mem_id @ 8, nr_if_pool_offset @ 16, nr_if_pool_objtotal @ 24,
    nr_if_pool_objsize @ 28, nr_ring_pool_offset @ 32, nr_ring_pool_objtotal @ 40,
    nr_ring_pool_objsize @ 44, nr_buf_pool_offset @ 48, nr_buf_pool_objtotal @ 56,
    nr_buf_pool_objsize @ 60);

/// `struct nmreq_port_hdr`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct PortHdr {
    /// Bytes of the virtio-net header before each packet; 0: there is none.
    pub(crate) nr_hdr_len: u32,
    /// Padding.
    pub(crate) pad: u32,
}

assert_layout!(PortHdr, 8, nr_hdr_len @ 0);

/// `struct nmreq_sync_kloop_start`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct KloopStart {
    /// Microseconds between two rounds.
    pub(crate) sleep_us: u32,
    /// Padding.
    pub(crate) pad: u32,
}

assert_layout!(KloopStart, 8, sleep_us @ 0);
