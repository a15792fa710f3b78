// SPDX-License-Identifier: GPL-2.0

//! netmap: chosen RX queues of a running NIC for programs, everything else for the kernel.
//!
//! Terms: a *port* is a registered fd's hold on an interface; a *queue* is the NIC's, counted from
//! 0 as ethtool does (its hardware register index is another number); a *ring* is what a program
//! sees of it, `n` *slots* that name *buffers*; a *kring* is the kernel's private side of a ring; a
//! *region* is the memory a program maps.
//!
//! A request goes from [`file`] through [`port`] and [`adapter`] to the driver ([`os::nic`]); a packet from its
//! descriptor ([`nic`]) into a slot ([`kring::rx`]), and from a slot back into the stack
//! ([`kring::host`]).
//!
//! Lock order: an fd's, rtnl, an adapter's, a ring's, a region's. Interrupts take only wait queues'.

#![deny(unsafe_code)]

mod adapter;
mod ffi;
mod file;
mod kring;
mod mem;
mod nic;
mod os;
mod port;
mod ring;
mod shm;
mod show;
mod uapi;

use kernel::prelude::*;

use crate::file::File;
use crate::os::chardev::Registration;
use crate::os::debugfs::Directory;
use crate::os::netdev::Notifier;

module! {
    type: Netmap,
    name: "netmap",
    authors: ["The netmap-rs authors"],
    description: "Selective kernel bypass: chosen RX queues for programs (netmap API 14)",
    license: "GPL",
}

/// The loaded module. Dropped in this order: no new files, then no more news of interfaces.
#[pin_data]
struct Netmap {
    #[pin]
    device: Registration<File>,
    debugfs: Directory,
    notifier: Notifier,
}

impl kernel::InPlaceModule for Netmap {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        os::init_statics();
        try_pin_init!(Self {
            notifier: Notifier::register()?,
            debugfs: Directory::new(),
            device <- Registration::new(c"netmap"),
        })
    }
}
