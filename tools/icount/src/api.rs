// SPDX-License-Identifier: GPL-2.0
//! The part of QEMU's plugin interface that is used here, version 7 (QEMU 11.1).
//!
//! Declared by hand since distributions ship the interface in the QEMU binary but
//! not its header.  Every declaration is the C function of the same name; callbacks
//! whose first argument changed between versions take it as an opaque word.

use core::ffi::{c_char, c_int, c_uint, c_void};

/// Version of the interface these declarations follow.
pub const VERSION: c_int = 7;

/// Opaque identity of this plugin.
pub type Id = u64;

/// A translation block while it is being translated.
#[repr(C)]
pub struct Tb {
    _opaque: [u8; 0],
}

/// One guest instruction of a [`Tb`].
#[repr(C)]
pub struct Insn {
    _opaque: [u8; 0],
}

/// Memory of a fixed size for each vCPU.
#[repr(C)]
pub struct Scoreboard {
    _opaque: [u8; 0],
}

/// A counter inside each vCPU's part of a scoreboard; passed by value.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct U64 {
    /// The scoreboard it is in.
    pub score: *mut Scoreboard,
    /// Where in it, in bytes.
    pub offset: usize,
}

/// `QEMU_PLUGIN_CB_NO_REGS`: the callback reads no guest register.
pub const CB_NO_REGS: c_int = 0;
/// `QEMU_PLUGIN_INLINE_ADD_U64`, the first of the inline operations.
pub const INLINE_ADD_U64: c_int = 0;

/// Called for each block that is translated.
pub type TbTransCb = extern "C" fn(tb: *mut Tb, udata: *mut c_void);
/// Called when a marked instruction is executed.
pub type ExecCb = extern "C" fn(vcpu: c_uint, udata: *mut c_void);
/// Called when the plugin was reset; its argument is not used.
pub type DoneCb = extern "C" fn(word: u64);
/// Called when QEMU exits; its argument is not used.
pub type ExitCb = extern "C" fn(word: *mut c_void);

#[allow(missing_docs)]
extern "C" {
    pub fn qemu_plugin_register_vcpu_tb_trans_cb(id: Id, cb: TbTransCb, udata: *mut c_void);
    pub fn qemu_plugin_register_atexit_cb(id: Id, cb: ExitCb, udata: *mut c_void);
    pub fn qemu_plugin_reset(id: Id, cb: DoneCb);
    pub fn qemu_plugin_num_vcpus() -> c_int;
    pub fn qemu_plugin_outs(text: *const c_char);

    pub fn qemu_plugin_tb_n_insns(tb: *const Tb) -> usize;
    pub fn qemu_plugin_tb_get_insn(tb: *const Tb, index: usize) -> *mut Insn;
    pub fn qemu_plugin_insn_vaddr(insn: *const Insn) -> u64;
    pub fn qemu_plugin_insn_data(insn: *const Insn, dest: *mut c_void, len: usize) -> usize;

    pub fn qemu_plugin_register_vcpu_insn_exec_cb(
        insn: *mut Insn,
        cb: ExecCb,
        flags: c_int,
        udata: *mut c_void,
    );
    pub fn qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(
        insn: *mut Insn,
        op: c_int,
        entry: U64,
        imm: u64,
    );

    pub fn qemu_plugin_scoreboard_new(element_size: usize) -> *mut Scoreboard;
    pub fn qemu_plugin_scoreboard_find(score: *mut Scoreboard, vcpu: c_uint) -> *mut c_void;
}
