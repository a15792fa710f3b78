// SPDX-License-Identifier: GPL-2.0

//! The steps: what any party may do next.

use std::sync::atomic::Ordering::SeqCst;

use kernel::bindings::poll_table_struct;
use kernel::uaccess;

use super::{released, Bytes, Fd, File, View, World, FILES, PROCESSES};
use crate::machine::mem::{self, PAGE};
use crate::machine::net::{nm_rtnl_lock, nm_rtnl_unlock};
use crate::machine::{skb, tasks};
use crate::uapi::{NIOCRXSYNC, NIOCTXSYNC};

impl World {
    /// One step of anybody.
    pub(super) fn step(&mut self, b: &mut Bytes<'_>) {
        match b.below(32) {
            0 => self.open(b),
            1 => {
                let i = b.below(self.fds.len());
                if i < self.fds.len() {
                    self.fds.swap_remove(i);
                }
            }
            2..=5 => self.register(b),
            6 => self.control(b),
            7 => self.any_ioctl(b),
            8 | 9 => self.sync(b, NIOCRXSYNC),
            10 | 11 => self.sync(b, NIOCTXSYNC),
            12 => self.poll(b),
            13..=15 => self.move_on(b),
            16..=18 => self.scribble_slot(b),
            19 => self.scribble(b),
            20..=22 => self.card(b),
            23 => self.administrate(b),
            24 => self.stack_sends(b),
            25 => kernel::alloc::fail_after(Some(u64::from(b.u8()))),
            26 => self.kernel_loop(b),
            27 => self.queue(b),
            28 => self.scribble_csb(b),
            29 => self.misbehave(b),
            30 => tasks::become_(b.one_of(&PROCESSES)),
            _ => self.list(b),
        }
    }

    pub(super) fn fd(&mut self, b: &mut Bytes<'_>) -> Option<&mut Fd> {
        let i = b.below(self.fds.len());
        self.fds.get_mut(i)
    }

    fn open(&mut self, _b: &mut Bytes<'_>) {
        if self.fds.len() == FILES {
            return;
        }
        if let Ok(file) = File::open() {
            self.fds.push(Fd {
                file,
                view: None,
                nif: 0,
                rings: Vec::new(),
            });
        }
    }

    fn sync(&mut self, b: &mut Bytes<'_>, cmd: u32) {
        let Some(fd) = self.fd(b) else {
            return;
        };
        let ret = fd.file.ioctl(cmd, 0);
        assert!([0, 5, 6, 16].contains(&ret), "a sync says {ret}");
    }

    fn poll(&mut self, b: &mut Bytes<'_>) {
        let mut table = poll_table_struct {
            _key: u32::from(b.u16()),
            waiter: Some(Default::default()),
        };
        if let Some(fd) = self.fd(b) {
            fd.file.poll(&mut table);
        }
    }

    /// A program moves its pointers as it may, or not quite.
    fn move_on(&mut self, b: &mut Bytes<'_>) {
        let slots = self.slots;
        let Some(fd) = self.fd(b) else {
            return;
        };
        let (Some(view), Some(&ring)) = (fd.view, fd.rings.get(b.below(fd.rings.len()))) else {
            return;
        };
        let at = |i: usize| view.read(ring.wrapping_add(i));
        let (head, tail) = (at(20) % slots, at(28) % slots);
        match b.u8() & 7 {
            // All it has.
            0 | 1 => {
                view.write(ring + 20, tail);
                view.write(ring + 24, tail);
            }
            2..=5 => {
                let held = (tail + slots - head) % slots;
                let by = b.below(held as usize + 1) as u32;
                view.write(ring + 20, (head + by) % slots);
                view.write(ring + 24, (head + by) % slots);
            }
            6 => view.write(ring + 32, b.odd_u32()),
            _ => view.write(ring.wrapping_add(16 + 4 * b.below(6)), b.odd_u32()),
        }
    }

    fn scribble_slot(&mut self, b: &mut Bytes<'_>) {
        let slots = self.slots as usize;
        let others: Vec<_> = self
            .fds
            .iter()
            .flat_map(|fd| {
                let rings = fd
                    .rings
                    .iter()
                    .map(move |ring| (fd.view, fd.slot(*ring, 0)));
                rings.collect::<Vec<_>>()
            })
            .collect();
        let Some(fd) = self.fd(b) else {
            return;
        };
        let (Some(view), Some(&ring)) = (fd.view, fd.rings.get(b.below(fd.rings.len()))) else {
            return;
        };
        let slot = fd.slot(ring, b.below(slots));
        match b.u8() & 7 {
            // Swapped with the slot of any ring of any program.
            0..=2 => {
                let Some(&(Some(there), first)) = others.get(b.below(others.len())) else {
                    return;
                };
                let other = first + 16 * b.below(slots);
                let (a, c) = (view.read(slot), there.read(other));
                view.write(slot, c);
                there.write(other, a);
            }
            3 => view.write(slot, b.odd_u32()),
            // A length and flags that may be.
            4 | 5 => {
                let flags = b.one_of(&[0u32, 1, 2, 4, 0x20, 0x21, 0x23, 0x24]);
                view.write(slot + 4, (u32::from(b.u16()) % 2200) | (flags << 16));
            }
            6 => view.write(slot + 4, b.odd_u32()),
            _ => view.write(slot + 8 + 4 * usize::from(b.flip()), b.odd_u32()),
        }
    }

