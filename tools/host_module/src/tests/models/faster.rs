// SPDX-License-Identifier: GPL-2.0

//! Another thread's sync is faster than the interrupt, or than the one who sleeps: what it has found is
//! the sleeper's too, who must hear of it.

use loom::thread;
use std::sync::Arc;

use super::super::rig::{machine, Ring, SLOTS};
use super::{explore, open, reset, wait_for, IN, OUT};
use crate::machine::driver::Port;
use crate::machine::files::File;
use crate::machine::skb;
use crate::uapi::{mode, NIOCRXSYNC, NIOCTXSYNC};

/// `first` waits for `events` of ring 0 while a thread does `sync` with `second`, which may be the same
/// file, and `card` does what brings them.
fn race(
    first: &File,
    second: &Arc<File>,
    events: u32,
    sync: impl Fn(&File) -> i32 + Send + 'static,
    card: impl Fn() + Send + 'static,
) {
    let card = thread::spawn(card);
    let theirs = second.clone();
    let other = thread::spawn(move || assert_eq!(sync(&theirs), 0));
    wait_for(first, events);
    card.join().unwrap();
    other.join().unwrap();
}

fn frame(port: &Port) {
    port.rx[0].receive(&[60], 0);
    port.rx[0].irq();
}

fn sent(port: &Port) {
    port.tx[0].send(4);
    port.tx[0].irq();
}

/// Fills all the room there is in TX ring 0.
fn fill(file: &File) {
    let ring = Ring::of(file, 0);
    let head = ring.word(20);
    let room = (ring.tail() + SLOTS - head) % SLOTS;
    (0..room).for_each(|i| ring.set_len((head + i) % SLOTS, 100));
    ring.release(ring.tail());
    assert_eq!(ring.txsync(), 0);
}

#[test]
fn a_frame_that_another_thread_takes_first_wakes() {
    explore(|| {
        let (machine, _, port) = machine();
        let file = Arc::new(open("eth3", mode::ONE_NIC, 0));
        race(
            &file,
            &file,
            IN,
            |file| file.ioctl(NIOCRXSYNC, 0),
            move || frame(port),
        );
        drop(Arc::into_inner(file));
        machine.end();
    });
}

#[test]
fn a_frame_that_another_fd_takes_first_wakes() {
    explore(|| {
        let (machine, _, port) = machine();
        let first = open("eth3", mode::ONE_NIC, 0);
        let second = Arc::new(open("eth3", mode::ONE_NIC, 0));
        race(
            &first,
            &second,
            IN,
            |file| file.ioctl(NIOCRXSYNC, 0),
            move || frame(port),
        );
        drop((first, Arc::into_inner(second)));
        machine.end();
    });
}

/// The ring begins at descriptor 0 again, so indices are what they were.
#[test]
fn a_frame_that_another_thread_takes_first_wakes_also_after_a_reset() {
    explore(|| {
        let (machine, dev, port) = machine();
        let file = Arc::new(open("eth3", mode::ONE_NIC, 0));
        frame(port);
        let ring = Ring::of(&file, 2 + 1);
        assert_eq!(ring.rxsync(), 0);
        port.rx[0].irq();
        ring.release(ring.tail());
        assert_eq!(ring.rxsync(), 0);
        reset(dev, port);
        race(
            &file,
            &file,
            IN,
            |file| file.ioctl(NIOCRXSYNC, 0),
            move || frame(port),
        );
        drop(Arc::into_inner(file));
        machine.end();
    });
}

#[test]
fn room_that_another_thread_finds_first_wakes() {
    explore(|| {
        let (machine, _, port) = machine();
        let file = Arc::new(open("eth3", mode::ONE_NIC, 0));
        fill(&file);
        race(
            &file,
            &file,
            OUT,
            |file| file.ioctl(NIOCTXSYNC, 0),
            move || sent(port),
        );
        drop(Arc::into_inner(file));
        machine.end();
    });
}

#[test]
fn room_that_another_fd_finds_first_wakes() {
    explore(|| {
        let (machine, _, port) = machine();
        let first = open("eth3", mode::ONE_NIC, 0);
        let second = Arc::new(open("eth3", mode::ONE_NIC, 0));
        fill(&second);
        race(
            &first,
            &second,
            OUT,
            |file| file.ioctl(NIOCTXSYNC, 0),
            move || sent(port),
        );
        drop((first, Arc::into_inner(second)));
        machine.end();
    });
}

#[test]
fn room_that_another_thread_finds_first_wakes_also_after_a_reset() {
    explore(|| {
        let (machine, dev, port) = machine();
        let file = Arc::new(open("eth3", mode::ONE_NIC, 0));
        fill(&file);
        sent(port);
        assert_eq!(file.ioctl(NIOCTXSYNC, 0), 0);
        reset(dev, port);
        assert_eq!(file.ioctl(NIOCTXSYNC, 0), 0);
        fill(&file);
        race(
            &file,
            &file,
            OUT,
            |file| file.ioctl(NIOCTXSYNC, 0),
            move || sent(port),
        );
        drop(Arc::into_inner(file));
        machine.end();
    });
}

/// A host ring whose slots a program holds, while it waits for more: what the stack sends waits behind
/// it, and is there when another thread has let go of a slot.
#[test]
fn a_packet_of_the_stack_that_waits_for_room_wakes_when_another_thread_makes_some() {
    explore(|| {
        let (machine, dev, port) = machine();
        let file = Arc::new(open("eth3", mode::NIC_SW, 0));
        let ring = Ring::of(&file, 2 + 1 + 4);
        (0..SLOTS - 1).for_each(|_| port.transmit(skb::make(dev, 60, 1), 0));
        assert_eq!(ring.rxsync(), 0);
        assert_eq!(ring.tail(), SLOTS - 1);
        ring.set(24, ring.tail());
        race(
            &file,
            &file,
            IN,
            |file| {
                Ring::of(file, 2 + 1 + 4).set(20, SLOTS - 1);
                file.ioctl(NIOCRXSYNC, 0)
            },
            move || port.transmit(skb::make(dev, 60, 1), 0),
        );
        drop(Arc::into_inner(file));
        machine.end();
    });
}
