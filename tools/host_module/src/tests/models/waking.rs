// SPDX-License-Identifier: GPL-2.0

//! Nobody sleeps through what they wait for.

use kernel::bindings::poll_table_struct;
use kernel::sync::poll::Waiter;
use loom::thread;
use std::sync::Arc;

use super::super::rig::{machine, register, Ring, SLOTS};
use super::{explore, open, reset, wait_for, Epoll, IN, OUT};
use crate::machine::files::File;
use crate::machine::skb;
use crate::uapi::mode;

#[test]
fn a_frame_wakes_whoever_polls() {
    explore(|| {
        let (machine, _, port) = machine();
        let file = open("eth3~1", mode::ONE_NIC, 0);
        let card = thread::spawn(move || {
            port.rx[1].receive(&[60], 0);
            port.rx[1].irq();
        });
        wait_for(&file, IN);
        card.join().unwrap();
        drop(file);
        machine.end();
    });
}

/// The same protocol with the two steps of poll() in the wrong order: first a look, then the wait
/// queue. Run by the test below, in a process that does not survive it.
#[test]
#[ignore = "fails, and is to"]
fn broken() {
    explore(|| {
        let (_machine, _, port) = machine();
        let file = open("eth3~1", mode::ONE_NIC, 0);
        let card = thread::spawn(move || {
            port.rx[1].receive(&[60], 0);
            port.rx[1].irq();
        });
        let waiter = Arc::new(Waiter::default());
        let mut table = poll_table_struct {
            _key: IN,
            waiter: None,
        };
        if file.poll(&mut table) & IN == 0 {
            // Registers and looks at no ring.
            table._key = 0;
            table.waiter = Some(waiter.clone());
            file.poll(&mut table);
            waiter.wait();
        }
        card.join().unwrap();
    });
}

#[test]
fn a_poller_that_looks_before_it_registers_sleeps_through_it_and_the_model_sees_that() {
    let me = std::env::current_exe().unwrap();
    let mut child = std::process::Command::new(me);
    child.args([
        "tests::models::waking::broken",
        "--exact",
        "--ignored",
        "--nocapture",
    ]);
    let said = child.output().unwrap();
    let said = [said.stdout, said.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("deadlock"), "{said}");
}

#[test]
fn a_frame_after_a_reset_wakes_although_the_reset_comes_between() {
    explore(|| {
        let (machine, dev, port) = machine();
        let file = open("eth3~1", mode::ONE_NIC, 0);
        let other = thread::spawn(move || {
            reset(dev, port);
            port.rx[1].receive(&[60], 0);
            port.rx[1].irq();
        });
        wait_for(&file, IN);
        other.join().unwrap();
        drop(file);
        machine.end();
    });
}

#[test]
fn what_two_processors_send_at_once_wakes_the_program_until_it_has_all() {
    explore(|| {
        let (machine, dev, port) = machine();
        let file = open("eth3", mode::NIC_SW, 0);
        let sends = || thread::spawn(move || port.transmit(skb::make(dev, 60, 1), 0));
        let both = [sends(), sends()];
        let ring = Ring::of(&file, 2 + 1 + 4);
        let mut got = 0;
        while got < 2 {
            wait_for(&file, IN);
            got += (ring.tail() + SLOTS - ring.word(20)) % SLOTS;
            ring.release(ring.tail());
        }
        both.into_iter().for_each(|t| t.join().unwrap());
        drop(file);
        machine.end();
    });
}

#[test]
fn an_interface_that_goes_wakes_whoever_polls() {
    explore(|| {
        let (machine, dev, _) = machine();
        let file = open("eth3~1", mode::ONE_NIC, 0);
        let other = thread::spawn(move || dev.go(true));
        wait_for(&file, kernel::bindings::POLLERR);
        other.join().unwrap();
        drop(file);
        machine.end();
    });
}

#[test]
fn frames_of_any_ring_of_an_fd_wake_its_poller() {
    explore(|| {
        let (machine, _, port) = machine();
        let file = open("eth3", mode::ALL_NIC, 0);
        let cards = [0, 3].map(|q| {
            thread::spawn(move || {
                port.rx[q].receive(&[60], 0);
                port.rx[q].irq();
            })
        });
        for q in [0, 3] {
            let ring = Ring::of(&file, 2 + 1 + q);
            // What the other has is left, and is taken to be read: only this one's is waited for.
            let other = Ring::of(&file, 2 + 1 + (3 - q));
            while ring.tail() != 1 {
                other.set(24, other.tail());
                wait_for(&file, IN);
            }
        }
        cards.into_iter().for_each(|t| t.join().unwrap());
        drop(file);
        machine.end();
    });
}

#[test]
fn a_frame_wakes_all_fds_that_share_its_ring() {
    explore(|| {
        let (machine, _, port) = machine();
        let first = open("eth3", mode::ONE_NIC, 0);
        let second = open("eth3", mode::ONE_NIC, 0);
        let other = thread::spawn(move || {
            wait_for(&second, IN);
            second
        });
        let card = thread::spawn(move || {
            port.rx[0].receive(&[60], 0);
            port.rx[0].irq();
        });
        wait_for(&first, IN);
        card.join().unwrap();
        drop(other.join().unwrap());
        drop(first);
        machine.end();
    });
}

#[test]
fn epoll_of_a_file_that_is_registered_later_hears_of_frames() {
    explore(|| {
        let (machine, _, port) = machine();
        let file = Arc::new(File::open().unwrap());
        let set = Epoll::add(&file);
        let theirs = file.clone();
        let other = thread::spawn(move || {
            assert_eq!(register(&theirs, "eth3", mode::ONE_NIC, 0, 0), 0);
            port.rx[0].receive(&[60], 0);
            port.rx[0].irq();
        });
        set.wait_for(&file, IN);
        other.join().unwrap();
        drop(Arc::into_inner(file));
        machine.end();
    });
}

/// Nothing comes that would wake it: the registration itself must.
#[test]
fn epoll_of_a_file_that_is_registered_later_hears_that_it_can_send() {
    explore(|| {
        let (machine, _, _) = machine();
        let first = open("eth3", mode::ONE_NIC, 0);
        let file = Arc::new(File::open().unwrap());
        let set = Epoll::add(&file);
        let theirs = file.clone();
        let other = thread::spawn(move || {
            assert_eq!(register(&theirs, "eth3", mode::ONE_NIC, 0, 0), 0);
        });
        set.wait_for(&file, OUT);
        other.join().unwrap();
        drop((first, Arc::into_inner(file)));
        machine.end();
    });
}
