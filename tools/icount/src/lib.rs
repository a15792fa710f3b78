// SPDX-License-Identifier: GPL-2.0
//! QEMU plugin that counts guest instructions by address.
//!
//! Load it with `-plugin libicount.so,out=FILE`.  The guest program says what is to
//! be counted with marks, the instruction `nopl 0x51be00NN(%rax)`, which does
//! nothing on any processor and is recognised here when it is translated:
//!
//! | NN | meaning |
//! |----|---------|
//! | 01 | arm: from here on code is translated with counters (boot stays fast) |
//! | 10 | a burst begins |
//! | 11 | a burst ends |
//! | 20 | a run begins |
//! | 21 | a run ends: its record is written |
//! | 40 | first in a loop that waits: the block is not counted |
//!
//! Every instruction counts as one when it starts, also one that then faults and
//! is started again.  Marks are not counted.  What the counts belong to (function,
//! module, program) is found afterwards from the addresses.

mod api;
mod counters;
mod record;

use core::ffi::{c_char, c_int, c_uint, c_void, CStr};
use counters::Counters;
use record::Recorder;
use std::ffi::CString;
use std::ptr;
use std::sync::{Mutex, OnceLock};

/// First bytes of `nopl 0x51be00NN(%rax)`; byte 3 is NN.
const MARK: [u8; 7] = [0x0f, 0x1f, 0x80, 0x00, 0x00, 0xbe, 0x51];

/// Which interface QEMU finds here.
#[no_mangle]
pub static qemu_plugin_version: c_int = api::VERSION;

/// All that the callbacks share.
struct State {
    id: api::Id,
    counters: Counters,
    recorder: Recorder,
}

static STATE: OnceLock<Mutex<State>> = OnceLock::new();

/// Run `f` on the state; a panic elsewhere does not stop the counting.
fn with_state<R>(f: impl FnOnce(&mut State) -> R) -> Option<R> {
    let state = STATE.get()?;
    let mut guard = match state.lock() {
        Ok(guard) => guard,
        Err(poisoned) => poisoned.into_inner(),
    };
    Some(f(&mut guard))
}

/// Say something in QEMU's log.
fn say(text: &str) {
    let line = CString::new(format!("icount: {text}\n")).unwrap_or_default();
    // SAFETY: a NUL-terminated string that outlives the call.
    unsafe { api::qemu_plugin_outs(line.as_ptr()) };
}

/// The NN of a mark, or `None` for any other instruction.
///
/// # Safety
/// `insn` belongs to the block that is being translated.
unsafe fn mark_of(insn: *const api::Insn) -> Option<u8> {
    let mut bytes = [0u8; 7];
    // SAFETY: by this function's contract; at most 7 bytes are written to `bytes`.
    let len = unsafe { api::qemu_plugin_insn_data(insn, bytes.as_mut_ptr().cast(), bytes.len()) };
    let number = bytes[3];
    bytes[3] = 0;
    (len == bytes.len() && bytes == MARK).then_some(number)
}

/// The instructions of a block that is being translated.
///
/// # Safety
/// `tb` is the block given to the translation callback that is running.
unsafe fn instructions(tb: *const api::Tb) -> impl Iterator<Item = *mut api::Insn> {
    // SAFETY: by this function's contract.
    let count = unsafe { api::qemu_plugin_tb_n_insns(tb) };
    // SAFETY: the same, and the index is below the number of instructions.
    (0..count).map(move |i| unsafe { api::qemu_plugin_tb_get_insn(tb, i) })
}

/// Before the arm mark: look for nothing else.
extern "C" fn translate_unarmed(tb: *mut api::Tb, _udata: *mut c_void) {
    // SAFETY: called by QEMU with the block that is being translated.
    for insn in unsafe { instructions(tb) } {
        // SAFETY: as above.
        if unsafe { mark_of(insn) } == Some(0x01) {
            let number = ptr::without_provenance_mut(0x01);
            // SAFETY: as above; the callback is a function of this library, which stays.
            unsafe {
                api::qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark, api::CB_NO_REGS, number);
            }
        }
    }
}

