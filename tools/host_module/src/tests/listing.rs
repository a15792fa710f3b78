// SPDX-License-Identifier: GPL-2.0

//! What the listing says, and what it holds on to meanwhile.

use std::sync::atomic::Ordering::SeqCst;

use kernel::uaccess::{self, BASE};

use super::rig::{machine, register, BODY};
use crate::machine::files::File;
use crate::machine::net::{nm_rtnl_lock, nm_rtnl_unlock};
use crate::uapi::ext::{kind, state, EXT_VERSION, NIOCQNEXT};
use crate::uapi::{flag, mode, NIOCCTRL};

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
    machine.end();
}

/// Who has RX queue `queue`.
fn state_of(file: &File, queue: u32) -> u32 {
    let (kind, at) = match queue {
        0 => (kind::PORT, 0),
        queue => (kind::RX, queue - 1),
    };
    assert_eq!(ask(file, kind, at), 0);
    let word = |i: usize| u32::from_le_bytes(uaccess::peek(AT + i, 4).try_into().unwrap());
    assert_eq!((word(8), word(12)), (kind::RX, queue));
    word(32)
}

#[test]
fn a_queue_that_did_not_stop_is_listed_so_until_it_has_whoever_comes_and_goes() {
    let (machine, dev, port) = machine();
    let (lists, program) = (File::open().unwrap(), File::open().unwrap());
    assert_eq!(register(&program, "eth3~1", mode::ONE_NIC, 0, 0), 0);
    port.sticks.store(true, SeqCst);
    drop(program);
    assert_eq!(state_of(&lists, 1), state::STUCK);
    assert_eq!(uaccess::peek(AT + 44, 4), [0; 4], "it is nobody's");
    // Another program may say anew how many host rings there are.
    let other = File::open().unwrap();
    assert_eq!(register(&other, "eth3~9", mode::ONE_NIC, 0, 0), 22);
    uaccess::poke(BASE + 8, b"eth3~2");
    uaccess::poke(BODY + 28, &[3, 0, 2, 0]);
    assert_eq!(other.ioctl(NIOCCTRL, BASE), 0);
    assert_eq!(uaccess::peek(BODY + 28, 4), [3, 0, 2, 0]);
    assert_eq!(state_of(&lists, 1), state::STUCK);
    assert_eq!(state_of(&lists, 2), state::NETMAP);
    drop(other);
    assert_eq!(state_of(&lists, 1), state::STUCK);
    assert_eq!(state_of(&lists, 2), state::KERNEL);
    nm_rtnl_lock();
    port.all_release();
    nm_rtnl_unlock();
    assert_eq!(state_of(&lists, 1), state::KERNEL);
    assert_eq!(dev.refs.load(SeqCst), 0);
    drop(lists);
    machine.end();
}

#[test]
fn an_interface_that_goes_with_a_queue_that_did_not_stop_is_let_go_of() {
    let (machine, dev, port) = machine();
    let program = File::open().unwrap();
    assert_eq!(register(&program, "eth3~1", mode::ONE_NIC, 0, 0), 0);
    port.sticks.store(true, SeqCst);
    dev.go(true);
    drop(program);
    nm_rtnl_lock();
    port.all_release();
    nm_rtnl_unlock();
    machine.end();
}

#[test]
fn a_region_has_the_lowest_id_that_is_free() {
    let (machine, _, _) = machine();
    let private = || {
        let file = File::open().unwrap();
        assert_eq!(
            register(&file, "eth3~", mode::ONE_NIC, flag::PRIVATE_MEM, 0),
            0
        );
        let id = uaccess::peek(BODY + 32, 2);
        (file, id[0])
    };
    let (first, second, third) = (private(), private(), private());
    assert_eq!([first.1, second.1, third.1], [1, 2, 3]);
    drop(second.0);
    let again = private();
    let last = private();
    assert_eq!([again.1, last.1], [2, 4]);
    drop((first.0, third.0, again.0, last.0));
    machine.end();
}
