// SPDX-License-Identifier: GPL-2.0

//! Packets pass, queues come back, and the machine notices harm.

use std::sync::atomic::Ordering::SeqCst;

use kernel::ffi::{c_int, c_void};
use kernel::sync::Mutex;

use super::rig::{machine, open, register, Ring, SLOTS};
use crate::ffi::{nm_nic_client, nm_nic_ring};
use crate::machine::card::{Lent, Queue};
use crate::machine::files::File;
use crate::machine::skb;
use crate::uapi::{flag, mode, NIOCRXSYNC, NIOCTXSYNC};

#[test]
fn a_frame_goes_from_the_card_to_the_program_and_back_to_the_card() {
    let (machine, _, port) = machine();
    let file = open("eth3~1", mode::ONE_NIC, 0);
    let ring = Ring::of(&file, 2 + 1 + 1);
    port.rx[1].receive(&[60], 0);
    port.rx[1].receive(&[1024, 2048, 5], 0);
    assert_eq!(ring.rxsync(), 0);
    assert_eq!(ring.tail(), 4);
    let more = 0x20 << 16;
    let slots: Vec<_> = (0..4).map(|i| ring.len_flags(i)).collect();
    assert_eq!(slots, [60, 1024 | more, 2048 | more, 5]);
    ring.release(4);
    assert_eq!(ring.rxsync(), 0);
    // All but one descriptor are the card's again.
    assert_eq!(port.rx[1].check().len() as u32, SLOTS - 1);
    drop(file);
    assert!(!port.rx[1].out());
    machine.end();
}

#[test]
fn a_frame_goes_from_the_program_to_the_wire_and_its_slot_comes_back() {
    let (machine, _, port) = machine();
    let file = open("eth3", mode::ALL_NIC, 0);
    let ring = Ring::of(&file, 0);
    (0..SLOTS - 1).for_each(|i| ring.set_len(i, 100));
    ring.release(SLOTS - 1);
    assert_eq!(ring.txsync(), 0);
    port.tx[0].check();
    assert_eq!(ring.tail(), SLOTS - 1);
    port.tx[0].send(5);
    assert_eq!(ring.txsync(), 0);
    assert_eq!(ring.tail(), 4);
    drop(file);
    machine.end();
}

#[test]
fn what_a_card_writes_at_its_tail_and_beyond_is_gone_when_it_gets_that() {
    let (machine, _, port) = machine();
    let file = open("eth3~1", mode::ONE_NIC, 0);
    let ring = Ring::of(&file, 2 + 1 + 1);
    for lap in 0..3 * SLOTS {
        port.rx[1].receive(&[60], 0);
        // "Done" and the end of a frame, in each that is not the card's; and addresses of its own.
        (0..SLOTS).for_each(|at| port.rx[1].trespass(at, (3 << 32) | 0x5dc));
        assert_eq!(ring.rxsync(), 0);
        assert_eq!(ring.tail(), (lap + 1) % SLOTS, "one slot in turn {lap}");
        ring.release((lap + 1) % SLOTS);
        assert_eq!(ring.rxsync(), 0);
        assert_eq!(port.rx[1].check().len() as u32, SLOTS - 1);
    }
    drop(file);
    machine.end();
}

#[test]
fn the_rest_of_a_dropped_packet_is_not_waited_for_after_impossible_pointers() {
    let (machine, _, port) = machine();
    let file = open("eth3", mode::ONE_NIC, 0);
    let ring = Ring::of(&file, 0);
    let more = 0x20 << 16;
    // A packet that goes on, with a piece that cannot be.
    ring.set_len(0, more);
    ring.release(1);
    assert_eq!(ring.txsync(), 0);
    ring.release(SLOTS);
    assert_eq!(ring.txsync(), 0);
    assert_eq!((ring.word(20), ring.word(24)), (1, 1));
    ring.set_len(1, 100);
    ring.release(2);
    assert_eq!(ring.txsync(), 0);
    assert_eq!(port.tx[0].waiting(), 1);
    drop(file);
    machine.end();
}

