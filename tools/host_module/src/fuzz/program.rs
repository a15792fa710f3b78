// SPDX-License-Identifier: GPL-2.0

//! Everybody at once: programs that call and scribble, the card, the administrator, the stack, and
//! memory that runs out.
//!
//! After each step the card is looked at: nothing it may do next may hurt. At the end all files are
//! closed, and nothing may be left. What a step is, and how it takes its arguments, is in [`steps`];
//! requests are in [`requests`].

mod requests;
mod steps;

use std::sync::atomic::Ordering::SeqCst;

use super::bytes::Bytes;
use crate::machine::accounts::Machine;
use crate::machine::driver::Port;
use crate::machine::files::{File, Map};
use crate::machine::mem;
use crate::machine::net::{nm_rtnl_lock, nm_rtnl_unlock, Dev};
use crate::machine::tasks::{self, Process};
use crate::shm::SLOTS_OFFSET;

/// Most files that are open at once, and most steps of a run.
const FILES: usize = 6;
const STEPS: usize = 400;

/// Processes: the administrator, another with rights, one without, one elsewhere.
const PROCESSES: [Process; 4] = [
    tasks::INIT,
    Process {
        pid: 2,
        uid: 1000,
        netns: 1,
        admin: true,
    },
    Process {
        pid: 3,
        uid: 1000,
        netns: 1,
        admin: false,
    },
    Process {
        pid: 4,
        uid: 0,
        netns: 2,
        admin: true,
    },
];

/// What a program sees of a region.
#[derive(Clone, Copy)]
enum View {
    Mapped(Map),
    Own(usize),
}

impl View {
    fn read(&self, at: usize) -> u32 {
        match self {
            View::Mapped(map) => map.read(at),
            View::Own(base) => own(base + at).map_or(0, |at| {
                // SAFETY: In the program's memory.
                unsafe { at.read_volatile() }
            }),
        }
    }

    fn write(&self, at: usize, value: u32) {
        match self {
            View::Mapped(map) => map.write(at, value),
            View::Own(base) => {
                if let Some(at) = own(base + at) {
                    // SAFETY: In the program's memory.
                    unsafe { at.write_volatile(value) };
                }
            }
        }
    }
}

/// A word of the program's own memory.
fn own(at: usize) -> Option<*mut u32> {
    let inside = at & !3;
    (inside + 4 <= mem::EXT_PAGES * mem::PAGE)
        .then(|| mem::ext_memory().wrapping_add(inside).cast())
}

/// A program's file.
struct Fd {
    file: File,
    view: Option<View>,
    /// Where its `netmap_if` is, and its rings, as it was told.
    nif: usize,
    rings: Vec<usize>,
}

impl Fd {
    /// Looks where the rings are, as programs do.
    fn look(&mut self) {
        let Some(view) = self.view else {
            return;
        };
        let counts: u32 = [24, 28, 36, 40]
            .iter()
            .map(|at| view.read(self.nif + at).min(64))
            .sum();
        self.rings.clear();
        for i in 0..counts as usize {
            let at = self.nif + 56 + 8 * i;
            let ofs = i64::from(view.read(at)) | (i64::from(view.read(at + 4)) << 32);
            let ring = (self.nif as i64).checked_add(ofs).filter(|_| ofs != 0);
            self.rings
                .extend(ring.and_then(|at| usize::try_from(at).ok()));
        }
    }

    fn slot(&self, ring: usize, slot: usize) -> usize {
        ring.wrapping_add(SLOTS_OFFSET + 16 * slot)
    }
}

/// All there is.
struct World {
    fds: Vec<Fd>,
    devs: Vec<&'static Dev>,
    slots: u32,
}

/// Does what the bytes say.
pub fn run(data: &[u8]) {
    let mut b = Bytes::new(data);
    let machine = Machine::new(1 << 16);
    let slots = b.one_of(&[8, 16, 64, 4, 2]);
    let port = |rx, tx| Some(Port::new(rx, tx, slots));
    let mut world = World {
        fds: Vec::new(),
        devs: vec![
            Dev::add("lo", 1, None),
            Dev::add("eth3", 1, port(3, 2)),
            Dev::add("eth4", 1, port(1, 1)),
            Dev::add("eth5", 2, port(1, 1)),
        ],
        slots,
    };
    for _ in 0..STEPS {
        if b.is_empty() {
            break;
        }
        world.step(&mut b);
        world.check();
    }
    kernel::alloc::fail_after(None);
    world.fds.clear();
    world.check();
    for (dev, port) in world.ports() {
        released(port);
        let out = port.queues().any(|q| q.out());
        assert!(!out, "a queue is out, and nobody has it");
        assert!(!port.diverted(), "what the kernel sends goes to nobody");
        assert_eq!(dev.refs.load(SeqCst), 0, "an interface is still held");
    }
    machine.end();
}

/// A reset stops what did not stop.
fn released(port: &Port) {
    nm_rtnl_lock();
    port.all_release();
    nm_rtnl_unlock();
}

impl World {
    fn ports(&self) -> impl Iterator<Item = (&'static Dev, &'static Port)> + '_ {
        self.devs
            .iter()
            .filter_map(|d| Some((*d, d.port.as_ref()?)))
    }

    /// Whatever the cards do next hurts nobody, and no two descriptors share a byte.
    fn check(&self) {
        let mut places: Vec<_> = self
            .ports()
            .flat_map(|(_, p)| p.queues().flat_map(|q| q.check()))
            .collect();
        places.sort_unstable();
        for pair in places.windows(2) {
            assert!(pair[0].1 <= pair[1].0, "a buffer in two descriptors");
        }
    }
}
