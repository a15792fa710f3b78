// SPDX-License-Identifier: GPL-2.0

//! Kernel loops, and those who wait for them: nobody sleeps through a kick, a frame, room or a stop.

use kernel::sync::poll::{Waiter, KICKS};
use kernel::uaccess::{self, BASE};
use loom::thread;
use std::sync::Arc;

use super::super::rig::{machine, register, Ring, SLOTS};
use super::explore;
use crate::machine::files::File;
use crate::uapi::ctrl::reqtype;
use crate::uapi::{flag, mode, NIOCCTRL};

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

/// A file with the rings 0 that `flags` say, whose pointers are in a CSB.
fn with_csb(flags: u64) -> File {
    let arrays = [ATOK as u64, KTOA as u64].map(u64::to_le_bytes).concat();
    option(OPTIONS, 0, 3, &arrays);
    let mut file = File::open().unwrap();
    let exclusive = flag::EXCLUSIVE | flags;
    assert_eq!(
        register(&file, "eth3", mode::ONE_NIC, exclusive, OPTIONS),
        0
    );
    file.mmap().unwrap();
    file
}

/// Option of a loop: two eventfds for each of `rings`.
fn eventfds(rings: usize) {
    let fds = [100, 101].map(i32::to_le_bytes).concat();
    option(OPTIONS, 0, 2, &fds.repeat(rings));
}

/// The program sleeps until it is kicked, unless `there` is so already; it has asked for kicks.
fn wait_until(waiter: &Waiter, there: impl Fn() -> bool) {
    while !there() {
        waiter.wait();
    }
}

#[test]
fn a_loop_that_is_stopped_ends_and_so_does_the_stop() {
    explore(|| {
        let (machine, _, _) = machine();
        let file = Arc::new(with_csb(flag::RX_RINGS_ONLY));
        eventfds(1);
        let looping = file.clone();
        let kernel = thread::spawn(move || {
            let body = BASE + 0x900;
            let ret = ctrl(&looping, reqtype::SYNC_KLOOP_START, OPTIONS, body);
            assert_eq!(ret, 0);
        });
        assert_eq!(ctrl(&file, reqtype::SYNC_KLOOP_STOP, 0, 0), 0);
        kernel.join().unwrap();
        drop(Arc::into_inner(file));
        machine.end();
    });
}

/// The program releases a slot and kicks if it is asked to; the kernel takes it and kicks back. Neither
/// may wait for a kick that does not come.
#[test]
fn kicks_are_not_lost_between_a_program_and_its_loop() {
    explore(|| {
        let (machine, _, port) = machine();
        let file = Arc::new(with_csb(flag::RX_RINGS_ONLY));
        port.rx[0].receive(&[60], 0);
        eventfds(1);
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
        machine.end();
    });
}

/// The loop looks at two rings; while it looks at one, the other has news.
#[test]
fn a_frame_wakes_a_loop_and_the_loop_its_program() {
    explore(|| {
        let (machine, _, port) = machine();
        let file = Arc::new(with_csb(0));
        eventfds(2);
        let looping = file.clone();
        let kernel = thread::spawn(move || {
            ctrl(&looping, reqtype::SYNC_KLOOP_START, OPTIONS, BASE + 0x900);
        });
        let waiter = Arc::new(Waiter::default());
        KICKS.from_kernel.add(&waiter);
        port.rx[0].receive(&[60], 0);
        port.rx[0].irq();
        wait_until(&waiter, || word(KTOA + 64 + 4) == 1);
        ctrl(&file, reqtype::SYNC_KLOOP_STOP, 0, 0);
        kernel.join().unwrap();
        drop(Arc::into_inner(file));
        machine.end();
    });
}

#[test]
fn room_wakes_a_loop_and_the_loop_its_program() {
    explore(|| {
        let (machine, _, port) = machine();
        let file = Arc::new(with_csb(flag::TX_RINGS_ONLY));
        let ring = Ring::of(&file, 0);
        (0..SLOTS - 1).for_each(|i| ring.set_len(i, 100));
        uaccess::poke(ATOK + 4, &(SLOTS - 1).to_le_bytes());
        uaccess::poke(ATOK, &(SLOTS - 1).to_le_bytes());
        eventfds(1);
        let looping = file.clone();
        let kernel = thread::spawn(move || {
            ctrl(&looping, reqtype::SYNC_KLOOP_START, OPTIONS, BASE + 0x900);
        });
        let waiter = Arc::new(Waiter::default());
        KICKS.from_kernel.add(&waiter);
        while word(KTOA) != SLOTS - 1 {
            thread::yield_now();
        }
        port.tx[0].send(4);
        port.tx[0].irq();
        wait_until(&waiter, || word(KTOA + 4) != SLOTS - 1);
        ctrl(&file, reqtype::SYNC_KLOOP_STOP, 0, 0);
        kernel.join().unwrap();
        drop(Arc::into_inner(file));
        machine.end();
    });
}

#[test]
fn a_loop_ends_when_its_interface_goes() {
    explore(|| {
        let (machine, dev, _) = machine();
        let file = Arc::new(with_csb(flag::RX_RINGS_ONLY));
        eventfds(1);
        let looping = file.clone();
        let kernel = thread::spawn(move || {
            let ret = ctrl(&looping, reqtype::SYNC_KLOOP_START, OPTIONS, BASE + 0x900);
            assert_eq!(ret, 6);
        });
        dev.go_when_free(true);
        kernel.join().unwrap();
        drop(Arc::into_inner(file));
        machine.end();
    });
}
