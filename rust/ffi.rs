// SPDX-License-Identifier: GPL-2.0
//! Generated from `c_shim/nm_shim.h` by `c_shim/bindings`; not edited by hand.
#![allow(
    missing_docs,
    non_camel_case_types,
    unreachable_pub,
    dead_code,
    unsafe_code,
    improper_ctypes,
    clippy::all
)]
use kernel::bindings::{
    device, eventfd_ctx, module, net_device, pid, poll_table_struct, seq_file, vm_area_struct,
};

pub const NM_NIC_ABI: u32 = 4;
pub type u32_ = kernel::ffi::c_uint;
pub type u64_ = kernel::ffi::c_ulonglong;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sk_buff {
    _unused: [u8; 0],
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct nm_nic_port {
    pub dev: *mut device,
    pub num_rx: u32_,
    pub num_tx: u32_,
    pub rx_slots: u32_,
    pub tx_slots: u32_,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct nm_nic_ring {
    pub desc: *mut kernel::ffi::c_void,
    pub tail: *mut kernel::ffi::c_void,
    pub head: *const u32_,
    pub count: u32_,
    pub reg_idx: u32_,
    pub dev: *const net_device,
    pub cookie: *mut kernel::ffi::c_void,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct nm_nic_client {
    pub start: ::core::option::Option<
        unsafe extern "C" fn(
            priv_: *mut kernel::ffi::c_void,
            ring: *const nm_nic_ring,
        ) -> kernel::ffi::c_int,
    >,
    pub stop: ::core::option::Option<unsafe extern "C" fn(priv_: *mut kernel::ffi::c_void)>,
    pub irq: ::core::option::Option<unsafe extern "C" fn(priv_: *mut kernel::ffi::c_void)>,
    pub gone: ::core::option::Option<unsafe extern "C" fn(priv_: *mut kernel::ffi::c_void)>,
    pub released: ::core::option::Option<unsafe extern "C" fn(priv_: *mut kernel::ffi::c_void)>,
    pub owner: *mut module,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct nm_nic_xmit {
    pub xmit: ::core::option::Option<
        unsafe extern "C" fn(priv_: *mut kernel::ffi::c_void, skb: *mut sk_buff, queue: u32_),
    >,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct nm_nic_ops {
    pub abi: u32_,
    pub size: u32_,
    pub owner: *mut module,
    pub match_: ::core::option::Option<unsafe extern "C" fn(dev: *const net_device) -> bool>,
    pub info: ::core::option::Option<
        unsafe extern "C" fn(dev: *mut net_device, port: *mut nm_nic_port) -> kernel::ffi::c_int,
    >,
    pub take_rx: ::core::option::Option<
        unsafe extern "C" fn(
            dev: *mut net_device,
            q: u32_,
            buf_len: u32_,
            client: *const nm_nic_client,
            priv_: *mut kernel::ffi::c_void,
        ) -> kernel::ffi::c_int,
    >,
    pub give_rx: ::core::option::Option<
        unsafe extern "C" fn(dev: *mut net_device, q: u32_) -> kernel::ffi::c_int,
    >,
    pub take_tx: ::core::option::Option<
        unsafe extern "C" fn(
            dev: *mut net_device,
            q: u32_,
            client: *const nm_nic_client,
            priv_: *mut kernel::ffi::c_void,
        ) -> kernel::ffi::c_int,
    >,
    pub give_tx: ::core::option::Option<
        unsafe extern "C" fn(dev: *mut net_device, q: u32_) -> kernel::ffi::c_int,
    >,
    pub divert: ::core::option::Option<
        unsafe extern "C" fn(
            dev: *mut net_device,
            xmit: *const nm_nic_xmit,
            priv_: *mut kernel::ffi::c_void,
        ) -> kernel::ffi::c_int,
    >,
    pub account_rx: ::core::option::Option<
        unsafe extern "C" fn(cookie: *mut kernel::ffi::c_void, packets: u32_, bytes: u32_),
    >,
    pub account_tx: ::core::option::Option<
        unsafe extern "C" fn(cookie: *mut kernel::ffi::c_void, packets: u32_, bytes: u32_),
    >,
    pub rx_stamp: ::core::option::Option<
        unsafe extern "C" fn(cookie: *mut kernel::ffi::c_void, ns: *mut u64_) -> bool,
    >,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct nm_pin {
    _unused: [u8; 0],
}
unsafe extern "C" {
    pub fn nm_netdev_get(name: *const kernel::ffi::c_char) -> *mut net_device;
}
unsafe extern "C" {
    pub fn nm_netdev_next(after_ifindex: u32_) -> *mut net_device;
}
unsafe extern "C" {
    pub fn nm_netdev_hold(dev: *mut net_device);
}
unsafe extern "C" {
    pub fn nm_netdev_put(dev: *mut net_device);
}
unsafe extern "C" {
    pub fn nm_netdev_ifindex(dev: *const net_device) -> u32_;
}
unsafe extern "C" {
    pub fn nm_netdev_name(dev: *const net_device, name16: *mut kernel::ffi::c_char);
}
unsafe extern "C" {
    pub fn nm_netdev_registered(dev: *const net_device) -> bool;
}
unsafe extern "C" {
    pub fn nm_netdev_running(dev: *const net_device) -> bool;
}
unsafe extern "C" {
    pub fn nm_netdev_carrier(dev: *const net_device) -> bool;
}
unsafe extern "C" {
    pub fn nm_netdev_in_caller_netns(dev: *const net_device) -> bool;
}
unsafe extern "C" {
    pub fn nm_netdev_may_admin(dev: *const net_device) -> bool;
}
unsafe extern "C" {
    pub fn nm_netns_cookie() -> u64_;
}
unsafe extern "C" {
    pub fn nm_rtnl_lock();
}
unsafe extern "C" {
    pub fn nm_rtnl_unlock();
}
unsafe extern "C" {
    pub fn nm_notifier_register() -> kernel::ffi::c_int;
}
unsafe extern "C" {
    pub fn nm_notifier_unregister();
}
unsafe extern "C" {
    pub fn nm_nic_get(dev: *mut net_device) -> *const nm_nic_ops;
}
unsafe extern "C" {
    pub fn nm_nic_put(ops: *const nm_nic_ops);
}
unsafe extern "C" {
    pub fn nm_nic_write_tail(tail: *mut kernel::ffi::c_void, value: u32_);
}
unsafe extern "C" {
    pub fn nm_chunk_alloc(pages: u32_) -> *mut kernel::ffi::c_void;
}
unsafe extern "C" {
    pub fn nm_chunk_free(chunk: *mut kernel::ffi::c_void);
}
unsafe extern "C" {
    pub fn nm_device_get(dev: *mut device) -> *mut device;
}
unsafe extern "C" {
    pub fn nm_device_put(dev: *mut device);
}
unsafe extern "C" {
    pub fn nm_chunk_contiguous(chunk: *mut kernel::ffi::c_void, units: u32_, order: u32_) -> bool;
}
unsafe extern "C" {
    pub fn nm_dma_map(
        dev: *mut device,
        chunk: *mut kernel::ffi::c_void,
        units: u32_,
        order: u32_,
        addr: *mut u64_,
    ) -> kernel::ffi::c_int;
}
unsafe extern "C" {
    pub fn nm_dma_unmap(dev: *mut device, addr: *const u64_, units: u32_, order: u32_);
}
unsafe extern "C" {
    pub fn nm_dma_needs_sync(dev: *mut device, addr: *const u64_, units: u32_) -> bool;
}
unsafe extern "C" {
    pub fn nm_dma_sync_for_cpu(dev: *mut device, addr: u64_, len: u32_);
}
unsafe extern "C" {
    pub fn nm_dma_sync_for_device(dev: *mut device, addr: u64_, len: u32_);
}
unsafe extern "C" {
    pub fn nm_pin_new(user: u64_, pages: u32_, out: *mut *mut nm_pin) -> kernel::ffi::c_int;
}
unsafe extern "C" {
    pub fn nm_pin_free(pin: *mut nm_pin);
}
unsafe extern "C" {
    pub fn nm_pin_addr(pin: *const nm_pin) -> *mut kernel::ffi::c_void;
}
unsafe extern "C" {
    pub fn nm_pin_same(a: *const nm_pin, b: *const nm_pin) -> bool;
}
unsafe extern "C" {
    pub fn nm_vma_init(
        vma: *mut vm_area_struct,
        region: *const kernel::ffi::c_void,
        pages: u64_,
    ) -> kernel::ffi::c_int;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct nm_frag {
    pub data: *const kernel::ffi::c_void,
    pub len: u32_,
    pub more: u32_,
}
unsafe extern "C" {
    pub fn nm_skb_receive(dev: *mut net_device, queue: u32_, frag: *const nm_frag, n: u32_)
        -> u32_;
}
unsafe extern "C" {
    pub fn nm_lock_init(lock: *mut kernel::ffi::c_void);
}
unsafe extern "C" {
    pub fn nm_lock(lock: *mut kernel::ffi::c_void) -> kernel::ffi::c_ulong;
}
unsafe extern "C" {
    pub fn nm_unlock(lock: *mut kernel::ffi::c_void, flags: kernel::ffi::c_ulong);
}
unsafe extern "C" {
    pub fn nm_skb_dev(skb: *const sk_buff) -> *mut net_device;
}
unsafe extern "C" {
    pub fn nm_netdev_tx_dropped(dev: *mut net_device, frames: u32_);
}
unsafe extern "C" {
    pub fn nm_skb_plain(skb: *mut sk_buff, lost: *mut u32_) -> *mut sk_buff;
}
unsafe extern "C" {
    pub fn nm_skb_next(skb: *const sk_buff) -> *mut sk_buff;
}
unsafe extern "C" {
    pub fn nm_skb_set_next(skb: *mut sk_buff, next: *mut sk_buff);
}
unsafe extern "C" {
    pub fn nm_skb_len(skb: *const sk_buff) -> u32_;
}
unsafe extern "C" {
    pub fn nm_skb_copy(
        skb: *const sk_buff,
        offset: u32_,
        to: *mut kernel::ffi::c_void,
        len: u32_,
    ) -> kernel::ffi::c_int;
}
unsafe extern "C" {
    pub fn nm_skb_free(skb: *mut sk_buff, dropped: bool);
}
unsafe extern "C" {
    pub fn nm_trace_attach(dev: *const net_device, kind: u32_, ring: u32_);
}
unsafe extern "C" {
    pub fn nm_trace_detach(
        dev: *const net_device,
        kind: u32_,
        ring: u32_,
        error: kernel::ffi::c_int,
    );
}
unsafe extern "C" {
    pub fn nm_trace_sync(
        ifindex: u32_,
        kind: u32_,
        ring: u32_,
        head: u32_,
        cur: u32_,
        tail: u32_,
        packets: u32_,
    );
}
unsafe extern "C" {
    pub fn nm_trace_reinit(
        ifindex: u32_,
        kind: u32_,
        ring: u32_,
        head: u32_,
        cur: u32_,
        hwcur: u32_,
        hwtail: u32_,
    );
}
unsafe extern "C" {
    pub fn nm_sleeper_new() -> *mut kernel::ffi::c_void;
}
unsafe extern "C" {
    pub fn nm_sleeper_free(sleeper: *mut kernel::ffi::c_void);
}
unsafe extern "C" {
    pub fn nm_sleeper_table(sleeper: *mut kernel::ffi::c_void) -> *mut poll_table_struct;
}
unsafe extern "C" {
    pub fn nm_sleeper_error(sleeper: *const kernel::ffi::c_void) -> kernel::ffi::c_int;
}
unsafe extern "C" {
    pub fn nm_sleeper_eventfd(
        sleeper: *mut kernel::ffi::c_void,
        fd: kernel::ffi::c_int,
    ) -> kernel::ffi::c_int;
}
unsafe extern "C" {
    pub fn nm_sleeper_sleep(sleeper: *mut kernel::ffi::c_void, usec: u64_) -> bool;
}
unsafe extern "C" {
    pub fn nm_yield() -> bool;
}
unsafe extern "C" {
    pub fn nm_eventfd_get(fd: kernel::ffi::c_int, ctx: *mut *mut eventfd_ctx)
        -> kernel::ffi::c_int;
}
unsafe extern "C" {
    pub fn nm_eventfd_put(ctx: *mut eventfd_ctx);
}
unsafe extern "C" {
    pub fn nm_eventfd_signal(ctx: *mut eventfd_ctx);
}
unsafe extern "C" {
    pub fn nm_user_get(addr: kernel::ffi::c_ulong, word: *mut u32_) -> kernel::ffi::c_int;
}
unsafe extern "C" {
    pub fn nm_user_put(addr: kernel::ffi::c_ulong, word: u32_) -> kernel::ffi::c_int;
}
unsafe extern "C" {
    pub fn nm_debugfs_add();
}
unsafe extern "C" {
    pub fn nm_debugfs_remove();
}
unsafe extern "C" {
    pub static mut __this_module: module;
}
unsafe extern "C" {
    pub fn nm_write_barrier();
}
unsafe extern "C" {
    pub fn nm_read_barrier();
}
unsafe extern "C" {
    pub fn nm_full_barrier();
}
unsafe extern "C" {
    pub fn nm_now(sec: *mut kernel::ffi::c_longlong, usec: *mut kernel::ffi::c_longlong);
}
unsafe extern "C" {
    pub fn nm_current_tgid() -> *mut pid;
}
unsafe extern "C" {
    pub fn nm_pid_put(pid: *mut pid);
}
unsafe extern "C" {
    pub fn nm_current_uid() -> u32_;
}
unsafe extern "C" {
    pub fn nm_current_comm(comm16: *mut kernel::ffi::c_char);
}
unsafe extern "C" {
    pub fn nm_pid_seen(pid: *mut pid) -> u32_;
}
unsafe extern "C" {
    pub fn nm_uid_seen(uid: u32_) -> u32_;
}
unsafe extern "C" {
    pub fn nm_in_compat() -> bool;
}
unsafe extern "C" {
    pub fn nm_warn_compat();
}
unsafe extern "C" {
    pub fn nm_rs_netdev_gone(dev: *mut net_device);
}
unsafe extern "C" {
    pub fn nm_rs_show_rings(m: *mut seq_file) -> kernel::ffi::c_int;
}
unsafe extern "C" {
    pub fn nm_rs_show_regions(m: *mut seq_file) -> kernel::ffi::c_int;
}
unsafe extern "C" {
    pub fn nm_rs_region_page(
        region: *const kernel::ffi::c_void,
        pgoff: u64_,
    ) -> *mut kernel::ffi::c_void;
}
