// SPDX-License-Identifier: GPL-2.0

//! What the listing says, and what it holds on to meanwhile.

use std::sync::atomic::Ordering::SeqCst;

use kernel::uaccess::{self, BASE};

use super::rig::{machine, register};
use crate::machine::files::File;
use crate::uapi::ext::{kind, EXT_VERSION, NIOCQNEXT};
use crate::uapi::mode;

const AT: usize = BASE + 0x800;

/// Asks for the entry behind (interface 1, `kind`, `at`): 0 or the errno.
fn ask(file: &File, kind: u32, at: u32) -> i32 {
    uaccess::poke(AT, &[0; 256]);
    for (word, i) in [EXT_VERSION, 1, kind, at].into_iter().zip(0..) {
        uaccess::poke(AT + 4 * i, &word.to_le_bytes());
    }
    file.ioctl(NIOCQNEXT, AT)
}

#[test]
fn nobody_holds_an_interface_while_a_program_keeps_the_answer_waiting() {
    let (machine, dev, _) = machine();
    let (file, other) = (File::open().unwrap(), File::open().unwrap());
    assert_eq!(register(&other, "eth3~1", mode::ONE_NIC, 0, 0), 0);
    let held = dev.refs.load(SeqCst);
    uaccess::before_writes(Some(Box::new(move || {
        assert_eq!(dev.refs.load(SeqCst), held, "held by who lists");
    })));
    for (kind, at) in [(kind::PORT, 0), (kind::RX, 0), (kind::RX, 3)] {
        assert_eq!(ask(&file, kind, at), 0);
    }
    uaccess::before_writes(None);
    drop((file, other));
    machine.end(false);
}