/// After the arm mark: a counter for each instruction, a call for each mark.
extern "C" fn translate_armed(tb: *mut api::Tb, _udata: *mut c_void) {
    let mut waiting = false;
    // SAFETY: called by QEMU with the block that is being translated.
    for (i, insn) in unsafe { instructions(tb) }.enumerate() {
        // SAFETY: as above.
        match unsafe { mark_of(insn) } {
            Some(0x40) if i == 0 => waiting = true,
            Some(0x40) => {}
            Some(number) => {
                let number = ptr::without_provenance_mut(usize::from(number));
                // SAFETY: as in translate_unarmed().
                unsafe {
                    api::qemu_plugin_register_vcpu_insn_exec_cb(
                        insn,
                        on_mark,
                        api::CB_NO_REGS,
                        number,
                    );
                }
            }
            None if waiting => {}
            None => {
                // SAFETY: as above.
                let address = unsafe { api::qemu_plugin_insn_vaddr(insn) };
                if let Some(entry) = with_state(|s| s.counters.entry(address)) {
                    // SAFETY: as above; the counter is inside its scoreboard.
                    unsafe {
                        api::qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(
                            insn,
                            api::INLINE_ADD_U64,
                            entry,
                            1,
                        );
                    }
                }
            }
        }
    }
}

/// All translated code is gone and no callback is registered any more.
extern "C" fn on_reset(_word: u64) {
    with_state(|s| {
        // SAFETY: QEMU gave us this id; the callback is a function of this library.
        unsafe {
            api::qemu_plugin_register_vcpu_tb_trans_cb(s.id, translate_armed, ptr::null_mut());
        }
    });
    say("armed");
}

/// A mark is executed.
extern "C" fn on_mark(_vcpu: c_uint, number: *mut c_void) {
    let done = with_state(|s| {
        let (recorder, counters) = (&mut s.recorder, &s.counters);
        match number.addr() {
            // SAFETY: our own id, and a function of this library.
            0x01 => unsafe { api::qemu_plugin_reset(s.id, on_reset) },
            0x10 => recorder.burst(counters),
            0x11 => recorder.burst_end(counters),
            0x20 => recorder.begin(counters),
            0x21 => return recorder.end(counters),
            _ => {}
        }
        Ok(())
    });
    if let Some(Err(error)) = done {
        say(&format!("cannot write the output: {error}"));
    }
}

/// QEMU exits: say how much was counted, as a check that it was at all.
extern "C" fn on_exit(_word: *mut c_void) {
    if let Some(total) = with_state(|s| s.counters.total()) {
        say(&format!("{total} instructions counted"));
    }
}

/// QEMU loads the plugin.
///
/// # Safety
/// Called by QEMU with `argc` strings in `argv`.
#[no_mangle]
pub unsafe extern "C" fn qemu_plugin_install(
    id: api::Id,
    _info: *const c_void,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    let mut out = None;
    for i in 0..usize::try_from(argc).unwrap_or(0) {
        // SAFETY: by this function's contract.
        let argument = unsafe { CStr::from_ptr(*argv.add(i)) }.to_string_lossy();
        match argument.split_once('=') {
            Some(("out", path)) => out = Some(path.to_owned()),
            _ => {
                say(&format!("unknown option '{argument}': use out=FILE"));
                return 1;
            }
        }
    }
    let Some(path) = out else {
        say("no output: use -plugin libicount.so,out=FILE");
        return 1;
    };
    let recorder = match Recorder::create(&path) {
        Ok(recorder) => recorder,
        Err(error) => {
            say(&format!("cannot create {path}: {error}"));
            return 1;
        }
    };
    let state = State {
        id,
        counters: Counters::default(),
        recorder,
    };
    if STATE.set(Mutex::new(state)).is_err() {
        say("loaded twice");
        return 1;
    }
    // SAFETY: QEMU gave us this id; the callbacks are functions of this library.
    unsafe {
        api::qemu_plugin_register_vcpu_tb_trans_cb(id, translate_unarmed, ptr::null_mut());
        api::qemu_plugin_register_atexit_cb(id, on_exit, ptr::null_mut());
    }
    0
}
