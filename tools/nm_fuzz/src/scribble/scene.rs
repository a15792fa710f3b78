// SPDX-License-Identifier: GPL-2.0
//! The scenes: which rings in which memory, and how they are synced.

use crate::abi::*;

/// A registration of a scene.
pub struct Part {
    /// Of the port that is used whole; else of the one that lends three queues.
    pub second: bool,
    pub mode: u32,
    /// Added to the first of the three queues.
    pub ring: u32,
    pub flags: u64,
    pub extra: u32,
    pub hosts: u16,
    pub options: &'static [With],
}

/// An option of a registration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum With {
    Offsets,
    Meta,
    Csb,
    /// Own memory, with buffers of that many bytes.
    OwnMemory(u32),
}

pub struct Scene {
    pub name: &'static str,
    pub what: &'static str,
    pub parts: &'static [Part],
    /// Queues join and leave.
    pub joins: bool,
    /// The kernel sends through the second port.
    pub kernel_sends: bool,
    /// Rings are synced by a loop in the kernel.
    pub loops: bool,
    /// With eventfds.
    pub eventfds: bool,
    /// Buffers are passed on between rings, as a bridge does.
    pub swaps: bool,
}

const PART: Part = Part {
    second: false,
    mode: ONE_NIC,
    ring: 0,
    flags: 0,
    extra: 0,
    hosts: 0,
    options: &[],
};

const SCENE: Scene = Scene {
    name: "",
    what: "",
    parts: &[],
    joins: false,
    kernel_sends: false,
    loops: false,
    eventfds: false,
    swaps: false,
};

pub const SCENES: &[Scene] = &[
    Scene {
        name: "rx",
        what: "an RX ring and a host TX ring, private memory",
        parts: &[Part {
            flags: RX_ONLY | PUTBACK | PRIVATE_MEM,
            extra: 64,
            ..PART
        }],
        swaps: true,
        ..SCENE
    },
    Scene {
        name: "meta",
        what: "an RX ring with metadata and offsets, default memory",
        parts: &[Part {
            ring: 1,
            flags: RX_ONLY | PUTBACK,
            options: &[With::Offsets, With::Meta],
            ..PART
        }],
        ..SCENE
    },
    Scene {
        name: "tx",
        what: "a TX ring, private memory, extra buffers",
        parts: &[Part {
            flags: TX_ONLY | PRIVATE_MEM,
            extra: 256,
            ..PART
        }],
        swaps: true,
        ..SCENE
    },
    Scene {
        name: "own",
        what: "a pair of rings in the program's memory",
        parts: &[Part {
            extra: 64,
            flags: PUTBACK,
            options: &[With::OwnMemory(2048)],
            ..PART
        }],
        swaps: true,
        ..SCENE
    },
    Scene {
        name: "own-large",
        what: "the same with buffers of a page, metadata and offsets",
        parts: &[Part {
            options: &[With::OwnMemory(4096), With::Offsets, With::Meta],
            ..PART
        }],
        ..SCENE
    },
    Scene {
        name: "shared",
        what: "three files on two rings in one memory",
        parts: &[
            Part {
                flags: RX_ONLY,
                ..PART
            },
            Part {
                flags: RX_ONLY,
                extra: 16,
                ..PART
            },
            Part { ring: 1, ..PART },
        ],
        swaps: true,
        ..SCENE
    },
    Scene {
        name: "join",
        what: "queues that join and leave",
        parts: &[Part {
            flags: RX_ONLY | NO_RINGS | PUTBACK | PRIVATE_MEM,
            ..PART
        }],
        joins: true,
        ..SCENE
    },
    Scene {
        name: "bridge",
        what: "a pair of rings and a whole port, buffers swapped between them",
        parts: &[
            PART,
            Part {
                second: true,
                mode: NIC_SW,
                hosts: 2,
                ..PART
            },
        ],
        kernel_sends: true,
        swaps: true,
        ..SCENE
    },
    Scene {
        name: "loop",
        what: "a kernel loop over a CSB",
        parts: &[Part {
            flags: EXCLUSIVE | PRIVATE_MEM,
            options: &[With::Csb],
            ..PART
        }],
        loops: true,
        ..SCENE
    },
    Scene {
        name: "loop-events",
        what: "a kernel loop with eventfds over a whole port",
        parts: &[Part {
            second: true,
            mode: NIC_SW,
            flags: EXCLUSIVE,
            hosts: 1,
            options: &[With::Csb],
            ..PART
        }],
        loops: true,
        eventfds: true,
        kernel_sends: true,
        ..SCENE
    },
];
