// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests beyond registration, and the options of a request: memory of the
//! program's own, offsets, the communication block and the kernel loop.

/// Request type of [`nmreq_port_hdr`].
pub const NETMAP_REQ_PORT_HDR_SET: u16 = 6;
/// Request type of [`nmreq_port_hdr`].
pub const NETMAP_REQ_PORT_HDR_GET: u16 = 7;
/// Request type of [`nmreq_sync_kloop_start`].
pub const NETMAP_REQ_SYNC_KLOOP_START: u16 = 13;
/// Request type without a body: end the file's kernel loop.
pub const NETMAP_REQ_SYNC_KLOOP_STOP: u16 = 14;
/// Request type without a body: use the option [`nmreq_opt_csb`] from now on.
pub const NETMAP_REQ_CSB_ENABLE: u16 = 15;

/// Option type of [`nmreq_opt_extmem`].
pub const NETMAP_REQ_OPT_EXTMEM: u32 = 1;
/// Option type of [`nmreq_opt_sync_kloop_eventfds`].
pub const NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS: u32 = 2;
/// Option type of [`nmreq_opt_csb`].
pub const NETMAP_REQ_OPT_CSB: u32 = 3;
/// Option type of [`nmreq_opt_sync_kloop_mode`].
pub const NETMAP_REQ_OPT_SYNC_KLOOP_MODE: u32 = 4;
/// Option type of [`nmreq_opt_offsets`].
pub const NETMAP_REQ_OPT_OFFSETS: u32 = 5;

/// Head of every option.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct nmreq_option {
    /// Address of the next option, 0 for none.
    pub nro_next: u64,
    /// `NETMAP_REQ_OPT_*`.
    pub nro_reqtype: u32,
    /// Out: errno, 0 if it was honoured.
    pub nro_status: u32,
    /// Bytes behind the head, for options of no fixed size.
    pub nro_size: u64,
}

/// With REGISTER: the port's memory is the program's own.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct nmreq_opt_extmem {
    /// Head.
    pub nro_opt: nmreq_option,
    /// Address of the memory.
    pub nro_usrptr: u64,
    /// Layout wished for; out: made.
    pub nro_info: super::nmreq_pools_info,
}

/// With REGISTER and CSB_ENABLE: where ring pointers are exchanged.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct nmreq_opt_csb {
    /// Head.
    pub nro_opt: nmreq_option,
    /// Address of an array of [`nm_csb_atok`].
    pub csb_atok: u64,
    /// Address of an array of [`nm_csb_ktoa`].
    pub csb_ktoa: u64,
}

/// With REGISTER: packets begin somewhere inside their buffers.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct nmreq_opt_offsets {
    /// Head.
    pub nro_opt: nmreq_option,
    /// Largest offset that will be used.
    pub nro_max_offset: u64,
    /// Offset of all slots at first.
    pub nro_initial_offset: u64,
    /// Low bits of the slot's `ptr` that hold it; out: granted.
    pub nro_offset_bits: u32,
    /// Alignment of the start of packets sent.
    pub nro_tx_align: u32,
    /// Room between packets in one buffer.
    pub nro_min_gap: u64,
}

/// With SYNC_KLOOP_START: events instead of polling; pairs of descriptors follow.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct nmreq_opt_sync_kloop_eventfds {
    /// Head.
    pub nro_opt: nmreq_option,
}

/// One ring's events.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct nm_kloop_eventfd {
    /// Program to kernel.
    pub ioeventfd: i32,
    /// Kernel to program.
    pub irqfd: i32,
}

/// With SYNC_KLOOP_START: where the work is done.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct nmreq_opt_sync_kloop_mode {
    /// Head.
    pub nro_opt: nmreq_option,
    /// 1: TX within the kick, 2: RX within the interrupt.
    pub mode: u32,
    /// Unused.
    pub pad1: u32,
}

/// Body of [`NETMAP_REQ_PORT_HDR_GET`] and SET.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct nmreq_port_hdr {
    /// Bytes of the virtio-net header before each packet: 0, 10 or 12.
    pub nr_hdr_len: u32,
    /// Unused.
    pub pad1: u32,
}

/// Body of [`NETMAP_REQ_SYNC_KLOOP_START`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct nmreq_sync_kloop_start {
    /// Microseconds to sleep between rounds.
    pub sleep_us: u32,
    /// Unused.
    pub pad1: u32,
}

/// One ring of the communication block, program to kernel.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default)]
pub struct nm_csb_atok {
    /// As in the ring.
    pub head: u32,
    /// As in the ring.
    pub cur: u32,
    /// The program wants an event.
    pub appl_need_kick: u32,
    /// Flags for the sync.
    pub sync_flags: u32,
    /// Unused.
    pub pad: [u32; 12],
}

/// One ring of the communication block, kernel to program.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default)]
pub struct nm_csb_ktoa {
    /// How far the kernel has come.
    pub hwcur: u32,
    /// First slot of the kernel.
    pub hwtail: u32,
    /// The kernel wants an event.
    pub kern_need_kick: u32,
    /// Unused.
    pub pad: [u32; 13],
}
