// SPDX-License-Identifier: GPL-2.0

//! The parts of netmap.ko that use only `core`, compiled for the build host and tested there.
//!
//! The files are the module's own, by links: what is tested here is what the kernel runs.

#![allow(dead_code)]

mod nic;
mod ring;
mod shm;
mod uapi;

mod kring {
    pub(crate) mod options;
    pub(crate) mod tx {
        pub(crate) mod indices;
        pub(crate) mod packet;
    }
}

mod mem {
    pub(crate) mod layout;
    pub(crate) mod owner;
    pub(crate) mod sizing;
}

mod port {
    pub(crate) mod name;
    pub(crate) mod select;
}

#[cfg(test)]
mod tests {
    mod claims;
    mod layout;
    mod names;
    mod options;
    mod requests;
    mod rings;
    mod rx82599;
    mod rx_meta;
    mod select;
    mod sizing;
    mod syzkaller;
    mod tx82599;
    mod txring;
}