#[test]
fn both_syncs_say_that_the_interface_has_gone_whatever_rings_there_are() {
    for flags in [flag::RX_RINGS_ONLY, flag::TX_RINGS_ONLY] {
        let (machine, dev, _) = machine();
        let file = File::open().unwrap();
        assert_eq!(register(&file, "eth3", mode::ONE_NIC, flags, 0), 0);
        dev.go(true);
        assert_eq!(file.ioctl(NIOCRXSYNC, 0), 6);
        assert_eq!(file.ioctl(NIOCTXSYNC, 0), 6);
        drop(file);
        machine.end();
    }
}

#[test]
fn what_the_stack_sends_comes_to_the_host_ring_and_goes_back_to_the_stack() {
    let (machine, dev, port) = machine();
    let file = open("eth3", mode::NIC_SW, 0);
    let (tx, rx) = (Ring::of(&file, 2), Ring::of(&file, 2 + 1 + 4));
    port.transmit(skb::make(dev, 3000, 1), 0);
    assert_eq!(rx.rxsync(), 0);
    assert_eq!(rx.tail(), 2);
    let (ours, theirs) = (tx.buf(0), rx.buf(0));
    tx.set_buf(0, theirs);
    rx.set_buf(0, ours);
    tx.set_len(0, 2048);
    tx.release(1);
    assert_eq!(tx.txsync(), 0);
    assert_eq!(dev.received.load(SeqCst), 1);
    drop(file);
    machine.end();
}

#[test]
fn an_interface_that_goes_is_let_go_of_at_once() {
    let (machine, dev, port) = machine();
    let file = File::open().unwrap();
    assert_eq!(register(&file, "eth3", mode::NIC_SW, 0, 0), 0);
    dev.go(true);
    assert!(port.queues().all(|q| !q.out()));
    drop(file);
    machine.end();
}

#[test]
#[should_panic(expected = "pages, mappings, pins or device references are left")]
fn pages_that_are_left_are_noticed() {
    let (machine, _, _) = machine();
    // SAFETY: Allocates.
    assert!(!unsafe { crate::ffi::nm_chunk_alloc(1) }.is_null());
    machine.end();
}

extern "C" fn wild(_: *mut c_void, ring: *const nm_nic_ring) -> c_int {
    // SAFETY: The card's, as `start` is called.
    unsafe {
        let ring = &*ring;
        ring.desc.cast::<u64>().write_volatile(0xdead_0000);
        crate::ffi::nm_nic_write_tail(ring.tail, 1);
    }
    0
}

extern "C" fn nothing(_: *mut c_void) {}

#[test]
#[should_panic(expected = "the card would write where it may not")]
fn a_descriptor_that_points_nowhere_is_noticed() {
    let client: &nm_nic_client = Box::leak(Box::new(nm_nic_client {
        start: Some(wild),
        stop: Some(nothing),
        irq: Some(nothing),
        gone: Some(nothing),
        released: Some(nothing),
        owner: std::ptr::null_mut(),
    }));
    let (_machine, dev, _) = machine();
    let queue: &Queue = Box::leak(Box::new(Queue::new(false)));
    queue.take(dev, SLOTS, Lent::new(client, std::ptr::null_mut(), 2048));
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_lock_taken_twice_is_noticed() {
    let lock = Mutex::named((), "tests::once");
    let _held = lock.lock();
    lock.lock();
}

#[test]
#[should_panic(expected = "circle")]
fn locks_taken_in_both_orders_are_noticed_although_nothing_hangs() {
    let (one, two) = (
        Mutex::named((), "tests::one"),
        Mutex::named((), "tests::two"),
    );
    {
        let _one = one.lock();
        let _two = two.lock();
    }
    let _two = two.lock();
    one.lock();
}
