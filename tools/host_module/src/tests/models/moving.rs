// SPDX-License-Identifier: GPL-2.0

//! Rings that are stopped, started, given back and taken away while they are used.

use loom::thread;
use std::sync::Arc;

use super::super::rig::{machine, register, Ring};
use super::{explore, open, reset};
use crate::machine::files::File;
use crate::machine::skb;
use crate::uapi::{mode, NIOCRXSYNC, NIOCTXSYNC};

#[test]
fn syncs_interrupts_and_a_reset_meet_in_any_order() {
    explore(|| {
        let (machine, dev, port) = machine();
        let file = open("eth3~1", mode::ONE_NIC, 0);
        port.rx[1].receive(&[60, 60], 0);
        let driver = thread::spawn(move || reset(dev, port));
        let card = thread::spawn(move || {
            port.rx[1].irq();
            port.rx[1].receive(&[60], 0);
        });
        let ring = Ring::of(&file, 2 + 1 + 1);
        // EIO while it is stopped.
        assert!([0, 5].contains(&ring.rxsync()));
        ring.release(ring.tail());
        assert!([0, 5].contains(&file.ioctl(NIOCRXSYNC, 0)));
        driver.join().unwrap();
        card.join().unwrap();
        port.rx[1].check();
        drop(file);
        machine.end();
    });
}

#[test]
fn a_file_is_closed_while_interrupts_come_and_the_stack_sends() {
    explore(|| {
        let (machine, dev, port) = machine();
        let file = open("eth3", mode::NIC_SW, 0);
        let card = thread::spawn(move || {
            port.tx[0].irq();
            port.rx[0].receive(&[60], 0);
            port.rx[0].irq();
        });
        let stack = thread::spawn(move || port.transmit(skb::make(dev, 60, 1), 0));
        drop(file);
        card.join().unwrap();
        stack.join().unwrap();
        machine.end();
    });
}

#[test]
fn an_interface_goes_while_its_rings_are_synced_and_closed() {
    explore(|| {
        let (machine, dev, _) = machine();
        let file = open("eth3", mode::NIC_SW, 0);
        let gone = thread::spawn(move || dev.go_when_free(true));
        assert!([0, 5, 6].contains(&file.ioctl(NIOCTXSYNC, 0)));
        assert!([0, 5, 6].contains(&file.ioctl(NIOCRXSYNC, 0)));
        drop(file);
        gone.join().unwrap();
        machine.end();
    });
}

#[test]
fn two_programs_want_the_same_queue_and_one_gets_it() {
    explore(|| {
        let (machine, _, port) = machine();
        let (one, two) = (File::open().unwrap(), Arc::new(File::open().unwrap()));
        assert_eq!(register(&one, "eth3~", mode::ONE_NIC, 0, 0), 0);
        assert_eq!(register(&two, "eth3~", mode::ONE_NIC, 0, 0), 0);
        let mut req = [0; 16];
        req[0] = crate::uapi::ext::EXT_VERSION as u8;
        kernel::uaccess::poke(kernel::uaccess::BASE + 0x100, &req);
        let add =
            |file: &File| file.ioctl(crate::uapi::ext::NIOCQADD, kernel::uaccess::BASE + 0x100);
        let other = two.clone();
        let second = thread::spawn(move || add(&other));
        let first = add(&one);
        let second = second.join().unwrap();
        assert!([(0, 16), (16, 0)].contains(&(first, second)));
        assert!(port.rx[0].out());
        drop((one, Arc::into_inner(two)));
        machine.end();
    });
}
