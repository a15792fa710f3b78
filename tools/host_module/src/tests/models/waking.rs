// SPDX-License-Identifier: GPL-2.0

//! Nobody sleeps through what they wait for.

use kernel::bindings::poll_table_struct;
use kernel::sync::poll::{Waiter, KICKS};
use kernel::uaccess::{self, BASE};
use loom::thread;
use std::sync::Arc;

use super::super::rig::{machine, register, Ring, SLOTS};
use super::{explore, wait_for, IN, OUT};
use crate::machine::driver::Port;
use crate::machine::files::File;
use crate::machine::net::{nm_rtnl_lock, nm_rtnl_unlock, Dev};
use crate::machine::skb;
use crate::uapi::ctrl::reqtype;
use crate::uapi::{mode, NIOCCTRL, NIOCTXSYNC};

fn open(name: &str, mode: u32, flags: u64) -> File {
    let mut file = File::open().unwrap();
    assert_eq!(register(&file, name, mode, flags, 0), 0);
    file.mmap().unwrap();
    file
}

fn reset(dev: &Dev, port: &Port) {
    nm_rtnl_lock();
    port.all_stop();
    port.all_start(dev);
    nm_rtnl_unlock();
}

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
        machine.end(false);
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
        machine.end(false);
    });
}

#[test]
fn room_wakes_those_who_wait_for_it_also_if_another_fd_finds_it_first() {
    explore(|| {
        let (machine, _, port) = machine();
        let first = open("eth3", mode::ALL_NIC, 0);
        let second = open("eth3", mode::ALL_NIC, 0);
        {
            let ring = Ring::of(&second, 0);
            (0..SLOTS - 1).for_each(|i| ring.set_len(i, 100));
            ring.release(SLOTS - 1);
            assert_eq!(ring.txsync(), 0);
            // The other ring is full too.
            let ring = Ring::of(&second, 1);
            (0..SLOTS - 1).for_each(|i| ring.set_len(i, 100));
            ring.release(SLOTS - 1);
            assert_eq!(ring.txsync(), 0);
        }
        let card = thread::spawn(move || {
            port.tx[0].send(4);
            port.tx[0].irq();
        });
        let other = thread::spawn(move || {
            assert_eq!(second.ioctl(NIOCTXSYNC, 0), 0);
            second
        });
        wait_for(&first, OUT);
        card.join().unwrap();
        drop(other.join().unwrap());
        drop(first);
        machine.end(false);
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
        machine.end(false);
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
        machine.end(false);
    });
}

const HEADER: usize = BASE + 0x800;
const OPTIONS: usize = BASE + 0xa00;
const ATOK: usize = BASE + 0x4000;
const KTOA: usize = BASE + 0x6000;

fn option(at: usize, next: usize, kind: u32, body: &[u8]) {
    uaccess::poke(at, &(next as u64).to_le_bytes());
    uaccess::poke(at + 8, &kind.to_le_bytes());
    uaccess::poke(at + 12, &[0; 4]);
    uaccess::poke(at + 16, &(24 + body.len() as u64).to_le_bytes());
    uaccess::poke(at + 24, body);
}

fn ctrl(file: &File, kind: u16, options: usize, body: usize) -> i32 {
    let mut header = [0; 88];
    header[..2].copy_from_slice(&14u16.to_le_bytes());
    header[2..4].copy_from_slice(&kind.to_le_bytes());
    header[72..80].copy_from_slice(&(options as u64).to_le_bytes());
    header[80..].copy_from_slice(&(body as u64).to_le_bytes());
    // Each caller its own.
    let at = HEADER + 128 * usize::from(kind == reqtype::SYNC_KLOOP_STOP);
    uaccess::poke(at, &header);
    file.ioctl(NIOCCTRL, at)
}

fn word(at: usize) -> u32 {
    u32::from_le_bytes(uaccess::peek(at, 4).try_into().unwrap())
}

/// A file with one RX ring, whose pointers are in a CSB.
fn with_csb() -> File {
    let arrays = [ATOK as u64, KTOA as u64].map(u64::to_le_bytes).concat();
    option(OPTIONS, 0, 3, &arrays);
    let mut file = File::open().unwrap();
    let exclusive = crate::uapi::flag::EXCLUSIVE | crate::uapi::flag::RX_RINGS_ONLY;
    assert_eq!(
        register(&file, "eth3", mode::ONE_NIC, exclusive, OPTIONS),
        0
    );
    file.mmap().unwrap();
    file
}

#[test]
fn a_loop_that_is_stopped_ends_and_so_does_the_stop() {
    explore(|| {
        let (machine, _, _) = machine();
        let file = Arc::new(with_csb());
        option(OPTIONS, 0, 2, &[100, 101].map(i32::to_le_bytes).concat());
        let looping = file.clone();
        let kernel = thread::spawn(move || {
            let body = BASE + 0x900;
            let ret = ctrl(&looping, reqtype::SYNC_KLOOP_START, OPTIONS, body);
            assert_eq!(ret, 0);
        });
        assert_eq!(ctrl(&file, reqtype::SYNC_KLOOP_STOP, 0, 0), 0);
        kernel.join().unwrap();
        drop(Arc::into_inner(file));
        machine.end(false);
    });
}

/// The program releases a slot and kicks if it is asked to; the kernel takes it and kicks back. Neither
/// may wait for a kick that does not come.
#[test]
fn kicks_are_not_lost_between_a_program_and_its_loop() {
    explore(|| {
        let (machine, _, port) = machine();
        let file = Arc::new(with_csb());
        port.rx[0].receive(&[60], 0);
        option(OPTIONS, 0, 2, &[100, 101].map(i32::to_le_bytes).concat());
        let looping = file.clone();
        let kernel = thread::spawn(move || {
            ctrl(&looping, reqtype::SYNC_KLOOP_START, OPTIONS, BASE + 0x900);
        });
        let waiter = Arc::new(Waiter::default());
        KICKS.from_kernel.add(&waiter);
        // It asks, then it looks.
        uaccess::poke(ATOK + 8, &1u32.to_le_bytes());
        while word(KTOA + 4) != 1 {
            waiter.wait();
        }
        uaccess::poke(ATOK + 4, &1u32.to_le_bytes());
        uaccess::poke(ATOK, &1u32.to_le_bytes());
        if word(KTOA + 8) != 0 {
            KICKS.to_kernel.notify_all();
        }
        // Taken, without a further kick of ours: a stop comes only then.
        while word(KTOA) != 1 {
            thread::yield_now();
        }
        ctrl(&file, reqtype::SYNC_KLOOP_STOP, 0, 0);
        kernel.join().unwrap();
        drop(Arc::into_inner(file));
        machine.end(false);
    });
}