    /// Anywhere in the mapping.
    fn scribble(&mut self, b: &mut Bytes<'_>) {
        let Some(fd) = self.fd(b) else {
            return;
        };
        let Some(view) = fd.view else {
            return;
        };
        let at = match b.u8() & 3 {
            0 => fd.nif + 4 * b.below(64),
            1 => fd
                .rings
                .first()
                .copied()
                .unwrap_or(0)
                .wrapping_add(4 * b.below(256)),
            2 => PAGE * b.u16() as usize + 4 * b.below(256),
            _ => (b.u32() as usize) & !3,
        };
        view.write(at, b.odd_u32());
    }

    /// The card does something it may.
    fn card(&mut self, b: &mut Bytes<'_>) {
        let ports: Vec<_> = self.ports().collect();
        let (dev, port) = ports[b.below(ports.len())];
        match b.u8() & 7 {
            0..=3 => {
                let queue = &port.rx[b.below(port.rx.len())];
                let pieces: Vec<_> = (0..=b.below(4)).map(|_| b.u16() % 2100).collect();
                let extra = b.one_of(&[0u64, 1 << 16, 1 << 3, (1 << 5) | (1 << 30), 1 << 6]);
                queue.receive(&pieces, extra);
                queue.irq();
            }
            4..=6 => {
                let queue = &port.tx[b.below(port.tx.len())];
                queue.send(u32::from(b.u8()));
                queue.irq();
            }
            _ => {
                dev.carrier.store(b.flip(), SeqCst);
                port.queues().for_each(|q| q.irq());
            }
        }
    }

    /// The administrator: down, up, a reset, another ring size, another place for the interface.
    fn administrate(&mut self, b: &mut Bytes<'_>) {
        let ports: Vec<_> = self.ports().collect();
        let (dev, port) = ports[b.below(ports.len())];
        if !dev.registered.load(SeqCst) {
            return;
        }
        match b.below(12) {
            0..=2 => {
                nm_rtnl_lock();
                port.all_stop();
                dev.running.store(false, SeqCst);
                nm_rtnl_unlock();
            }
            3..=5 => {
                nm_rtnl_lock();
                dev.running.store(true, SeqCst);
                port.all_start(dev);
                nm_rtnl_unlock();
            }
            6..=8 => {
                nm_rtnl_lock();
                port.all_stop();
                // The driver refuses this while a queue is out; the module must bear it.
                if b.u8() & 7 == 0 {
                    port.slots.store(b.one_of(&[8, 16, 32]), SeqCst);
                }
                if dev.running.load(SeqCst) {
                    port.all_start(dev);
                }
                nm_rtnl_unlock();
            }
            9 => dev.go(false),
            10 => dev.go(true),
            _ => (),
        }
    }

    fn stack_sends(&mut self, b: &mut Bytes<'_>) {
        let ports: Vec<_> = self.ports().collect();
        let (dev, port) = ports[b.below(ports.len())];
        let len = usize::from(b.one_of(&[0u16, 14, 60, 1514, 2048, 2049, 9000, 65535]));
        let packet = skb::make(dev, len, 1 + b.below(5) % 4);
        port.transmit(packet, u32::from(b.u8()));
    }

    /// What no card does, and a broken one might.
    fn misbehave(&mut self, b: &mut Bytes<'_>) {
        let ports: Vec<_> = self.ports().collect();
        let (_, port) = ports[b.below(ports.len())];
        match b.below(16) {
            0..=3 => port.rx[b.below(port.rx.len())].scribble(u32::from(b.u8()), b.odd_u64()),
            4..=5 => port.rx[b.below(port.rx.len())].trespass(u32::from(b.u8()), b.odd_u64()),
            6..=10 => port.tx[b.below(port.tx.len())].lie(b.odd_u32()),
            11..=13 => mem::set_bounces(b.flip()),
            14 => match b.u8() {
                8 => released(port),
                what => port.sticks.store(what == 7, SeqCst),
            },
            _ => uaccess::change_after(
                u32::from(b.u8()),
                uaccess::BASE + b.u16() as usize,
                b.odd_u64(),
            ),
        }
    }

    /// A program's other way to say where its pointers are.
    fn scribble_csb(&mut self, b: &mut Bytes<'_>) {
        let at = super::requests::CSB + 64 * b.below(16) + 4 * b.below(5);
        let value = match b.flip() {
            true => b.below(self.slots as usize) as u32,
            false => b.odd_u32(),
        };
        uaccess::poke(at, &value.to_le_bytes());
        if b.flip() {
            // `cur` is where `head` is.
            uaccess::poke(at + 4, &value.to_le_bytes());
        }
    }
}

/// The mapping of a file, or the memory its region was made in.
pub(super) fn view(file: &mut File, own: Option<usize>) -> Option<View> {
    match own {
        Some(base) => Some(View::Own(base)),
        None => file.mmap().ok().map(View::Mapped),
    }
}
