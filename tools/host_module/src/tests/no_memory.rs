// SPDX-License-Identifier: GPL-2.0

//! Each allocation of a request fails in turn: the request says ENOMEM, and all is as it was.

use kernel::uaccess;

use super::rig::{machine, register};
use crate::machine::driver::Port;
use crate::machine::files::File;
use crate::machine::mem;
use crate::uapi::{ext, flag, mode};

const ENOMEM: i32 = 12;
const OPTIONS: usize = uaccess::BASE + 0x400;

fn nothing_is_out(port: &Port) {
    assert!(port.queues().all(|q| !q.out()));
    assert!(!port.diverted());
}

/// Calls `request` on a fresh file with the n-th allocation failing, for every n there is. What it
/// leaves is looked at with the file still open, and after.
fn each_allocation(request: impl Fn(&File) -> i32) {
    for n in 0.. {
        let (machine, dev, port) = machine();
        let file = File::open().unwrap();
        kernel::alloc::fail_after(Some(n));
        let ret = request(&file);
        let failed = kernel::alloc::failed();
        kernel::alloc::fail_after(None);
        if ret != 0 {
            assert!(failed, "errno {ret} with memory enough");
            assert_eq!(ret, ENOMEM, "allocation {n}");
            nothing_is_out(port);
            assert_eq!(dev.refs.load(std::sync::atomic::Ordering::SeqCst), 0);
            assert_eq!(crate::machine::driver::module_refs(), 0);
            // The file is as it was: with memory, the same request is granted.
            assert_eq!(request(&file), 0, "after allocation {n} failed");
        }
        drop(file);
        nothing_is_out(port);
        machine.end();
        if !failed {
            assert!(n > 5, "only {n} allocations");
            return;
        }
    }
}

#[test]
fn of_a_request_for_one_queue() {
    each_allocation(|file| register(file, "eth3~1", mode::ONE_NIC, 0, 0));
}

#[test]
fn of_a_request_for_everything() {
    each_allocation(|file| register(file, "eth3", mode::NIC_SW, 0, 0));
}

#[test]
fn of_a_request_for_memory_of_its_own() {
    each_allocation(|file| register(file, "eth3", mode::ALL_NIC, flag::PRIVATE_MEM, 0));
}

/// An option with this body.
fn option(at: usize, next: usize, kind: u32, body: &[u8]) {
    uaccess::poke(at, &(next as u64).to_le_bytes());
    uaccess::poke(at + 8, &kind.to_le_bytes());
    uaccess::poke(at + 12, &[0; 12]);
    uaccess::poke(at + 24, body);
}

#[test]
fn of_a_request_with_pointers_metadata_and_offsets() {
    let second = OPTIONS + 0x100;
    let third = OPTIONS + 0x200;
    each_allocation(|file| {
        let at = |n: u64| (uaccess::BASE as u64 + n).to_le_bytes();
        option(OPTIONS, second, 3, &[at(0x4000), at(0x6000)].concat());
        option(second, third, 0x4e_4d01, &[0; 16]);
        option(
            third,
            0,
            5,
            &[512u64, 64, 16, 0].map(u64::to_le_bytes).concat(),
        );
        register(file, "eth3", mode::NIC_SW, flag::EXCLUSIVE, OPTIONS)
    });
}

#[test]
fn of_a_request_in_memory_the_program_brings() {
    each_allocation(|file| {
        let mut body = [0; 72];
        body[..8].copy_from_slice(&mem::EXT_BASE.to_le_bytes());
        let size = (mem::EXT_PAGES * mem::PAGE) as u64;
        body[8..16].copy_from_slice(&size.to_le_bytes());
        option(OPTIONS, 0, 1, &body);
        register(file, "eth3~0", mode::ONE_NIC, 0, OPTIONS)
    });
}

#[test]
fn of_a_queue_that_is_added() {
    for n in 0.. {
        let (machine, _, port) = machine();
        let file = File::open().unwrap();
        assert_eq!(register(&file, "eth3~", mode::ONE_NIC, 0, 0), 0);
        let mut req = [0; 16];
        req[..4].copy_from_slice(&ext::EXT_VERSION.to_le_bytes());
        uaccess::poke(OPTIONS, &req);
        kernel::alloc::fail_after(Some(n));
        let ret = file.ioctl(ext::NIOCQADD, OPTIONS);
        let failed = kernel::alloc::failed();
        kernel::alloc::fail_after(None);
        if ret != 0 {
            assert_eq!(ret, ENOMEM);
            nothing_is_out(port);
            assert_eq!(file.ioctl(ext::NIOCQADD, OPTIONS), 0);
        }
        assert!(port.rx[0].out());
        drop(file);
        machine.end();
        if !failed {
            assert!(n > 3);
            return;
        }
    }
}
