// SPDX-License-Identifier: MIT OR Apache-2.0
//! The binary interface of `/dev/netmap`, API 14, on x86_64: constants, ioctl
//! numbers and `repr(C)` structures, nothing else.
//!
//! Names are those of `net/netmap.h`, so that both can be read side by side.
//! The layouts are checked at compile time in `layout`; our own additions
//! (queues added at run time, the listing) are in [`ext`].

pub mod ext;
mod layout;
mod options;

pub use options::*;

/// API version the structures below belong to.
pub const NETMAP_API: u16 = 14;
/// The device node.
pub const NETMAP_DEVICE: &str = "/dev/netmap";
/// Bytes of a port name in `nmreq_header`, with its final zero.
pub const NETMAP_REQ_IFNAMSIZ: usize = 64;
/// Bytes of an interface name in the legacy request, with its final zero.
pub const IFNAMSIZ: usize = 16;

/// Slot: its buffer index was changed by the program.
pub const NS_BUF_CHANGED: u16 = 0x1;
/// Slot: report the completion of its transmission.
pub const NS_REPORT: u16 = 0x2;
/// Slot: hand to the other side of the port (with `NR_FORWARD`).
pub const NS_FORWARD: u16 = 0x4;
/// Slot: payload is at the pointer in the slot (VALE only).
pub const NS_INDIRECT: u16 = 0x10;
/// Slot: the packet goes on in the next slot.
pub const NS_MOREFRAG: u16 = 0x20;
/// Slots a packet may have at most.
pub const NETMAP_MAX_FRAGS: usize = 64;

/// Ring flag: stamp `ts` at each sync.
pub const NR_TIMESTAMP: u32 = 0x2;
/// Ring flag: forward slots marked `NS_FORWARD`.
pub const NR_FORWARD: u32 = 0x4;

/// Register mode: derive it from the legacy ring id.
pub const NR_REG_DEFAULT: u32 = 0;
/// Register mode: all NIC rings.
pub const NR_REG_ALL_NIC: u32 = 1;
/// Register mode: host rings.
pub const NR_REG_SW: u32 = 2;
/// Register mode: NIC and host rings.
pub const NR_REG_NIC_SW: u32 = 3;
/// Register mode: one NIC ring pair.
pub const NR_REG_ONE_NIC: u32 = 4;
/// Register mode: master end of a pipe (legacy request only).
pub const NR_REG_PIPE_MASTER: u32 = 5;
/// Register mode: slave end of a pipe (legacy request only).
pub const NR_REG_PIPE_SLAVE: u32 = 6;
/// Register mode: memory without a port.
pub const NR_REG_NULL: u32 = 7;
/// Register mode: one host ring pair.
pub const NR_REG_ONE_SW: u32 = 8;
/// Bits of `nr_flags` that hold the mode in the legacy request.
pub const NR_REG_MASK: u32 = 0xf;

/// Monitor the TX rings.
pub const NR_MONITOR_TX: u64 = 0x100;
/// Monitor the RX rings.
pub const NR_MONITOR_RX: u64 = 0x200;
/// Monitor without copying.
pub const NR_ZCOPY_MON: u64 = 0x400;
/// Nobody else may bind the same rings.
pub const NR_EXCLUSIVE: u64 = 0x800;
/// Bind RX rings only.
pub const NR_RX_RINGS_ONLY: u64 = 0x2000;
/// Bind TX rings only.
pub const NR_TX_RINGS_ONLY: u64 = 0x4000;
/// The program can deal with virtio-net headers.
pub const NR_ACCEPT_VNET_HDR: u64 = 0x8000;
/// Accepted, without effect.
pub const NR_DO_RX_POLL: u64 = 0x1_0000;
/// `poll()` pushes TX slots only when asked for `POLLOUT`.
pub const NR_NO_TX_POLL: u64 = 0x2_0000;

/// Request type of [`nmreq_register`].
pub const NETMAP_REQ_REGISTER: u16 = 1;
/// Request type of [`nmreq_port_info_get`].
pub const NETMAP_REQ_PORT_INFO_GET: u16 = 2;
/// Request type of [`nmreq_pools_info`].
pub const NETMAP_REQ_POOLS_INFO_GET: u16 = 12;

/// Legacy: what a port looks like; takes [`nmreq`].
pub const NIOCGINFO: u32 = 0xc03c_6991;
/// Legacy: bind the file to rings of a port; takes [`nmreq`].
pub const NIOCREGIF: u32 = 0xc03c_6992;
/// Push the bound TX rings and reclaim what was sent.
pub const NIOCTXSYNC: u32 = 0x0000_6994;
/// Fetch what arrived on the bound RX rings, give back what was released.
pub const NIOCRXSYNC: u32 = 0x0000_6995;
/// Any request with a [`nmreq_header`].
pub const NIOCCTRL: u32 = 0xc058_6997;

/// One entry of a ring.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct netmap_slot {
    /// Index of the packet buffer.
    pub buf_idx: u32,
    /// Bytes in the buffer.
    pub len: u16,
    /// `NS_*`.
    pub flags: u16,
    /// Address (with `NS_INDIRECT`) or offset.
    pub ptr: u64,
}

/// A ring in shared memory; the slots follow at byte 256.
#[repr(C, align(128))]
pub struct netmap_ring {
    /// Buffer 0, relative to this ring.
    pub buf_ofs: i64,
    /// Number of slots.
    pub num_slots: u32,
    /// Size of one buffer.
    pub nr_buf_size: u32,
    /// Ring number.
    pub ringid: u16,
    /// 1 for TX, 0 for RX.
    pub dir: u16,
    /// First slot of the program.
    pub head: u32,
    /// Wake-up point of the program.
    pub cur: u32,
    /// First slot of the kernel.
    pub tail: u32,
    /// `NR_TIMESTAMP`, `NR_FORWARD`.
    pub flags: u32,
    /// Time of the last sync.
    pub ts: [i64; 2],
    /// Mask of a slot's offset.
    pub offset_mask: u64,
    /// Alignment the port wants for offsets.
    pub buf_align: u64,
    /// Room for the program.
    pub sem: ring_sem,
}

/// The program's own room in a ring.
#[repr(C, align(128))]
pub struct ring_sem(pub [u8; 128]);

/// A port in shared memory, one per open file; ring offsets follow at byte 56.
#[repr(C)]
pub struct netmap_if {
    /// Name of the port.
    pub ni_name: [u8; IFNAMSIZ],
    /// Reads 0 or the API version.
    pub ni_version: u32,
    /// 1: private memory.
    pub ni_flags: u32,
    /// NIC TX rings of the port.
    pub ni_tx_rings: u32,
    /// NIC RX rings of the port.
    pub ni_rx_rings: u32,
    /// First extra buffer, 0 for none.
    pub ni_bufs_head: u32,
    /// Host TX rings of the port.
    pub ni_host_tx_rings: u32,
    /// Host RX rings of the port.
    pub ni_host_rx_rings: u32,
    /// Unused.
    pub ni_spare1: [u32; 3],
}

/// Legacy request.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct nmreq {
    /// Interface name.
    pub nr_name: [u8; IFNAMSIZ],
    /// [`NETMAP_API`].
    pub nr_version: u32,
    /// Out: offset of `netmap_if` in the memory.
    pub nr_offset: u32,
    /// Out: size of the memory.
    pub nr_memsize: u32,
    /// Out: slots of a TX ring.
    pub nr_tx_slots: u32,
    /// Out: slots of an RX ring.
    pub nr_rx_slots: u32,
    /// Out: NIC TX rings.
    pub nr_tx_rings: u16,
    /// Out: NIC RX rings.
    pub nr_rx_rings: u16,
    /// Ring number, or its legacy bits.
    pub nr_ringid: u16,
    /// Command, 0 to register.
    pub nr_cmd: u16,
    /// Argument of the command.
    pub nr_arg1: u16,
    /// Memory id.
    pub nr_arg2: u16,
    /// Extra buffers.
    pub nr_arg3: u32,
    /// Mode and `NR_*` flags.
    pub nr_flags: u32,
    /// Unused.
    pub spare2: [u32; 1],
}

/// Header of every [`NIOCCTRL`] request.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct nmreq_header {
    /// [`NETMAP_API`].
    pub nr_version: u16,
    /// `NETMAP_REQ_*`.
    pub nr_reqtype: u16,
    /// 0.
    pub nr_reserved: u32,
    /// Port name.
    pub nr_name: [u8; NETMAP_REQ_IFNAMSIZ],
    /// Address of the first option.
    pub nr_options: u64,
    /// Address of the body.
    pub nr_body: u64,
}

/// Body of [`NETMAP_REQ_REGISTER`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct nmreq_register {
    /// Out: offset of `netmap_if` in the memory.
    pub nr_offset: u64,
    /// Out: size of the memory.
    pub nr_memsize: u64,
    /// Out: slots of a TX ring.
    pub nr_tx_slots: u32,
    /// Out: slots of an RX ring.
    pub nr_rx_slots: u32,
    /// Out: NIC TX rings.
    pub nr_tx_rings: u16,
    /// Out: NIC RX rings.
    pub nr_rx_rings: u16,
    /// Out: host TX rings.
    pub nr_host_tx_rings: u16,
    /// Out: host RX rings.
    pub nr_host_rx_rings: u16,
    /// Memory id, 0 for the default one.
    pub nr_mem_id: u16,
    /// Ring number.
    pub nr_ringid: u16,
    /// `NR_REG_*`.
    pub nr_mode: u32,
    /// Extra buffers asked for, then granted.
    pub nr_extra_bufs: u32,
    /// `NR_*` flags.
    pub nr_flags: u64,
}

/// Body of [`NETMAP_REQ_PORT_INFO_GET`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct nmreq_port_info_get {
    /// Out: size of the memory.
    pub nr_memsize: u64,
    /// Out: slots of a TX ring.
    pub nr_tx_slots: u32,
    /// Out: slots of an RX ring.
    pub nr_rx_slots: u32,
    /// Out: NIC TX rings.
    pub nr_tx_rings: u16,
    /// Out: NIC RX rings.
    pub nr_rx_rings: u16,
    /// Out: host TX rings.
    pub nr_host_tx_rings: u16,
    /// Out: host RX rings.
    pub nr_host_rx_rings: u16,
    /// Memory id.
    pub nr_mem_id: u16,
    /// Unused.
    pub pad: [u16; 3],
}

/// Body of [`NETMAP_REQ_POOLS_INFO_GET`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct nmreq_pools_info {
    /// Size of the memory.
    pub nr_memsize: u64,
    /// Memory id.
    pub nr_mem_id: u16,
    /// Unused.
    pub pad1: [u16; 3],
    /// Where the `netmap_if` pool starts.
    pub nr_if_pool_offset: u64,
    /// Objects in it.
    pub nr_if_pool_objtotal: u32,
    /// Size of one.
    pub nr_if_pool_objsize: u32,
    /// Where the ring pool starts.
    pub nr_ring_pool_offset: u64,
    /// Objects in it.
    pub nr_ring_pool_objtotal: u32,
    /// Size of one.
    pub nr_ring_pool_objsize: u32,
    /// Where the buffer pool starts.
    pub nr_buf_pool_offset: u64,
    /// Objects in it.
    pub nr_buf_pool_objtotal: u32,
    /// Size of one.
    pub nr_buf_pool_objsize: u32,
}
